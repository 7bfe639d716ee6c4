//! What one gate does with packets, rule by rule.

use crate::gate::{Action, Gate};
use crate::space::Cube;

/// How many boxes a walk may come to; what is beyond counts as depending.
const CUBE_COUNT_MAX: usize = 200_000;

/// Packets by what becomes of them. Rules are named by their index in the gate.
#[derive(Debug, Clone, Default)]
pub struct Walked {
    pub allowed: Vec<(Cube, Option<usize>)>,
    pub denied: Vec<(Cube, Option<usize>)>,
    /// Decided by conditions that are not modelled, of these rules.
    pub depends: Vec<(Cube, Vec<usize>)>,
}

struct Open {
    cube: Cube,
    /// Rules before that may have matched it.
    perhaps: Vec<usize>,
}

/// Asks a gate about packets.
pub fn walk(gate: &Gate, packets: &[Cube]) -> Walked {
    let mut walked = Walked::default();
    let mut open: Vec<Open> = packets.iter().map(|cube| Open { cube: *cube, perhaps: Vec::new() }).collect();
    for (number, rule) in gate.rules.iter().enumerate() {
        for cube in &rule.cubes {
            let mut left = Vec::with_capacity(open.len());
            for one in open {
                match one.cube.and(cube) {
                    None => left.push(one),
                    Some(_) if one.perhaps.last() == Some(&number) => left.push(one),
                    Some(met) => split(one, met, cube, (number, gate), &mut walked, &mut left),
                }
            }
            open = left;
        }
        if open.len() > CUBE_COUNT_MAX {
            walked.depends.extend(open.into_iter().map(|one| (one.cube, one.perhaps)));
            return walked;
        }
    }
    for one in open {
        walked.decide(gate, one.cube, one.perhaps, gate.default, None);
    }
    walked
}

fn split(
    one: Open,
    met: Cube,
    cube: &Cube,
    (number, gate): (usize, &Gate),
    walked: &mut Walked,
    left: &mut Vec<Open>,
) {
    let mut rest = Vec::new();
    one.cube.minus(cube, &mut rest);
    left.extend(rest.into_iter().map(|cube| Open { cube, perhaps: one.perhaps.clone() }));
    let Some(rule) = gate.rules.get(number) else { return };
    let mut perhaps = one.perhaps;
    if rule.unmodelled.is_empty() {
        walked.decide(gate, met, perhaps, rule.action, Some(number));
    } else {
        perhaps.push(number);
        left.push(Open { cube: met, perhaps });
    }
}

impl Walked {
    fn decide(&mut self, gate: &Gate, cube: Cube, perhaps: Vec<usize>, action: Action, rule: Option<usize>) {
        let allows = action == Action::Allow;
        let other = |number: &usize| {
            gate.rules.get(*number).is_some_and(|rule| (rule.action == Action::Allow) != allows)
        };
        match allows {
            _ if perhaps.iter().any(other) => self.depends.push((cube, perhaps)),
            true => self.allowed.push((cube, rule)),
            false => self.denied.push((cube, rule)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Kind, Order, Rule};
    use crate::place::{Place, both};
    use crate::space::Family;

    fn rule(action: Action, last: u128, unmodelled: bool) -> Rule {
        Rule {
            number: 0,
            part_of: "".into(),
            place: Place::whole(&"f".into()),
            text: String::new(),
            action,
            cubes: vec![Cube::all(Family::V4).source(0, last)],
            unmodelled: if unmodelled { vec![both("x", "x")] } else { Vec::new() },
        }
    }

    fn sizes(rules: Vec<Rule>) -> [usize; 3] {
        let gate = Gate {
            direction: crate::gate::Direction::Inbound,
            kind: Kind::ZeroTrust,
            name: String::new(),
            place: Place::whole(&"f".into()),
            order: Order::FirstMatch,
            stateful: true,
            rules,
            default: Action::Deny,
            default_text: both("x", "x"),
        };
        let walked = walk(&gate, &[Cube::all(Family::V4)]);
        [walked.allowed.len(), walked.denied.len(), walked.depends.len()]
    }

    #[test]
    fn what_is_not_modelled_depends_unless_both_ways_end_alike() {
        assert_eq!(sizes(vec![rule(Action::Allow, 9, false)]), [1, 1, 0]);
        assert_eq!(sizes(vec![rule(Action::Allow, 9, true)]), [0, 1, 1]);
        assert_eq!(sizes(vec![rule(Action::Deny, 9, true)]), [0, 2, 0]);
        assert_eq!(sizes(vec![rule(Action::Allow, 9, true), rule(Action::Allow, 9, false)]), [1, 1, 0]);
        assert_eq!(sizes(vec![rule(Action::Deny, 9, true), rule(Action::Allow, 9, false)]), [0, 1, 1]);
    }
}
