//! Fewer cubes for the same packets.

use super::{Cube, Protocols, State};
use std::collections::HashMap;

/// Joins cubes that differ in one dimension only and touch there, until none do.
///
/// The result holds the same packets; disjoint cubes stay disjoint.
pub fn join(mut cubes: Vec<Cube>) -> Vec<Cube> {
    loop {
        let before = cubes.len();
        cubes = along(cubes, |c| c.destination, |c, range| c.destination = range, |c| c.destination = (0, 0));
        cubes = along(cubes, |c| c.source, |c, range| c.source = range, |c| c.source = (0, 0));
        cubes = along(
            cubes,
            |c| wide(c.destination_ports),
            |c, range| c.destination_ports = narrow(range),
            |c| c.destination_ports = (0, 0),
        );
        cubes = along(
            cubes,
            |c| wide(c.source_ports),
            |c, range| c.source_ports = narrow(range),
            |c| c.source_ports = (0, 0),
        );
        cubes = bits(
            cubes,
            |c| c.protocols = Protocols::NONE,
            |c, other| c.protocols = c.protocols.or(&other.protocols),
        );
        cubes = bits(cubes, |c| c.state = State(0), |c, other| c.state = c.state.or(other.state));
        cubes = bits(
            cubes,
            |c| c.flags = [0; 4],
            |c, other| {
                c.flags = std::array::from_fn(|at| c.flags[at] | other.flags[at]);
            },
        );
        cubes = bits(cubes, |c| c.from = 0, |c, other| c.from |= other.from);
        cubes = bits(cubes, |c| c.to = 0, |c, other| c.to |= other.to);
        if cubes.len() == before {
            return cubes;
        }
    }
}

fn wide((first, last): (u16, u16)) -> (u128, u128) {
    (u128::from(first), u128::from(last))
}

fn narrow((first, last): (u128, u128)) -> (u16, u16) {
    (first as u16, last as u16)
}

/// Joins ranges that touch, among cubes that are equal without the range.
fn along(
    cubes: Vec<Cube>,
    range: impl Fn(&Cube) -> (u128, u128),
    set: impl Fn(&mut Cube, (u128, u128)),
    clear: impl Fn(&mut Cube),
) -> Vec<Cube> {
    let mut groups: HashMap<Cube, usize> = HashMap::new();
    let mut ranges: Vec<(Cube, Vec<(u128, u128)>)> = Vec::new();
    for cube in cubes {
        let mut key = cube;
        clear(&mut key);
        let at = *groups.entry(key).or_insert_with(|| {
            ranges.push((cube, Vec::new()));
            ranges.len() - 1
        });
        ranges[at].1.push(range(&cube));
    }
    let mut joined = Vec::new();
    for (mut cube, mut own) in ranges {
        own.sort_unstable();
        let mut now = own[0];
        for next in own.into_iter().skip(1) {
            if next.0 <= now.1.saturating_add(1) {
                now.1 = now.1.max(next.1);
            } else {
                set(&mut cube, now);
                joined.push(cube);
                now = next;
            }
        }
        set(&mut cube, now);
        joined.push(cube);
    }
    joined
}

/// Joins bitmaps, among cubes that are equal without them.
fn bits(cubes: Vec<Cube>, clear: impl Fn(&mut Cube), add: impl Fn(&mut Cube, &Cube)) -> Vec<Cube> {
    let mut groups: HashMap<Cube, usize> = HashMap::new();
    let mut joined: Vec<Cube> = Vec::new();
    for cube in cubes {
        let mut key = cube;
        clear(&mut key);
        match groups.get(&key) {
            Some(at) => add(&mut joined[*at], &cube),
            None => {
                groups.insert(key, joined.len());
                joined.push(cube);
            }
        }
    }
    joined
}
