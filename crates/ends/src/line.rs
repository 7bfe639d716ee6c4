//! Reads and writes lines with a limit, and makes foreign text printable.

use crate::error::EndError;
use std::io::ErrorKind;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// A buffer larger than this is given back after its line, in bytes.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Cuts a stream into lines of at most so many bytes.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    bytes_max: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(reader: R, bytes_max: usize) -> Lines<R> {
        Lines { reader: BufReader::new(reader), line: Vec::new(), bytes_max }
    }

    /// Another limit for the lines to come.
    pub(crate) fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// The next line without its end, or `None` when the stream ended after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<&[u8]>, EndError> {
        self.line.clear();
        if self.line.capacity() > KEPT_BYTES_MAX {
            self.line = Vec::new();
        }
        loop {
            let seen = match self.reader.fill_buf().await {
                Ok(seen) => seen,
                // A peer that was killed could not take its leave; lines end by themselves.
                Err(error)
                    if [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()) =>
                {
                    &[]
                }
                Err(error) => return Err(EndError::broken(error)),
            };
            if seen.is_empty() {
                return if self.line.is_empty() { Ok(None) } else { Err(EndError::Truncated) };
            }
            let end = seen.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(seen.len());
            if self.line.len() + taken > self.bytes_max {
                return Err(EndError::TooLong { bytes_max: self.bytes_max });
            }
            self.line.extend_from_slice(&seen[..taken]);
            self.reader.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some(&self.line));
            }
        }
    }
}

/// Foreign text on one line: without control characters or direction marks, at most so many characters.
pub(crate) fn printable(text: &str, chars_max: usize) -> String {
    let hidden = |c: &char| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let flat = text.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(hidden);
    let words: Vec<String> = flat.collect::<String>().split_whitespace().map(str::to_owned).collect();
    let joined = words.join(" ");
    match joined.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &joined[..at]),
        None => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[tokio::test]
    async fn lines_end_where_they_end_and_stop_at_their_limit() {
        let mut lines = Lines::new(&b"one\n\nthree\n"[..], 5);
        assert_eq!(lines.next().await.unwrap(), Some(&b"one"[..]));
        assert_eq!(lines.next().await.unwrap(), Some(&b""[..]));
        assert_eq!(lines.next().await.unwrap(), Some(&b"three"[..]));
        assert_eq!(lines.next().await.unwrap(), None);
        let mut lines = Lines::new(&b"123456\n"[..], 5);
        assert!(matches!(lines.next().await, Err(EndError::TooLong { bytes_max: 5 })));
        let mut lines = Lines::new(&b"half"[..], 5);
        assert!(matches!(lines.next().await, Err(EndError::Truncated)));
    }

    #[test]
    fn foreign_text_is_made_harmless() {
        assert_eq!(printable("a\x1b[31mb\r\n c\u{202e}d", 99), "a [31mb cd");
        assert_eq!(printable("abcdef", 3), "abc…");
    }

    proptest! {
        #[test]
        fn nothing_printable_controls_a_terminal(text in "\\PC*|[\\x00-\\xff]{0,40}") {
            prop_assert!(!printable(&text, 20).chars().any(char::is_control));
        }
    }
}
