//! One cause: what it is, how it looks, and which facts it makes take which value.

use crate::Word;
use netwhy_model::{Layer, Link, Text};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How common a cause is among all faults met in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prior {
    Rare,
    Uncommon,
    Common,
    VeryCommon,
}

impl Prior {
    /// Relative weight before normalising over the catalogue.
    pub const fn weight(self) -> f64 {
        match self {
            Prior::VeryCommon => 16.0,
            Prior::Common => 6.0,
            Prior::Uncommon => 2.5,
            Prior::Rare => 1.0,
        }
    }
}

/// Who can prove a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeenFrom {
    Client,
    Server,
    Both,
    Control,
    Path,
}

/// One step that mends a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// Such as `service.start`.
    pub kind: String,
    pub text: Text,
    pub command: Option<String>,
}

/// One cause of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct CauseEntry {
    pub id: String,
    pub layer: Layer,
    /// The links it can sit on, most likely first; never empty.
    pub on: Vec<Link>,
    pub prior: Prior,
    pub seen_from: SeenFrom,
    pub lookalikes: Vec<String>,
    pub title: Text,
    pub what: Text,
    pub looks: Text,
    pub prove: Text,
    pub fixes: Vec<Fix>,
    /// Fact → value → how often. What it does not name stays as when nothing is wrong.
    pub expects: BTreeMap<String, BTreeMap<String, Word>>,
    /// Another way the same cause can look, when it is not a blend of the first.
    pub also: BTreeMap<String, BTreeMap<String, Word>>,
    /// The same for a cause that sits on the origin behind a node, seen through that node.
    pub behind: BTreeMap<String, BTreeMap<String, Word>>,
    /// What both ends of the connection it sits on see of it; holds with `expects` and `also` alike.
    pub ends: BTreeMap<String, BTreeMap<String, Word>>,
    /// For a cause of the node in front: what the connection from the node to the origin shows.
    pub inner: BTreeMap<String, BTreeMap<String, Word>>,
    /// A scenario of the lab injects it for real and the client's evidence finds it.
    pub proven: bool,
}

impl CauseEntry {
    /// True when evidence can speak of this cause at all.
    pub fn has_evidence(&self) -> bool {
        !self.expects.is_empty() || !self.behind.is_empty() || !self.ends.is_empty()
    }
}
