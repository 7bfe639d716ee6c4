//! When everybody at once stopped answering on one port: no single target does that, a block on the way does.

use crate::{Address, Flow};
use std::collections::{BTreeMap, BTreeSet};

/// Minutes kept: ten weeks.
const MINUTE_COUNT_MAX: usize = 100_000;
/// Targets of one minute told apart.
const MINUTE_TARGET_COUNT_MAX: usize = 16;
/// So many targets must be silent, and so many answers must be missing, before it is called a block.
const TARGET_COUNT_MIN: usize = 3;
const ANSWERS_MISSING_MIN: f64 = 7.0;
const MINUTE_MS: i64 = 60_000;

/// The asker's requests to one port, of anybody, by minute.
#[derive(Debug, Default)]
pub(super) struct PortTrail {
    minutes: BTreeMap<i64, Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    requests: u64,
    answers: u64,
    targets: BTreeSet<Address>,
}

/// From one moment on nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// The beginning of the first minute without answers.
    pub since_ms: i64,
    /// Requests of the asker to this port before and after that.
    pub before: u64,
    pub after: u64,
    /// Different targets after it, counted up to a limit a minute.
    pub targets: usize,
}

impl PortTrail {
    pub(super) fn request(&mut self, flow: &Flow) {
        let Some(minute) = self.minute(flow) else { return };
        minute.requests += 1;
        if minute.targets.len() < MINUTE_TARGET_COUNT_MAX {
            minute.targets.insert(flow.destination);
        }
    }

    pub(super) fn answer(&mut self, flow: &Flow) {
        if let Some(minute) = self.minute(flow) {
            minute.answers += 1;
        }
    }

    fn minute(&mut self, flow: &Flow) -> Option<&mut Minute> {
        let at = flow.start_ms.div_euclid(MINUTE_MS);
        let room = self.minutes.len() < MINUTE_COUNT_MAX || self.minutes.contains_key(&at);
        room.then(|| self.minutes.entry(at).or_default())
    }

    pub(super) fn silence(&self) -> Option<Silence> {
        let (last, _) = self.minutes.iter().rfind(|(_, minute)| minute.answers > 0)?;
        let until = self.minutes.range(..=*last).map(|(_, minute)| (minute.requests, minute.answers));
        let (before, answers) = until.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let silent = || self.minutes.range(last + 1..).filter(|(_, minute)| minute.requests > 0);
        let after: u64 = silent().map(|(_, minute)| minute.requests).sum();
        let targets: BTreeSet<Address> =
            silent().flat_map(|(_, minute)| minute.targets.iter().copied()).collect();
        // As many would have answered as answered before.
        let missing = after as f64 * (answers as f64 / before.max(1) as f64).min(1.0);
        if targets.len() < TARGET_COUNT_MIN || missing < ANSWERS_MISSING_MIN {
            return None;
        }
        let since_ms = silent().next()?.0 * MINUTE_MS;
        Some(Silence { since_ms, before, after, targets: targets.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many requests from a minute on, every `nth` of them answered.
    fn ask(trail: &mut PortTrail, minute: i64, count: u32, nth: u32) {
        for number in 0..count {
            let flow = Flow {
                start_ms: minute * MINUTE_MS + i64::from(number),
                destination: Address::v4(number + 1),
                ..Flow::default()
            };
            trail.request(&flow);
            if nth > 0 && number % nth == 0 {
                trail.answer(&flow);
            }
        }
    }

    #[test]
    fn all_fall_silent_at_once() {
        let mut trail = PortTrail::default();
        ask(&mut trail, 100, 900, 10);
        ask(&mut trail, 101, 900, 10);
        assert_eq!(trail.silence(), None);
        ask(&mut trail, 104, 300, 0);
        let silence = trail.silence().unwrap();
        assert_eq!((silence.since_ms, silence.before, silence.after), (104 * MINUTE_MS, 1800, 300));
    }

    #[test]
    fn few_requests_to_dead_hosts_are_no_block() {
        let mut trail = PortTrail::default();
        ask(&mut trail, 100, 900, 100);
        ask(&mut trail, 102, 300, 0);
        assert_eq!(trail.silence(), None, "three answers are missing, which chance does too");
    }
}
