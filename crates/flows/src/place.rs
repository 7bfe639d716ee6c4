//! What a reader did not understand: counted, the first places kept.

use netwhy_model::Text;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many bad places of one file are kept; the rest is only counted.
pub const PLACE_COUNT_MAX: usize = 10;
/// The longest excerpt, in characters.
const EXCERPT_CHARS_MAX: usize = 200;

/// One place that was not understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Unread {
    pub file: Arc<str>,
    /// The line from 1 in text, the record or packet from 1 elsewhere.
    pub number: u64,
    /// The byte of the unpacked file.
    pub offset: u64,
    /// The words or bytes, cut, without control characters.
    pub excerpt: String,
    pub why: Text,
}

impl Unread {
    pub fn new(
        file: &Arc<str>,
        number: u64,
        offset: u64,
        bytes: &[u8],
        en: impl Into<String>,
        zh: impl Into<String>,
    ) -> Unread {
        let cut = &bytes[..bytes.len().min(EXCERPT_CHARS_MAX * 4)];
        let excerpt = String::from_utf8_lossy(cut)
            .chars()
            .map(|letter| if letter.is_control() { '·' } else { letter })
            .take(EXCERPT_CHARS_MAX)
            .collect();
        Unread { file: file.clone(), number, offset, excerpt, why: Text { en: en.into(), zh: zh.into() } }
    }
}

/// What was read and what was not, of one input or of many.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnreadCount {
    pub read: u64,
    pub unread: u64,
    /// The first places of each file, in order.
    pub places: BTreeMap<Arc<str>, Vec<Unread>>,
}

impl UnreadCount {
    pub fn push(&mut self, unread: Unread) {
        self.unread += 1;
        let places = self.places.entry(unread.file.clone()).or_default();
        if places.len() < PLACE_COUNT_MAX {
            places.push(unread);
        }
    }

    /// Adds what another part of the same input found behind this one.
    pub fn append(&mut self, other: UnreadCount) {
        self.read += other.read;
        self.unread += other.unread;
        for (file, more) in other.places {
            let places = self.places.entry(file).or_default();
            let room = PLACE_COUNT_MAX.saturating_sub(places.len());
            places.extend(more.into_iter().take(room));
        }
    }
}
