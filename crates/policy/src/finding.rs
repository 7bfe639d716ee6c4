//! One thing that is wrong or worth knowing in a file of configuration.

use crate::estate::Fix;
use crate::place::{Place, both};
use netwhy_model::Text;
use serde::Serialize;

/// How much a finding matters; the words are those of SARIF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Note,
    Warning,
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule that found it: `health-timeout`, `dead`, `bypass`.
    pub kind: &'static str,
    pub level: Level,
    #[serde(flatten)]
    pub place: Place,
    pub text: Text,
    pub fix: Vec<Fix>,
}

impl Finding {
    pub fn new(
        kind: &'static str,
        level: Level,
        place: &Place,
        en: impl Into<String>,
        zh: impl Into<String>,
    ) -> Finding {
        Finding { kind, level, place: place.clone(), text: both(en, zh), fix: Vec::new() }
    }

    /// With a change that mends it.
    #[must_use]
    pub fn fixed(mut self, syntax: &'static str, en: &str, zh: &str, change: impl Into<String>) -> Finding {
        self.fix.push(Fix { syntax, what: both(en, zh), change: change.into() });
        self
    }
}
