//! haproxy's syntax: sections, and lines of words with quotes and escapes.

use crate::place::{Place, Unread, both};
use crate::seclang::{FILE_BYTES_MAX, File, Library};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many lines are read.
const LINES_COUNT_MAX: usize = 1_000_000;
/// How many entries a list may have.
const ENTRIES_COUNT_MAX: usize = 1_000_000;
/// The words that begin a section.
const SECTIONS: &[&str] = &[
    "acme",
    "backend",
    "cache",
    "crt-store",
    "defaults",
    "fcgi-app",
    "frontend",
    "global",
    "http-errors",
    "listen",
    "log-forward",
    "log-profile",
    "mailers",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
];

/// A section and its lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    pub kind: String,
    pub name: String,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub place: Place,
    pub words: Vec<String>,
}

impl Line {
    pub fn word(&self, at: usize) -> &str {
        self.words.get(at).map(String::as_str).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// The sections of the files.
pub fn read(files: &[File]) -> (Vec<Section>, Vec<Unread>) {
    let (mut sections, mut unread) = (Vec::<Section>::new(), Vec::new());
    let mut lines = 0;
    for file in files {
        let name: Arc<str> = file.name.as_str().into();
        if file.text.len() > FILE_BYTES_MAX {
            unread.push(Unread::new(
                Place::new(&name, 0, 0),
                "",
                both("the file is larger than 64 MiB", "文件超过 64 MiB"),
            ));
            continue;
        }
        for (at, text) in file.text.lines().enumerate() {
            let words = words(text);
            lines += 1;
            if words.is_empty() || lines > LINES_COUNT_MAX {
                continue;
            }
            let column = text.len() - text.trim_start().len() + 1;
            let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let place = Place::new(&name, short(at + 1), short(column));
            if SECTIONS.contains(&words[0].as_str()) {
                let named = words.get(1).cloned().unwrap_or_default();
                sections.push(Section { kind: words[0].clone(), name: named, lines: Vec::new() });
            } else if let Some(section) = sections.last_mut() {
                section.lines.push(Line { place, words });
            } else {
                unread.push(Unread::new(place, text, both("it stands in no section", "不在任何段中")));
            }
        }
    }
    (sections, unread)
}

/// The words of a line: blanks part them, a backslash or quotes hold them together, `#` ends them.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut open): (Vec<String>, Option<String>, Option<char>) =
        (Vec::new(), None, None);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (open, character) {
            (None, '#') => break,
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (None, quote @ ('"' | '\'')) => {
                open = Some(quote);
                word.get_or_insert_default();
            }
            (Some(quote), close) if quote == close => open = None,
            // Within single quotes a backslash is one; of a pattern's escapes it stays elsewhere too.
            (None | Some('"'), '\\') => match characters.next() {
                Some(next @ (' ' | '#' | '\\' | '"' | '\'')) => word.get_or_insert_default().push(next),
                Some(other) => word.get_or_insert_default().extend(['\\', other]),
                None => {}
            },
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// Every list that a line names with `-f`.
pub fn lists(sections: &[Section], library: &dyn Library) -> BTreeMap<String, Vec<String>> {
    let mut lists = BTreeMap::new();
    for line in sections.iter().flat_map(|section| &section.lines) {
        for pair in line.words.windows(2).filter(|pair| pair[0] == "-f") {
            let Some(data) = library.data(&line.place.file, &pair[1]) else { continue };
            let text = String::from_utf8_lossy(&data);
            let entries =
                text.lines().map(str::trim).filter(|entry| !entry.is_empty() && !entry.starts_with('#'));
            lists.insert(pair[1].clone(), entries.take(ENTRIES_COUNT_MAX).map(str::to_owned).collect());
        }
    }
    lists
}
