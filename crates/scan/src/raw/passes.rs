//! How often to ask: passes follow from the loss, and the ports expected to be missed are told. Pure.

use super::canary::Tally;

/// Passes over everything, at least: a port is silent only after retries spread in time.
const PASS_COUNT_MIN: u32 = 2;
/// Passes over everything, at most.
const PASS_COUNT_MAX: u32 = 10;
/// Expected number of open ports missed that ends the scan, where another pass costs nothing.
const MISSED_MAX: f64 = 0.001;
/// The same per second that another pass would cost.
const MISSED_MAX_PER_SECOND: f64 = 0.01;
/// Most that is ever left, whatever a pass costs.
const MISSED_MAX_EVER: f64 = 0.05;
/// A closed port called silent weighs less than an open one missed, by so much.
const UNHEARD_PER_MISSED: f64 = 10.0;

/// Tries and what came of them, among ports that answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tries {
    pub answered: u64,
    pub lost: u64,
}

/// What the loss is read from.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Evidence {
    /// Questions to open ports: one answered at its third try lost two.
    pub open_tries: Tries,
    /// The same of closed ports, where their answers are not limited.
    pub closed_tries: Tries,
    /// Canaries of kinds that no limit takes away.
    pub canaries: Tally,
    pub open: u64,
}

impl Evidence {
    /// Share of questions to answering ports without an answer, 0 to 1; `None` where nothing answers.
    pub fn loss(&self) -> Option<f64> {
        let (lost, all) = self.totals();
        (all > 0).then(|| lost as f64 / all as f64)
    }

    fn totals(&self) -> (u64, u64) {
        let lost = self.open_tries.lost + self.closed_tries.lost + self.canaries.lost;
        let answered = self.open_tries.answered + self.closed_tries.answered + self.canaries.answered;
        (lost, answered + lost)
    }

    /// The loss to count with: no loss seen in a few questions is no proof of none.
    pub fn loss_to_assume(&self) -> f64 {
        /// Where nothing answers at all, in share of questions.
        const LOSS_UNKNOWN: f64 = 0.05;
        let (lost, all) = self.totals();
        if all == 0 { LOSS_UNKNOWN } else { ((lost as f64 + 0.5) / (all as f64 + 1.0)).min(0.99) }
    }

    /// Open ports expected to be missed after `passes` questions to each.
    pub fn missed(&self, passes: u32) -> f64 {
        self.unheard(self.open, passes)
    }

    /// Ports of as many that answer, all of whose answers were lost.
    fn unheard(&self, answering: u64, passes: u32) -> f64 {
        let silent = self.loss_to_assume().powi(passes as i32);
        answering as f64 * silent / (1.0 - silent).max(0.001)
    }

    /// Whether another pass is worth its time.
    pub fn wants_another(&self, passes: u32, pass_seconds: f64) -> bool {
        if passes < PASS_COUNT_MIN {
            return true;
        }
        let enough = MISSED_MAX.max(MISSED_MAX_PER_SECOND * pass_seconds).min(MISSED_MAX_EVER);
        let answering = self.open_tries.answered + self.closed_tries.answered;
        let unheard = self.unheard(answering, passes) > enough * UNHEARD_PER_MISSED;
        passes < PASS_COUNT_MAX && (unheard || self.missed(passes) > enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(lost: u64, answered: u64, open: u64, seconds: f64) -> u32 {
        let evidence = Evidence { open_tries: Tries { answered, lost }, open, ..Evidence::default() };
        (0..20).find(|&passes| !evidence.wants_another(passes, seconds)).unwrap()
    }

    #[test]
    fn passes_follow_from_the_loss() {
        // No loss: two. Two per cent each way: four where they are cheap. A slow link: two.
        assert_eq!(passes(0, 2_000, 40, 0.2), 2);
        assert_eq!(passes(40, 960, 40, 0.15), 4);
        assert_eq!(passes(10, 990, 40, 3.0), 2);
        assert_eq!(passes(500, 500, 40, 0.1), 10);
        assert_eq!(passes(0, 0, 0, 0.1), 2);
        // Where nearly all answer, another pass asks few, and none of them is to be called silent.
        assert_eq!(passes(2_600, 62_400, 40, 0.05), 5);
    }

    #[test]
    fn missed_ports_are_counted() {
        let evidence =
            Evidence { open_tries: Tries { answered: 960, lost: 40 }, open: 40, ..Evidence::default() };
        assert!((evidence.missed(2) - 0.067).abs() < 0.01, "{}", evidence.missed(2));
        assert_eq!(Evidence::default().missed(2), 0.0);
        assert_eq!(Evidence::default().loss(), None);
        assert_eq!(evidence.loss(), Some(0.04));
    }
}
