//! A line of haproxy's configuration as words: quotes, escapes, comments.

/// How many words one line may have; haproxy itself allows 64.
const WORD_COUNT_MAX: usize = 1_024;

/// A word and its column, counted in bytes from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub column: u32,
}

/// The words of a line; what is wrong with it, when a quote never ends or there are too many words.
pub fn words(line: &str) -> (Vec<Word>, Option<(&'static str, &'static str)>) {
    let mut words = Vec::new();
    let mut letters = line.char_indices().peekable();
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    while let Some((at, letter)) = letters.next() {
        if quote.is_none() && (letter == '#' || letter.is_whitespace()) {
            words.extend(word.take());
            if letter == '#' {
                break;
            }
            continue;
        }
        if words.len() >= WORD_COUNT_MAX {
            return (words, Some(("more than 1024 words in a line", "一行超过 1024 个词")));
        }
        let column = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let text = &mut word.get_or_insert_with(|| Word { text: String::new(), column }).text;
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (Some('\''), _) => text.push(letter),
            (_, '\\') => escape(&mut letters, text),
            _ => text.push(letter),
        }
    }
    words.extend(word);
    (words, quote.map(|_| ("a quote that never ends", "引号没有结束")))
}

fn escape(letters: &mut std::iter::Peekable<std::str::CharIndices<'_>>, text: &mut String) {
    match letters.next() {
        Some((_, 'n')) => text.push('\n'),
        Some((_, 'r')) => text.push('\r'),
        Some((_, 't')) => text.push('\t'),
        Some((_, letter)) => text.push(letter),
        None => text.push('\\'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_escapes_and_comments_are_those_of_haproxy() {
        let read = |line| words(line).0.into_iter().map(|word| word.text).collect::<Vec<_>>();
        assert_eq!(read(r#"  acl a hdr(host) "x y"'z # w' # c"#), ["acl", "a", "hdr(host)", "x yz # w"]);
        assert_eq!(
            read(r"option httpchk GET / HTTP/1.1\r\nHost:\ www"),
            ["option", "httpchk", "GET", "/", "HTTP/1.1\r\nHost: www"]
        );
        assert!(words("a \"b").1.is_some());
        assert_eq!(words("  bind :80").0[0].column, 3);
    }
}
