//! What `netwhy policy` must reach in speed and exactness, beside Aerleon, nft, iptables-restore and Checkov.
//!
//! The lists are drawn here; the worker, an example of the policy crate, is built in release and does the timing.

mod draw;
mod goal;
mod page;
mod peer;
mod words;
mod write;

use anyhow::{Context, Result, bail};
use draw::{Drawn, PROFILES};
use peer::{Opening, Peers};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the figures lie, and the lists.
const FIGURES: &str = "target/bench-policy.json";
const FOLDER: &str = "target/bench-policy";
const ROUND_COUNT: usize = 5;
/// Rules of the lists; the smallest is there for Aerleon, whose time grows with the square.
const SMALL: usize = 1_000;
const MIDDLE: usize = 10_000;
const LARGE: usize = 100_000;
const PLANTED_COUNT: usize = 40;
const PACKET_COUNT: usize = 20_000;

/// Measures and writes the page; `words` are what follows `policy`.
pub fn run(root: &Path, words: &[&str]) -> Result<()> {
    if let ["--from", file] = words {
        let text = fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
        return page::publish(root, &serde_json::from_str(&text).with_context(|| format!("parsing {file}"))?);
    }
    let mut rounds = ROUND_COUNT;
    let mut worker = None;
    for pair in words.chunks(2) {
        match pair {
            ["--rounds", count] => rounds = count.parse::<usize>().context("--rounds")?.max(1),
            ["--worker", file] => worker = Some(PathBuf::from(file)),
            _ => bail!("unknown words behind policy: {pair:?}"),
        }
    }
    let worker = worker.map_or_else(|| build(root), Ok)?;
    measure(root, &worker, rounds)
}

/// Builds the worker and returns where it lies.
fn build(root: &Path) -> Result<PathBuf> {
    let folder = super::built(root, &["--package", "netwhy-policy", "--example", "bench"])?;
    Ok(folder.join("examples/bench"))
}

/// Everything measured in one run.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Figures {
    rounds: usize,
    lists: Vec<Measured>,
    /// Whether a port opened to two halves of the world was told, and one that is no SSH: by netwhy, by Checkov.
    openings: [Option<Opening>; 2],
    versions: Vec<(String, Option<String>)>,
}

/// One list, and what came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Measured {
    profile: String,
    rules: usize,
    /// Planted rules that never match: behind one other, behind a union; of how many, found by netwhy, by Aerleon.
    planted: [usize; 2],
    found: [usize; 2],
    found_by_aerleon: Option<[usize; 2]>,
    /// By name, of every round.
    runs: BTreeMap<String, Vec<f64>>,
}

impl Measured {
    /// The median of what was measured under a name.
    fn median(&self, name: &str) -> Option<f64> {
        let mut all = self.runs.get(name)?.clone();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// How many times netwhy's time Aerleon's check takes.
    fn aerleon_times(&self) -> Option<f64> {
        Some(self.median("aerleon_ms")? / self.median("audit_ms")?)
    }

    fn keep(&mut self, name: &str, value: f64) {
        self.runs.entry(name.to_owned()).or_default().push(value);
    }

    fn keep_all(&mut self, said: &Value) {
        for (name, value) in said.as_object().into_iter().flatten() {
            if let Some(value) = value.as_f64() {
                self.keep(name, value);
            }
        }
    }
}

/// A list on the disk.
#[derive(Debug)]
struct Laid {
    folder: PathBuf,
    planted: Vec<draw::Planted>,
}

impl Laid {
    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// How many of the planted rules are among those told, which rise.
    fn found(&self, told: &[u64]) -> [usize; 2] {
        let found = |by_union: bool| {
            let planted = self.planted.iter().filter(|one| one.by_union == by_union);
            planted.filter(|one| told.binary_search(&(one.rule as u64)).is_ok()).count()
        };
        [found(false), found(true)]
    }
}

/// Writes figures and page after each round, so that a run that is cut short has both.
fn measure(root: &Path, worker: &Path, rounds: usize) -> Result<()> {
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder).context("making the work directory")?;
    let peers = Peers::find(&folder)?;
    let mut figures = Figures {
        openings: [Some(peer::opened_by_netwhy(&folder, worker)?), peers.opened_by_checkov(&folder)?],
        versions: peers.versions(),
        ..Figures::default()
    };
    let mut all_laid = Vec::new();
    for rules in [SMALL, MIDDLE, LARGE] {
        for profile in &PROFILES {
            let (measured, laid) = lay(&folder, profile, rules)?;
            figures.lists.push(measured);
            all_laid.push(laid);
        }
    }
    for round in 0..rounds {
        for (measured, laid) in figures.lists.iter_mut().zip(&all_laid) {
            let name = format!("{} {}", measured.profile, measured.rules);
            crate::tell(&format!("round {} of {rounds}: {name}", round + 1));
            one_round(measured, laid, worker, &peers, round).with_context(|| format!("measuring {name}"))?;
        }
        figures.rounds = round + 1;
        keep(root, &figures)?;
    }
    // Aerleon's time grows with the square of the rules: of 10,000 it runs once, on one list, at the end.
    if let Some(at) = figures.lists.iter().position(|list| list.rules == MIDDLE) {
        crate::tell("Aerleon on 10,000 rules: this takes minutes");
        shade(&mut figures.lists[at], &all_laid[at], &peers)?;
        keep(root, &figures)?;
    }
    Ok(())
}

fn keep(root: &Path, figures: &Figures) -> Result<()> {
    let file = root.join(FIGURES);
    fs::write(&file, serde_json::to_string(figures)?)
        .with_context(|| format!("writing {}", file.display()))?;
    page::publish(root, figures)
}

fn shade(measured: &mut Measured, laid: &Laid, peers: &Peers) -> Result<()> {
    if let Some(shade) = peers.shade(&laid.file(write::AERLEON))? {
        measured.keep("aerleon_ms", shade.cpu_ms);
        measured.found_by_aerleon = Some(laid.found(&shade.shaded));
    }
    Ok(())
}

fn lay(folder: &Path, profile: &draw::Profile, rules: usize) -> Result<(Measured, Laid)> {
    let folder = folder.join(format!("{}-{rules}", profile.name));
    let drawn: Drawn = draw::draw(profile, rules, PLANTED_COUNT, PACKET_COUNT);
    write::write(&folder, &drawn, rules <= MIDDLE)?;
    let unions = drawn.planted.iter().filter(|one| one.by_union).count();
    let measured = Measured {
        profile: profile.name.to_owned(),
        rules: drawn.rules.len(),
        planted: [drawn.planted.len() - unions, unions],
        ..Measured::default()
    };
    Ok((measured, Laid { folder, planted: drawn.planted }))
}

fn one_round(measured: &mut Measured, laid: &Laid, worker: &Path, peers: &Peers, round: usize) -> Result<()> {
    let (rules, packets, nft) = (laid.file(write::RULES), laid.file(write::PACKETS), laid.file(write::NFT));
    let said = ask(worker, &["list", &rules, &packets, &round.to_string()])?;
    measured.keep_all(&said);
    let dead: Vec<u64> = said["dead"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    measured.keep("dead", dead.len() as f64);
    measured.found = laid.found(&dead);
    if measured.rules <= SMALL {
        return shade(measured, laid, peers);
    }
    if measured.rules == MIDDLE {
        measured.keep_all(&ask(worker, &["verdicts", &nft, &rules, &packets])?);
    }
    measured.keep_all(&ask(worker, &["read", &nft])?);
    let saved = laid.file(write::IPTABLES);
    for (name, words) in [
        ("nft", &["nft", "-c", "-f", nft.as_str()][..]),
        ("iptables", &["iptables-restore", "--test", saved.as_str()][..]),
    ] {
        if let Some(cost) = peer::loading(words) {
            measured.keep(&format!("{name}_ms"), cost.cpu_ms);
            measured.keep(&format!("{name}_mb"), cost.peak_mb);
        }
    }
    Ok(())
}

/// Runs a program of the benchmark and reads the JSON it prints.
fn ask(program: &Path, words: &[&str]) -> Result<Value> {
    let output = Command::new(program).args(words).output().context("starting a part of the benchmark")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{} {words:?} ended with {}: {said}", program.display(), output.status);
    }
    serde_json::from_slice(&output.stdout).context("the figures of a part")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_survive_their_file_and_give_medians() {
        let mut measured = Measured::default();
        for value in [3.0, 1.0, 2.0] {
            measured.keep_all(&serde_json::json!({ "audit_ms": value, "dead": [1] }));
            measured.keep("aerleon_ms", 4_000.0);
        }
        let figures = Figures { lists: vec![measured], ..Figures::default() };
        let again: Figures = serde_json::from_str(&serde_json::to_string(&figures).unwrap()).unwrap();
        assert_eq!(again.lists[0].median("audit_ms"), Some(2.0));
        assert_eq!(again.lists[0].aerleon_times(), Some(2_000.0));
        assert_eq!(again.lists[0].median("dead"), None);
    }
}
