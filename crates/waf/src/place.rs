//! Where a rule stands, and what of a file could not be understood.

use netwhy_model::Text;
use serde::Serialize;
use std::sync::Arc;

/// The longest excerpt that is kept, in characters.
pub const EXCERPT_CHARS_MAX: usize = 200;

/// A place in a file of rules, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub fn new(file: &Arc<str>, line: u32, column: u32) -> Place {
        Place { file: file.clone(), line, column }
    }
}

/// Something a reader did not understand: it is said, and an answer that it touches is not sure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    #[serde(flatten)]
    pub place: Place,
    /// The words in question.
    pub text: String,
    pub why: Text,
}

impl Unread {
    pub fn new(place: Place, words: &str, why: Text) -> Unread {
        Unread { place, text: shown(words.as_bytes()), why }
    }
}

/// A text in both languages.
pub fn both(en: impl Into<String>, zh: impl Into<String>) -> Text {
    Text { en: en.into(), zh: zh.into() }
}

/// Bytes as they may be shown: cut, and without control characters.
pub fn shown(bytes: &[u8]) -> String {
    let most = bytes.get(..EXCERPT_CHARS_MAX * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(most);
    text.chars().take(EXCERPT_CHARS_MAX).map(|c| if c.is_control() { '·' } else { c }).collect()
}
