//! One request as it will go out, made of the case and changed by the questions that vary it.

use crate::dial::Secure;
use netwhy_model::{Case, Host};
use std::net::SocketAddr;
use std::time::Duration;

/// Longest wait for a handshake, in milliseconds.
const CONNECT_MS_MAX: u64 = 3_000;
/// Wait for the first byte when nothing is known of the service, in milliseconds.
const FIRST_BYTE_MS: u64 = 6_000;
/// Longest wait for the first byte, whatever is expected, in milliseconds.
const FIRST_BYTE_MS_MAX: u64 = 9_000;
/// Silence in the middle of a body after which it counts as stalled, in milliseconds.
const STALL_MS: u64 = 2_500;
/// Time for a whole body beyond the wait for its first byte, in milliseconds.
const BODY_MS_MAX: u64 = 5_000;
/// Most bytes of a body that are read; a larger minimum expected raises it.
const READ_BYTES: u64 = 4 * 1024 * 1024;
/// Most bytes of a body that are read, whatever is expected.
const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most bytes of a body that are kept.
const KEEP_BYTES_MAX: usize = 1024 * 1024;

/// How long to wait for each step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    pub connect: Duration,
    pub tls: Duration,
    pub first_byte: Duration,
    pub stall: Duration,
    /// For the whole exchange.
    pub total: Duration,
}

/// One request as it will go out.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub address: SocketAddr,
    pub secure: Option<Secure>,
    /// Bytes before everything else, such as a PROXY header.
    pub prelude: Vec<u8>,
    pub method: String,
    /// Path and query.
    pub path: String,
    pub http10: bool,
    pub headers: Vec<(String, String)>,
    pub body_len: u64,
    pub waits: Waits,
    pub read_max: u64,
    pub keep_max: usize,
}

impl Waits {
    /// For the first request, when nothing is known of the service.
    pub fn first(case: &Case) -> Waits {
        let limit = case.limits;
        let expected = case.expect.max_time_ms.map_or(0, |ms| ms.saturating_add(500));
        let first_byte = FIRST_BYTE_MS.max(expected).min(FIRST_BYTE_MS_MAX).min(limit.budget_ms * 2 / 3);
        let connect = limit.wait_ms_max.min(CONNECT_MS_MAX);
        Waits {
            connect: Duration::from_millis(connect),
            tls: Duration::from_millis(connect),
            first_byte: Duration::from_millis(first_byte),
            stall: Duration::from_millis(STALL_MS),
            total: Duration::from_millis(first_byte + BODY_MS_MAX),
        }
    }

    /// The same with a shorter patience for every step.
    pub fn within(self, most: Duration) -> Waits {
        Waits {
            connect: self.connect.min(most),
            tls: self.tls.min(most),
            first_byte: self.first_byte.min(most),
            stall: self.stall.min(most),
            total: self.total.min(most * 2),
        }
    }
}

impl Ask {
    /// The request of the case, to the target itself.
    pub fn of(case: &Case, address: SocketAddr) -> Ask {
        let target = &case.target;
        let secure = target.scheme.uses_tls();
        let read_max = case.expect.min_bytes.map_or(0, |n| n.saturating_add(1));
        Ask {
            address,
            secure: secure.then(|| Secure::named(&target.host)),
            prelude: Vec::new(),
            method: method(case),
            path: target.path.clone(),
            http10: case.expect.http.as_deref() == Some("1.0"),
            headers: headers(case, &target.host_header(), secure),
            body_len: case.body_bytes.unwrap_or(0),
            waits: Waits::first(case),
            read_max: read_max.clamp(READ_BYTES, READ_BYTES_MAX),
            keep_max: KEEP_BYTES_MAX,
        }
    }

    /// The first value of a header that will be sent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Replaces a header, or adds it.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Ask {
        match self.headers.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some(line) => value.clone_into(&mut line.1),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Ask {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    /// Another path on the same site.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Ask {
        path.clone_into(&mut self.path);
        self
    }

    /// A plain GET without body.
    #[must_use]
    pub fn into_get(mut self) -> Ask {
        "GET".clone_into(&mut self.method);
        self.body_len = 0;
        self.without_header("content-length").without_header("content-type")
    }

    /// Less patience.
    #[must_use]
    pub fn within(mut self, most: Duration) -> Ask {
        self.waits = self.waits.within(most);
        self
    }

    /// The path with one more parameter in its query, so that no cache knows it.
    pub fn busted(&self, mark: &str) -> Ask {
        let sign = if self.path.contains('?') { '&' } else { '?' };
        self.clone().with_path(&format!("{}{sign}netwhy={mark}", self.path))
    }

    /// The head as bytes, ending with the empty line.
    pub fn head_bytes(&self) -> Vec<u8> {
        let version = if self.http10 { "HTTP/1.0" } else { "HTTP/1.1" };
        let mut text = format!("{} {} {version}\r\n", self.method, visible(&self.path));
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.body_len > 0 && self.header("content-length").is_none() {
            text.push_str(&format!("Content-Length: {}\r\n", self.body_len));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// The URL it asks, for people.
    pub fn url(&self) -> String {
        let scheme = if self.secure.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.header("host").unwrap_or(""), self.path)
    }
}

impl Secure {
    /// TLS for HTTP/1.1 with this name as SNI.
    pub fn named(host: &Host) -> Secure {
        let name = match host {
            Host::Name(name) => name.clone(),
            Host::Address(address) => address.to_string(),
        };
        Secure { name, alpn: vec![b"http/1.1".to_vec()], sni: true }
    }
}

/// The method that goes out; a body makes a GET a POST, as clients do.
fn method(case: &Case) -> String {
    match case.body_bytes {
        Some(n) if n > 0 && case.method == "GET" => "POST".to_owned(),
        _ => case.method.clone(),
    }
}

/// Browser-like headers, each replaced by the user's own of the same name.
fn headers(case: &Case, host: &str, secure: bool) -> Vec<(String, String)> {
    let codings = if secure { "gzip, br, zstd" } else { "gzip" };
    let mut all: Vec<(String, String)> = [
        ("Host", host),
        ("User-Agent", "netwhy/0.1"),
        ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("Accept-Encoding", codings),
    ]
    .into_iter()
    .filter(|(name, _)| case.header(name).is_none())
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    if case.body_bytes.is_some_and(|n| n > 0) && case.header("content-type").is_none() {
        all.push(("Content-Type".to_owned(), "application/octet-stream".to_owned()));
    }
    all.extend(case.headers.iter().map(|h| (h.name.clone(), h.value.clone())));
    let websocket = case.header("upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket"));
    // The rest of the handshake (RFC 6455, section 4.1), when only the upgrade itself was given.
    for (name, value) in [
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        if websocket && case.header(name).is_none() {
            all.push((name.to_owned(), value.to_owned()));
        }
    }
    all
}

/// Percent-encodes what may not stand in a request line.
fn visible(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic() {
            out.push(char::from(byte))
        } else {
            out.push_str(&format!("%{byte:02X}"))
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_model::Header;

    #[test]
    fn the_users_header_replaces_ours() {
        let mut case = Case::new("http://shop.example.test/a b?ü=1".parse().unwrap());
        case.headers.push(Header::parse("user-agent: curl/8").unwrap());
        let ask = Ask::of(&case, "127.0.0.1:80".parse().unwrap());
        let text = String::from_utf8(ask.head_bytes()).unwrap();
        assert!(text.starts_with("GET /a%20b?%C3%BC=1 HTTP/1.1\r\nHost: shop.example.test\r\n"), "{text}");
        assert_eq!(text.matches("ser-").count() + text.matches("ser-Agent").count(), 1, "{text}");
        assert!(ask.busted("7").path.ends_with("&netwhy=7"));
    }

    #[test]
    fn a_body_makes_it_a_post() {
        let mut case = Case::new("http://a/".parse().unwrap());
        case.body_bytes = Some(10);
        let text = String::from_utf8(Ask::of(&case, "127.0.0.1:80".parse().unwrap()).head_bytes()).unwrap();
        assert!(text.starts_with("POST / ") && text.contains("Content-Length: 10\r\n"));
    }
}
