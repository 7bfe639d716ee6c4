//! A box around what each rule of a chain can match, so that most rules are passed over at a glance.

use super::super::lower::{Lowering, families};
use super::flow::Flow;
use crate::space::{Cube, Family, State};

/// For each family the rules that can match something, with the box around it.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    v4: Vec<(usize, Cube)>,
    v6: Vec<(usize, Cube)>,
}

impl Bounds {
    pub fn new(lowering: &Lowering<'_>, table: usize, chain: usize) -> Bounds {
        let owner = &lowering.ruleset.tables[table];
        let mut bounds = Bounds::default();
        for (number, rule) in owner.chains[chain].rules.iter().enumerate() {
            let lowered = lowering.rule(table, rule);
            for family in families(owner.family) {
                let own = lowered.cubes.iter().filter(|cube| cube.family == *family);
                if let Some(around) = own.copied().reduce(|one, other| hull(&one, &other)) {
                    bounds.of_mut(*family).push((number, loose(around)));
                }
            }
        }
        bounds
    }

    fn of_mut(&mut self, family: Family) -> &mut Vec<(usize, Cube)> {
        if family == Family::V4 { &mut self.v4 } else { &mut self.v6 }
    }

    /// The rules that any of these packets may match, in their order, each with its box.
    pub fn candidates(&self, flows: &[Flow]) -> Vec<(usize, Cube)> {
        let mut all = Vec::new();
        for (family, list) in [(Family::V4, &self.v4), (Family::V6, &self.v6)] {
            let own = flows.iter().map(|flow| flow.now).filter(|cube| cube.family == family);
            if let Some(around) = own.reduce(|one, other| hull(&one, &other)) {
                all.extend(list.iter().filter(|(_, bounds)| bounds.meets(&around)));
            }
        }
        all.sort_by_key(|(number, _)| *number);
        all
    }
}

/// States and interfaces mean different things at different hooks: they are not asked at a glance.
fn loose(cube: Cube) -> Cube {
    Cube { state: State::ALL, from: u64::MAX, to: u64::MAX, ..cube }
}

/// The smallest cube around both.
fn hull(one: &Cube, other: &Cube) -> Cube {
    let wider = |a: (u128, u128), b: (u128, u128)| (a.0.min(b.0), a.1.max(b.1));
    let wider_ports = |a: (u16, u16), b: (u16, u16)| (a.0.min(b.0), a.1.max(b.1));
    Cube {
        family: one.family,
        source: wider(one.source, other.source),
        destination: wider(one.destination, other.destination),
        source_ports: wider_ports(one.source_ports, other.source_ports),
        destination_ports: wider_ports(one.destination_ports, other.destination_ports),
        protocols: one.protocols.or(&other.protocols),
        flags: std::array::from_fn(|at| one.flags[at] | other.flags[at]),
        state: one.state.or(other.state),
        from: one.from | other.from,
        to: one.to | other.to,
    }
}
