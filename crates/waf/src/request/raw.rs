//! Requests as bytes on the wire, one or several after one another.

use super::{REQUEST_BYTES_MAX, Request, Requests};
use crate::place::{Place, both};
use netwhy_model::Text;
use std::sync::Arc;

/// How many headers a request may have.
const HEADERS_COUNT_MAX: usize = 10_000;
/// How many chunks a body may come in.
const CHUNKS_COUNT_MAX: usize = 1_000_000;

/// Reads raw HTTP/1; lines may end in CRLF or LF.
pub fn raw(file: &Arc<str>, bytes: &[u8]) -> Requests {
    let mut read = Requests::default();
    let mut at = 0;
    while at < bytes.len() && read.requests.len() < super::REQUESTS_COUNT_MAX {
        let blank = bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        at += blank;
        if at >= bytes.len() {
            break;
        }
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let place = Place::new(file, u32::try_from(line).unwrap_or(u32::MAX), 1);
        match one(&bytes[at..]) {
            Ok((request, length)) => {
                read.requests.push(request);
                at += length;
            }
            Err(why) => {
                read.keep(Err(why), place, &String::from_utf8_lossy(&bytes[at..]));
                break;
            }
        }
    }
    read
}

/// The lines of a head, each without its end; and where the body begins.
fn head(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let (mut lines, mut at) = (Vec::new(), 0);
    while at < bytes.len() && lines.len() < HEADERS_COUNT_MAX {
        let length = bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at);
        let line = &bytes[at..at + length];
        at = (at + length + 1).min(bytes.len());
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    (lines, at)
}

fn one(bytes: &[u8]) -> Result<(Request, usize), Text> {
    let (lines, start) = head(bytes);
    let first = lines.first().copied().unwrap_or_default();
    let mut words = first.splitn(2, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let rest = words.next().ok_or_else(|| both("no request line of HTTP", "不是 HTTP 请求行"))?;
    // A target may hold spaces that should have been encoded: the version is what follows the last.
    let (uri, version) = match rest.iter().rposition(|byte| *byte == b' ') {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &b"HTTP/0.9"[..]),
    };
    let mut request = Request {
        method: String::from_utf8_lossy(method).into_owned(),
        uri: uri.to_vec(),
        version: String::from_utf8_lossy(version).into_owned(),
        headers: headers(lines.get(1..).unwrap_or_default()),
        ..Request::default()
    };
    let (body, length) = body(&request, bytes.get(start..).unwrap_or_default())?;
    request.body = body;
    Ok((request, start + length))
}

fn headers(lines: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    for line in lines {
        let folded = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        if let (true, Some((_, value))) = (folded, headers.last_mut()) {
            value.push(b' ');
            value.extend(crate::transform::trimmed(line));
            continue;
        }
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = String::from_utf8_lossy(&line[..at]).into_owned();
        let value = crate::transform::trimmed(line.get(at + 1..).unwrap_or_default()).to_vec();
        headers.push((name, value));
    }
    headers
}

/// The body, and how many bytes it took.
fn body(request: &Request, rest: &[u8]) -> Result<(Vec<u8>, usize), Text> {
    let coding = request.header("transfer-encoding").unwrap_or_default().to_ascii_lowercase();
    if coding.ends_with(b"chunked") {
        return Ok(chunks(rest));
    }
    let said =
        request.header("content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let length = said.unwrap_or(0usize);
    if length > REQUEST_BYTES_MAX {
        return Err(super::too_large());
    }
    let length = length.min(rest.len());
    Ok((rest[..length].to_vec(), length))
}

fn chunks(rest: &[u8]) -> (Vec<u8>, usize) {
    let (mut body, mut at) = (Vec::new(), 0);
    for _ in 0..CHUNKS_COUNT_MAX {
        let Some(end) = rest.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) else {
            break;
        };
        let size = String::from_utf8_lossy(&rest[at..at + end]);
        let size = size.split(';').next().unwrap_or_default().trim();
        at += end + 1;
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        if size == 0 {
            at += head(rest.get(at..).unwrap_or_default()).1;
            break;
        }
        let end = at.saturating_add(size).min(rest.len());
        body.extend(&rest[at..end]);
        at = end;
        at += rest
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take(2)
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
    }
    (body, at.min(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_follow_one_another_and_chunks_are_joined() {
        let text = b"POST /a b?x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nHi \r\n3\r\nCRS\r\n0\r\n\r\nGET / HTTP/1.1\nHost:b\nContent-Length: 2\n\nokGET /c HTTP/1.0\n\n";
        let read = raw(&"t".into(), text);
        let shown: Vec<(&str, &[u8], &[u8])> =
            read.requests.iter().map(|r| (r.version.as_str(), r.uri.as_slice(), r.body.as_slice())).collect();
        assert_eq!(
            shown,
            [
                ("HTTP/1.1", &b"/a b?x"[..], &b"Hi CRS"[..]),
                ("HTTP/1.1", b"/", b"ok"),
                ("HTTP/1.0", b"/c", b"")
            ]
        );
    }
}
