//! How often silent ports are asked again: until the loss measured leaves nothing to miss.

use crate::Pace;
use crate::connect::engine::Engine;
use crate::connect::peer::WAIT_MAX;
use std::time::Duration;

/// Passes at most.
pub(crate) const PASS_COUNT_MAX: u32 = 8;
/// Passes at least before a port is called silent, and where few are left, so that more cost nothing.
const PASS_COUNT_MIN: u32 = 2;
const PASS_COUNT_FEW: u32 = 3;
const FEW_PAIRS: u64 = 4_096;
/// Passes go on while more answering ports than this are expected to be missed.
const MISSED_MAX: f64 = 0.005;
/// Between the beginnings of two passes, times the number of the first.
const GAP: Duration = Duration::from_millis(300);
const GAP_GENTLE: Duration = Duration::from_millis(1_000);
/// Wait for hosts that never answered: on the first pass, and at least.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_UNKNOWN_MIN: Duration = Duration::from_millis(200);

/// From the beginning of a pass to that of the next.
pub(crate) fn gap(pass: u32, pace: Pace) -> Duration {
    let gap = if pace == Pace::Gentle { GAP_GENTLE } else { GAP };
    gap * pass
}

/// How long a host that never answered may take.
pub(crate) fn wait_unknown(rtt: Option<Duration>, pass: u32) -> Duration {
    let usual = rtt.map_or(WAIT_FIRST, |rtt| (rtt * 4).max(WAIT_UNKNOWN_MIN));
    (usual * pass.min(4)).min(WAIT_MAX)
}

impl Engine<'_> {
    /// Whether silence is not sure yet after so many passes over all that is unsettled.
    pub(crate) fn needs_another(&self, passes: u32) -> bool {
        let left = self.ledger.unsettled();
        let least = if left <= FEW_PAIRS { PASS_COUNT_FEW } else { PASS_COUNT_MIN };
        left > 0 && (passes < least || self.expected_missed(passes) > MISSED_MAX)
    }

    /// Answering ports that so many tries each are expected to have missed.
    pub(crate) fn expected_missed(&self, passes: u32) -> f64 {
        let (first, late) = self.answers;
        if self.ledger.unsettled() == 0 {
            return 0.0;
        }
        (first + late) as f64 * self.loss_guess().powi(passes as i32)
    }

    /// Share of questions that got no answer from ports that answer.
    pub(crate) fn loss(&self) -> Option<f64> {
        let (asked, lost) = self.loss_samples();
        (asked > 0).then(|| lost as f64 / asked as f64)
    }

    /// The same, never quite none: few samples prove little.
    fn loss_guess(&self) -> f64 {
        let (asked, lost) = self.loss_samples();
        (lost as f64 + 0.5) / (asked as f64 + 1.0)
    }

    fn loss_samples(&self) -> (u64, u64) {
        let (first, late) = self.answers;
        (first + late + self.proofs.0, late + self.proofs.1)
    }
}
