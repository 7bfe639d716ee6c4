//! The packets of a question at one point of the way.

use crate::estate::Ask;
use crate::read::{ALL_PORTS, EPHEMERAL_PORTS, Match, Span};
use crate::space::{Cube, PORT_PROTOCOLS, Protocols, State};

/// How many cubes one gate is asked for.
const CUBE_COUNT_MAX: usize = 4096;
/// How many ranges a text names.
const SPAN_COUNT_SHOWN: usize = 3;

/// Types of ICMP: an echo and its answer.
const ECHO: u16 = 8;
const ECHO_ANSWER: u16 = 0;
const ECHO_V6: u16 = 128;
const ECHO_ANSWER_V6: u16 = 129;

/// The first packets of what is asked; of ICMP an echo.
pub(super) fn there(from: &[Span], to: &[Span], ask: &Ask) -> Vec<Cube> {
    let (source, destination) = ports(ask, [ECHO, ECHO_V6]);
    cubes(from, to, ask.protocol, source, destination).into_iter().map(Cube::opening).collect()
}

/// The answers to them, from `to` back to `from`.
pub(super) fn back(from: &[Span], to: &[Span], ask: &Ask) -> Vec<Cube> {
    let (source, destination) = ports(ask, [ECHO_ANSWER, ECHO_ANSWER_V6]);
    let answers = match PORT_PROTOCOLS.has(ask.protocol) {
        true => cubes(to, from, ask.protocol, destination, source),
        false => cubes(to, from, ask.protocol, source, destination),
    };
    answers.into_iter().map(|cube| cube.state(State::ESTABLISHED)).collect()
}

/// A few of the ranges, for a text.
pub(super) fn some(spans: &[Span]) -> String {
    let shown: Vec<String> = spans.iter().take(SPAN_COUNT_SHOWN).map(ToString::to_string).collect();
    let more = if spans.len() > SPAN_COUNT_SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Source and destination ports; for ICMP the type, which depends on its version, and the code.
fn ports(ask: &Ask, [icmp, icmp_v6]: [u16; 2]) -> ((u16, u16), (u16, u16)) {
    match ask.protocol {
        1 => ((icmp, icmp), (0, 0)),
        58 => ((icmp_v6, icmp_v6), (0, 0)),
        other if PORT_PROTOCOLS.has(other) => {
            (EPHEMERAL_PORTS, ask.port.map_or(ALL_PORTS, |port| (port, port)))
        }
        _ => (ALL_PORTS, ALL_PORTS),
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
