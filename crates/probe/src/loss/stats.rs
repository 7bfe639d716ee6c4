//! Shares, percentiles and the chance that a count is only chance. Pure.

use crate::trace::RttSummary;

/// A share, 0 to 1; 0 of nothing is 0.
pub fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

/// Sums round trips up; `None` without any.
pub fn summary(times: &[f64]) -> Option<RttSummary> {
    if times.is_empty() {
        return None;
    }
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let average = sorted.iter().sum::<f64>() / count;
    let variance = sorted.iter().map(|t| (t - average).powi(2)).sum::<f64>() / count;
    Some(RttSummary {
        min: percentile(&sorted, 0.0),
        average,
        median: percentile(&sorted, 0.5),
        p95: percentile(&sorted, 0.95),
        p99: percentile(&sorted, 0.99),
        max: percentile(&sorted, 1.0),
        deviation: variance.sqrt(),
    })
}

/// A percentile by linear interpolation; the values must be sorted, 0 when there are none.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - place.floor())
}

/// Smoothed jitter of RFC 3550 6.4.1 over round trips in the order they were sent.
pub fn jitter(times: &[f64]) -> f64 {
    times.windows(2).fold(0.0, |jitter, pair| jitter + ((pair[1] - pair[0]).abs() - jitter) / 16.0)
}

/// The chance of `lost` or more losses among `sent` when each is lost with this chance.
pub fn chance_of_at_least(lost: u32, sent: u32, chance: f64) -> f64 {
    if lost == 0 {
        return 1.0;
    }
    if chance <= 0.0 {
        return 0.0;
    }
    if chance >= 1.0 {
        return 1.0;
    }
    // Sums the terms below in logarithms, so that hundreds of factors do not underflow.
    let odds = chance.ln() - (1.0 - chance).ln();
    let mut term = f64::from(sent) * (1.0 - chance).ln();
    let mut below = term.exp();
    for k in 1..lost.min(sent + 1) {
        term += f64::from(sent - k + 1).ln() - f64::from(k).ln() + odds;
        below += term.exp();
    }
    (1.0 - below).clamp(0.0, 1.0)
}

/// True when failures look like a limit on the rate: a run of successes at first that chance does not explain.
pub fn limited(passed: &[bool]) -> bool {
    /// A first run this unlikely is no chance.
    const CHANCE_MAX: f64 = 0.005;
    let run = passed.iter().take_while(|ok| **ok).count();
    let rest = &passed[run..];
    if rest.len() < 8 || run == 0 {
        return false;
    }
    let lost = rest.iter().filter(|ok| !**ok).count() as f64 / rest.len() as f64;
    lost > 0.3 && (1.0 - lost).powi(i32::try_from(run).unwrap_or(i32::MAX)) < CHANCE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let times: Vec<f64> = (1..=100).map(f64::from).collect();
        let summary = summary(&times).unwrap();
        assert_eq!((summary.min, summary.median, summary.max), (1.0, 50.5, 100.0));
        assert!((summary.p95 - 95.05).abs() < 1e-9);
        assert!((chance_of_at_least(1, 100, 0.01) - 0.634).abs() < 0.001);
        assert!((chance_of_at_least(3, 10, 0.5) - 0.9453).abs() < 0.001);
        assert!(chance_of_at_least(60, 1000, 0.02) < 1e-6);
        assert!(jitter(&[1.0, 1.0, 1.0]) == 0.0 && jitter(&[1.0, 17.0]) == 1.0);
    }

    #[test]
    fn a_limit_is_told_from_loss() {
        let bucket: Vec<bool> = (0..100).map(|n| n < 20 || n % 10 == 0).collect();
        assert!(limited(&bucket));
        let scattered: Vec<bool> = (0..100).map(|n| n % 5 != 3).collect();
        assert!(!limited(&scattered));
        assert!(!limited(&[true; 100]));
        assert!(!limited(&[false; 100]));
    }
}
