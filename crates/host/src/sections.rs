//! Readings: numbers and settings with what they were read from, grouped as a person looks for them.

pub(crate) mod cgroups;
pub(crate) mod clock;
pub(crate) mod counters;
pub(crate) mod disks;
pub(crate) mod hooks;
pub(crate) mod limits;
pub(crate) mod names;
pub(crate) mod pressure;
pub(crate) mod queues;
pub(crate) mod settings;

use netwhy_model::Text;
use netwhy_model::host::{Reading, Section, State};

/// Readings of one section.
const READING_COUNT_MAX: usize = 400;
/// A value longer than this is cut.
const VALUE_BYTES_MAX: usize = 200;

/// Builds a section.
pub(crate) fn section(id: &str, en: &str, zh: &str, mut readings: Vec<Reading>) -> Section {
    readings.truncate(READING_COUNT_MAX);
    Section { id: id.to_owned(), title: text(en, zh), readings }
}

/// Both languages of a text.
pub(crate) fn text(en: impl Into<String>, zh: impl Into<String>) -> Text {
    Text { en: en.into(), zh: zh.into() }
}

/// Starts a reading that looks well.
pub(crate) fn reading(name: impl Into<String>, value: impl ToString, from: impl Into<String>) -> Reading {
    Reading {
        name: crate::text::printable(&name.into(), VALUE_BYTES_MAX),
        value: crate::text::printable(&value.to_string(), VALUE_BYTES_MAX),
        unit: String::new(),
        limit: None,
        delta: None,
        from: crate::text::printable(&from.into(), VALUE_BYTES_MAX),
        state: State::Well,
        note: None,
    }
}

/// What may be said of a reading besides.
pub(crate) trait Said: Sized {
    fn unit(self, unit: &str) -> Self;
    fn limit(self, limit: impl ToString) -> Self;
    fn delta(self, delta: Option<i64>) -> Self;
    fn said(self, state: State, en: impl Into<String>, zh: impl Into<String>) -> Self;
}

impl Said for Reading {
    fn unit(mut self, unit: &str) -> Reading {
        unit.clone_into(&mut self.unit);
        self
    }

    fn limit(mut self, limit: impl ToString) -> Reading {
        self.limit = Some(limit.to_string());
        self
    }

    fn delta(mut self, delta: Option<i64>) -> Reading {
        self.delta = delta;
        self
    }

    fn said(mut self, state: State, en: impl Into<String>, zh: impl Into<String>) -> Reading {
        self.state = state;
        self.note = Some(text(en, zh));
        self
    }
}

/// How a fill of a limit looks, in percent.
pub(crate) fn fill(used: u64, limit: u64) -> State {
    match percent(used, limit) {
        ..80 => State::Well,
        80..95 => State::Odd,
        _ => State::Bad,
    }
}

/// The share of a limit, in whole percent; 0 of no limit.
pub(crate) fn percent(used: u64, limit: u64) -> u64 {
    used.saturating_mul(100).checked_div(limit).unwrap_or(0)
}
