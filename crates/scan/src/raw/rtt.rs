//! Round-trip times: smoothed, varying, and the least of them. Pure.

use super::clock::{MILLISECOND, Nanos, SECOND};

/// What is assumed before anything answered (RFC 6298, section 2).
const PATIENCE_FIRST_NS: Nanos = SECOND;
/// Least patience: what a busy scheduler may add.
const PATIENCE_NS_MIN: Nanos = 15 * MILLISECOND;
/// Most patience.
const PATIENCE_NS_MAX: Nanos = 3 * SECOND;

/// The estimate of RFC 6298, with the minimum beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rtt {
    smoothed: Nanos,
    varying: Nanos,
    least: Option<Nanos>,
    /// Decaying maximum, so that one slow host among many is waited for.
    most: Nanos,
}

impl Rtt {
    pub fn heard(&mut self, rtt: Nanos) {
        match self.least {
            None => (self.smoothed, self.varying, self.most) = (rtt, rtt / 2, rtt),
            Some(_) => {
                self.varying = (self.varying * 3 + self.smoothed.abs_diff(rtt)) / 4;
                self.smoothed = (self.smoothed * 7 + rtt) / 8;
                self.most = rtt.max(self.most - self.most / 4_096);
            }
        }
        self.least = Some(self.least.map_or(rtt, |least| least.min(rtt)));
    }

    /// Whether an answer so late is the other side's second: its first was lost, and it asks again after a second or
    /// more (RFC 6298, section 2.1).
    pub fn is_retransmitted(&self, rtt: Nanos) -> bool {
        const SECOND_ANSWER_NS: Nanos = 900 * MILLISECOND;
        self.least.is_some() && rtt >= SECOND_ANSWER_NS && rtt > self.smoothed * 3
    }

    /// The least round trip: the way without its queues.
    pub fn least(&self) -> Option<Nanos> {
        self.least
    }

    pub fn smoothed(&self) -> Nanos {
        self.smoothed
    }

    /// How long an answer may still take before it counts as lost.
    pub fn patience(&self) -> Nanos {
        match self.least {
            None => PATIENCE_FIRST_NS,
            Some(_) => (self.smoothed + 4 * self.varying)
                .max(self.most + self.most / 4)
                .saturating_add(self.smoothed / 8)
                .clamp(PATIENCE_NS_MIN, PATIENCE_NS_MAX),
        }
    }

    /// Forgets the minimum: the way has become another.
    pub fn forget_least(&mut self, now_least: Nanos) {
        self.least = Some(now_least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_follows_what_is_heard() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.patience(), SECOND);
        (0..100).for_each(|_| rtt.heard(40 * MILLISECOND));
        assert!((45 * MILLISECOND..80 * MILLISECOND).contains(&rtt.patience()), "{}", rtt.patience());
        rtt.heard(200 * MILLISECOND);
        assert!(rtt.patience() > 200 * MILLISECOND);
        assert_eq!(rtt.least(), Some(40 * MILLISECOND));
    }
}
