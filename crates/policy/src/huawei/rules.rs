//! Rules of Huawei's security groups and network ACLs.

use super::said;
use crate::cloud::facts::{Acl, Facts, Group};
use crate::cloud::fields::{each, field, flag, word, words};
use crate::cloud::list::Entry;
use crate::cloud::notes::Notes;
use crate::doc::Node;
use crate::gate::Action;
use crate::place::Unread;
use crate::read::{ALL_PORTS, Match, Span, private};
use crate::space::{Family, Protocols};
use std::collections::HashMap;
use std::sync::Arc;

/// "The priority ranges from 1 to 100, 1 is the highest"; one without has it.
const PRIORITY_DEFAULT: i64 = 1;

type Ports = Vec<(u16, u16)>;
type Sets<'a> = HashMap<&'a str, Vec<&'a str>>;

pub(super) fn read(nodes: &[&Node], facts: &mut Facts, unread: &mut Vec<Unread>) {
    let sets = address_groups(nodes);
    let mut counts: HashMap<String, u32> = HashMap::new();
    let mut seen: Vec<&str> = Vec::new();
    for node in nodes {
        if node.get("security_group_rules").is_some() && node.get("id").is_some() {
            let group = facts.group(word(node, "id").unwrap_or_default());
            word(node, "name").unwrap_or_default().clone_into(&mut group.name);
            group.place = Some(node.place.clone());
        }
        if let (Some(id), Some(direction)) = (word(node, "security_group_id"), word(node, "direction")) {
            // A rule may stand in its group's answer and in a list of rules.
            let rule = word(node, "id").unwrap_or_default();
            if !rule.is_empty() && seen.contains(&rule) {
                continue;
            }
            seen.push(rule);
            let number = counts.entry(id.to_owned()).or_default();
            let inbound = direction.eq_ignore_ascii_case("ingress");
            let entry = rule_entry(node, *number, id, inbound, facts, &sets, unread);
            if let Some(other) = word(node, "remote_group_id").filter(|other| !other.is_empty()) {
                facts.references.push((other.to_owned(), node.place.clone(), id.to_owned(), *number));
            }
            *number += 1;
            let group = facts.group(id);
            group.place.get_or_insert_with(|| node.place.clone());
            if inbound { group.inbound.push(entry) } else { group.outbound.push(entry) }
        }
        if node.get("ingress_rules").is_some() || node.get("egress_rules").is_some() {
            facts.acls.extend(acl(node, &sets, unread));
        }
    }
}

fn address_groups<'a>(nodes: &[&'a Node]) -> Sets<'a> {
    let of = |node: &&'a Node| {
        let id = word(node, "id")
            .filter(|_| node.get("ip_set").is_some() || node.get("ip_extra_set").is_some())?;
        let mut listed = words(node, "ip_set");
        listed.extend(each(node, "ip_extra_set").iter().filter_map(|one| word(one, "ip")));
        Some((id, listed))
    };
    nodes.iter().filter_map(of).collect()
}

fn family(text: Option<&str>) -> Option<Family> {
    match text?.to_ascii_lowercase().as_str() {
        "ipv4" | "4" => Some(Family::V4),
        "ipv6" | "6" => Some(Family::V6),
        _ => None,
    }
}

fn rule_entry(
    rule: &Node,
    number: u32,
    id: &str,
    inbound: bool,
    facts: &Facts,
    sets: &Sets<'_>,
    unread: &mut Vec<Unread>,
) -> Entry {
    let mut notes = Notes::default();
    let family = family(word(rule, "ethertype"));
    let of_family = |spans: Vec<Span>| -> Vec<Span> {
        spans.into_iter().filter(|span| family.is_none_or(|family| span.family == family)).collect()
    };
    let peers = of_family(peers(rule, facts, sets, &mut notes));
    let own = of_family(Span::anywhere());
    let (source_ports, destination_ports, protocols) = layers(rule, family, &mut notes);
    let (sources, destinations) = if inbound { (peers, own) } else { (own, peers) };
    let action = word(rule, "action").unwrap_or("allow");
    let part = |name: &str| word(rule, name).unwrap_or("-").to_owned();
    Entry {
        number,
        part_of: Arc::from(id),
        place: rule.place.clone(),
        text: format!(
            "{action} {} {} {} {}",
            part("direction"),
            part("protocol"),
            [part("multiport"), part("remote_ip_prefix"), part("remote_group_id")].join(" "),
            part("description"),
        ),
        action: if action.eq_ignore_ascii_case("allow") { Action::Allow } else { Action::Deny },
        priority: notes.number(word(rule, "priority"), PRIORITY_DEFAULT),
        matches: vec![Match { sources, destinations, protocols, source_ports, destination_ports }],
        unmodelled: notes.finish(rule, unread),
    }
}

/// Source ports, destination ports and protocols; for ICMP the type and the code stand where the ports would.
fn layers(rule: &Node, family: Option<Family>, notes: &mut Notes) -> (Ports, Ports, Protocols) {
    let name = word(rule, "protocol");
    let mut protocols = notes.protocols(name);
    if name.is_some_and(|name| name.eq_ignore_ascii_case("icmp")) && family == Some(Family::V6) {
        protocols = Protocols::ICMPV6;
    }
    let number = |name: &str| word(rule, name).and_then(|text| text.parse::<u16>().ok());
    let (first, last) = (number("port_range_min"), number("port_range_max"));
    if protocols == Protocols::ICMP || protocols == Protocols::ICMPV6 {
        let one = |number: Option<u16>| number.map_or(ALL_PORTS, |number| (number, number));
        return (vec![one(first)], vec![one(last)], protocols);
    }
    let ports = match (first, last) {
        (Some(first), Some(last)) if first <= last => vec![(first, last)],
        _ => notes.ports(word(rule, "multiport")),
    };
    (vec![ALL_PORTS], ports, protocols)
}

/// The other end: a prefix, the members of a group, an address group; anybody when none is said.
fn peers(rule: &Node, facts: &Facts, sets: &Sets<'_>, notes: &mut Notes) -> Vec<Span> {
    if said(rule, "remote_ip_prefix") {
        return notes.span(word(rule, "remote_ip_prefix").unwrap_or_default());
    }
    let mut spans = Vec::new();
    if let Some(group) = word(rule, "remote_group_id").filter(|group| !group.is_empty()) {
        match facts.of_group(group) {
            Some(members) => spans.extend(members),
            None => notes.open(&mut spans, &private(), group),
        }
        return spans;
    }
    if let Some(set) = word(rule, "remote_address_group_id").filter(|set| !set.is_empty()) {
        match sets.get(set) {
            Some(listed) => spans.extend(listed.iter().flat_map(|text| notes.span(text))),
            None => notes.open(&mut spans, &Span::anywhere(), set),
        }
        return spans;
    }
    Span::anywhere()
}

/// "Traffic is matched against the groups in their order, … first by priority, then by action: deny before allow";
/// what matches no rule of any group is denied.
pub(super) fn join(_facts: &Facts, groups: &[&Group], inbound: bool) -> (Vec<Entry>, Action) {
    let own = |group: &&Group| {
        let mut entries = if inbound { group.inbound.clone() } else { group.outbound.clone() };
        entries.sort_by_key(|entry| (entry.priority, entry.action == Action::Allow));
        entries
    };
    (groups.iter().flat_map(own).collect(), Action::Deny)
}

/// A network ACL; one that is switched off filters nothing.
fn acl(node: &Node, sets: &Sets<'_>, unread: &mut Vec<Unread>) -> Option<Acl> {
    if flag(node, "admin_state_up") == Some(false) {
        return None;
    }
    let id = word(node, "id")?.to_owned();
    let mut list = |name: &str| {
        let on = |rule: &&Node| flag(rule, "enabled") != Some(false);
        let rules = each(node, name).iter().enumerate().filter(|(_, rule)| on(rule));
        rules.map(|(at, rule)| acl_entry(rule, at, &id, sets, unread)).collect()
    };
    let (inbound, outbound) = (list("ingress_rules"), list("egress_rules"));
    let subnets =
        each(node, "associations").iter().filter_map(|one| word(one, "virsubnet_id")).map(str::to_owned);
    Some(Acl { place: node.place.clone(), subnets: subnets.collect(), inbound, outbound, id })
}

fn acl_entry(rule: &Node, at: usize, id: &str, sets: &Sets<'_>, unread: &mut Vec<Unread>) -> Entry {
    let mut notes = Notes::default();
    let side = |end: &str, notes: &mut Notes| {
        if let Some(text) = word(rule, &format!("{end}_ip_address")).filter(|text| !text.is_empty()) {
            return notes.span(text);
        }
        let set = field(rule, &format!("{end}_address_group_id")).and_then(Node::text);
        match set.filter(|set| !set.is_empty()).map(|set| (set, sets.get(set))) {
            Some((_, Some(listed))) => listed.iter().flat_map(|text| notes.span(text)).collect(),
            Some((set, None)) => {
                let mut spans = Vec::new();
                notes.open(&mut spans, &Span::anywhere(), set);
                spans
            }
            None => Span::anywhere(),
        }
    };
    let action = word(rule, "action").unwrap_or("deny");
    let part = |name: &str| word(rule, name).unwrap_or("-").to_owned();
    Entry {
        number: u32::try_from(at).unwrap_or(u32::MAX),
        part_of: Arc::from(id),
        place: rule.place.clone(),
        text: format!(
            "{action} {} {} {}",
            part("protocol"),
            [part("source_ip_address"), part("destination_ip_address")].join(" to "),
            part("destination_port"),
        ),
        action: if action.eq_ignore_ascii_case("allow") { Action::Allow } else { Action::Deny },
        matches: vec![Match {
            sources: side("source", &mut notes),
            destinations: side("destination", &mut notes),
            protocols: notes.protocols(word(rule, "protocol")),
            source_ports: notes.ports(word(rule, "source_port")),
            destination_ports: notes.ports(word(rule, "destination_port")),
        }],
        unmodelled: notes.finish(rule, unread),
        priority: i64::try_from(at).unwrap_or(i64::MAX),
    }
}
