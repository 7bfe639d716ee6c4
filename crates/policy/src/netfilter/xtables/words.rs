//! A line parted into words, as iptables-restore and a shell part it.

use std::borrow::Cow;

/// How many words of one line are read.
const WORD_COUNT_MAX: usize = 4096;

/// One word, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub text: Cow<'a, str>,
    /// Where it begins: a byte of the line.
    pub offset: usize,
    pub quoted: bool,
}

/// Parts a line; a word that begins with `#` outside quotes ends it, `;` is a word. What stands behind word 4096 is left out.
pub(super) fn split<'a>(line: &'a str, words: &mut Vec<Word<'a>>) {
    words.clear();
    let bytes = line.as_bytes();
    let mut at = 0;
    while words.len() < WORD_COUNT_MAX {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        match bytes.get(at) {
            None | Some(b'#') => return,
            Some(_) => {
                let (word, end) = word(line, at);
                at = end;
                match (&word.text, assigned(&word)) {
                    (Cow::Borrowed(text), Some(length)) => {
                        let (option, value) = (&text[..length], &text[length + 1..]);
                        let offset = word.offset;
                        words.push(Word { text: Cow::Borrowed(option), ..word });
                        words.push(Word {
                            text: Cow::Borrowed(value),
                            offset: offset + length + 1,
                            quoted: false,
                        });
                    }
                    _ => words.push(word),
                }
            }
        }
    }
}

/// How long the option is in `--dport=80`.
fn assigned(word: &Word<'_>) -> Option<usize> {
    if word.quoted || !word.text.starts_with("--") { None } else { word.text.find('=') }
}

fn word(line: &str, start: usize) -> (Word<'_>, usize) {
    let bytes = line.as_bytes();
    if bytes[start] == b';' {
        return (Word { text: Cow::Borrowed(";"), offset: start, quoted: false }, start + 1);
    }
    let plain = bytes[start..].iter().position(|b| ends_word(*b) || matches!(b, b'"' | b'\'' | b'\\'));
    let end = plain.map_or(bytes.len(), |length| start + length);
    if bytes.get(end).copied().is_none_or(ends_word) {
        return (Word { text: Cow::Borrowed(&line[start..end]), offset: start, quoted: false }, end);
    }
    quoted(line, start)
}

fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b';'
}

fn quoted(line: &str, start: usize) -> (Word<'_>, usize) {
    let mut text = String::new();
    let mut quote = None;
    let mut letters = line[start..].char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None | Some('"'), '\\') => text.extend(letters.next().map(|(_, next)| next)),
            (None, letter) if letter.is_ascii_whitespace() || letter == ';' => {
                return (Word { text: Cow::Owned(text), offset: start, quoted: true }, start + at);
            }
            (_, letter) => text.push(letter),
        }
    }
    (Word { text: Cow::Owned(text), offset: start, quoted: true }, line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together_and_are_taken_off() {
        let mut words = Vec::new();
        split(r#"-A INPUT --comment "a \"b\" c" 'd e'f g\ h # not this"#, &mut words);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_ref()).collect();
        assert_eq!(texts, ["-A", "INPUT", "--comment", "a \"b\" c", "d ef", "g h"]);
        assert_eq!(words[3].offset, 19);
        split("-p tcp --dport=80;x", &mut words);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_ref()).collect();
        assert_eq!(texts, ["-p", "tcp", "--dport", "80", ";", "x"]);
    }
}
