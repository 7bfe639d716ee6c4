//! Chains and tables: where they hang, and their policies.

use super::verdict::Verdict;
use crate::fields::Fields;
use netwhy_model::host::{Backend, Hook, Rule};

/// One chain (NFTA_CHAIN_*).
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    pub(super) family: u8,
    pub(super) table: String,
    pub(super) name: String,
    pub(super) hook: Option<Hook>,
    pub(super) priority: i32,
    /// NF_DROP or NF_ACCEPT, of base chains.
    policy: Option<i32>,
    counter: Option<(u64, u64)>,
}

impl Chain {
    /// Reads an NFT_MSG_NEWCHAIN body behind its nfgenmsg.
    pub(super) fn parse(family: u8, attributes: &[u8]) -> Chain {
        let fields = Fields::of(attributes);
        let hook = fields.inside(4);
        let counter = fields.inside(8);
        Chain {
            family,
            table: fields.text(1),
            name: fields.text(3),
            hook: fields.find(4).and_then(|_| hook_of(family, hook.be32(1))),
            priority: hook.be32(2).cast_signed(),
            policy: fields.find(5).map(|_| fields.be32(5).cast_signed()),
            counter: fields.find(8).map(|_| (counter.be64(2), counter.be64(1))),
        }
    }

    /// The policy as a rule at position 0; `None` in a chain that is only jumped to.
    pub(super) fn policy_rule(&self) -> Option<Rule> {
        let hook = self.hook?;
        // A policy that is not said is to accept.
        let verdict = Verdict::of_netfilter(self.policy.unwrap_or(1));
        Some(Rule {
            backend: Backend::Nft,
            family: family_name(self.family).to_owned(),
            table: self.table.clone(),
            chain: self.name.clone(),
            hook: Some(hook),
            handle: 0,
            position: 0,
            text: format!("policy {}", verdict.text),
            verdict: verdict.verdict,
            matches: Vec::new(),
            counter: self.counter,
            comment: String::new(),
        })
    }
}

/// The name of a family (NFPROTO_*).
pub(crate) fn family_name(family: u8) -> &'static str {
    match family {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "unspec",
    }
}

/// The hook of a number, which each family counts its own way.
pub(crate) fn hook_of(family: u8, number: u32) -> Option<Hook> {
    const ARP: u8 = 3;
    const NETDEV: u8 = 5;
    let hooks: &[Hook] = match family {
        ARP => &[Hook::Input, Hook::Output, Hook::Forward],
        NETDEV => &[Hook::Ingress, Hook::Egress],
        _ => &[Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting, Hook::Ingress],
    };
    hooks.get(number as usize).copied()
}
