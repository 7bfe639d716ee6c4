//! The page of the scan figures, in English and Chinese.

use super::figures::{Carried, Figures, Row, Tool};
use super::goal::{CUT_S, Goal, Judged, MEASURES, MEMORY_HOST_MB, MEMORY_NETWORK_MB, Measure, judge};
use super::words::{CHINESE, ENGLISH, Words};
use crate::bench::thousands;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Writes both pages.
pub fn publish(root: &Path, figures: &Figures) -> Result<()> {
    let machine = super::super::machine();
    fs::create_dir_all(root.join("docs/zh")).context("making docs/zh")?;
    for (path, words) in [("docs/benchmark-scan.md", &ENGLISH), ("docs/zh/benchmark-scan.md", &CHINESE)] {
        fs::write(root.join(path), page(figures, &machine, words))
            .with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

fn page(figures: &Figures, machine: &str, words: &Words) -> String {
    let mut out = format!("# {}\n\n{}\n\n{machine}\n", words.title, words.intro);
    let versions: Vec<String> = figures
        .peers
        .iter()
        .map(|(name, version)| format!("{name} {}", version.as_deref().unwrap_or(words.missing)))
        .collect();
    if !versions.is_empty() {
        let _ = writeln!(out, "\n{}: {}", words.versions, versions.join(", "));
    }
    goals(&mut out, figures, words);
    for (measure, row, title) in measured(figures, words) {
        one_target(&mut out, measure, row, title, words);
    }
    carried(&mut out, &figures.paths, words);
    let runs = || figures.rows.iter().flat_map(|row| &row.tools).flat_map(|tool| &tool.runs);
    let busy: Vec<f64> = runs().filter_map(|run| run.busy).collect();
    let busy = 100.0 * busy.iter().sum::<f64>() / busy.len().max(1) as f64;
    let notes = words.notes.replace("{limit}", &CUT_S.to_string()).replace("{busy}", &format!("{busy:.0} %"));
    let _ = writeln!(out, "\n## {}\n\n{}", words.how, notes.trim_end());
    let _ = writeln!(out, "\n## {}\n\n```", words.commands);
    for (_, row, _) in measured(figures, words) {
        for tool in &row.tools {
            let _ = writeln!(out, "{:9} {}", row.name, tool.command);
        }
    }
    out + "```\n"
}

/// The rows there are figures of, in the order of the page.
fn measured<'a>(figures: &'a Figures, words: &'a Words) -> Vec<(&'static Measure, &'a Row, &'a str)> {
    let row = |measure: &Measure| figures.rows.iter().find(|row| row.name == measure.name);
    let titled = MEASURES.iter().zip(words.targets);
    titled.filter_map(|(measure, title)| Some((measure, row(measure)?, title))).collect()
}

fn goals(out: &mut String, figures: &Figures, words: &Words) {
    let judged: Vec<_> = measured(figures, words)
        .into_iter()
        .filter_map(|(measure, row, _)| Some((measure, row, judge(measure, row)?)))
        .collect();
    let _ = writeln!(out, "\n## {}\n\n{}", words.goals, words.goals_head);
    for (measure, row, judged) in &judged {
        goal_row(out, measure, row, judged, words);
    }
    let memory = memory(figures);
    for (what, (most_mb, limit_mb)) in words.memory.iter().zip(memory) {
        let Some(most_mb) = most_mb else { continue };
        let verdict = if most_mb <= limit_mb { words.passed } else { words.failed };
        let _ =
            writeln!(out, "| {what} | ≤ {limit_mb} MB | {most_mb:.1} MB | | | {most_mb:.1} MB | {verdict} |");
    }
    let held = memory.iter().filter_map(|(most_mb, limit_mb)| Some((*most_mb)? <= *limit_mb));
    let told = judged.iter().filter(|(.., one)| one.reached.is_some()).map(|(.., one)| one.passed);
    let verdicts: Vec<bool> = told.chain(held).collect();
    let passed = verdicts.iter().filter(|passed| **passed).count();
    let sum =
        words.sum.replace("{passed}", &passed.to_string()).replace("{all}", &verdicts.len().to_string());
    let _ = writeln!(out, "\n{sum}");
}

fn goal_row(out: &mut String, measure: &Measure, row: &Row, judged: &Judged, words: &Words) {
    let limit = |text: &str, limit: f64| text.replace("{limit}", &limit.to_string());
    let goal = match measure.goal {
        Goal::OfBest(part) => limit(words.of_best, part),
        Goal::Of(peer, part) => limit(words.of, part).replace("{peer}", peer),
        Goal::Seconds(seconds) => limit(words.seconds, seconds),
        Goal::Noticed(seconds) => limit(words.noticed, seconds),
    };
    let reached = match (judged.reached, &judged.beside) {
        (Some(ratio), Some(peer)) => format!("{ratio:.2} × {peer}"),
        (Some(seconds), None) => format!("{seconds:.2} {}", words.second),
        (None, _) => words.untold.to_owned(),
    };
    let Some(ours) = row.tools.iter().find(|tool| tool.name == "netwhy") else { return };
    let runs =
        words.runs.replace("{right}", &judged.right.to_string()).replace("{runs}", &judged.runs.to_string());
    let _ = writeln!(
        out,
        "| {} | {goal} | {reached} | {} | {runs} | {:.1} MB | {} |",
        row.name,
        seconds(ours.median_ms(), words),
        most(ours, |run| run.peak_mb),
        match (judged.reached, judged.passed) {
            (None, _) => "–",
            (_, true) => words.passed,
            (_, false) => words.failed,
        }
    );
}

/// The most netwhy took on any single host, and on 65,536 addresses × 100 ports, each with its limit.
fn memory(figures: &Figures) -> [(Option<f64>, f64); 2] {
    let single = figures.rows.iter().filter(|row| row.pairs <= u64::from(u16::MAX));
    let ours = single.flat_map(|row| row.tools.iter().filter(|tool| tool.name == "netwhy"));
    let one_host = ours.map(|tool| most(tool, |run| run.peak_mb)).reduce(f64::max);
    let network = figures.paths.iter().map(|path| path.netwhy.peak_mb).reduce(f64::max);
    [(one_host, MEMORY_HOST_MB), (network, MEMORY_NETWORK_MB)]
}

fn one_target(out: &mut String, measure: &Measure, row: &Row, title: &str, words: &Words) {
    let _ = writeln!(out, "\n## {}: {title}\n\n{}", row.name, words.head);
    for tool in row.tools.iter().filter(|tool| !tool.runs.is_empty()) {
        let cut = tool.runs.iter().any(|run| run.cut);
        let times: Vec<f64> = tool.runs.iter().map(|run| run.wall_ms).collect();
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        let time = match cut {
            true => words.cut.replace("{limit}", &CUT_S.to_string()),
            false => seconds(tool.median_ms(), words),
        };
        let found = row.open.saturating_sub(tool.runs.iter().map(|run| run.missed).max().unwrap_or(0));
        let found = words.lines.replace("{found}", &thousands(found)).replace("{open}", &thousands(row.open));
        let dash = "–".to_owned();
        let _ = writeln!(
            out,
            "| {} | {} | {time} | {} | {} | {} | {:.2} {} | {:.1} MB | {} |",
            tool.name,
            tool.runs.len(),
            if cut {
                dash.clone()
            } else {
                format!("{:.2}–{:.2}", least / 1e3, most(tool, |run| run.wall_ms) / 1e3)
            },
            if cut { dash.clone() } else { found },
            if cut { dash } else { thousands(most(tool, |run| run.invented as f64) as u64) },
            super::figures::median(tool.runs.iter().map(|run| run.cpu_ms)) / 1e3,
            words.second,
            most(tool, |run| run.peak_mb),
            remarks(measure, tool, words)
        );
    }
}

/// What else is to be said of a scanner's runs.
fn remarks(measure: &Measure, tool: &Tool, words: &Words) -> String {
    let mut remarks = Vec::new();
    let all = |of: fn(&super::figures::Run) -> bool| tool.runs.iter().all(of);
    if tool.runs.iter().any(|run| run.banned) {
        remarks.push(words.banned.to_owned());
    }
    if tool.name == "netwhy" {
        if all(|run| run.told.banned_ms.is_some()) {
            let slowest = most(tool, |run| run.told.banned_ms.unwrap_or(0) as f64) / 1e3;
            remarks.push(words.noticed_after.replace("{s}", &format!("{slowest:.2}")));
        }
        if measure.target.starts_with("T7") && all(|run| run.told.proxy_named) {
            remarks.push(words.proxy_named.to_owned());
        }
    }
    remarks.join(", ")
}

fn carried(out: &mut String, paths: &[Carried], words: &Words) {
    if paths.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n## {}\n\n{}", words.carried, words.carried_head);
    for path in paths {
        let sent = path.netwhy.told.packets_sent as f64 / (path.netwhy.wall_ms / 1e3).max(1e-3);
        let whole = |number: f64| thousands(number.round() as u64);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {:.0} % | {} | {} | {:.1} MB |",
            if path.drops { words.drops } else { words.resets },
            whole(path.veth_per_s),
            whole(path.sent_per_s),
            whole(path.arrived_per_s),
            whole(path.answered_per_s),
            whole(sent),
            whole(path.netwhy_arrived_per_s),
            100.0 * path.netwhy_arrived_per_s / path.arrived_per_s.max(1.0),
            match path.netwhy.cut {
                true => words.cut.replace("{limit}", &CUT_S.to_string()),
                false => seconds(path.netwhy.wall_ms, words),
            },
            path.netwhy.told.passes,
            path.netwhy.peak_mb
        );
    }
    let _ = writeln!(out, "\n{}", words.carried_notes);
}

fn most(tool: &Tool, of: impl Fn(&super::figures::Run) -> f64) -> f64 {
    tool.runs.iter().map(of).fold(0.0, f64::max)
}

fn seconds(ms: f64, words: &Words) -> String {
    format!("{:.2} {}", ms / 1e3, words.second)
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Run, Told};
    use super::*;

    fn tool(name: &str, ms: f64, missed: u64) -> Tool {
        let told = Told { packets_sent: 1_000, ..Told::default() };
        let run = Run { wall_ms: ms, peak_mb: 12.34, missed, told, ..Run::default() };
        Tool { name: name.into(), command: format!("{name} -x"), runs: vec![run; 5] }
    }

    #[test]
    fn the_page_has_every_figure() {
        let row = |name: &str, tools| Row { name: name.into(), pairs: 65_535, open: 40, tools };
        let figures = Figures {
            rows: vec![
                row(
                    "T1",
                    vec![tool("netwhy", 200.0, 0), tool("nmap -sS -T4", 400.0, 0), tool("masscan", 100.0, 9)],
                ),
                row("T2", vec![tool("netwhy", 900.0, 1), tool("zmap", 1_000.0, 0)]),
            ],
            paths: vec![Carried { sent_per_s: 1_700_000.4, arrived_per_s: 8e5, ..Carried::default() }],
            peers: vec![("nmap".into(), Some("7.93".into())), ("rustscan".into(), None)],
        };
        for words in [&ENGLISH, &CHINESE] {
            let page = page(&figures, "2 × x", words);
            let parts = [
                "0.50 × nmap -sS -T4",
                "0.90 × zmap",
                "1,700,000",
                "12.3 MB",
                words.passed,
                words.failed,
                "nmap 7.93",
            ];
            for part in parts {
                assert!(page.contains(part), "{part} in {page}");
            }
            assert!(!page.contains("{limit}") && !page.contains("{open}"), "{page}");
        }
    }
}
