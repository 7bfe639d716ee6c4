//! Counts how often netwhy was right. Pure: rows in, totals out.

use crate::ends::Ends;
use crate::scenario::Head;
use crate::script::Measured;
use crate::toolbox::{self, Comparison, ToolRun};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The schema of a results file.
pub const RESULTS_SCHEMA: &str = "netwhy.lab-results/1";
/// Bins of the reliability curve.
const BINS_COUNT: usize = 10;
/// A cause at least this likely counts as said, when the whole set is asked for.
const SAID_CONFIDENCE_MIN: f64 = 0.5;

/// What came of one scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    pub scenario: String,
    /// Where netwhy stood.
    pub ends: Ends,
    /// The true causes; empty for a healthy control.
    pub truth: Vec<String>,
    /// Look-alikes the scenario accepts.
    pub group: Vec<String>,
    /// All causes of the verdict, most likely first.
    pub named: Vec<String>,
    /// Those of them that are at least as likely as not.
    pub said: Vec<String>,
    /// The confidence of the first cause.
    pub confidence: Option<f64>,
    /// What the verdict called the target while it was broken.
    pub healthy: bool,
    pub reachability: String,
    /// netwhy's own time, in milliseconds; for a healthy control too.
    pub time_ms: u64,
    pub memory_kib: u64,
    /// After the fault was mended: healthy, and no cause named. `None` for a control.
    pub healthy_again: Option<bool>,
    /// Time of the run after mending, in milliseconds.
    pub healed_time_ms: Option<u64>,
    /// The verdict in one sentence.
    pub sentence: String,
    /// What the second run still named.
    pub named_after: Vec<String>,
    /// The toolbox on the broken target, when it was run too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolRun>,
    /// The toolbox on the mended target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools_healed: Vec<ToolRun>,
    /// With the toolbox: what netwhy saw that is not as on a healthy target, as `fact=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// Why it did not run, when it did not.
    pub skipped: Option<String>,
    /// Why it failed in the lab or in netwhy, when it did.
    pub failed: Option<String>,
}

impl Row {
    /// What came of a scenario, from the run while it was broken and the one after it was mended.
    pub fn of(head: &Head, broken: Option<&Measured>, healed: Option<&Measured>) -> Row {
        let mut row = Row {
            scenario: head.name.clone(),
            truth: head.cause.clone(),
            group: head.group.clone(),
            ..Row::default()
        };
        match broken {
            None => row.failed = Some("netwhy was not run".into()),
            Some(measured) => match &measured.verdict {
                None => {
                    row.failed = Some(format!("no verdict, exit {}: {}", measured.exit, measured.complaint))
                }
                Some(verdict) => {
                    row.named = causes(verdict);
                    row.said = said(verdict);
                    row.confidence = verdict.pointer("/causes/0/confidence").and_then(Value::as_f64);
                    row.healthy = is_healthy(verdict);
                    row.reachability = text(verdict, "reachability");
                    row.sentence = text(verdict, "sentence");
                    row.time_ms = measured.wall_ms;
                    row.memory_kib = measured.memory_kib;
                }
            },
        }
        if let Some(measured) = healed {
            row.named_after = measured.verdict.as_ref().map(causes).unwrap_or_default();
            row.healthy_again =
                Some(measured.verdict.as_ref().is_some_and(is_healthy) && row.named_after.is_empty());
            row.healed_time_ms = Some(measured.wall_ms);
        }
        row
    }

    /// The same row, with where netwhy stood.
    #[must_use]
    pub fn seen_from(self, ends: Ends) -> Row {
        Row { ends, ..self }
    }

    /// A scenario that was not run at all.
    pub fn skipped(head: &Head, why: String) -> Row {
        Row { skipped: Some(why), failed: None, ..Row::of(head, None, None) }
    }

    /// A scenario whose lab failed.
    pub fn failed(head: &Head, why: String) -> Row {
        Row { failed: Some(why), ..Row::of(head, None, None) }
    }

    /// Whether the scenario was broken and netwhy gave a verdict on it.
    pub fn counts(&self) -> bool {
        self.skipped.is_none() && self.failed.is_none()
    }

    /// Whether nothing was broken.
    pub fn is_control(&self) -> bool {
        self.truth.is_empty()
    }

    /// Whether two faults were there at once.
    pub fn is_pair(&self) -> bool {
        self.truth.len() == 2
    }

    /// Whether the causes said are the true ones, no more and no fewer.
    pub fn exact(&self) -> bool {
        let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<String>>();
        set(&self.said) == set(&self.truth)
    }

    /// Whether the first cause is a true one.
    pub fn strict(&self) -> bool {
        self.named.first().is_some_and(|first| self.truth.contains(first))
    }

    /// Whether a true cause stands among those named.
    pub fn in_group(&self) -> bool {
        self.named.iter().any(|named| self.truth.contains(named))
    }

    /// Whether the first cause is at least one of the look-alikes the scenario accepts.
    pub fn acceptable(&self) -> bool {
        self.strict() || self.named.first().is_some_and(|first| self.group.contains(first))
    }
}

fn causes(verdict: &Value) -> Vec<String> {
    let list = verdict.get("causes").and_then(Value::as_array);
    list.into_iter().flatten().map(|cause| text(cause, "id")).collect()
}

fn said(verdict: &Value) -> Vec<String> {
    let list = verdict.get("causes").and_then(Value::as_array);
    let likely = |cause: &&Value| {
        let confidence = cause.get("confidence").and_then(Value::as_f64);
        confidence.is_some_and(|confidence| confidence >= SAID_CONFIDENCE_MIN)
    };
    list.into_iter().flatten().filter(likely).map(|cause| text(cause, "id")).collect()
}

fn is_healthy(verdict: &Value) -> bool {
    verdict.get("healthy").and_then(Value::as_bool) == Some(true)
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// One bin of the reliability curve: verdicts whose first cause had about this confidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Lower bound of the confidence, 0 to 0.9; the bin is 0.1 wide.
    pub from: f64,
    pub count: usize,
    /// Mean confidence in the bin.
    pub confidence: f64,
    /// Share of verdicts in the bin whose first cause was true.
    pub accuracy: f64,
}

/// The sums.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    pub scenarios: usize,
    pub skipped: usize,
    pub failed: usize,
    /// Broken scenarios with a verdict.
    pub broken: usize,
    pub strict: usize,
    pub acceptable: usize,
    pub in_group: usize,
    pub broken_called_healthy: usize,
    pub controls: usize,
    pub controls_accused: usize,
    pub healthy_again: usize,
    /// Scenarios of two faults with a verdict, and those of them whose whole set was said.
    pub pairs: usize,
    pub pairs_exact: usize,
    /// Expected calibration error, 0 to 1.
    pub calibration_error: f64,
    pub reliability: Vec<Bin>,
    pub time_ms_median: u64,
    pub time_ms_p95: u64,
    pub healthy_time_ms_median: u64,
    pub memory_kib_max: u64,
}

/// A results file: all that `cargo xtask accuracy` publishes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    pub schema: String,
    pub rows: Vec<Row>,
    pub totals: Totals,
    /// When the toolbox was run too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// Sums up the rows.
pub fn score(rows: Vec<Row>) -> Results {
    let count = |wanted: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).count();
    let broken = |row: &Row| row.counts() && !row.is_control();
    let control = |row: &Row| row.counts() && row.is_control();
    let (calibration_error, reliability) = calibration(&rows);
    let times = |wanted: &dyn Fn(&Row) -> Option<u64>| {
        let mut times: Vec<u64> = rows.iter().filter(|row| row.counts()).filter_map(wanted).collect();
        times.sort_unstable();
        times
    };
    let all = times(&|row| Some(row.time_ms));
    let healthy = times(&|row| if row.is_control() { Some(row.time_ms) } else { row.healed_time_ms });
    let totals = Totals {
        scenarios: rows.len(),
        skipped: count(&|row| row.skipped.is_some()),
        failed: count(&|row| row.failed.is_some()),
        broken: count(&broken),
        strict: count(&|row| broken(row) && row.strict()),
        acceptable: count(&|row| broken(row) && row.acceptable()),
        in_group: count(&|row| broken(row) && row.in_group()),
        broken_called_healthy: count(&|row| broken(row) && row.healthy),
        controls: count(&control),
        controls_accused: count(&|row| control(row) && !row.named.is_empty()),
        healthy_again: count(&|row| broken(row) && row.healthy_again == Some(true)),
        pairs: count(&|row| broken(row) && row.is_pair()),
        pairs_exact: count(&|row| broken(row) && row.is_pair() && row.exact()),
        calibration_error,
        reliability,
        time_ms_median: percentile(&all, 50),
        time_ms_p95: percentile(&all, 95),
        healthy_time_ms_median: percentile(&healthy, 50),
        memory_kib_max: rows.iter().map(|row| row.memory_kib).max().unwrap_or(0),
    };
    let comparison = toolbox::compare(&rows);
    Results { schema: RESULTS_SCHEMA.into(), rows, totals, comparison }
}

/// The nearest-rank percentile of sorted values; 0 of none.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied().unwrap_or(0)
}

/// Confidence against being right, over all verdicts that name a cause (Guo et al. 2017, equation 3).
fn calibration(rows: &[Row]) -> (f64, Vec<Bin>) {
    let mut sums = [(0usize, 0.0f64, 0usize); BINS_COUNT];
    for row in rows.iter().filter(|row| row.counts()) {
        let Some(confidence) = row.confidence else { continue };
        let bin = ((confidence * BINS_COUNT as f64) as usize).min(BINS_COUNT - 1);
        sums[bin].0 += 1;
        sums[bin].1 += confidence;
        sums[bin].2 += usize::from(row.strict());
    }
    let all: usize = sums.iter().map(|sum| sum.0).sum();
    let mut error = 0.0;
    let bins = (0..BINS_COUNT)
        .map(|number| {
            let (count, confidence, right) = sums[number];
            let mean = |value: f64| if count == 0 { 0.0 } else { value / count as f64 };
            let bin = Bin {
                from: number as f64 / BINS_COUNT as f64,
                count,
                confidence: mean(confidence),
                accuracy: mean(right as f64),
            };
            error += (bin.confidence - bin.accuracy).abs() * count as f64 / all.max(1) as f64;
            bin
        })
        .collect();
    (error, bins)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(truth: &[&str], named: &[&str], confidence: f64) -> Row {
        let owned = |list: &[&str]| list.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        Row {
            truth: owned(truth),
            named: owned(named),
            confidence: (!named.is_empty()).then_some(confidence),
            healthy: named.is_empty(),
            time_ms: 100,
            ..Row::default()
        }
    }

    #[test]
    fn counts_what_is_judged() {
        let skipped = Row { skipped: Some("no nft".into()), ..row(&["a"], &[], 0.0) };
        let rows = vec![
            row(&["a"], &["a"], 0.9),
            row(&["a"], &["b", "a"], 0.5),
            row(&["a"], &[], 0.0),
            row(&[], &[], 0.0),
            row(&[], &["a"], 0.9),
            skipped,
        ];
        let totals = score(rows).totals;
        assert_eq!((totals.broken, totals.strict, totals.in_group), (3, 1, 2));
        assert_eq!((totals.broken_called_healthy, totals.controls, totals.controls_accused), (1, 2, 1));
        assert_eq!(totals.skipped, 1);
    }

    #[test]
    fn a_pair_is_exact_when_both_are_said_and_nothing_else() {
        let pair = |said: &[(&str, f64)]| {
            let causes: Vec<Value> = said
                .iter()
                .map(|(id, confidence)| serde_json::json!({ "id": id, "confidence": confidence }))
                .collect();
            let said = super::said(&serde_json::json!({ "causes": causes }));
            Row { said, ..row(&["a", "b"], &["a"], 0.9) }
        };
        let rows = vec![
            pair(&[("b", 0.9), ("a", 0.5), ("c", 0.1)]),
            pair(&[("a", 0.9), ("b", 0.4)]),
            pair(&[("a", 0.9), ("b", 0.9), ("c", 0.6)]),
            row(&["a"], &["a"], 0.9),
        ];
        let totals = score(rows).totals;
        assert_eq!((totals.pairs, totals.pairs_exact), (3, 1));
    }

    #[test]
    fn perfect_calibration_has_no_error() {
        let mut rows: Vec<Row> = (0..8).map(|_| row(&["a"], &["a"], 0.8)).collect();
        rows.extend((0..2).map(|_| row(&["a"], &["b"], 0.8)));
        let totals = score(rows).totals;
        assert!(totals.calibration_error < 1e-9, "{}", totals.calibration_error);
        assert_eq!(totals.reliability[8].count, 10);
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        assert_eq!(percentile(&[], 50), 0);
        assert_eq!(percentile(&[1, 2, 3, 4], 50), 2);
        assert_eq!(percentile(&[1, 2, 3, 4], 95), 4);
    }
}
