//! haproxy's file format: lines of words, gathered into sections. Pure; takes any text.

/// Words of one line.
const WORD_COUNT_MAX: usize = 128;
/// A word is cut past this.
const WORD_BYTES_MAX: usize = 1_024;
/// Lines of one section.
const LINE_COUNT_MAX: usize = 10_000;
/// Sections of one configuration.
const SECTION_COUNT_MAX: usize = 4_096;
/// What begins a section.
const SECTIONS: [&str; 22] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "resolvers",
    "userlist",
    "peers",
    "mailers",
    "cache",
    "program",
    "ring",
    "http-errors",
    "fcgi-app",
    "log-forward",
    "crt-store",
    "traces",
    "log-profile",
    "acme",
    "table",
    "namespace_list",
    "healthcheck",
];

/// One line with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) words: Vec<String>,
    pub(super) file: usize,
    pub(super) line: u32,
}

impl Line {
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    /// True when the line holds only under a condition.
    pub(super) fn is_conditional(&self) -> bool {
        self.words.iter().any(|word| word == "if" || word == "unless")
    }
}

/// A section: its first line, and those that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) head: Line,
    pub(super) lines: Vec<Line>,
}

impl Section {
    pub(super) fn kind(&self) -> &str {
        self.head.word(0)
    }

    pub(super) fn name(&self) -> &str {
        self.head.word(1)
    }
}

/// Takes a file apart and adds its sections; gives back the lines that stand in none.
pub(super) fn parse(text: &str, file: usize, sections: &mut Vec<Section>) -> Vec<u32> {
    const STRAY_COUNT_MAX: usize = 8;
    let mut stray = Vec::new();
    let begins_at = sections.len();
    for (at, text) in text.lines().enumerate() {
        let words = words(text);
        let Some(first) = words.first() else { continue };
        let line = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let is_head = SECTIONS.contains(&first.as_str());
        let entry = Line { words, file, line };
        if is_head {
            if sections.len() >= SECTION_COUNT_MAX {
                break;
            }
            sections.push(Section { head: entry, lines: Vec::new() });
        } else if sections.len() > begins_at
            && let Some(section) = sections.last_mut()
            && section.lines.len() < LINE_COUNT_MAX
        {
            section.lines.push(entry);
        } else if stray.len() < STRAY_COUNT_MAX && !entry.word(0).starts_with('.') {
            stray.push(line);
        }
    }
    stray
}

/// Splits a line at white space; quotes hold together, a backslash takes the next letter as it is.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    // An empty pair of quotes is a word as well.
    let mut is_word = false;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '#') => break,
            (None, '"' | '\'') => {
                quote = Some(letter);
                is_word = true;
            }
            (Some(open), _) if letter == open => quote = None,
            (None | Some('"'), '\\') => {
                if let Some(next) = letters.next() {
                    push(&mut word, next);
                    is_word = true;
                }
            }
            (None, _) if letter.is_whitespace() => {
                if is_word {
                    all.push(std::mem::take(&mut word));
                }
                is_word = false;
                if all.len() >= WORD_COUNT_MAX {
                    return all;
                }
            }
            _ => {
                push(&mut word, letter);
                is_word = true;
            }
        }
    }
    if is_word {
        all.push(word);
    }
    all
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

    #[test]
    fn lines_are_split_as_haproxy_does() {
        assert_eq!(words("  server a 'b c' \"d\\\"e\" f\\ g # no"), ["server", "a", "b c", "d\"e", "f g"]);
        assert_eq!(words("x \"\" y"), ["x", "", "y"]);
        assert!(words("   # nothing").is_empty());
    }

    #[test]
    fn sections_hold_their_lines() {
        let mut sections = Vec::new();
        let stray = parse("stray\nglobal\n maxconn 5\nbackend b\n server a 1.2.3.4:5\n", 0, &mut sections);
        assert_eq!((stray, sections.len()), (vec![1], 2));
        assert_eq!((sections[1].kind(), sections[1].name()), ("backend", "b"));
        assert_eq!((sections[1].lines[0].word(1), sections[1].lines[0].line), ("a", 5));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,400}") {
            let mut sections = Vec::new();
            let _ = parse(&text, 0, &mut sections);
        }
    }
}
