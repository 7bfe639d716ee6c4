//! Openings to far more than one would want: a service port from the whole internet, or from our own hosts to
//! ports that attackers use, also when several rules do it together.

use crate::finding::{Finding, Level};
use crate::gate::{Action, Direction, Gate};
use crate::list::{Decided, List};
use crate::space::{Cube, Family, Protocols};

/// Ports that nobody opens to the world on purpose, or ought not to: protocol, port, what listens there.
const INBOUND: &[(u8, u16, &str)] = &[
    (6, 22, "SSH"),
    (6, 23, "Telnet"),
    (6, 111, "RPC"),
    (6, 135, "MSRPC"),
    (6, 139, "NetBIOS"),
    (6, 389, "LDAP"),
    (6, 445, "SMB"),
    (6, 873, "rsync"),
    (6, 1433, "SQL Server"),
    (6, 1521, "Oracle"),
    (6, 2049, "NFS"),
    (6, 2375, "Docker"),
    (6, 2379, "etcd"),
    (6, 3306, "MySQL"),
    (6, 3389, "RDP"),
    (6, 5432, "PostgreSQL"),
    (6, 5601, "Kibana"),
    (6, 5900, "VNC"),
    (6, 5985, "WinRM"),
    (6, 6379, "Redis"),
    (6, 9200, "Elasticsearch"),
    (6, 10250, "kubelet"),
    (6, 11211, "memcached"),
    (6, 27017, "MongoDB"),
    (17, 111, "RPC"),
    (17, 161, "SNMP"),
    (17, 389, "CLDAP"),
    (17, 3389, "RDP"),
    (17, 11211, "memcached"),
];

/// Ports a server of ours has no reason to reach anywhere: attacks and spam go there.
const OUTBOUND: &[(u8, u16, &str)] =
    &[(6, 22, "SSH"), (6, 23, "Telnet"), (6, 25, "SMTP"), (6, 445, "SMB"), (6, 3389, "RDP")];

/// "The world": a quarter of the public addresses, so that two halves, four quarters and one half all count.
const WORLD_V4: u128 = 1 << 30;
/// A quarter of 2000::/3.
const WORLD_V6: u128 = 1 << 123;
/// Sources smaller than a /12 are no part of a world put together of pieces.
const PIECE_V4: u128 = 1 << 20;
const PIECE_V6: u128 = 1 << 104;
/// Rules looked at together for one port.
const TOGETHER_COUNT_MAX: usize = 1_024;

/// Addresses that are not of the public internet, first and last.
const SPECIAL_V4: &[(u32, u32)] = &[
    (0x0000_0000, 0x00ff_ffff),
    (0x0a00_0000, 0x0aff_ffff),
    (0x6440_0000, 0x647f_ffff),
    (0x7f00_0000, 0x7fff_ffff),
    (0xa9fe_0000, 0xa9fe_ffff),
    (0xac10_0000, 0xac1f_ffff),
    (0xc0a8_0000, 0xc0a8_ffff),
    (0xc612_0000, 0xc613_ffff),
    (0xe000_0000, 0xffff_ffff),
];
const PUBLIC_V6: (u128, u128) = (0x2000 << 112, (0x4000 << 112) - 1);

/// How many public addresses a range holds.
pub(crate) fn public(family: Family, (first, last): (u128, u128)) -> u128 {
    let shared = |a: u128, b: u128| (last.min(b) + 1).saturating_sub(first.max(a));
    match family {
        Family::V4 => {
            let special: u128 = SPECIAL_V4.iter().map(|(a, b)| shared(u128::from(*a), u128::from(*b))).sum();
            last - first + 1 - special
        }
        Family::V6 => {
            let (a, b) = (first.max(PUBLIC_V6.0), last.min(PUBLIC_V6.1));
            if a > b { 0 } else { b - a + 1 }
        }
    }
}

fn is_world(family: Family, addresses: u128) -> bool {
    addresses >= if family == Family::V4 { WORLD_V4 } else { WORLD_V6 }
}

/// An opening: what one rule lets through of one port.
#[derive(Debug, Clone, Copy)]
struct Opening {
    rule: usize,
    family: Family,
    /// The end that is the world's, and the other one.
    far: (u128, u128),
    near: (u128, u128),
    ports: (u16, u16),
    protocols: Protocols,
}

pub(super) fn findings(gate: &Gate, list: &List, found: &mut Vec<Finding>) {
    let outbound = gate.direction == Direction::Outbound;
    let ports = if outbound { OUTBOUND } else { INBOUND };
    let openings = openings(gate, list, outbound);
    let mut told: Vec<(usize, Vec<usize>, Vec<String>)> = Vec::new();
    for (protocol, port, name) in ports {
        let of_port: Vec<&Opening> = openings
            .iter()
            .filter(|one| one.protocols.has(*protocol) && one.ports.0 <= *port && *port <= one.ports.1)
            .take(TOGETHER_COUNT_MAX)
            .collect();
        for (rule, by) in worlds(&of_port) {
            let label = format!("{name} ({}/{port})", if *protocol == 6 { "TCP" } else { "UDP" });
            match told.iter_mut().find(|one| one.0 == rule && one.1 == by) {
                Some(one) => one.2.push(label),
                None => told.push((rule, by, vec![label])),
            }
        }
    }
    found.extend(told.into_iter().map(|(rule, by, labels)| finding(gate, rule, &by, &labels, outbound)));
}

/// What the allowing rules open to at least a piece of the world, earlier denials taken off.
fn openings(gate: &Gate, list: &List, outbound: bool) -> Vec<Opening> {
    let mut openings = Vec::new();
    for (at, rule) in gate.rules.iter().enumerate().filter(|(_, rule)| rule.action == Action::Allow) {
        for cube in &rule.cubes {
            let (far, _) = ends(cube, outbound);
            if !is_piece(cube.family, far) || !cube.protocols.has(6) && !cube.protocols.has(17) {
                continue;
            }
            let Some(cube) = opening(cube) else { continue };
            let Ok(parts) = list.decide(&cube) else { continue };
            for part in parts.iter().filter(|part| part.decided == Decided::Rule(at as u32, Action::Allow)) {
                let (far, near) = ends(&part.packets, outbound);
                if is_piece(cube.family, far) {
                    openings.push(Opening {
                        rule: at,
                        family: cube.family,
                        far,
                        near,
                        ports: part.packets.destination_ports,
                        protocols: part.packets.protocols,
                    });
                }
            }
        }
    }
    openings
}

fn ends(cube: &Cube, outbound: bool) -> ((u128, u128), (u128, u128)) {
    if outbound { (cube.destination, cube.source) } else { (cube.source, cube.destination) }
}

fn is_piece(family: Family, range: (u128, u128)) -> bool {
    public(family, range) >= if family == Family::V4 { PIECE_V4 } else { PIECE_V6 }
}

/// The part of a cube that opens connections: a rule for answers alone opens nothing.
fn opening(cube: &Cube) -> Option<Cube> {
    let mut cube = cube.and(&Cube::all(cube.family).state(crate::space::State::NEW))?;
    if cube.protocols == Protocols::TCP {
        cube = cube.and(&Cube::all(cube.family).protocols(Protocols::TCP).opening())?;
    }
    Some(cube)
}

/// The rules that open one port to the world: each with the others it takes to do so.
fn worlds(openings: &[&Opening]) -> Vec<(usize, Vec<usize>)> {
    let mut worlds: Vec<(usize, Vec<usize>)> = Vec::new();
    for one in openings {
        // Every rule that opens at least what this one does, to other sources.
        let mut together: Vec<&Opening> = openings
            .iter()
            .copied()
            .filter(|other| {
                other.family == one.family && other.near.0 <= one.near.0 && one.near.1 <= other.near.1
            })
            .collect();
        together.sort_by_key(|other| other.far);
        let alone = public(one.family, one.far);
        if !is_world(one.family, union(&together)) {
            continue;
        }
        let whole = public(one.family, (0, one.family.last()));
        let mut by: Vec<usize> =
            together.iter().map(|other| other.rule).filter(|rule| *rule != one.rule).collect();
        by.sort_unstable();
        by.dedup();
        if alone == whole || is_world(one.family, alone) && by.is_empty() {
            by.clear();
        }
        if !worlds.iter().any(|(rule, _)| *rule == one.rule) {
            worlds.push((one.rule, by));
        }
    }
    worlds
}

/// How many public addresses sorted openings have together.
fn union(openings: &[&Opening]) -> u128 {
    let mut sum = 0;
    let mut next = 0;
    for one in openings {
        let first = one.far.0.max(next);
        if first <= one.far.1 {
            sum += public(one.family, (first, one.far.1));
            next = one.far.1.saturating_add(1);
        }
    }
    sum
}

fn finding(gate: &Gate, rule: usize, by: &[usize], labels: &[String], outbound: bool) -> Finding {
    /// Services named in one sentence.
    const NAMED_COUNT_MAX: usize = 6;
    let rule = &gate.rules[rule];
    let mut services = labels[..labels.len().min(NAMED_COUNT_MAX)].join(", ");
    if labels.len() > NAMED_COUNT_MAX {
        services.push_str(", …");
    }
    let numbers: Vec<String> = by.iter().map(|by| gate.rules[*by].number.to_string()).collect();
    let (with_en, with_zh) = if by.is_empty() {
        (String::new(), String::new())
    } else {
        (
            format!(" together with rule{} {}", if by.len() == 1 { "" } else { "s" }, numbers.join(", ")),
            format!("与规则 {} 共同", numbers.join("、")),
        )
    };
    let (en, zh) = if outbound {
        (
            format!(
                "this rule{with_en} lets our own hosts reach {services} anywhere: attacks on others and spam go this way"
            ),
            format!("该规则{with_zh}允许自有主机访问任意地址的 {services}：对外攻击和垃圾邮件常由此发出"),
        )
    } else {
        (
            format!("this rule{with_en} opens {services} to the internet"),
            format!("该规则{with_zh}将 {services} 对互联网开放"),
        )
    };
    Finding::new("over-permissive", Level::Warning, &rule.place, en, zh)
        .within(&rule.part_of, Some(rule.number))
        .by(super::seen(gate, by.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_ranges_are_not_public() {
        assert_eq!(public(Family::V4, (0x0a00_0000, 0x0aff_ffff)), 0);
        assert_eq!(public(Family::V4, (0x0b00_0000, 0x0bff_ffff)), 1 << 24);
        assert_eq!(public(Family::V6, (0xfd00 << 112, u128::MAX)), 0);
        assert!(is_world(Family::V6, public(Family::V6, (0, u128::MAX))));
        assert!(is_world(Family::V4, public(Family::V4, (0, 0x7fff_ffff))));
    }
}
