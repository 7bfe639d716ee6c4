//! The page of the flows figures, in English and Chinese.

use super::words::{CHINESE, ENGLISH, Words};
use super::{ENGINES, Figures, WORKS, Work};
use crate::bench::thousands;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Writes both pages.
pub fn publish(root: &Path, figures: &Figures) -> Result<()> {
    let machine = super::super::machine();
    fs::create_dir_all(root.join("docs/zh")).context("making docs/zh")?;
    for (path, words) in [("docs/benchmark-flows.md", &ENGLISH), ("docs/zh/benchmark-flows.md", &CHINESE)] {
        fs::write(root.join(path), page(figures, &machine, words))
            .with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

fn page(figures: &Figures, machine: &str, words: &Words) -> String {
    let versions: Vec<String> =
        figures.versions.iter().map(|(engine, version)| format!("{engine} {version}")).collect();
    let rounds = words.rounds.replace("{n}", &figures.rounds.to_string());
    let data = words
        .data
        .replace("{rows}", &thousands(figures.rows))
        .replace("{text}", &format!("{:.0}", figures.text_mb))
        .replace("{gz}", &format!("{:.0}", figures.gz_mb));
    let mut out = format!(
        "# {}\n\n{}\n\n{machine}. {rounds}\n\n{data} {}: {}\n\n{}\n",
        words.title,
        words.intro,
        words.beside,
        versions.join(", "),
        words.head
    );
    let pace = figures.pace();
    let mut reached = 0;
    for (work, name) in WORKS.iter().zip(words.works) {
        let holds = holds(figures, work);
        reached += usize::from(holds == Some(true));
        let said = match holds {
            Some(true) => words.reached,
            Some(false) => words.missed,
            None => words.unmeasured,
        };
        let others: Vec<String> = ENGINES.iter().map(|engine| cell(figures, work, engine, words)).collect();
        let _ = writeln!(
            out,
            "| {name} | {} | {:.1} s | {} | {} | {said} |",
            goal(work),
            work.cpu_s_max * pace,
            cell(figures, work, "netwhy", words),
            others.join(" | ")
        );
    }
    let sum = words.sum.replace("{reached}", &reached.to_string()).replace("{all}", &WORKS.len().to_string());
    let sum = format!("{sum} {}", words.pace.replace("{pace}", &format!("{pace:.2}")));
    let _ = writeln!(out, "\n{sum}\n\n## {}\n\n{}", words.how, words.notes.trim_end());
    out
}

fn goal(work: &Work) -> String {
    let limit = work.mb_max.map(|limit| format!(", ≤ {limit:.0} MB")).unwrap_or_default();
    format!("≤ {} s{limit}", work.cpu_s_max)
}

fn cell(figures: &Figures, work: &Work, engine: &str, words: &Words) -> String {
    match figures.of(work.name, engine) {
        Some(run) if work.name == "import" => format!("{:.2} s, {:.0} MB", run.cpu_s, run.written_mb),
        Some(run) => format!("{:.2} s ({:.0} MB)", run.cpu_s, run.memory_mb),
        None => words.unmeasured.to_owned(),
    }
}

/// Whether the goal is reached; nothing where it was not measured.
fn holds(figures: &Figures, work: &Work) -> Option<bool> {
    let run = figures.of(work.name, "netwhy")?;
    let megabytes = if work.name == "import" { run.written_mb } else { run.memory_mb };
    Some(run.cpu_s <= work.cpu_s_max && work.mb_max.is_none_or(|limit| megabytes <= limit))
}
