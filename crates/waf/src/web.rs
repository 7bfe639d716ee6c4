//! What nginx's and haproxy's own rules have in common: what they say of a request, and truth that may be unknown.

use crate::answer::{SCHEMA, Verdict};
use crate::place::{Place, shown};
use netwhy_model::Text;
use serde::Serialize;

/// What the rules of a web server do to one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebAnswer {
    pub schema: &'static str,
    pub verdict: Verdict,
    /// The rules that stop it: every one that would, in the order they are met.
    pub stops: Vec<WebRule>,
    /// Rates from which on it would be stopped.
    pub limits: Vec<WebRule>,
    /// Rules that may stop it, depending on what is not in the files.
    pub unsure: Vec<WebRule>,
}

/// One rule, and what it means for the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebRule {
    #[serde(flatten)]
    pub place: Place,
    /// As written.
    pub rule: String,
    /// The answer the client gets; none where the connection is just closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub why: Text,
}

impl WebRule {
    pub fn new(place: &Place, rule: &str, status: Option<u16>, why: Text) -> WebRule {
        WebRule { place: place.clone(), rule: shown(rule.as_bytes()), status, why }
    }
}

/// How many rules are told of each kind.
const RULES_COUNT_MAX: usize = 1000;

/// An answer while it is being worked out.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    pub stops: Vec<WebRule>,
    pub limits: Vec<WebRule>,
    pub unsure: Vec<WebRule>,
}

impl Findings {
    pub fn note(list: &mut Vec<WebRule>, rule: WebRule) {
        if list.len() < RULES_COUNT_MAX && !list.contains(&rule) {
            list.push(rule);
        }
    }

    pub fn answer(self) -> WebAnswer {
        let verdict = if !self.stops.is_empty() {
            Verdict::Blocked
        } else if self.limits.is_empty() && self.unsure.is_empty() {
            Verdict::Passed
        } else {
            Verdict::Depends
        };
        WebAnswer { schema: SCHEMA, verdict, stops: self.stops, limits: self.limits, unsure: self.unsure }
    }
}

/// Whether something holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    Yes,
    No,
    /// It depends on this.
    Unknown(Text),
}

impl Truth {
    pub fn of(holds: bool) -> Truth {
        if holds { Truth::Yes } else { Truth::No }
    }

    pub fn from(holds: Result<bool, Text>) -> Truth {
        holds.map_or_else(Truth::Unknown, Truth::of)
    }

    pub fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Yes, other) => other,
            (unknown, _) => unknown,
        }
    }

    pub fn or(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::Yes, _) | (_, Truth::Yes) => Truth::Yes,
            (Truth::No, other) => other,
            (unknown, _) => unknown,
        }
    }

    #[must_use]
    pub fn negated(self, negated: bool) -> Truth {
        match self {
            Truth::Yes if negated => Truth::No,
            Truth::No if negated => Truth::Yes,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_matters_only_where_the_rest_does_not_decide() {
        let unknown = || Truth::Unknown(crate::place::both("a", "a"));
        assert_eq!(unknown().and(Truth::No), Truth::No);
        assert_eq!(unknown().or(Truth::Yes), Truth::Yes);
        assert_eq!(Truth::Yes.and(unknown()), unknown());
        assert_eq!(unknown().negated(true), unknown());
    }
}
