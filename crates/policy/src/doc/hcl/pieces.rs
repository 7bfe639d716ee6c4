//! Where the blocks of HCL begin and end, told without understanding what is in them.

use std::ops::Range;

/// How many braces may be open before the text is taken for one piece.
const OPEN_BRACES_MAX: usize = 1_000;

/// Words that begin a block of Terraform at the start of a line, even where a brace before was never closed.
const TOP_WORDS: [&str; 8] = [
    "resource \"",
    "data \"",
    "variable \"",
    "output \"",
    "module \"",
    "provider \"",
    "locals {",
    "terraform {",
];

/// A top-level attribute or block.
pub struct Piece {
    pub range: Range<usize>,
}

/// Cuts a text into its top-level blocks.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut scanner = Scanner::new(text);
    while scanner.step() {
        if !scanner.at_line_start || scanner.at <= start {
            continue;
        }
        let rest = text.get(scanner.at..).unwrap_or_default();
        if scanner.open.is_empty() || TOP_WORDS.iter().any(|word| rest.starts_with(word)) {
            scanner.open.clear();
            pieces.push(Piece { range: start..scanner.at });
            start = scanner.at;
        }
    }
    pieces.push(Piece { range: start..text.len() });
    pieces
}

/// The text with the innermost block around an offset emptied, its lines kept. `None` when only the outermost
/// block is left to empty: that one is better gone than read as an empty one.
pub fn empty_block(text: &str, offset: usize) -> Option<String> {
    let mut scanner = Scanner::new(text);
    while scanner.at < offset && scanner.step() {}
    let depth = scanner.open.len();
    let start = *scanner.open.last().filter(|_| depth > 1)? + 1;
    while scanner.open.len() >= depth && scanner.step() {}
    let end = if scanner.open.len() < depth { scanner.at - 1 } else { text.len() };
    let blank = text.get(start..end)?.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' });
    Some(format!("{}{}{}", text.get(..start)?, blank.collect::<String>(), text.get(end..)?))
}

/// Walks over a text, past strings, comments and heredocs.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Where the braces that are open stand.
    open: Vec<usize>,
    at_line_start: bool,
}

impl Scanner<'_> {
    fn new(text: &str) -> Scanner<'_> {
        Scanner { text, at: 0, open: Vec::new(), at_line_start: true }
    }

    /// Goes past one byte, string, comment or heredoc. False at the end.
    fn step(&mut self) -> bool {
        let rest = &self.text.as_bytes()[self.at.min(self.text.len())..];
        let Some(first) = rest.first() else { return false };
        self.at_line_start = *first == b'\n';
        let length = match first {
            b'"' => string_length(rest),
            b'#' => line_length(rest),
            b'/' if rest.starts_with(b"//") => line_length(rest),
            b'/' if rest.starts_with(b"/*") => find(rest, b"*/").map_or(rest.len(), |at| at + 2),
            b'<' if rest.starts_with(b"<<") => heredoc_length(rest),
            b'{' if self.open.len() < OPEN_BRACES_MAX => {
                self.open.push(self.at);
                1
            }
            b'}' => {
                self.open.pop();
                1
            }
            _ => 1,
        };
        self.at += length;
        true
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn line_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len())
}

/// A string with its interpolations; one that is not closed on its line ends with the line.
fn string_length(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (1, 0usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' => return at,
            b'$' | b'%' if bytes.get(at + 1) == Some(&b'{') => {
                depth += 1;
                at += 1;
            }
            b'}' => depth = depth.saturating_sub(1),
            b'"' if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn heredoc_length(bytes: &[u8]) -> usize {
    let head = line_length(bytes);
    let word = bytes.get(2..head).unwrap_or_default().trim_ascii();
    let word = word.strip_prefix(b"-").unwrap_or(word);
    if word.is_empty() || !word.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
        return 2;
    }
    let mut at = head + 1;
    while at < bytes.len() {
        let line = line_length(&bytes[at..]);
        if bytes[at..at + line].trim_ascii() == word {
            return at + line;
        }
        at += line + 1;
    }
    bytes.len()
}
