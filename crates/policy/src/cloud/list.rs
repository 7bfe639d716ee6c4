//! Gates made from the entries of a list: cubes within the budget, what is not modelled said.

use crate::gate::{Action, Direction, Gate, Kind, Order, Rule};
use crate::place::{Place, both, excerpt};
use crate::read::{CUBE_COUNT_MAX, Match};
use netwhy_model::Text;
use std::sync::Arc;

/// How many rules all gates of a collection may have together.
const RULE_COUNT_MAX: usize = 1 << 20;

/// One entry of a vendor's list, understood.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub number: u32,
    pub part_of: Arc<str>,
    pub place: Place,
    pub text: String,
    pub action: Action,
    /// Packets of any of these.
    pub matches: Vec<Match>,
    pub unmodelled: Vec<Text>,
    pub priority: i64,
}

/// What a gate is besides its rules.
pub(crate) struct Head {
    pub kind: Kind,
    pub inbound: bool,
    pub name: String,
    pub place: Place,
    pub stateful: bool,
    pub default: Action,
    pub default_text: Text,
}

/// How many more cubes and rules a collection may have.
pub(crate) struct Budget {
    cubes: usize,
    rules: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { cubes: CUBE_COUNT_MAX, rules: RULE_COUNT_MAX }
    }
}

impl Entry {
    pub(crate) fn rule(&self, budget: &mut Budget) -> Rule {
        let mut unmodelled = self.unmodelled.clone();
        let mut cubes = Vec::new();
        for one in &self.matches {
            let made = one.cubes(&mut budget.cubes);
            cubes.extend(made.cubes);
            if !made.exact {
                unmodelled.push(both(
                    "its lists of addresses and ports are too long to be modelled exactly",
                    "地址和端口列表过长，无法精确建模",
                ));
            }
        }
        Rule {
            number: self.number,
            part_of: Arc::clone(&self.part_of),
            place: self.place.clone(),
            text: excerpt(&self.text),
            action: self.action,
            cubes,
            unmodelled,
        }
    }
}

/// A gate of entries that are sorted as they are asked; and the priority of each.
pub(crate) fn gate(head: Head, entries: &[Entry], budget: &mut Budget) -> (Gate, Vec<i64>) {
    let too_many;
    let entries = match budget.rules.checked_sub(entries.len()) {
        Some(left) => {
            budget.rules = left;
            entries
        }
        None => {
            too_many = [not_modelled(&head)];
            &too_many[..]
        }
    };
    let gate = Gate {
        kind: head.kind,
        direction: if head.inbound { Direction::Inbound } else { Direction::Outbound },
        name: head.name,
        place: head.place,
        order: Order::FirstMatch,
        stateful: head.stateful,
        rules: entries.iter().map(|entry| entry.rule(budget)).collect(),
        default: head.default,
        default_text: head.default_text,
    };
    (gate, entries.iter().map(|entry| entry.priority).collect())
}

/// What stands for a list that is too long: nothing it lets through is promised.
fn not_modelled(head: &Head) -> Entry {
    Entry {
        number: 0,
        part_of: Arc::from(head.name.as_str()),
        place: head.place.clone(),
        text: head.name.clone(),
        action: Action::Allow,
        matches: vec![Match::everything()],
        unmodelled: vec![both(
            "the lists of all interfaces together have more than a million rules: this one is not modelled",
            "所有网卡的规则列表合计超过一百万条：此列表未建模",
        )],
        priority: 0,
    }
}
