//! What changes between two collections of rules: list by list, as the fewest boxes of packets.

use crate::gate::{Action, Gate};
use crate::list::{self, List};
use crate::place::Place;
use crate::space::{Cube, Family};
use crate::world::World;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    /// The list.
    #[serde(rename = "in")]
    pub within: String,
    pub packets: Cube,
    pub before: Fate,
    pub after: Fate,
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

/// Every change, list by list in the order of their names.
pub fn between(old: &World, new: &World) -> Vec<Changed> {
    let (old, new) = (named(old), named(new));
    let mut changes = Vec::new();
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

/// Lists by name; of equal names the later ones get a number.
fn named(world: &World) -> BTreeMap<String, Arc<Gate>> {
    let mut all: BTreeMap<String, Arc<Gate>> = BTreeMap::new();
    for gate in world.gates() {
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
            before,
            after,
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
        before: fate(change.before),
        after: fate(change.after),
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
