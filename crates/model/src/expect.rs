//! What the user calls success: `--expect key=value`.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use thiserror::Error;

/// A TLS protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "1.0")]
    V10,
    #[serde(rename = "1.1")]
    V11,
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

/// What must hold for the target to count as well; every field unset means the defaults of a browser.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Expect {
    /// Accepted HTTP statuses; empty means 2xx, or 3xx that leads to one.
    #[serde(default)]
    pub status: Vec<u16>,
    /// The whole exchange within this time, in milliseconds.
    #[serde(default)]
    pub max_time_ms: Option<u64>,
    /// The body has at least so many bytes.
    #[serde(default)]
    pub min_bytes: Option<u64>,
    /// `1.0`, `1.1`, `2` or `3` must be spoken.
    #[serde(default)]
    pub http: Option<String>,
    /// A client no newer than this must be served.
    #[serde(default)]
    pub tls_max: Option<TlsVersion>,
    /// The service's first bytes start with this.
    #[serde(default)]
    pub banner: Option<String>,
    /// IPv4 must work.
    #[serde(default)]
    pub ipv4: bool,
    /// IPv6 must work.
    #[serde(default)]
    pub ipv6: bool,
    /// The name must resolve to one of these.
    #[serde(default)]
    pub address: Vec<IpAddr>,
    /// Share of attempts that must succeed, 0 to 1.
    #[serde(default)]
    pub success_min: Option<f64>,
    /// Largest share of packets lost, 0 to 1.
    #[serde(default)]
    pub loss_max: Option<f64>,
}

/// Why an expectation could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExpectError {
    #[error("expectation {0:?} is not of the form key=value")]
    Form(String),
    #[error("unknown expectation {0:?}")]
    Key(String),
    #[error("{1:?} is not a value of expectation {0:?}: {2}")]
    Value(String, String, &'static str),
}

impl Expect {
    /// The keys `--expect` takes.
    pub const KEYS: [&'static str; 11] = [
        "status",
        "max-time",
        "min-bytes",
        "http",
        "tls-max",
        "banner",
        "families",
        "address",
        "success-min",
        "loss-max",
        "max-rtt",
    ];

    /// Adds one `key=value`; lists separate values by commas, and a key may come again.
    pub fn add(&mut self, text: &str) -> Result<(), ExpectError> {
        let (key, value) = text.split_once('=').ok_or_else(|| ExpectError::Form(text.to_owned()))?;
        let (key, value) = (key.trim(), value.trim());
        let bad = |why| ExpectError::Value(key.to_owned(), value.to_owned(), why);
        match key {
            "status" => {
                for part in value.split(',') {
                    let status = part.trim().parse::<u16>().ok().filter(|s| (100..=599).contains(s));
                    self.status.push(status.ok_or_else(|| bad("statuses are 100 to 599, such as 200,204"))?);
                }
            }
            "max-time" | "max-rtt" => {
                let millis =
                    parse_duration_ms(value).ok_or_else(|| bad("a time such as 500ms, 1s or 2.5s"))?;
                self.max_time_ms = Some(millis);
            }
            "min-bytes" => {
                self.min_bytes =
                    Some(parse_bytes(value).ok_or_else(|| bad("a size such as 1000, 64k or 2M"))?);
            }
            "http" => match value {
                "1.0" | "1.1" | "2" | "3" => self.http = Some(value.to_owned()),
                "1" => self.http = Some("1.1".to_owned()),
                _ => return Err(bad("one of 1.0, 1.1, 2, 3")),
            },
            "tls-max" => {
                self.tls_max = Some(match value {
                    "1.0" => TlsVersion::V10,
                    "1.1" => TlsVersion::V11,
                    "1.2" => TlsVersion::V12,
                    "1.3" => TlsVersion::V13,
                    _ => return Err(bad("one of 1.0, 1.1, 1.2, 1.3")),
                });
            }
            "banner" if !value.is_empty() => self.banner = Some(value.to_owned()),
            "banner" => return Err(bad("the text the service must greet with")),
            "families" => {
                for part in value.split(',') {
                    match part.trim().to_ascii_lowercase().as_str() {
                        "ipv4" | "4" | "v4" => self.ipv4 = true,
                        "ipv6" | "6" | "v6" => self.ipv6 = true,
                        _ => return Err(bad("ipv4, ipv6 or both, joined by a comma")),
                    }
                }
            }
            "address" => {
                for part in value.split(',') {
                    self.address.push(part.trim().parse().map_err(|_| bad("IP addresses joined by commas"))?);
                }
            }
            "success-min" => {
                self.success_min = Some(parse_share(value).ok_or_else(|| bad("0 to 1, or 0% to 100%"))?)
            }
            "loss-max" => {
                self.loss_max = Some(parse_share(value).ok_or_else(|| bad("0 to 1, or 0% to 100%"))?)
            }
            _ => return Err(ExpectError::Key(key.to_owned())),
        }
        Ok(())
    }

    /// True when an HTTP status is what the user wants; without `status=`, any 2xx.
    pub fn accepts_status(&self, status: u16) -> bool {
        if self.status.is_empty() { (200..300).contains(&status) } else { self.status.contains(&status) }
    }
}

/// Reads `500ms`, `2s`, `1.5s`, `2m` or bare seconds into milliseconds, one day at most.
pub(crate) fn parse_duration_ms(text: &str) -> Option<u64> {
    let (number, unit_ms) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix('s') {
        (number, 1_000.0)
    } else if let Some(number) = text.strip_suffix('m') {
        (number, 60_000.0)
    } else {
        (text, 1_000.0)
    };
    let millis = number.trim().parse::<f64>().ok()? * unit_ms;
    (millis.is_finite() && (1.0..=86_400_000.0).contains(&millis)).then_some(millis as u64)
}

fn parse_bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let (number, unit) = match lower.strip_suffix('k') {
        Some(number) => (number, 1_000),
        None => match lower.strip_suffix('m') {
            Some(number) => (number, 1_000_000),
            None => (lower, 1),
        },
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn parse_share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => text.parse::<f64>().ok()?,
    };
    (share.is_finite() && (0.0..=1.0).contains(&share)).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_key() {
        let mut expect = Expect::default();
        for text in [
            "status=200,204",
            "max-time=1.5s",
            "min-bytes=64k",
            "http=2",
            "tls-max=1.2",
            "banner=SSH-2.0",
            "families=ipv4,ipv6",
            "address=10.0.0.1,::1",
            "success-min=0.99",
            "loss-max=2%",
        ] {
            expect.add(text).unwrap();
        }
        assert_eq!(expect.max_time_ms, Some(1500));
        assert_eq!(expect.min_bytes, Some(64_000));
        assert_eq!(expect.loss_max, Some(0.02));
        assert!(expect.ipv4 && expect.ipv6);
        assert!(expect.accepts_status(204) && !expect.accepts_status(201));
    }

    #[test]
    fn refuses_with_the_place() {
        for text in
            ["status", "status=abc", "loss-max=120%", "max-time=-1s", "http=4", "colour=red", "max-time=NaN"]
        {
            assert!(Expect::default().add(text).is_err(), "{text}");
        }
    }
}
