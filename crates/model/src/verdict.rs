//! What is concluded: the JSON contract `netwhy.verdict/1`.

use crate::{Evidence, Layer, Link};
use serde::{Deserialize, Serialize};

/// The schema of a verdict.
pub const VERDICT_SCHEMA: &str = "netwhy.verdict/1";

/// Whether the target can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reachability {
    /// Every attempt got through, whatever was then answered.
    Reachable,
    /// No attempt got through.
    Unreachable,
    /// Some attempts got through, some did not.
    Inconsistent,
    /// Not enough was seen to say.
    Undetermined,
}

/// The state of one link in the drawing of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    Well,
    /// Works, but something here misses what was expected.
    Ailing,
    Broken,
    /// Suspected: it is one of a group that could not be told apart.
    Suspect,
    /// Nothing was asked here, or nothing could be.
    Unknown,
}

/// One suspected cause with its confidence, 0 to 1, and the evidence that speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CauseFinding {
    /// An id of the catalogue.
    pub id: String,
    pub link: Link,
    pub layer: Layer,
    /// The calibrated posterior, 0 to 1.
    pub confidence: f64,
    pub summary: String,
    /// Ids of evidence, strongest first.
    pub proof: Vec<String>,
    /// What mends it, one sentence or command each, safest first.
    pub fixes: Vec<FixStep>,
    /// Whether this cause was ever injected and found in the lab.
    pub proven_in_lab: bool,
}

/// One step that mends a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixStep {
    /// What kind of change, such as `service.start`.
    pub kind: String,
    pub text: String,
    /// A command to run, when one can be given; never run by `diagnose`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A look-alike that the evidence excludes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuledOut {
    pub id: String,
    pub summary: String,
    /// Ids of evidence that speak against it, strongest first.
    pub by: Vec<String>,
}

/// Something that could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouldNotRead {
    pub what: String,
    pub why: String,
}

/// The measurement that would settle what is open, and what it splits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextQuestion {
    pub ask: String,
    pub splits: Vec<String>,
}

/// Where the time went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    pub total: u64,
}

/// Rules of files say one thing, the wire another: the fault lies on one side of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    pub side: Side,
    pub text: String,
    /// The ids of the evidence on both sides.
    pub by: Vec<String>,
}

/// On which side of a disagreement the fault lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The rules let it through and nothing answers: it is stopped where the files do not look.
    BeyondRules,
    /// The rules stop it and it connects: the files are not what runs.
    Files,
}

/// The verdict on one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub schema: String,
    pub target: String,
    pub reachability: Reachability,
    /// True only when everything asked answered well and nothing that matters went unasked.
    pub healthy: bool,
    /// One sentence for a tired reader.
    pub sentence: String,
    pub chain: Vec<ChainLink>,
    /// Ranked, most likely first; empty when nothing is wrong.
    pub causes: Vec<CauseFinding>,
    pub ruled_out: Vec<RuledOut>,
    /// Where what the rules of files say differs from what the wire did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<Disagreement>,
    pub could_not_read: Vec<CouldNotRead>,
    pub next: Vec<NextQuestion>,
    pub evidence: Vec<Evidence>,
    pub timing_ms: Timing,
}

/// One link of the drawn chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLink {
    pub link: Link,
    pub state: LinkState,
    /// What stands here: an address, a name, a hop count.
    pub label: String,
}
