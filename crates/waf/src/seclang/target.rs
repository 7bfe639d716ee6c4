//! Targets: `ARGS|!ARGS:token|REQUEST_COOKIES:/^a/|&REQUEST_HEADERS:Host`.

use crate::pattern::Pattern;
use crate::rule::{Selector, Target};

/// How many targets one rule may have.
const TARGETS_COUNT_MAX: usize = 10_000;

/// What is looked at, and what is not.
pub fn targets(text: &str) -> (Vec<Target>, Vec<Target>) {
    let (mut wanted, mut excluded) = (Vec::new(), Vec::new());
    for piece in split(text).into_iter().take(TARGETS_COUNT_MAX) {
        match piece.strip_prefix('!') {
            Some(rest) => excluded.push(target(rest.trim())),
            None => wanted.push(target(piece)),
        }
    }
    (wanted, excluded)
}

/// One target; the selector `/…/` is a pattern.
pub fn target(text: &str) -> Target {
    let (count, text) = match text.strip_prefix('&') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (collection, selector) = match text.split_once(':') {
        Some((collection, selector)) => (collection, unquoted(selector.trim())),
        None => (text, ""),
    };
    let collection = collection.trim().to_ascii_uppercase();
    let pattern = selector.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let selector = match pattern {
        _ if selector.is_empty() => Selector::All,
        // What is a path into the document, not a pattern.
        _ if collection == "XML" => Selector::Name(selector.to_owned()),
        Some(pattern) => Selector::Pattern(Pattern::any_case(&pattern.replace("\\/", "/"))),
        None => Selector::Name(selector.to_owned()),
    };
    Target { collection, selector, count }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(text)
}

/// Cuts at `|` and `,`, but not within `/…/` or quotes.
fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut closes) = (0, None);
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        match (closes, byte) {
            (None, b'|' | b',') => {
                pieces.push(text[start..at].trim());
                start = at + 1;
            }
            (None, b'\'') => closes = Some(b'\''),
            (None, b'/')
                if before == Some(&b':')
                    && !text[start..at].trim_start_matches(['!', '&']).starts_with("XML") =>
            {
                closes = Some(b'/');
            }
            (Some(close), byte) if *byte == close && before != Some(&b'\\') => closes = None,
            _ => {}
        }
    }
    pieces.push(text[start..].trim());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_cut_at_bars_that_stand_in_no_pattern() {
        let (wanted, excluded) =
            targets("ARGS|!ARGS:/a|b\\/c/|XML:/*|XML://@*|&REQUEST_HEADERS:Host,tx:'/x y/'");
        let texts: Vec<String> = wanted.iter().map(Target::text).collect();
        assert_eq!(texts, ["ARGS", "XML:/*", "XML://@*", "&REQUEST_HEADERS:Host", "TX:/x y/"]);
        assert_eq!(excluded[0].text(), "ARGS:/a|b/c/");
    }
}
