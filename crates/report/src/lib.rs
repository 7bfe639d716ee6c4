//! Writes verdicts and lessons as text, JSON and HTML with SVG, in English and Chinese.
//!
//! Pure: from a value to a string. It reads no terminal, no locale and no clock; [`Style`] says how
//! the page is to look. Every text of the network is cleaned of control characters on its way out.

pub mod explain;
pub mod host;
mod html;
mod style;
mod text;
mod words;

pub use html::{verdict_article, verdict_html};
pub use style::{Style, clean, display_width, padded, shortened, wrapped};
pub use text::verdict_text;

use serde::Serialize;

/// Writes a value as JSON with a final line end: over many lines, or compact on one.
///
/// # Errors
/// When the value cannot be serialised, which no value of the model causes.
pub fn to_json(value: &impl Serialize, pretty: bool) -> serde_json::Result<String> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map(|text| with_marks_escaped(&text) + "\n")
}

/// Characters that turn or hide text stand in JSON as escapes: the same value, and harmless on a terminal.
///
/// What lies below U+0080 the serialiser has escaped already; outside strings JSON has none of them.
fn with_marks_escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter > '\u{7e}' && style::is_hostile(letter) {
            let mut units = [0_u16; 2];
            for unit in letter.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn json_neither_turns_a_terminal_nor_loses_a_letter() {
        let hostile = "a\u{1b}[2J\u{9b}2J\u{202e}b\u{e0041}\u{7f}路";
        let json = super::to_json(&hostile, false).unwrap();
        assert!(!json.trim_end().chars().any(super::style::is_hostile), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }
}
