//! How often to look, so that watching costs a bounded share of one core.

use nix::sys::resource::{UsageWho, getrusage};
use std::time::{Duration, Instant};

/// Shares of one core that looks of each depth may cost, 0 to 1; together they stay below 1 %.
const SHARES_MAX: [f64; 3] = [0.004, 0.003, 0.002];
/// So many times as much while very many connections open, when there is more to read and to see.
const BUSY_TIMES: f64 = 4.0;
/// Least time between two looks of each depth besides the interval, in milliseconds.
const AFTER_MS: [u64; 3] = [0, 5_000, 30_000];
/// The same for a full look that something alarming asks for, in milliseconds.
const ALARM_MS: u64 = 2_000;

/// How much one look reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// Sockets and counters.
    Light,
    /// Also owners, rules, routes and settings; judged.
    Full,
    /// Also logs and services.
    Whole,
}

impl Depth {
    const ALL: [Depth; 3] = [Depth::Light, Depth::Full, Depth::Whole];
}

/// When each depth was last looked at, and what that cost.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: [Option<(Instant, Duration)>; 3],
    began: Option<(Instant, Duration)>,
    busy: bool,
}

impl Pace {
    /// The deepest look that may begin now; none while the last light one is not worked off yet.
    pub(super) fn next(&mut self, now: Instant, alarm: bool) -> Option<Depth> {
        let depth = Depth::ALL.into_iter().rev().find(|depth| self.may(*depth, now, alarm))?;
        self.began = Some((now, used()));
        Some(depth)
    }

    /// A look is worked off when its cost is within its share of the time since it began.
    fn may(&self, depth: Depth, now: Instant, alarm: bool) -> bool {
        let Some((began, cost)) = self.last[depth as usize] else { return true };
        let after = match (depth, alarm) {
            (Depth::Full, true) => ALARM_MS,
            _ => AFTER_MS[depth as usize],
        };
        let times = if self.busy { BUSY_TIMES } else { 1.0 };
        let worked_off = cost.div_f64(SHARES_MAX[depth as usize] * times);
        now.saturating_duration_since(began) >= worked_off.max(Duration::from_millis(after))
    }

    /// The look that began last has ended and is drawn.
    pub(super) fn ended(&mut self, depth: Depth, busy: bool) {
        let Some((began, before)) = self.began.take() else { return };
        self.note(depth, began, used().saturating_sub(before));
        self.busy = busy;
    }

    fn note(&mut self, depth: Depth, began: Instant, cost: Duration) {
        self.last[depth as usize] = Some((began, cost));
        // A deeper look has read what a shallower one would; its cost is its own.
        for shallower in Depth::ALL.into_iter().filter(|shallower| *shallower < depth) {
            let known = self.last[shallower as usize].map_or(Duration::ZERO, |(_, cost)| cost);
            self.last[shallower as usize] = Some((began, known));
        }
    }
}

/// Processor time of this process and the programs it ran.
fn used() -> Duration {
    let of = |who| {
        getrusage(who).map_or(Duration::ZERO, |usage| {
            let micros = |time: nix::sys::time::TimeVal| {
                u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0)
            };
            Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
        })
    };
    of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_is_whole_and_light_ones_follow() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::default();
        assert_eq!(pace.next(start, false), Some(Depth::Whole));
        pace.note(Depth::Whole, start, Duration::from_millis(500));
        assert_eq!(pace.next(after(1), false), Some(Depth::Light), "however dear the first look was");
        assert_eq!(pace.next(after(3), true), Some(Depth::Full), "something alarming is judged sooner");
        assert_eq!(pace.next(after(6), false), Some(Depth::Full));
        assert_eq!(pace.next(after(31), false), Some(Depth::Full), "half a second is worked off in 250 s");
        assert_eq!(pace.next(after(251), false), Some(Depth::Whole));
    }

    #[test]
    fn however_dear_looks_are_watching_stays_below_one_percent() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut used = Duration::ZERO;
        for second in 0..2_000 {
            let now = start + Duration::from_secs(second);
            if let Some(depth) = pace.next(now, second % 7 == 0) {
                let cost = Duration::from_millis([40, 90, 400][depth as usize]);
                pace.note(depth, now, cost);
                used += cost;
            }
        }
        assert!(used < Duration::from_secs(20), "{used:?}");
        assert!(used > Duration::from_secs(12), "and looks about as often as it may: {used:?}");
    }
}
