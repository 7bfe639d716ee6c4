//! Lines as SecLang counts them: joined where one ends in a backslash, without comments; and the words of a line.

/// How many lines one directive may run over.
const JOINED_COUNT_MAX: usize = 10_000;

/// One directive with its operands.
#[derive(Debug, Clone)]
pub struct Line {
    pub text: String,
    /// Where it begins, from 1.
    pub number: u32,
    pub column: u32,
}

/// The directives of a text.
pub fn logical(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<(Line, usize)> = None;
    for (at, raw) in text.lines().enumerate() {
        let trimmed = raw.trim_end_matches('\r');
        if trimmed.trim_start().starts_with('#') || (open.is_none() && trimmed.trim().is_empty()) {
            continue;
        }
        let (mut line, joined) = open.take().unwrap_or_else(|| {
            let column = trimmed.len() - trimmed.trim_start().len() + 1;
            let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            (Line { text: String::new(), number: short(at + 1), column: short(column) }, 0)
        });
        match trimmed.strip_suffix('\\') {
            Some(part) if joined < JOINED_COUNT_MAX => {
                line.text.push_str(part);
                open = Some((line, joined + 1));
            }
            _ => {
                line.text.push_str(trimmed);
                lines.push(line);
            }
        }
    }
    lines.extend(open.map(|(line, _)| line));
    lines
}

/// The words of a line: parted by blanks, in quotes or not; a quote within quotes is escaped.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, left) = match first {
            '"' | '\'' => quoted(&rest[1..], first),
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        words.push(word);
        rest = left.trim_start();
    }
    words
}

fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut word = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            return (word, &text[at + 1..]);
        }
        if character != '\\' {
            word.push(character);
            continue;
        }
        match characters.next() {
            Some((_, escaped)) if escaped == quote => word.push(escaped),
            Some((_, other)) => word.extend(['\\', other]),
            None => word.push('\\'),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_words_keep_their_backslashes() {
        let lines = logical("# no\nSecRule A \\\n  \"@rx \\x5c\\\"b\" \\\n \"id:1\"\n\n  SecMarker X\n");
        assert_eq!((lines[0].number, lines[1].number, lines[1].column), (2, 6, 3));
        assert_eq!(words(&lines[0].text), ["SecRule", "A", "@rx \\x5c\"b", "id:1"]);
    }
}
