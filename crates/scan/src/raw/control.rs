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
/// Least rate it falls to for a queue alone: no way is that slow, but many a scheduler.
const RATE_QUEUE_MIN: f64 = 200.0;
/// Beyond this the path paces itself.
const RATE_MAX: f64 = 20_000_000.0;
/// While nothing ever answered, the rate grows blindly, up to this many packets a second.
const RATE_BLIND_MAX: f64 = 100_000.0;
/// How long each step of blind growth takes.
const BLIND_STEP_NS: Nanos = 25 * MILLISECOND;
/// Shortest round.
const ROUND_NS_MIN: Nanos = 2 * MILLISECOND;
/// Standing queue that is aimed at, where there is one.
const QUEUE_NS_AIM: Nanos = 8 * MILLISECOND;
/// Samples remembered for the bottleneck's rate.
const SAMPLE_COUNT_MAX: usize = 64;
/// Fewest samples a rate is read from.
const SAMPLE_COUNT_MIN: usize = 4;
/// Canaries judged together.
const CANARY_COUNT_MAX: usize = 32;
/// Lost canaries, and their share, that mean a full path, not a noisy one.
const LOST_COUNT_MIN: usize = 5;
const LOSS_FULL: f64 = 0.2;
/// Rounds after such a loss in which the rate grows by little: a queue too short to be seen overflows at once.
const CAREFUL_ROUND_COUNT: u32 = 20;

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
    /// What the way carried when it was full; until then the rate doubles each round.
    known: Option<f64>,
    /// The answer to the latest question, of those heard.
    newest: Sample,
    round_began: Nanos,
    /// Samples sent within the round, and the least round trip among the latest.
    round_count: u32,
    /// Of the latest batches: when each left, and its least round trip.
    latest: VecDeque<(Nanos, Nanos)>,
    samples: VecDeque<Sample>,
    canaries: VecDeque<(Nanos, bool)>,
    /// Rounds in which the queue stood whatever the rate: the least round trip is outdated.
    standing_round_count: u32,
    /// Smoothed share of lost canaries.
    lossy: f64,
    /// When losses last lowered the rate, and rounds since.
    lowered_at: Nanos,
    careful_round_count: u32,
    blind_since: Nanos,
}

impl Control {
    /// Starts with a cap in packets a second, where there is one.
    pub fn new(now: Nanos, cap: Option<f64>) -> Control {
        let cap = cap.unwrap_or(RATE_MAX).clamp(0.01, RATE_MAX);
        Control {
            rtt: Rtt::default(),
            rate: RATE_FIRST.min(cap),
            cap,
            known: None,
            newest: Sample { sent_at: now, sent_before: 0, heard_at: now },
            round_began: now,
            round_count: 0,
            latest: VecDeque::with_capacity(SAMPLE_COUNT_MIN),
            samples: VecDeque::with_capacity(SAMPLE_COUNT_MAX),
            canaries: VecDeque::with_capacity(CANARY_COUNT_MAX),
            standing_round_count: 0,
            lossy: 0.0,
            lowered_at: 0,
            careful_round_count: 0,
            blind_since: now,
        }
    }

    /// Packets a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// True while a sample of this round is still wanted: a canary would help.
    pub fn wants_sample(&self) -> bool {
        self.round_count == 0 && self.rate < self.cap
    }

    /// How long an answer may take, the queue included.
    pub fn patience(&self) -> Nanos {
        self.rtt.patience()
    }

    /// Takes an answered packet.
    pub fn heard(&mut self, sample: Sample) {
        let rtt = sample.heard_at.saturating_sub(sample.sent_at);
        if self.rtt.is_retransmitted(rtt) {
            return;
        }
        self.rtt.heard(rtt);
        if sample.sent_before >= self.newest.sent_before {
            self.newest = sample;
        }
        self.remember(sample.sent_at, rtt);
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

    /// One batch may have waited for the scheduler, with all its packets: batches are compared, not packets.
    fn remember(&mut self, sent_at: Nanos, rtt: Nanos) {
        match self.latest.iter_mut().find(|(at, _)| *at == sent_at) {
            Some((_, least)) => *least = rtt.min(*least),
            None => {
                if self.latest.len() == SAMPLE_COUNT_MIN {
                    self.latest.pop_front();
                }
                self.latest.push_back((sent_at, rtt));
            }
        }
    }

    /// The least round trip of the latest batches.
    fn least_lately(&self) -> Option<Nanos> {
        self.latest.iter().map(|(_, rtt)| *rtt).min()
    }

    /// Takes the fate of a canary sent at a time.
    pub fn canary(&mut self, sent_at: Nanos, answered: bool) {
        self.lossy += (f64::from(u8::from(!answered)) - self.lossy) / CANARY_COUNT_MAX as f64;
        // What was lost before says nothing of the lower rate.
        if sent_at < self.lowered_at {
            return;
        }
        if self.canaries.len() == CANARY_COUNT_MAX {
            self.canaries.pop_front();
        }
        self.canaries.push_back((sent_at, answered));
    }

    /// Slows down at once, such as after a silence.
    pub fn slow_to(&mut self, now: Nanos, rate: f64) {
        self.known = Some(rate);
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
        let length = self.rtt.smoothed().max(ROUND_NS_MIN);
        let round_over = self.round_count > 0 && now >= self.round_began + length;
        match self.known {
            None if queue > queue_aim(least) => {
                let carried = self.carried(now, length.min(100 * MILLISECOND))?;
                self.known = Some(carried);
                self.lowered_at = now;
                self.set(now, carried);
                Some(Change::Queue { per_second: carried })
            }
            None if round_over => {
                self.set(now, self.rate * 2.0);
                None
            }
            Some(known) if round_over => {
                self.cruise(now, known, queue, least);
                None
            }
            _ => None,
        }
    }

    /// Keeps a short queue before the bottleneck, so that it never runs dry and never overflows.
    fn cruise(&mut self, now: Nanos, known: f64, queue: Nanos, least: Nanos) {
        /// Rounds a long queue may stand before the way counts as another one.
        const STANDING_ROUND_COUNT_MAX: u32 = 16;
        let aim = queue_aim(least);
        let carried = self.carried(now, self.rtt.smoothed().clamp(ROUND_NS_MIN, 100 * MILLISECOND));
        let known = match carried {
            Some(carried) if carried > known => carried,
            Some(carried) if queue > aim * 3 => carried.max(known * 0.8),
            _ => known,
        };
        self.known = Some(known.max(RATE_QUEUE_MIN));
        // The window holds the queue short; where it stands all the same, what carries has become less.
        let careful = self.careful_round_count > 0;
        self.careful_round_count = self.careful_round_count.saturating_sub(1);
        let share = match queue > aim * 3 {
            true => 0.8,
            false if careful => 1.05,
            false => 1.25,
        };
        self.standing_round_count = if queue > aim * 3 { self.standing_round_count + 1 } else { 0 };
        if self.standing_round_count > STANDING_ROUND_COUNT_MAX {
            self.standing_round_count = 0;
            self.rtt.forget_least(self.least_lately().unwrap_or(queue));
        }
        self.set(now, known * share);
    }

    /// How many more packets may be under way, of `sent` so far: what the bottleneck holds without its queue growing.
    pub fn room(&self, now: Nanos, sent: u64) -> usize {
        let (Some(known), Some(least)) = (self.known, self.rtt.least()) else { return usize::MAX };
        let unheard = now.saturating_sub(self.newest.heard_at);
        if unheard > self.patience() {
            return usize::MAX;
        }
        // What was sent after the newest answer's question goes on leaving the queue, heard of or not.
        let seconds = |time: Nanos| time as f64 / SECOND as f64;
        let under_way = sent.saturating_sub(self.newest.sent_before) as f64 - known * seconds(unheard);
        let window = known * seconds(least + queue_aim(least) * 3 / 2) + 2.0;
        (window - under_way).max(0.0) as usize
    }

    /// The standing queue: what even the quickest of the latest answers waited.
    fn queue(&self, least: Nanos) -> Nanos {
        if self.latest.len() < SAMPLE_COUNT_MIN {
            return 0;
        }
        self.least_lately().map_or(0, |now| now.saturating_sub(least))
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
        let kept = 1.0 - self.lossy;
        Some((packets as f64 * SECOND as f64 / time as f64 * kept).clamp(RATE_MIN, RATE_MAX))
    }

    fn look_at_loss(&mut self, now: Nanos) -> Option<Change> {
        let lost = self.canaries.iter().filter(|(_, answered)| !answered).count();
        let loss = lost as f64 / self.canaries.len().max(1) as f64;
        if lost < LOST_COUNT_MIN || loss < LOSS_FULL {
            return None;
        }
        let since = self.canaries.iter().find(|(_, answered)| !answered).map_or(now, |(at, _)| *at);
        let per_second = (self.rate * (1.0 - loss)).max(self.rate / 4.0).max(RATE_MIN);
        self.known = Some(per_second);
        self.canaries.clear();
        self.lowered_at = now;
        self.careful_round_count = CAREFUL_ROUND_COUNT;
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
        self.rate = rate.clamp(RATE_MIN.min(self.cap), self.cap);
        self.round_began = now;
        self.round_count = 0;
    }
}

fn queue_aim(least: Nanos) -> Nanos {
    QUEUE_NS_AIM.max(least / 8)
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
            let count = pacer.allowance(now, control.rate(), 64.min(control.room(now, sent)));
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
