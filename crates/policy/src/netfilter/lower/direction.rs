//! Which way the packets of each chain go: as the hooks go from which it is reached.

use crate::gate::Direction;
use crate::netfilter::ast::{Data, Element, Hook, Part, Rule, SetUse, Table, Verdict};

/// The direction of every chain of a table; a chain of both ways, or of none, is told as passing through.
pub(super) fn directions(table: &Table) -> Vec<Direction> {
    let mut reached = vec![(false, false); table.chains.len()];
    for (at, chain) in table.chains.iter().enumerate() {
        let Some(base) = &chain.base else { continue };
        let (inbound, outbound) = match base.hook {
            Hook::Ingress | Hook::Prerouting | Hook::Input => (true, false),
            Hook::Forward => (true, true),
            Hook::Output | Hook::Postrouting | Hook::Egress => (false, true),
        };
        spread(table, at, inbound, outbound, &mut reached);
    }
    reached
        .into_iter()
        .map(|way| match way {
            (true, false) => Direction::Inbound,
            (false, true) => Direction::Outbound,
            _ => Direction::Through,
        })
        .collect()
}

/// Marks a chain and all it leads to; each chain is gone through again only when a new way is added to it.
fn spread(table: &Table, from: usize, inbound: bool, outbound: bool, reached: &mut [(bool, bool)]) {
    let mut due = vec![from];
    while let Some(at) = due.pop() {
        let now = (reached[at].0 || inbound, reached[at].1 || outbound);
        if std::mem::replace(&mut reached[at], now) == now {
            continue;
        }
        for name in table.chains[at].rules.iter().flat_map(|rule| targets(table, rule)) {
            due.extend(table.chains.iter().position(|chain| chain.name == name));
        }
    }
}

/// The chains a rule leads to.
fn targets<'a>(table: &'a Table, rule: &'a Rule) -> Vec<&'a str> {
    let verdict = |verdict: &'a Verdict| match verdict {
        Verdict::Jump(name) | Verdict::Goto(name) => Some(name.as_str()),
        _ => None,
    };
    let of_elements = |elements: &'a [Element]| -> Vec<&'a str> {
        let data = elements.iter().filter_map(|element| match &element.data {
            Some(Data::Verdict(own)) => verdict(own),
            _ => None,
        });
        data.collect()
    };
    let mut names = Vec::new();
    for part in &rule.parts {
        match part {
            Part::Verdict(own) => names.extend(verdict(own)),
            Part::VerdictMap { set: SetUse::Inline(elements), .. } => names.extend(of_elements(elements)),
            Part::VerdictMap { set: SetUse::Named(name), .. } => {
                let set = table.sets.iter().find(|set| set.name == *name);
                names.extend(set.into_iter().flat_map(|set| of_elements(&set.elements)));
            }
            _ => {}
        }
    }
    names
}
