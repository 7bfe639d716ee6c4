//! `netwhy lab score`: plays everything and counts.

use super::play::{Teller, keep, play, script_of};
use super::{Source, Standpoint, list};
use crate::{Common, print};
use netwhy_lab::{LabError, Measured, Results, Row, Scenario, Toolbox, Totals};
use std::path::PathBuf;
use tokio::task::JoinSet;

/// Labs at the same time at most.
const JOBS_COUNT_MAX: usize = 64;

/// Which scenarios, and where the results go.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only those whose name, folder or cause contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Labs at the same time; more than one disturbs the times measured
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Keep every verdict and saved case in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Run dig, mtr, nmap, curl and openssl on the same faults too, and compare
    #[arg(long, hide = true)]
    toolbox: bool,
    /// And testssl.sh, which takes a minute and more
    #[arg(long, hide = true, requires = "toolbox")]
    testssl: bool,
    #[command(flatten)]
    standpoint: Standpoint,
    #[command(flatten)]
    source: Source,
}

/// Plays the scenarios; 1 when a lab failed, a control was accused or a fault called healthy.
pub async fn run(args: Args, common: &Common) -> anyhow::Result<u8> {
    let library = args.source.library()?;
    let mut selected = list::selected(&library, args.filter.as_deref())?;
    selected.retain(|(_, scenario)| scenario.head.seen_from <= args.standpoint.ends());
    let width = selected.iter().map(|(_, scenario)| scenario.head.name.len()).max().unwrap_or(0);
    let jobs = args.jobs.clamp(1, JOBS_COUNT_MAX);
    let mut playing = JoinSet::new();
    let mut rows = Vec::new();
    for (number, (_, scenario)) in selected.into_iter().enumerate() {
        if playing.len() >= jobs {
            rows.extend(next_row(&mut playing, width, common).await?);
        }
        let (args, common) = (args.clone(), common.clone());
        playing.spawn(async move { (number, one(&scenario, &args, &common).await) });
    }
    while !playing.is_empty() {
        rows.extend(next_row(&mut playing, width, common).await?);
    }
    rows.sort_by_key(|(number, _)| *number);
    let mut results = netwhy_lab::score(rows.into_iter().map(|(_, row)| row).collect());
    if let Some(comparison) = &mut results.comparison {
        comparison.jobs = jobs;
    }
    report(&results, &args, common)
}

type Playing = JoinSet<(usize, anyhow::Result<Row>)>;

/// Waits for the next scenario to end and writes its line.
async fn next_row(
    playing: &mut Playing,
    width: usize,
    common: &Common,
) -> anyhow::Result<Option<(usize, Row)>> {
    let Some(done) = playing.join_next().await else { return Ok(None) };
    let (number, row) = done?;
    let row = row?;
    if !common.json {
        print(&line(&row, width))?;
    }
    Ok(Some((number, row)))
}

async fn one(scenario: &Scenario, args: &Args, common: &Common) -> anyhow::Result<Row> {
    Ok(play_one(scenario, args, common).await?.seen_from(args.standpoint.ends()))
}

async fn play_one(scenario: &Scenario, args: &Args, common: &Common) -> anyhow::Result<Row> {
    let head = &scenario.head;
    let missing = netwhy_lab::missing(&scenario.network);
    if !missing.is_empty() {
        return Ok(Row::skipped(head, format!("missing: {}", missing.join(", "))));
    }
    let (mut script, _) = script_of(scenario, &args.source, args.keep.is_some(), common);
    script.ends = args.standpoint.ends();
    script.toolbox = match (args.toolbox, args.testssl) {
        (false, _) => Toolbox::None,
        (true, false) => Toolbox::Usual,
        (true, true) => Toolbox::Testssl,
    };
    let played = match play(&script, &Teller { common, silent: true, stories: &[] }).await {
        Ok(played) => played,
        Err(error) if is_fatal(&error) => return Err(error),
        Err(error) => return Ok(Row::failed(head, format!("{error:#}"))),
    };
    if let Some(directory) = &args.keep {
        keep(directory, &head.name, &played)?;
    }
    let mut row = Row::of(head, played.broken.first(), played.healed.first());
    if !played.tools.is_empty() {
        let verdict = |measured: &[Measured]| measured.first().and_then(|one| one.verdict.clone());
        let broken = verdict(&played.broken).unwrap_or_default();
        row.facts = netwhy_lab::facts(&broken, verdict(&played.healed).as_ref());
        row.tools = played.tools;
        row.tools_healed = played.tools_healed;
    }
    Ok(row)
}

/// Interrupted, or a kernel that forbids labs: the next scenario would fare no better.
fn is_fatal(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LabError::NeedsRoot(_) | LabError::Interrupted(_)))
}

fn report(results: &Results, args: &Args, common: &Common) -> anyhow::Result<u8> {
    if let Some(path) = &args.out {
        std::fs::write(path, netwhy_report::to_json(results, true)?)?;
    }
    if common.json {
        print(&netwhy_report::to_json(results, true)?)?;
    } else {
        print(&summary(&results.totals, common))?;
    }
    let totals = &results.totals;
    let bad = totals.failed + totals.controls_accused + totals.broken_called_healthy;
    Ok(u8::from(bad > 0))
}

/// `ok tls-expired  tls.cert.expired → tls.cert.expired 0.97  412 ms  well again`.
fn line(row: &Row, width: usize) -> String {
    let list = |ids: &[String]| if ids.is_empty() { "-".to_owned() } else { ids.join("+") };
    let name = format!("{:width$}", row.scenario);
    if let Some(why) = &row.skipped {
        return format!("SKIPPED  {name}  {why}\n");
    }
    if let Some(why) = &row.failed {
        return format!("FAILED   {name}  {why}\n");
    }
    let mark = match row.is_control() {
        true if row.named.is_empty() => "ok      ",
        true => "ACCUSED ",
        false if row.strict() => "ok      ",
        false if row.in_group() => "in group",
        false if row.acceptable() => "similar ",
        false if row.healthy => "MISSED  ",
        false => "wrong   ",
    };
    let found = match (row.named.as_slice(), row.confidence) {
        ([first, ..], Some(confidence)) => format!("{first} {confidence:.2}"),
        _ => "-".to_owned(),
    };
    let again = match row.healthy_again {
        Some(true) => "well again".to_owned(),
        Some(false) => format!("STILL {}", list(&row.named_after)),
        None => String::new(),
    };
    format!("{mark} {name}  {} -> {found}  {} ms  {again}\n", list(&row.truth), row.time_ms)
}

fn summary(totals: &Totals, common: &Common) -> String {
    let pick = |en, zh| common.lang.pick(en, zh);
    let share = |count: usize, of: usize| {
        let percent = if of == 0 { 0.0 } else { 100.0 * count as f64 / of as f64 };
        format!("{count}/{of} ({percent:.1} %)")
    };
    let lines = [
        (pick("first cause true", "首因正确"), share(totals.strict, totals.broken)),
        (pick("true cause named", "真因在列"), share(totals.in_group, totals.broken)),
        (
            pick("first cause true or a look-alike", "首因正确或属同类"),
            share(totals.acceptable, totals.broken),
        ),
        (pick("healthy again after mending", "修复后恢复健康"), share(totals.healthy_again, totals.broken)),
        (pick("broken, called healthy", "故障被判为健康"), totals.broken_called_healthy.to_string()),
        (pick("healthy controls accused", "健康对照被误判"), share(totals.controls_accused, totals.controls)),
        (
            pick("exact set of causes on pairs", "双故障原因集合完全正确"),
            share(totals.pairs_exact, totals.pairs),
        ),
        (pick("calibration error", "校准误差"), format!("{:.3}", totals.calibration_error)),
        (
            pick("time, median and 95th percentile", "用时：中位数与 95 分位"),
            format!("{} ms, {} ms", totals.time_ms_median, totals.time_ms_p95),
        ),
        (
            pick("time on healthy targets, median", "健康目标用时中位数"),
            format!("{} ms", totals.healthy_time_ms_median),
        ),
        (pick("peak memory", "内存峰值"), format!("{:.1} MiB", totals.memory_kib_max as f64 / 1024.0)),
        (
            pick("scenarios, skipped, failed", "场景、跳过、失败"),
            format!("{}, {}, {}", totals.scenarios, totals.skipped, totals.failed),
        ),
    ];
    let width = lines.iter().map(|(label, _)| netwhy_report::display_width(label)).max().unwrap_or(0);
    let mut text = String::from("\n");
    for (label, value) in lines {
        text += &format!("{label}{}  {value}\n", " ".repeat(width - netwhy_report::display_width(label)));
    }
    text
}
