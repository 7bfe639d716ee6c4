//! Many boxes of packets, numbered: the first of them that holds one packet.
//!
//! A box is listed under the prefix of the source, that of the destination, or the destination's port, whichever
//! fewest boxes share. For a packet only the lists on its two ways down the prefixes, of its port, and of boxes
//! without any of these are looked at, each only until the first box found so far.

mod entry;
mod lists;
mod prefixes;

use entry::{Entry, Narrow, Number};
use lists::{Lists, NONE, Node};
use prefixes::Prefixes;
use std::collections::HashMap;
use std::ops::Range;

/// One packet of a family that is known otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub source: u128,
    pub destination: u128,
    /// 0 for a packet without ports.
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
}

/// A box of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub source: (u128, u128),
    pub destination: (u128, u128),
    pub source_port: (u16, u16),
    pub destination_port: (u16, u16),
    /// First and last protocol.
    pub protocol: (u8, u8),
}

impl Bounds {
    pub const ALL: Bounds = Bounds {
        source: (0, u128::MAX),
        destination: (0, u128::MAX),
        source_port: (0, u16::MAX),
        destination_port: (0, u16::MAX),
        protocol: (0, u8::MAX),
    };
    /// Holds nothing.
    pub const NONE: Bounds = Bounds { protocol: (1, 0), ..Bounds::ALL };

    pub fn is_empty(&self) -> bool {
        self.protocol.0 > self.protocol.1
            || self.source.0 > self.source.1
            || self.destination.0 > self.destination.1
            || self.source_port.0 > self.source_port.1
            || self.destination_port.0 > self.destination_port.1
    }
}

/// Of IPv4 with short addresses: what is looked at for each packet should stay in the processor's cache.
#[derive(Debug)]
pub enum Points {
    Four(Table<u32>),
    Six(Table<u128>),
}

#[derive(Debug)]
pub struct Table<N> {
    lists: Lists<N>,
    sources: Prefixes<N>,
    destinations: Prefixes<N>,
    /// By the destination's port.
    ports: Prefixes<u16>,
    rest: Node,
}

/// Under what a box can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Handle {
    Source(u128, u8),
    Destination(u128, u8),
    Port(u16),
    Rest,
}

impl Points {
    /// The number of a box is its place.
    pub fn new(boxes: &[Bounds], six: bool) -> Points {
        if six { Points::Six(Table::new(boxes, six)) } else { Points::Four(Table::new(boxes, six)) }
    }

    /// The first box of those numbered `within` that holds the packet and passes a test.
    #[inline]
    pub fn first(&self, point: &Point, within: Range<u32>, test: impl Fn(u32) -> bool) -> Option<u32> {
        match self {
            Points::Four(table) => table.first(point, within, test),
            Points::Six(table) => table.first(point, within, test),
        }
    }
}

impl<N: Number> Table<N> {
    fn new(boxes: &[Bounds], six: bool) -> Table<N> {
        let mut shared: HashMap<Handle, u32> = HashMap::new();
        for handle in boxes.iter().flat_map(|bounds| handles(bounds, six)) {
            *shared.entry(handle).or_default() += 1;
        }
        let mut listed: HashMap<Handle, Vec<Entry<N>>> = HashMap::new();
        for (number, bounds) in (0..).zip(boxes).filter(|(_, bounds)| !bounds.is_empty()) {
            let fewest = handles(bounds, six).min_by_key(|handle| shared.get(handle).copied());
            let entry = Entry::new(number, bounds);
            listed.entry(fewest.unwrap_or(Handle::Rest)).or_default().push(entry);
        }
        let (mut sources, mut destinations, mut ports, mut rest) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (handle, list) in listed {
            match handle {
                Handle::Source(first, length) => sources.push(((first, length), list)),
                Handle::Destination(first, length) => destinations.push(((first, length), list)),
                Handle::Port(port) => ports.push(((port.into(), 16), list)),
                Handle::Rest => rest = list,
            }
        }
        let mut lists = Lists::default();
        let bits = if six { 128 } else { 32 };
        let sources = Prefixes::new(sources, bits, &mut lists);
        let destinations = Prefixes::new(destinations, bits, &mut lists);
        let ports = Prefixes::new(ports, u16::BITS, &mut lists);
        let rest = lists.add(rest, NONE);
        let rest = lists.node(rest);
        Table { lists, sources, destinations, ports, rest }
    }

    #[inline]
    fn first(&self, point: &Point, within: Range<u32>, test: impl Fn(u32) -> bool) -> Option<u32> {
        let mut first = within.end;
        let sought = Narrow::of(point);
        // All searches before all looks: none of them waits for what the others find.
        let port = self.ports.narrowest(sought.destination_port);
        let destination = self.destinations.narrowest(sought.destination);
        let source = self.sources.narrowest(sought.source);
        for node in [self.rest, port, destination, source] {
            self.lists.look(node, within.start, &sought, &test, &mut first);
        }
        (first < within.end).then_some(first)
    }
}

/// Every handle by which a packet in the box would find it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(last: u32) -> impl Strategy<Value = (u32, u32)> {
        // Often alike and often all: what shares lists, and what is in none.
        prop_oneof![
            Just((0, u32::MAX)),
            (0..last, 0..4_u32).prop_map(|(first, width)| (first, first + width))
        ]
    }

    fn bounds(six: bool) -> impl Strategy<Value = Bounds> {
        let wide = move |(first, last): (u32, u32)| {
            let shift = if six { 96 } else { 0 };
            let low = if six { u128::MAX >> 32 } else { 0 };
            (u128::from(first) << shift, u128::from(last) << shift | low)
        };
        let short = |(first, last): (u32, u32)| (first as u16, last.min(u32::from(u16::MAX)) as u16);
        (ranges(16), ranges(16), ranges(6), ranges(6), 0..3_u8).prop_map(
            move |(from, to, sport, dport, protocol)| Bounds {
                source: wide(from),
                destination: wide(to),
                source_port: short(sport),
                destination_port: short(dport),
                protocol: if protocol == 0 { (0, u8::MAX) } else { (protocol, protocol + 1) },
            },
        )
    }

    fn holds(bounds: &Bounds, point: &Point) -> bool {
        let within = |(first, last): (u128, u128), number: u128| first <= number && number <= last;
        let port = |(first, last): (u16, u16), number: u16| first <= number && number <= last;
        within(bounds.source, point.source)
            && within(bounds.destination, point.destination)
            && port(bounds.source_port, point.source_port)
            && port(bounds.destination_port, point.destination_port)
            && bounds.protocol.0 <= point.protocol
            && point.protocol <= bounds.protocol.1
    }

    proptest! {
        #[test]
        fn the_first_box_is_the_one_a_scan_finds(
            (six, boxes) in any::<bool>()
                .prop_flat_map(|six| (Just(six), proptest::collection::vec(bounds(six), 0..60))),
            (source, destination) in (0..20_u32, 0..20_u32),
            (source_port, destination_port, protocol) in (0..10_u16, 0..10_u16, 0..5_u8),
            from in 0..40_u32,
            odd in any::<bool>(),
        ) {
            let shift = if six { 96 } else { 0 };
            let (source, destination) = (u128::from(source) << shift, u128::from(destination) << shift);
            let point = Point { source, destination, source_port, destination_port, protocol };
            for within in [0..u32::MAX, from..u32::MAX, 0..from, 0..0] {
                let test = |number: u32| !odd || number % 2 == 1;
                let scanned = (0..).zip(&boxes).find(|(number, bounds)| {
                    within.contains(number) && test(*number) && holds(bounds, &point)
                });
                let found = Points::new(&boxes, six).first(&point, within.clone(), test);
                prop_assert_eq!(found, scanned.map(|(number, _)| number));
            }
        }
    }
}
