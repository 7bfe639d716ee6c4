//! `cargo xtask check|gate|accuracy|bench`: the checks of the house, the accuracy page, the benchmarks.

mod accuracy;
mod bench;
mod house;
mod tidy;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask check
       cargo xtask gate RESULTS.json             fails when a lab score fell below what every run reaches
       cargo xtask accuracy [RESULTS.json...]    writes docs/accuracy.md from lab scores, side by side
       cargo xtask bench [diagnose] [OPTION...]  compares netwhy with the toolbox it replaces, writes docs/benchmark.md
       cargo xtask bench diagnose --from FILE    writes that page again from a score made with --toolbox
       cargo xtask bench tls [--testssl]         times the TLS matrix beside sslscan; the next page has the figures
       cargo xtask bench host [--program FILE]   netwhy host on 200,000 sockets, as root; writes docs/benchmark-host.md
       cargo xtask bench host --from FILE        writes that page again; --brief --program FILE only tries it
       cargo xtask bench scan [OPTION...]        netwhy scan beside other scanners, as root; writes docs/benchmark-scan.md
           --only T1,T3  --peers none|nmap,zmap  --rounds N  --program FILE  --rustscan FILE  --keep DIR; --from FILE
       cargo xtask bench scan --hold T8 [-- COMMAND...]  runs something where the scanner of that target stands
       cargo xtask bench policy [OPTION...]      netwhy policy beside Aerleon, nft, Checkov; writes docs/benchmark-policy.md
           --rounds N  --worker FILE; --from FILE writes that page again
       cargo xtask bench flows [OPTION...]       netwhy flows beside DuckDB, polars, chdb; writes docs/benchmark-flows.md
           --rounds N; --from FILE writes that page again";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Says something to who waits: stdout is for results.
#[allow(clippy::print_stderr, reason = "a program may speak; the lint is for libraries")]
pub(crate) fn tell(line: &str) {
    eprintln!("{line}");
}

fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["check"] => check(),
        ["gate", file] => accuracy::gate(Path::new(file)),
        ["accuracy", rest @ ..] => accuracy::publish(&root()?, rest),
        ["bench", rest @ ..] => bench::run(&root()?, rest),
        _ => bail!("{USAGE}"),
    }
}

fn check() -> Result<()> {
    let root = root()?;
    let mut faults = house::faults(&root)?;
    faults.extend(tidy::faults(&root)?);
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{} place(s) break a rule of the house:\n{}", faults.len(), faults.join("\n"))
}

/// The repository's top folder.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("xtask stands at the top of the file system")
}
