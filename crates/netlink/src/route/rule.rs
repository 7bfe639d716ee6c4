//! Policy rules: which table a packet is looked up in, as `ip rule` reads.

use super::{Listed, Prefix, V4, V6, list, name, table_name};
use crate::attribute::{address, attributes, be64, ne16, ne32};
use crate::connection::NetlinkError;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const GET_RULE: u16 = 34;
const HEADER_LEN: usize = 12;
/// Rules kept per family.
pub const RULE_COUNT_MAX: usize = 10_000;
const FLAG_INVERT: u32 = 2;
const FLAG_IN_DETACHED: u32 = 8;
const FLAG_OUT_DETACHED: u32 = 16;
/// "No suppression" as the kernel writes it.
const NO_SUPPRESSION: u32 = u32::MAX;

/// What a rule does with the packets it matches (FR_ACT_*).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RuleAction {
    #[default]
    Lookup,
    Goto(u32),
    Nothing,
    Blackhole,
    Unreachable,
    Prohibit,
    Other(u8),
}

/// One policy rule. Displays as `ip rule` would write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyRule {
    pub v6: bool,
    pub priority: u32,
    /// Matches what the conditions do not.
    pub invert: bool,
    pub from: Option<Prefix>,
    pub to: Option<Prefix>,
    pub tos: u8,
    /// Mark and mask.
    pub mark: Option<(u32, u32)>,
    pub interface_in: String,
    pub interface_out: String,
    /// The interface it names does not exist: the rule never matches.
    pub detached: bool,
    /// The table is that of the packet's VRF.
    pub vrf: bool,
    pub users: Option<(u32, u32)>,
    pub protocol: Option<u8>,
    pub source_ports: Option<(u16, u16)>,
    pub destination_ports: Option<(u16, u16)>,
    pub tunnel: Option<u64>,
    pub action: RuleAction,
    pub table: u32,
    /// Routes of this length or shorter found there do not count.
    pub suppress_length: Option<u32>,
}

impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}from ", self.priority, if self.invert { "not " } else { "" })?;
        match self.from {
            Some(from) => write!(f, "{from}")?,
            None => f.write_str("all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        self.write_conditions(f)?;
        match self.action {
            RuleAction::Lookup if self.vrf => f.write_str(" lookup [l3mdev-table]")?,
            RuleAction::Lookup => write!(f, " lookup {}", table_name(self.table))?,
            RuleAction::Goto(priority) => write!(f, " goto {priority}")?,
            RuleAction::Nothing => f.write_str(" nop")?,
            RuleAction::Blackhole => f.write_str(" blackhole")?,
            RuleAction::Unreachable => f.write_str(" unreachable")?,
            RuleAction::Prohibit => f.write_str(" prohibit")?,
            RuleAction::Other(number) => write!(f, " action {number}")?,
        }
        match self.suppress_length {
            Some(length) => write!(f, " suppress_prefixlength {length}"),
            None => Ok(()),
        }
    }
}

impl PolicyRule {
    fn write_conditions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tos != 0 {
            write!(f, " tos {:#04x}", self.tos)?;
        }
        match self.mark {
            Some((mark, u32::MAX)) => write!(f, " fwmark {mark:#x}")?,
            Some((mark, mask)) => write!(f, " fwmark {mark:#x}/{mask:#x}")?,
            None => {}
        }
        for (word, interface) in [("iif", &self.interface_in), ("oif", &self.interface_out)] {
            if !interface.is_empty() {
                write!(f, " {word} {interface}")?;
            }
        }
        if self.detached {
            f.write_str(" [detached]")?;
        }
        if let Some((first, last)) = self.users {
            write!(f, " uidrange {first}-{last}")?;
        }
        match self.protocol {
            Some(6) => f.write_str(" ipproto tcp")?,
            Some(17) => f.write_str(" ipproto udp")?,
            Some(other) => write!(f, " ipproto {other}")?,
            None => {}
        }
        for (word, ports) in [("sport", self.source_ports), ("dport", self.destination_ports)] {
            match ports {
                Some((first, last)) if first == last => write!(f, " {word} {first}")?,
                Some((first, last)) => write!(f, " {word} {first}-{last}")?,
                None => {}
            }
        }
        match self.tunnel {
            Some(id) => write!(f, " tun_id {id}"),
            None => Ok(()),
        }
    }
}

/// Lists the policy rules, IPv4 first, in the order they are tried.
pub fn rules() -> Result<Listed<PolicyRule>, NetlinkError> {
    let mut all = Listed { items: Vec::new(), complete: true };
    for family in [V4, V6] {
        let mut header = [0_u8; HEADER_LEN];
        header[0] = family;
        let found = match list(GET_RULE, &header, RULE_COUNT_MAX, parse_rule) {
            // A kernel without policy routing, or without IPv6.
            Err(NetlinkError::Refused(_)) => continue,
            other => other?,
        };
        all.complete &= found.complete;
        all.items.extend(found);
    }
    Ok(all)
}

/// Reads one rule; `None` when it is too short or of another family.
pub fn parse_rule(message: &[u8]) -> Option<PolicyRule> {
    let head = message.first_chunk::<HEADER_LEN>()?;
    let any: IpAddr = match head[0] {
        V4 => Ipv4Addr::UNSPECIFIED.into(),
        V6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let flags = ne32(&head[8..]);
    let mut rule = PolicyRule {
        v6: head[0] == V6,
        invert: flags & FLAG_INVERT != 0,
        detached: flags & (FLAG_IN_DETACHED | FLAG_OUT_DETACHED) != 0,
        tos: head[3],
        table: u32::from(head[4]),
        from: (head[2] != 0).then_some(Prefix { address: any, length: head[2] }),
        to: (head[1] != 0).then_some(Prefix { address: any, length: head[1] }),
        ..PolicyRule::default()
    };
    let (mut goto, mut mark, mut mask) = (0, 0, None);
    for (kind, value) in attributes(message.get(HEADER_LEN..)?) {
        match kind {
            1 => rule.to = address(value).map(|address| Prefix { address, length: head[1] }),
            2 => rule.from = address(value).map(|address| Prefix { address, length: head[2] }),
            3 => rule.interface_in = name(value),
            4 => goto = ne32(value),
            6 => rule.priority = ne32(value),
            10 => mark = ne32(value),
            12 => rule.tunnel = Some(be64(value)),
            14 => rule.suppress_length = Some(ne32(value)).filter(|length| *length != NO_SUPPRESSION),
            15 => rule.table = ne32(value),
            16 => mask = Some(ne32(value)),
            17 => rule.interface_out = name(value),
            19 => rule.vrf = value.first().is_some_and(|set| *set != 0),
            20 => rule.users = Some((ne32(value), value.get(4..).map_or(0, ne32))),
            22 => rule.protocol = value.first().copied(),
            23 => rule.source_ports = Some((ne16(value), value.get(2..).map_or(0, ne16))),
            24 => rule.destination_ports = Some((ne16(value), value.get(2..).map_or(0, ne16))),
            _ => {}
        }
    }
    let mask = mask.unwrap_or(if mark == 0 { 0 } else { u32::MAX });
    rule.mark = (mark != 0 || mask != 0).then_some((mark, mask));
    rule.action = action(head[7], goto);
    Some(rule)
}

fn action(number: u8, goto: u32) -> RuleAction {
    match number {
        1 => RuleAction::Lookup,
        2 => RuleAction::Goto(goto),
        3 => RuleAction::Nothing,
        6 => RuleAction::Blackhole,
        7 => RuleAction::Unreachable,
        8 => RuleAction::Prohibit,
        other => RuleAction::Other(other),
    }
}
