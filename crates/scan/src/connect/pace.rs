//! How many questions may be under way, and when the next may leave: the raw engine's controller over sockets.

use crate::raw::clock::Nanos;
use crate::raw::control::{Change, Control, Sample};
use crate::{Pace, Plan};
use std::time::{Duration, Instant};

/// Questions a second in gentle mode: under the limits of 100 new connections a second that defences commonly set.
const GENTLE_PER_SECOND: f64 = 80.0;
/// The least that gentle mode slows to.
const GENTLE_MIN_PER_SECOND: f64 = 10.0;
/// Lowest rate, so that a wait always ends.
const RATE_MIN_PER_SECOND: f64 = 0.1;
/// What may be caught up with after a pause; nothing in gentle mode.
const CATCH_UP: Duration = Duration::from_millis(2);
/// Between two canaries that are sent only since the controller wants a sample.
const SAMPLE_GAP: Duration = Duration::from_millis(10);
/// Between two tellings of a lower rate, which must be below this share of the one told.
const TELL_GAP: Duration = Duration::from_secs(1);
const TELL_SHARE: f64 = 0.7;

/// The clock of a scan, and how many sockets it may hold.
pub(crate) struct Pacer {
    control: Control,
    began: Instant,
    sockets_max: usize,
    gentle_rate: Option<f64>,
    jitter: Option<Duration>,
    next: Instant,
    sampled: Instant,
    told: Option<(Instant, f64)>,
    random: u64,
}

impl Pacer {
    pub fn new(plan: &Plan, sockets_max: usize, now: Instant) -> Self {
        let cap = match plan.pace {
            Pace::Gentle => Some(GENTLE_PER_SECOND),
            Pace::Rate(rate) => Some((rate as f64).max(RATE_MIN_PER_SECOND)),
            Pace::Fast | Pace::Max => None,
        };
        Self {
            control: Control::new(0, cap),
            began: now,
            sockets_max,
            gentle_rate: cap.filter(|_| plan.pace == Pace::Gentle),
            jitter: plan.jitter,
            next: now,
            sampled: now,
            told: None,
            random: plan.seed | 1,
        }
    }

    /// Sockets that may be open at once.
    pub fn sockets_max(&self) -> usize {
        self.sockets_max
    }

    /// When the next question may leave.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// A question left.
    pub fn sent(&mut self, now: Instant) {
        let gap = Duration::from_secs_f64(1.0 / self.control.rate().max(RATE_MIN_PER_SECOND));
        let jitter = self.jitter.map_or(Duration::ZERO, |mean| mean.mul_f64(self.random_double()));
        let earliest = match self.gentle_rate {
            Some(_) => now,
            None => now.checked_sub(CATCH_UP).unwrap_or(now),
        };
        self.next = self.next.max(earliest) + gap + jitter;
    }

    /// An answer came to what was sent as the question after `sent_before` others.
    pub fn answered(&mut self, sent: Instant, sent_before: u64, heard: Instant) {
        let (sent_at, heard_at) = (self.place(sent), self.place(heard));
        self.control.heard(Sample { sent_at, sent_before, heard_at });
    }

    /// A known-open port asked again was answered, or not.
    pub fn canary(&mut self, sent: Instant, lost: bool) {
        let sent_at = self.place(sent);
        self.control.canary(sent_at, !lost);
    }

    /// Whether an answer is missing for the controller to go on: a canary would help.
    pub fn wants_canary(&mut self, now: Instant) -> bool {
        let wants = self.control.wants_sample() && now.duration_since(self.sampled) >= SAMPLE_GAP;
        if wants {
            self.sampled = now;
        }
        wants
    }

    /// The machine ran short of something: fewer from now on. Returns how many, and whether that is a change.
    pub fn short(&mut self, busy: usize) -> (usize, bool) {
        let before = self.sockets_max;
        self.sockets_max = (busy * 3 / 4).clamp(1, before);
        (self.sockets_max, self.sockets_max < before)
    }

    /// The first sign of a limit: gentle mode halves its rate.
    pub fn warned(&mut self, now: Instant) -> Option<u64> {
        let rate = self.gentle_rate.filter(|rate| *rate > GENTLE_MIN_PER_SECOND)?;
        let slower = (rate / 2.0).max(GENTLE_MIN_PER_SECOND);
        self.gentle_rate = Some(slower);
        let now = self.place(now);
        self.control.cap_at(now, slower);
        Some(slower as u64)
    }

    /// Lets the controller look; tells the new rate where the way turned out full.
    pub fn step(&mut self, now: Instant) -> Option<u64> {
        let place = self.place(now);
        let (Change::Queue { per_second } | Change::Overflow { per_second, .. }) =
            self.control.tick(place)?;
        let due = self.told.is_none_or(|(then, before)| {
            now.duration_since(then) >= TELL_GAP && per_second < before * TELL_SHARE
        });
        due.then(|| {
            self.told = Some((now, per_second));
            per_second as u64
        })
    }

    fn place(&self, at: Instant) -> Nanos {
        at.saturating_duration_since(self.began).as_nanos() as Nanos
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
    fn a_rate_is_kept_and_gentle_slows_down() {
        let began = Instant::now();
        let mut pacer = Pacer::new(&plan(Pace::Rate(1000)), 100, began);
        (0..100).for_each(|_| pacer.sent(began));
        let wait = pacer.next() - began;
        assert!(wait >= Duration::from_millis(97) && wait <= Duration::from_millis(101), "{wait:?}");
        let mut pacer = Pacer::new(&plan(Pace::Gentle), 100, began);
        assert_eq!(pacer.warned(began), Some(40));
        pacer.sent(began);
        assert_eq!(pacer.next() - began, Duration::from_millis(25));
    }

    #[test]
    fn jitter_is_a_pause_on_average() {
        let began = Instant::now();
        let jittery = Plan { jitter: Some(Duration::from_millis(2)), ..plan(Pace::Fast) };
        let mut pacer = Pacer::new(&jittery, 100, began);
        (0..1000).for_each(|_| pacer.sent(began));
        let wait = (pacer.next() - began).as_millis();
        assert!((1800..2500).contains(&wait), "{wait} ms");
    }

    #[test]
    fn a_shortage_leaves_fewer_sockets_but_never_none() {
        let began = Instant::now();
        let mut pacer = Pacer::new(&plan(Pace::Fast), 1000, began);
        assert_eq!(pacer.short(100), (75, true));
        assert_eq!(pacer.short(0), (1, true));
        assert_eq!(pacer.short(0), (1, false));
    }
}
