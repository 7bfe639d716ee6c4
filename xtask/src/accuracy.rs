//! The accuracy page: totals, reliability curves and confusion matrices of lab scores, side by side.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCHEMA: &str = "netwhy.lab-results/1";

/// One lab score, as `netwhy lab score --out` writes it.
#[derive(Debug, Deserialize)]
pub struct Results {
    schema: String,
    rows: Vec<Row>,
    totals: Totals,
}

#[derive(Debug, Deserialize)]
struct Row {
    scenario: String,
    /// Where netwhy stood: `client`, `both` or `all`.
    #[serde(default = "client")]
    ends: String,
    truth: Vec<String>,
    named: Vec<String>,
    /// None when nothing was named.
    confidence: Option<f64>,
    healthy: bool,
    time_ms: u64,
    skipped: Option<String>,
    failed: Option<String>,
}

fn client() -> String {
    "client".to_owned()
}

#[derive(Debug, Deserialize)]
struct Totals {
    scenarios: usize,
    skipped: usize,
    failed: usize,
    broken: usize,
    strict: usize,
    acceptable: usize,
    in_group: usize,
    broken_called_healthy: usize,
    controls: usize,
    controls_accused: usize,
    healthy_again: usize,
    #[serde(default)]
    pairs: usize,
    #[serde(default)]
    pairs_exact: usize,
    calibration_error: f64,
    reliability: Vec<Bin>,
    time_ms_median: u64,
    time_ms_p95: u64,
    healthy_time_ms_median: u64,
    memory_kib_max: u64,
}

#[derive(Debug, Deserialize)]
struct Bin {
    from: f64,
    count: usize,
    confidence: f64,
    accuracy: f64,
}

/// What one noisy run of the lab must reach; below it something broke. The goals stand on the accuracy page.
struct Least {
    strict_share_min: f64,
    named_share_min: f64,
    exact_share_min: f64,
    accused_max: usize,
    called_healthy_max: usize,
    failed_max: usize,
}

const LEAST_CLIENT: Least = Least {
    strict_share_min: 0.66,
    named_share_min: 0.92,
    exact_share_min: 0.0,
    accused_max: 1,
    called_healthy_max: 8,
    failed_max: 2,
};
const LEAST_BOTH: Least = Least {
    strict_share_min: 0.80,
    named_share_min: 0.88,
    exact_share_min: 0.55,
    accused_max: 2,
    called_healthy_max: 8,
    failed_max: 4,
};

/// Refuses a score that fell below what every run reaches.
pub fn gate(file: &Path) -> Result<()> {
    let results = read(file)?;
    let least = if results.of_client() { &LEAST_CLIENT } else { &LEAST_BOTH };
    let totals = &results.totals;
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let (strict, named) = (share(totals.strict, totals.broken), share(totals.in_group, totals.broken));
    let exact = if totals.pairs == 0 { 1.0 } else { share(totals.pairs_exact, totals.pairs) };
    let mut short = Vec::new();
    for (what, reached, wanted) in [
        ("first cause true", strict, least.strict_share_min),
        ("true cause named", named, least.named_share_min),
        ("exact set on pairs", exact, least.exact_share_min),
    ] {
        if reached < wanted {
            short.push(format!("{what} {reached:.3} (least {wanted})"));
        }
    }
    for (what, count, most) in [
        ("controls accused", totals.controls_accused, least.accused_max),
        ("broken called healthy", totals.broken_called_healthy, least.called_healthy_max),
        ("failed", totals.failed, least.failed_max),
    ] {
        if count > most {
            short.push(format!("{what} {count} (at most {most})"));
        }
    }
    if short.is_empty() { Ok(()) } else { bail!("the lab fell short: {}", short.join(", ")) }
}

fn read(file: &Path) -> Result<Results> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let results: Results =
        serde_json::from_str(&text).with_context(|| format!("parsing {}", file.display()))?;
    if results.schema != SCHEMA {
        bail!("{} has schema {:?}, expected {SCHEMA:?}", file.display(), results.schema);
    }
    Ok(results)
}

/// Writes docs/accuracy.md and docs/zh/accuracy.md from scores; runs the lab first when none is given.
pub fn publish(root: &Path, files: &[&str]) -> Result<()> {
    let all: Vec<Results> = match files {
        [] => vec![read(&measured(root)?)?],
        files => files.iter().map(|file| read(Path::new(file))).collect::<Result<_>>()?,
    };
    fs::create_dir_all(root.join("docs/zh")).context("making docs/zh")?;
    fs::write(root.join("docs/accuracy.md"), page(&all, &ENGLISH)).context("writing docs/accuracy.md")?;
    fs::write(root.join("docs/zh/accuracy.md"), page(&all, &CHINESE)).context("writing docs/zh/accuracy.md")
}

/// Runs the lab from the client; returns the results file.
fn measured(root: &Path) -> Result<PathBuf> {
    let out = root.join("target/lab.json");
    let status = Command::new("cargo")
        .args(["run", "--release", "--package", "netwhy-cli", "--", "lab", "score", "--out"])
        .arg(&out)
        .current_dir(root)
        .status()
        .context("running the lab")?;
    // The lab exits 1 when something was missed; the page says what.
    if !matches!(status.code(), Some(0 | 1)) {
        bail!("the lab ended with {status}");
    }
    Ok(out)
}

impl Results {
    /// Where netwhy stood in all of them: `client`, `both` or `all`.
    fn ends(&self) -> &str {
        self.rows.first().map_or("client", |row| &row.ends)
    }

    fn of_client(&self) -> bool {
        self.ends() == "client"
    }
}

struct Words {
    title: &'static str,
    intro: &'static str,
    figure: &'static str,
    /// What the columns are called: client, both, all.
    ends: [&'static str; 3],
    goal: &'static str,
    rows: [&'static str; 13],
    reliability: &'static str,
    reliability_head: &'static str,
    confusion: &'static str,
    confusion_head: &'static str,
    every: &'static str,
    every_head: &'static str,
    /// What each results file says of a scenario.
    every_columns: [&'static str; 3],
    nothing: &'static str,
}

const ENGLISH: Words = Words {
    title: "Accuracy",
    intro: "Measured by `cargo xtask accuracy`: every scenario of the lab broken for real, diagnosed, healed, and \
            diagnosed again; from the client alone, or with a way into both ends (`netwhy lab score --ends both`). \
            What no namespace can host, and why, stands in lab.md. A page made by a program; do not edit.",
    figure: "figure",
    ends: ["from the client alone", "from both ends", "from both ends and the routers"],
    goal: "goal",
    rows: [
        "true cause named first",
        "true cause, or a look-alike the client cannot exclude, named first",
        "true cause stands in the named group",
        "healthy controls accused",
        "broken cases called healthy",
        "healthy again after mending",
        "exact set of causes on pairs of faults",
        "expected calibration error",
        "time to verdict, median",
        "time to verdict, 95th percentile",
        "time on healthy targets, median",
        "peak memory",
        "scenarios (skipped, failed)",
    ],
    reliability: "Reliability curve",
    reliability_head: "| confidence of the first cause | cases | mean confidence | share right |",
    confusion: "Confusion matrix",
    confusion_head: "| true cause | named first | cases |",
    every: "Every scenario",
    every_head: "| scenario | true cause |",
    every_columns: ["named first", "confidence", "time"],
    nothing: "nothing wrong",
};

const CHINESE: Words = Words {
    title: "准确率",
    intro: "由 `cargo xtask accuracy` 测得：实验室的每个场景都真实注入故障，诊断，修复后再诊断一次；\
            只从客户端诊断，或可进入两端（`netwhy lab score --ends both`）。本页由程序生成，请勿手工修改。命名空间无法承载的原因及理由见 lab.md。",
    figure: "指标",
    ends: ["仅客户端", "两端", "两端与路由器"],
    goal: "目标",
    rows: [
        "首个原因即真因",
        "首个原因为真因或客户端无法排除的相似原因",
        "真因在所列原因之中",
        "健康对照被误报",
        "故障被判为健康",
        "修复后恢复健康",
        "双故障的原因集合完全正确",
        "期望校准误差",
        "判定用时中位数",
        "判定用时 95 分位",
        "健康目标用时中位数",
        "内存峰值",
        "场景数（跳过、失败）",
    ],
    reliability: "可靠性曲线",
    reliability_head: "| 首个原因的把握 | 案例 | 平均把握 | 正确比例 |",
    confusion: "混淆矩阵",
    confusion_head: "| 真因 | 首个原因 | 案例 |",
    every: "全部场景",
    every_head: "| 场景 | 真因 |",
    every_columns: ["首个原因", "把握", "用时"],
    nothing: "一切正常",
};

fn page(all: &[Results], words: &Words) -> String {
    let mut out = format!("# {}\n\n{}\n\n", words.title, words.intro);
    let name = |results: &Results| match results.ends() {
        "both" => words.ends[1],
        "all" => words.ends[2],
        _ => words.ends[0],
    };
    let mut head = format!("| {} |", words.figure);
    for results in all {
        let _ = write!(head, " {} | {} |", name(results), words.goal);
    }
    let _ = writeln!(out, "{head}\n|---|{}", "---|---|".repeat(all.len()));
    let columns: Vec<_> = all.iter().map(|results| figures(&results.totals, goals(results))).collect();
    for (number, label) in words.rows.iter().enumerate() {
        let cells: String =
            columns.iter().map(|column| format!(" {} | {} |", column[number].0, column[number].1)).collect();
        let _ = writeln!(out, "| {label} |{cells}");
    }
    for results in all {
        // One alone needs no name.
        let of = if all.len() == 1 { String::new() } else { format!(" ({})", name(results)) };
        reliability(&mut out, results, words, &of);
        confusion(&mut out, results, words, &of);
    }
    every(&mut out, all, words, &name);
    out
}

/// The goals of each row, from the client alone or from both ends.
fn goals(results: &Results) -> [&'static str; 13] {
    if results.of_client() {
        [
            "≥ 68 %",
            "–",
            "≥ 98 %",
            "0",
            "≤ 8",
            "100 %",
            "–",
            "≤ 0.10",
            "≤ 3000 ms",
            "≤ 12000 ms",
            "≤ 1500 ms",
            "< 64 MiB",
            "≥ 90",
        ]
    } else {
        [
            "≥ 92 %",
            "–",
            "≥ 98 %",
            "0",
            "≤ 3",
            "100 %",
            "≥ 85 %",
            "≤ 0.10",
            "≤ 5000 ms",
            "≤ 15000 ms",
            "–",
            "–",
            "≥ 90",
        ]
    }
}

fn figures(totals: &Totals, goals: [&'static str; 13]) -> Vec<(String, &'static str)> {
    let share = |part: usize, whole: usize| {
        format!("{part}/{whole} ({:.1} %)", 100.0 * part as f64 / whole.max(1) as f64)
    };
    let values = [
        share(totals.strict, totals.broken),
        share(totals.acceptable, totals.broken),
        share(totals.in_group, totals.broken),
        share(totals.controls_accused, totals.controls),
        totals.broken_called_healthy.to_string(),
        share(totals.healthy_again, totals.broken),
        share(totals.pairs_exact, totals.pairs),
        format!("{:.3}", totals.calibration_error),
        format!("{} ms", totals.time_ms_median),
        format!("{} ms", totals.time_ms_p95),
        format!("{} ms", totals.healthy_time_ms_median),
        format!("{:.1} MiB", totals.memory_kib_max as f64 / 1024.0),
        format!("{} ({}, {})", totals.scenarios, totals.skipped, totals.failed),
    ];
    values.into_iter().zip(goals).collect()
}

fn reliability(out: &mut String, results: &Results, words: &Words, of: &str) {
    let head = (words.reliability, words.reliability_head);
    let _ = writeln!(out, "\n## {}{of}\n\n{}\n|---|---|---|---|", head.0, head.1);
    for bin in results.totals.reliability.iter().filter(|b| b.count > 0) {
        let _ = writeln!(
            out,
            "| {:.1}–{:.1} | {} | {:.2} | {:.2} |",
            bin.from,
            bin.from + 0.1,
            bin.count,
            bin.confidence,
            bin.accuracy
        );
    }
}

/// Only what was confused, and the sum of what was not: the full square would be 190 wide.
fn confusion(out: &mut String, results: &Results, words: &Words, of: &str) {
    let mut cells: BTreeMap<(String, String), usize> = BTreeMap::new();
    for row in run(results) {
        *cells.entry((truth(row, words), first(row, words))).or_default() += 1;
    }
    let right: usize = run(results).filter(|r| is_right(r)).count();
    let _ = writeln!(out, "\n## {}{of}\n\n{}\n|---|---|---|", words.confusion, words.confusion_head);
    let _ = writeln!(out, "| ✓ | ✓ | {right} |");
    let wrong: BTreeSet<(String, String)> =
        run(results).filter(|r| !is_right(r)).map(|r| (truth(r, words), first(r, words))).collect();
    for (cell, count) in cells.iter().filter(|(cell, _)| wrong.contains(*cell)) {
        let _ = writeln!(out, "| {} | {} | {count} |", cell.0, cell.1);
    }
}

/// One line a scenario, with what was named first from each standpoint.
fn every<'a>(out: &mut String, all: &[Results], words: &Words, name: &dyn Fn(&Results) -> &'a str) {
    let mut head = words.every_head.to_owned();
    for results in all {
        let _ = if all.len() == 1 {
            write!(head, " {} |", words.every_columns.join(" | "))
        } else {
            write!(head, " {} | {} |", name(results), words.every_columns[1..].join(" | "))
        };
    }
    let _ = writeln!(out, "\n## {}\n\n{head}\n|---|---|{}", words.every, "---|---|---|".repeat(all.len()));
    let by_name: Vec<BTreeMap<&str, &Row>> = all
        .iter()
        .map(|results| results.rows.iter().map(|row| (row.scenario.as_str(), row)).collect())
        .collect();
    let mut seen = BTreeSet::new();
    for row in all.iter().flat_map(|results| &results.rows) {
        if !seen.insert(row.scenario.as_str()) {
            continue;
        }
        let cells: String =
            by_name.iter().map(|rows| ending(rows.get(row.scenario.as_str()).copied(), words)).collect();
        let _ = writeln!(out, "| {} | {} |{cells}", row.scenario, truth(row, words));
    }
}

fn ending(row: Option<&Row>, words: &Words) -> String {
    let Some(row) = row else { return " – | – | – |".to_owned() };
    let ending = match (&row.skipped, &row.failed) {
        (Some(why), _) => format!("SKIPPED: {why}"),
        (None, Some(why)) => format!("FAILED: {why}"),
        (None, None) => first(row, words),
    };
    let mark = if is_right(row) { "✓" } else { "✗" };
    format!(" {mark} {ending} | {:.2} | {} ms |", row.confidence.unwrap_or_default(), row.time_ms)
}

fn run(results: &Results) -> impl Iterator<Item = &Row> {
    results.rows.iter().filter(|r| r.skipped.is_none() && r.failed.is_none())
}

fn is_right(row: &Row) -> bool {
    match row.named.first() {
        Some(first) => row.truth.contains(first),
        None => row.truth.is_empty() && row.healthy,
    }
}

fn truth(row: &Row, words: &Words) -> String {
    if row.truth.is_empty() { words.nothing.to_owned() } else { row.truth.join(" + ") }
}

fn first(row: &Row, words: &Words) -> String {
    match row.named.first() {
        Some(first) => first.clone(),
        None if row.healthy => words.nothing.to_owned(),
        None => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(ends: &str) -> Results {
        let row = format!(
            r#"{{"scenario": "x", "ends": "{ends}", "truth": ["a"], "named": ["a"], "confidence": 0.9,
                "healthy": false, "time_ms": 7, "skipped": null, "failed": null}}"#
        );
        let totals = r#"{"scenarios": 1, "skipped": 0, "failed": 0, "broken": 1, "strict": 1, "acceptable": 1,
            "in_group": 1, "broken_called_healthy": 0, "controls": 0, "controls_accused": 0, "healthy_again": 1,
            "calibration_error": 0.1, "reliability": [], "time_ms_median": 7, "time_ms_p95": 7,
            "healthy_time_ms_median": 7, "memory_kib_max": 1024}"#;
        let text = format!(r#"{{"schema": "{SCHEMA}", "rows": [{row}], "totals": {totals}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn every_line_of_a_table_is_as_wide_as_its_head() {
        for all in [vec![results("client")], vec![results("client"), results("both")]] {
            for words in [&ENGLISH, &CHINESE] {
                let mut width = 0;
                for line in page(&all, words).lines() {
                    let bars = line.matches('|').count();
                    assert!(width == 0 || bars == 0 || bars == width, "{line}");
                    width = bars;
                }
            }
        }
    }
}
