//! Matches and targets of xtables, as iptables-save(8) writes them.
//!
//! Both ip_tables and nf_tables (through nft_compat) hand them over as the extension's own struct; layouts are
//! those of linux/netfilter/xt_*.h.

mod condition;
mod info;
mod nat;
mod port;
mod rate;
mod target;

pub(crate) use info::{Info, network};
pub(crate) use target::target_fragment;

use crate::source::SourceCondition;
use netwhy_model::host::{Match, RuleVerdict};

/// A named set of ipset(8), as far as a rule's meaning depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedSet {
    pub(crate) name: String,
    /// Its elements are networks or ranges that stay.
    pub(crate) has_ranges: bool,
}

/// Where an extension is met.
pub(crate) struct Place<'a> {
    pub(crate) is_ip6: bool,
    /// Finds an ipset by its index.
    pub(crate) ipsets: &'a dyn Fn(u16) -> Option<NamedSet>,
}

/// What one extension says.
#[derive(Debug, Default)]
pub(crate) struct Fragment {
    /// `-m limit --limit 5/min`, without a space around it.
    pub(crate) text: String,
    pub(crate) matches: Vec<Match>,
    /// A condition on the source, and whether it is negated.
    pub(crate) source: Option<(SourceCondition, bool)>,
    /// Only of targets.
    pub(crate) verdict: Option<RuleVerdict>,
    pub(crate) comment: String,
}

impl Fragment {
    fn new(text: impl Into<String>, kind: Match) -> Fragment {
        Fragment { text: text.into(), matches: vec![kind], ..Fragment::default() }
    }
}

/// `! ` when negated.
fn not(negated: bool) -> &'static str {
    if negated { "! " } else { "" }
}

/// Reads a match; `None` when it is not known here.
pub(crate) fn match_fragment(name: &str, revision: u32, info: &[u8], place: &Place<'_>) -> Option<Fragment> {
    let info = Info(info);
    match name {
        "tcp" => Some(port::tcp(info)),
        "udp" | "udplite" => Some(port::udp(name, info)),
        "icmp" | "icmp6" => Some(port::icmp(name, info)),
        "multiport" => Some(port::multiport(revision, info)),
        "sctp" | "dccp" => Some(port::plain(name, info)),
        "limit" => Some(rate::limit(info)),
        "hashlimit" => Some(rate::hashlimit(revision, info, place.is_ip6)),
        "connlimit" => Some(rate::connlimit(info, place.is_ip6)),
        "recent" => Some(rate::recent(revision, info, place.is_ip6)),
        "conntrack" => Some(condition::conntrack(revision, info, place.is_ip6)),
        "state" => Some(condition::state(info)),
        "set" => Some(condition::set(info, place)),
        "comment" => Some(Fragment { comment: info.text(0, 256), ..Fragment::default() }),
        _ => condition::other(name, revision, info, place.is_ip6),
    }
}
