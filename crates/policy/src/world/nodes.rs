//! Allow lists of origins against the protection nodes in front of them.

use super::Source;
use crate::finding::Finding;
use crate::gate::{Action, Direction, Gate};
use crate::place::both;
use crate::ranges::{self, ProtectionNode};
use crate::read::Span;
use netwhy_model::Text;

/// Where a protection node asks an origin.
const WEB_PORTS: [u16; 2] = [443, 80];

/// Nodes that an inbound list for the web lacks: those of a file, else the well-known ones of which it has most.
pub(super) fn missing(gates: &[std::sync::Arc<Gate>], file: Option<&Source>) -> Vec<Finding> {
    let given = file.map(|source| {
        let read = ranges::read(&source.file, &source.text, None);
        let spans: Vec<Span> = read.ranges.into_iter().map(|(span, _)| span).collect();
        (both(format!("the nodes of {}", source.file), format!("{} 中的节点", source.file)), spans)
    });
    let known = if given.is_none() { ranges::well_known() } else { Vec::new() };
    let inbound = gates.iter().filter(|gate| gate.direction == Direction::Inbound);
    inbound.flat_map(|gate| of_gate(gate, given.as_ref(), &known)).collect()
}

fn of_gate(gate: &Gate, given: Option<&(Text, Vec<Span>)>, known: &[ProtectionNode]) -> Vec<Finding> {
    let (ports, allowed) = web(gate);
    if ports.is_empty() {
        return Vec::new();
    }
    let guessed = || ranges::guess(known, &allowed).map(|node| (&node.name, node.ranges.as_slice()));
    let Some((name, nodes)) = given.map(|(name, nodes)| (name, nodes.as_slice())).or_else(guessed) else {
        return Vec::new();
    };
    let missing = ranges::missing(nodes, gate, &[], &ports);
    let openings = ranges::openings(nodes, gate, &[], &ports);
    ranges::findings(name, &missing, &openings, gate)
}

/// The ports of the web that a list lets something in to, and from where.
fn web(gate: &Gate) -> (Vec<u16>, Vec<Span>) {
    let (mut ports, mut spans) = (Vec::new(), Vec::new());
    for rule in gate.rules.iter().filter(|rule| rule.action == Action::Allow) {
        for cube in rule.cubes.iter().filter(|cube| cube.protocols.has(6)) {
            let own = WEB_PORTS
                .iter()
                .filter(|port| (cube.destination_ports.0..=cube.destination_ports.1).contains(port));
            for port in own {
                if !ports.contains(port) {
                    ports.push(*port);
                }
                spans.push(Span { family: cube.family, first: cube.source.0, last: cube.source.1 });
            }
        }
    }
    (ports, spans)
}
