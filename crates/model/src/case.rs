//! One case: the target, what the user calls success, how to ask, and what was seen.

use crate::expect::parse_duration_ms;
use crate::host::Record;
use crate::{Evidence, Expect, Leg, Stamp, Target};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;

/// The schema of a saved case.
pub const SAVED_SCHEMA: &str = "netwhy.case/1";

/// The origin behind a protection node: asked directly, with the target's own Host and SNI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub address: IpAddr,
    /// The target's port when unset.
    #[serde(default)]
    pub port: Option<u16>,
}

/// What the asking host uses of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Source {
    #[serde(default)]
    pub address: Option<IpAddr>,
    #[serde(default)]
    pub interface: Option<String>,
    /// Only this family: `4` or `6`.
    #[serde(default)]
    pub family: Option<u8>,
    /// Resolvers to ask instead of those in resolv.conf.
    #[serde(default)]
    pub resolvers: Vec<SocketAddr>,
}

/// One request header, in the form `Name: value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub name: String,
    pub value: String,
}

/// How long and how hard to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall time for the whole case, in milliseconds.
    pub budget_ms: u64,
    /// Longest wait for one answer before any RTT is known, in milliseconds.
    pub wait_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { budget_ms: 11_000, wait_ms_max: 3_000 }
    }
}

/// Everything the user said about one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub target: Target,
    #[serde(default)]
    pub origin: Option<Origin>,
    /// Connect here whatever the name says, as a node that is told its origin does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<SocketAddr>,
    #[serde(default)]
    pub expect: Expect,
    #[serde(default)]
    pub source: Source,
    /// `GET` unless said otherwise.
    pub method: String,
    #[serde(default)]
    pub headers: Vec<Header>,
    /// Send a request body of so many bytes.
    #[serde(default)]
    pub body_bytes: Option<u64>,
    /// The path a load balancer asks to see whether the service is well.
    #[serde(default)]
    pub health_path: Option<String>,
    /// PEM file with the client's certificate and key.
    #[serde(default)]
    pub client_cert: Option<String>,
    /// PEM file of roots to trust besides the system's.
    #[serde(default)]
    pub ca_file: Option<String>,
    #[serde(default)]
    pub limits: Limits,
}

impl Case {
    /// A case with nothing but its target.
    pub fn new(target: Target) -> Case {
        Case {
            target,
            origin: None,
            via: None,
            expect: Expect::default(),
            source: Source::default(),
            method: "GET".to_owned(),
            headers: Vec::new(),
            body_bytes: None,
            health_path: None,
            client_cert: None,
            ca_file: None,
            limits: Limits::default(),
        }
    }

    /// The first value of a request header, by name without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.as_str())
    }
}

/// A case with what was seen; replayed, it gives the same verdict byte for byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedCase {
    pub schema: String,
    pub case: Case,
    pub started: Stamp,
    /// Wall time the run took, in milliseconds.
    pub total_ms: u64,
    pub evidence: Vec<Evidence>,
    /// What the ends saw meanwhile, the source's own first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<LegRecord>,
}

/// What one end saw, and of which connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LegRecord {
    #[serde(default, skip_serializing_if = "Leg::is_front")]
    pub leg: Leg,
    pub record: Record,
}

/// Why part of a case could not be understood.
#[derive(Debug, Error)]
pub enum CaseError {
    #[error("{0:?} is not an address, or an address with a port")]
    Address(String),
    #[error("{0:?} is not a header of the form 'Name: value'")]
    Header(String),
    #[error("{0:?} is not a time such as 500ms, 15s or 2m")]
    Duration(String),
    #[error("the saved case has schema {0:?}, this netwhy reads {SAVED_SCHEMA:?}")]
    Schema(String),
    #[error("the saved case is not readable")]
    Json(#[from] serde_json::Error),
}

impl Origin {
    /// Reads `ADDR`, `ADDR:PORT`, `[V6]` or `[V6]:PORT`.
    pub fn parse(text: &str) -> Result<Origin, CaseError> {
        if let Ok(socket) = text.parse::<SocketAddr>() {
            if socket.port() == 0 {
                return Err(CaseError::Address(text.to_owned()));
            }
            return Ok(Origin { address: socket.ip(), port: Some(socket.port()) });
        }
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let address = bare.parse().map_err(|_| CaseError::Address(text.to_owned()))?;
        Ok(Origin { address, port: None })
    }
}

impl Source {
    /// Reads a resolver, `ADDR` or `ADDR:PORT`; port 53 when none is given.
    pub fn parse_resolver(text: &str) -> Result<SocketAddr, CaseError> {
        let origin = Origin::parse(text)?;
        Ok(SocketAddr::new(origin.address, origin.port.unwrap_or(53)))
    }
}

impl Header {
    /// Reads `Name: value`; the name must be a token, the value free of control characters.
    pub fn parse(text: &str) -> Result<Header, CaseError> {
        let bad = || CaseError::Header(text.split(':').next().unwrap_or("").to_owned());
        let (name, value) = text.split_once(':').ok_or_else(bad)?;
        let (name, value) = (name.trim(), value.trim());
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) || value.chars().any(char::is_control) {
            return Err(bad());
        }
        Ok(Header { name: name.to_owned(), value: value.to_owned() })
    }
}

impl Limits {
    /// Reads a budget such as `15s`, in milliseconds.
    pub fn parse_ms(text: &str) -> Result<u64, CaseError> {
        parse_duration_ms(text).ok_or_else(|| CaseError::Duration(text.to_owned()))
    }
}

impl SavedCase {
    /// Reads a saved case; another schema is refused by name.
    pub fn parse(text: &str) -> Result<SavedCase, CaseError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            schema: String,
        }
        let head: Head = serde_json::from_str(text)?;
        if head.schema != SAVED_SCHEMA {
            return Err(CaseError::Schema(head.schema));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// Writes it with secrets left out: values of credential headers are replaced.
    pub fn to_json(&self) -> Result<String, CaseError> {
        let mut copy = self.clone();
        for header in &mut copy.case.headers {
            if ["authorization", "cookie", "proxy-authorization", "x-api-key"]
                .contains(&header.name.to_ascii_lowercase().as_str())
            {
                header.value = "(left out)".to_owned();
            }
        }
        Ok(serde_json::to_string_pretty(&copy)? + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_reach_a_saved_case() {
        let mut case = Case::new("https://a/".parse().unwrap());
        case.headers.push(Header::parse("Authorization: Bearer topsecret").unwrap());
        let saved = SavedCase {
            schema: SAVED_SCHEMA.to_owned(),
            case,
            started: Stamp::default(),
            total_ms: 1,
            evidence: Vec::new(),
            records: Vec::new(),
        };
        let text = saved.to_json().unwrap();
        assert!(!text.contains("topsecret"));
        assert!(SavedCase::parse(&text).is_ok());
        let other = text.replace("netwhy.case/1", "netwhy.case/9");
        assert!(matches!(SavedCase::parse(&other), Err(CaseError::Schema(s)) if s == "netwhy.case/9"));
    }

    #[test]
    fn origin_forms() {
        assert_eq!(Origin::parse("203.0.113.7:8443").unwrap().port, Some(8443));
        assert_eq!(Origin::parse("[2001:db8::1]").unwrap().port, None);
        assert!(Origin::parse("host:1").is_err());
        assert!(Origin::parse("1.2.3.4:0").is_err());
        assert!(Header::parse("no colon").is_err());
        assert!(Header::parse("X-Y: a\r\nb").is_err());
    }
}
