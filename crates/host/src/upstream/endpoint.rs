//! Addresses and times as configurations write them. Pure.

use super::{NAME_BYTES_MAX, shown};
use netwhy_model::host::Upstream;
use std::net::{IpAddr, SocketAddr};

/// Ports of one range that are named.
const RANGE_COUNT_MAX: u16 = 64;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    Name(String),
    /// A socket of the file system.
    Local(String),
    /// Written with a variable, or not at all.
    Unknown(String),
}

/// A server as written, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
}

impl Endpoint {
    /// Takes `10.0.0.2:80`, `[::1]:80`, `::1:80`, `name`, `name:80`, `unix:/path` apart.
    pub(super) fn parse(text: &str) -> Endpoint {
        if let Some(path) = text.strip_prefix("unix:").or_else(|| text.strip_prefix("unix@")) {
            // nginx writes the request's path behind a second colon.
            let path = path.split(':').next().unwrap_or(path);
            return Endpoint { host: Host::Local(shown(path)), port: None };
        }
        if text.starts_with('/') || text.starts_with("abns@") {
            return Endpoint { host: Host::Local(shown(text)), port: None };
        }
        let (host, port) = split_port(text);
        Endpoint { host: Host::of(host), port: port.parse().ok().filter(|port| *port != 0) }
    }

    /// Writes the server into a description, with the port it is really asked on.
    pub(super) fn fill(&self, upstream: &mut Upstream) {
        let port = |host: &str| self.port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        match &self.host {
            Host::Address(address) => {
                upstream.address = self.port.map(|port| SocketAddr::new(*address, port));
                upstream.server = match address {
                    IpAddr::V6(address) => port(&format!("[{address}]")),
                    IpAddr::V4(address) => port(&address.to_string()),
                };
            }
            Host::Name(name) => {
                upstream.name = Some(name.clone());
                upstream.server = port(name);
            }
            Host::Local(path) => upstream.server = format!("unix:{path}"),
            Host::Unknown(text) => upstream.server = port(text),
        }
    }
}

impl Host {
    fn of(text: &str) -> Host {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        // A scope belongs to this host alone.
        let unscoped = bare.split('%').next().unwrap_or(bare);
        if let Ok(address) = unscoped.parse::<IpAddr>() {
            return Host::Address(address);
        }
        if is_name(text) {
            Host::Name(text.trim_end_matches('.').to_ascii_lowercase())
        } else {
            Host::Unknown(shown(text))
        }
    }
}

/// Letters, digits, dots, hyphens and underscores, as names of hosts and containers have them.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Splits what stands behind the last colon; an IPv6 address in brackets or alone has none.
pub(super) fn split_port(text: &str) -> (&str, &str) {
    if let Some(end) = text.rfind(']') {
        let (host, rest) = text.split_at(end + 1);
        return (host, rest.strip_prefix(':').unwrap_or_default());
    }
    text.rsplit_once(':').unwrap_or((text, ""))
}

/// The ports of `80` or `8000-8010`.
pub(super) fn ports(text: &str) -> Vec<u16> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if first > 0 && first <= last => {
            (first..=last.min(first.saturating_add(RANGE_COUNT_MAX - 1))).collect()
        }
        _ => Vec::new(),
    }
}

/// Milliseconds of `5s`, `1m30s`, `500ms`; a bare number is counted in this unit.
pub(super) fn milliseconds(text: &str, bare_unit_ms: u64) -> Option<u64> {
    const PART_COUNT_MAX: usize = 8;
    let mut rest = text.trim();
    let mut total = 0_u64;
    for _ in 0..PART_COUNT_MAX {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = rest.get(..letters)?;
        rest = rest.get(letters..)?;
        let part = match unit.trim() {
            "" => number.checked_mul(bare_unit_ms)?,
            "us" => number / 1_000,
            "ms" => number,
            "s" => number.checked_mul(1_000)?,
            "m" => number.checked_mul(60_000)?,
            "h" => number.checked_mul(3_600_000)?,
            "d" => number.checked_mul(86_400_000)?,
            _ => return None,
        };
        total = total.checked_add(part)?;
        if rest.is_empty() {
            return Some(total);
        }
    }
    None
}

/// A request path without its query, which may hold a key.
pub(super) fn path_shown(text: &str) -> String {
    match text.split_once('?') {
        Some((path, _)) => shown(&format!("{path}?***")),
        None => shown(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn server(text: &str) -> (String, Option<SocketAddr>, Option<String>) {
        let mut upstream = Upstream::default();
        Endpoint::parse(text).fill(&mut upstream);
        (upstream.server, upstream.address, upstream.name)
    }

    #[test]
    fn servers_are_taken_apart() {
        let at = |text: &str| Some(text.parse().unwrap());
        assert_eq!(server("10.0.0.2:80"), ("10.0.0.2:80".into(), at("10.0.0.2:80"), None));
        assert_eq!(server("[fd00::1]:80"), ("[fd00::1]:80".into(), at("[fd00::1]:80"), None));
        assert_eq!(server("fd00::1:80"), ("[fd00::1]:80".into(), at("[fd00::1]:80"), None));
        assert_eq!(server("App_1:80"), ("app_1:80".into(), None, Some("app_1".into())));
        assert_eq!(server("unix:/run/a.sock:/x"), ("unix:/run/a.sock".into(), None, None));
        assert_eq!(server("$back\u{1b}end:80"), ("$back end:80".into(), None, None));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(milliseconds("5s", 1), Some(5_000));
        assert_eq!(milliseconds("1m30s", 1_000), Some(90_000));
        assert_eq!(milliseconds("60", 1_000), Some(60_000));
        assert_eq!(milliseconds("200ms", 1_000), Some(200));
        assert_eq!(milliseconds("99999999999999999999d", 1), None);
        assert_eq!(milliseconds("soon", 1), None);
    }

    #[test]
    fn a_range_of_ports_is_bounded() {
        assert_eq!(ports("8000-8002"), [8_000, 8_001, 8_002]);
        assert_eq!(ports("1-65535").len(), 64);
        assert!(ports("0").is_empty() && ports("x-y").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in any::<String>()) {
            let _ = server(&text);
            let _ = (milliseconds(&text, 1_000), ports(&text), path_shown(&text));
        }
    }
}
