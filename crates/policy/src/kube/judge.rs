//! What a gate does with packets.

use crate::gate::{Action, Gate, Order};
use crate::space::{Cube, intersect, subtract};

/// Packets by what becomes of them. They do not overlap, but for those that it cannot be told of.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub allowed: Vec<Cube>,
    /// Conditions that are not modelled decide.
    pub doubtful: Vec<Cube>,
    pub denied: Vec<Cube>,
}

/// Whether some of the packets may get through. Much quicker than to tell which.
pub(super) fn lets_some(gate: &Gate, packets: &[Cube]) -> bool {
    let meets = |rule: &crate::gate::Rule| {
        rule.action == Action::Allow
            && rule.cubes.iter().any(|cube| packets.iter().any(|one| one.meets(cube)))
    };
    if gate.order == Order::AllowOnly {
        return gate.default == Action::Allow || gate.rules.iter().any(meets);
    }
    let judged = judge(gate, packets);
    !(judged.allowed.is_empty() && judged.doubtful.is_empty())
}

/// Asks the rules one after the other. With rules that all allow, those in doubt are asked last: what another rule
/// allows for certain is allowed.
pub(super) fn judge(gate: &Gate, packets: &[Cube]) -> Judged {
    let mut judged = Judged::default();
    let mut left = packets.to_vec();
    let certain = |rule: &&crate::gate::Rule| rule.unmodelled.is_empty();
    let sorted = matches!(gate.order, Order::AllowOnly);
    let first = gate.rules.iter().filter(|rule| !sorted || certain(rule));
    let then = gate.rules.iter().filter(|rule| sorted && !certain(rule));
    for rule in first.chain(then) {
        for cube in &rule.cubes {
            if !left.iter().any(|one| one.meets(cube)) {
                continue;
            }
            let shared = intersect(&left, cube);
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
