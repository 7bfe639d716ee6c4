//! nginx's syntax: words, `;`, and blocks in braces.

use crate::place::{Place, Unread, both};
use crate::seclang::{FILE_BYTES_MAX, FILES_COUNT_MAX, File, Library};
use netwhy_model::Text;
use std::sync::Arc;

/// How deep blocks and included files may be nested.
const DEPTH_MAX: usize = 32;
/// How many directives are read.
const DIRECTIVES_COUNT_MAX: usize = 1_000_000;

/// A directive with its words, and what stands in its braces.
#[derive(Debug, Clone, PartialEq)]
pub struct Directive {
    pub place: Place,
    pub words: Vec<String>,
    pub block: Vec<Directive>,
}

impl Directive {
    pub fn name(&self) -> &str {
        self.words.first().map(String::as_str).unwrap_or_default()
    }

    /// A word after the name; empty where there is none.
    pub fn word(&self, at: usize) -> &str {
        self.words.get(at).map(String::as_str).unwrap_or_default()
    }

    /// The directive as written, without its block.
    pub fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// Reads files with all they include.
pub fn read(files: &[File], library: &dyn Library) -> (Vec<Directive>, Vec<Unread>) {
    let mut reader = Reader { library, unread: Vec::new(), files: 0, directives: 0 };
    let mut main = Vec::new();
    for file in files {
        reader.file(file, 0, &mut main);
    }
    (main, reader.unread)
}

struct Reader<'a> {
    library: &'a dyn Library,
    unread: Vec<Unread>,
    files: usize,
    directives: usize,
}

/// A file while it is taken apart.
struct Cursor<'a> {
    file: Arc<str>,
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
}

impl Cursor<'_> {
    fn place(&self) -> Place {
        Place::new(&self.file, self.line, u32::try_from(self.at - self.line_start + 1).unwrap_or(u32::MAX))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        if self.peek() == Some(b'\n') {
            self.line += 1;
            self.line_start = self.at + 1;
        }
        self.at += 1;
    }

    fn blank(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.step();
                    }
                }
                byte if byte.is_ascii_whitespace() => self.step(),
                _ => return,
            }
        }
    }

    fn token(&mut self) -> Option<Token> {
        self.blank();
        let token = match self.peek()? {
            b';' => Token::End,
            b'{' => Token::Open,
            b'}' => Token::Close,
            quote @ (b'"' | b'\'') => {
                self.step();
                let word = self.word(|byte| byte == quote);
                self.step();
                return Some(Token::Word(word));
            }
            _ => {
                return Some(Token::Word(
                    self.word(|byte| byte.is_ascii_whitespace() || matches!(byte, b';' | b'{')),
                ));
            }
        };
        self.step();
        Some(token)
    }

    /// A word up to where `ends` says; `${name}` belongs to it.
    fn word(&mut self, ends: impl Fn(u8) -> bool) -> String {
        let mut word = Vec::new();
        while let Some(byte) = self.peek() {
            let variable = byte == b'{' && word.last() == Some(&b'$');
            if ends(byte) && !variable {
                break;
            }
            let next = self.text.as_bytes().get(self.at + 1);
            if byte == b'\\' && matches!(next, Some(b'"' | b'\'' | b'\\')) {
                self.step();
                // Of a pattern the backslash must stay.
                if next == Some(&b'\\') {
                    word.push(b'\\');
                }
            }
            word.extend(self.peek());
            self.step();
        }
        String::from_utf8_lossy(&word).into_owned()
    }
}

impl Reader<'_> {
    fn file(&mut self, file: &File, depth: usize, into: &mut Vec<Directive>) {
        let name: Arc<str> = file.name.as_str().into();
        self.files += 1;
        let mut cursor = Cursor { file: name, text: &file.text, at: 0, line: 1, line_start: 0 };
        if file.text.len() > FILE_BYTES_MAX || self.files > FILES_COUNT_MAX || depth > DEPTH_MAX {
            self.say(
                cursor.place(),
                "",
                both("too large, too many, or including itself", "文件过大、过多或循环包含"),
            );
            return;
        }
        while cursor.at < file.text.len() {
            self.block(&mut cursor, depth, into);
        }
    }

    fn say(&mut self, place: Place, words: &str, why: Text) {
        self.unread.push(Unread::new(place, words, why));
    }

    /// Reads directives up to the brace that closes.
    fn block(&mut self, cursor: &mut Cursor, depth: usize, into: &mut Vec<Directive>) {
        let mut words: Vec<String> = Vec::new();
        cursor.blank();
        let mut place = cursor.place();
        while let Some(token) = cursor.token() {
            match token {
                Token::Word(word) => {
                    words.push(word);
                    continue;
                }
                Token::Close => {
                    if !words.is_empty() {
                        self.say(
                            place,
                            &words.join(" "),
                            both("a directive without its end", "指令没有结束"),
                        );
                    }
                    return;
                }
                Token::End => self.directive(&mut words, place, depth, into),
                Token::Open if words.iter().any(|word| word.ends_with("_by_lua_block")) => {
                    self.say(place, &words.join(" "), both("Lua is not modelled", "尚未模拟 Lua"));
                    words.clear();
                    past_braces(cursor);
                }
                Token::Open if depth >= DEPTH_MAX => {
                    self.say(place, &words.join(" "), both("blocks are nested too deeply", "块嵌套过深"));
                    words.clear();
                    past_braces(cursor);
                }
                Token::Open => {
                    let mut block = Vec::new();
                    self.block(cursor, depth + 1, &mut block);
                    self.keep(Directive { place, words: std::mem::take(&mut words), block }, into);
                }
            }
            cursor.blank();
            place = cursor.place();
        }
        if !words.is_empty() {
            self.say(place, &words.join(" "), both("a directive without its end", "指令没有结束"));
        }
    }

    fn directive(&mut self, words: &mut Vec<String>, place: Place, depth: usize, into: &mut Vec<Directive>) {
        let words = std::mem::take(words);
        if words.first().is_none_or(|name| name != "include") {
            self.keep(Directive { place, words, block: Vec::new() }, into);
            return;
        }
        let pattern = words.get(1).map(String::as_str).unwrap_or_default();
        let files = self.library.include(&place.file, pattern);
        // A pattern may match nothing; a name may not.
        if files.is_empty() && !pattern.contains('*') {
            self.say(place, &words.join(" "), both("no such file is at hand", "找不到该文件"));
        }
        for file in files {
            self.file(&file, depth + 1, into);
        }
    }

    fn keep(&mut self, directive: Directive, into: &mut Vec<Directive>) {
        self.directives += 1;
        if self.directives <= DIRECTIVES_COUNT_MAX {
            into.push(directive);
        } else if self.directives == DIRECTIVES_COUNT_MAX + 1 {
            self.say(directive.place, "", both("more than 1,000,000 directives", "指令超过 1,000,000 条"));
        }
    }
}

/// Skips what stands between braces, whatever it is.
fn past_braces(cursor: &mut Cursor) {
    let mut open = 1;
    while let Some(byte) = cursor.peek() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        cursor.step();
        if open == 0 {
            return;
        }
    }
}
