//! nginx's configuration as a tree of directives with their places: quotes, comments, blocks, includes.

use crate::doc::Lines;
use crate::place::{Place, Unread};
use std::sync::Arc;

/// How deep blocks may be nested, those of included files counted in.
const DEPTH_MAX: usize = 64;
/// How deep files may include each other.
const INCLUDE_DEPTH_MAX: usize = 16;
/// How many files one configuration may include.
const INCLUDE_COUNT_MAX: usize = 1_000;
/// How many directives one configuration may have.
const DIRECTIVE_COUNT_MAX: usize = 1_000_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Directive {
    pub name: String,
    pub words: Vec<String>,
    pub block: Option<Vec<Directive>>,
    pub place: Place,
}

impl Directive {
    pub fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    pub fn inside(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }

    /// The value of `key=value` among the words.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }
}

/// Gives the files that an `include` names, with their texts; none when there are none.
pub type Include<'a> = &'a dyn Fn(&str) -> Vec<(Arc<str>, String)>;

#[derive(Default)]
struct Counts {
    includes: usize,
    directives: usize,
    /// Files that are included and were not given.
    absent: usize,
}

/// What a file and all it includes hold.
#[derive(Debug, Default)]
pub struct Tree {
    pub directives: Vec<Directive>,
    pub unread: Vec<Unread>,
    /// Every included file was given.
    pub whole: bool,
}

/// Reads one file and what it includes.
pub fn tree(file: &Arc<str>, text: &str, include: Include<'_>) -> Tree {
    let (mut unread, mut counts) = (Vec::new(), Counts::default());
    let directives = read(file, text, include, (0, 0), &mut counts, &mut unread);
    Tree { directives, unread, whole: counts.absent == 0 }
}

fn read(
    file: &Arc<str>,
    text: &str,
    include: Include<'_>,
    (depth, files): (usize, usize),
    counts: &mut Counts,
    unread: &mut Vec<Unread>,
) -> Vec<Directive> {
    let mut reader = Reader { text, at: 0, lines: Lines::new(file, text), include, files, counts, unread };
    let mut directives = Vec::new();
    // A `}` too many ends the block of the file: what follows is still read.
    while reader.at < text.len() {
        let before = reader.at;
        directives.extend(reader.block(depth));
        if reader.at >= text.len() {
            break;
        }
        reader.wrong(reader.at, "a closing brace without an opening one", "多余的右花括号");
        reader.at = reader.at.max(before) + 1;
    }
    directives
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    lines: Lines,
    include: Include<'a>,
    files: usize,
    counts: &'a mut Counts,
    unread: &'a mut Vec<Unread>,
}

/// What ended a directive.
enum End {
    Semicolon,
    Open,
    Close,
    File,
}

impl Reader<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn wrong(&mut self, at: usize, en: &str, zh: &str) {
        let line = self.text.get(at..).unwrap_or_default().lines().next().unwrap_or_default();
        self.unread.push(Unread::new(self.lines.place(at), line, en, zh));
    }

    /// Directives up to the `}` that closes the block, which stays, or the end of the file.
    fn block(&mut self, depth: usize) -> Vec<Directive> {
        let mut directives = Vec::new();
        loop {
            self.blank();
            let start = self.at;
            if matches!(self.byte(), None | Some(b'}')) {
                return directives;
            }
            if self.counts.directives >= DIRECTIVE_COUNT_MAX {
                self.wrong(start, "more than 1000000 directives", "指令超过 1000000 条");
                self.at = self.text.len();
                return directives;
            }
            self.counts.directives += 1;
            let (mut words, end) = self.words();
            let name = if words.is_empty() { String::new() } else { words.remove(0) };
            let mut directive = Directive { name, words, block: None, place: self.lines.place(start) };
            match end {
                End::Semicolon if directive.name == "include" => {
                    directives.extend(self.included(&directive, depth));
                    continue;
                }
                End::Semicolon if directive.name.is_empty() => continue,
                End::Semicolon => {}
                End::Open => directive.block = Some(self.nested(&directive, start, depth)),
                End::Close | End::File => {
                    self.wrong(start, "this directive does not end with a semicolon", "该指令缺少分号");
                    continue;
                }
            }
            directives.push(directive);
        }
    }

    /// What stands between the braces of a directive.
    fn nested(&mut self, directive: &Directive, start: usize, depth: usize) -> Vec<Directive> {
        let deep = depth + 1 >= DEPTH_MAX;
        if deep {
            self.wrong(start, "blocks nested deeper than 64 levels", "块嵌套超过 64 层");
        }
        if deep || directive.name.ends_with("_by_lua_block") {
            self.skip();
            return Vec::new();
        }
        let block = self.block(depth + 1);
        match self.byte() {
            Some(_) => self.at += 1,
            None => self.wrong(start, "this block never ends", "该块没有结束"),
        }
        block
    }

    /// Leaves a block out whose text is not nginx's.
    fn skip(&mut self) {
        let mut open = 1_usize;
        while let Some(byte) = self.byte() {
            self.at += 1;
            match byte {
                b'{' => open += 1,
                b'}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return;
            }
        }
    }

    fn included(&mut self, directive: &Directive, depth: usize) -> Vec<Directive> {
        let place = || directive.place.clone();
        if self.files >= INCLUDE_DEPTH_MAX || self.counts.includes >= INCLUDE_COUNT_MAX {
            let (en, zh) = ("files include each other too deeply or too often", "文件相互包含过深或过多");
            self.unread.push(Unread::new(place(), directive.word(0), en, zh));
            return Vec::new();
        }
        let files = (self.include)(directive.word(0));
        self.counts.absent += usize::from(files.is_empty());
        if files.is_empty() && !directive.word(0).contains(['*', '?']) {
            let (en, zh) = ("the included file is not among those given", "被包含的文件不在给出的文件之中");
            self.unread.push(Unread::new(place(), directive.word(0), en, zh));
        }
        let mut directives = Vec::new();
        for (file, text) in files {
            self.counts.includes += 1;
            if self.counts.includes > INCLUDE_COUNT_MAX {
                break;
            }
            let at = (depth, self.files + 1);
            directives.extend(read(&file, &text, self.include, at, self.counts, self.unread));
        }
        directives
    }

    fn blank(&mut self) {
        while let Some(byte) = self.byte() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'#' => self.at = self.line_end(),
                _ if self.text[self.at..].starts_with('\u{feff}') => self.at += 3,
                _ => return,
            }
        }
    }

    fn line_end(&self) -> usize {
        self.text[self.at..].find('\n').map_or(self.text.len(), |length| self.at + length)
    }

    fn words(&mut self) -> (Vec<String>, End) {
        let mut words = Vec::new();
        loop {
            self.blank();
            match self.byte() {
                None => return (words, End::File),
                Some(b'}') => return (words, End::Close),
                Some(b';') => {
                    self.at += 1;
                    return (words, End::Semicolon);
                }
                Some(b'{') => {
                    self.at += 1;
                    return (words, End::Open);
                }
                Some(_) => words.push(self.one_word()),
            }
        }
    }

    /// A word, with or without quotes; `${name}` is part of it.
    fn one_word(&mut self) -> String {
        let quote = self.byte().filter(|byte| matches!(byte, b'"' | b'\''));
        let mut word: Vec<u8> = Vec::new();
        self.at += usize::from(quote.is_some());
        while let Some(byte) = self.byte() {
            match (quote, byte) {
                (Some(quote), _) if byte == quote => {
                    self.at += 1;
                    break;
                }
                (_, b'\\') => {
                    self.at += 1;
                    let next = self.byte();
                    self.at += usize::from(next.is_some());
                    word.extend(escaped(next));
                    continue;
                }
                (None, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'}') => break,
                (None, b'{') if word.last() != Some(&b'$') => break,
                (None, b'{') => {
                    let end = self.text[self.at..].find('}').map_or(self.text.len(), |end| self.at + end + 1);
                    word.extend_from_slice(&self.text.as_bytes()[self.at..end]);
                    self.at = end;
                    continue;
                }
                _ => {}
            }
            word.push(byte);
            self.at += 1;
        }
        // The bytes are those of a text; only an escape before a part of a character can break it.
        String::from_utf8_lossy(&word).into_owned()
    }
}

/// `\n`, `\r`, `\t` are those characters, quotes and the backslash themselves; before others the backslash stays.
fn escaped(next: Option<u8>) -> Vec<u8> {
    match next {
        Some(b'n') => vec![b'\n'],
        Some(b'r') => vec![b'\r'],
        Some(b't') => vec![b'\t'],
        Some(byte @ (b'"' | b'\'' | b'\\')) => vec![byte],
        Some(byte) => vec![b'\\', byte],
        None => vec![b'\\'],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Vec<(Arc<str>, String)> {
        Vec::new()
    }

    #[test]
    fn quotes_comments_variables_and_nested_blocks_keep_their_places() {
        let text = "# one\nhttp {\n  set $a \"b;{\\\"c\"; # two\n  location ~ ^/${x}/ { root /; }\n}\n";
        let read = tree(&"n.conf".into(), text, &none);
        assert!(read.unread.is_empty() && read.whole, "{:?}", read.unread);
        let inside = read.directives[0].inside();
        assert_eq!(inside[0].words, ["$a", "b;{\"c"]);
        assert_eq!(inside[1].words, ["~", "^/${x}/"]);
        assert_eq!(inside[1].place.to_string(), "n.conf:4:3");
    }

    #[test]
    fn a_bad_directive_leaves_the_rest_and_cycles_and_depth_end() {
        let read = tree(&"n.conf".into(), "a b; c d } e f; g {", &none);
        let names: Vec<&str> = read.directives.iter().map(|one| one.name.as_str()).collect();
        assert_eq!((names.as_slice(), read.unread.len()), (&["a", "e", "g"][..], 3), "{:?}", read.unread);
        let file: Arc<str> = "n.conf".into();
        let itself = |_: &str| vec![(Arc::clone(&file), "include n.conf; a b;".to_owned())];
        let read = tree(&file, "include n.conf;", &itself);
        assert_eq!((read.directives.len(), read.unread.len()), (INCLUDE_DEPTH_MAX, 1));
        let read = tree(&file, &"a {".repeat(100_000), &none);
        assert!(!read.unread.is_empty());
        assert!(!tree(&file, "include x.conf;", &none).whole);
    }
}
