//! What the rules look at: the kernel tracks connections only when one of them asks.

use super::{ChainId, Index, Program, Step, Value};
use crate::netfilter::ast::{Field, Operand};

/// Chains shorter than this are scanned.
const INDEXED_RULES_MIN: usize = 12;

impl Program {
    /// Whether a rule of the chain does.
    pub(super) fn looks_at_connections(&self, id: ChainId) -> bool {
        self.chains[id].rules.iter().any(|rule| rule.steps.iter().any(looks_at_connections))
    }

    pub(super) fn indexes(&mut self) {
        let mut indexes = Vec::with_capacity(self.chains.len());
        for chain in &self.chains {
            let index = |six| {
                let wanted = chain.rules.len() >= INDEXED_RULES_MIN && chain.serves(six);
                wanted.then(|| Index::new(&chain.rules, &self.sets, six))
            };
            indexes.push([index(false), index(true)]);
        }
        for (chain, index) in self.chains.iter_mut().zip(indexes) {
            chain.index = index;
        }
    }
}

fn looks_at_connections(step: &Step) -> bool {
    let of = |keys: &[Operand]| keys.iter().any(|key| of_connection(key.field));
    match step {
        Step::Match { keys, .. } | Step::VerdictMap { keys, .. } => of(keys),
        Step::AnyBit { key, .. } => of_connection(key.field),
        Step::Same { key, other, .. } => of_connection(key.field) || of_connection(other.field),
        Step::Write { field, value, .. } => {
            let from = match value {
                Value::Of(operand) => of_connection(operand.field),
                Value::Map { keys, .. } => of(keys),
                _ => false,
            };
            from || of_connection(*field)
        }
        Step::Update { keys, also, .. } => of(keys) || also.iter().any(looks_at_connections),
        Step::Connections { .. } => true,
        _ => false,
    }
}

/// Whether a field belongs to the connection and not to the packet.
pub fn of_connection(field: Field) -> bool {
    use Field::{
        CtDirection, CtExpiration, CtHelper, CtMark, CtOriginalDestination, CtOriginalDestinationPort,
        CtOriginalSource, CtOriginalSourcePort, CtProtocol, CtReplyDestination, CtReplyDestinationPort,
        CtReplySource, CtReplySourcePort, CtState, CtStateNat, CtStatus, CtZone,
    };
    matches!(
        field,
        CtState
            | CtStateNat
            | CtStatus
            | CtDirection
            | CtMark
            | CtZone
            | CtProtocol
            | CtOriginalSource
            | CtOriginalDestination
            | CtReplySource
            | CtReplyDestination
            | CtOriginalSourcePort
            | CtOriginalDestinationPort
            | CtReplySourcePort
            | CtReplyDestinationPort
            | CtExpiration
            | CtHelper
    )
}
