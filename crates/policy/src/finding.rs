//! What a check of rules finds: with its place, what it means, and what to do.

use crate::place::Place;
use netwhy_model::Text;
use serde::Serialize;

/// What is wrong. The words are part of `netwhy.lint/1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The rule never matches: rules before it take all its packets, or its conditions exclude each other.
    Dead,
    /// The rule matches, and without it nothing changes.
    Redundant,
    /// Two rules with different actions overlap, and only their order decides.
    Conflict,
    /// Packets may go, their answers may not come back.
    OneWay,
    /// Open to far more than one would want.
    OverPermissive,
    /// A set, group, chain or policy that nothing uses.
    Unused,
    /// It names what is not there.
    Dangling,
    /// Addresses that must be let through are not.
    Missing,
    /// A health check that cannot pass, flaps, or notices late.
    HealthCheck,
    /// Anything else that will not work as written.
    Faulty,
}

impl Kind {
    /// Every kind, for documentation and SARIF.
    pub const ALL: [Kind; 10] = [
        Kind::Dead,
        Kind::Redundant,
        Kind::Conflict,
        Kind::OneWay,
        Kind::OverPermissive,
        Kind::Unused,
        Kind::Dangling,
        Kind::Missing,
        Kind::HealthCheck,
        Kind::Faulty,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Note,
    Warning,
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: Kind,
    pub level: Level,
    #[serde(flatten)]
    pub place: Place,
    /// The gate, chain, group or object it is about.
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
}
