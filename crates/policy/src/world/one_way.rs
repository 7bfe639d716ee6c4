//! Packets that a filter lets go while it stops their answers.

use super::host::HostFilter;
use crate::estate::{Decision, Outcome};
use crate::finding::{Finding, Level};
use crate::gate::{Action, Direction, Gate, Rule};
use crate::netfilter::trace::{Role, Tracer};
use crate::place::Place;
use crate::read::EPHEMERAL_PORTS;
use crate::space::{Cube, Protocols};

/// Accepting rules of a chain whose answers are followed.
const RULE_COUNT_MAX: usize = 2_000;

/// Of every chain that accepts new connections, the rules whose connections are never answered: one connection of
/// each rule is followed there and back.
pub(super) fn findings(filter: &HostFilter) -> Vec<Finding> {
    let tracer = Tracer::new(&filter.ruleset);
    filter.filter_chains().filter_map(|gate| of_chain(filter, &tracer, gate)).collect()
}

fn of_chain(filter: &HostFilter, tracer: &Tracer<'_>, gate: &Gate) -> Option<Finding> {
    let (there, back) = match gate.direction {
        Direction::Inbound => (Role::Input, Role::Output),
        Direction::Outbound => (Role::Output, Role::Input),
        Direction::Through => (Role::Forward, Role::Forward),
    };
    let mut mute: Vec<(&Rule, Vec<Decision>)> = Vec::new();
    for rule in gate.rules.iter().filter(|rule| rule.action == Action::Allow).take(RULE_COUNT_MAX) {
        let Some(opening) = rule.cubes.iter().find_map(opening) else { continue };
        let answers = filter.answers_to(tracer, there, &[opening]);
        if answers.is_empty() {
            continue;
        }
        let decisions = filter.decisions(tracer, back, &answers);
        let stops = |one: &Decision| matches!(one.outcome, Outcome::Denied | Outcome::Rejected);
        if !decisions.is_empty() && decisions.iter().all(stops) {
            mute.push((rule, decisions));
        }
    }
    finding(gate, &mute)
}

/// One connection of TCP among the packets of a rule, from a port that clients use. A rule for everything is no
/// statement about one connection.
fn opening(cube: &Cube) -> Option<Cube> {
    let all = (0, cube.family.last());
    if cube.source == all && cube.destination == all && cube.protocols == Protocols::ALL {
        return None;
    }
    let client = Cube::all(cube.family).source_ports(EPHEMERAL_PORTS.0..=EPHEMERAL_PORTS.1);
    let tcp = cube.and(&client.protocols(Protocols::TCP).opening())?;
    let middle = |(first, last): (u128, u128)| first + (last - first) / 2;
    let port = |(first, last): (u16, u16)| first + (last - first) / 2;
    let (from, to) = (middle(tcp.source), middle(tcp.destination));
    let (from_port, to_port) = (port(tcp.source_ports), port(tcp.destination_ports));
    Some(Cube {
        source: (from, from),
        destination: (to, to),
        source_ports: (from_port, from_port),
        destination_ports: (to_port, to_port),
        ..tcp
    })
}

/// All of a chain in one finding: they mostly have one cause.
fn finding(gate: &Gate, mute: &[(&Rule, Vec<Decision>)]) -> Option<Finding> {
    let (first, decisions) = mute.first()?;
    let by: Vec<(u32, Place)> =
        mute.iter().skip(1).map(|(rule, _)| (rule.number, rule.place.clone())).collect();
    let stops = decisions.iter().flat_map(|one| &one.by).next()?;
    let (more_en, more_zh) = match by.len() {
        0 => (String::new(), String::new()),
        count => (format!(" (as do {count} more rules)"), format!("（另有 {count} 条规则相同）")),
    };
    let stop = format!("{} {}", stops.place, stops.within);
    Some(
        Finding::new(
            "one-way",
            Level::Error,
            &first.place,
            format!(
                "this rule{more_en} lets connections be opened whose answers are stopped by {stop}: {}",
                stops.why.en
            ),
            format!("该规则{more_zh}放行新建连接，但应答被 {stop} 拦截：{}", stops.why.zh),
        )
        .within(&gate.name, Some(first.number))
        .by(by),
    )
}
