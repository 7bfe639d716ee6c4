//! How many questions may be under way, and when the next may leave.
//!
//! The window grows while answers keep coming as quickly as at first, and shrinks when known-open ports fall silent or
//! round trips grow: both say that the way is full. Silence alone says nothing, since most ports may be dropped.

use crate::{Pace, Plan};
use std::time::{Duration, Instant};

/// Questions a second in gentle mode: under the limits of 100 new connections a second that defences commonly set.
pub(crate) const GENTLE_PER_SECOND: f64 = 80.0;
/// The least that gentle mode slows to.
const GENTLE_MIN_PER_SECOND: f64 = 10.0;
/// Questions under way at first, and at least.
const WINDOW_FIRST: f64 = 64.0;
const WINDOW_MIN: f64 = 16.0;
/// Growth a step while nothing was full yet, on the way back to where it was, and beyond.
const GROWTH: f64 = 2.0;
const GROWTH_BACK: f64 = 1.25;
const GROWTH_CAREFUL: f64 = 1.04;
/// Cuts when known-open ports fall silent, the first time and later, and when round trips grow.
const CUT_FIRST: f64 = 0.25;
const CUT_LOSS: f64 = 0.6;
const CUT_DELAY: f64 = 0.8;
/// Of the window that was too much, what is come back to soon.
const BACK_SHARE: f64 = 0.8;
/// Round trips above so many times the least plus this much are a queue.
const DELAY_TIMES: u32 = 2;
const DELAY_MORE: Duration = Duration::from_millis(20);
/// Canaries of one step, and the share of them lost, that count as loss.
const LOST_COUNT: u32 = 2;
const LOST_SHARE: f64 = 0.25;
/// A step of the window is at least so long, and two round trips.
const STEP_MIN: Duration = Duration::from_millis(20);
/// What a fixed rate may catch up with after a pause.
const CATCH_UP: Duration = Duration::from_millis(5);
/// Lowest rate, so that a wait always ends.
const RATE_MIN_PER_SECOND: f64 = 0.1;
/// Until the first answer the window stays small for so long: the way may still be looking for its neighbour.
const FIRST_ANSWER_MAX: Duration = Duration::from_millis(500);
/// Between two tellings of a lower rate, which must be below this share of the one told.
const TELL_GAP: Duration = Duration::from_secs(1);
const TELL_SHARE: f64 = 0.7;

/// What was seen since the last step.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    canaries: u32,
    canaries_lost: u32,
    rtt_sum: Duration,
    rtt_count: u32,
    sent: u32,
}

/// The window and the clock of a scan.
#[derive(Debug)]
pub(crate) struct Pacer {
    window: f64,
    window_max: f64,
    polite: bool,
    /// The window to come back to, once the way was full.
    back_to: Option<f64>,
    /// Losses of what was sent before are already paid for.
    cut: Instant,
    told: Option<(Instant, f64)>,
    seen: Seen,
    began: Instant,
    stepped: Instant,
    rtt_min: Option<Duration>,
    per_second: Option<f64>,
    gentle: bool,
    jitter: Option<Duration>,
    next: Instant,
    random: u64,
}

impl Pacer {
    pub fn new(plan: &Plan, window_max: usize, now: Instant) -> Self {
        let (per_second, polite, gentle) = match plan.pace {
            Pace::Gentle => (Some(GENTLE_PER_SECOND), true, true),
            Pace::Fast => (None, true, false),
            Pace::Rate(rate) => (Some((rate as f64).max(RATE_MIN_PER_SECOND)), true, false),
            Pace::Max => (None, false, false),
        };
        let window_max = window_max as f64;
        let window = if polite { WINDOW_FIRST.min(window_max) } else { window_max };
        Self {
            window,
            window_max,
            polite,
            back_to: None,
            cut: now,
            told: None,
            seen: Seen::default(),
            began: now,
            stepped: now,
            rtt_min: None,
            per_second,
            gentle,
            jitter: plan.jitter,
            next: now,
            random: plan.seed | 1,
        }
    }

    pub fn window(&self) -> usize {
        self.window as usize
    }

    /// Sockets that may be open at once, held ones included.
    pub fn window_max(&self) -> usize {
        self.window_max as usize
    }

    /// When the next question may leave.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// A question left.
    pub fn sent(&mut self, now: Instant) {
        self.seen.sent += 1;
        let gap = self.per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
        let jitter = self.jitter.map_or(Duration::ZERO, |mean| mean.mul_f64(self.random_double()));
        if gap + jitter > Duration::ZERO {
            let earliest = if self.gentle { now } else { now.checked_sub(CATCH_UP).unwrap_or(now) };
            self.next = self.next.max(earliest) + gap + jitter;
        }
    }

    pub fn answered(&mut self, rtt: Duration) {
        self.rtt_min = Some(self.rtt_min.map_or(rtt, |least| least.min(rtt)));
        self.seen.rtt_sum += rtt;
        self.seen.rtt_count += 1;
    }

    pub fn canary(&mut self, sent: Instant, lost: bool) {
        let counts = sent >= self.cut;
        self.seen.canaries += u32::from(counts);
        self.seen.canaries_lost += u32::from(counts && lost);
    }

    /// The machine ran short of something: fewer from now on. Returns how many, and whether that is a change.
    pub fn short(&mut self, busy: usize) -> (usize, bool) {
        let before = self.window_max;
        self.window_max = (busy as f64 * 0.75).clamp(1.0, before);
        self.window = self.window.min(self.window_max);
        (self.window_max as usize, self.window_max < before)
    }

    /// The first sign of a limit: gentle mode halves its rate.
    pub fn warned(&mut self) -> Option<u64> {
        let rate = self.per_second.filter(|rate| self.gentle && *rate > GENTLE_MIN_PER_SECOND)?;
        let slower = (rate / 2.0).max(GENTLE_MIN_PER_SECOND);
        self.per_second = Some(slower);
        Some(slower as u64)
    }

    /// Moves the window when a step is over; tells the new rate where the way turned out full.
    pub fn step(&mut self, now: Instant) -> Option<u64> {
        let length = STEP_MIN.max(self.rtt_min.unwrap_or_default() * 2);
        let passed = now.duration_since(self.stepped);
        let unheard = self.rtt_min.is_none() && now.duration_since(self.began) < FIRST_ANSWER_MAX;
        if passed < length || (unheard && self.polite) {
            return None;
        }
        self.stepped = now;
        let seen = std::mem::take(&mut self.seen);
        let lost_share = f64::from(seen.canaries_lost) / f64::from(seen.canaries.max(1));
        let full = seen.canaries_lost >= LOST_COUNT && lost_share > LOST_SHARE;
        let delayed = self.polite && self.is_delayed(&seen);
        let before = self.window;
        let factor = match (full, delayed, self.back_to) {
            (true, _, None) => CUT_FIRST,
            (true, _, _) => CUT_LOSS,
            (_, true, _) => CUT_DELAY,
            (_, _, Some(back_to)) if before < back_to => GROWTH_BACK,
            (_, _, Some(_)) => GROWTH_CAREFUL,
            _ => GROWTH,
        };
        if full || delayed {
            self.back_to = Some(before * BACK_SHARE);
            self.cut = now;
        }
        self.window = (before * factor).clamp(WINDOW_MIN.min(self.window_max), self.window_max);
        let rate = f64::from(seen.sent) / passed.as_secs_f64() * factor;
        (full && self.should_tell(now, rate)).then_some(rate as u64)
    }

    fn should_tell(&mut self, now: Instant, rate: f64) -> bool {
        let due = self
            .told
            .is_none_or(|(then, before)| now.duration_since(then) >= TELL_GAP && rate < before * TELL_SHARE);
        if due {
            self.told = Some((now, rate));
        }
        due
    }

    fn is_delayed(&self, seen: &Seen) -> bool {
        match (self.rtt_min, seen.rtt_count) {
            (Some(least), count @ 4..) => seen.rtt_sum / count > least * DELAY_TIMES + DELAY_MORE,
            _ => false,
        }
    }

    /// Uniform from 0 to 2, so 1 on average (xorshift64, Marsaglia 2003).
    fn random_double(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 52) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hosts, Ports, Protocol};

    fn plan(pace: Pace) -> Plan {
        let hosts = Hosts::parse(&["127.0.0.1"], &[]).unwrap();
        Plan { pace, seed: 1, ..Plan::new(hosts, Ports::all(Protocol::Tcp)) }
    }

    #[test]
    fn the_window_grows_while_the_way_is_free_and_shrinks_when_it_is_full() {
        let began = Instant::now();
        let mut pacer = Pacer::new(&plan(Pace::Fast), 10_000, began);
        let first = pacer.window();
        pacer.answered(Duration::from_millis(1));
        assert_eq!(pacer.step(began + STEP_MIN), None);
        assert!(pacer.window() > first);
        (0..10).for_each(|_| pacer.canary(began, true));
        let before = pacer.window();
        pacer.sent(began);
        assert!(pacer.step(began + STEP_MIN * 2).is_some());
        assert!(pacer.window() < before);
        // What was lost before the cut does not cut again.
        let before = pacer.window();
        (0..10).for_each(|_| pacer.canary(began, true));
        pacer.step(began + STEP_MIN * 3);
        assert!(pacer.window() > before);
    }

    #[test]
    fn a_queue_shrinks_the_window() {
        let began = Instant::now();
        let mut pacer = Pacer::new(&plan(Pace::Fast), 10_000, began);
        pacer.answered(Duration::from_millis(40));
        (0..20).for_each(|_| pacer.answered(Duration::from_millis(300)));
        let before = pacer.window();
        pacer.step(began + Duration::from_millis(80));
        assert!(pacer.window() < before);
    }

    #[test]
    fn a_rate_is_kept_and_gentle_slows_down() {
        let began = Instant::now();
        let mut pacer = Pacer::new(&plan(Pace::Rate(1000)), 100, began);
        (0..100).for_each(|_| pacer.sent(began));
        let wait = pacer.next() - began;
        assert!(wait >= Duration::from_millis(94) && wait <= Duration::from_millis(101), "{wait:?}");
        let mut pacer = Pacer::new(&plan(Pace::Gentle), 100, began);
        assert_eq!(pacer.warned(), Some(40));
    }

    #[test]
    fn jitter_is_a_pause_on_average() {
        let began = Instant::now();
        let jittery = Plan { jitter: Some(Duration::from_millis(2)), ..plan(Pace::Fast) };
        let mut pacer = Pacer::new(&jittery, 100, began);
        (0..1000).for_each(|_| pacer.sent(began));
        let wait = (pacer.next() - began).as_millis();
        assert!((1700..2300).contains(&wait), "{wait} ms");
    }
}
