//! What changes between two collections of rules, as the fewest boxes of packets: of packet filters by what becomes of
//! packets on their whole way, of everything else list by list.

mod traced;

use crate::gate::{Action, Gate};
use crate::list::{self, List};
use crate::place::Place;
use crate::space::{Cube, Family};
use crate::world::World;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    Allowed,
    Denied,
    Rejected,
    /// Another list is asked.
    Elsewhere,
    /// It hangs on a condition that is not modelled, or was too large to work out.
    Depends,
    /// The list is in one of the collections only.
    Absent,
}

/// Packets that meet another fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The list, or the way through a packet filter: `host input`.
    #[serde(rename = "in")]
    pub within: String,
    pub packets: Cube,
    /// By which interfaces they come and go, where that makes a difference: names, patterns, `other` for the rest.
    #[serde(skip_serializing_if = "is_nothing")]
    pub interfaces: [Option<String>; 2],
    pub before: Fate,
    pub after: Fate,
    /// What NAT makes of them, before and after.
    #[serde(skip_serializing_if = "is_nothing")]
    pub rewritten: [Option<String>; 2],
    /// The rules that decided before and after, where they stand, in their owner's words.
    pub rules_before: Vec<RuleSeen>,
    pub rules_after: Vec<RuleSeen>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleSeen {
    #[serde(flatten)]
    pub place: Place,
    pub rule: u32,
    pub text: String,
}

impl Changed {
    /// The rules behind the change, as lines: `- old.nft:4:3: …`, `+ new.nft:4:3: …`.
    pub fn because(&self) -> Vec<String> {
        let line = |sign: char, one: &RuleSeen| format!("{sign} {}: {}", one.place, one.text);
        let (old, new) = (self.rules_before.iter(), self.rules_after.iter());
        old.map(|one| line('-', one)).chain(new.map(|one| line('+', one))).collect()
    }
}

fn is_nothing(pair: &[Option<String>; 2]) -> bool {
    pair.iter().all(Option::is_none)
}

/// Every change: of packet filters, then list by list in the order of their names.
pub fn between(old: &World, new: &World) -> Vec<Changed> {
    let mut changes = Vec::new();
    // Lists of filters that were followed as a whole are not told one by one.
    let mut done: (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for (before, after) in pairs(old, new) {
        let one = old.estates().get(before).and_then(|estate| estate.filter());
        let other = new.estates().get(after).and_then(|estate| estate.filter());
        let (Some((name, own)), Some((_, theirs))) = (one, other) else { continue };
        if let Some(found) = traced::between(name, own, theirs) {
            changes.extend(found);
            done.0.push(before);
            done.1.push(after);
        }
    }
    let (old, new) = (named(old, &done.0), named(new, &done.1));
    for (name, before) in &old {
        match new.get(name) {
            Some(after) => one(name, before, after, &mut changes),
            None => gone(name, &mut changes, |absent| (fate(Some(before.default)), absent)),
        }
    }
    for (name, after) in &new {
        if !old.contains_key(name) {
            gone(name, &mut changes, |absent| (absent, fate(Some(after.default))));
        }
    }
    changes
}

/// The packet filters of both that are of one host: of its name, or the only ones there are.
fn pairs(old: &World, new: &World) -> Vec<(usize, usize)> {
    let filters = |world: &World| -> Vec<(usize, String)> {
        let all = world.estates().iter().enumerate();
        all.filter_map(|(at, one)| Some((at, one.filter()?.0.to_owned()))).collect()
    };
    let (old, new) = (filters(old), filters(new));
    if let ([before], [after]) = (old.as_slice(), new.as_slice()) {
        return vec![(before.0, after.0)];
    }
    let same = |(at, name): &(usize, String)| {
        let other = new.iter().find(|(_, other)| other == name)?;
        Some((*at, other.0))
    };
    old.iter().filter_map(same).collect()
}

/// Lists by name; of equal names the later ones get a number.
fn named(world: &World, without: &[usize]) -> BTreeMap<String, Arc<Gate>> {
    let mut all: BTreeMap<String, Arc<Gate>> = BTreeMap::new();
    let estates = world.estates().iter().enumerate().filter(|(at, _)| !without.contains(at));
    for gate in estates.flat_map(|(_, estate)| estate.gates()) {
        let mut name = gate.name.clone();
        let mut count = 1;
        while all.contains_key(&name) {
            count += 1;
            name = format!("{} ({count})", gate.name);
        }
        all.insert(name, gate);
    }
    all
}

fn gone(name: &str, changes: &mut Vec<Changed>, fates: impl Fn(Fate) -> (Fate, Fate)) {
    let (before, after) = fates(Fate::Absent);
    for family in [Family::V4, Family::V6] {
        changes.push(Changed {
            within: name.to_owned(),
            packets: Cube::all(family),
            interfaces: [None, None],
            before,
            after,
            rewritten: [None, None],
            rules_before: Vec::new(),
            rules_after: Vec::new(),
        });
    }
}

fn one(name: &str, before: &Gate, after: &Gate, changes: &mut Vec<Changed>) {
    let (old, new) = (List::new(before), List::new(after));
    let Ok(found) = list::diff(&old, &new) else {
        gone(name, changes, |_| (Fate::Depends, Fate::Depends));
        return;
    };
    changes.extend(found.into_iter().map(|change| Changed {
        within: name.to_owned(),
        packets: change.packets,
        interfaces: [None, None],
        before: fate(change.before),
        after: fate(change.after),
        rewritten: [None, None],
        rules_before: seen(before, &change.rules_before),
        rules_after: seen(after, &change.rules_after),
    }));
}

const fn fate(action: Option<Action>) -> Fate {
    match action {
        Some(Action::Allow) => Fate::Allowed,
        Some(Action::Deny) => Fate::Denied,
        Some(Action::Reject) => Fate::Rejected,
        Some(Action::Pass | Action::Leave) => Fate::Elsewhere,
        None => Fate::Depends,
    }
}

fn seen(gate: &Gate, rules: &[u32]) -> Vec<RuleSeen> {
    rules
        .iter()
        .filter_map(|rule| gate.rules.get(*rule as usize))
        .map(|rule| RuleSeen { place: rule.place.clone(), rule: rule.number, text: rule.text.clone() })
        .collect()
}
