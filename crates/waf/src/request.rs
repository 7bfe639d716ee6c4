//! A request as a firewall sees it, whatever it was written down as.

mod curl;
mod har;
mod lines;
mod raw;

pub use curl::{curl, is_curl};
pub use har::har;
pub use lines::lines;
pub use raw::raw;

use crate::place::{Unread, both};
use netwhy_model::Text;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// The largest request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 1 << 26;
/// How many requests of one file are read.
pub const REQUESTS_COUNT_MAX: usize = 1_000_000;

/// A request: everything as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Request {
    /// What the file calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub method: String,
    /// Path and query as sent, not decoded.
    pub uri: Vec<u8>,
    /// `HTTP/1.1`.
    pub version: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// Headers that the file did not have, and without which it could not have been sent so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Where it comes from, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
}

impl Request {
    /// What it is called: the file's name for it, or method and target.
    pub fn title(&self) -> String {
        let target = || format!("{} {}", self.method, crate::place::shown(&self.uri));
        self.name.as_ref().map_or_else(target, |name| crate::place::shown(name.as_bytes()))
    }

    /// A header, the first of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// Path and query as sent: what follows a `#` is none of the server's.
    pub fn target(&self) -> &[u8] {
        self.uri.split(|byte| *byte == b'#').next().unwrap_or_default()
    }

    /// The path as sent, without the query.
    pub fn path(&self) -> &[u8] {
        self.target().split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// The query as sent; none where there is no question mark.
    pub fn query(&self) -> Option<&[u8]> {
        self.target().splitn(2, |byte| *byte == b'?').nth(1)
    }

    /// The first line as sent.
    pub fn line(&self) -> Vec<u8> {
        [self.method.as_bytes(), b" ", &self.uri, b" ", self.version.as_bytes()].concat()
    }

    /// Whether a header has what no server takes: the end of a line, or nothing.
    pub fn is_malformed(&self) -> bool {
        let bad = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        self.headers.iter().any(|(name, value)| bad(name.as_bytes()) || bad(value))
    }

    /// A body that says nowhere how long it is could not have been sent: HTTP/1 needs the header.
    fn with_length(mut self) -> Request {
        let framed = self.header("content-length").is_some() || self.header("transfer-encoding").is_some();
        let sends = !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        if sends && !framed && self.version.starts_with("HTTP/1") {
            let length = self.body.len().to_string();
            self.add("Content-Length", &length);
        }
        self
    }

    /// A body of no type is sent as a form, as curl and the rule set's own tests do.
    fn with_type(mut self) -> Request {
        if !self.body.is_empty() && self.header("content-type").is_none() {
            self.add("Content-Type", "application/x-www-form-urlencoded");
        }
        self
    }

    fn add(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self.added.push(format!("{name}: {value}"));
    }
}

/// The requests of a file, and what of it is none.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    pub requests: Vec<Request>,
    pub unread: Vec<Unread>,
}

/// Reads requests in any of the forms: HAR, JSON lines, command lines of curl, raw HTTP.
pub fn requests(file: &str, bytes: &[u8]) -> Requests {
    let name: Arc<str> = file.into();
    let text = String::from_utf8_lossy(bytes);
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with('{') && !first_value_is_request(start) {
        return har(&name, &text);
    }
    if start.starts_with(['{', '[']) {
        return lines(&name, &text);
    }
    if is_curl(start) {
        return curl(&name, &text);
    }
    raw(&name, bytes)
}

/// A HAR is one object with a `log` in it.
fn first_value_is_request(text: &str) -> bool {
    let first = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>().next();
    !matches!(first, Some(Ok(value)) if value.get("log").is_some())
}

fn too_large() -> Text {
    both("the request is larger than 64 MiB", "请求超过 64 MiB")
}
