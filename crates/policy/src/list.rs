//! A list of rules that can be asked: which rule decides a packet, or each part of a cube of packets.

mod audit;
mod corner;
mod diff;
mod index;

pub use audit::{Audit, Cover, Fate};
pub use diff::{Change, diff};

use crate::gate::{Action, Gate, Order};
use crate::space::Cube;
use corner::Corners;
use index::{Index, Outline};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Into how many parts one question may fall before it is given up.
pub const PIECE_COUNT_MAX: usize = 1 << 16;

/// One rule of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    first_cube: u32,
    cube_count: u32,
    action: Action,
    /// It matches all of its cubes, whatever else the packet is.
    exact: bool,
    /// Of its cubes, its action and its exactness.
    hash: u64,
}

/// The rules of a gate, in their order, indexed.
#[derive(Debug)]
pub struct List {
    entries: Vec<Entry>,
    cubes: Vec<Cube>,
    /// The rule of each cube; rising.
    owners: Vec<u32>,
    index: Index,
    corners: Corners,
    default: Action,
    order: Order,
}

/// Who decides a part of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub packets: Cube,
    pub decided: Decided,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// The number of the rule in the list.
    Rule(u32, Action),
    /// No rule matches.
    Default(Action),
    /// One of these rules may match and decide otherwise than what follows; then what follows.
    Depends { on: Vec<u32>, else_: Action },
}

/// The question fell into more than [`PIECE_COUNT_MAX`] parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer falls into more than 65,536 parts")]
pub struct TooManyParts;

impl List {
    pub fn new(gate: &Gate) -> List {
        let rules =
            gate.rules.iter().map(|rule| (rule.cubes.as_slice(), rule.action, rule.unmodelled.is_empty()));
        List::of(rules, gate.default, gate.order)
    }

    /// Makes a list of rules given by their cubes, their action, and whether the cubes are exact.
    pub fn of<'a>(
        rules: impl Iterator<Item = (&'a [Cube], Action, bool)>,
        default: Action,
        order: Order,
    ) -> List {
        let (mut entries, mut cubes, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (own, action, exact)) in rules.enumerate() {
            let mut hasher = DefaultHasher::new();
            (own, action, exact).hash(&mut hasher);
            entries.push(Entry {
                first_cube: cubes.len() as u32,
                cube_count: own.len() as u32,
                action,
                // What decides nothing takes no packet.
                exact: exact && action != Action::Pass,
                hash: hasher.finish(),
            });
            cubes.extend_from_slice(own);
            owners.resize(cubes.len(), number as u32);
        }
        let index = Index::new(&cubes);
        let corners = Corners::new(&cubes);
        List { entries, cubes, owners, index, corners, default, order }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn default_action(&self) -> Action {
        self.default
    }

    /// The cubes of a rule.
    pub fn cubes_of(&self, rule: u32) -> &[Cube] {
        self.entries.get(rule as usize).map_or(&[], |entry| {
            let first = entry.first_cube as usize;
            &self.cubes[first..first + entry.cube_count as usize]
        })
    }

    pub fn action_of(&self, rule: u32) -> Option<Action> {
        self.entries.get(rule as usize).map(|entry| entry.action)
    }

    /// The numbers of the cubes, below `end`, that overlap a cube; in rising order.
    fn overlapping(&self, cube: &Cube, end: u32, found: &mut Vec<u32>) {
        found.clear();
        let outline = Outline::of(cube, 0);
        self.index.around(cube, |run| {
            for other in run.iter().take_while(|other| other.number < end) {
                if other.may_meet(&outline) && self.cubes[other.number as usize].meets(cube) {
                    found.push(other.number);
                }
            }
        });
        found.sort_unstable();
    }

    /// The rules before one that share packets with it; rising.
    pub fn earlier_overlapping(&self, rule: u32) -> Vec<u32> {
        let (mut found, mut rules) = (Vec::new(), Vec::new());
        for cube in self.cubes_of(rule) {
            self.overlapping(cube, self.entries[rule as usize].first_cube, &mut found);
            rules.extend(found.iter().map(|number| self.owners[*number as usize]));
        }
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// The first rule that matches one packet, given as a cube of one packet; rules that are not exact are
    /// passed over.
    pub fn first(&self, packet: &Cube) -> Option<u32> {
        let mut first = u32::MAX;
        let outline = Outline::of(packet, 0);
        self.index.around(packet, |run| {
            let before = run.iter().take_while(|other| other.number < first);
            let meeting =
                before.filter(|other| other.may_meet(&outline)).map(|other| other.number).find(|number| {
                    let exact = self.entries[self.owners[*number as usize] as usize].exact;
                    exact && self.cubes[*number as usize].meets(packet)
                });
            first = meeting.unwrap_or(first);
        });
        self.owners.get(first as usize).copied()
    }

    /// Splits a cube into the parts that different rules decide, in the order of the rules.
    ///
    /// # Errors
    /// When the answer falls into too many parts.
    pub fn decide(&self, cube: &Cube) -> Result<Vec<Part>, TooManyParts> {
        let mut found = Vec::new();
        self.overlapping(cube, u32::MAX, &mut found);
        let candidates = found.iter().map(|number| {
            let owner = self.owners[*number as usize];
            let entry = &self.entries[owner as usize];
            Candidate {
                cube: self.cubes[*number as usize],
                rule: owner,
                action: entry.action,
                exact: entry.exact,
            }
        });
        decide(cube, candidates, self.default)
    }
}

/// A cube of a rule, in the order in which rules are asked.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    cube: Cube,
    rule: u32,
    action: Action,
    exact: bool,
}

/// What is left to decide: packets, and the inexact rules that may take them.
type Left = (Cube, Vec<(u32, Action)>);

fn decide(
    cube: &Cube,
    candidates: impl Iterator<Item = Candidate>,
    default: Action,
) -> Result<Vec<Part>, TooManyParts> {
    let mut left: Vec<Left> = vec![(*cube, Vec::new())];
    let mut parts = Vec::new();
    let mut pieces = Vec::new();
    for candidate in candidates {
        if left.is_empty() {
            break;
        }
        let mut next = Vec::with_capacity(left.len());
        for (packets, maybe) in left {
            let Some(shared) = packets.and(&candidate.cube) else {
                next.push((packets, maybe));
                continue;
            };
            pieces.clear();
            packets.minus(&candidate.cube, &mut pieces);
            next.extend(pieces.iter().map(|piece| (*piece, maybe.clone())));
            if candidate.exact {
                parts.push(part(shared, maybe, Some(candidate.rule), candidate.action));
            } else {
                let mut maybe = maybe;
                maybe.push((candidate.rule, candidate.action));
                next.push((shared, maybe));
            }
        }
        left = next;
        if left.len() + parts.len() > PIECE_COUNT_MAX {
            return Err(TooManyParts);
        }
    }
    parts.extend(left.into_iter().map(|(packets, maybe)| part(packets, maybe, None, default)));
    Ok(parts)
}

fn part(packets: Cube, maybe: Vec<(u32, Action)>, rule: Option<u32>, action: Action) -> Part {
    let on: Vec<u32> = maybe.iter().filter(|one| !one.1.is_like(action)).map(|one| one.0).collect();
    let decided = match rule {
        _ if !on.is_empty() => Decided::Depends { on, else_: action },
        Some(rule) => Decided::Rule(rule, action),
        None => Decided::Default(action),
    };
    Part { packets, decided }
}
