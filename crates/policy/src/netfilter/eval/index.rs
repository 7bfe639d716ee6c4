//! The first rule of a long chain, at or after a position, that a packet can match.
//!
//! Every rule is held to a box of addresses, ports and protocols that it cannot match outside of. It is listed
//! under the prefix of the source, that of the destination, or the destination's port, whichever fewest rules
//! share. For a packet only the lists on its two ways down the prefixes, of its port, and of rules without any
//! of these are looked at, each only until the best rule found so far. A rule that is nothing but its box need
//! not be asked again.

mod bounds;
mod prefixes;

use super::compile::{Act, Rule, SetData};
use bounds::{Bounds, Entry, Number};
use prefixes::Prefixes;
use std::collections::HashMap;

/// What of a packet the index looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub source: u128,
    pub destination: u128,
    /// 0 for a packet without ports.
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
}

/// What a rule does that its box tells wholly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Nothing,
    Act(Act),
}

/// Of IPv4 with short addresses: what is looked at for each packet should stay in the processor's cache.
#[derive(Debug)]
pub enum Index {
    Four(Table<u32>),
    Six(Table<u128>),
}

#[derive(Debug)]
pub struct Table<N> {
    sources: Prefixes<N>,
    destinations: Prefixes<N>,
    /// By the destination's port, sorted.
    ports: Vec<(u16, Vec<Entry<N>>)>,
    rest: Vec<Entry<N>>,
    /// For each rule, unless it must be asked.
    plain: Vec<Option<Plain>>,
}

/// Under what a rule can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Handle {
    Source(u128, u8),
    Destination(u128, u8),
    Port(u16),
    Rest,
}

impl Index {
    pub fn new(rules: &[Rule], sets: &[SetData], six: bool) -> Index {
        if six { Index::Six(Table::new(rules, sets, six)) } else { Index::Four(Table::new(rules, sets, six)) }
    }

    /// The first rule from `from` on whose box holds the packet, and what it does where that is all of it.
    pub fn next(&self, from: usize, key: &Key) -> Option<(usize, Option<Plain>)> {
        match self {
            Index::Four(table) => table.next(from, key),
            Index::Six(table) => table.next(from, key),
        }
    }
}

impl<N: Number> Table<N> {
    fn new(rules: &[Rule], sets: &[SetData], six: bool) -> Table<N> {
        let boxes: Vec<(Bounds, Option<Plain>)> =
            rules.iter().map(|rule| Bounds::of(rule, sets, six)).collect();
        let mut shared: HashMap<Handle, u32> = HashMap::new();
        for handle in boxes.iter().flat_map(|(bounds, _)| handles(bounds, six)) {
            *shared.entry(handle).or_default() += 1;
        }
        let mut lists: HashMap<Handle, Vec<Entry<N>>> = HashMap::new();
        for (at, (bounds, _)) in boxes.iter().enumerate().filter(|(_, (bounds, _))| !bounds.is_empty()) {
            let fewest = handles(bounds, six).min_by_key(|handle| shared.get(handle).copied());
            let entry = bounds.entry(u32::try_from(at).unwrap_or(u32::MAX));
            lists.entry(fewest.unwrap_or(Handle::Rest)).or_default().push(entry);
        }
        let (mut sources, mut destinations, mut ports, mut rest) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (handle, list) in lists {
            match handle {
                Handle::Source(first, length) => sources.push(((first, length), list)),
                Handle::Destination(first, length) => destinations.push(((first, length), list)),
                Handle::Port(port) => ports.push((port, list)),
                Handle::Rest => rest = list,
            }
        }
        ports.sort_unstable_by_key(|(port, _)| *port);
        let bits = if six { 128 } else { 32 };
        Table {
            sources: Prefixes::new(sources, bits),
            destinations: Prefixes::new(destinations, bits),
            ports,
            rest,
            plain: boxes.into_iter().map(|(_, plain)| plain).collect(),
        }
    }

    fn next(&self, from: usize, key: &Key) -> Option<(usize, Option<Plain>)> {
        let from = u32::try_from(from).unwrap_or(u32::MAX);
        let mut best = u32::MAX;
        let sought = Entry::point(key);
        look(&self.rest, from, &sought, &mut best);
        if let Ok(at) = self.ports.binary_search_by_key(&key.destination_port, |(port, _)| *port) {
            look(&self.ports[at].1, from, &sought, &mut best);
        }
        self.destinations.along(sought.destination.0, |list| look(list, from, &sought, &mut best));
        self.sources.along(sought.source.0, |list| look(list, from, &sought, &mut best));
        let best = (best != u32::MAX).then_some(best as usize)?;
        Some((best, self.plain.get(best).copied().flatten()))
    }
}

/// Finds the first entry of a list, sorted by rule, that holds the packet and is before the best so far.
#[inline]
fn look<N: Number>(list: &[Entry<N>], from: u32, sought: &Entry<N>, best: &mut u32) {
    let start = if from == 0 { 0 } else { list.partition_point(|entry| entry.rule < from) };
    for entry in &list[start..] {
        if entry.rule >= *best {
            return;
        }
        if entry.holds(sought) {
            *best = entry.rule;
            return;
        }
    }
}

/// Every handle by which a packet in the box would find the rule.
fn handles(bounds: &Bounds, six: bool) -> impl Iterator<Item = Handle> + use<> {
    let source = prefix(bounds.source, six).map(|(first, length)| Handle::Source(first, length));
    let destination =
        prefix(bounds.destination, six).map(|(first, length)| Handle::Destination(first, length));
    let (first, last) = bounds.destination_port;
    let port = (first == last).then_some(Handle::Port(first));
    [source, destination, port].into_iter().flatten()
}

/// The longest prefix that covers a range, unless it is everything.
fn prefix((first, last): (u128, u128), six: bool) -> Option<(u128, u8)> {
    let bits: u32 = if six { 128 } else { 32 };
    let same = (first ^ last).leading_zeros().saturating_sub(128 - bits).min(bits);
    if same == 0 || first > last {
        return None;
    }
    let low = if same == bits { 0 } else { u128::MAX >> (128 - bits + same) };
    Some((first & !low, u8::try_from(same).unwrap_or(u8::MAX)))
}
