//! Every chain as a gate: its rules with the packets they match, and which packets come to it at all.

mod behind;

pub use behind::{Behind, callers};

use super::{Lowered, Lowering, families};
use crate::gate::{Action, Direction, Gate, Kind, Order, Rule as GateRule};
use crate::netfilter::ast::{
    Backend, Base, Chain, Data, Part, Policy, Rule, Ruleset, SetUse, Table, Verdict,
};
use crate::place::both;
use crate::space::{Cube, subtract};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// How many pieces the packets of one jump may fall into before earlier rules are no longer taken from them.
const ENTRY_COUNT_MAX: usize = 4096;
/// How many cubes are compared to find out which packets come to chains.
const COMPARISON_COUNT_MAX: usize = 200_000_000;

/// A chain as a list of rules.
#[derive(Debug, Clone)]
pub struct ChainGate {
    pub gate: Gate,
    /// Its table and itself, by their places in the rule set.
    pub table: usize,
    pub chain: usize,
    /// The packets that come to it, at most; `None` is all. Empty: nobody calls it.
    pub entry: Option<Vec<Cube>>,
    /// Its rules that no packet comes to, for reasons outside of the chain.
    pub behind: Vec<Behind>,
}

/// Every chain of a rule set. Sets of ipset must be bound.
pub fn gates(ruleset: &Ruleset) -> Vec<ChainGate> {
    let lowering = Lowering::new(ruleset);
    let mut out = Vec::new();
    for (at, table) in
        ruleset.tables.iter().enumerate().filter(|(_, table)| !families(table.family).is_empty())
    {
        let directions = super::direction::directions(table);
        let chains = table.chains.iter().zip(directions);
        let mut lists: Vec<Gate> =
            chains.map(|(chain, way)| gate(&lowering, at, table, chain, way)).collect();
        let by_name = by_name(table);
        let order = callers_first(table, &by_name);
        let kept = behind::kept(table, &lists, order.as_deref().unwrap_or_default(), &by_name);
        let entries = entries(table, &lists, order, &by_name, &kept);
        let mut left = COMPARISON_COUNT_MAX;
        for ((chain, gate), entry) in lists.drain(..).enumerate().zip(entries) {
            let rules = &table.chains[chain].rules;
            let behind = behind::of_rules(rules, &gate.rules, entry.as_deref(), (&by_name, &kept), &mut left);
            out.push(ChainGate { gate, table: at, chain, entry, behind });
        }
    }
    out
}

fn gate(lowering: &Lowering<'_>, at: usize, table: &Table, chain: &Chain, direction: Direction) -> Gate {
    let part_of: Arc<str> = chain.name.as_str().into();
    let rules = chain.rules.iter().map(|rule| {
        let Lowered { cubes, unmodelled } = lowering.rule(at, rule);
        GateRule {
            number: rule.number,
            part_of: Arc::clone(&part_of),
            place: rule.place.clone(),
            text: rule.text.clone(),
            action: action(rule, chain.base.as_ref()),
            cubes,
            unmodelled,
        }
    });
    let rules = rules.collect();
    let (default, default_text) = match &chain.base {
        Some(base) => (policy(base), policy_text(base)),
        None => (Action::Leave, both("the chain returns to its caller", "该链返回调用者")),
    };
    Gate {
        kind: if table.backend == Backend::Nft { Kind::Nft } else { Kind::Iptables },
        direction,
        name: format!("{} {}", table.name, chain.name),
        place: chain.place.clone(),
        order: Order::FirstMatch,
        stateful: false,
        rules,
        default,
        default_text,
    }
}

fn policy(base: &Base) -> Action {
    if base.policy == Policy::Accept { Action::Allow } else { Action::Deny }
}

fn policy_text(base: &Base) -> netwhy_model::Text {
    match base.policy {
        Policy::Accept => both("the policy of the chain is accept", "该链的默认策略为 accept"),
        Policy::Drop => both("the policy of the chain is drop", "该链的默认策略为 drop"),
    }
}

/// What a rule does with the packets it matches.
fn action(rule: &Rule, base: Option<&Base>) -> Action {
    for part in &rule.parts {
        match part {
            Part::Verdict(verdict) => return verdict_action(verdict, base),
            Part::Nat(_) => return Action::Leave,
            // Whether its elements take every packet away is not asked.
            Part::VerdictMap { .. } => return Action::Pass,
            _ => {}
        }
    }
    Action::Pass
}

fn verdict_action(verdict: &Verdict, base: Option<&Base>) -> Action {
    match (verdict, base) {
        (Verdict::Accept, _) => Action::Allow,
        (Verdict::Drop, _) => Action::Deny,
        (Verdict::Reject(_), _) => Action::Reject,
        (Verdict::Return, Some(base)) => policy(base),
        (Verdict::Return | Verdict::Goto(_) | Verdict::Queue { .. } | Verdict::Stolen(_), _) => Action::Leave,
        (Verdict::Continue | Verdict::Jump(_), _) => Action::Pass,
    }
}

fn by_name(table: &Table) -> HashMap<&str, usize> {
    table.chains.iter().enumerate().map(|(at, chain)| (chain.name.as_str(), at)).collect()
}

/// For each chain of a table the packets that can come to it.
fn entries(
    table: &Table,
    gates: &[Gate],
    order: Option<Vec<usize>>,
    by_name: &HashMap<&str, usize>,
    kept: &[Vec<Cube>],
) -> Vec<Option<Vec<Cube>>> {
    let mut entries: Vec<Option<Vec<Cube>>> =
        table.chains.iter().map(|chain| if chain.base.is_some() { None } else { Some(Vec::new()) }).collect();
    let mut left = COMPARISON_COUNT_MAX;
    let Some(order) = order else {
        return vec![None; gates.len()];
    };
    for caller in order {
        let rules = &gates[caller].rules;
        // What earlier rules surely take.
        let mut taken: Vec<Cow<'_, [Cube]>> = Vec::new();
        for (rule, lowered) in table.chains[caller].rules.iter().zip(rules) {
            for callee in callees(table, rule).filter_map(|name| by_name.get(name)) {
                let before = taken.iter().flat_map(|cubes| cubes.iter());
                let coming = coming(lowered, before, entries[caller].as_deref(), &mut left);
                match (&mut entries[*callee], coming) {
                    (Some(entry), Some(coming)) if entry.len() + coming.len() <= ENTRY_COUNT_MAX => {
                        entry.extend(coming)
                    }
                    (entry, _) => *entry = None,
                }
            }
            let jump = behind::by_jump(rule, lowered, by_name, kept).map(Cow::Owned);
            taken.extend(jump.or_else(|| behind::by_itself(lowered).map(Cow::Borrowed)));
        }
    }
    entries
}

/// The packets that come to a rule: those it matches, without those that earlier rules took.
fn coming<'a>(
    rule: &GateRule,
    taken: impl IntoIterator<Item = &'a Cube>,
    entry: Option<&[Cube]>,
    left: &mut usize,
) -> Option<Vec<Cube>> {
    let mut region = match entry {
        None => rule.cubes.clone(),
        Some(entry) => {
            *left = left.checked_sub(entry.len().saturating_mul(rule.cubes.len()))?;
            rule.cubes.iter().flat_map(|cube| entry.iter().filter_map(|other| cube.and(other))).collect()
        }
    };
    for taken in taken {
        *left = left.checked_sub(region.len().max(1))?;
        if region.iter().any(|cube| cube.meets(taken)) {
            let rest = subtract(&region, taken);
            if rest.len() > ENTRY_COUNT_MAX {
                return Some(region);
            }
            region = rest;
        }
    }
    Some(region)
}

/// The chains a rule may send packets to.
fn callees<'a>(table: &'a Table, rule: &'a Rule) -> impl Iterator<Item = &'a str> {
    let target = |verdict: &'a Verdict| match verdict {
        Verdict::Jump(name) | Verdict::Goto(name) => Some(name.as_str()),
        _ => None,
    };
    rule.parts.iter().flat_map(move |part| {
        let elements = match part {
            Part::VerdictMap { set: SetUse::Inline(elements), .. } => elements.as_slice(),
            Part::VerdictMap { set: SetUse::Named(name), .. } => {
                table.sets.iter().find(|set| set.name == *name).map_or(&[][..], |set| &set.elements)
            }
            _ => &[],
        };
        let mapped = elements.iter().filter_map(move |element| match &element.data {
            Some(Data::Verdict(verdict)) => target(verdict),
            _ => None,
        });
        let own = match part {
            Part::Verdict(verdict) => target(verdict),
            _ => None,
        };
        own.into_iter().chain(mapped)
    })
}

/// Chains in an order in which every caller stands before whom it calls; `None` when they go round in circles.
fn callers_first(table: &Table, by_name: &HashMap<&str, usize>) -> Option<Vec<usize>> {
    let calls: Vec<Vec<usize>> = table
        .chains
        .iter()
        .map(|chain| {
            let mut called: Vec<usize> = chain
                .rules
                .iter()
                .flat_map(|rule| callees(table, rule))
                .filter_map(|name| by_name.get(name).copied())
                .collect();
            called.sort_unstable();
            called.dedup();
            called
        })
        .collect();
    let mut callers = vec![0_usize; calls.len()];
    calls.iter().flatten().for_each(|called| callers[*called] += 1);
    let mut order: Vec<usize> = (0..calls.len()).filter(|at| callers[*at] == 0).collect();
    let mut next = 0;
    while let Some(chain) = order.get(next).copied() {
        next += 1;
        for called in &calls[chain] {
            callers[*called] -= 1;
            if callers[*called] == 0 {
                order.push(*called);
            }
        }
    }
    (order.len() == calls.len()).then_some(order)
}
