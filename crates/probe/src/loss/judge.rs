//! From counts to a word: none, some, heavy, all, or a limit on the rate. Pure.

use super::stats;
use std::time::Duration;

/// Loss from which it is heavy.
const HEAVY_SHARE: f64 = 0.10;

/// Losses below which chance is the likelier reason, over at least two rounds.
const LOST_COUNT_MIN: u32 = 2;

/// An excess over the allowed loss less likely than this is no chance.
const CHANCE_MAX: f64 = 0.05;

/// The same, once all rounds are spent.
const EXCESS_CHANCE_MAX: f64 = 0.2;

/// Probes needed to speak of jitter.
const JITTER_COUNT_MIN: usize = 50;

/// Spread between the 5th and the 95th percentile from which the round trip is wild, in milliseconds.
const WILD_MS_MIN: f64 = 40.0;

/// What the user allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limit {
    /// 0 to 1.
    pub loss_max: Option<f64>,
}

/// What one kind of probe met.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// How it was measured, for the excerpt.
    pub kind: &'static str,
    /// In the order sent: answered or not; one list for each round.
    pub rounds: Vec<Vec<bool>>,
    /// Round trips in the order sent.
    pub times: Vec<Duration>,
    pub duplicates: u32,
}

/// The word for what was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    None,
    Some,
    Heavy,
    All,
    /// A first run passes and later ones hardly: a limit on the rate.
    Limited,
}

impl Loss {
    /// The value of the facts `tcp.loss` and `icmp.loss`.
    pub const fn name(self) -> &'static str {
        match self {
            Loss::None => "none",
            Loss::Some => "some",
            Loss::Heavy => "heavy",
            Loss::All => "all",
            Loss::Limited => "limited",
        }
    }
}

impl Series {
    /// Probes sent and lost.
    pub fn counts(&self) -> (u32, u32) {
        let all = self.rounds.iter().flatten();
        all.fold((0, 0), |(sent, lost), ok| (sent + 1, lost + u32::from(!ok)))
    }

    /// Share lost, 0 to 1.
    pub fn share(&self) -> f64 {
        let (sent, lost) = self.counts();
        stats::share(lost, sent)
    }

    /// Counts and times in one line.
    pub fn told(&self) -> String {
        let (sent, lost) = self.counts();
        let share = self.share() * 100.0;
        let times: Vec<f64> = self.times.iter().map(|t| t.as_secs_f64() * 1e3).collect();
        let rtt = stats::summary(&times).map_or(String::new(), |s| {
            format!(", RTT min {:.2} median {:.2} p95 {:.2} max {:.2} ms", s.min, s.median, s.p95, s.max)
        });
        let copies =
            if self.duplicates > 0 { format!(", {} duplicates", self.duplicates) } else { String::new() };
        format!("{}: {lost} of {sent} lost ({share:.1} %){rtt}{copies}", self.kind)
    }
}

/// Names the loss of a series; `None` while more rounds are needed.
pub fn judge(series: &Series, limit: Limit) -> Option<Loss> {
    let (sent, lost) = series.counts();
    if sent == 0 {
        return None;
    }
    if lost == sent {
        return Some(Loss::All);
    }
    let first = series.rounds.first().map(Vec::as_slice).unwrap_or_default();
    if stats::limited(first) {
        return Some(Loss::Limited);
    }
    let share = series.share();
    let word = if share >= HEAVY_SHARE { Loss::Heavy } else { Loss::Some };
    if let Some(max) = limit.loss_max {
        let over = share > max && stats::chance_of_at_least(lost, sent, max) < EXCESS_CHANCE_MAX;
        return Some(if over { word } else { Loss::None });
    }
    let hit = series.rounds.iter().filter(|round| round.iter().any(|ok| !ok)).count();
    let confirmed =
        lost >= LOST_COUNT_MIN && (hit >= 2 || (series.rounds.len() == 1 && share >= HEAVY_SHARE));
    Some(if confirmed { word } else { Loss::None })
}

/// True when another round would tell more.
pub fn wants_more(series: &Series, limit: Limit) -> bool {
    let (sent, lost) = series.counts();
    if lost == 0 || lost == sent {
        return false;
    }
    let share = series.share();
    if let Some(max) = limit.loss_max {
        let over = stats::chance_of_at_least(lost, sent, max) < CHANCE_MAX;
        let under = 1.0 - stats::chance_of_at_least(lost + 1, sent, max) < CHANCE_MAX;
        return !over && !under;
    }
    let hit = series.rounds.iter().filter(|round| round.iter().any(|ok| !ok)).count();
    share < HEAVY_SHARE && hit < 2 && series.rounds.len() < 3
}

/// Whether the round trip is wild, with the numbers; both halves of the series must agree.
pub fn jitter(series: &Series) -> Option<(bool, String)> {
    if series.times.len() < JITTER_COUNT_MIN {
        return None;
    }
    let times: Vec<f64> = series.times.iter().map(|t| t.as_secs_f64() * 1e3).collect();
    let (first, second) = times.split_at(times.len() / 2);
    let wild = [first, second].iter().all(|half| {
        let mut sorted = half.to_vec();
        sorted.sort_by(f64::total_cmp);
        let spread = stats::percentile(&sorted, 0.95) - stats::percentile(&sorted, 0.05);
        spread >= WILD_MS_MIN && spread >= 0.3 * stats::percentile(&sorted, 0.5)
    });
    let summary = stats::summary(&times)?;
    let told = format!(
        "RTT median {:.2} ms, p95 {:.2} ms, deviation {:.2} ms over {} probes",
        summary.median,
        summary.p95,
        summary.deviation,
        times.len()
    );
    Some((wild, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rounds: &[&[u32]]) -> Series {
        let rounds = rounds.iter().map(|lost| (0..200).map(|n| !lost.contains(&n)).collect()).collect();
        Series { rounds, ..Series::default() }
    }

    #[test]
    fn loss_needs_to_be_seen_twice() {
        let none = Limit::default();
        assert_eq!(judge(&series(&[&[]]), none), Some(Loss::None));
        assert_eq!(judge(&series(&[&[5], &[]]), none), Some(Loss::None));
        assert_eq!(judge(&series(&[&[5, 6, 7], &[], &[]]), none), Some(Loss::None));
        assert_eq!(judge(&series(&[&[5, 90], &[17]]), none), Some(Loss::Some));
        assert!(wants_more(&series(&[&[5]]), none));
        assert!(!wants_more(&series(&[&[]]), none));
    }

    #[test]
    fn the_allowed_share_decides() {
        let two = Limit { loss_max: Some(0.02) };
        assert_eq!(judge(&series(&[&[5, 6]]), two), Some(Loss::None));
        assert_eq!(judge(&series(&[&[5, 6, 50, 60, 90, 120, 130, 140]]), two), Some(Loss::Some));
        assert!(wants_more(&series(&[&[5, 6, 50, 90, 120]]), two));
        let many: Vec<u32> = (0..40).map(|n| n * 5).collect();
        assert_eq!(judge(&series(&[&many]), two), Some(Loss::Heavy));
    }
}
