//! Transformations of blanks, comments and command lines.

/// What C calls a space.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// A no-break space, as some databases take it for a blank too.
const NO_BREAK_SPACE: u8 = 0xa0;

pub fn trim(value: &[u8], left: bool, right: bool) -> &[u8] {
    let start = if left { value.iter().take_while(|byte| is_blank(**byte)).count() } else { 0 };
    let rest = &value[start..];
    let end = if right { rest.iter().rev().take_while(|byte| is_blank(**byte)).count() } else { 0 };
    &rest[..rest.len() - end]
}

pub fn remove_blanks(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|byte| !is_blank(*byte) && *byte != NO_BREAK_SPACE).collect()
}

/// Every run of blanks as one space.
pub fn compress_blanks(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut in_blanks = false;
    for byte in value {
        let blank = is_blank(*byte) || *byte == NO_BREAK_SPACE;
        if !blank {
            out.push(*byte);
        } else if !in_blanks {
            out.push(b' ');
        }
        in_blanks = blank;
    }
    out
}

/// Undoes what shells ignore: quotes, carets and backslashes go, `,` and `;` are blanks, no blank before `/` or `(`.
pub fn command_line(value: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(value.len());
    for byte in value {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if out.last() != Some(&b' ') {
                    out.push(b' ');
                }
            }
            b'/' | b'(' => {
                if out.last() == Some(&b' ') {
                    out.pop();
                }
                out.push(*byte);
            }
            other => out.push(other.to_ascii_lowercase()),
        }
    }
    out
}

/// C's comments, each as one space; one that never ends takes the rest.
pub fn replace_comments(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < value.len() {
        if value[at..].starts_with(b"/*") {
            out.push(b' ');
            at = end_of_comment(value, at + 2, b"*/");
        } else {
            out.push(value[at]);
            at += 1;
        }
    }
    out
}

fn end_of_comment(value: &[u8], from: usize, mark: &[u8]) -> usize {
    let rest = value.get(from..).unwrap_or_default();
    rest.windows(mark.len())
        .position(|window| window == mark)
        .map_or(value.len(), |at| from + at + mark.len())
}

/// C's, HTML's and SQL's comments go; what follows `--` or `#` goes with them.
pub fn remove_comments(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < value.len() {
        let rest = &value[at..];
        if rest.starts_with(b"/*") {
            at = end_of_comment(value, at + 2, b"*/");
        } else if rest.starts_with(b"<!--") {
            at = end_of_comment(value, at + 4, b"-->");
        } else if rest.starts_with(b"--") || rest.starts_with(b"#") {
            break;
        } else {
            out.push(value[at]);
            at += 1;
        }
    }
    out
}

/// Only the marks of comments go: `/*`, `*/`, `<!--`, `-->`, `--`, `#`.
pub fn remove_comment_marks(value: &[u8]) -> Vec<u8> {
    const MARKS: &[&[u8]] = &[b"/*", b"*/", b"<!--", b"-->", b"--", b"#"];
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < value.len() {
        match MARKS.iter().find(|mark| value[at..].starts_with(mark)) {
            Some(mark) => at += mark.len(),
            None => {
                out.push(value[at]);
                at += 1;
            }
        }
    }
    out
}

/// Every byte with its highest bit as the parity of the others.
pub fn parity(value: &[u8], odd: u32) -> Vec<u8> {
    let with = |byte: &u8| {
        let low = byte & 0x7f;
        if low.count_ones() % 2 == odd { low } else { low | 0x80 }
    };
    value.iter().map(with).collect()
}
