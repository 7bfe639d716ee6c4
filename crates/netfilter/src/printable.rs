//! Text from the kernel that others may have written: names, comments, log prefixes.

/// Bytes kept of one such text.
const TEXT_BYTES_MAX: usize = 512;

/// Drops control and direction-changing characters and bounds the length.
pub(crate) fn printable(text: &str) -> String {
    let mut kept = String::with_capacity(text.len().min(TEXT_BYTES_MAX));
    for character in text.chars().filter(|character| !unsafe_to_show(*character)) {
        if kept.len() + character.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        kept.push(character);
    }
    kept
}

fn unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_overrides_are_dropped() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c\n"), "a[2Jbc");
        assert_eq!(printable(&"é".repeat(400)).len(), TEXT_BYTES_MAX);
    }
}
