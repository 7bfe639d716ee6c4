//! What is to be reached, parsed once and for all.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use thiserror::Error;

/// How the target is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    Http,
    Https,
    Tcp,
    Tls,
    Udp,
    /// Only the name is asked.
    Dns,
}

impl Scheme {
    /// The names a user may write before `://`, and the one for names alone, `dns:`.
    pub const NAMES: [&'static str; 6] = ["https", "http", "tcp", "tls", "udp", "dns"];

    /// The name before `://`.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Tcp => "tcp",
            Scheme::Tls => "tls",
            Scheme::Udp => "udp",
            Scheme::Dns => "dns",
        }
    }

    const fn default_port(self) -> Option<u16> {
        match self {
            Scheme::Http => Some(80),
            Scheme::Https | Scheme::Tls => Some(443),
            Scheme::Udp | Scheme::Dns => Some(53),
            Scheme::Tcp => None,
        }
    }

    /// True when the connection starts with a TLS handshake.
    pub const fn uses_tls(self) -> bool {
        matches!(self, Scheme::Https | Scheme::Tls)
    }

    /// True when HTTP is spoken.
    pub const fn uses_http(self) -> bool {
        matches!(self, Scheme::Http | Scheme::Https)
    }
}

/// A name or an address literal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Host {
    /// A DNS name in lower case ASCII (IDNA applied), without the final dot.
    Name(String),
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Address(address) => write!(f, "{address}"),
        }
    }
}

/// What is to be reached: scheme, host, port and, for HTTP, path with query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
    /// Path and query, starting with `/`; `/` when none was given.
    pub path: String,
    /// The scope of a link-local IPv6 literal, such as `eth0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Why a target could not be understood; `hint()` says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    #[error("the target is empty")]
    Empty,
    #[error("unknown scheme {0:?} in target {1:?}")]
    UnknownScheme(String, String),
    #[error("port {0:?} in target {1:?} is not a number from 1 to 65535")]
    Port(String, String),
    #[error("target {0:?} names no port")]
    NoPort(String),
    #[error("target {0:?} has no host")]
    NoHost(String),
    #[error("{0:?} in target {1:?} is not a valid host name: {2}")]
    BadName(String, String, &'static str),
    #[error("{0:?} in target {1:?} is not an IPv6 address")]
    BadAddress(String, String),
    #[error("target {0:?} carries a user name or password")]
    UserInfo(String),
}

impl TargetError {
    /// One line that says what to do.
    pub fn hint(&self) -> String {
        match self {
            TargetError::Empty | TargetError::NoHost(_) => {
                "give a target such as https://shop.example/ or 203.0.113.7:443".into()
            }
            TargetError::UnknownScheme(..) => {
                format!("use one of {}", Scheme::NAMES.map(|n| format!("{n}:")).join(" "))
            }
            TargetError::Port(..) => {
                "ports are 1 to 65535; write host:443, or leave it out after https://".into()
            }
            TargetError::NoPort(text) => {
                format!("add one, such as {text}:443, or a scheme, such as https://{text}")
            }
            TargetError::BadName(..) => {
                "names have labels of 1 to 63 letters, digits, - or _, joined by dots, 253 at most in all"
                    .into()
            }
            TargetError::BadAddress(..) => "write IPv6 in brackets before a port: [2001:db8::1]:443".into(),
            TargetError::UserInfo(_) => {
                "credentials do not belong in the target; pass --header 'Authorization: …' instead".into()
            }
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TargetError::Empty);
        }
        let (scheme, rest) = split_scheme(text)?;
        let cut = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(cut);
        if authority.contains('@') {
            return Err(TargetError::UserInfo(scrubbed(text)));
        }
        let (host_text, port_text) = split_authority(authority, text)?;
        let (host, zone) = parse_host(host_text, text)?;
        let port = match port_text {
            Some(port) => parse_port(port, text)?,
            None => scheme
                .and_then(Scheme::default_port)
                .or_else(|| bare_default(text, scheme))
                .ok_or_else(|| TargetError::NoPort(host.to_string()))?,
        };
        let scheme = scheme.unwrap_or(match (port_text, port) {
            (None, _) | (_, 443 | 8443) => Scheme::Https,
            (_, 80 | 8080 | 8000) => Scheme::Http,
            _ => Scheme::Tcp,
        });
        let path = tail.split('#').next().unwrap_or("");
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Target { scheme, host, port, path, zone })
    }
}

impl Target {
    /// `host:port`, with brackets around IPv6.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The name to look up, if the host is one.
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// The value of the HTTP `Host` field: without the scheme's own port.
    pub fn host_header(&self) -> String {
        if self.scheme.default_port() == Some(self.port) { self.host.to_string() } else { self.authority() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Dns => write!(f, "dns:{}", self.host),
            scheme if scheme.uses_http() => {
                write!(f, "{}://{}{}", scheme.name(), self.host_header(), self.path)
            }
            scheme => write!(f, "{}://{}", scheme.name(), self.authority()),
        }
    }
}

fn split_scheme(text: &str) -> Result<(Option<Scheme>, &str), TargetError> {
    if let Some(name) = text.strip_prefix("dns:") {
        return Ok((Some(Scheme::Dns), name.trim_start_matches('/')));
    }
    let Some((name, rest)) = text.split_once("://") else { return Ok((None, text)) };
    let scheme = match name.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "tcp" => Scheme::Tcp,
        "tls" => Scheme::Tls,
        "udp" => Scheme::Udp,
        _ => return Err(TargetError::UnknownScheme(name.to_owned(), scrubbed(text))),
    };
    Ok((Some(scheme), rest))
}

/// A bare name or address without port is a web site.
fn bare_default(text: &str, scheme: Option<Scheme>) -> Option<u16> {
    (scheme.is_none() && !text.is_empty()).then_some(443)
}

fn split_authority<'a>(authority: &'a str, text: &str) -> Result<(&'a str, Option<&'a str>), TargetError> {
    if authority.is_empty() {
        return Err(TargetError::NoHost(text.to_owned()));
    }
    if let Some(inner) = authority.strip_prefix('[') {
        let Some((address, after)) = inner.split_once(']') else {
            return Err(TargetError::BadAddress(authority.to_owned(), text.to_owned()));
        };
        return match after {
            "" => Ok((address, None)),
            _ => match after.strip_prefix(':') {
                Some(port) => Ok((address, Some(port))),
                None => Err(TargetError::BadAddress(authority.to_owned(), text.to_owned())),
            },
        };
    }
    if authority.matches(':').count() > 1 {
        return Ok((authority, None));
    }
    match authority.split_once(':') {
        Some(("", _)) => Err(TargetError::NoHost(text.to_owned())),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

fn parse_port(port: &str, text: &str) -> Result<u16, TargetError> {
    let bad = || TargetError::Port(port.to_owned(), text.to_owned());
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    port.parse::<u16>().ok().filter(|p| *p != 0).ok_or_else(bad)
}

fn parse_host(host: &str, text: &str) -> Result<(Host, Option<String>), TargetError> {
    if host.contains(':') {
        let (address, zone) = match host.split_once('%') {
            Some((address, zone)) if !zone.is_empty() => (address, Some(zone.to_owned())),
            _ => (host, None),
        };
        let address: Ipv6Addr =
            address.parse().map_err(|_| TargetError::BadAddress(host.to_owned(), text.to_owned()))?;
        return Ok((Host::Address(address.into()), zone));
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok((Host::Address(address), None));
    }
    let bad = |why| TargetError::BadName(host.to_owned(), text.to_owned(), why);
    if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(bad("it looks like an IPv4 address with a part missing or above 255"));
    }
    let ascii = if host.is_ascii() {
        host.to_ascii_lowercase()
    } else {
        match url::Host::parse(host) {
            Ok(url::Host::Domain(domain)) => domain,
            _ => return Err(bad("it has no IDNA form")),
        }
    };
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    check_name(name).map_err(bad)?;
    Ok((Host::Name(name.to_owned()), None))
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > 253 {
        return Err("it is empty or longer than 253 characters");
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err("a label is empty or longer than 63 characters");
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err("a label has a character other than a letter, a digit, - or _");
        }
    }
    Ok(())
}

/// Never echoes what stands before an `@`.
fn scrubbed(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, after)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://…@{after}"),
            None => format!("…@{after}"),
        },
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Target {
        text.parse().unwrap()
    }

    #[test]
    fn writes_users_write() {
        assert_eq!(parsed("https://Shop.Example.test/a?b#c").to_string(), "https://shop.example.test/a?b");
        assert_eq!(parsed("shop.example").to_string(), "https://shop.example/");
        assert_eq!(parsed("10.0.0.1:22").to_string(), "tcp://10.0.0.1:22");
        assert_eq!(parsed("[2001:db8::1]:443").to_string(), "https://[2001:db8::1]/");
        assert_eq!(parsed("2001:db8::1").port, 443);
        assert_eq!(parsed("udp://ns.example:53").scheme, Scheme::Udp);
        assert_eq!(parsed("dns:shop.example").scheme, Scheme::Dns);
        assert_eq!(parsed("tls://a:8443").port, 8443);
        assert_eq!(parsed("fe80::1%eth0").zone.as_deref(), Some("eth0"));
        assert_eq!(parsed("http://a:8080/").host_header(), "a:8080");
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for (text, part) in [
            ("", "empty"),
            ("gopher://a", "unknown scheme"),
            ("a:0", "1 to 65535"),
            ("a:70000", "1 to 65535"),
            ("tcp://a", "no port"),
            ("https://", "no host"),
            ("https://a b/", "host name"),
            ("10.0.0.300:1", "IPv4"),
            ("[::1", "IPv6"),
            ("https://u:secret@h/", "user name"),
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error}");
            assert!(!error.hint().is_empty());
            assert!(!error.to_string().contains("secret"));
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_round_trips(text in "\\PC{0,60}") {
            if let Ok(target) = text.parse::<Target>() {
                let again: Target = target.to_string().parse().unwrap();
                prop_assert_eq!(again.host, target.host);
                prop_assert_eq!(again.port, target.port);
            }
        }
    }
}
