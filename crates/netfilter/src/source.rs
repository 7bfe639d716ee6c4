//! Conditions on the source address: a ban or a range, which depends on the verdict.

use netwhy_model::host::{Match, RuleVerdict};

/// What a rule asks of a packet's source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceCondition {
    /// Single addresses, or a set that changes by itself.
    Single,
    /// A prefix, a range, or a set of them.
    Range,
}

/// The kind of condition this is with that verdict: a single address that is stopped is a ban.
pub(crate) fn source_kind(condition: SourceCondition, negated: bool, verdict: Option<&RuleVerdict>) -> Match {
    let stops = matches!(
        verdict,
        Some(RuleVerdict::Drop | RuleVerdict::Reject(_) | RuleVerdict::Jump(_) | RuleVerdict::Goto(_))
    );
    let ban = condition == SourceCondition::Single && stops && !negated;
    if ban { Match::SourceBan } else { Match::SourceRange }
}
