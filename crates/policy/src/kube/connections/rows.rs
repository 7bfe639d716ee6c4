//! What gates let through to many ends at once. Pods that the same policies select in the same way have one gate, so
//! the work grows with the gates and the ends, not with their pairs.

use super::{PORTS, PROTOCOLS, Ports, Side};
use crate::gate::Gate;
use crate::kube::judge::judge;
use crate::kube::policy::Direction;
use crate::read::merge_ports;
use crate::space::{Cube, Family, Protocols};
use std::collections::HashMap;

/// Sets of ports, each once, by number.
#[derive(Default)]
pub(super) struct Sets {
    all: Vec<Ports>,
    by_ports: HashMap<Ports, usize>,
    /// What cubes of these protocols and ports come to.
    by_parts: HashMap<Vec<Part>, usize>,
    shared: HashMap<(usize, usize), usize>,
}

type Part = (Protocols, (u16, u16));

impl Sets {
    pub fn get(&self, at: usize) -> Option<&Ports> {
        self.all.get(at)
    }

    /// Every port of every protocol.
    pub fn everything(&mut self) -> usize {
        self.number(PROTOCOLS.iter().map(|(_, name)| (*name, vec![PORTS])).collect())
    }

    fn number(&mut self, ports: Ports) -> usize {
        if let Some(at) = self.by_ports.get(&ports) {
            return *at;
        }
        self.all.push(ports.clone());
        self.by_ports.insert(ports, self.all.len() - 1);
        self.all.len() - 1
    }

    fn of(&mut self, parts: Vec<Part>) -> usize {
        if let Some(at) = self.by_parts.get(&parts) {
            return *at;
        }
        let at = self.number(ports_of(&parts));
        self.by_parts.insert(parts, at);
        at
    }

    /// What two sets have in common.
    pub fn and(&mut self, one: usize, other: usize) -> usize {
        let key = (one.min(other), one.max(other));
        if let Some(at) = self.shared.get(&key) {
            return *at;
        }
        let shared = match (self.all.get(one), self.all.get(other)) {
            (Some(one), Some(other)) => both_have(one, other),
            _ => Ports::new(),
        };
        let at = self.number(shared);
        self.shared.insert(key, at);
        at
    }

    /// What a gate lets through to (or from) each of these ends, without looking at their own gates.
    pub fn row(&mut self, gate: &Gate, direction: Direction, ends: &[Side]) -> Vec<usize> {
        let asked = [Family::V4, Family::V6].map(|family| {
            Cube::all(family)
                .protocols(Protocols::of(&PROTOCOLS.map(|(protocol, _)| protocol)))
                .destination_ports(PORTS.0..=PORTS.1)
        });
        let mut sorted: Vec<usize> = (0..ends.len()).collect();
        let at = |end: usize| ends.get(end).map(|side| (side.span.family, side.span.first));
        sorted.sort_by_key(|end| at(*end));
        let mut parts: Vec<Vec<Part>> = vec![Vec::new(); ends.len()];
        for cube in judge(gate, &asked).allowed {
            let (first, last) = if direction == Direction::Egress { cube.destination } else { cube.source };
            let from = sorted.partition_point(|end| at(*end) < Some((cube.family, first)));
            let inside = sorted.iter().skip(from).take_while(|end| at(**end) <= Some((cube.family, last)));
            for end in inside {
                if let Some(parts) = parts.get_mut(*end) {
                    parts.push((cube.protocols, cube.destination_ports));
                }
            }
        }
        parts.into_iter().map(|parts| self.of(parts)).collect()
    }
}

fn ports_of(parts: &[Part]) -> Ports {
    let mut ports = Ports::new();
    for (protocol, name) in PROTOCOLS {
        let own: Vec<_> = parts.iter().filter(|part| part.0.has(protocol)).map(|part| part.1).collect();
        if !own.is_empty() {
            ports.insert(name, merge_ports(&own));
        }
    }
    ports
}

fn both_have(one: &Ports, other: &Ports) -> Ports {
    let mut ports = Ports::new();
    for (name, ranges) in one {
        let Some(others) = other.get(name) else { continue };
        let cut = |(first, last): &(u16, u16)| {
            let (first, last) = (*first, *last);
            others.iter().map(move |other| (first.max(other.0), last.min(other.1))).filter(|(a, b)| a <= b)
        };
        let shared: Vec<(u16, u16)> = ranges.iter().flat_map(cut).collect();
        if !shared.is_empty() {
            ports.insert(name, merge_ports(&shared));
        }
    }
    ports
}
