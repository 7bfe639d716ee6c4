//! What is said of a request: the JSON contract `netwhy.waf/1`.

use crate::place::Unread;
use netwhy_model::Text;
use serde::Serialize;
use std::sync::Arc;

/// The name of the contract.
pub const SCHEMA: &str = "netwhy.waf/1";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Passed,
    Blocked,
    /// On what is not in the files.
    Depends,
}

/// What becomes of one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    pub verdict: Verdict,
    /// Whether a rule that was understood stops it.
    pub blocked: bool,
    /// The rule that stops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// The rules it trips, in the order they are met.
    pub tripped: Vec<Tripped>,
    /// The anomaly score that came together.
    pub score: i64,
    /// From which score on it is blocked, where the rules say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<i64>,
    /// Rules that cannot be decided.
    pub unsure: Vec<Unsure>,
    /// What was taken for granted, since no file says it.
    pub assumed: Vec<Text>,
}

/// A rule, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct By {
    pub id: u64,
    pub file: Arc<str>,
    pub line: u32,
    /// The answer the client gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub why: Text,
}

/// A rule that the request trips.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tripped {
    pub id: u64,
    pub phase: u8,
    pub file: Arc<str>,
    pub line: u32,
    pub msg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What it adds to the anomaly score.
    pub score: i64,
    /// The first thing it matched: `ARGS:q`.
    pub variable: String,
    /// What of it matched, after the transformations.
    pub matched: String,
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paranoia: Option<u8>,
    /// Everything that its first condition matched.
    pub hits: Vec<Hit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    pub variable: String,
    pub matched: String,
    /// Whether the number of members matched, and not one of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub count: bool,
}

/// A rule that may or may not be tripped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unsure {
    pub id: u64,
    pub file: Arc<str>,
    pub line: u32,
    pub why: Text,
}

/// The answers to all requests, as `netwhy policy waf --json` prints them.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    pub schema: &'static str,
    pub answers: Vec<Answered>,
    pub unread: Vec<Unread>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Answered {
    /// `GET /path?query`, or the name the file gives.
    pub request: String,
    #[serde(flatten)]
    pub answer: Answer,
    /// What would let it through, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<crate::exclusion::Plan>,
}
