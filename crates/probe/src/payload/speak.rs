//! The natural first bytes for a target.

use netwhy_model::{Case, Host, Scheme};
use std::net::SocketAddr;

/// Ports whose services speak first.
const GREETING_PORTS: [u16; 10] = [21, 22, 25, 110, 143, 587, 2222, 3306, 5900, 6667];
/// Padding that takes a request past one segment of any common MTU, in bytes.
const LARGE_BYTES: usize = 3_200;
/// A name nobody's rules are about.
const OTHER_NAME: &str = "localhost.localdomain";

/// Who speaks first, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Greeting,
    Tls,
    Http,
    Dns,
    Plain,
}

/// Which bytes to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// What a user's program would send.
    Real,
    /// The same shape with another name in it.
    OtherName,
    /// The same, longer than one segment.
    Large,
    /// Four bytes that ask for nothing.
    Blank,
}

impl Kind {
    pub(super) fn of(case: &Case, address: SocketAddr) -> Kind {
        if case.expect.banner.is_some() {
            return Kind::Greeting;
        }
        match (case.target.scheme, address.port()) {
            (Scheme::Https | Scheme::Tls, _) => Kind::Tls,
            (Scheme::Http, _) => Kind::Http,
            (_, port) if GREETING_PORTS.contains(&port) => Kind::Greeting,
            (_, 53) => Kind::Dns,
            (_, 443 | 8443) => Kind::Tls,
            (_, 80 | 8000 | 8080) => Kind::Http,
            _ => Kind::Plain,
        }
    }

    /// True when silence after these bytes is a fault.
    pub(super) fn reply_due(self) -> bool {
        self != Kind::Plain
    }

    /// True when a longer request of this kind makes sense.
    pub(super) fn has_large(self) -> bool {
        matches!(self, Kind::Tls | Kind::Http)
    }
}

/// Writes the bytes.
pub(super) fn bytes(kind: Kind, variant: Variant, case: &Case) -> Vec<u8> {
    match (kind, variant) {
        (_, Variant::Blank) | (Kind::Plain | Kind::Greeting, _) => b"\r\n\r\n".to_vec(),
        (Kind::Http, _) => http(case, variant),
        (Kind::Tls, _) => hello(case, variant),
        (Kind::Dns, _) => {
            let query = dns_query();
            let mut framed = (query.len() as u16).to_be_bytes().to_vec();
            framed.extend(query);
            framed
        }
    }
}

fn http(case: &Case, variant: Variant) -> Vec<u8> {
    if variant == Variant::OtherName {
        return format!("GET / HTTP/1.1\r\nHost: {OTHER_NAME}\r\nAccept: */*\r\nConnection: close\r\n\r\n")
            .into_bytes();
    }
    let host = case.header("host").map_or_else(|| case.target.host_header(), str::to_owned);
    let body = case.body_bytes.unwrap_or(0).min(1 << 20) as usize;
    let mut text = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", case.method, case.target.path);
    for header in case.headers.iter().filter(|h| !h.name.eq_ignore_ascii_case("host")) {
        text += &format!("{}: {}\r\n", header.name, header.value);
    }
    for (name, value) in [("User-Agent", "netwhy"), ("Accept", "*/*"), ("Connection", "close")] {
        if case.header(name).is_none() {
            text += &format!("{name}: {value}\r\n");
        }
    }
    if variant == Variant::Large {
        text += &format!("X-Padding: {}\r\n", "a".repeat(LARGE_BYTES));
    }
    if body > 0 {
        text += &format!("Content-Length: {body}\r\n");
    }
    text += "\r\n";
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len() + body, b'x');
    bytes
}

/// A ClientHello (RFC 8446 4.1.2) any server of TLS 1.2 or 1.3 answers; it is never finished.
fn hello(case: &Case, variant: Variant) -> Vec<u8> {
    let mut extensions = Vec::new();
    let name = match (variant, &case.target.host) {
        (Variant::OtherName, _) => Some(OTHER_NAME.to_owned()),
        (_, Host::Name(name)) => Some(name.clone()),
        (_, Host::Address(_)) => None,
    };
    if let Some(name) = name {
        let length = name.len() as u16;
        let mut body = (length + 3).to_be_bytes().to_vec();
        body.push(0);
        body.extend(length.to_be_bytes());
        body.extend(name.as_bytes());
        extension(&mut extensions, 0, &body);
    }
    extension(&mut extensions, 10, &[0, 4, 0, 29, 0, 23]);
    extension(&mut extensions, 11, &[1, 0]);
    extension(&mut extensions, 13, &[0, 12, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1]);
    extension(&mut extensions, 43, &[4, 3, 4, 3, 3]);
    // A key share of X25519: any 32 bytes are a public key.
    let mut share = vec![0, 36, 0, 29, 0, 32];
    share.extend([0x42; 32]);
    extension(&mut extensions, 51, &share);
    if variant == Variant::Large {
        extension(&mut extensions, 21, &vec![0; LARGE_BYTES]);
    }
    let suites: [u8; 18] =
        [0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0, 0x9c, 0, 0x2f];
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.push(0);
    body.extend((suites.len() as u16).to_be_bytes());
    body.extend(suites);
    body.extend([1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend((body.len() as u16 + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend((body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

fn extension(into: &mut Vec<u8>, kind: u16, body: &[u8]) {
    into.extend(kind.to_be_bytes());
    into.extend((body.len() as u16).to_be_bytes());
    into.extend(body);
}

/// A query for the root's NS records (RFC 1035 4.1): every DNS server has some answer to it.
pub(crate) fn dns_query() -> Vec<u8> {
    let id = (crate::tap::now_ns() >> 10) as u16;
    let mut query = id.to_be_bytes().to_vec();
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_a_hello_agree() {
        let case = Case::new("https://shop.example.test/".parse().unwrap());
        for variant in [Variant::Real, Variant::OtherName, Variant::Large] {
            let bytes = hello(&case, variant);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[3], bytes[4]])), bytes.len() - 5);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[7], bytes[8]])), bytes.len() - 9);
        }
        assert!(hello(&case, Variant::Large).len() > 3_000);
    }

    #[test]
    fn a_request_carries_the_users_own_headers() {
        let mut case = Case::new("http://shop.example.test/a?b".parse().unwrap());
        case.headers.push(netwhy_model::Header::parse("X-Token: 7").unwrap());
        let text = String::from_utf8(http(&case, Variant::Real)).unwrap();
        assert!(text.starts_with("GET /a?b HTTP/1.1\r\nHost: shop.example.test\r\n"));
        assert!(text.contains("X-Token: 7\r\n"));
    }
}
