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
use prefixes::{Handle, Prefixes};
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

/// What a box can be listed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    Source,
    Destination,
    Port,
    Neither,
}

impl Points {
    /// The number of a box is its place.
    pub fn new(boxes: &[Bounds], six: bool) -> Points {
        if six { Points::Six(Table::new(boxes)) } else { Points::Four(Table::new(boxes)) }
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
    fn new(boxes: &[Bounds]) -> Table<N> {
        let one_port = |(first, last): (u16, u16)| (first == last).then_some((first, 16));
        let mut sources = handles(boxes, |bounds| prefix::<N>(bounds.source));
        let mut destinations = handles(boxes, |bounds| prefix::<N>(bounds.destination));
        let mut ports = handles(boxes, |bounds| one_port(bounds.destination_port));
        let mut fewest = vec![(usize::MAX, Axis::Neither); boxes.len()];
        share(&sources, Axis::Source, &mut fewest);
        share(&destinations, Axis::Destination, &mut fewest);
        share(&ports, Axis::Port, &mut fewest);
        let stands = |number: u32, axis| fewest[number as usize].1 == axis;
        sources.retain(|(_, _, number)| stands(*number, Axis::Source));
        destinations.retain(|(_, _, number)| stands(*number, Axis::Destination));
        ports.retain(|(_, _, number)| stands(*number, Axis::Port));
        let entry = |number: u32| Entry::new(number, &boxes[number as usize]);
        let mut lists = Lists::default();
        let sources = Prefixes::new(&sources, entry, &mut lists);
        let destinations = Prefixes::new(&destinations, entry, &mut lists);
        let ports = Prefixes::new(&ports, entry, &mut lists);
        let rest =
            (0..).zip(boxes).filter(|(number, bounds)| !bounds.is_empty() && stands(*number, Axis::Neither));
        let rest = lists.add(rest.map(|(number, _)| entry(number)), NONE);
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

/// What a packet in a box would find it by, sorted.
fn handles<K: Number>(boxes: &[Bounds], of: impl Fn(&Bounds) -> Option<(K, u8)>) -> Vec<Handle<K>> {
    let boxes = (0..).zip(boxes).filter(|(_, bounds)| !bounds.is_empty());
    let mut handles: Vec<Handle<K>> = boxes
        .filter_map(|(number, bounds)| of(bounds).map(|(first, length)| (first, length, number)))
        .collect();
    handles.sort_unstable();
    handles
}

/// Notes by what each box is found: by that which fewest share.
fn share<K: Number>(handles: &[Handle<K>], axis: Axis, fewest: &mut [(usize, Axis)]) {
    for group in handles.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
        for (_, _, number) in group {
            let least = &mut fewest[*number as usize];
            if group.len() < least.0 {
                *least = (group.len(), axis);
            }
        }
    }
}

/// The longest prefix that covers a range, unless it is everything.
fn prefix<N: Number>((first, last): (u128, u128)) -> Option<(N, u8)> {
    let same = (first ^ last).leading_zeros().saturating_sub(128 - N::BITS).min(N::BITS);
    if same == 0 || first > last {
        return None;
    }
    let low = if same == N::BITS { 0 } else { u128::MAX >> (128 - N::BITS + same) };
    Some((N::of(first & !low), u8::try_from(same).unwrap_or(u8::MAX)))
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
