//! `netwhy scan` beside nmap, masscan, zmap and RustScan, on targets that answer, stay silent, lose, limit, ban and lie.
//!
//! Every target is a scanner, a router and a host in namespaces of their own, which end with whoever made them.

mod figures;
mod flood;
mod goal;
mod hold;
mod inside;
mod meter;
mod page;
mod part;
mod peer;
mod place;
mod quiet;
mod target;
mod words;

use anyhow::{Context, Result, bail};
use figures::{Carried, Figures, Row};
use goal::MEASURES;
use peer::Tools;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Where the figures lie.
const FIGURES: &str = "target/bench-scan.json";
/// Runs of each scanner on each target.
const ROUND_COUNT: usize = 5;
const PEERS: [&str; 4] = ["nmap", "masscan", "zmap", "RustScan"];
/// The figure of what the way carries, among the rows.
const PATH: &str = "path";

/// Measures and writes the page; `words` are what follows `scan`.
pub fn run(root: &Path, words: &[&str]) -> Result<()> {
    match words {
        ["--hold", name] => hold::enter(name, &[]),
        ["--hold", name, "--", command @ ..] => hold::enter(name, command),
        ["held", name, command @ ..] => hold::inside(name, command),
        ["part", rest @ ..] => part::run(rest),
        ["row", name, options] => inside::row(name, &serde_json::from_str(options)?),
        [PATH, name, options] => inside::path(name, &serde_json::from_str(options)?),
        ["--from", file] => page::publish(root, &read(Path::new(file))?),
        _ => measure(root, Options::parse(root, words)?),
    }
}

/// What the user asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Options {
    /// Rows to measure; the others keep their figures.
    only: Vec<String>,
    peers: Vec<String>,
    rounds: usize,
    program: PathBuf,
    rustscan: PathBuf,
    /// Where what every run says is kept.
    keep: Option<PathBuf>,
}

impl Options {
    fn parse(root: &Path, words: &[&str]) -> Result<Options> {
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut options = Options {
            only: MEASURES.iter().map(|measure| measure.name.to_owned()).chain([PATH.to_owned()]).collect(),
            peers: list(&PEERS.join(",")),
            rounds: ROUND_COUNT,
            program: PathBuf::new(),
            rustscan: "rustscan".into(),
            keep: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("{word} needs a value"))?;
            match *word {
                "--only" => options.only = list(value),
                "--peers" if *value == "none" => options.peers.clear(),
                "--peers" => options.peers = list(value),
                "--rounds" => options.rounds = value.parse::<usize>().context("--rounds")?.max(1),
                "--program" => {
                    options.program = fs::canonicalize(value).with_context(|| format!("finding {value}"))?
                }
                "--rustscan" => {
                    options.rustscan = fs::canonicalize(value).with_context(|| format!("finding {value}"))?
                }
                "--keep" => options.keep = Some(std::path::absolute(value)?),
                _ => bail!("unknown word behind scan: {word}"),
            }
        }
        let known = |name: &String| name == PATH || MEASURES.iter().any(|measure| measure.name == name);
        if let Some(name) = options.only.iter().find(|name| !known(name)) {
            bail!("no row {name}; known: {}, {PATH}", MEASURES.map(|measure| measure.name).join(", "));
        }
        if options.program.as_os_str().is_empty() {
            options.program = super::release(root)?;
        }
        if let Some(keep) = &options.keep {
            fs::create_dir_all(keep).with_context(|| format!("making {}", keep.display()))?;
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.iter().any(|wanted| wanted == name)
    }

    /// Copies of what is ours, where a user without privilege may run it.
    fn tools_in(&self, folder: &Path) -> Result<Tools> {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
            .context("opening the work directory")?;
        let copy = |program: &Path, name: &str| -> Result<PathBuf> {
            let to = folder.join(name);
            fs::copy(program, &to).with_context(|| format!("copying {}", program.display()))?;
            Ok(to)
        };
        let rustscan = match self.rustscan.is_absolute() {
            true => copy(&self.rustscan, "rustscan")?,
            false => self.rustscan.clone(),
        };
        Ok(Tools { netwhy: copy(&self.program, "netwhy")?, rustscan, peers: self.peers.clone() })
    }
}

fn measure(root: &Path, options: Options) -> Result<()> {
    let file = root.join(FIGURES);
    fs::create_dir_all(root.join("target")).context("making target")?;
    let mut figures: Figures = read(&file).unwrap_or_default();
    if !options.peers.is_empty() {
        let tools = Tools { netwhy: PathBuf::new(), rustscan: options.rustscan.clone(), peers: Vec::new() };
        figures.peers = peer::versions(&tools);
    }
    for measure in MEASURES.iter().filter(|measure| options.wants(measure.name)) {
        let row: Row = in_namespaces(&["row", measure.name], &options)?;
        figures.merge(row);
        write(&file, &figures)?;
    }
    if options.wants(PATH) {
        figures.paths.clear();
        for target in ["T2", "T1"] {
            figures.paths.push(in_namespaces::<Carried>(&[PATH, target], &options)?);
        }
        write(&file, &figures)?;
    }
    page::publish(root, &figures)
}

fn in_namespaces<T: DeserializeOwned>(words: &[&str], options: &Options) -> Result<T> {
    let output = hold::namespaces()?
        .args(["bench", "scan"])
        .args(words)
        .arg(serde_json::to_string(options)?)
        .stderr(Stdio::inherit())
        .output()
        .context("running unshare")?;
    if !output.status.success() {
        bail!("measuring {words:?} ended with {}; it needs root", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the figures")
}

fn read(file: &Path) -> Result<Figures> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("parsing {}", file.display()))
}

fn write(file: &Path, figures: &Figures) -> Result<()> {
    fs::write(file, serde_json::to_string_pretty(figures)?)
        .with_context(|| format!("writing {}", file.display()))
}
