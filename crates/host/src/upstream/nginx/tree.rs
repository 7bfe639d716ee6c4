//! nginx' file format: words, quotes, comments and blocks, as a tree of directives. Pure; takes any text.

use std::iter::Peekable;
use std::str::Chars;

/// Blocks inside blocks.
pub(super) const DEPTH_MAX: usize = 24;
/// Directives of one file.
const DIRECTIVE_COUNT_MAX: usize = 50_000;
/// Words of one directive; long lists of names are cut.
const WORD_COUNT_MAX: usize = 512;
/// A word is cut past this.
const WORD_BYTES_MAX: usize = 4_096;

/// One directive with its words and, where it has one, its block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) words: Vec<String>,
    /// Which of the files it stands in.
    pub(super) file: usize,
    pub(super) line: u32,
    pub(super) block: Option<Vec<Directive>>,
}

impl Directive {
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    pub(super) fn is_on(&self) -> bool {
        self.word(0).eq_ignore_ascii_case("on")
    }

    pub(super) fn inner(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// The directives of one file, and the lines that fit no grammar.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) directives: Vec<Directive>,
    pub(super) troubles: Vec<(u32, &'static str)>,
}

/// Takes a file apart; what is left open at its end is closed there.
pub(super) fn parse(text: &str, file: usize) -> Parsed {
    let mut builder = Builder { file, ..Builder::default() };
    let mut words = Words { letters: text.chars().peekable(), line: 1 };
    while let Some((token, line)) = words.next() {
        match token {
            Token::Word(word) => builder.word(word, line),
            Token::End => builder.end(line),
            Token::Open => {
                // Lua is no directive: it is skipped, braces balanced.
                if builder.name.as_deref().is_some_and(|name| name.ends_with("_by_lua_block")) {
                    words.skip_lua();
                    builder.end(line);
                } else {
                    builder.open(line);
                }
            }
            Token::Close => builder.close(line),
        }
        if builder.count > DIRECTIVE_COUNT_MAX {
            builder.trouble(line, "more directives than are read");
            break;
        }
    }
    builder.finish(words.line)
}

#[derive(Default)]
struct Builder {
    file: usize,
    /// The directive being read: its name, words and line.
    name: Option<String>,
    words: Vec<String>,
    line: u32,
    /// Blocks begun and not yet ended, outermost first, each with the directives read before it.
    open: Vec<(Directive, Vec<Directive>)>,
    here: Vec<Directive>,
    /// Blocks deeper than the limit that are left out.
    too_deep: usize,
    count: usize,
    troubles: Vec<(u32, &'static str)>,
}

impl Builder {
    fn word(&mut self, word: String, line: u32) {
        if self.name.is_none() {
            self.name = Some(word);
            self.line = line;
        } else if self.words.len() < WORD_COUNT_MAX {
            self.words.push(word);
        }
    }

    fn take(&mut self) -> Option<Directive> {
        let name = self.name.take()?;
        self.count += 1;
        let words = std::mem::take(&mut self.words);
        Some(Directive { name, words, file: self.file, line: self.line, block: None })
    }

    fn end(&mut self, line: u32) {
        match self.take() {
            Some(directive) if self.too_deep == 0 => self.here.push(directive),
            Some(_) => {}
            None => self.trouble(line, "a semicolon after nothing"),
        }
    }

    fn open(&mut self, line: u32) {
        let directive =
            self.take().unwrap_or_else(|| Directive { line, file: self.file, ..Directive::default() });
        if self.too_deep > 0 || self.open.len() >= DEPTH_MAX {
            self.too_deep += 1;
            self.trouble(line, "blocks nested deeper than are read");
            return;
        }
        self.open.push((directive, std::mem::take(&mut self.here)));
    }

    fn close(&mut self, line: u32) {
        if self.name.is_some() {
            self.trouble(line, "a directive without its semicolon");
            self.end(line);
        }
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        match self.open.pop() {
            Some((mut directive, before)) => {
                directive.block = Some(std::mem::replace(&mut self.here, before));
                self.here.push(directive);
            }
            None => self.trouble(line, "a closing brace too many"),
        }
    }

    fn trouble(&mut self, line: u32, why: &'static str) {
        const TROUBLE_COUNT_MAX: usize = 16;
        if self.troubles.len() < TROUBLE_COUNT_MAX {
            self.troubles.push((line, why));
        }
    }

    fn finish(mut self, line: u32) -> Parsed {
        if self.name.is_some() || !self.open.is_empty() {
            self.trouble(line, "the file ends inside a directive");
        }
        if self.name.is_some() {
            self.end(line);
        }
        self.too_deep = 0;
        for _ in 0..DEPTH_MAX {
            if self.open.is_empty() {
                break;
            }
            self.close(line);
        }
        Parsed { directives: self.here, troubles: self.troubles }
    }
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
}

struct Words<'a> {
    letters: Peekable<Chars<'a>>,
    line: u32,
}

impl Words<'_> {
    fn step(&mut self) -> Option<char> {
        let letter = self.letters.next()?;
        if letter == '\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(letter)
    }

    /// The next token with the line it begins on.
    fn next(&mut self) -> Option<(Token, u32)> {
        loop {
            let line = self.line;
            let letter = *self.letters.peek()?;
            match letter {
                '#' => self.skip_line(),
                _ if letter.is_whitespace() => {
                    self.step();
                }
                ';' | '{' | '}' => {
                    self.step();
                    let token = match letter {
                        ';' => Token::End,
                        '{' => Token::Open,
                        _ => Token::Close,
                    };
                    return Some((token, line));
                }
                '"' | '\'' => {
                    self.step();
                    return Some((Token::Word(self.quoted(letter)), line));
                }
                _ => return Some((Token::Word(self.bare()), line)),
            }
        }
    }

    fn skip_line(&mut self) {
        while self.letters.peek().is_some_and(|letter| *letter != '\n') {
            self.step();
        }
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut word = String::new();
        while let Some(letter) = self.step() {
            match letter {
                '\\' => self.escaped(&mut word),
                _ if letter == quote => break,
                _ => push(&mut word, letter),
            }
        }
        word
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(letter) = self.letters.peek().copied() {
            match letter {
                ';' => break,
                // `${name}` is a variable and no block.
                '{' if !word.ends_with('$') => break,
                '{' => {
                    while let Some(letter) = self.step() {
                        push(&mut word, letter);
                        if letter == '}' || letter.is_whitespace() {
                            break;
                        }
                    }
                }
                '}' => break,
                '\\' => {
                    self.step();
                    self.escaped(&mut word);
                }
                _ if letter.is_whitespace() => break,
                _ => {
                    self.step();
                    push(&mut word, letter);
                }
            }
        }
        word
    }

    /// Only quotes, backslash and a few letters lose their backslash; regular expressions keep theirs.
    fn escaped(&mut self, word: &mut String) {
        match self.step() {
            Some(letter @ ('"' | '\'' | '\\' | ' ' | ';' | '{' | '}' | '#')) => push(word, letter),
            Some('t') => push(word, '\t'),
            Some('r') => push(word, '\r'),
            Some('n') => push(word, '\n'),
            Some(letter) => {
                push(word, '\\');
                push(word, letter);
            }
            None => {}
        }
    }

    /// Goes to the brace that ends a block of Lua; strings and comments may hold braces of their own.
    fn skip_lua(&mut self) {
        let mut depth = 1_u32;
        while let Some(letter) = self.step() {
            match letter {
                '{' => depth = depth.saturating_add(1),
                '}' => depth -= 1,
                '"' | '\'' => {
                    let _ = self.quoted(letter);
                }
                '-' if self.letters.peek() == Some(&'-') => self.skip_line(),
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

fn push(word: &mut String, letter: char) {
    if word.len() < WORD_BYTES_MAX {
        word.push(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(directives: &[Directive]) -> String {
        let mut out = String::new();
        for one in directives {
            out.push_str(&format!("{}:{}[{}]", one.line, one.name, one.words.join("|")));
            if let Some(block) = &one.block {
                out.push_str(&format!("{{{}}}", shown(block)));
            }
        }
        out
    }

    #[test]
    fn words_quotes_comments_and_blocks() {
        let text =
            "a b 'c d' # no; {\n\"x;y\" ${v}z;\nhttp { server{listen 80;} }\nlocation ~ \\.php$ { q; }";
        assert_eq!(
            shown(&parse(text, 0).directives),
            "1:a[b|c d|x;y|${v}z]3:http[]{3:server[]{3:listen[80]}}4:location[~|\\.php$]{4:q[]}"
        );
    }

    #[test]
    fn lua_is_skipped() {
        let text = "location / { access_by_lua_block { local t = { a = '}' } -- }\n } proxy_pass x; }";
        assert_eq!(
            shown(&parse(text, 0).directives),
            "1:location[/]{1:access_by_lua_block[]2:proxy_pass[x]}"
        );
    }

    #[test]
    fn what_is_left_open_is_closed_and_named() {
        let parsed = parse("http { server { listen 80", 0);
        assert_eq!(shown(&parsed.directives), "1:http[]{1:server[]{1:listen[80]}}");
        assert_eq!(parsed.troubles.len(), 1);
        assert_eq!(parse("} ;", 0).troubles.len(), 2);
    }

    #[test]
    fn depth_is_bounded() {
        let text = "a {".repeat(10_000) + "b;" + &"}".repeat(10_000) + "c;";
        let parsed = parse(&text, 0);
        assert_eq!(parsed.directives.last().unwrap().name, "c");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,400}", braces in "[{};\"' \\\\#a$\n]{0,200}") {
            let _ = parse(&text, 0);
            let parsed = parse(&braces, 0);
            prop_assert!(parsed.troubles.len() <= 16);
        }
    }
}
