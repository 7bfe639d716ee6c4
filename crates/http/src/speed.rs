//! The rate of a body, and what holds it back: a ceiling, or one window per round trip. Pure.

/// Bodies smaller than this say nothing about a rate, in bytes.
const BODY_BYTES_MIN: u64 = 64 * 1024;
/// A body that took no longer is fast enough for everyone, in milliseconds.
const QUICK_MS_MAX: f64 = 300.0;
/// Without an expectation only a body that took longer is looked at, in milliseconds.
const LONG_MS_MIN: f64 = 1_000.0;
/// Without an expectation only a slower rate is looked at, in bytes per second.
const LOW_RATE_MAX: f64 = 1_250_000.0;
/// Round trips shorter than this cannot hold a transfer back, in milliseconds.
const RTT_MS_MIN: f64 = 3.0;
/// The delayed acknowledgement of Linux, which paces a sender whose window is below two segments, in milliseconds.
const DELAYED_ACK_MS: (f64, f64) = (34.0, 52.0);
/// Largest window that counts as small, in bytes.
const WINDOW_BYTES_MAX: f64 = 160.0 * 1024.0;
/// Departure from a straight line up to which a transfer runs against a ceiling.
const UNEVENNESS_MAX: f64 = 0.15;

/// A transfer: when how many bytes had come, and the round trip of its connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer<'a> {
    /// Milliseconds since the first byte, and body bytes received by then, rising.
    pub pace: &'a [(f64, u64)],
    pub rtt_ms: Option<f64>,
    /// The round trip the receiver saw during the transfer; longer than `rtt_ms` when a queue filled.
    pub loaded_rtt_ms: f64,
    /// Packets that came out of order, as after a loss.
    pub out_of_order: u32,
    /// An expectation of time or size was missed.
    pub missed: bool,
    /// A body of known length that was still coming when our time was up.
    pub endless: bool,
}

/// A value of `http.speed` with its excerpt; nothing when the body is too small to tell.
pub(crate) fn judge(transfer: Transfer<'_>) -> Option<(&'static str, String)> {
    let (took_ms, bytes) = transfer.pace.last().copied()?;
    if bytes < BODY_BYTES_MIN {
        let text = || format!("only {bytes} bytes in {took_ms:.0} ms, and still coming");
        return (transfer.endless && took_ms >= LONG_MS_MIN).then(|| ("slow", text()));
    }
    let rate = bytes as f64 / took_ms.max(0.1) * 1_000.0;
    let shown = format!("{bytes} bytes in {took_ms:.0} ms, {:.0} kB/s", rate / 1_000.0);
    let matters = transfer.missed || (took_ms >= LONG_MS_MIN && rate < LOW_RATE_MAX);
    if took_ms < QUICK_MS_MAX || !matters {
        return Some(("fine", shown));
    }
    if let Some((window, gap_ms)) = window(&transfer) {
        let rtt = transfer.rtt_ms.unwrap_or(0.0);
        let why =
            format!("{shown}; bursts of {window:.0} bytes every {gap_ms:.1} ms, round trip {rtt:.1} ms");
        return Some(("window_bound", why));
    }
    if let Some(window) = clocked(&transfer, rate) {
        let rtt = transfer.rtt_ms.unwrap_or(0.0);
        let why = format!("{shown}; {window:.0} bytes per round trip of {rtt:.1} ms, no queue, no loss");
        return Some(("window_bound", why));
    }
    let uneven = unevenness(transfer.pace);
    let value = if uneven <= UNEVENNESS_MAX { "capped" } else { "slow" };
    Some((value, format!("{shown}; {:.0} % off a constant rate", uneven * 100.0)))
}

/// The bytes that come per round and the time between rounds, when the transfer goes in such rounds.
fn window(transfer: &Transfer<'_>) -> Option<(f64, f64)> {
    let half = transfer.pace.len() / 2;
    let late = &transfer.pace[half..];
    let rtt = transfer.rtt_ms.unwrap_or(0.0);
    for (low, high) in [(rtt * 0.7, rtt * 1.6), DELAYED_ACK_MS] {
        if high < RTT_MS_MIN {
            continue;
        }
        let rounds = rounds(late, low * 0.5);
        if rounds.len() < 5 {
            continue;
        }
        let fitting = rounds.iter().filter(|(gap, _)| (low..=high).contains(gap)).count();
        let mut sizes: Vec<f64> = rounds.iter().map(|(_, size)| *size).collect();
        let mut gaps: Vec<f64> = rounds.iter().map(|(gap, _)| *gap).collect();
        sizes.sort_by(f64::total_cmp);
        gaps.sort_by(f64::total_cmp);
        let (size, gap) = (sizes[sizes.len() / 2], gaps[gaps.len() / 2]);
        if fitting * 10 >= rounds.len() * 6 && size <= WINDOW_BYTES_MAX && size > 0.0 {
            return Some((size, gap));
        }
    }
    None
}

/// The bytes per round trip of a transfer that is clocked by its acknowledgements alone.
///
/// A shaper would have filled a queue and lengthened the round trip, a policer would have dropped packets, and a
/// sender that rests leaves gaps longer than a round trip.
fn clocked(transfer: &Transfer<'_>, rate: f64) -> Option<f64> {
    let rtt = transfer.rtt_ms.filter(|rtt| *rtt >= RTT_MS_MIN)?;
    let window = rate * rtt / 1_000.0;
    let mut gaps: Vec<f64> = transfer.pace.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    gaps.sort_by(f64::total_cmp);
    let longest = gaps.get(gaps.len() * 95 / 100).copied()?;
    let unloaded = transfer.loaded_rtt_ms > 0.0 && transfer.loaded_rtt_ms <= rtt * 1.4;
    let clocked =
        window <= WINDOW_BYTES_MAX && unloaded && transfer.out_of_order == 0 && longest <= rtt * 1.6;
    clocked.then_some(window)
}

/// Bursts of arrival: the gap before each, and its bytes.
fn rounds(pace: &[(f64, u64)], gap_ms_min: f64) -> Vec<(f64, f64)> {
    let mut rounds: Vec<(f64, f64)> = Vec::new();
    let mut begun = None;
    for pair in pace.windows(2) {
        let (gap, size) = (pair[1].0 - pair[0].0, pair[1].1.saturating_sub(pair[0].1) as f64);
        if gap >= gap_ms_min {
            // A round lasts from the start of one burst to the start of the next.
            let since = begun.map_or(gap, |start: f64| pair[1].0 - start);
            rounds.push((since, size));
            begun = Some(pair[1].0);
        } else if let Some(last) = rounds.last_mut() {
            last.1 += size;
        }
    }
    rounds
}

/// How far the arrival record is from a straight line: 0 for a constant rate, 1 for none (one minus r squared).
fn unevenness(pace: &[(f64, u64)]) -> f64 {
    let Some(last) = pace.last() else { return 1.0 };
    // Slow start is left out.
    let late: Vec<(f64, f64)> =
        pace.iter().filter(|(at, _)| *at >= last.0 * 0.2).map(|(at, bytes)| (*at, *bytes as f64)).collect();
    let count = late.len() as f64;
    if late.len() < 3 {
        return 1.0;
    }
    let mean_at = late.iter().map(|p| p.0).sum::<f64>() / count;
    let mean_bytes = late.iter().map(|p| p.1).sum::<f64>() / count;
    let (mut both, mut at, mut bytes) = (0.0, 0.0, 0.0);
    for point in &late {
        let (x, y) = (point.0 - mean_at, point.1 - mean_bytes);
        both += x * y;
        at += x * x;
        bytes += y * y;
    }
    if at * bytes <= 0.0 { 1.0 } else { 1.0 - both * both / (at * bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(count: usize, gap_ms: f64, size: u64) -> Vec<(f64, u64)> {
        (0..count).map(|i| (i as f64 * gap_ms, (i as u64 + 1) * size)).collect()
    }

    const MISSED: Transfer<'static> = Transfer {
        pace: &[],
        rtt_ms: None,
        loaded_rtt_ms: 0.0,
        out_of_order: 0,
        missed: true,
        endless: false,
    };

    #[test]
    fn tells_a_window_without_bursts_from_a_queue() {
        let smooth = steps(400, 2.0, 1_448);
        let window = Transfer { pace: &smooth, rtt_ms: Some(50.0), loaded_rtt_ms: 51.0, ..MISSED };
        assert_eq!(judge(window).unwrap().0, "window_bound");
        let queued = Transfer { loaded_rtt_ms: 150.0, ..window };
        assert_eq!(judge(queued).unwrap().0, "capped");
    }

    #[test]
    fn tells_a_ceiling_from_a_window() {
        let shaped = steps(400, 11.6, 1_448);
        let transfer = Transfer { pace: &shaped, rtt_ms: Some(0.2), ..MISSED };
        assert_eq!(judge(transfer).unwrap().0, "capped");
        let windowed = steps(60, 50.0, 14_000);
        let transfer = Transfer { pace: &windowed, rtt_ms: Some(50.0), ..MISSED };
        assert_eq!(judge(transfer).unwrap().0, "window_bound");
        let acked = steps(60, 41.0, 4_000);
        let transfer = Transfer { pace: &acked, rtt_ms: Some(0.1), ..MISSED };
        assert_eq!(judge(transfer).unwrap().0, "window_bound");
        let quick = steps(60, 0.1, 14_000);
        let transfer = Transfer { pace: &quick, rtt_ms: Some(0.1), ..MISSED };
        assert_eq!(judge(transfer).unwrap().0, "fine");
        assert_eq!(judge(MISSED), None);
    }
}
