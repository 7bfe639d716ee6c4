//! Firewall rules as the running kernel has them, with their counters.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Which machinery holds a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// nf_tables, native or through iptables-nft.
    Nft,
    /// ip_tables and ip6_tables (iptables-legacy).
    Xtables,
}

/// Where in the kernel's way of a packet a chain hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    Ingress,
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    Egress,
}

/// What a rule does with a packet that matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleVerdict {
    Accept,
    Drop,
    /// Answers with this: `tcp-reset`, or `icmp 3/13`.
    Reject(String),
    Jump(String),
    Goto(String),
    Return,
    Queue,
    /// Source or destination translation: `dnat to 10.0.0.2:8080`, `masquerade`.
    Nat(String),
    NoTrack,
    /// The kernel answers SYNs itself (SYNPROXY).
    SynProxy,
    /// Counts, marks or logs, and the packet goes on.
    Continue,
}

/// What kind of condition a rule has, for telling a ban from a limit from a plain rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// Single source addresses, or a set of them with timeouts or added at run time.
    SourceBan,
    /// Source ranges: an allow list (`saddr != ranges drop`), or ranges accepted before a final drop.
    SourceRange,
    DestinationPort,
    SourcePort,
    DestinationAddress,
    /// More than so many packets per time (`limit`, `hashlimit`, a dynamic set with a rate).
    Rate,
    /// More than so many connections (`ct count`, `connlimit`).
    ConnectionCount,
    /// `ct state`, `ct status`.
    ConnectionState,
    Interface,
    TcpFlags,
    /// Payload or string match, length, TTL and whatever else.
    Other,
    Mark,
    User,
}

/// One rule with its place and counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub backend: Backend,
    /// `ip`, `ip6`, `inet`, `netdev`, `bridge`, `arp`.
    pub family: String,
    pub table: String,
    pub chain: String,
    /// The hook of its base chain; `None` in a chain that is only jumped to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,
    /// nf_tables: its handle. xtables: its number in the chain, from 1.
    pub handle: u64,
    /// Its place in the chain, from 1; 0 is the chain's policy.
    pub position: u32,
    /// The rule as its own tool would write it, without the counter.
    pub text: String,
    pub verdict: RuleVerdict,
    pub matches: Vec<Match>,
    /// Packets and bytes; `None` when the rule has no counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<(u64, u64)>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

impl Rule {
    /// `inet filter input handle 7`, or `iptables filter INPUT rule 3`.
    pub fn place(&self) -> String {
        match (self.backend, self.position) {
            (_, 0) => format!("{} {} {} policy", self.family, self.table, self.chain),
            (Backend::Nft, _) => {
                format!("{} {} {} handle {}", self.family, self.table, self.chain, self.handle)
            }
            (Backend::Xtables, _) => {
                let tool = if self.family == "ip6" { "ip6tables-legacy" } else { "iptables-legacy" };
                format!("{tool} {} {} rule {}", self.table, self.chain, self.handle)
            }
        }
    }
}

/// A named set or map, bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RulesetSet {
    pub family: String,
    pub table: String,
    pub name: String,
    /// Elements in all; `elements` may hold fewer.
    pub count: u64,
    pub elements: Vec<String>,
    /// Elements are added by packets or expire by themselves, as fail2ban-like bans do.
    pub dynamic: bool,
}

/// Every rule of a host, in the order the kernel walks a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ruleset {
    /// Rules and, at position 0, the policy of every base chain (its verdict, its counter when it has one).
    pub rules: Vec<Rule>,
    pub sets: Vec<RulesetSet>,
    /// What could not be decoded, each with its place.
    pub not_understood: Vec<String>,
}

/// One step of a traced packet (NFNLGRP_NFTRACE): the rule or policy that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStep {
    /// Joins the steps of one packet.
    pub packet: u32,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub family: String,
    pub table: String,
    pub chain: String,
    pub hook: Option<Hook>,
    /// 0 when the chain's policy decided.
    pub handle: u64,
    pub verdict: RuleVerdict,
    /// The rule's text, when the ruleset was read.
    pub text: String,
}
