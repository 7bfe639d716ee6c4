//! Finds the cubes that overlap a cube: two levels of prefixes, kept once by destination and once by source.
//!
//! A cube stands at the smallest prefix that holds its addresses. Whatever overlaps a cube then stands at a
//! prefix above its own or below it, and both are quick to walk: prefixes are kept in preorder, so that what is
//! below one follows it, and each knows the next one above.

use crate::space::{Cube, Family};
use std::ops::Range;

const NONE: u32 = u32::MAX;

/// The smallest prefix around some addresses; IPv4 has its 32 bits at the low end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Prefix {
    first: u128,
    bits: u8,
}

impl Prefix {
    fn around((first, last): (u128, u128)) -> Prefix {
        let bits = (first ^ last).leading_zeros() as u8;
        Prefix { first: first & Self::mask(bits), bits }
    }

    const fn mask(bits: u8) -> u128 {
        if bits == 0 { 0 } else { u128::MAX << (128 - bits) }
    }

    const fn last(self) -> u128 {
        self.first | !Self::mask(self.bits)
    }

    const fn holds(self, other: Prefix) -> bool {
        self.bits <= other.bits && other.first & Self::mask(self.bits) == self.first
    }
}

/// Prefixes in preorder, each with the nearest one above it and what it leads to.
#[derive(Debug, Default)]
struct Level {
    prefixes: Vec<Prefix>,
    above: Vec<u32>,
    /// Where what belongs to it begins; it ends where the next one's begins.
    starts: Vec<u32>,
}

impl Level {
    fn push(&mut self, prefix: Prefix, from: usize, start: usize) {
        let mut above = if self.prefixes.len() > from { (self.prefixes.len() - 1) as u32 } else { NONE };
        while above != NONE && !self.prefixes[above as usize].holds(prefix) {
            above = self.above[above as usize];
        }
        self.prefixes.push(prefix);
        self.above.push(above);
        self.starts.push(start as u32);
    }

    fn leads_to(&self, at: usize, end: usize) -> Range<usize> {
        self.starts[at] as usize..self.starts.get(at + 1).map_or(end, |start| *start as usize)
    }

    /// The prefixes in `within` that lie at or below one: they follow one another.
    fn below(&self, within: &Range<usize>, prefix: Prefix) -> Range<usize> {
        let here = &self.prefixes[within.clone()];
        let start = here.partition_point(|other| *other < prefix);
        let last = prefix.last();
        let length = here[start..].partition_point(|other| other.first <= last);
        within.start + start..within.start + start + length
    }

    /// Calls for each prefix in `within` at, above or below one.
    #[inline]
    fn around(&self, within: &Range<usize>, prefix: Prefix, mut each: impl FnMut(usize)) {
        let below = self.below(within, prefix);
        let mut above = if below.start > within.start { (below.start - 1) as u32 } else { NONE };
        while above != NONE {
            if self.prefixes[above as usize].holds(prefix) {
                each(above as usize);
            }
            above = self.above[above as usize];
        }
        below.for_each(each);
    }
}

/// A cube's number and outline: all of it that most other cubes fail to meet, small and side by side. Of an IPv6
/// address it has the first 32 bits, of a protocol the last five.
#[derive(Debug, Clone, Copy)]
pub struct Outline {
    pub number: u32,
    protocols: u32,
    source: (u32, u32),
    destination: (u32, u32),
    source_ports: (u16, u16),
    destination_ports: (u16, u16),
}

impl Outline {
    pub fn of(cube: &Cube, number: u32) -> Outline {
        let shift = if cube.family == Family::V4 { 0 } else { 96 };
        let short = |range: (u128, u128)| ((range.0 >> shift) as u32, (range.1 >> shift) as u32);
        let protocols = cube.protocols.0.iter().fold(0, |all, word| all | word);
        Outline {
            number,
            protocols: (protocols | protocols >> 32) as u32,
            source: short(cube.source),
            destination: short(cube.destination),
            source_ports: cube.source_ports,
            destination_ports: cube.destination_ports,
        }
    }

    /// Whether the cubes of one family may share a packet; when not, they do not.
    #[inline]
    pub fn may_meet(&self, other: &Outline) -> bool {
        // No branches: which of them fails is hard to foretell.
        (self.destination.0 <= other.destination.1)
            & (other.destination.0 <= self.destination.1)
            & (self.source.0 <= other.source.1)
            & (other.source.0 <= self.source.1)
            & (self.destination_ports.0 <= other.destination_ports.1)
            & (other.destination_ports.0 <= self.destination_ports.1)
            & (self.source_ports.0 <= other.source_ports.1)
            & (other.source_ports.0 <= self.source_ports.1)
            & (self.protocols & other.protocols != 0)
    }
}

/// One order of the two axes.
#[derive(Debug, Default)]
struct Tree {
    outer: Level,
    inner: Level,
    cubes: Vec<Outline>,
}

impl Tree {
    fn build(keys: &mut [(Prefix, Prefix, u32)], cubes: &[Cube]) -> Tree {
        keys.sort_unstable();
        let mut tree = Tree::default();
        let mut inner_from = 0;
        let mut last: Option<(Prefix, Prefix)> = None;
        for (outer, inner, cube) in keys.iter().copied() {
            let is_new_outer = last.is_none_or(|(before, _)| before != outer);
            if is_new_outer {
                inner_from = tree.inner.prefixes.len();
                tree.outer.push(outer, 0, inner_from);
            }
            if is_new_outer || last.is_none_or(|(_, before)| before != inner) {
                tree.inner.push(inner, inner_from, tree.cubes.len());
            }
            tree.cubes.push(Outline::of(&cubes[cube as usize], cube));
            last = Some((outer, inner));
        }
        tree
    }

    #[inline]
    fn around(&self, outer: Prefix, inner: Prefix, mut each: impl FnMut(&[Outline])) {
        self.outer.around(&(0..self.outer.prefixes.len()), outer, |at| {
            let within = self.outer.leads_to(at, self.inner.prefixes.len());
            self.inner
                .around(&within, inner, |at| each(&self.cubes[self.inner.leads_to(at, self.cubes.len())]));
        });
    }

    /// How many outer prefixes lie below one: what a walk costs.
    fn cost(&self, outer: Prefix) -> usize {
        self.outer.below(&(0..self.outer.prefixes.len()), outer).len()
    }
}

/// The cubes of one list, by number; those of one place are in rising order.
#[derive(Debug, Default)]
pub struct Index {
    /// For each family: by destination then source, and the other way round.
    trees: [[Tree; 2]; 2],
}

impl Index {
    pub fn new(cubes: &[Cube]) -> Index {
        let mut keys: [[Vec<(Prefix, Prefix, u32)>; 2]; 2] = Default::default();
        for (number, cube) in cubes.iter().enumerate() {
            let (to, from) = (Prefix::around(cube.destination), Prefix::around(cube.source));
            let [by_destination, by_source] = &mut keys[family(cube)];
            by_destination.push((to, from, number as u32));
            by_source.push((from, to, number as u32));
        }
        Index { trees: keys.map(|orders| orders.map(|mut keys| Tree::build(&mut keys, cubes))) }
    }

    /// Calls with runs of rising cubes among which are all that overlap the cube (and some that do not).
    #[inline]
    pub fn around(&self, cube: &Cube, each: impl FnMut(&[Outline])) {
        let (to, from) = (Prefix::around(cube.destination), Prefix::around(cube.source));
        let [by_destination, by_source] = &self.trees[family(cube)];
        if by_destination.cost(to) <= by_source.cost(from) {
            by_destination.around(to, from, each);
        } else {
            by_source.around(from, to, each);
        }
    }
}

fn family(cube: &Cube) -> usize {
    usize::from(cube.family == Family::V6)
}
