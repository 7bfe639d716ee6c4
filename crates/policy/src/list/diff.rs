//! What changes between two lists: not their text, their meaning, as few boxes as can be.

use super::index::Index;
use super::{Decided, List, PIECE_COUNT_MAX, Part, TooManyParts};
use crate::gate::Action;
use crate::space::{Cube, Family, join, subtract};
use std::collections::HashMap;

/// Packets whose fate differs. `None` is "it depends".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub packets: Cube,
    pub before: Option<Action>,
    pub after: Option<Action>,
    /// The rules that decided them before, by number in the list; empty for the default alone.
    pub rules_before: Vec<u32>,
    pub rules_after: Vec<u32>,
}

type Fates = (Option<Action>, Option<Action>);

/// The packets that two lists treat differently, as disjoint cubes.
///
/// Only what the added, removed and moved rules match is looked at, so that one edit of a long list is cheap.
///
/// # Errors
/// When the difference falls into too many parts.
pub fn diff(old: &List, new: &List) -> Result<Vec<Change>, TooManyParts> {
    let touched = touched(old, new);
    let index = Index::new(&touched);
    let mut changes: Vec<Change> = Vec::new();
    for (at, cube) in touched.iter().enumerate() {
        let mut earlier: Vec<u32> = Vec::new();
        index.around(cube, |run| {
            earlier.extend(run.iter().map(|other| other.number).take_while(|number| (*number as usize) < at));
        });
        // What an earlier cube has shown is not shown again.
        let mut fresh = vec![*cube];
        for number in earlier {
            fresh = subtract(&fresh, &touched[number as usize]);
            if fresh.len() > PIECE_COUNT_MAX {
                return Err(TooManyParts);
            }
        }
        for piece in fresh {
            compare(old, new, &piece, &mut changes)?;
            if changes.len() > PIECE_COUNT_MAX {
                return Err(TooManyParts);
            }
        }
    }
    Ok(joined(changes))
}

fn compare(old: &List, new: &List, cube: &Cube, changes: &mut Vec<Change>) -> Result<(), TooManyParts> {
    for before in old.decide(cube)? {
        for Part { packets, decided } in new.decide(&before.packets)? {
            let (was, is) = (before.decided.action(), decided.action());
            if was != is {
                changes.push(Change {
                    packets,
                    before: was,
                    after: is,
                    rules_before: before.decided.rules(),
                    rules_after: decided.rules(),
                });
            }
        }
    }
    Ok(())
}

impl Decided {
    /// The action; `None` when it depends.
    pub fn action(&self) -> Option<Action> {
        match self {
            Decided::Rule(_, action) | Decided::Default(action) => Some(*action),
            Decided::Depends { .. } => None,
        }
    }

    /// The rules that decide, or on which it depends.
    pub fn rules(&self) -> Vec<u32> {
        match self {
            Decided::Rule(rule, _) => vec![*rule],
            Decided::Default(_) => Vec::new(),
            Decided::Depends { on, .. } => on.clone(),
        }
    }
}

/// The cubes of all rules that were added, removed or moved; everything, when the default changed.
fn touched(old: &List, new: &List) -> Vec<Cube> {
    if old.default != new.default {
        return vec![Cube::all(Family::V4), Cube::all(Family::V6)];
    }
    let (before, after) = (&old.entries, &new.entries);
    let shorter = before.len().min(after.len());
    let same_start = (0..shorter).take_while(|at| before[*at].hash == after[*at].hash).count();
    let same_end = (0..shorter - same_start)
        .take_while(|back| before[before.len() - 1 - back].hash == after[after.len() - 1 - back].hash)
        .count();
    let middle_before = same_start..before.len() - same_end;
    let middle_after = same_start..after.len() - same_end;
    let kept = kept(
        &before[middle_before.clone()].iter().map(|entry| entry.hash).collect::<Vec<_>>(),
        &after[middle_after.clone()].iter().map(|entry| entry.hash).collect::<Vec<_>>(),
    );
    let mut cubes = Vec::new();
    let mut kept_before = kept.iter().map(|pair| pair.0 + same_start).peekable();
    for at in middle_before {
        if kept_before.next_if_eq(&at).is_none() {
            cubes.extend_from_slice(old.cubes_of(at as u32));
        }
    }
    let mut kept_after = kept.iter().map(|pair| pair.1 + same_start).peekable();
    for at in middle_after {
        if kept_after.next_if_eq(&at).is_none() {
            cubes.extend_from_slice(new.cubes_of(at as u32));
        }
    }
    cubes
}

/// Pairs of equal rules whose order is the same in both: the longest such row among those that stand once.
fn kept(before: &[u64], after: &[u64]) -> Vec<(usize, usize)> {
    let once = |hashes: &[u64]| {
        let mut places: HashMap<u64, Option<usize>> = HashMap::with_capacity(hashes.len());
        for (at, hash) in hashes.iter().enumerate() {
            places.entry(*hash).and_modify(|place| *place = None).or_insert(Some(at));
        }
        places
    };
    let (once_before, once_after) = (once(before), once(after));
    let pairs: Vec<(usize, usize)> = before
        .iter()
        .enumerate()
        .filter(|(_, hash)| once_before.get(*hash).copied().flatten().is_some())
        .filter_map(|(at, hash)| once_after.get(hash).copied().flatten().map(|other| (at, other)))
        .collect();
    longest_rising(&pairs)
}

/// The longest row of pairs, in the order given, whose second numbers rise.
fn longest_rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length, the pair that ends the row with the smallest end; and what comes before each pair.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < pair.1);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut row = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(now) = at {
        row.push(pairs[now]);
        at = before[now];
    }
    row.reverse();
    row
}

/// Joins the cubes of changes that are alike.
fn joined(changes: Vec<Change>) -> Vec<Change> {
    let mut groups: Vec<(Fates, Vec<Change>)> = Vec::new();
    for change in changes {
        let fates = (change.before, change.after);
        match groups.iter_mut().find(|group| group.0 == fates) {
            Some(group) => group.1.push(change),
            None => groups.push((fates, vec![change])),
        }
    }
    let mut all = Vec::new();
    for ((before, after), group) in groups {
        let cubes: Vec<Cube> = group.iter().map(|change| change.packets).collect();
        for packets in join(cubes) {
            let within: Vec<&Change> = group.iter().filter(|one| packets.contains(&one.packets)).collect();
            let rules = |of: fn(&Change) -> &Vec<u32>| {
                let mut rules: Vec<u32> = within.iter().flat_map(|one| of(one).iter().copied()).collect();
                rules.sort_unstable();
                rules.dedup();
                rules
            };
            let (rules_before, rules_after) = (rules(|one| &one.rules_before), rules(|one| &one.rules_after));
            all.push(Change { packets, before, after, rules_before, rules_after });
        }
    }
    all
}
