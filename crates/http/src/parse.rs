//! Bytes of HTTP/1.1 to structs: heads, chunks, dates (RFC 9110, RFC 9112). Pure; bytes are hostile.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Most bytes of a response head.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most header lines of a response head.
pub const HEADER_COUNT_MAX: usize = 256;
/// Most digits of a chunk size.
const CHUNK_DIGIT_COUNT_MAX: usize = 16;
/// Most bytes of a chunk's extension or of a trailer line.
const CHUNK_LINE_BYTES_MAX: usize = 8 * 1024;

/// A status line with its headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub version: &'static str,
    pub status: u16,
    pub reason: String,
    /// In the order they came, values as text with foreign bytes replaced.
    pub headers: Vec<(String, String)>,
}

/// How far a head was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadParse {
    /// So far it looks like a head; more bytes are needed.
    Partial,
    /// A whole head of so many bytes.
    Whole(Head, usize),
    /// Not HTTP/1.x.
    Garbage,
}

impl Head {
    /// The first value of a header, by name without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// True when a comma-separated header has this token.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .any(|(_, v)| v.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    }
}

/// Reads a response head from the start of `bytes` (RFC 9112, section 2 to 5).
pub fn parse_head(bytes: &[u8]) -> HeadParse {
    // RFC 9112, section 2.2: an empty line before the start line is to be ignored.
    let lead = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count().min(4);
    let text = &bytes[lead..];
    let magic = b"HTTP/1.";
    let common = text.len().min(magic.len());
    if text[..common] != magic[..common] {
        return HeadParse::Garbage;
    }
    let mut lines = [httparse::EMPTY_HEADER; HEADER_COUNT_MAX];
    let mut response = httparse::Response::new(&mut lines);
    let mut config = httparse::ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    match config.parse_response(&mut response, text) {
        Ok(httparse::Status::Complete(used)) => HeadParse::Whole(owned(&response), lead + used),
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => HeadParse::Partial,
        _ => HeadParse::Garbage,
    }
}

fn owned(response: &httparse::Response<'_, '_>) -> Head {
    let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
    Head {
        version: if response.version == Some(0) { "HTTP/1.0" } else { "HTTP/1.1" },
        status: response.code.unwrap_or(0),
        reason: response.reason.unwrap_or("").to_owned(),
        headers: response.headers.iter().map(|h| (h.name.to_owned(), text(h.value))).collect(),
    }
}

/// Undoes the chunked transfer coding piece by piece (RFC 9112, section 7.1).
#[derive(Debug, Default)]
pub struct Chunks {
    state: ChunkState,
    line: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

/// The chunked framing is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunked framing is broken")]
pub struct BadChunk;

impl Chunks {
    /// True once the last chunk and the trailer were read.
    pub fn done(&self) -> bool {
        self.state == ChunkState::Done
    }

    /// Takes the next bytes and gives each piece of data to `sink`; returns how many bytes were taken.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < bytes.len() && !self.done() {
            match self.state {
                ChunkState::Data(left) => {
                    let piece = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    sink(&bytes[at..at + piece]);
                    at += piece;
                    let left = left - piece as u64;
                    self.state = if left == 0 { ChunkState::DataEnd } else { ChunkState::Data(left) };
                }
                _ => {
                    let byte = bytes[at];
                    at += 1;
                    if byte == b'\n' {
                        self.line_end()?;
                    } else if self.line.len() >= CHUNK_LINE_BYTES_MAX {
                        return Err(BadChunk);
                    } else {
                        self.line.push(byte);
                    }
                }
            }
        }
        Ok(at)
    }

    fn line_end(&mut self) -> Result<(), BadChunk> {
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        self.state = match self.state {
            ChunkState::Size => match chunk_size(&line)? {
                0 => ChunkState::Trailer,
                size => ChunkState::Data(size),
            },
            ChunkState::DataEnd if line.is_empty() => ChunkState::Size,
            ChunkState::Trailer if line.is_empty() => ChunkState::Done,
            ChunkState::Trailer => ChunkState::Trailer,
            _ => return Err(BadChunk),
        };
        Ok(())
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, BadChunk> {
    let text = std::str::from_utf8(line).map_err(|_| BadChunk)?;
    let digits = text.split(';').next().unwrap_or("").trim();
    if digits.is_empty()
        || digits.len() > CHUNK_DIGIT_COUNT_MAX
        || !digits.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return Err(BadChunk);
    }
    u64::from_str_radix(digits, 16).map_err(|_| BadChunk)
}

/// Seconds since the epoch of an HTTP date (RFC 9110, section 5.6.7), the preferred form only.
pub fn parse_date(text: &str) -> Option<i64> {
    let zoned = text.trim().strip_suffix("GMT").map(|t| format!("{t}+0000"))?;
    OffsetDateTime::parse(&zoned, &Rfc2822).ok().map(OffsetDateTime::unix_timestamp)
}

/// The title of an HTML page, without markup, at most 80 characters.
pub fn title(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let open = start + lower[start..].find('>')? + 1;
    let end = open + lower[open..].find("</title")?;
    let title: String = text[open..end].split_whitespace().collect::<Vec<_>>().join(" ");
    (!title.is_empty()).then(|| title.chars().take(80).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heads() {
        let bytes = b"HTTP/1.1 503 Busy\r\nServer: a\r\nserver: b\r\nContent-Length: 2\r\n\r\nok";
        let HeadParse::Whole(head, used) = parse_head(bytes) else { panic!() };
        assert_eq!((head.status, used, head.get("SERVER")), (503, bytes.len() - 2, Some("a")));
        assert_eq!(parse_head(b"HTTP/1.1 200"), HeadParse::Partial);
        assert_eq!(parse_head(b"SSH-2.0-x\r\n"), HeadParse::Garbage);
        assert!(matches!(parse_head(b"\r\nHTTP/1.0 200\r\n\r\n"), HeadParse::Whole(..)));
    }

    #[test]
    fn chunks_in_any_pieces() {
        let bytes = b"5;x=y\r\nhello\r\n3\r\n, w\r\n0\r\nTrailer: x\r\n\r\nrest";
        for size in 1..bytes.len() {
            let (mut chunks, mut out, mut taken) = (Chunks::default(), Vec::new(), 0);
            for piece in bytes.chunks(size) {
                taken += chunks.push(piece, |data| out.extend_from_slice(data)).unwrap();
            }
            assert_eq!((out.as_slice(), chunks.done(), taken), (&b"hello, w"[..], true, bytes.len() - 4));
        }
        assert!(Chunks::default().push(b"xyz\r\n", |_| ()).is_err());
        assert!(Chunks::default().push(b"5\r\nhelloX\r\n", |_| ()).is_err());
    }

    #[test]
    fn dates_and_titles() {
        assert_eq!(parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_date("yesterday"), None);
        assert_eq!(title("<HTML><Title lang=x> a \n b</TITLE>").as_deref(), Some("a b"));
        assert_eq!(title("İ<title>x"), None);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,80}") {
            let _ = parse_head(&bytes);
            let mut with_magic = b"HTTP/1.1 ".to_vec();
            with_magic.extend_from_slice(&bytes);
            let _ = parse_head(&with_magic);
            let _ = Chunks::default().push(&bytes, |_| ());
            let _ = parse_date(&text);
            let _ = title(&format!("<title>{text}</title>"));
        }
    }
}
