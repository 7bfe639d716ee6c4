//! Rules that no packet comes to: what jumps before them let through or stop takes all of theirs, or none of theirs
//! comes to the chain at all. Only what is certain is told.

use super::{COMPARISON_COUNT_MAX, ENTRY_COUNT_MAX, callees, coming};
use crate::gate::{Action, Gate, Rule as GateRule};
use crate::netfilter::ast::{Field, Part, Rule, Table, Verdict};
use crate::space::{Cube, subtract};
use std::borrow::Cow;
use std::collections::HashMap;

/// A rule of a chain that never sees a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Its place in the chain.
    pub rule: usize,
    /// The jumps before it whose chains take its packets, by their places in the chain. None when nothing that comes
    /// to the chain would match it.
    pub jumps: Vec<usize>,
}

/// What each chain of a table surely keeps: packets that come to it and go back to no caller.
pub(super) fn kept(
    table: &Table,
    gates: &[Gate],
    order: &[usize],
    by_name: &HashMap<&str, usize>,
) -> Vec<Vec<Cube>> {
    let mut kept = vec![Vec::new(); gates.len()];
    if !is_steady(table) {
        return kept;
    }
    let mut left = COMPARISON_COUNT_MAX;
    // Whom a chain calls stands behind it in the order.
    for chain in order.iter().rev() {
        if table.chains[*chain].base.is_none() {
            kept[*chain] =
                of_chain(&table.chains[*chain].rules, &gates[*chain].rules, by_name, &kept, &mut left);
        }
    }
    kept
}

/// Addresses, ports and the state of tracking that a rule changes are not followed here.
fn is_steady(table: &Table) -> bool {
    use Field::{
        Ip4Destination, Ip4Source, Ip6Destination, Ip6Source, TcpDestination, TcpFlags, TcpSource,
        ThDestination, ThSource, UdpDestination, UdpSource,
    };
    let changes = |part: &Part| match part {
        Part::Write { field, .. } => matches!(
            field,
            Ip4Source
                | Ip4Destination
                | Ip6Source
                | Ip6Destination
                | TcpSource
                | TcpDestination
                | TcpFlags
                | UdpSource
                | UdpDestination
                | ThSource
                | ThDestination
        ),
        Part::Notrack => true,
        _ => false,
    };
    !table.chains.iter().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.parts).any(changes)
}

fn of_chain(
    written: &[Rule],
    lowered: &[GateRule],
    by_name: &HashMap<&str, usize>,
    kept: &[Vec<Cube>],
    left: &mut usize,
) -> Vec<Cube> {
    // What is kept, and what may have gone back before.
    let (mut own, mut back): (Vec<Cube>, Vec<Cube>) = (Vec::new(), Vec::new());
    for (rule, lowered) in written.iter().zip(lowered) {
        let (keeps, returns) = effect(rule, lowered, by_name, kept);
        let mut keeps = keeps;
        for gone in &back {
            let Some(rest) = left.checked_sub(keeps.len().max(1)) else { return own };
            *left = rest;
            keeps = subtract(&keeps, gone);
            if keeps.len() > ENTRY_COUNT_MAX {
                return own;
            }
        }
        if own.len() + keeps.len() > ENTRY_COUNT_MAX || back.len() + returns.len() > ENTRY_COUNT_MAX {
            return own;
        }
        own.extend(keeps);
        back.extend(returns);
    }
    own
}

/// What of a rule's packets is surely kept, and what may go back to the caller.
fn effect(
    rule: &Rule,
    lowered: &GateRule,
    by_name: &HashMap<&str, usize>,
    kept: &[Vec<Cube>],
) -> (Vec<Cube>, Vec<Cube>) {
    let exact = lowered.unmodelled.is_empty();
    let nothing = || (Vec::new(), Vec::new());
    match rule.parts.iter().find_map(verdict) {
        Some(Some(Verdict::Accept | Verdict::Drop | Verdict::Reject(_))) if exact => {
            (lowered.cubes.clone(), Vec::new())
        }
        Some(Some(Verdict::Accept | Verdict::Drop | Verdict::Reject(_) | Verdict::Continue)) | None => {
            nothing()
        }
        Some(Some(Verdict::Jump(name))) if exact => (through(lowered, name, by_name, kept), Vec::new()),
        Some(Some(Verdict::Jump(_))) => nothing(),
        Some(Some(Verdict::Goto(name))) if exact => {
            (through(lowered, name, by_name, kept), lowered.cubes.clone())
        }
        // Returns, queues, verdict maps: all of it may go back.
        Some(_) => (Vec::new(), lowered.cubes.clone()),
    }
}

/// The verdict of a part; inside, none when it is a map of verdicts or translation.
fn verdict(part: &Part) -> Option<Option<&Verdict>> {
    match part {
        Part::Verdict(verdict) => Some(Some(verdict)),
        Part::VerdictMap { .. } | Part::Nat(_) | Part::Unknown { .. } => Some(None),
        _ => None,
    }
}

fn through(rule: &GateRule, chain: &str, by_name: &HashMap<&str, usize>, kept: &[Vec<Cube>]) -> Vec<Cube> {
    let inner = by_name.get(chain).and_then(|at| kept.get(*at)).map_or(&[][..], Vec::as_slice);
    let cut = |cube: &Cube| inner.iter().filter_map(|other| cube.and(other)).collect::<Vec<_>>();
    let cubes: Vec<Cube> = rule.cubes.iter().flat_map(cut).take(ENTRY_COUNT_MAX + 1).collect();
    if cubes.len() > ENTRY_COUNT_MAX { Vec::new() } else { cubes }
}

/// What a rule takes from the rules after it by what it matches alone.
pub(super) fn by_itself(lowered: &GateRule) -> Option<&[Cube]> {
    (lowered.unmodelled.is_empty() && lowered.action != Action::Pass).then_some(&lowered.cubes)
}

/// What a jump takes from the rules after it: all that the chain it leads to keeps. `None` for other rules.
pub(super) fn by_jump(
    rule: &Rule,
    lowered: &GateRule,
    by_name: &HashMap<&str, usize>,
    kept: &[Vec<Cube>],
) -> Option<Vec<Cube>> {
    match rule.parts.iter().find_map(verdict) {
        Some(Some(Verdict::Jump(name))) if lowered.unmodelled.is_empty() => {
            Some(through(lowered, name, by_name, kept)).filter(|cubes| !cubes.is_empty())
        }
        _ => None,
    }
}

/// What a rule of a chain takes from those after it.
struct Taker<'a> {
    at: usize,
    is_jump: bool,
    cubes: Cow<'a, [Cube]>,
}

/// The rules of a chain that no packet comes to, beyond those that rules of the chain itself cover.
pub(super) fn of_rules(
    written: &[Rule],
    lowered: &[GateRule],
    entry: Option<&[Cube]>,
    (by_name, kept): (&HashMap<&str, usize>, &[Vec<Cube>]),
    left: &mut usize,
) -> Vec<Behind> {
    let mut takers: Vec<Taker<'_>> = Vec::new();
    let mut found = Vec::new();
    for (at, (rule, lowered)) in written.iter().zip(lowered).enumerate() {
        if !lowered.cubes.is_empty() {
            found.extend(behind_jumps(lowered, &takers, entry, left).map(|jumps| Behind { rule: at, jumps }));
        }
        let jump = by_jump(rule, lowered, by_name, kept);
        let is_jump = jump.is_some();
        let cubes = jump.map(Cow::Owned).or_else(|| by_itself(lowered).map(Cow::Borrowed));
        takers.extend(cubes.map(|cubes| Taker { at, is_jump, cubes }));
    }
    found
}

/// The jumps that leave a rule no packet; none where nothing that comes to the chain would match it. `None` when it
/// lives, or is covered by the chain's own rules: that is told of those.
fn behind_jumps(
    lowered: &GateRule,
    takers: &[Taker<'_>],
    entry: Option<&[Cube]>,
    left: &mut usize,
) -> Option<Vec<usize>> {
    let is_nothing = |coming: Option<Vec<Cube>>| coming.is_some_and(|rest| rest.is_empty());
    if entry.is_some() && is_nothing(coming(lowered, [], entry, left)) {
        return Some(Vec::new());
    }
    let mut near = Vec::new();
    for taker in takers.iter().filter(|taker| taker.is_jump) {
        *left = left.checked_sub(taker.cubes.len().saturating_mul(lowered.cubes.len()))?;
        if taker.cubes.iter().any(|cube| lowered.cubes.iter().any(|own| own.meets(cube))) {
            near.push(taker.at);
        }
    }
    if near.is_empty() {
        return None;
    }
    let all = takers.iter().flat_map(|taker| taker.cubes.iter());
    let others = takers.iter().filter(|taker| near.binary_search(&taker.at).is_err());
    let others = others.flat_map(|taker| taker.cubes.iter());
    let is_behind =
        is_nothing(coming(lowered, all, entry, left)) && !is_nothing(coming(lowered, others, entry, left));
    is_behind.then_some(near)
}

/// The rules that send packets to a chain: the chain they stand in, and their places there.
pub fn callers(table: &Table, name: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, chain) in table.chains.iter().enumerate() {
        let calls = |rule: &Rule| callees(table, rule).any(|called| called == name);
        found.extend(
            chain.rules.iter().enumerate().filter(|(_, rule)| calls(rule)).map(|(rule, _)| (at, rule)),
        );
    }
    found
}
