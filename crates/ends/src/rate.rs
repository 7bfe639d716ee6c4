//! A token bucket: so many requests a second, with a burst.

use std::time::Instant;

/// How many requests are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

/// What is left of a [`Rate`] right now.
pub(crate) struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: Rate, now: Instant) -> Bucket {
        Bucket { rate, tokens: rate.burst, filled: now }
    }

    /// Takes one token; false when there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let gained = now.duration_since(self.filled).as_secs_f64() * self.rate.per_second;
        self.tokens = (self.tokens + gained).min(self.rate.burst);
        self.filled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate { per_second: 10.0, burst: 3.0 }, start);
        let mut taken_at = |after_ms| {
            let now = start + Duration::from_millis(after_ms);
            (0..9).filter(|_| bucket.take(now)).count()
        };
        assert_eq!(taken_at(0), 3);
        assert_eq!(taken_at(150), 1);
        assert_eq!(taken_at(60_000), 3);
    }
}
