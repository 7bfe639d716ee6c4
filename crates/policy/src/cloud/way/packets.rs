//! The packets of a question at one point of the way.

use crate::estate::Ask;
use crate::read::{ALL_PORTS, EPHEMERAL_PORTS, Match, Span};
use crate::space::{Cube, PORT_PROTOCOLS, Protocols, State};

/// How many cubes one gate is asked for.
const CUBE_COUNT_MAX: usize = 4096;
/// How many ranges a text names.
const SPAN_COUNT_SHOWN: usize = 3;

/// The first packets of what is asked.
pub(super) fn there(from: &[Span], to: &[Span], ask: &Ask) -> Vec<Cube> {
    let (source, destination) = ports(ask);
    cubes(from, to, ask.protocol, source, destination).into_iter().map(Cube::opening).collect()
}

/// The answers to them, from `to` back to `from`.
pub(super) fn back(from: &[Span], to: &[Span], ask: &Ask) -> Vec<Cube> {
    let (source, destination) = ports(ask);
    let answers = cubes(to, from, ask.protocol, destination, source);
    answers.into_iter().map(|cube| cube.state(State::ESTABLISHED)).collect()
}

/// A few of the ranges, for a text.
pub(super) fn some(spans: &[Span]) -> String {
    let shown: Vec<String> = spans.iter().take(SPAN_COUNT_SHOWN).map(ToString::to_string).collect();
    let more = if spans.len() > SPAN_COUNT_SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn ports(ask: &Ask) -> ((u16, u16), (u16, u16)) {
    match PORT_PROTOCOLS.has(ask.protocol) {
        true => (EPHEMERAL_PORTS, ask.port.map_or(ALL_PORTS, |port| (port, port))),
        false => (ALL_PORTS, ALL_PORTS),
    }
}

fn cubes(from: &[Span], to: &[Span], protocol: u8, source: (u16, u16), destination: (u16, u16)) -> Vec<Cube> {
    let asked = Match {
        sources: from.to_vec(),
        destinations: to.to_vec(),
        protocols: Protocols::of(&[protocol]),
        source_ports: vec![source],
        destination_ports: vec![destination],
    };
    asked.cubes(&mut { CUBE_COUNT_MAX }).cubes
}
