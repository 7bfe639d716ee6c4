//! The first rule of a long chain, at or after a position, that a packet can match.
//!
//! Every rule is held to a box of addresses, ports and protocols that it cannot match outside of. It is listed
//! under the prefix of the source, that of the destination, or the destination's port, whichever fewest rules
//! share. For a packet only the lists on its two ways down the prefixes, of its port, and of rules without any
//! of these are looked at, each only until the best rule found so far.

mod prefixes;

use super::compile::{Rule, SetData, Step};
use crate::netfilter::ast::{Field, Operand};
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

#[derive(Debug)]
pub struct Index {
    boxes: Vec<Bounds>,
    sources: Prefixes,
    destinations: Prefixes,
    ports: HashMap<u16, Vec<u32>>,
    rest: Vec<u32>,
}

/// A rule matches no packet outside of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    source: (u128, u128),
    destination: (u128, u128),
    source_port: (u16, u16),
    destination_port: (u16, u16),
    /// First and last protocol.
    protocol: (u8, u8),
}

impl Bounds {
    const ALL: Bounds = Bounds {
        source: (0, u128::MAX),
        destination: (0, u128::MAX),
        source_port: (0, u16::MAX),
        destination_port: (0, u16::MAX),
        protocol: (0, u8::MAX),
    };
    /// Matches nothing.
    const NONE: Bounds = Bounds { protocol: (1, 0), ..Bounds::ALL };

    #[inline]
    fn holds(&self, key: &Key) -> bool {
        self.destination.0 <= key.destination
            && key.destination <= self.destination.1
            && self.source.0 <= key.source
            && key.source <= self.source.1
            && self.destination_port.0 <= key.destination_port
            && key.destination_port <= self.destination_port.1
            && self.source_port.0 <= key.source_port
            && key.source_port <= self.source_port.1
            && self.protocol.0 <= key.protocol
            && key.protocol <= self.protocol.1
    }

    fn of(rule: &Rule, sets: &[SetData], six: bool) -> Bounds {
        let mut bounds = Bounds::ALL;
        for step in &rule.steps {
            match step {
                Step::Match { keys, set, negated: false } => {
                    for (at, key) in keys.iter().enumerate() {
                        let Some(range) = sets[*set].cover(at) else { continue };
                        bounds.narrow(key, range, six);
                    }
                }
                // What comes after a step that acts by itself no longer narrows whom it acts upon.
                Step::Match { .. } | Step::AnyBit { .. } | Step::Same { .. } => {}
                _ => break,
            }
        }
        bounds
    }

    fn narrow(&mut self, key: &Operand, range: (u128, u128), six: bool) {
        if (key.mask, key.xor, key.shift) != (None, 0, 0) {
            return;
        }
        let both = |a: (u128, u128), b: (u128, u128)| (a.0.max(b.0), a.1.min(b.1));
        let short = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
        let port = |old: (u16, u16)| (old.0.max(short(range.0)), old.1.min(short(range.1)));
        match key.field {
            Field::Ip4Source if !six => self.source = both(self.source, range),
            Field::Ip6Source if six => self.source = both(self.source, range),
            Field::Ip4Destination if !six => self.destination = both(self.destination, range),
            Field::Ip6Destination if six => self.destination = both(self.destination, range),
            Field::Ip4Source | Field::Ip6Source | Field::Ip4Destination | Field::Ip6Destination => {
                *self = Bounds::NONE;
            }
            Field::TcpSource | Field::UdpSource => self.source_port = port(self.source_port),
            Field::TcpDestination | Field::UdpDestination => {
                self.destination_port = port(self.destination_port);
            }
            Field::Protocol => {
                let byte = |number: u128| u8::try_from(number).unwrap_or(u8::MAX);
                self.protocol = (self.protocol.0.max(byte(range.0)), self.protocol.1.min(byte(range.1)));
            }
            _ => {}
        }
        let protocol = match key.field {
            Field::TcpSource | Field::TcpDestination => crate::netfilter::packet::TCP,
            Field::UdpSource | Field::UdpDestination => crate::netfilter::packet::UDP,
            _ => return,
        };
        self.protocol = (self.protocol.0.max(protocol), self.protocol.1.min(protocol));
    }
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
        let boxes: Vec<Bounds> = rules.iter().map(|rule| Bounds::of(rule, sets, six)).collect();
        let mut shared: HashMap<Handle, u32> = HashMap::new();
        for bounds in &boxes {
            for handle in handles(bounds, six) {
                *shared.entry(handle).or_default() += 1;
            }
        }
        let (mut sources, mut destinations) = (HashMap::new(), HashMap::new());
        let mut index = Index {
            ports: HashMap::new(),
            rest: Vec::new(),
            sources: Prefixes::default(),
            destinations: Prefixes::default(),
            boxes: Vec::new(),
        };
        for (at, bounds) in boxes.iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            if bounds.protocol.0 > bounds.protocol.1 {
                continue;
            }
            let fewest = handles(bounds, six).min_by_key(|handle| shared.get(handle).copied());
            match fewest.unwrap_or(Handle::Rest) {
                Handle::Source(first, length) => {
                    sources.entry((first, length)).or_insert_with(Vec::new).push(at)
                }
                Handle::Destination(first, length) => {
                    destinations.entry((first, length)).or_insert_with(Vec::new).push(at);
                }
                Handle::Port(port) => index.ports.entry(port).or_default().push(at),
                Handle::Rest => index.rest.push(at),
            }
        }
        let bits = if six { 128 } else { 32 };
        index.sources = Prefixes::new(sources, bits);
        index.destinations = Prefixes::new(destinations, bits);
        index.boxes = boxes;
        index
    }

    /// The first rule from `from` on whose box holds the packet.
    pub fn next(&self, from: usize, key: &Key) -> Option<usize> {
        let from = u32::try_from(from).unwrap_or(u32::MAX);
        let mut best = u32::MAX;
        self.look(&self.rest, from, key, &mut best);
        if let Some(list) = self.ports.get(&key.destination_port) {
            self.look(list, from, key, &mut best);
        }
        self.destinations.along(key.destination, |list| self.look(list, from, key, &mut best));
        self.sources.along(key.source, |list| self.look(list, from, key, &mut best));
        (best != u32::MAX).then_some(best as usize)
    }

    #[inline]
    fn look(&self, list: &[u32], from: u32, key: &Key, best: &mut u32) {
        let start = if from == 0 { 0 } else { list.partition_point(|at| *at < from) };
        for at in &list[start..] {
            if *at >= *best {
                return;
            }
            if self.boxes[*at as usize].holds(key) {
                *best = *at;
                return;
            }
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
