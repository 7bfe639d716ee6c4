//! The neutral model: a gate is one list of rules that lets packets through or does not, whoever's it is.

use crate::place::Place;
use crate::space::Cube;
use netwhy_model::Text;
use std::sync::Arc;

/// What a rule, or the end of a list, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    Allow,
    /// Silently.
    Deny,
    /// With an answer to the sender.
    Reject,
    /// Decides nothing: the next rule is asked (a mark, a log, a jump to another chain).
    Pass,
    /// Leaves the list undecided: no later rule of it is asked (return, goto, a queue, a map of verdicts).
    Leave,
}

impl Action {
    /// Whether packets fare alike, an answer to the sender aside.
    pub const fn is_like(self, other: Action) -> bool {
        matches!(
            (self, other),
            (Action::Allow, Action::Allow)
                | (Action::Deny | Action::Reject, Action::Deny | Action::Reject)
                | (Action::Leave, Action::Leave)
        )
    }
}

/// Whose semantics and syntax a gate has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Nft,
    Iptables,
    AwsSecurityGroup,
    AwsNetworkAcl,
    AzureNetworkSecurityGroup,
    GcpFirewall,
    AliyunSecurityGroup,
    AliyunNetworkAcl,
    TencentSecurityGroup,
    TencentNetworkAcl,
    HuaweiSecurityGroup,
    HuaweiNetworkAcl,
    KubernetesNetworkPolicy,
    ZeroTrust,
}

/// How the rules of a list work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// The first rule that matches decides. Priorities and "deny wins ties" are this order after sorting.
    FirstMatch,
    /// Every rule allows; their order means nothing.
    AllowOnly,
}

#[derive(Debug, Clone)]
pub struct Rule {
    /// As its owner counts it: the number in its chain from 0, the entry's number, the index in the file's list.
    pub number: u32,
    /// The group, chain or policy it came from, where a gate joins several.
    pub part_of: Arc<str>,
    pub place: Place,
    /// The rule in its owner's words.
    pub text: String,
    pub action: Action,
    /// The packets it matches, never overlapping by need; empty when it matches none.
    pub cubes: Vec<Cube>,
    /// Conditions that are not modelled: the rule may match fewer packets than `cubes`.
    pub unmodelled: Vec<Text>,
}

/// Which way the packets of a gate go, seen from what it protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Inbound,
    Outbound,
    /// Both ends are elsewhere: a router's forward chain.
    Through,
}

#[derive(Debug, Clone)]
pub struct Gate {
    pub kind: Kind,
    pub direction: Direction,
    pub name: String,
    pub place: Place,
    pub order: Order,
    /// The answers to what was let through come back without being asked.
    pub stateful: bool,
    /// Sorted as they are asked.
    pub rules: Vec<Rule>,
    /// What happens when no rule matches.
    pub default: Action,
    /// Why, in its owner's words: "no rule of a security group allows it".
    pub default_text: Text,
}
