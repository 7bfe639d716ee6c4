//! What is wrong with a cloud's lists beyond single rules: unused ones, names of what is gone, answers that cannot
//! come back.

use super::Cloud;
use crate::finding::{Finding, Level};
use crate::gate::{Action, Direction, Gate, Rule};
use crate::place::{Place, excerpt};
use crate::read::EPHEMERAL_PORTS;
use crate::space::{Cube, PORT_PROTOCOLS, subtract};

/// Into how many boxes the answers to one rule may fall; beyond it they are not judged.
const BOX_COUNT_MAX: usize = 4096;

/// A list that nobody uses.
pub(crate) fn unused(place: &Place, name: &str) -> Finding {
    let name = excerpt(name);
    let (en, zh) = (format!("nothing uses {name}"), format!("没有任何对象使用 {name}"));
    Finding::new("unused", Level::Note, place, en, zh).within(&name, None)
}

/// Something names what no file has.
pub(crate) fn dangling(place: &Place, within: &str, rule: Option<u32>, name: &str) -> Finding {
    let name = excerpt(name);
    let (en, zh) = (format!("names {name}, which is in no file"), format!("引用了 {name}，而文件中没有它"));
    Finding::new("dangling", Level::Warning, place, en, zh).within(&excerpt(within), rule)
}

impl Cloud {
    /// What the files have wrong, beyond what a check of each list finds.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = self.findings.clone();
        let stateless = || self.lists.iter().filter(|gate| !gate.stateful);
        for gate in stateless() {
            let group = |gate: &Gate| self.owners.get(&gate.name).map(|owner| owner.group.clone());
            let other = stateless().find(|other| {
                other.direction != gate.direction && group(other) == group(gate) && other.name != gate.name
            });
            if let Some(other) = other {
                found.extend(gate.rules.iter().filter_map(|rule| one_way(gate, rule, other)));
            }
        }
        found
    }
}

/// A rule lets packets through whose answers the other list of the same ACL stops.
fn one_way(gate: &Gate, rule: &Rule, other: &Gate) -> Option<Finding> {
    let answers: Vec<Cube> = rule.cubes.iter().filter_map(answer).collect();
    if rule.action != Action::Allow || answers.is_empty() || !stopped(answers, other)? {
        return None;
    }
    let (way, zh_way) = match gate.direction {
        Direction::Inbound => ("in", "入方向"),
        _ => ("out", "出方向"),
    };
    let (en, zh) = (
        format!(
            "lets packets {way}, and {} stops answers to them (ports {}-{})",
            other.name, EPHEMERAL_PORTS.0, EPHEMERAL_PORTS.1
        ),
        format!(
            "{zh_way}放行，但 {} 拦截其应答（端口 {}-{}）",
            other.name, EPHEMERAL_PORTS.0, EPHEMERAL_PORTS.1
        ),
    );
    let finding = Finding::new("one-way", Level::Warning, &rule.place, en, zh);
    Some(finding.within(&rule.part_of, Some(rule.number)))
}

/// The answers to the packets of a rule that have ports.
fn answer(cube: &Cube) -> Option<Cube> {
    let protocols = cube.protocols.and(&PORT_PROTOCOLS);
    let client = (cube.source_ports.0.max(EPHEMERAL_PORTS.0), cube.source_ports.1.min(EPHEMERAL_PORTS.1));
    (!protocols.is_empty() && client.0 <= client.1).then(|| Cube {
        source: cube.destination,
        destination: cube.source,
        source_ports: cube.destination_ports,
        destination_ports: client,
        protocols,
        ..*cube
    })
}

/// Whether a list stops some of these packets for certain; `None` when that is too much to say.
fn stopped(mut packets: Vec<Cube>, gate: &Gate) -> Option<bool> {
    for rule in &gate.rules {
        let meets =
            |packets: &[Cube]| packets.iter().any(|one| rule.cubes.iter().any(|cube| cube.meets(one)));
        if rule.action != Action::Allow && rule.unmodelled.is_empty() && meets(&packets) {
            return Some(true);
        }
        for cube in &rule.cubes {
            packets = subtract(&packets, cube);
        }
        if packets.len() > BOX_COUNT_MAX {
            return None;
        }
    }
    Some(!packets.is_empty() && gate.default != Action::Allow)
}
