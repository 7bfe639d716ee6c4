//! What a gate does with packets.

use crate::gate::{Action, Gate};
use crate::space::{Cube, subtract};

/// Packets by what becomes of them. They do not overlap, but for those that it cannot be told of.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub allowed: Vec<Cube>,
    /// Conditions that are not modelled decide.
    pub doubtful: Vec<Cube>,
    pub denied: Vec<Cube>,
}

/// Asks the rules one after the other. With rules that all allow, those in doubt are asked last: what another rule
/// allows for certain is allowed.
pub(super) fn judge(gate: &Gate, packets: &[Cube]) -> Judged {
    let mut judged = Judged::default();
    let mut left = packets.to_vec();
    let certain = |rule: &&crate::gate::Rule| rule.unmodelled.is_empty();
    let sorted = matches!(gate.order, crate::gate::Order::AllowOnly);
    let first = gate.rules.iter().filter(|rule| !sorted || certain(rule));
    let then = gate.rules.iter().filter(|rule| sorted && !certain(rule));
    for rule in first.chain(then) {
        for cube in &rule.cubes {
            let shared = crate::space::intersect(&left, cube);
            if shared.is_empty() {
                continue;
            }
            left = subtract(&left, cube);
            let into = match (rule.unmodelled.is_empty(), rule.action) {
                (false, _) => &mut judged.doubtful,
                (true, Action::Allow) => &mut judged.allowed,
                (true, _) => &mut judged.denied,
            };
            into.extend(shared);
        }
        if left.is_empty() {
            break;
        }
    }
    if gate.default == Action::Allow {
        judged.allowed.extend(left)
    } else {
        judged.denied.extend(left)
    }
    judged
}
