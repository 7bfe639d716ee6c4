//! What netwhy must reach on each target, and whether it did.

use super::figures::{Row, Tool};
use super::peer::Mode;

/// How long the slowest may take: it is cut there.
pub const CUT_S: u64 = 60;

/// What netwhy may take of memory: for one host, and for 65,536 addresses × 100 ports.
pub const MEMORY_HOST_MB: f64 = 30.0;
pub const MEMORY_NETWORK_MB: f64 = 64.0;

/// What must hold for the time netwhy takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// At most this part of the best peer's time that finds all in every run.
    OfBest(f64),
    /// At most this part of the named peer's time, whatever it finds.
    Of(&'static str, f64),
    /// At most so many seconds.
    Seconds(f64),
    /// The ban is noticed and named within so many seconds.
    Noticed(f64),
}

/// One line of the page.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    pub name: &'static str,
    pub target: &'static str,
    pub mode: Mode,
    pub goal: Goal,
    /// Runs of netwhy that must all be right.
    pub netwhy_runs: usize,
}

const fn raw(name: &'static str, goal: Goal) -> Measure {
    Measure { name, target: name, mode: Mode::Raw, goal, netwhy_runs: 5 }
}

/// All of them, in the order of the page.
pub const MEASURES: [Measure; 12] = [
    raw("T1", Goal::OfBest(0.65)),
    raw("T2", Goal::Of("zmap", 0.2)),
    raw("T3", Goal::OfBest(0.25)),
    raw("T4", Goal::Of("zmap", 0.2)),
    Measure { netwhy_runs: 20, ..raw("T5", Goal::OfBest(0.2)) },
    Measure { mode: Mode::Gentle, ..raw("T6", Goal::Seconds(13.5)) },
    Measure { target: "T6", mode: Mode::Fast, ..raw("T6fast", Goal::Noticed(1.0)) },
    raw("T7", Goal::Seconds(2.5)),
    raw("T7far", Goal::Seconds(1.3)),
    Measure { netwhy_runs: 20, ..raw("T8", Goal::Seconds(3.9)) },
    Measure { netwhy_runs: 20, ..raw("T9", Goal::Seconds(6.8)) },
    Measure { target: "T1", mode: Mode::Connect, ..raw("T1connect", Goal::Of("nmap -sT", 0.7)) },
];

/// What was reached of a goal.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Ratio or seconds; absent where it cannot be told.
    pub reached: Option<f64>,
    /// The peer it is measured by.
    pub beside: Option<String>,
    /// Runs of netwhy that found exactly the truth, broke nothing and said what had to be said.
    pub right: usize,
    pub runs: usize,
    pub passed: bool,
}

/// Judges a line of the page.
pub fn judge(measure: &Measure, row: &Row) -> Option<Judged> {
    let ours = row.tools.iter().find(|tool| tool.name == "netwhy")?;
    let right = ours.runs.iter().filter(|run| run.right(measure)).count();
    let peers = || row.tools.iter().filter(|tool| tool.name != "netwhy");
    let ratio = |peer: Option<&Tool>| {
        let peer = peer?;
        Some((ours.median_ms() / peer.median_ms(), peer.name.clone()))
    };
    let by_time = |a: &&Tool, b: &&Tool| a.median_ms().total_cmp(&b.median_ms());
    let (reached, limit, beside) = match measure.goal {
        Goal::OfBest(limit) => {
            let found = ratio(peers().filter(|tool| tool.complete()).min_by(by_time));
            (found.as_ref().map(|pair| pair.0), limit, found.map(|pair| pair.1))
        }
        Goal::Of(name, limit) => {
            let found = ratio(peers().find(|tool| tool.name == name));
            (found.as_ref().map(|pair| pair.0), limit, found.map(|pair| pair.1))
        }
        Goal::Seconds(limit) => (Some(ours.median_ms() / 1e3), limit, None),
        Goal::Noticed(limit) => {
            let noticed = ours.runs.iter().map(|run| run.told.banned_ms.unwrap_or(u64::MAX)).max();
            (noticed.filter(|ms| *ms < u64::MAX).map(|ms| ms as f64 / 1e3), limit, None)
        }
    };
    let runs = ours.runs.len();
    let passed = reached.is_some_and(|reached| reached <= limit) && right == runs && runs > 0;
    Some(Judged { reached, beside, right, runs, passed })
}
