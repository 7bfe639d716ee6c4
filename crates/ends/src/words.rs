//! Splits a command prefix into words as a shell does, without a shell: nothing is expanded.

/// Words one prefix may have.
pub(crate) const WORD_COUNT_MAX: usize = 256;
/// Longest prefix understood, in bytes.
pub(crate) const PREFIX_BYTES_MAX: usize = 32 * 1024;

/// Why a text has no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordsFault {
    /// A quote is opened and never closed.
    OpenQuote,
    /// It ends in a lone backslash.
    LoneBackslash,
    /// More words or bytes than are taken, or a NUL byte.
    TooMuch,
}

/// Splits at blanks; quotes and backslashes as in POSIX shells (2.2 Quoting), `$` and `*` mean themselves.
pub(crate) fn split(text: &str) -> Result<Vec<String>, WordsFault> {
    if text.len() > PREFIX_BYTES_MAX || text.contains('\0') {
        return Err(WordsFault::TooMuch);
    }
    let mut words = Vec::new();
    // `None` between words: an empty pair of quotes is a word, blanks are not.
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => single(&mut rest, word.get_or_insert_default())?,
            '"' => double(&mut rest, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(rest.next().ok_or(WordsFault::LoneBackslash)?),
            _ => word.get_or_insert_default().push(character),
        }
        if words.len() >= WORD_COUNT_MAX {
            return Err(WordsFault::TooMuch);
        }
    }
    words.extend(word);
    Ok(words)
}

/// Everything up to the closing quote, as it stands.
fn single(rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsFault> {
    for character in rest {
        match character {
            '\'' => return Ok(()),
            _ => word.push(character),
        }
    }
    Err(WordsFault::OpenQuote)
}

/// Up to the closing quote; a backslash counts only before `$`, `` ` ``, `"` and itself.
fn double(rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsFault> {
    while let Some(character) = rest.next() {
        match character {
            '"' => return Ok(()),
            '\\' => match rest.next().ok_or(WordsFault::OpenQuote)? {
                escaped @ ('$' | '`' | '"' | '\\') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            _ => word.push(character),
        }
    }
    Err(WordsFault::OpenQuote)
}

/// Writes words so that [`split`], and a shell, read the same words again.
pub(crate) fn join<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// One word, quoted when it must be.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r#"'"'"'"#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for (text, words) in [
            ("docker exec -i web", vec!["docker", "exec", "-i", "web"]),
            ("  a\t b\n", vec!["a", "b"]),
            ("", vec![]),
            ("''", vec![""]),
            (r#"sh -c 'exec "$@"' --"#, vec!["sh", "-c", r#"exec "$@""#, "--"]),
            (r#"a"b c"'d e'f"#, vec!["ab cd ef"]),
            (r#""\$x \n \"""#, vec![r#"$x \n ""#]),
            (r"a\ b \'", vec!["a b", "'"]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
        assert_eq!(split("a 'b"), Err(WordsFault::OpenQuote));
        assert_eq!(split("a \"b\\"), Err(WordsFault::OpenQuote));
        assert_eq!(split("a\\"), Err(WordsFault::LoneBackslash));
        assert_eq!(split("a\0"), Err(WordsFault::TooMuch));
        assert_eq!(split(&"a ".repeat(WORD_COUNT_MAX + 1)), Err(WordsFault::TooMuch));
    }

    proptest! {
        #[test]
        fn what_is_joined_splits_again(words in proptest::collection::vec("[^\0]{0,12}", 0..8)) {
            prop_assert_eq!(split(&join(&words)).unwrap(), words);
        }

        #[test]
        fn any_text_is_survived(text in ".{0,200}") {
            let _ = split(&text);
        }
    }
}
