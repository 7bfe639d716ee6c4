//! Many probes at a steady pace, and all their answers.

use super::{Link, Probe, Reply, Stop};
use std::io;
use std::time::{Duration, Instant};

/// Probes in one batch.
const PROBES_COUNT_MAX: usize = 4_096;

/// Answers kept for one probe; more are counted as the last.
const REPLIES_COUNT_MAX: usize = 4;

/// Late answers to earlier batches that are kept.
const STRAYS_COUNT_MAX: usize = 64;

/// Longest sleep before a stop is looked for.
const STOP_LOOK_MS: u64 = 100;

/// Longest wait after the last probe, whatever the round trip.
const PATIENCE_MAX: Duration = Duration::from_millis(2_000);

/// How long to wait after the last probe.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// While nothing was answered at all.
    pub silent: Duration,
    /// Once something was: at least this, or four times the longest round trip seen.
    pub floor: Duration,
}

impl Wait {
    /// A wait in milliseconds: while all is silent, and the least once something was heard.
    pub const fn millis(silent: u64, floor: u64) -> Wait {
        Wait { silent: Duration::from_millis(silent), floor: Duration::from_millis(floor) }
    }
}

/// What became of one probe.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The error number this host gave instead of sending.
    pub refused: Option<i32>,
    pub replies: Vec<Reply>,
}

impl Outcome {
    /// The first answer.
    pub fn first(&self) -> Option<&Reply> {
        self.replies.first()
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// One for each probe, in the order given.
    pub outcomes: Vec<Outcome>,
    /// Answers to probes of earlier batches, by their number.
    pub strays: Vec<(usize, Reply)>,
}

/// Sends the probes `gap` apart and gathers their answers until all have one or the wait is over.
///
/// `base` numbers the probes of this batch; later batches of the same link must start higher, so that a late
/// answer is not taken for another probe's.
pub fn run_batch(
    link: &mut Link,
    base: usize,
    probes: &[Probe],
    gap: Duration,
    wait: Wait,
    stop: Option<&Stop>,
) -> io::Result<Batch> {
    let probes = probes.get(..probes.len().min(PROBES_COUNT_MAX)).unwrap_or_default();
    let mut batch = Batch { outcomes: vec![Outcome::default(); probes.len()], strays: Vec::new() };
    let start = Instant::now();
    let mut tally = Tally { base, open: probes.len(), longest: None };
    for (place, probe) in probes.iter().enumerate() {
        let due = start + gap * u32::try_from(place).unwrap_or(u32::MAX);
        // A due time in the past still takes what has come, so that the queue does not grow.
        while let Some((index, reply)) = link.receive(due)? {
            tally.take(&mut batch, index, reply);
        }
        if stop.is_some_and(Stop::asked) {
            break;
        }
        if let Err(error) = link.send(base + place, probe) {
            batch.outcomes[place].refused = Some(error.raw_os_error().unwrap_or(libc::EIO));
            tally.open = tally.open.saturating_sub(1);
        }
    }
    let sent = Instant::now();
    while tally.open > 0 && !stop.is_some_and(Stop::asked) {
        let patience =
            tally.longest.map_or(wait.silent, |longest| wait.floor.max(longest * 4)).min(PATIENCE_MAX);
        let end = sent + patience;
        let now = Instant::now();
        if now >= end {
            break;
        }
        if let Some((index, reply)) = link.receive(end.min(now + Duration::from_millis(STOP_LOOK_MS)))? {
            tally.take(&mut batch, index, reply);
        }
    }
    Ok(batch)
}

struct Tally {
    base: usize,
    open: usize,
    longest: Option<Duration>,
}

impl Tally {
    fn take(&mut self, batch: &mut Batch, index: usize, reply: Reply) {
        let place = index.checked_sub(self.base);
        let Some(outcome) = place.and_then(|place| batch.outcomes.get_mut(place)) else {
            if batch.strays.len() < STRAYS_COUNT_MAX {
                batch.strays.push((index, reply));
            }
            return;
        };
        if outcome.replies.is_empty() {
            self.open = self.open.saturating_sub(1);
            // A SYN sent again says nothing of the round trip.
            self.longest = self.longest.max(Some(reply.rtt).filter(|_| !reply.retried));
        }
        if outcome.replies.len() < REPLIES_COUNT_MAX {
            outcome.replies.push(reply);
        }
    }
}
