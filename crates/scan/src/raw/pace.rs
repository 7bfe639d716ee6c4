//! When the next packet may leave: a bucket that fills at the controller's rate. Pure.

use super::clock::{MILLISECOND, Nanos, SECOND};

/// What may be caught up at once, in time: longer gaps are let go, so that no burst follows them.
const BURST_NS: Nanos = 2 * MILLISECOND;
/// Above this many packets a second the path itself paces.
const UNPACED_PER_SECOND: f64 = 3_000_000.0;
/// Least wait worth a system call, in nanoseconds.
const WAIT_NS_MIN: Nanos = 60_000;

/// A token bucket over time.
#[derive(Debug, Clone, Copy)]
pub struct Pacer {
    last: Nanos,
    tokens: f64,
    /// One packet at a time: no bursts at all.
    even: bool,
}

impl Pacer {
    pub fn new(now: Nanos, even: bool) -> Pacer {
        Pacer { last: now, tokens: 1.0, even }
    }

    /// How many packets may leave now, at most `most`.
    pub fn allowance(&mut self, now: Nanos, rate: f64, most: usize) -> usize {
        if rate >= UNPACED_PER_SECOND {
            self.last = now;
            return most;
        }
        let burst = if self.even { 1.0 } else { (rate * BURST_NS as f64 / SECOND as f64).max(1.0) };
        let gained = rate * now.saturating_sub(self.last) as f64 / SECOND as f64;
        self.tokens = (self.tokens + gained).min(burst);
        self.last = now;
        (self.tokens.max(0.0) as usize).min(most)
    }

    pub fn spent(&mut self, count: usize) {
        self.tokens -= count as f64;
    }

    /// How long until a few may leave.
    pub fn wait(&self, rate: f64) -> Nanos {
        let few = if self.even { 1.0 } else { (rate / 2_000.0).clamp(1.0, 16.0) };
        let missing = (few - self.tokens).max(0.0);
        ((missing / rate.max(0.001) * SECOND as f64) as Nanos).max(WAIT_NS_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets let through in one second when asked every `step`.
    fn through(rate: f64, even: bool, step: Nanos) -> (usize, usize) {
        let mut pacer = Pacer::new(0, even);
        let (mut all, mut most) = (0, 0);
        let mut now = 0;
        while now < SECOND {
            now += step;
            let count = pacer.allowance(now, rate, 64);
            pacer.spent(count);
            all += count;
            most = most.max(count);
        }
        (all, most)
    }

    #[test]
    fn the_rate_is_kept() {
        for rate in [88.0, 1_000.0, 21_500.0, 400_000.0] {
            let (all, _) = through(rate, false, 50_000);
            assert!((all as f64 - rate).abs() <= rate * 0.02 + 2.0, "{all} at {rate}");
        }
    }

    #[test]
    fn an_even_pace_never_bursts() {
        assert_eq!(through(88.0, true, 11 * MILLISECOND).1, 1);
        let mut pacer = Pacer::new(0, true);
        assert_eq!(pacer.allowance(10 * SECOND, 88.0, 64), 1);
    }
}
