//! What the lake must reach on one day of flow logs, beside DuckDB, polars and chdb on the same files in one run.
//!
//! netwhy itself is built in release, with the lake; each piece of work is a process of its own, so that its processor time
//! and memory are the whole process's.

mod page;
mod words;

use super::host::meter;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the figures lie, and the data.
const FIGURES: &str = "target/bench-flows.json";
const FOLDER: &str = "target/bench-flows";
const ROUND_COUNT: usize = 3;
const ROW_COUNT: u64 = 19_650_000;
const GROUP_COUNT: usize = 40;
const PEERS: &str = include_str!("flows/peers.py");
const ENGINES: [&str; 3] = ["duckdb", "polars", "chdb"];

/// One piece of work and what it may cost.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub name: &'static str,
    pub cpu_s_max: f64,
    /// Memory, or the size of what is written.
    pub mb_max: Option<f64>,
    /// What the other engines took where the goals were set, in their order; nothing where they cannot do it.
    pub others_s: [f64; 3],
}

const fn work(name: &'static str, cpu_s_max: f64, mb_max: Option<f64>, others_s: [f64; 3]) -> Work {
    Work { name, cpu_s_max, mb_max, others_s }
}

/// All of it, in the order of the page.
pub const WORKS: [Work; 7] = [
    work("text", 2.5, None, [6.7, 5.2, 12.6]),
    work("text-gz", 5.0, None, [12.8, 8.9, 14.1]),
    work("import", 13.0, Some(250.0), [27.8, 20.5, 28.3]),
    work("distinct", 0.9, Some(1_000.0), [1.3, 0.9, 1.4]),
    work("fan-out", 2.4, None, [3.0, 2.4, 3.1]),
    work("join", 0.5, None, [0.5, 2.3, 3.1]),
    work("detect", 8.0, Some(256.0), [0.0; 3]),
];

/// What one run cost.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Run {
    pub cpu_s: f64,
    pub memory_mb: f64,
    /// What an import wrote.
    pub written_mb: f64,
}

/// Everything measured in one run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    pub rounds: usize,
    pub rows: u64,
    pub text_mb: f64,
    pub gz_mb: f64,
    /// By work and engine.
    pub runs: BTreeMap<String, BTreeMap<String, Vec<Run>>>,
    pub versions: BTreeMap<String, String>,
}

impl Figures {
    /// The median by processor time, with the most memory.
    pub fn of(&self, work: &str, engine: &str) -> Option<Run> {
        let mut runs = self.runs.get(work)?.get(engine)?.clone();
        runs.sort_by(|one, other| one.cpu_s.total_cmp(&other.cpu_s));
        let memory_mb = runs.iter().map(|run| run.memory_mb).fold(0.0, f64::max);
        runs.get(runs.len() / 2).map(|run| Run { memory_mb, ..*run })
    }

    /// How many times as long the other engines took here as where the goals were set: the median of all they did.
    pub fn pace(&self) -> f64 {
        let mut times: Vec<f64> = Vec::new();
        for work in &WORKS {
            let here = ENGINES.iter().zip(work.others_s).filter(|(_, there)| *there > 0.0);
            times.extend(here.filter_map(|(engine, there)| Some(self.of(work.name, engine)?.cpu_s / there)));
        }
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(1.0)
    }
}

/// Measures and writes the page; `words` are what follows `flows`.
pub fn run(root: &Path, words: &[&str]) -> Result<()> {
    let mut rounds = ROUND_COUNT;
    match words {
        [] => {}
        ["--from", file] => {
            let text = fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
            let figures = serde_json::from_str(&text).with_context(|| format!("parsing {file}"))?;
            return page::publish(root, &figures);
        }
        ["--rounds", count] => rounds = count.parse::<usize>().context("--rounds")?.max(1),
        _ => bail!("unknown words behind flows: {words:?}; known: --rounds N, --from FILE"),
    }
    let folder = super::built(root, &["--package", "netwhy-cli", "--features", "lake"])?;
    measure(root, &folder.join("netwhy"), rounds)
}

/// The files that are asked.
struct Laid {
    text: PathBuf,
    gz: PathBuf,
    lake: PathBuf,
    groups: PathBuf,
    script: PathBuf,
    folder: PathBuf,
}

fn measure(root: &Path, netwhy: &Path, rounds: usize) -> Result<()> {
    let folder = root.join(FOLDER);
    let laid = lay(&folder, netwhy)?;
    let python = environment(&folder);
    let mut figures = Figures { rows: ROW_COUNT, ..Figures::default() };
    figures.text_mb = megabytes(&laid.text)?;
    figures.gz_mb = megabytes(&laid.gz)?;
    if let Some(python) = &python {
        figures.versions = versions(python);
    }
    for round in 0..rounds {
        for work in &WORKS {
            crate::tell(&format!("round {} of {rounds}: {}", round + 1, work.name));
            keep(&mut figures, work, "netwhy", own(netwhy, work.name, &laid)?);
            let Some(python) = python.as_ref().filter(|_| work.name != "detect") else { continue };
            for engine in ENGINES {
                // An engine that cannot do a piece of work has no figure there.
                match other(python, engine, work.name, &laid) {
                    Ok(run) => keep(&mut figures, work, engine, run),
                    Err(error) => crate::tell(&format!("{engine} at {}: {error:#}", work.name)),
                }
            }
        }
        figures.rounds = round + 1;
        let file = root.join(FIGURES);
        fs::write(&file, serde_json::to_string(&figures)?)
            .with_context(|| format!("writing {}", file.display()))?;
        page::publish(root, &figures)?;
    }
    Ok(())
}

fn keep(figures: &mut Figures, work: &Work, engine: &str, run: Run) {
    let runs = figures.runs.entry(work.name.to_owned()).or_default();
    runs.entry(engine.to_owned()).or_default().push(run);
}

fn lay(folder: &Path, netwhy: &Path) -> Result<Laid> {
    fs::create_dir_all(folder).context("making the work directory")?;
    let laid = Laid {
        text: folder.join("day.log"),
        gz: folder.join("day.log.gz"),
        lake: folder.join("lake"),
        groups: folder.join("groups.csv"),
        script: folder.join("peers.py"),
        folder: folder.to_owned(),
    };
    if !laid.text.exists() {
        let (file, rows) = (text(&laid.text), ROW_COUNT.to_string());
        meter::run(netwhy, &["flows", "generate", &file, "--records", &rows], &[0])?;
    }
    if !laid.gz.exists() {
        let packed = fs::File::create(&laid.gz).context("making the packed log")?;
        let status =
            Command::new("gzip").arg("-c").arg(&laid.text).stdout(packed).status().context("gzip")?;
        if !status.success() {
            bail!("gzip ended with {status}");
        }
    }
    let groups = format!(
        "SELECT interface, 'group-' || (row_number() OVER (ORDER BY interface) % {GROUP_COUNT}) AS name \
         FROM (SELECT DISTINCT interface FROM flows WHERE interface IS NOT NULL)"
    );
    let (log, file) = (text(&laid.text), text(&laid.groups));
    meter::run(netwhy, &["flows", "query", &groups, &log, "--format", "csv", "--out", &file], &[0])?;
    fs::write(&laid.script, PEERS).context("writing the peers' script")?;
    Ok(laid)
}

/// One piece of work done by netwhy.
fn own(netwhy: &Path, work: &str, laid: &Laid) -> Result<Run> {
    let (lake, log, gz) = (text(&laid.lake), text(&laid.text), text(&laid.gz));
    let table = format!("groups={}", text(&laid.groups));
    let join = "SELECT g.name, count(*) AS n, sum(f.bytes) AS b FROM flows f JOIN groups g \
                ON f.interface = g.interface GROUP BY g.name ORDER BY b DESC";
    if work == "import" && laid.lake.exists() {
        fs::remove_dir_all(&laid.lake).context("emptying the lake")?;
    }
    let words: &[&str] = match work {
        "text" => &["query", "rejected", &log],
        "text-gz" => &["query", "rejected", &gz],
        "import" => &["import", &gz, "--lake", &lake],
        "distinct" => &["query", "destinations", "--lake", &lake],
        "fan-out" => &["query", "fan-out", "--lake", &lake],
        "detect" => &["detect", &log],
        _ => &["query", join, "--table", &table, "--lake", &lake],
    };
    // Attacks were planted: finding some ends with 1.
    let wanted = i32::from(work == "detect");
    let cost = meter::run(netwhy, &[&["flows"], words].concat(), &[wanted])?;
    let written_mb = if work == "import" { folder_megabytes(&laid.lake.join("data"))? } else { 0.0 };
    Ok(Run { cpu_s: cost.cpu_ms / 1e3, memory_mb: cost.peak_mb, written_mb })
}

/// The same by another engine, on the same files.
fn other(python: &Path, engine: &str, work: &str, laid: &Laid) -> Result<Run> {
    let files = format!("{}/data/*/*/*.parquet", text(&laid.lake));
    let written = laid.folder.join(format!("{engine}.parquet"));
    let _ = fs::remove_file(&written);
    let (script, out, groups) = (text(&laid.script), text(&written), text(&laid.groups));
    let (log, gz) = (text(&laid.text), text(&laid.gz));
    let words: Vec<&str> = match work {
        "text" => vec![&script, engine, work, &log],
        "text-gz" => vec![&script, engine, work, &gz],
        "import" => vec![&script, engine, work, &gz, &out],
        "join" => vec![&script, engine, work, &files, &groups],
        _ => vec![&script, engine, work, &files],
    };
    let cost = meter::run(python, &words, &[0])?;
    let written_mb = if work == "import" { megabytes(&written)? } else { 0.0 };
    let _ = fs::remove_file(&written);
    Ok(Run { cpu_s: cost.cpu_ms / 1e3, memory_mb: cost.peak_mb, written_mb })
}

/// An environment with the other engines; none where they cannot be installed.
fn environment(folder: &Path) -> Option<PathBuf> {
    let home = folder.join("peers");
    let python = home.join("bin/python");
    if !python.exists() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&home).status().ok()?;
        let pip = Command::new(&python).args(["-m", "pip", "install", "-q"]).args(ENGINES).status().ok()?;
        if !made.success() || !pip.success() {
            return None;
        }
    }
    Some(python)
}

fn versions(python: &Path) -> BTreeMap<String, String> {
    let version = |engine: &str| {
        let code = format!("import importlib.metadata as m; print(m.version('{engine}'))");
        let output = Command::new(python).args(["-c", &code]).output().ok()?;
        Some((engine.to_owned(), String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    };
    ENGINES.iter().filter_map(|engine| version(engine)).collect()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn megabytes(path: &Path) -> Result<f64> {
    Ok(fs::metadata(path).with_context(|| format!("the size of {}", path.display()))?.len() as f64 / 1e6)
}

/// The sizes of all files of the lake: folders of days hold folders of hours hold files.
fn folder_megabytes(data: &Path) -> Result<f64> {
    let mut sum = 0.0;
    for day in fs::read_dir(data).context("the lake")? {
        for hour in fs::read_dir(day?.path()).context("a day of the lake")? {
            for file in fs::read_dir(hour?.path()).context("an hour of the lake")? {
                sum += megabytes(&file?.path())?;
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_counts_and_the_most_memory() {
        let mut figures = Figures::default();
        for (cpu_s, memory_mb) in [(3.0, 10.0), (1.0, 30.0), (2.0, 20.0)] {
            keep(&mut figures, &WORKS[0], "netwhy", Run { cpu_s, memory_mb, written_mb: 0.0 });
        }
        let text = serde_json::to_string(&figures).unwrap();
        let again: Figures = serde_json::from_str(&text).unwrap();
        let run = again.of("text", "netwhy").unwrap();
        assert_eq!((run.cpu_s, run.memory_mb), (2.0, 30.0));
        assert!(again.of("text", "duckdb").is_none());
    }
}
