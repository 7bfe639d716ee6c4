//! Firewall policies: hierarchical, of the system, of a network; and `goto_next`, which leaves a policy early.

use super::rules::{For, applies, finish, layers, not_understood, spans};
use super::{Files, Kind, same};
use crate::cloud::fields::{each, field, flag, integer, last, word, words};
use crate::cloud::list::Entry;
use crate::doc::{Node, Value};
use crate::gate::Action;
use crate::place::{Unread, both};
use crate::read::{Match, Span, merge_ports, shared, without};
use std::cmp::Ordering;
use std::sync::Arc;

/// Members of a match that are not modelled: geography, names, lists that Google keeps.
const UNMODELLED: [&str; 13] = [
    "srcFqdns",
    "destFqdns",
    "srcRegionCodes",
    "destRegionCodes",
    "srcThreatIntelligences",
    "destThreatIntelligences",
    "srcAddressGroups",
    "destAddressGroups",
    "srcSecureTags",
    "srcNetworks",
    "srcNetworkScope",
    "destNetworkScope",
    "srcNetworkType",
];

/// One policy, where it stands in the order of evaluation.
pub(super) struct Level<'a> {
    pub node: &'a Node,
    pub name: String,
    /// Hierarchical 0, global 1, regional 2.
    rank: u8,
    /// Of the networks it is attached to; hierarchical ones apply to all that are in the files.
    networks: Vec<String>,
    region: Option<String>,
    /// Asked after the firewall rules in the default order.
    pub after_classic: bool,
}

/// Every policy that is attached to something, in the order of evaluation.
pub(super) fn levels<'a>(files: &Files<'a>) -> Vec<Level<'a>> {
    let mut levels: Vec<Level<'a>> = files.each(Kind::Policy).iter().map(|node| level(node)).collect();
    levels.sort_by(|one, two| one.rank.cmp(&two.rank).then(Ordering::Equal));
    levels
}

fn level(node: &Node) -> Level<'_> {
    let targets = each(node, "associations").iter().filter_map(|one| word(one, "attachmentTarget"));
    let targets: Vec<String> = targets.map(str::to_owned).collect();
    let networks: Vec<String> =
        targets.iter().filter(|target| target.contains("/networks/")).cloned().collect();
    let region = word(node, "region").map(|region| last(region).to_owned());
    let above = targets.iter().any(|target| target.contains("organizations/") || target.contains("folders/"));
    let hierarchical = above || word(node, "parent").is_some();
    Level {
        node,
        name: word(node, "shortName").or(word(node, "name")).unwrap_or("policy").to_owned(),
        rank: match (hierarchical, &region) {
            (true, _) => 0,
            (_, None) => 1,
            (_, Some(_)) => 2,
        },
        networks,
        region,
        after_classic: !hierarchical,
    }
}

impl Level<'_> {
    /// A network that it is attached to.
    pub(super) fn first_network(&self) -> &str {
        self.networks.first().map_or("default", String::as_str)
    }

    fn is_for(&self, whom: For<'_>) -> bool {
        let region = match (whom, &self.region) {
            (For::One(target), Some(region)) => *region == target.region,
            _ => true,
        };
        // One without an association in its file is taken for attached: the file was given for a reason.
        region
            && (self.rank == 0
                || self.networks.is_empty()
                || self.networks.iter().any(|network| same(network, whom.network())))
    }
}

/// The rules of a policy that apply; those behind a `goto_next` without the packets that it takes away.
pub(super) fn level_entries(
    level: &Level<'_>,
    whom: For<'_>,
    inbound: bool,
    unread: &mut Vec<Unread>,
) -> Vec<Entry> {
    if !level.is_for(whom) {
        return Vec::new();
    }
    let mut rules: Vec<(usize, &Node)> = each(level.node, "rules").iter().enumerate().collect();
    rules.sort_by_key(|(_, rule)| integer(rule, "priority").unwrap_or(i64::MAX));
    let mut gone: Vec<Entry> = Vec::new();
    let mut entries = Vec::new();
    for (number, rule) in rules {
        let direction = word(rule, "direction").unwrap_or("INGRESS");
        if direction.eq_ignore_ascii_case("INGRESS") != inbound || flag(rule, "disabled") == Some(true) {
            continue;
        }
        let Some(mut entry) = entry(level, rule, whom, unread) else { continue };
        entry.number = u32::try_from(number).unwrap_or(u32::MAX);
        for left in &gone {
            leave(&mut entry, left);
        }
        match word(rule, "action").map(str::to_ascii_lowercase).as_deref() {
            Some("goto_next") => gone.push(entry),
            _ => entries.push(entry),
        }
    }
    entries
}

fn entry(level: &Level<'_>, rule: &Node, whom: For<'_>, unread: &mut Vec<Unread>) -> Option<Entry> {
    let condition = applies(rule, whom, "targetTags", "targetServiceAccounts")?;
    let resources = words(rule, "targetResources");
    if !resources.is_empty() && !resources.iter().any(|network| same(network, whom.network())) {
        return None;
    }
    // Terraform has it as a block: a list of one.
    let pattern = each(rule, "match").first().unwrap_or(rule);
    let mut strange = Vec::new();
    let mut unmodelled: Vec<_> = condition.into_iter().collect();
    let told = UNMODELLED.iter().filter(|name| field(pattern, name).is_some_and(says));
    let secure = field(rule, "targetSecureTags").is_some().then_some(&"targetSecureTags");
    unmodelled
        .extend(told.chain(secure).map(|name| {
            both(format!("the condition {name} is not modelled"), format!("条件 {name} 未建模"))
        }));
    let sources = spans(pattern, "srcIpRanges", &mut strange).unwrap_or_else(Span::anywhere);
    let destinations = spans(pattern, "destIpRanges", &mut strange).unwrap_or_else(Span::anywhere);
    let parts = each(pattern, "layer4Configs");
    let mut matches = layers(parts, "ipProtocol", &sources, &destinations, &mut strange);
    if parts.is_empty() {
        matches.push(Match { sources, destinations, ..Match::everything() });
    }
    let action = match word(rule, "action").map(str::to_ascii_lowercase).as_deref() {
        Some("allow" | "goto_next") => Action::Allow,
        Some("deny") => Action::Deny,
        other => {
            strange.push(other.unwrap_or("?").to_owned());
            Action::Allow
        }
    };
    finish(rule, "firewall policy", &strange, unread);
    unmodelled.extend(strange.iter().map(|word| not_understood(word)));
    let priority = integer(rule, "priority").unwrap_or(i64::MAX);
    Some(Entry {
        number: 0,
        part_of: Arc::from(level.name.as_str()),
        place: rule.place.clone(),
        text: format!("{} ({priority}) of policy {}", word(rule, "ruleName").unwrap_or("rule"), level.name),
        action,
        matches,
        unmodelled,
        priority,
    })
}

/// Whether a member is more than an empty list.
fn says(node: &Node) -> bool {
    !matches!(&node.value, Value::List(nodes) if nodes.is_empty())
}

/// Takes away what an earlier `goto_next` has sent on; where that is not exact, the rule is not modelled.
fn leave(entry: &mut Entry, left: &Entry) {
    let mut rest = Vec::new();
    for one in &entry.matches {
        let mut parts = vec![one.clone()];
        for taken in &left.matches {
            parts = parts.iter().flat_map(|part| part_without(part, taken)).collect();
        }
        rest.extend(parts);
    }
    if rest == entry.matches {
        return;
    }
    match left.unmodelled.is_empty() {
        true => entry.matches = rest,
        false => entry.unmodelled.extend(left.unmodelled.iter().cloned()),
    }
}

fn part_without(one: &Match, taken: &Match) -> Vec<Match> {
    let mut parts = Vec::new();
    let mut rest = one.clone();
    let sources = without(&rest.sources, &taken.sources);
    if !sources.is_empty() {
        parts.push(Match { sources, ..rest.clone() });
        rest.sources = shared(&rest.sources, &taken.sources);
    }
    let destinations = without(&rest.destinations, &taken.destinations);
    if !destinations.is_empty() {
        parts.push(Match { destinations, ..rest.clone() });
        rest.destinations = shared(&rest.destinations, &taken.destinations);
    }
    let protocols = rest.protocols.without(&taken.protocols);
    if !protocols.is_empty() {
        parts.push(Match { protocols, ..rest.clone() });
        rest.protocols = rest.protocols.and(&taken.protocols);
    }
    let ports = ports_without(&rest.destination_ports, &taken.destination_ports);
    if !ports.is_empty() {
        parts.push(Match { destination_ports: ports, ..rest.clone() });
    }
    // Nothing of it was taken: it stays as it was.
    let meets = !rest.sources.is_empty() && !rest.destinations.is_empty() && !rest.protocols.is_empty();
    if meets { parts } else { vec![one.clone()] }
}

fn ports_without(one: &[(u16, u16)], taken: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut left = merge_ports(one);
    for hole in taken {
        let mut next = Vec::new();
        for range in left {
            if range.0 < hole.0 {
                next.push((range.0, range.1.min(hole.0 - 1)));
            }
            if range.1 > hole.1 {
                next.push((range.0.max(hole.1 + 1), range.1));
            }
        }
        left = next;
    }
    left
}
