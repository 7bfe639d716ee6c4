//! What a check of rules or of configuration finds: with its place, what it means, and what to do.

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

/// One thing that is wrong or worth knowing: an entry of `netwhy.lint/1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong: of rules `dead`, `redundant`, `conflict`, `one-way`, `over-permissive`, `unused`,
    /// `dangling`; others say what they are (`health-timeout`).
    pub kind: &'static str,
    pub level: Level,
    #[serde(flatten)]
    pub place: Place,
    /// The chain, list, group or object it is about; may be empty.
    #[serde(rename = "in")]
    pub within: String,
    /// The rule's number in its chain or list, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// The numbers of the rules that cause it, in the same chain.
    pub by: Vec<u32>,
    /// Where those stand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_places: Vec<Place>,
    pub text: Text,
    /// Changes that mend it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
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
        Finding {
            kind,
            level,
            place: place.clone(),
            within: String::new(),
            rule: None,
            by: Vec::new(),
            by_places: Vec::new(),
            text: both(en, zh),
            fix: Vec::new(),
        }
    }

    /// About one chain, list, group or object, and a rule there.
    #[must_use]
    pub fn within(mut self, name: &str, rule: Option<u32>) -> Finding {
        name.clone_into(&mut self.within);
        self.rule = rule;
        self
    }

    /// Caused by other rules, given by their numbers and places.
    #[must_use]
    pub fn by(mut self, rules: impl IntoIterator<Item = (u32, Place)>) -> Finding {
        (self.by, self.by_places) = rules.into_iter().unzip();
        self
    }

    /// With a change that mends it.
    #[must_use]
    pub fn fixed(mut self, syntax: &'static str, en: &str, zh: &str, change: impl Into<String>) -> Finding {
        self.fix.push(Fix { syntax, what: both(en, zh), change: change.into() });
        self
    }
}
