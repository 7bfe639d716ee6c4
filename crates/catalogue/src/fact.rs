//! Facts and the questions that answer them.

use crate::Word;
use netwhy_model::{Link, Text};
use std::collections::BTreeMap;

/// One declared fact.
#[derive(Debug, Clone, PartialEq)]
pub struct FactEntry {
    pub name: String,
    pub text: Text,
    pub link: Link,
    /// The question that answers it.
    pub ask: String,
    /// What else could make it look so.
    pub forged_by: Option<String>,
    /// Every value it may take, with how often when nothing is wrong.
    pub values: BTreeMap<String, Word>,
}

/// What asking needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privilege {
    None,
    /// CAP_NET_RAW; without it the question answers less, and says so.
    Raw,
}

/// One question: a probe that answers several facts at once.
#[derive(Debug, Clone, PartialEq)]
pub struct QuestionEntry {
    pub name: String,
    pub text: Text,
    /// Typical cost on a healthy target, in milliseconds.
    pub cost_ms: f64,
    /// Cost when nothing answers, in milliseconds.
    pub worst_ms: f64,
    /// 0 none · 1 as a user · 2 as a curious user · 3 noticeable.
    pub intrusive: u8,
    pub privilege: Privilege,
}
