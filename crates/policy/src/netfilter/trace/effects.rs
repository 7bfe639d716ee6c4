//! What rules change in the packets that pass them.

use super::chain::Matching;
use crate::netfilter::ast::{Field, Written};
use crate::space::State;

/// Writes a mark; what may or may not have been written is not known, unless it is the same.
pub(super) fn write(one: &mut Matching, field: Field, value: &Written) {
    let sure = one.reasons.is_empty();
    let state = one.flow.now.state;
    let [new, old] = one.flow.ct_marks;
    let of_connection = match (state.without(State::NEW).is_empty(), state.and(State::NEW).is_empty()) {
        (true, _) => new,
        (_, true) if state.and(State::INVALID.or(State::UNTRACKED)).is_empty() => old,
        _ => None,
    };
    let mark = one.flow.mark;
    let written = |before: Option<u32>| {
        let after = match value {
            Written::Value(value) => u32::try_from(*value).ok(),
            Written::Masked { and, xor } => {
                before.and_then(|old| u32::try_from((u128::from(old) & and) ^ xor).ok())
            }
            Written::Of(key) if key.is_plain() && key.field == Field::Mark => mark,
            Written::Of(key) if key.is_plain() && key.field == Field::CtMark => of_connection,
            _ => None,
        };
        after.filter(|_| sure || after == before)
    };
    match field {
        Field::Mark => one.flow.mark = written(mark),
        Field::CtMark => one.flow.ct_marks = [written(new), written(old)],
        _ => {}
    }
}
