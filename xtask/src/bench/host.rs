//! `netwhy host` on a machine with very many connections beside the tools it replaces, and what watching costs.
//!
//! Everything happens in network and process namespaces of its own, which end with whoever made them.

mod inside;
pub mod meter;
mod page;
mod part;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where the figures lie.
const FIGURES: &str = "target/bench-host.json";

/// Measures and writes the page; `words` are what follows `host`.
pub fn run(root: &Path, words: &[&str]) -> Result<()> {
    match words {
        [] => measure(root, &super::release(root)?, &Size::FULL),
        ["--program", program] => measure(root, Path::new(program), &Size::FULL),
        // To see that it works; its figures are kept from the page.
        ["--brief", "--program", program] => {
            let figures = figures(Path::new(program), "brief")?;
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&figures)?).context("writing")
        }
        ["--from", file] => page::publish(root, Path::new(file)),
        ["inside", part, program, size] => inside::run(part, Path::new(program), &Size::named(size)?),
        ["part", rest @ ..] => part::run(rest),
        _ => bail!("unknown words behind host: {words:?}"),
    }
}

fn measure(root: &Path, program: &Path, size: &Size) -> Result<()> {
    let figures = figures(program, size.name)?;
    let file = root.join(FIGURES);
    fs::write(&file, serde_json::to_string_pretty(&figures)?)
        .with_context(|| format!("writing {}", file.display()))?;
    page::publish(root, &file)
}

/// A large machine, then one with few connections.
fn figures(program: &Path, size: &str) -> Result<Figures> {
    let mut all = Figures::default();
    for part in ["large", "small"] {
        let output = Command::new("unshare")
            .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .arg(std::env::current_exe().context("finding this program")?)
            .args(["bench", "host", "inside", part])
            .arg(program)
            .arg(size)
            .stderr(Stdio::inherit())
            .output()
            .context("running unshare")?;
        if !output.status.success() {
            bail!("measuring on a {part} machine ended with {}; it needs root", output.status);
        }
        let mut figures: Figures = serde_json::from_slice(&output.stdout).context("the figures")?;
        all.looks.append(&mut figures.looks);
        all.watching.append(&mut figures.watching);
    }
    Ok(all)
}

/// How large the machine is, and how long it is measured.
#[derive(Debug)]
struct Size {
    name: &'static str,
    /// Each is two sockets.
    connections: u64,
    entries: u64,
    /// New connections a second.
    per_s: u64,
    windows: usize,
    window_s: u64,
    /// What comes first is not counted: the first look of a watch reads everything.
    settle_s: u64,
}

impl Size {
    const FULL: Size = Size {
        name: "full",
        connections: 100_000,
        entries: 200_000,
        per_s: 20_000,
        windows: 6,
        window_s: 10,
        settle_s: 6,
    };
    const BRIEF: Size = Size {
        name: "brief",
        connections: 2_000,
        entries: 4_000,
        per_s: 2_000,
        windows: 5,
        window_s: 1,
        settle_s: 2,
    };

    fn named(name: &str) -> Result<Size> {
        match name {
            "full" => Ok(Size::FULL),
            "brief" => Ok(Size::BRIEF),
            _ => bail!("unknown size {name:?}"),
        }
    }
}

/// Everything measured in one run.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Figures {
    looks: Vec<Look>,
    watching: Vec<Watching>,
}

/// One look at the large machine.
#[derive(Debug, Serialize, Deserialize)]
struct Look {
    sockets: u64,
    entries: u64,
    rules: u64,
    elements: u64,
    /// netwhy, netwhy without a window, the three together (without a name), each of the three.
    tools: Vec<Tool>,
    /// How many times the three together take as long as each netwhy, and as much processor time.
    ratios: [[f64; 2]; 2],
}

/// The medians of one tool.
#[derive(Debug, Serialize, Deserialize)]
struct Tool {
    name: String,
    runs: usize,
    wall_ms: f64,
    cpu_ms: f64,
    /// The highest of all runs.
    peak_mb: f64,
}

/// Who watches.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Who {
    #[default]
    Nobody,
    /// `netwhy host --watch`.
    Screen,
    /// `netwhy host --record`: the both-ends watch, looked at every second.
    Record,
}

/// What one watch cost.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Watching {
    who: Who,
    large: bool,
    /// New connections a second; 0 when quiet.
    per_s: f64,
    /// Processor time of who made one connection and took it, in microseconds.
    load_us: f64,
    windows: usize,
    /// Percent of one core.
    share_median: f64,
    share_mean: f64,
    /// Processor time before the first window, in milliseconds.
    start_ms: f64,
    peak_mb: f64,
    looks_per_10_s: f64,
    /// Connections of the watched source, and those found in the record.
    probes: u64,
    probes_seen: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_survive_their_file() {
        let row = Watching { who: Who::Record, probes: 9, ..Watching::default() };
        let text = serde_json::to_string(&Figures { looks: Vec::new(), watching: vec![row] }).unwrap();
        let again: Figures = serde_json::from_str(&text).unwrap();
        assert_eq!((again.watching[0].who, again.watching[0].probes), (Who::Record, 9));
        assert!(Size::named("full").is_ok() && Size::named("huge").is_err());
    }
}
