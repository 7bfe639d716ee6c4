//! What is said of one packet.

use netwhy_model::Text;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Accept,
    Drop,
    Reject,
    Depends,
}

/// A rule by its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleAt {
    pub table: Arc<str>,
    pub chain: Arc<str>,
    /// The number in its chain, from 0.
    pub rule: u32,
    pub line: u32,
}

/// The chain whose policy decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyOf {
    pub table: Arc<str>,
    pub chain: Arc<str>,
}

/// Addresses and ports as they leave the host; `None` is the kernel's free choice, or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rewritten {
    pub src: Option<IpAddr>,
    pub dst: Option<IpAddr>,
    pub sport: Option<u16>,
    pub dport: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Outcome,
    /// For depends: on what.
    pub reasons: Vec<Text>,
    /// The rule that ended the packet's way, or the last one that accepted it at the hook asked for.
    pub rule: Option<RuleAt>,
    pub policy_of: Option<PolicyOf>,
    /// When translation changed something.
    pub rewritten: Option<Rewritten>,
    /// Every rule that matched for certain, in order; empty unless asked for.
    pub trail: Vec<RuleAt>,
}

/// A decision as the line of JSON that answers a packet.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    pub verdict: Outcome,
    /// The number in its chain of the rule that decided; null when a policy did.
    pub rule: Option<u32>,
    pub line: Option<u32>,
    pub table: Option<&'a str>,
    pub chain: Option<&'a str>,
    pub rewritten: Option<Rewritten>,
    #[serde(skip_serializing_if = "<[Text]>::is_empty")]
    pub reasons: &'a [Text],
    #[serde(skip_serializing_if = "<[RuleAt]>::is_empty")]
    pub trail: &'a [RuleAt],
}

impl Decision {
    /// The line of JSON: table and chain are those of the rule, or of the policy, that decided.
    pub fn answer(&self) -> Answer<'_> {
        let (rule, policy) = (self.rule.as_ref(), self.policy_of.as_ref());
        Answer {
            verdict: self.verdict,
            rule: rule.map(|at| at.rule),
            line: rule.map(|at| at.line),
            table: rule.map(|at| &*at.table).or(policy.map(|at| &*at.table)),
            chain: rule.map(|at| &*at.chain).or(policy.map(|at| &*at.chain)),
            rewritten: self.rewritten,
            reasons: &self.reasons,
            trail: &self.trail,
        }
    }
}
