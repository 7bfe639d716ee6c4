//! The tables while they are filled: chains by name, rules by number.

use super::UNREAD_COUNT_MAX;
use super::build::Fault;
use crate::netfilter::ast::{
    Backend, Base, Chain, ChainKind, Hook, Policy, Rule, Ruleset, Table, TableFamily,
};
use crate::place::{Place, Unread};
use crate::space::Family;
use std::collections::HashMap;
use std::sync::Arc;

/// How many rules one file may have.
const RULE_COUNT_MAX: usize = 1 << 22;

pub(super) struct Store {
    pub file: Arc<str>,
    tables: Vec<Filling>,
    unread: Vec<Unread>,
    unread_count: usize,
    rule_count: usize,
}

struct Filling {
    table: Table,
    chains: HashMap<String, usize>,
}

/// A table of the store.
pub(super) type TableAt = usize;

/// The chains a rule may name.
pub(super) struct Scope<'a> {
    chains: &'a HashMap<String, usize>,
}

impl Scope<'_> {
    pub fn has_chain(&self, name: &str) -> bool {
        self.chains.contains_key(name)
    }
}

type Hooks = &'static [(&'static str, Hook, i32, ChainKind)];

/// The chains a table is born with, and when they are called (`enum nf_ip_hook_priorities`).
fn built_in(table: &str) -> Hooks {
    use ChainKind::{Filter, Nat, Route};
    use Hook::{Forward, Input, Output, Postrouting, Prerouting};
    match table {
        "filter" => {
            &[("INPUT", Input, 0, Filter), ("FORWARD", Forward, 0, Filter), ("OUTPUT", Output, 0, Filter)]
        }
        "nat" => &[
            ("PREROUTING", Prerouting, -100, Nat),
            ("INPUT", Input, 100, Nat),
            ("OUTPUT", Output, -100, Nat),
            ("POSTROUTING", Postrouting, 100, Nat),
        ],
        "mangle" => &[
            ("PREROUTING", Prerouting, -150, Filter),
            ("INPUT", Input, -150, Filter),
            ("FORWARD", Forward, -150, Filter),
            ("OUTPUT", Output, -150, Route),
            ("POSTROUTING", Postrouting, -150, Filter),
        ],
        "raw" => &[("PREROUTING", Prerouting, -300, Filter), ("OUTPUT", Output, -300, Filter)],
        "security" => {
            &[("INPUT", Input, 50, Filter), ("FORWARD", Forward, 50, Filter), ("OUTPUT", Output, 50, Filter)]
        }
        _ => &[],
    }
}

impl Store {
    pub fn new(file: &Arc<str>) -> Store {
        Store {
            file: Arc::clone(file),
            tables: Vec::new(),
            unread: Vec::new(),
            unread_count: 0,
            rule_count: 0,
        }
    }

    pub fn place(&self, line: u32, offset: usize) -> Place {
        Place::new(&self.file, line, u32::try_from(offset + 1).unwrap_or(u32::MAX))
    }

    /// The table of this name, made with its own chains when it is new.
    pub fn table(&mut self, name: &str, family: Family, line: u32) -> TableAt {
        let family = if family == Family::V4 { TableFamily::Ip } else { TableFamily::Ip6 };
        let same = |filling: &Filling| filling.table.family == family && filling.table.name == name;
        if let Some(at) = self.tables.iter().position(same) {
            return at;
        }
        let place = self.place(line, 0);
        let chain = |(name, hook, priority, kind): &(&str, Hook, i32, ChainKind)| Chain {
            name: (*name).to_owned(),
            base: Some(Base {
                kind: *kind,
                hook: *hook,
                priority: *priority,
                policy: Policy::Accept,
                devices: Vec::new(),
            }),
            rules: Vec::new(),
            place: place.clone(),
        };
        let chains: Vec<Chain> = built_in(name).iter().map(chain).collect();
        let by_name = chains.iter().enumerate().map(|(at, chain)| (chain.name.clone(), at)).collect();
        let table = Table {
            backend: Backend::Xtables,
            family,
            name: name.to_owned(),
            dormant: false,
            chains,
            sets: Vec::new(),
            place: place.clone(),
        };
        self.tables.push(Filling { table, chains: by_name });
        self.tables.len() - 1
    }

    pub fn v6(&self, table: TableAt) -> bool {
        self.tables[table].table.family == TableFamily::Ip6
    }

    pub fn scope(&self, table: TableAt) -> Scope<'_> {
        Scope { chains: &self.tables[table].chains }
    }

    /// The chain of this name, made when it is new.
    pub fn chain(&mut self, table: TableAt, name: &str, place: Place) -> &mut Chain {
        let Filling { table, chains } = &mut self.tables[table];
        let at = match chains.get(name) {
            Some(at) => *at,
            None => {
                chains.insert(name.to_owned(), table.chains.len());
                table.chains.push(Chain { name: name.to_owned(), base: None, rules: Vec::new(), place });
                table.chains.len() - 1
            }
        };
        &mut table.chains[at]
    }

    pub fn existing(&mut self, table: TableAt, name: &str) -> Option<&mut Chain> {
        let Filling { table, chains } = &mut self.tables[table];
        chains.get(name).and_then(|at| table.chains.get_mut(*at))
    }

    /// Adds a rule before the one of this number, or last.
    pub fn add(&mut self, table: TableAt, chain: &str, before: Option<usize>, rule: Rule) -> bool {
        if self.rule_count >= RULE_COUNT_MAX {
            return false;
        }
        self.rule_count += 1;
        let rules = &mut self.chain(table, chain, rule.place.clone()).rules;
        let at = before.unwrap_or(rules.len()).min(rules.len());
        rules.insert(at, rule);
        true
    }

    pub fn remove_chain(&mut self, table: TableAt, name: &str) {
        let Filling { table, chains } = &mut self.tables[table];
        let Some(at) = chains.get(name).copied().filter(|at| table.chains[*at].base.is_none()) else {
            return;
        };
        table.chains.remove(at);
        *chains = table.chains.iter().enumerate().map(|(at, chain)| (chain.name.clone(), at)).collect();
    }

    pub fn rename_chain(&mut self, table: TableAt, old: &str, new: &str) {
        let Filling { table, chains } = &mut self.tables[table];
        if !chains.contains_key(new)
            && let Some(at) = chains.remove(old)
        {
            new.clone_into(&mut table.chains[at].name);
            chains.insert(new.to_owned(), at);
        }
    }

    /// All chains of a table by name, for a command that names none.
    pub fn chain_names(&self, table: TableAt) -> Vec<String> {
        self.tables[table].table.chains.iter().map(|chain| chain.name.clone()).collect()
    }

    pub fn unread(&mut self, line: u32, fault: Fault) {
        self.unread_count += 1;
        if self.unread.len() < UNREAD_COUNT_MAX {
            let place = self.place(line, fault.offset);
            self.unread.push(Unread { place, text: fault.text, why: fault.why });
        }
    }

    pub fn finish(mut self) -> Ruleset {
        if let Some(more) = self.unread_count.checked_sub(UNREAD_COUNT_MAX).filter(|more| *more > 0) {
            let (en, zh) =
                (format!("{more} more places were not understood"), format!("另有 {more} 处无法理解"));
            self.unread.push(Unread::new(Place::whole(&self.file), "", en, zh));
        }
        let mut tables: Vec<Table> = self.tables.into_iter().map(|filling| filling.table).collect();
        for chain in tables.iter_mut().flat_map(|table| &mut table.chains) {
            for (number, rule) in (0..).zip(&mut chain.rules) {
                rule.number = number;
            }
        }
        Ruleset { tables, ipsets: Vec::new(), unread: self.unread }
    }
}
