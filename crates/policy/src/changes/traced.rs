//! What changes between two packet filters: not chain by chain, but what becomes of packets on their whole way, jumps
//! and all base chains followed, with what NAT makes of them.

use super::{Changed, Fate, RuleSeen};
use crate::netfilter::ast::Ruleset;
use crate::netfilter::lower::names_of;
use crate::netfilter::trace::{Outcome, Role, RuleRef, Tracer, Verdict, is_cut_short};
use crate::space::{Cube, Family, Names, join};
use std::collections::{BTreeMap, BTreeSet};

/// Into how many pieces all packets may fall on one way; beyond that chains are compared one by one.
const PIECE_COUNT_MAX: usize = 1 << 14;
/// How many pairs of pieces are compared.
const PAIR_COUNT_MAX: usize = 50_000_000;
/// How many pieces may change on one way: each is held against every box they are joined into.
const CHANGED_COUNT_MAX: usize = 1 << 15;

/// Every way of packets through a host, and its word.
const WAYS: [(Role, &str); 3] =
    [(Role::Input, "input"), (Role::Forward, "forward"), (Role::Output, "output")];

/// Addresses and ports, first and last.
type Place = ((u128, u128), (u16, u16));

/// What becomes of packets: their fate, and what NAT made of them where it did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    fate: Fate,
    /// New addresses and ports: source, destination.
    rewritten: [Option<Place>; 2],
    untracked: bool,
}

/// Every change; `None` when the packets fall into too many pieces to be told exactly.
pub(super) fn between(name: &str, old: &Ruleset, new: &Ruleset) -> Option<Vec<Changed>> {
    // A bit must mean the same interface in both.
    let names = Names::of(names_of(old).into_iter().chain(names_of(new)))?;
    let (before, after) = (Tracer::named(old, names.clone()), Tracer::named(new, names.clone()));
    let mut changes = Vec::new();
    for (role, word) in WAYS {
        let packets = [Family::V4, Family::V6].map(Cube::all);
        let ends = |tracer: &Tracer<'_>| {
            let outcomes = tracer.path(role, &packets, PIECE_COUNT_MAX);
            (!outcomes.iter().any(is_cut_short)).then_some(outcomes)
        };
        let (one, other) = (ends(&before)?, ends(&after)?);
        if one.len().saturating_mul(other.len()) > PAIR_COUNT_MAX {
            return None;
        }
        let within = format!("{name} {word}");
        changes.extend(compare(&within, (old, &one), (new, &other), &names)?);
    }
    Some(changes)
}

/// The pieces that change in one way, by their ends before and after.
type Changing = BTreeMap<(End, End), Vec<(Cube, RuleRefs, RuleRefs)>>;
type RuleRefs = Vec<RuleRef>;

fn compare(
    within: &str,
    (old, before): (&Ruleset, &[Outcome]),
    (new, after): (&Ruleset, &[Outcome]),
    names: &Names,
) -> Option<Vec<Changed>> {
    let mut left = CHANGED_COUNT_MAX;
    let after: Vec<(&Outcome, End)> = after.iter().map(|one| (one, end(one))).collect();
    let mut changing = Changing::new();
    for one in before {
        let own = end(one);
        for (other, theirs) in
            after.iter().filter(|(other, theirs)| *theirs != own && other.packets.meets(&one.packets))
        {
            if let Some(packets) = one.packets.and(&other.packets) {
                left = left.checked_sub(1)?;
                let pieces = changing.entry((own.clone(), theirs.clone())).or_default();
                pieces.push((packets, decided(one), decided(other)));
            }
        }
    }
    let mut changes = Vec::new();
    for ((own, theirs), pieces) in changing {
        // As few boxes as there can be, whatever rules they come from; those are told of each box.
        for packets in join(pieces.iter().map(|piece| piece.0).collect()) {
            let of = |refs: fn(&(Cube, RuleRefs, RuleRefs)) -> &RuleRefs| {
                let own = pieces.iter().filter(|piece| piece.0.meets(&packets));
                own.flat_map(refs).copied().collect::<BTreeSet<RuleRef>>()
            };
            changes.push(Changed {
                within: within.to_owned(),
                packets,
                interfaces: [packets.from, packets.to].map(|bits| names.words(bits)),
                before: own.fate,
                after: theirs.fate,
                rewritten: [&own, &theirs].map(|end| words(end, packets.family)),
                rules_before: seen(old, &of(|piece| &piece.1)),
                rules_after: seen(new, &of(|piece| &piece.2)),
            });
        }
    }
    Some(changes)
}

fn end(outcome: &Outcome) -> End {
    let fate = match &outcome.verdict {
        Verdict::Accept => Fate::Allowed,
        Verdict::Drop => Fate::Denied,
        Verdict::Reject => Fate::Rejected,
        Verdict::Depends(_) => Fate::Depends,
    };
    let lives = matches!(fate, Fate::Allowed | Fate::Depends);
    let was = &outcome.packets;
    // What stays as it was, is that of each piece and not of the whole.
    let side = |was: Place, is: Place| {
        let addresses = if is.0 == was.0 { (0, outcome.packets.family.last()) } else { is.0 };
        let ports = if is.1 == was.1 { (0, u16::MAX) } else { is.1 };
        (is != was).then_some((addresses, ports))
    };
    let rewritten = outcome.rewritten.filter(|_| lives).map_or([None, None], |is| {
        [
            side((was.source, was.source_ports), (is.source, is.source_ports)),
            side((was.destination, was.destination_ports), (is.destination, is.destination_ports)),
        ]
    });
    End { fate, rewritten, untracked: outcome.untracked && lives }
}

/// What NAT makes of them, for people.
fn words(end: &End, family: Family) -> Option<String> {
    let one = |(addresses, ports): Place| {
        let addresses = crate::space::range(family, addresses);
        match ports {
            (0, u16::MAX) => addresses,
            (first, last) if first == last => format!("{addresses}:{first}"),
            (first, last) => format!("{addresses}:{first}-{last}"),
        }
    };
    let [source, destination] = &end.rewritten;
    let parts: Vec<String> = source
        .map(|source| format!("source {}", one(source)))
        .into_iter()
        .chain(destination.map(|destination| format!("destination {}", one(destination))))
        .chain(end.untracked.then(|| "untracked".to_owned()))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The rule that stopped them, or those that let them through; policies are no rules.
fn decided(outcome: &Outcome) -> RuleRefs {
    let stops = matches!(outcome.verdict, Verdict::Drop | Verdict::Reject);
    let from = if stops { outcome.rules.len().saturating_sub(1) } else { 0 };
    outcome.rules.iter().skip(from).filter(|rule| rule.rule.is_some()).copied().collect()
}

fn seen(ruleset: &Ruleset, rules: &BTreeSet<RuleRef>) -> Vec<RuleSeen> {
    let one = |at: &RuleRef| {
        let rule = ruleset.tables.get(at.table)?.chains.get(at.chain)?.rules.get(at.rule?)?;
        Some(RuleSeen { place: rule.place.clone(), rule: rule.number, text: rule.text.clone() })
    };
    rules.iter().filter_map(one).collect()
}
