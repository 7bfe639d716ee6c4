//! From rules as written to the packets they stand for.
//!
//! A cube stands for whole packets without extension headers, so a test for fragments or such headers has one answer.
//! Sets of ipset must be bound first (`xtables::bind`).

mod direction;
mod fields;
mod gates;
pub(crate) mod matching;
mod values;

pub use gates::{Behind, ChainGate, callers, gates};

use crate::netfilter::ast::{
    Backend, Element, Match, Part, Rule, Ruleset, Set, SetUse, Span, Table, TableFamily, Test,
};
use crate::place::both;
use crate::space::{Cube, Family, Names};
use matching::{Hits, View, hits};
use netwhy_model::Text;
use std::collections::{HashMap, HashSet};

/// How many cubes one rule may stand for.
pub(crate) const CUBE_COUNT_MAX: usize = 1 << 20;

/// The packets a rule's matches let through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lowered {
    pub cubes: Vec<Cube>,
    /// Conditions that are not modelled: the rule may match fewer packets than these.
    pub unmodelled: Vec<Text>,
}

/// The sets a table's rules may name.
#[derive(Debug, Default)]
pub(crate) struct Sets<'a> {
    by_name: HashMap<&'a str, &'a Set>,
    filled: HashSet<&'a str>,
}

impl<'a> Sets<'a> {
    pub fn get(&self, name: &str) -> Option<&'a Set> {
        self.by_name.get(name).copied()
    }

    /// Whether rules add to it: what it holds is not all that it may hold.
    pub fn filled(&self, name: &str) -> bool {
        self.filled.contains(name) || self.by_name.get(name).is_some_and(|set| set.dynamic)
    }
}

/// What is needed to lower the rules of one rule set.
#[derive(Debug)]
pub struct Lowering<'a> {
    pub(crate) ruleset: &'a Ruleset,
    names: Option<Names>,
    sets: Vec<Sets<'a>>,
}

impl<'a> Lowering<'a> {
    pub fn new(ruleset: &'a Ruleset) -> Lowering<'a> {
        Lowering::named(ruleset, Names::of(names_of(ruleset)))
    }

    /// With bits for names of interfaces that others share.
    pub fn named(ruleset: &'a Ruleset, names: Option<Names>) -> Lowering<'a> {
        let sets = ruleset.tables.iter().map(|table| sets_of(ruleset, table)).collect();
        Lowering { ruleset, names, sets }
    }

    /// The names of interfaces as bits, the same for every rule of this rule set; `None` when there are too many.
    pub fn names(&self) -> Option<&Names> {
        self.names.as_ref()
    }

    /// What a rule of a table (by its place in the rule set) stands for.
    pub fn rule(&self, table: usize, rule: &Rule) -> Lowered {
        let (Some(family), Some(sets)) = (self.ruleset.tables.get(table), self.sets.get(table)) else {
            return Lowered::default();
        };
        lower(&self.view(sets), families(family.family), rule)
    }

    pub(crate) fn sets(&self, table: usize) -> &Sets<'a> {
        static NONE: std::sync::LazyLock<Sets<'static>> = std::sync::LazyLock::new(Sets::default);
        match self.sets.get(table) {
            Some(sets) => sets,
            None => &NONE,
        }
    }

    fn view<'v>(&'v self, sets: &'v Sets<'v>) -> View<'v> {
        View {
            names: self.names.as_ref(),
            sets,
            mark: None,
            ct_marks: [None; 2],
            no_input: false,
            no_output: false,
            untracked_yet: false,
            from_here: None,
            to_here: None,
        }
    }
}

/// The families of packets that a table's chains see.
pub(crate) fn families(family: TableFamily) -> &'static [Family] {
    match family {
        TableFamily::Ip => &[Family::V4],
        TableFamily::Ip6 => &[Family::V6],
        TableFamily::Inet | TableFamily::Bridge | TableFamily::Netdev => &[Family::V4, Family::V6],
        TableFamily::Arp => &[],
    }
}

fn sets_of<'a>(ruleset: &'a Ruleset, table: &'a Table) -> Sets<'a> {
    let known = if table.backend == Backend::Xtables { &ruleset.ipsets } else { &table.sets };
    let parts = table.chains.iter().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.parts);
    let filled = parts.filter_map(|part| match part {
        Part::Update { set, .. } => Some(set.as_str()),
        _ => None,
    });
    Sets { by_name: known.iter().map(|set| (set.name.as_str(), set)).collect(), filled: filled.collect() }
}

/// Every name of an interface in rules and sets.
pub(crate) fn names_of(ruleset: &Ruleset) -> HashSet<(String, bool)> {
    let mut names = HashSet::new();
    let mut add = |elements: &[Element]| {
        // The elements of a set are all of the same fields.
        if elements
            .first()
            .is_none_or(|first| first.spans.iter().all(|span| matches!(span, Span::Numbers(..))))
        {
            return;
        }
        for span in elements.iter().flat_map(|element| &element.spans) {
            let Span::Name { text, prefix } = span else { continue };
            if !names.contains(&(text.clone(), *prefix)) {
                names.insert((text.clone(), *prefix));
            }
        }
    };
    for table in &ruleset.tables {
        for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
            for part in &rule.parts {
                match part {
                    Part::Match(Match { test: Test::In(SetUse::Inline(elements)), .. })
                    | Part::VerdictMap { set: SetUse::Inline(elements), .. } => add(elements),
                    _ => {}
                }
            }
        }
        table.sets.iter().for_each(|set| add(&set.elements));
    }
    ruleset.ipsets.iter().for_each(|set| add(&set.elements));
    let bases = ruleset.tables.iter().flat_map(|table| &table.chains).filter_map(|chain| chain.base.as_ref());
    names.extend(bases.flat_map(|base| &base.devices).map(|device| (device.clone(), false)));
    names
}

fn lower(view: &View<'_>, families: &[Family], rule: &Rule) -> Lowered {
    let mut cubes: Vec<Cube> = families.iter().copied().map(Cube::all).collect();
    let mut unmodelled = Vec::new();
    let mut next = Hits::default();
    for part in &rule.parts {
        match part {
            Part::Match(found) => {
                next.clear();
                for cube in &cubes {
                    hits(view, cube, found, &mut next);
                }
                unmodelled.extend(next.reason.take());
                if next.sure.len() + next.perhaps.len() > CUBE_COUNT_MAX {
                    unmodelled.push(both(
                        "the rule stands for more than a million pieces",
                        "该规则的分片超过一百万",
                    ));
                    continue;
                }
                next.sure.append(&mut next.perhaps);
                std::mem::swap(&mut cubes, &mut next.sure);
            }
            Part::Verdict(_) | Part::VerdictMap { .. } | Part::Nat(_) => break,
            part => unmodelled.extend(condition(part)),
        }
        if cubes.is_empty() {
            break;
        }
    }
    unmodelled.sort_by(|a, b| a.en.cmp(&b.en));
    unmodelled.dedup();
    Lowered { cubes, unmodelled }
}

/// Why a part that is no match of a field may let a packet through or not.
pub(crate) fn condition(part: &Part) -> Option<Text> {
    Some(match part {
        Part::Unknown { text, why } => both(format!("{}: {text}", why.en), format!("{}：{text}", why.zh)),
        Part::Limit(_) => both("only packets within a rate match", "仅匹配速率以内的报文"),
        Part::Quota { .. } => both("it depends on how many bytes have passed", "取决于已经通过的字节数"),
        Part::Connections { .. } => both("it depends on how many connections there are", "取决于连接的数量"),
        _ => return None,
    })
}
