//! Words and signs of nft's language, without a copy of any of them.

/// A word or sign: where it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Sign,
    pub start: usize,
    pub end: usize,
    pub line: u32,
    /// Where its line begins.
    pub line_start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// A name, number, address or time.
    Word,
    /// In quotes, which are not part of it.
    Quoted,
    NewLine,
    Semicolon,
    Open,
    Close,
    RoundOpen,
    RoundClose,
    SquareOpen,
    SquareClose,
    Comma,
    Colon,
    Dot,
    Slash,
    Dash,
    Plus,
    Star,
    At,
    Dollar,
    Equal,
    EqualEqual,
    NotEqual,
    Not,
    Less,
    LessEqual,
    More,
    MoreEqual,
    ShiftLeft,
    ShiftRight,
    And,
    Or,
    Xor,
    /// No sign of the language.
    Strange,
    End,
}

/// Reads one word or sign after another; a copy of it is a place to come back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Lexer<'a> {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Lexer { text, at, line: 1, line_start: 0 }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Blanks, comments, and ends of lines that a backslash takes away.
    fn skip_blank(&mut self) {
        loop {
            match self.byte(0) {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' => {
                    let rest = &self.text.as_bytes()[self.at..];
                    self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                }
                b'\\' if self.byte(1) == b'\n' => {
                    self.at += 2;
                    self.new_line();
                }
                b'\\' if self.byte(1) == b'\r' && self.byte(2) == b'\n' => {
                    self.at += 3;
                    self.new_line();
                }
                _ => return,
            }
        }
    }

    fn new_line(&mut self) {
        self.line = self.line.saturating_add(1);
        self.line_start = self.at;
    }

    pub fn next(&mut self) -> Token {
        self.skip_blank();
        let (line, line_start, start) = (self.line, self.line_start, self.at);
        let token = |kind, start, end| Token { kind, start, end, line, line_start };
        let Some(&byte) = self.text.as_bytes().get(start) else {
            return token(Sign::End, start, start);
        };
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            self.at += self.word_length();
            return token(Sign::Word, start, self.at);
        }
        let (kind, length) = match byte {
            b'\n' => {
                self.at += 1;
                self.new_line();
                return token(Sign::NewLine, start, start + 1);
            }
            b'"' => return self.quoted(token),
            b':' if self.byte(1) == b':' => {
                self.at += address_length(&self.text.as_bytes()[start..]).max(2);
                return token(Sign::Word, start, self.at);
            }
            b'=' if self.byte(1) == b'=' => (Sign::EqualEqual, 2),
            b'!' if self.byte(1) == b'=' => (Sign::NotEqual, 2),
            b'<' if self.byte(1) == b'=' => (Sign::LessEqual, 2),
            b'>' if self.byte(1) == b'=' => (Sign::MoreEqual, 2),
            b'<' if self.byte(1) == b'<' => (Sign::ShiftLeft, 2),
            b'>' if self.byte(1) == b'>' => (Sign::ShiftRight, 2),
            byte => single(byte),
        };
        self.at += length;
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        token(kind, start, self.at)
    }

    /// A text in quotes ends on its line, and has no control characters in it.
    fn quoted(&mut self, token: impl Fn(Sign, usize, usize) -> Token) -> Token {
        let start = self.at + 1;
        let rest = &self.text.as_bytes()[start..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\n')).unwrap_or(rest.len());
        self.at = start + length;
        let strange = self.text[start..self.at].contains(|c: char| c.is_control() && c != '\t');
        if self.byte(0) == b'"' && !strange {
            self.at += 1;
            return token(Sign::Quoted, start, start + length);
        }
        self.at += usize::from(self.byte(0) == b'"');
        token(Sign::Strange, start - 1, start + length)
    }

    /// How long the word here is: `echo-request`, `eth0.100`, `eth*`, `10.0.0.1`, `fe80::1`, `00:11:22:33:44:55`,
    /// `0x1f`, `1d2h`. What begins with a digit or is an address ends at a dash, which makes a range of it.
    fn word_length(&self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let hex = rest.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(rest.len());
        if rest.get(hex) == Some(&b':') {
            let address = address_length(rest);
            if address > 0 {
                return address;
            }
        }
        let dash = !rest.first().is_some_and(u8::is_ascii_digit);
        let inside = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || (dash && *byte == b'-')
        };
        let end = rest.iter().position(|byte| !inside(byte)).unwrap_or(rest.len());
        match (rest.get(end), rest.get(end + 1)) {
            (Some(b'*'), _) => end + 1,
            (Some(b'\\'), Some(b'*')) => end + 2,
            _ => end,
        }
    }
}

fn single(byte: u8) -> (Sign, usize) {
    let kind = match byte {
        b';' => Sign::Semicolon,
        b'{' => Sign::Open,
        b'}' => Sign::Close,
        b'(' => Sign::RoundOpen,
        b')' => Sign::RoundClose,
        b'[' => Sign::SquareOpen,
        b']' => Sign::SquareClose,
        b',' => Sign::Comma,
        b':' => Sign::Colon,
        b'.' => Sign::Dot,
        b'/' => Sign::Slash,
        b'-' => Sign::Dash,
        b'+' => Sign::Plus,
        b'*' => Sign::Star,
        b'@' => Sign::At,
        b'$' => Sign::Dollar,
        b'=' => Sign::Equal,
        b'!' => Sign::Not,
        b'<' => Sign::Less,
        b'>' => Sign::More,
        b'&' => Sign::And,
        b'|' => Sign::Or,
        b'^' => Sign::Xor,
        _ => Sign::Strange,
    };
    (kind, 1)
}

/// How long the IPv6 or Ethernet address here is; 0 when a colon here parts a key from its value.
fn address_length(rest: &[u8]) -> usize {
    let inside = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let mut end = rest.iter().position(|byte| !inside(byte)).unwrap_or(rest.len());
    // `fe80::1:drop`: the last colon is no part of the address.
    if rest.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        end = rest[..end].iter().rposition(|byte| *byte == b':').unwrap_or(0);
    }
    while end > 0 && matches!(rest[end - 1], b':' | b'.') && !rest[..end].ends_with(b"::") {
        end -= 1;
    }
    let colons = rest[..end].iter().filter(|byte| **byte == b':').count();
    let short = rest[..end].windows(2).any(|pair| pair == b"::");
    if short || matches!(colons, 5..=7) { end } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut lexer = Lexer::new(text);
        let mut words = Vec::new();
        loop {
            let token = lexer.next();
            if token.kind == Sign::End {
                return words;
            }
            words.push(&text[token.start..token.end]);
        }
    }

    #[test]
    fn a_colon_or_dash_is_part_of_a_word_only_where_nft_takes_it_so() {
        assert_eq!(words("10-23 echo-request eth0.5*"), ["10", "-", "23", "echo-request", "eth0.5*"]);
        assert_eq!(words("fe80::1-fe80::5 ::1/128"), ["fe80::1", "-", "fe80::5", "::1", "/", "128"]);
        assert_eq!(words("{22:drop,fe80::1:drop}").len(), 9);
        assert_eq!(words("192.168.3.2:80 00:0f:54:0c:11:4"), ["192.168.3.2", ":", "80", "00:0f:54:0c:11:4"]);
        assert_eq!(words("established:122 \"a b\" # no"), ["established", ":", "122", "a b"]);
        assert_eq!(words("a\\\n b\u{e9}"), ["a", "b", "\u{e9}"]);
    }
}
