//! The accuracy page: totals, reliability curve and confusion matrix of one lab score.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
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
    truth: Vec<String>,
    named: Vec<String>,
    /// None when nothing was named.
    confidence: Option<f64>,
    healthy: bool,
    time_ms: u64,
    skipped: Option<String>,
    failed: Option<String>,
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
const STRICT_SHARE_MIN: f64 = 0.66;
const NAMED_SHARE_MIN: f64 = 0.92;
const ACCUSED_MAX: usize = 1;
const CALLED_HEALTHY_MAX: usize = 8;
const FAILED_MAX: usize = 2;

/// Refuses a score that fell below what every run reaches.
pub fn gate(file: &Path) -> Result<()> {
    let totals = read(file)?.totals;
    let share = |part: usize| part as f64 / totals.broken.max(1) as f64;
    let (strict, named) = (share(totals.strict), share(totals.in_group));
    if strict < STRICT_SHARE_MIN
        || named < NAMED_SHARE_MIN
        || totals.controls_accused > ACCUSED_MAX
        || totals.broken_called_healthy > CALLED_HEALTHY_MAX
        || totals.failed > FAILED_MAX
    {
        bail!(
            "the lab fell short: first cause {strict:.3} (least {STRICT_SHARE_MIN}), named {named:.3} (least \
             {NAMED_SHARE_MIN}), controls accused {} (at most {ACCUSED_MAX}), broken called healthy {} (at most \
             {CALLED_HEALTHY_MAX}), failed {} (at most {FAILED_MAX})",
            totals.controls_accused,
            totals.broken_called_healthy,
            totals.failed
        );
    }
    Ok(())
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

/// Writes docs/accuracy.md and docs/zh/accuracy.md from a score; runs the lab first when none is given.
pub fn publish(root: &Path, results: Option<&Path>) -> Result<()> {
    let file = match results {
        Some(file) => file.to_path_buf(),
        None => {
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
            out
        }
    };
    let results = read(&file)?;
    fs::create_dir_all(root.join("docs/zh")).context("making docs/zh")?;
    fs::write(root.join("docs/accuracy.md"), page(&results, &ENGLISH)).context("writing docs/accuracy.md")?;
    fs::write(root.join("docs/zh/accuracy.md"), page(&results, &CHINESE))
        .context("writing docs/zh/accuracy.md")
}

struct Words {
    title: &'static str,
    intro: &'static str,
    figure: &'static str,
    measured: &'static str,
    goal: &'static str,
    rows: [&'static str; 12],
    reliability: &'static str,
    reliability_head: &'static str,
    confusion: &'static str,
    confusion_head: &'static str,
    every: &'static str,
    every_head: &'static str,
    nothing: &'static str,
}

const ENGLISH: Words = Words {
    title: "Accuracy",
    intro: "Measured by `cargo xtask accuracy`: every scenario of the lab broken for real, diagnosed from the client \
            alone, healed, and diagnosed again. A page made by a program; do not edit.",
    figure: "figure",
    measured: "measured",
    goal: "goal",
    rows: [
        "true cause named first",
        "true cause, or a look-alike the client cannot exclude, named first",
        "true cause stands in the named group",
        "healthy controls accused",
        "broken cases called healthy",
        "healthy again after mending",
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
    every_head: "| scenario | true cause | named first | confidence | time |",
    nothing: "nothing wrong",
};

const CHINESE: Words = Words {
    title: "准确率",
    intro: "由 `cargo xtask accuracy` 测得：实验室的每个场景都真实注入故障，只从客户端诊断，修复后再诊断一次。\
            本页由程序生成，请勿手工修改。",
    figure: "指标",
    measured: "实测",
    goal: "目标",
    rows: [
        "首个原因即真因",
        "首个原因为真因或客户端无法排除的相似原因",
        "真因在所列原因之中",
        "健康对照被误报",
        "故障被判为健康",
        "修复后恢复健康",
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
    every_head: "| 场景 | 真因 | 首个原因 | 把握 | 用时 |",
    nothing: "一切正常",
};

fn page(results: &Results, words: &Words) -> String {
    let totals = &results.totals;
    let share = |part: usize, whole: usize| {
        format!("{part}/{whole} ({:.1} %)", 100.0 * part as f64 / whole.max(1) as f64)
    };
    let values = [
        (share(totals.strict, totals.broken), "≥ 68 %"),
        (share(totals.acceptable, totals.broken), "–"),
        (share(totals.in_group, totals.broken), "≥ 98 %"),
        (share(totals.controls_accused, totals.controls), "0"),
        (totals.broken_called_healthy.to_string(), "≤ 8"),
        (share(totals.healthy_again, totals.broken), "100 %"),
        (format!("{:.3}", totals.calibration_error), "≤ 0.10"),
        (format!("{} ms", totals.time_ms_median), "≤ 3000 ms"),
        (format!("{} ms", totals.time_ms_p95), "≤ 12000 ms"),
        (format!("{} ms", totals.healthy_time_ms_median), "≤ 1500 ms"),
        (format!("{:.1} MiB", totals.memory_kib_max as f64 / 1024.0), "< 64 MiB"),
        (format!("{} ({}, {})", totals.scenarios, totals.skipped, totals.failed), "≥ 90"),
    ];
    let mut out = format!("# {}\n\n{}\n\n", words.title, words.intro);
    let _ = writeln!(out, "| {} | {} | {} |\n|---|---|---|", words.figure, words.measured, words.goal);
    for (name, (value, goal)) in words.rows.iter().zip(&values) {
        let _ = writeln!(out, "| {name} | {value} | {goal} |");
    }
    let _ = writeln!(out, "\n## {}\n\n{}\n|---|---|---|---|", words.reliability, words.reliability_head);
    for bin in totals.reliability.iter().filter(|b| b.count > 0) {
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
    confusion(&mut out, results, words);
    every(&mut out, results, words);
    out
}

/// Only what was confused, and the sum of what was not: the full square would be 190 wide.
fn confusion(out: &mut String, results: &Results, words: &Words) {
    let mut cells: BTreeMap<(String, String), usize> = BTreeMap::new();
    for row in run(results) {
        *cells.entry((truth(row, words), first(row, words))).or_default() += 1;
    }
    let right: usize = run(results).filter(|r| is_right(r)).count();
    let _ = writeln!(out, "\n## {}\n\n{}\n|---|---|---|", words.confusion, words.confusion_head);
    let _ = writeln!(out, "| ✓ | ✓ | {right} |");
    let wrong: std::collections::BTreeSet<(String, String)> =
        run(results).filter(|r| !is_right(r)).map(|r| (truth(r, words), first(r, words))).collect();
    for (cell, count) in cells.iter().filter(|(cell, _)| wrong.contains(*cell)) {
        let _ = writeln!(out, "| {} | {} | {count} |", cell.0, cell.1);
    }
}

fn every(out: &mut String, results: &Results, words: &Words) {
    let _ = writeln!(out, "\n## {}\n\n{}\n|---|---|---|---|---|", words.every, words.every_head);
    for row in &results.rows {
        let ending = match (&row.skipped, &row.failed) {
            (Some(why), _) => format!("SKIPPED: {why}"),
            (None, Some(why)) => format!("FAILED: {why}"),
            (None, None) => first(row, words),
        };
        let _ = writeln!(
            out,
            "| {} {} | {} | {ending} | {:.2} | {} ms |",
            if is_right(row) { "✓" } else { "✗" },
            row.scenario,
            truth(row, words),
            row.confidence.unwrap_or_default(),
            row.time_ms
        );
    }
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
