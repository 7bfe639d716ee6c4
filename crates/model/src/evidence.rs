//! One observed fact, explaining itself.

use crate::{Leg, Link, Stamp, Vantage};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest excerpt kept with a fact, in bytes.
pub const EXCERPT_BYTES_MAX: usize = 600;

/// How asking for a fact ended. The four never fold into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nobody asked.
    NotAsked,
    /// Asked; nothing came back within the wait. `value` may still say so in the fact's own words.
    NoAnswer,
    /// Asked and answered.
    Answered,
    /// No permission, or not supported here; `excerpt` says why and what would help.
    CouldNotAsk,
}

/// One observed fact: what, where, from where, how it ended and the excerpt that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// `E1`, `E2`, …: numbered by the engine in the order the facts came in; empty until then.
    #[serde(default)]
    pub id: String,
    /// The dotted name, declared in `catalogue/facts.toml`.
    pub fact: String,
    /// One of the values the fact declares; empty when it could not be asked.
    pub value: String,
    pub link: Link,
    pub vantage: Vantage,
    pub outcome: Outcome,
    pub at: Stamp,
    /// The module that looked, such as `tcp.connect`.
    pub collector: String,
    /// What was seen, in one line with numbers and units; at most [`EXCERPT_BYTES_MAX`] bytes.
    pub excerpt: String,
    /// The address, hop or resolver this observation is about, when it is one of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Which connection it is about, where a node stands in front of the origin.
    #[serde(default, skip_serializing_if = "Leg::is_front")]
    pub leg: Leg,
}

impl Evidence {
    /// A fact that was answered, or whose silence is itself a declared value.
    pub fn seen(
        fact: &str,
        value: &str,
        link: Link,
        at: Stamp,
        collector: &str,
        excerpt: impl Into<String>,
    ) -> Evidence {
        Evidence {
            id: String::new(),
            fact: fact.to_owned(),
            value: value.to_owned(),
            link,
            vantage: Vantage::Source,
            outcome: Outcome::Answered,
            at,
            collector: collector.to_owned(),
            excerpt: bounded(excerpt.into()),
            subject: None,
            leg: Leg::Front,
        }
    }

    /// A fact that could not be asked, and why.
    pub fn unread(fact: &str, link: Link, at: Stamp, collector: &str, why: impl Into<String>) -> Evidence {
        Evidence { outcome: Outcome::CouldNotAsk, ..Evidence::seen(fact, "", link, at, collector, why) }
    }

    /// Marks that nothing came back within the wait.
    #[must_use]
    pub fn unanswered(mut self) -> Evidence {
        self.outcome = Outcome::NoAnswer;
        self
    }

    /// Names the address, hop or resolver it is about.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Evidence {
        self.subject = Some(subject.into());
        self
    }

    /// Says from where it was seen, when not from the source.
    #[must_use]
    pub fn from(mut self, vantage: Vantage) -> Evidence {
        self.vantage = vantage;
        self
    }

    /// True when it carries a value the inference may use.
    pub fn speaks(&self) -> bool {
        matches!(self.outcome, Outcome::Answered | Outcome::NoAnswer) && !self.value.is_empty()
    }
}

/// Cuts at a character border and drops control characters, so an excerpt is safe to print.
fn bounded(text: String) -> String {
    let mut clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.len() > EXCERPT_BYTES_MAX {
        let mut end = EXCERPT_BYTES_MAX - '…'.len_utf8();
        while !clean.is_char_boundary(end) {
            end -= 1;
        }
        clean.truncate(end);
        clean.push('…');
    }
    clean
}

/// The name of one question the engine can ask, such as `connect` or `tls.differential`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Question(pub String);

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpt_is_bounded_and_printable() {
        let long = format!("\u{1b}[31m{}", "路".repeat(400));
        let evidence = Evidence::seen("dns.answer", "ok", Link::Resolver, Stamp::default(), "t", long);
        assert!(evidence.excerpt.len() <= EXCERPT_BYTES_MAX);
        assert!(!evidence.excerpt.contains('\u{1b}'));
        assert!(evidence.excerpt.ends_with('…'));
    }
}
