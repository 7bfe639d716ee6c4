//! Which rules counted packets between two looks.

use netwhy_model::host::{RuleDelta, Ruleset};

/// Finds the rules whose counter rose from `before` to `after`, most packets first.
pub fn rule_deltas(_before: &Ruleset, _after: &Ruleset) -> Vec<RuleDelta> {
    Vec::new()
}
