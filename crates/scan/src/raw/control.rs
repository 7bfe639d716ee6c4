//! The rate: what the way carries, read from round trips, deliveries and canaries. Pure.
//!
//! Questions to silent ports are never acknowledged, so the way is measured by those packets that are answered: each
//! tells how many packets left before it, and when its answer came. Between two answers that waited in one queue, as
//! many packets passed the bottleneck as were sent between their questions: packets over time is its rate.

use super::clock::{MILLISECOND, Nanos, SECOND};
use super::rtt::Rtt;
use std::collections::VecDeque;

/// Packets a second before anything is known.
const RATE_FIRST: f64 = 10_000.0;
/// Least rate the controller falls to by itself.
const RATE_MIN: f64 = 20.0;
/// Beyond this the path paces itself.
const RATE_MAX: f64 = 20_000_000.0;
/// While nothing ever answered, the rate grows blindly, up to this many packets a second.
const RATE_BLIND_MAX: f64 = 100_000.0;
/// How long each step of blind growth takes.
const BLIND_STEP_NS: Nanos = 25 * MILLISECOND;
/// Shortest round.
const ROUND_NS_MIN: Nanos = 2 * MILLISECOND;
/// Standing queue that is aimed at, where there is one.
const QUEUE_NS_AIM: Nanos = 5 * MILLISECOND;
/// Samples remembered for the bottleneck's rate.
const SAMPLE_COUNT_MAX: usize = 64;
/// Fewest samples a rate is read from.
const SAMPLE_COUNT_MIN: usize = 4;
/// Canaries judged together.
const CANARY_COUNT_MAX: usize = 32;
/// Fewest canaries a loss is read from.
const CANARY_COUNT_MIN: usize = 10;
/// Share of lost canaries that means a full path, not a noisy one.
const LOSS_FULL: f64 = 0.3;

/// One answered packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub sent_at: Nanos,
    /// Packets sent before it.
    pub sent_before: u64,
    pub heard_at: Nanos,
}

/// What a tick changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// The queue of the bottleneck grew; the rate follows what it carries.
    Queue { per_second: f64 },
    /// Packets were lost to a full path since this time; what was asked then is to be asked again.
    Overflow { since: Nanos, per_second: f64 },
}

/// Congestion control over packets most of which nobody acknowledges.
#[derive(Debug, Clone)]
pub struct Control {
    pub rtt: Rtt,
    rate: f64,
    cap: f64,
    /// Whether the rate still doubles each round.
    starting: bool,
    round_began: Nanos,
    /// Samples sent within the round, and the least round trip among the latest.
    round_count: u32,
    latest: VecDeque<Nanos>,
    samples: VecDeque<Sample>,
    canaries: VecDeque<(Nanos, bool)>,
    /// Rounds in which the queue stood whatever the rate: the least round trip is outdated.
    standing_round_count: u32,
    blind_since: Nanos,
}

impl Control {
    /// Starts with a cap in packets a second; `first` is the rate to start with, where it is below the usual.
    pub fn new(now: Nanos, cap: Option<f64>) -> Control {
        let cap = cap.unwrap_or(RATE_MAX).clamp(0.01, RATE_MAX);
        Control {
            rtt: Rtt::default(),
            rate: RATE_FIRST.min(cap),
            cap,
            starting: true,
            round_began: now,
            round_count: 0,
            latest: VecDeque::with_capacity(SAMPLE_COUNT_MIN),
            samples: VecDeque::with_capacity(SAMPLE_COUNT_MAX),
            canaries: VecDeque::with_capacity(CANARY_COUNT_MAX),
            standing_round_count: 0,
            blind_since: now,
        }
    }

    /// Packets a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// True until anything answered.
    pub fn is_blind(&self) -> bool {
        self.rtt.least().is_none()
    }

    /// True while a sample of this round is still wanted: a canary would help.
    pub fn wants_sample(&self) -> bool {
        self.round_count == 0
    }

    /// How long an answer may take, the queue included.
    pub fn patience(&self) -> Nanos {
        self.rtt.patience()
    }

    /// Takes an answered packet.
    pub fn heard(&mut self, sample: Sample) {
        let rtt = sample.heard_at.saturating_sub(sample.sent_at);
        self.rtt.heard(rtt);
        if self.latest.len() == SAMPLE_COUNT_MIN {
            self.latest.pop_front();
        }
        self.latest.push_back(rtt);
        if sample.sent_at >= self.round_began {
            self.round_count += 1;
        }
        let apart = (self.rtt.smoothed() / 32).max(MILLISECOND / 4);
        if self.samples.back().is_none_or(|last| sample.heard_at >= last.heard_at + apart) {
            if self.samples.len() == SAMPLE_COUNT_MAX {
                self.samples.pop_front();
            }
            self.samples.push_back(sample);
        }
    }

    /// Takes the fate of a canary sent at a time.
    pub fn canary(&mut self, sent_at: Nanos, answered: bool) {
        if self.canaries.len() == CANARY_COUNT_MAX {
            self.canaries.pop_front();
        }
        self.canaries.push_back((sent_at, answered));
    }

    /// Slows down at once, such as after a silence.
    pub fn slow_to(&mut self, now: Nanos, rate: f64) {
        self.starting = false;
        self.set(now, rate);
    }

    /// Lowers the cap for good, such as after a ban.
    pub fn cap_at(&mut self, now: Nanos, cap: f64) {
        self.cap = self.cap.min(cap);
        self.set(now, self.rate.min(cap));
    }

    /// Looks at what was heard, and sets the rate.
    pub fn tick(&mut self, now: Nanos) -> Option<Change> {
        let Some(least) = self.rtt.least() else {
            self.grow_blindly(now);
            return None;
        };
        if let Some(change) = self.look_at_loss(now) {
            return Some(change);
        }
        let queue = self.queue(least);
        let aim = QUEUE_NS_AIM.max(least / 8);
        if queue > aim * 2 {
            return self.follow_bottleneck(now, queue, aim);
        }
        self.standing_round_count = 0;
        let length = self.rtt.smoothed().max(ROUND_NS_MIN);
        if self.round_count > 0 && now >= self.round_began + length {
            let grown = match (self.starting, queue < aim / 2) {
                (true, _) => 2.0,
                (false, true) => 1.25,
                (false, false) => 1.0,
            };
            self.set(now, self.rate * grown);
        }
        None
    }

    /// The standing queue: what even the quickest of the latest answers waited.
    fn queue(&self, least: Nanos) -> Nanos {
        if self.latest.len() < SAMPLE_COUNT_MIN {
            return 0;
        }
        self.latest.iter().min().map_or(0, |now| now.saturating_sub(least))
    }

    fn follow_bottleneck(&mut self, now: Nanos, queue: Nanos, aim: Nanos) -> Option<Change> {
        /// Rounds a queue may stand at a low rate before the way counts as another.
        const STANDING_ROUND_COUNT_MAX: u32 = 12;
        let span = self.rtt.smoothed().max(ROUND_NS_MIN * 4);
        // One correction a round: the last one shows only after a round trip.
        let waited = now >= self.round_began + span;
        if !self.starting && !waited {
            return None;
        }
        let carried = self.carried(now, span.min(100 * MILLISECOND))?;
        self.starting = false;
        self.standing_round_count += 1;
        if self.standing_round_count > STANDING_ROUND_COUNT_MAX {
            self.standing_round_count = 0;
            self.rtt.forget_least(self.latest.iter().min().copied().unwrap_or(queue));
            return None;
        }
        let over = (queue - aim) as f64 / (2 * span) as f64;
        let rate = carried * (1.0 - over).clamp(0.5, 1.0);
        let lower = rate < self.rate * 0.8;
        self.set(now, rate);
        lower.then_some(Change::Queue { per_second: carried })
    }

    /// Packets a second that passed the bottleneck lately.
    fn carried(&self, now: Nanos, span: Nanos) -> Option<f64> {
        let mut recent = self.samples.iter().rev().take_while(|sample| sample.heard_at + span * 2 >= now);
        let last = recent.next()?;
        let (mut first, mut count) = (last, 1);
        for sample in recent {
            (first, count) = (sample, count + 1);
            if last.heard_at - first.heard_at >= span / 2 && count >= SAMPLE_COUNT_MIN {
                break;
            }
        }
        let time = last.heard_at.saturating_sub(first.heard_at);
        let packets = last.sent_before.saturating_sub(first.sent_before);
        if time == 0 || count < SAMPLE_COUNT_MIN {
            return None;
        }
        let kept = 1.0 - self.loss().unwrap_or(0.0);
        Some((packets as f64 * SECOND as f64 / time as f64 * kept).clamp(RATE_MIN, RATE_MAX))
    }

    /// Share of canaries lost lately; `None` with too few.
    fn loss(&self) -> Option<f64> {
        if self.canaries.len() < CANARY_COUNT_MIN {
            return None;
        }
        let lost = self.canaries.iter().filter(|(_, answered)| !answered).count();
        Some(lost as f64 / self.canaries.len() as f64)
    }

    fn look_at_loss(&mut self, now: Nanos) -> Option<Change> {
        let loss = self.loss().filter(|&loss| loss >= LOSS_FULL)?;
        let since = self.canaries.iter().find(|(_, answered)| !answered).map_or(now, |(at, _)| *at);
        let per_second = (self.rate * (1.0 - loss)).max(self.rate / 4.0).max(RATE_MIN);
        self.starting = false;
        self.set(now, per_second);
        Some(Change::Overflow { since, per_second })
    }

    fn grow_blindly(&mut self, now: Nanos) {
        if now >= self.blind_since + BLIND_STEP_NS {
            self.blind_since = now;
            let rate = (self.rate * 2.0).min(RATE_BLIND_MAX.max(self.rate));
            self.set(now, rate);
        }
    }

    /// Begins a new round at a rate.
    fn set(&mut self, now: Nanos, rate: f64) {
        if rate < self.rate {
            // What was lost before says nothing of the lower rate.
            self.canaries.clear();
        }
        self.rate = rate.clamp(RATE_MIN.min(self.cap), self.cap);
        self.round_began = now;
        self.round_count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A bottleneck with a delay and a queue; every `answer_every`-th packet is a canary.
    struct Way {
        per_second: f64,
        delay: Nanos,
        queue_max: u64,
        free_at: Nanos,
    }

    impl Way {
        /// When the answer comes back; `None` when the queue is full.
        fn send(&mut self, now: Nanos) -> Option<Nanos> {
            let service = (SECOND as f64 / self.per_second) as Nanos;
            let begin = self.free_at.max(now);
            if (begin - now) / service.max(1) > self.queue_max {
                return None;
            }
            self.free_at = begin + service;
            Some(self.free_at + self.delay)
        }
    }

    /// Sends for a while; returns packets through, packets lost, and the last rate.
    fn run(mut way: Way, answer_every: u64, time: Nanos) -> (u64, u64, f64) {
        let mut control = Control::new(0, None);
        let mut pacer = super::super::pace::Pacer::new(0, false);
        let mut flying: VecDeque<Sample> = VecDeque::new();
        let mut waiting: VecDeque<Nanos> = VecDeque::new();
        let (mut now, mut sent, mut through, mut lost) = (0, 0, 0, 0);
        while now < time {
            now += 50_000;
            while flying.front().is_some_and(|sample| sample.heard_at <= now) {
                let sample = flying.pop_front().unwrap();
                control.heard(sample);
                control.canary(sample.sent_at, true);
            }
            while waiting.front().is_some_and(|at| at + control.patience() < now) {
                control.canary(waiting.pop_front().unwrap(), false);
            }
            control.tick(now);
            let count = pacer.allowance(now, control.rate(), 64);
            pacer.spent(count);
            for _ in 0..count {
                sent += 1;
                let wanted = sent % answer_every == 0 || (control.wants_sample() && flying.is_empty());
                match way.send(now) {
                    Some(heard_at) => {
                        through += 1;
                        if wanted {
                            flying.push_back(Sample { sent_at: now, sent_before: sent, heard_at });
                        }
                    }
                    None => {
                        lost += 1;
                        if wanted {
                            waiting.push_back(now);
                        }
                    }
                }
            }
        }
        (through, lost, control.rate())
    }

    #[test]
    fn a_bottleneck_is_filled_and_not_flooded() {
        for answer_every in [1, 64] {
            let way = Way { per_second: 21_500.0, delay: 40 * MILLISECOND, queue_max: 1_000, free_at: 0 };
            let (through, lost, _) = run(way, answer_every, 3 * SECOND);
            assert!(
                through as f64 > 0.93 * 3.0 * 21_500.0,
                "{through} through, {lost} lost, every {answer_every}"
            );
            assert!(lost < 3_000, "{lost} lost, {through} through, every {answer_every}");
        }
    }

    #[test]
    fn a_shallow_queue_is_found_by_its_losses() {
        let way = Way { per_second: 20_000.0, delay: 10 * MILLISECOND, queue_max: 20, free_at: 0 };
        let (through, lost, _) = run(way, 64, 3 * SECOND);
        assert!(through > 40_000, "{through} through, {lost} lost");
        assert!(lost < 30_000, "{through} through, {lost} lost");
    }

    #[test]
    fn a_short_fast_way_is_used_at_once() {
        let way = Way { per_second: 400_000.0, delay: MILLISECOND / 10, queue_max: 1_000, free_at: 0 };
        let (through, ..) = run(way, 64, SECOND / 5);
        assert!(through > 50_000, "{through} through");
    }

    #[test]
    fn a_cap_is_never_passed() {
        let mut control = Control::new(0, Some(88.0));
        for round in 0..100 {
            let now = round * 10 * MILLISECOND;
            control.heard(Sample { sent_at: now, sent_before: round, heard_at: now + MILLISECOND });
            control.tick(now + MILLISECOND);
            assert!(control.rate() <= 88.0);
        }
    }

    #[test]
    fn silence_grows_only_so_far() {
        let mut control = Control::new(0, None);
        (0..1_000).for_each(|step| {
            control.tick(step * MILLISECOND);
        });
        assert!((control.rate() - RATE_BLIND_MAX).abs() < 1.0);
    }
}
