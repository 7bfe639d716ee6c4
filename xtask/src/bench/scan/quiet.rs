//! Waits for a moment in which the machine does little else.

use std::fs;
use std::time::{Duration, Instant};

/// How long one look at the processors takes.
const WINDOW: Duration = Duration::from_millis(200);
/// A run waits for a quiet moment so long at most.
const WAIT_MAX: Duration = Duration::from_secs(6);
/// Others may use this part of the processors.
const BUSY_MAX: f64 = 0.2;

/// Waits, and says which part of the processors others used last.
pub fn wait() -> f64 {
    let end = Instant::now() + WAIT_MAX;
    loop {
        let before = ticks();
        std::thread::sleep(WINDOW);
        let busy = busy(before, ticks());
        if busy <= BUSY_MAX || Instant::now() >= end {
            return busy;
        }
    }
}

/// All ticks and idle ones so far, of all processors.
fn ticks() -> [u64; 2] {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let numbers: Vec<u64> =
        line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
    let idle = numbers.iter().skip(3).take(2).sum();
    [numbers.iter().sum(), idle]
}

fn busy(before: [u64; 2], after: [u64; 2]) -> f64 {
    let [all, idle] = [0, 1].map(|index: usize| after[index].saturating_sub(before[index]));
    all.saturating_sub(idle) as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn idle_ticks_are_not_busy() {
        assert!((super::busy([100, 50], [200, 130]) - 0.2).abs() < 1e-9);
        assert_eq!(super::busy([5, 5], [5, 5]), 0.0);
    }
}
