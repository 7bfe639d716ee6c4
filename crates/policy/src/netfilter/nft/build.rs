//! Tables as they stand after one command and the next.

use super::draft::{Interner, resolve_object};
use crate::netfilter::ast::{
    Backend, Base, Chain, Element, Part, Rule, Ruleset, Set, SetUse, Table, TableFamily,
};
use crate::place::{Place, Unread};
use std::collections::HashMap;
use std::sync::Arc;

/// Tables, chains and sets by number: what is deleted leaves its number empty, so that none of the others moves.
#[derive(Default)]
pub(super) struct Builder {
    tables: Vec<Option<Held>>,
    by_name: HashMap<(TableFamily, String), usize>,
    pub interner: Interner,
    pub unread: Vec<Unread>,
}

struct Held {
    table: Table,
    chains: Vec<Option<Chain>>,
    chain_by_name: HashMap<String, usize>,
    sets: Vec<Option<Set>>,
    set_by_name: HashMap<String, usize>,
    objects: HashMap<String, Part>,
}

/// A table or, in it, a chain or set, by number.
pub(super) type TableId = usize;
pub(super) type ChainId = (usize, usize);

/// Where a rule goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    First,
    Last,
    Before(usize),
    Behind(usize),
    Instead(usize),
}

impl Builder {
    pub fn find_table(&self, family: TableFamily, name: &str) -> Option<TableId> {
        self.by_name.get(&(family, name.to_owned())).copied()
    }

    pub fn table(&mut self, family: TableFamily, name: &str, place: &Place) -> TableId {
        if let Some(id) = self.find_table(family, name) {
            return id;
        }
        let table = Table {
            backend: Backend::Nft,
            family,
            name: name.to_owned(),
            dormant: false,
            chains: Vec::new(),
            sets: Vec::new(),
            place: place.clone(),
        };
        self.tables.push(Some(Held {
            table,
            chains: Vec::new(),
            chain_by_name: HashMap::new(),
            sets: Vec::new(),
            set_by_name: HashMap::new(),
            objects: HashMap::new(),
        }));
        self.by_name.insert((family, name.to_owned()), self.tables.len() - 1);
        self.tables.len() - 1
    }

    fn held(&mut self, id: TableId) -> Option<&mut Held> {
        self.tables.get_mut(id)?.as_mut()
    }

    pub fn family(&self, id: TableId) -> TableFamily {
        self.tables.get(id).and_then(Option::as_ref).map_or(TableFamily::Ip, |held| held.table.family)
    }

    pub fn set_dormant(&mut self, id: TableId, dormant: bool) {
        if let Some(held) = self.held(id) {
            held.table.dormant = dormant;
        }
    }

    pub fn find_chain(&mut self, table: TableId, name: &str) -> Option<ChainId> {
        let at = *self.held(table)?.chain_by_name.get(name)?;
        Some((table, at))
    }

    pub fn chain(&mut self, table: TableId, name: &str, place: &Place) -> ChainId {
        if let Some(id) = self.find_chain(table, name) {
            return id;
        }
        let Some(held) = self.held(table) else { return (table, usize::MAX) };
        let chain = Chain { name: name.to_owned(), base: None, rules: Vec::new(), place: place.clone() };
        held.chains.push(Some(chain));
        held.chain_by_name.insert(name.to_owned(), held.chains.len() - 1);
        (table, held.chains.len() - 1)
    }

    fn chain_mut(&mut self, (table, at): ChainId) -> Option<&mut Chain> {
        self.held(table)?.chains.get_mut(at)?.as_mut()
    }

    /// How the chain hangs in its hook, made when it was not yet known.
    pub fn base(&mut self, id: ChainId, change: impl FnOnce(&mut Option<Base>)) {
        if let Some(chain) = self.chain_mut(id) {
            change(&mut chain.base);
        }
    }

    pub fn rule_count(&mut self, id: ChainId) -> usize {
        self.chain_mut(id).map_or(0, |chain| chain.rules.len())
    }

    /// Puts a rule into a chain; false when the rule it should stand beside is not there.
    pub fn rule(&mut self, id: ChainId, rule: Rule, spot: Spot) -> bool {
        let Some(chain) = self.chain_mut(id) else { return false };
        let count = chain.rules.len();
        match spot {
            Spot::Last => chain.rules.push(rule),
            Spot::First => chain.rules.insert(0, rule),
            Spot::Before(at) if at < count => chain.rules.insert(at, rule),
            Spot::Behind(at) if at < count => chain.rules.insert(at + 1, rule),
            Spot::Instead(at) if at < count => chain.rules[at] = rule,
            _ => return false,
        }
        true
    }

    pub fn delete_rule(&mut self, id: ChainId, at: usize) -> bool {
        let Some(chain) = self.chain_mut(id) else { return false };
        let there = at < chain.rules.len();
        if there {
            chain.rules.remove(at);
        }
        there
    }

    pub fn find_set(&mut self, table: TableId, name: &str) -> Option<&mut Set> {
        let held = self.held(table)?;
        let at = *held.set_by_name.get(name)?;
        held.sets.get_mut(at)?.as_mut()
    }

    /// Adds a set, or what it newly says of one that is there.
    pub fn set(&mut self, table: TableId, set: Set) {
        if let Some(known) = self.find_set(table, &set.name) {
            if !set.elements.is_empty() {
                Arc::make_mut(&mut known.elements).extend(set.elements.iter().cloned());
            }
            return;
        }
        if let Some(held) = self.held(table) {
            held.set_by_name.insert(set.name.clone(), held.sets.len());
            held.sets.push(Some(set));
        }
    }

    pub fn object(&mut self, table: TableId, name: String, part: Part) {
        if let Some(held) = self.held(table) {
            held.objects.insert(name, part);
        }
    }

    pub fn flush_ruleset(&mut self, family: Option<TableFamily>) {
        for slot in &mut self.tables {
            if slot.as_ref().is_some_and(|held| family.is_none_or(|family| held.table.family == family)) {
                *slot = None;
            }
        }
        let tables = &self.tables;
        self.by_name.retain(|_, id| tables.get(*id).is_some_and(Option::is_some));
    }

    pub fn delete_table(&mut self, family: TableFamily, name: &str) -> bool {
        let Some(id) = self.by_name.remove(&(family, name.to_owned())) else { return false };
        self.tables[id] = None;
        true
    }

    /// Empties the chains of a table, or one of them.
    pub fn flush_rules(&mut self, table: TableId, chain: Option<&str>) -> bool {
        if let Some(name) = chain {
            let Some(id) = self.find_chain(table, name) else { return false };
            if let Some(chain) = self.chain_mut(id) {
                chain.rules.clear();
            }
            return true;
        }
        let Some(held) = self.held(table) else { return false };
        for chain in held.chains.iter_mut().flatten() {
            chain.rules.clear();
        }
        true
    }

    pub fn delete_chain(&mut self, table: TableId, name: &str) -> bool {
        let Some(held) = self.held(table) else { return false };
        let Some(at) = held.chain_by_name.remove(name) else { return false };
        held.chains[at] = None;
        true
    }

    pub fn delete_set(&mut self, table: TableId, name: &str) -> bool {
        let Some(held) = self.held(table) else { return false };
        let Some(at) = held.set_by_name.remove(name) else { return false };
        held.sets[at] = None;
        true
    }

    pub fn delete_object(&mut self, table: TableId, name: &str) -> bool {
        self.held(table).is_some_and(|held| held.objects.remove(name).is_some())
    }

    pub fn rename_chain(&mut self, table: TableId, old: &str, new: &str) -> bool {
        let Some(held) = self.held(table) else { return false };
        if held.chain_by_name.contains_key(new) {
            return false;
        }
        let Some(at) = held.chain_by_name.remove(old) else { return false };
        held.chain_by_name.insert(new.to_owned(), at);
        if let Some(chain) = held.chains[at].as_mut() {
            new.clone_into(&mut chain.name);
        }
        true
    }

    /// Puts elements into a set.
    pub fn add_elements(&mut self, table: TableId, name: &str, new: Vec<Element>) {
        if let Some(set) = self.find_set(table, name) {
            Arc::make_mut(&mut set.elements).extend(new);
        }
    }

    /// Takes elements out of a set.
    pub fn delete_elements(&mut self, table: TableId, name: &str, gone: &[Element]) -> bool {
        let Some(set) = self.find_set(table, name) else { return false };
        let gone: std::collections::HashSet<_> = gone.iter().map(|element| &element.spans).collect();
        Arc::make_mut(&mut set.elements).retain(|element| !gone.contains(&element.spans));
        true
    }

    /// What all commands together came to.
    pub fn finish(self) -> Ruleset {
        let mut ruleset = Ruleset { unread: self.unread, ..Ruleset::default() };
        for held in self.tables.into_iter().flatten() {
            ruleset.tables.push(held.finish());
        }
        ruleset
    }
}

impl Held {
    fn finish(self) -> Table {
        let mut table = self.table;
        table.chains = self.chains.into_iter().flatten().collect();
        table.sets = self.sets.into_iter().flatten().collect();
        let mut changed: Vec<String> = Vec::new();
        let by_name: HashMap<&str, usize> =
            table.sets.iter().map(|set| (set.name.as_str(), set.data.len())).collect();
        for chain in &mut table.chains {
            for (number, rule) in chain.rules.iter_mut().enumerate() {
                rule.number = u32::try_from(number).unwrap_or(u32::MAX);
                for part in &mut rule.parts {
                    resolve_object(part, &self.objects);
                    match part {
                        Part::Update { set, .. } => changed.push(set.clone()),
                        Part::Nat(nat) => settle_map(nat, &by_name),
                        _ => {}
                    }
                }
            }
        }
        changed.sort_unstable();
        changed.dedup();
        for set in &mut table.sets {
            set.dynamic |= changed.binary_search(&set.name).is_ok();
        }
        table
    }
}

/// Says whether a named map gives a port beside its address.
fn settle_map(nat: &mut crate::netfilter::ast::Nat, data_len: &HashMap<&str, usize>) {
    if let Some(map) = &mut nat.map
        && let SetUse::Named(name) = &map.set
        && map.gives_address
    {
        map.gives_port = data_len.get(name.as_str()).is_some_and(|len| *len > 1);
    }
}
