//! The shape of a row of handshakes: which failed, and in what order.

use super::record_well;
use crate::connect::{AttemptRecord, ConnectOutcome};

/// After the first failure so many must follow to speak of a rule.
const TAIL_COUNT_MIN: usize = 6;
/// Share of the tail that fails under a limit; a trickle still passes as the limit refills.
const TAIL_SHARE_MIN: f64 = 0.7;
/// Fewer failures than this may be chance.
const FAILED_COUNT_MIN: usize = 2;

/// How a row of handshakes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    AllOk,
    /// Failures here and there.
    Scattered,
    /// RSTs or ICMP errors here and there.
    SomeRefused,
    /// The first ones pass, nearly all later ones fail.
    FirstThenNone,
    NoneOk,
    /// One failure among many: nothing to build on.
    Unsure,
}

impl Shape {
    pub(super) fn of(records: &[AttemptRecord]) -> Shape {
        let well: Vec<bool> = records.iter().map(record_well).collect();
        let failed = well.iter().filter(|w| !**w).count();
        let refused = records.iter().filter(|r| is_refused(r)).count();
        if failed == 0 {
            return Shape::AllOk;
        }
        if failed == well.len() && records.iter().all(|r| r.outcome != ConnectOutcome::Open) {
            return Shape::NoneOk;
        }
        if failed < FAILED_COUNT_MIN {
            return Shape::Unsure;
        }
        if is_limit(&well) {
            return Shape::FirstThenNone;
        }
        if refused * 2 >= failed { Shape::SomeRefused } else { Shape::Scattered }
    }

    pub(super) fn value(self) -> Option<&'static str> {
        match self {
            Shape::AllOk => Some("all_ok"),
            Shape::Scattered => Some("random_fail"),
            Shape::SomeRefused => Some("some_refused"),
            Shape::FirstThenNone => Some("first_then_none"),
            Shape::NoneOk => Some("none_ok"),
            Shape::Unsure => None,
        }
    }

    /// The row as letters: `.` well, `r` after a SYN retry, `x` silent, `R` refused.
    pub(super) fn text(self, records: &[AttemptRecord]) -> String {
        let row: String = records
            .iter()
            .map(|r| match r.outcome {
                ConnectOutcome::Open if r.retries == 0 => '.',
                ConnectOutcome::Open => 'r',
                ConnectOutcome::Silent => 'x',
                ConnectOutcome::Local(_) => 'L',
                _ => 'R',
            })
            .collect();
        let failed = records.iter().filter(|r| !record_well(r)).count();
        format!(
            "{failed} of {} first SYNs failed: {row} (. well, r retried, x silent, R refused)",
            records.len()
        )
    }
}

fn is_refused(record: &AttemptRecord) -> bool {
    matches!(record.outcome, ConnectOutcome::Refused | ConnectOutcome::Rejected { .. })
}

/// True when most of the row's last handshakes failed.
pub(super) fn tail_fails(records: &[AttemptRecord]) -> bool {
    let tail = records.get(records.len() / 2..).unwrap_or_default();
    tail.iter().filter(|r| !record_well(r)).count() as f64 >= tail.len() as f64 * TAIL_SHARE_MIN
}

/// Some pass, then nearly all fail: far from what the same share of random failures would look like.
pub(super) fn is_limit(well: &[bool]) -> bool {
    let first = well.iter().position(|w| !*w).unwrap_or(well.len());
    let tail = well.get(first..).unwrap_or_default();
    let failed = tail.iter().filter(|w| !**w).count();
    tail.len() >= TAIL_COUNT_MIN && first > 0 && failed as f64 >= tail.len() as f64 * TAIL_SHARE_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Vec<AttemptRecord> {
        text.chars()
            .map(|c| AttemptRecord {
                local: None,
                outcome: match c {
                    '.' | 'r' => ConnectOutcome::Open,
                    'R' => ConnectOutcome::Refused,
                    _ => ConnectOutcome::Silent,
                },
                elapsed_ms: 1.0,
                rtt_ms: None,
                syn_ms: None,
                retries: u32::from(c == 'r'),
                syn_ack_ttl: None,
                syn_ack_mss: None,
                rst_ttl: None,
                syn_ack_again: false,
                answer_dropped: false,
                icmp: None,
            })
            .collect()
    }

    #[test]
    fn shapes() {
        for (text, shape) in [
            ("....................", Shape::AllOk),
            ("...x................", Shape::Unsure),
            ("..r...x....r........", Shape::Scattered),
            (".R.R.R.R.R.R.R.R.R.R", Shape::SomeRefused),
            (".....xxxxxxxx.xxxxxx", Shape::FirstThenNone),
            (".....rrrrrrrrrxxxxxx", Shape::FirstThenNone),
            ("xxxxxxxxxxxxxxxxxxxx", Shape::NoneOk),
            ("RRRRRRRRRRRRRRRRRRRR", Shape::NoneOk),
            (".x.x..xx.x.x..x.xx.x", Shape::Scattered),
        ] {
            assert_eq!(Shape::of(&row(text)), shape, "{text}");
        }
    }
}
