//! Where something was read, and what could not be understood there.

use netwhy_model::Text;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// The longest excerpt of a file that is kept, in characters.
const EXCERPT_CHARS_MAX: usize = 200;

/// A place in a file of configuration. Line and column count from 1; 0 is "the file as a whole".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub fn new(file: &Arc<str>, line: u32, column: u32) -> Place {
        Place { file: Arc::clone(file), line, column }
    }

    /// The file as a whole.
    pub fn whole(file: &Arc<str>) -> Place {
        Place::new(file, 0, 0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(to, "{}", self.file),
            line => write!(to, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// Something a reader did not understand: it is said, and makes what depends on it *depend*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    pub place: Place,
    /// The words that were not understood, cut after 200 characters.
    pub text: String,
    pub why: Text,
}

impl Unread {
    pub fn new(place: Place, text: &str, en: impl Into<String>, zh: impl Into<String>) -> Unread {
        Unread { place, text: excerpt(text), why: both(en, zh) }
    }
}

/// At most 200 characters of a text, control characters as spaces.
pub fn excerpt(text: &str) -> String {
    text.trim().chars().take(EXCERPT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text in both languages.
pub fn both(en: impl Into<String>, zh: impl Into<String>) -> Text {
    Text { en: en.into(), zh: zh.into() }
}
