//! What is wrong with a rule set beside its rules' reach: names that lead nowhere, and what nothing uses.

use super::ast::{Data, Part, Rule, Ruleset, Set, SetUse, Table, TableFamily, Test, Verdict, Written};
use crate::finding::{Finding, Level};
use crate::place::{Place, Unread};
use std::collections::HashSet;

/// Sets in sets, and parts in parts, followed no deeper.
const DEPTH_MAX: usize = 16;

/// Chains and sets that are used and not there, or there and not used.
pub fn faults(ruleset: &Ruleset) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut ipsets_used = HashSet::new();
    for table in &ruleset.tables {
        table_faults(ruleset, table, &mut ipsets_used, &mut found);
    }
    for set in &ruleset.ipsets {
        for member in &set.members {
            ipsets_used.insert(member.clone());
            if !ruleset.ipsets.iter().any(|other| other.name == *member) {
                found.push(dangling(&set.place, &set.name, None, "set", "集合", member));
            }
        }
    }
    for set in ruleset.ipsets.iter().filter(|set| !ipsets_used.contains(&set.name)) {
        // Rules that were not given may use it: with no rule at all nothing can be said.
        if !ruleset.tables.is_empty() {
            found.push(unused(&set.place, "ipset", "set", "集合", &set.name));
        }
    }
    found
}

/// Something that was not understood and stands in no rule that was read: it may be a rule itself.
pub fn lost(ruleset: &Ruleset) -> Option<&Unread> {
    let rules = || ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    let known = |unread: &&Unread| {
        rules().any(|rule| rule.place.file == unread.place.file && rule.place.line == unread.place.line)
    };
    ruleset.unread.iter().find(|unread| !known(unread))
}

#[derive(Default)]
struct Uses {
    chains: HashSet<String>,
    sets: HashSet<String>,
}

fn table_faults(
    ruleset: &Ruleset,
    table: &Table,
    ipsets_used: &mut HashSet<String>,
    found: &mut Vec<Finding>,
) {
    let within = format!("{} {}", family_word(table.family), table.name);
    let mut all = Uses::default();
    for chain in &table.chains {
        for rule in &chain.rules {
            let mut uses = Uses::default();
            rule_uses(rule, &mut uses);
            for name in uses.sets.iter().filter(|name| set(ruleset, table, name).is_none()) {
                found.push(dangling(&rule.place, &chain.name, Some(rule.number), "set", "集合", name));
            }
            for name in uses.chains.iter().filter(|name| !has_chain(table, name)) {
                found.push(dangling(&rule.place, &chain.name, Some(rule.number), "chain", "链", name));
            }
            all.chains.extend(uses.chains);
            all.sets.extend(uses.sets);
        }
    }
    for set in &table.sets {
        let mut uses = Uses::default();
        element_uses(set, &mut uses);
        for name in uses.chains.iter().filter(|name| !has_chain(table, name)) {
            found.push(dangling(&set.place, &set.name, None, "chain", "链", name));
        }
        all.chains.extend(uses.chains);
    }
    for chain in table.chains.iter().filter(|chain| chain.base.is_none() && !all.chains.contains(&chain.name))
    {
        found.push(unused(&chain.place, &within, "chain", "链", &chain.name));
    }
    for set in table.sets.iter().filter(|set| !all.sets.contains(&set.name)) {
        found.push(unused(&set.place, &within, if set.is_map { "map" } else { "set" }, "集合", &set.name));
    }
    ipsets_used.extend(all.sets);
}

fn has_chain(table: &Table, name: &str) -> bool {
    table.chains.iter().any(|chain| chain.name == name)
}

/// A named set of the table, else one of ipset.
pub(super) fn set<'a>(ruleset: &'a Ruleset, table: &'a Table, name: &str) -> Option<&'a Set> {
    table.sets.iter().chain(&ruleset.ipsets).find(|set| set.name == name)
}

fn rule_uses(rule: &Rule, uses: &mut Uses) {
    rule.parts.iter().for_each(|part| part_uses(part, uses, 0));
}

fn part_uses(part: &Part, uses: &mut Uses, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    match part {
        Part::Match(one) => {
            if let Test::In(set) = &one.test {
                set_use(set, uses);
            }
        }
        Part::Verdict(verdict) => verdict_uses(verdict, uses),
        Part::VerdictMap { set, .. } => set_use(set, uses),
        Part::Nat(nat) => nat.map.iter().for_each(|map| set_use(&map.set, uses)),
        Part::Write { value: Written::Map { set, .. }, .. } => set_use(set, uses),
        Part::Update { set, also, .. } => {
            uses.sets.insert(set.clone());
            also.iter().for_each(|part| part_uses(part, uses, depth + 1));
        }
        _ => {}
    }
}

fn set_use(set: &SetUse, uses: &mut Uses) {
    match set {
        SetUse::Named(name) => {
            uses.sets.insert(name.clone());
        }
        SetUse::Inline(elements) => {
            for element in elements.iter() {
                if let Some(Data::Verdict(verdict)) = &element.data {
                    verdict_uses(verdict, uses);
                }
            }
        }
    }
}

fn element_uses(set: &Set, uses: &mut Uses) {
    for element in set.elements.iter() {
        if let Some(Data::Verdict(verdict)) = &element.data {
            verdict_uses(verdict, uses);
        }
    }
}

fn verdict_uses(verdict: &Verdict, uses: &mut Uses) {
    if let Verdict::Jump(chain) | Verdict::Goto(chain) = verdict {
        uses.chains.insert(chain.clone());
    }
}

/// How nft writes a family.
pub fn family_word(family: TableFamily) -> &'static str {
    match family {
        TableFamily::Ip => "ip",
        TableFamily::Ip6 => "ip6",
        TableFamily::Inet => "inet",
        TableFamily::Arp => "arp",
        TableFamily::Bridge => "bridge",
        TableFamily::Netdev => "netdev",
    }
}

fn dangling(place: &Place, within: &str, rule: Option<u32>, en: &str, zh: &str, name: &str) -> Finding {
    let (en, zh) = (format!("there is no {en} {name:?}"), format!("没有名为 {name:?} 的{zh}"));
    Finding::new("dangling", Level::Error, place, en, zh).within(within, rule)
}

fn unused(place: &Place, within: &str, en: &str, zh: &str, name: &str) -> Finding {
    let (en, zh) = (format!("nothing uses the {en} {name:?}"), format!("没有规则使用{zh} {name:?}"));
    Finding::new("unused", Level::Note, place, en, zh).within(within, None)
}
