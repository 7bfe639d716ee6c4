//! The quick proof that a rule lives: one packet of it, the one in its low corner, that no rule before it takes.

use super::List;
use crate::points::{Bounds, Point, Points};
use crate::space::{Cube, Family, Protocols, State};

/// The cubes of one list by number, to be asked for single packets.
#[derive(Debug)]
pub struct Corners {
    four: Points,
    six: Points,
}

impl Corners {
    pub fn new(cubes: &[Cube]) -> Corners {
        let of = |family| {
            let bounds = |cube: &Cube| if cube.family == family { bounds(cube) } else { Bounds::NONE };
            let boxes: Vec<Bounds> = if cubes.iter().any(|cube| cube.family == family) {
                cubes.iter().map(bounds).collect()
            } else {
                Vec::new()
            };
            Points::new(&boxes, family == Family::V6)
        };
        Corners { four: of(Family::V4), six: of(Family::V6) }
    }
}

impl List {
    /// Whether the packet in the low corner of a cube of the rule is left by all exact rules before it.
    pub(super) fn has_free_corner(&self, rule: u32) -> bool {
        let first = self.entries[rule as usize].first_cube;
        self.cubes_of(rule).iter().filter_map(corner).any(|packet| {
            let points = if packet.family == Family::V4 { &self.corners.four } else { &self.corners.six };
            let takes = |number: u32| {
                let owner = self.owners[number as usize];
                self.entries[owner as usize].exact && self.cubes[number as usize].meets(&packet)
            };
            points.first(&point(&packet), 0..first, takes).is_none()
        })
    }
}

/// The packet of a cube with the least of everything; `None` for a cube of no packets.
fn corner(cube: &Cube) -> Option<Cube> {
    let least = |bits: u64| bits & bits.wrapping_neg();
    let words = |words: &[u64; 4]| {
        let at = words.iter().position(|word| *word != 0)?;
        Some(std::array::from_fn(|word| if word == at { least(words[at]) } else { 0 }))
    };
    let state = cube.state.0 & cube.state.0.wrapping_neg();
    if state == 0 || cube.from == 0 || cube.to == 0 {
        return None;
    }
    Some(Cube {
        source: (cube.source.0, cube.source.0),
        destination: (cube.destination.0, cube.destination.0),
        source_ports: (cube.source_ports.0, cube.source_ports.0),
        destination_ports: (cube.destination_ports.0, cube.destination_ports.0),
        protocols: Protocols(words(&cube.protocols.0)?),
        flags: words(&cube.flags)?,
        state: State(state),
        from: least(cube.from),
        to: least(cube.to),
        ..*cube
    })
}

/// The outer bounds of a cube.
fn bounds(cube: &Cube) -> Bounds {
    let Some(protocol) = ends(&cube.protocols) else { return Bounds::NONE };
    Bounds {
        source: cube.source,
        destination: cube.destination,
        source_port: cube.source_ports,
        destination_port: cube.destination_ports,
        protocol,
    }
}

fn point(packet: &Cube) -> Point {
    Point {
        source: packet.source.0,
        destination: packet.destination.0,
        source_port: packet.source_ports.0,
        destination_port: packet.destination_ports.0,
        protocol: ends(&packet.protocols).map_or(0, |(first, _)| first),
    }
}

/// The first and the last protocol.
fn ends(protocols: &Protocols) -> Option<(u8, u8)> {
    let words = || protocols.0.iter().enumerate().filter(|(_, word)| **word != 0);
    let number = |at: usize, bit: u32| u8::try_from(64 * at as u32 + bit).unwrap_or(u8::MAX);
    let first = words().next().map(|(at, word)| number(at, word.trailing_zeros()))?;
    let last = words().next_back().map(|(at, word)| number(at, 63 - word.leading_zeros()))?;
    Some((first, last))
}
