//! An answer as it reads: decoded, signed and judged against the expectation. Small enough to keep.

use crate::decode::{DecodeEnd, decode, sniff};
use crate::dial::{DialError, Kernel};
use crate::exchange::{Answer, BodyEnd, End, Times, Upload};
use crate::parse::{Head, title};
use crate::signature::{Sign, page_name, sign, writer};
use netwhy_model::Case;
use ring::digest::{SHA256, digest};
use std::borrow::Cow;
use std::fmt;

/// Bytes of the decoded body kept for comparison.
const PAGE_BYTES_MAX: usize = 32 * 1024;

/// How one exchange ended, coarse enough to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Status(u16),
    Timeout,
    Reset,
    Closed,
    Garbage,
    TlsOnPlain,
    Refused,
    NoConnection,
    NoTls,
}

/// An answer as it reads.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub end: End,
    pub kind: Kind,
    pub head: Head,
    /// The first bytes of the decoded body.
    pub page: Vec<u8>,
    pub hash: String,
    pub body_len: u64,
    pub decoded_len: u64,
    pub announced: Option<u64>,
    pub body_end: BodyEnd,
    /// A value of the fact `http.body`; nothing when it was not read to its end.
    pub body_state: Option<&'static str>,
    pub decode_end: DecodeEnd,
    /// Coding marks seen in a body that carries no label.
    pub hidden_coding: Option<&'static str>,
    pub title: Option<String>,
    pub sign: Sign,
    pub writer: (&'static str, String),
    pub times: Times,
    pub wait_ms: Option<f64>,
    pub pace: Vec<(f64, u64)>,
    pub kernel: Option<Kernel>,
    pub upload: Option<Upload>,
    pub tls: Option<String>,
    pub validity: Option<(i64, i64)>,
    /// The status the user wants, in a whole answer.
    pub good: bool,
}

impl View {
    /// Reads an answer; the body is dropped but for its first bytes.
    pub fn of(case: &Case, answer: Answer) -> View {
        let coding = answer.head.get("content-encoding").unwrap_or("").to_owned();
        // A body longer than what was kept cannot be decoded to its end.
        let partial = answer.body_len > answer.body.len() as u64;
        let decoded = decode(&coding, &answer.body);
        let decode_end =
            if partial && decoded.end == DecodeEnd::CutShort { DecodeEnd::TooLarge } else { decoded.end };
        let expected = answer.end == End::Answered && accepted(case, answer.head.status);
        let sign = match answer.end {
            End::Answered => sign(&answer.head, &decoded.bytes, expected),
            _ => Sign { value: "none", words: Cow::Borrowed("") },
        };
        let text = String::from_utf8_lossy(&decoded.bytes[..decoded.bytes.len().min(PAGE_BYTES_MAX)]);
        let mut view = View {
            kind: kind(&answer),
            title: title(&text),
            writer: writer(&answer.head, &decoded.bytes),
            hash: short_hash(&decoded.bytes),
            decoded_len: if partial { answer.body_len } else { decoded.bytes.len() as u64 },
            hidden_coding: hidden_coding(&answer.head, &answer.body),
            page: decoded.bytes[..decoded.bytes.len().min(PAGE_BYTES_MAX)].to_vec(),
            wait_ms: answer.wait_ms(),
            body_state: None,
            decode_end,
            sign,
            good: false,
            end: answer.end,
            head: answer.head,
            body_len: answer.body_len,
            announced: answer.announced,
            body_end: answer.body_end,
            times: answer.times,
            pace: answer.pace,
            kernel: answer.kernel,
            upload: answer.upload,
            tls: answer.tls,
            validity: answer.validity,
        };
        view.body_state = body_state(case, &view, expected);
        view.good =
            expected && matches!(view.body_state, Some("whole") | None) && view.hidden_coding.is_none();
        view
    }

    /// The status; 0 when there was no response.
    pub fn status(&self) -> u16 {
        if let Kind::Status(status) = self.kind { status } else { 0 }
    }

    /// A successful answer whose bytes all came, whatever their coding.
    pub fn good_but_coding(&self) -> bool {
        (200..300).contains(&self.status()) && self.body_end == BodyEnd::Whole
    }

    /// True when the coding of the answer is among those offered; a label that names no coding is no coding.
    pub fn coding_offered(&self, offered: &str) -> bool {
        let Some(codings) = self.head.get("content-encoding") else { return true };
        let offered = offered.to_ascii_lowercase();
        codings.split(',').map(|one| one.trim().to_ascii_lowercase()).all(|one| {
            let known = matches!(one.as_str(), "gzip" | "x-gzip" | "deflate" | "br" | "zstd" | "compress");
            !known || offered.contains('*') || offered.contains(one.trim_start_matches("x-"))
        })
    }

    /// One phrase: what came and when.
    pub fn text(&self) -> String {
        let after = format!("after {:.0} ms", self.times.total);
        match &self.end {
            End::Answered => {
                let page = page_name(&self.page);
                let page = if page.is_empty() { String::new() } else { format!(", page {page:?}") };
                let server = self.head.get("server").map(|s| format!(", Server: {s}")).unwrap_or_default();
                let first = self.wait_ms.map(|w| format!(" after {w:.0} ms")).unwrap_or_default();
                format!(
                    "{} {}{first}{server}, {} bytes{page}",
                    self.head.version, self.head.status, self.body_len
                )
            }
            End::NoConnection(error) => error.text(),
            End::Timeout => format!("no response {after}"),
            End::Reset => format!("connection reset {after}"),
            End::EarlyClose => format!("closed without a response {after}"),
            End::Garbage(bytes) => format!("not HTTP: {bytes}"),
            End::TlsOnPlain => "TLS alert in answer to plain HTTP".to_owned(),
        }
    }

    /// True when both read the same: same end, and pages equal but for what changes each time.
    pub fn same_page(&self, other: &View) -> bool {
        if self.kind != other.kind || self.title != other.title {
            return false;
        }
        if self.hash == other.hash {
            return true;
        }
        if self.decode_end != DecodeEnd::Whole || other.decode_end != DecodeEnd::Whole {
            return false;
        }
        let (small, large) =
            (self.decoded_len.min(other.decoded_len), self.decoded_len.max(other.decoded_len));
        // A time stamp, a counter or a request id in an otherwise equal page.
        large - small <= 8 + large / 50 && alike(&self.page, &other.page)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Status(status) => write!(f, "{status}"),
            Kind::Timeout => f.write_str("timeout"),
            Kind::Reset => f.write_str("reset"),
            Kind::Closed => f.write_str("closed"),
            Kind::Garbage => f.write_str("not HTTP"),
            Kind::TlsOnPlain => f.write_str("TLS alert"),
            Kind::Refused => f.write_str("refused"),
            Kind::NoConnection => f.write_str("no connection"),
            Kind::NoTls => f.write_str("no TLS"),
        }
    }
}

/// The status the user wants; who asks for an upgrade wants 101.
pub(crate) fn accepted(case: &Case, status: u16) -> bool {
    let switched = status == 101 && case.expect.status.is_empty() && case.header("upgrade").is_some();
    switched || case.expect.accepts_status(status)
}

fn kind(answer: &Answer) -> Kind {
    match &answer.end {
        End::Answered => Kind::Status(answer.head.status),
        End::Timeout => Kind::Timeout,
        End::Reset => Kind::Reset,
        End::EarlyClose => Kind::Closed,
        End::Garbage(_) => Kind::Garbage,
        End::TlsOnPlain => Kind::TlsOnPlain,
        End::NoConnection(DialError::Refused) => Kind::Refused,
        End::NoConnection(DialError::Tls(_) | DialError::NotTls) => Kind::NoTls,
        End::NoConnection(_) => Kind::NoConnection,
    }
}

fn body_state(case: &Case, view: &View, expected: bool) -> Option<&'static str> {
    if view.end != End::Answered {
        return None;
    }
    match view.body_end {
        BodyEnd::Truncated => return Some("truncated"),
        BodyEnd::Stalled => return Some("stalled"),
        BodyEnd::Reset => return Some("reset_midway"),
        BodyEnd::BadFraming => return Some("truncated"),
        BodyEnd::Whole | BodyEnd::Cut => {}
    }
    match view.decode_end {
        DecodeEnd::Broken => return Some("encoding_broken"),
        DecodeEnd::CutShort if view.body_end == BodyEnd::Whole => return Some("encoding_broken"),
        _ => {}
    }
    let small =
        expected && case.expect.min_bytes.is_some_and(|min| view.body_len.max(view.decoded_len) < min);
    match view.body_end {
        BodyEnd::Cut => None,
        _ if small => Some("too_small"),
        _ => Some("whole"),
    }
}

/// A coding betrayed by its first bytes in a text page that names none.
fn hidden_coding(head: &Head, body: &[u8]) -> Option<&'static str> {
    let text = head.get("content-type").is_some_and(|t| {
        let t = t.to_ascii_lowercase();
        t.starts_with("text/") || t.contains("json") || t.contains("javascript") || t.contains("xml")
    });
    if text && head.get("content-encoding").is_none() { sniff(body) } else { None }
}

/// The first 16 hex digits of the SHA-256.
fn short_hash(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Nine of ten words in common, in order from both ends.
fn alike(one: &[u8], other: &[u8]) -> bool {
    let head = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let tail = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let shorter = one.len().min(other.len());
    let digitless = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().filter(|b| !b.is_ascii_hexdigit() && !b.is_ascii_punctuation()).copied().collect()
    };
    (head + tail) * 10 >= shorter * 9 || digitless(one) == digitless(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(status: u16, body: &str) -> View {
        let case = Case::new("http://a/".parse().unwrap());
        let mut answer = Answer::ended(End::Answered);
        answer.head.status = status;
        answer.body = body.as_bytes().to_vec();
        answer.body_len = body.len() as u64;
        View::of(&case, answer)
    }

    #[test]
    fn pages_differ_by_more_than_a_time_stamp() {
        let one = page(200, "<title>Shop</title> served at 2026-01-01 10:00:01, request 1f3a");
        assert!(one.same_page(&page(200, "<title>Shop</title> served at 2026-01-01 10:00:07, request 99bc")));
        assert!(!one.same_page(&page(200, "<title>Other</title> served at 2026-01-01 10:00:01")));
        assert!(
            !one.same_page(&page(404, "<title>Shop</title> served at 2026-01-01 10:00:01, request 1f3a"))
        );
    }
}
