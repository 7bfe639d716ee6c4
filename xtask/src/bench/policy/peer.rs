//! The programs beside which netwhy is measured; those that are not there are left out.

use crate::bench::host::meter::{self, Cost};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SHADE: &str = include_str!("shade.py");
/// How long one run of Aerleon may take, in seconds.
const SHADE_S_MAX: &str = "1800";
/// Two groups: SSH opened to both halves of the world, and a port of UDP that is no SSH.
const OPENINGS: &str = r#"resource "aws_security_group" "split" {
  name = "split"
  ingress {
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/1", "128.0.0.0/1"]
  }
}

resource "aws_security_group" "udp" {
  name = "udp"
  ingress {
    from_port   = 22
    to_port     = 22
    protocol    = "udp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
"#;
/// "No security group lets 0.0.0.0/0 in to port 22".
const CHECKOV_CHECK: &str = "CKV_AWS_24";

/// What was said of the two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub split_told: bool,
    pub udp_told: bool,
}

/// What Aerleon's check said.
#[derive(Debug, Deserialize)]
pub struct Shade {
    pub cpu_ms: f64,
    pub shaded: Vec<u64>,
}

/// The peers from PyPI, each in an environment of its own in the work directory.
#[derive(Debug)]
pub struct Peers {
    aerleon: Option<PathBuf>,
    checkov: Option<PathBuf>,
    script: PathBuf,
}

impl Peers {
    /// Installs them where they are missing.
    pub fn find(folder: &Path) -> Result<Peers> {
        let script = folder.join("shade.py");
        fs::write(&script, SHADE).context("writing the script for Aerleon")?;
        Ok(Peers { aerleon: installed(folder, "aerleon"), checkov: installed(folder, "checkov"), script })
    }

    /// Runs Aerleon's shade check on the list in a folder.
    pub fn shade(&self, list: &str) -> Result<Option<Shade>> {
        let Some(bin) = &self.aerleon else { return Ok(None) };
        let (python, script) = (bin.join("python").display().to_string(), self.script.display().to_string());
        let said = super::ask(Path::new("timeout"), &[SHADE_S_MAX, &python, &script, list])?;
        Ok(Some(serde_json::from_value(said).context("what Aerleon said")?))
    }

    /// What Checkov's check of port 22 says of the two groups.
    pub fn opened_by_checkov(&self, folder: &Path) -> Result<Option<Opening>> {
        let Some(bin) = &self.checkov else { return Ok(None) };
        let file = openings(folder)?;
        let words = ["--framework", "terraform", "--output", "json", "--quiet", "--soft-fail"];
        let output = Command::new(bin.join("checkov"))
            .args(words)
            .args(["--check", CHECKOV_CHECK, "--file", &file])
            .output()
            .context("running Checkov")?;
        let said: Value = serde_json::from_slice(&output.stdout).context("what Checkov said")?;
        let failed = said["results"]["failed_checks"].as_array().context("Checkov told no checks")?;
        let told = |name: &str| failed.iter().any(|one| one["resource"] == name);
        Ok(Some(Opening {
            split_told: told("aws_security_group.split"),
            udp_told: told("aws_security_group.udp"),
        }))
    }

    /// Every peer with its version, if it is there.
    pub fn versions(&self) -> Vec<(String, Option<String>)> {
        let of_package = |bin: &Option<PathBuf>, name: &str| {
            let show = format!("import importlib.metadata as m; print(m.version('{name}'))");
            first_line(&bin.as_ref()?.join("python"), &["-c", &show])
        };
        let of_program = |name: &str| first_line(Path::new(name), &["--version"]);
        vec![
            ("Aerleon".to_owned(), of_package(&self.aerleon, "aerleon")),
            ("Checkov".to_owned(), of_package(&self.checkov, "checkov")),
            ("nft".to_owned(), of_program("nft")),
            ("iptables-restore".to_owned(), of_program("iptables-restore")),
        ]
    }
}

/// The programs of a package, installed if need be.
fn installed(folder: &Path, package: &str) -> Option<PathBuf> {
    let place = folder.join(package);
    let bin = place.join("bin");
    let installed = || Path::new(&place).join("installed");
    if !installed().exists() {
        crate::tell(&format!("installing {package}"));
        let made = quiet(Command::new("python3").args(["-m", "venv"]).arg(&place))
            && quiet(Command::new(bin.join("pip")).args(["install", "--quiet", package]))
            && fs::write(installed(), "").is_ok();
        if !made {
            crate::tell(&format!("{package} is left out: it could not be installed"));
            return None;
        }
    }
    Some(bin)
}

fn quiet(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn first_line(program: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.lines().next()?.trim();
    // Without the name before it and the release's name behind it.
    let is_version = |word: &&str| word.trim_start_matches('v').starts_with(|one: char| one.is_ascii_digit());
    version.split(' ').find(is_version).map(|word| word.trim_start_matches('v').to_owned())
}

/// What a check of a whole rule set by the kernel's own tools costs, in a network namespace of its own.
pub fn loading(words: &[&str]) -> Option<Cost> {
    let words: Vec<&str> = ["--net", "--"].iter().chain(words).copied().collect();
    let cost = meter::run(Path::new("unshare"), &words, &[0]);
    cost.map_err(|error| crate::tell(&format!("left out: {error:#}"))).ok()
}

/// What `netwhy policy lint` says of the two groups.
pub fn opened_by_netwhy(folder: &Path, worker: &Path) -> Result<Opening> {
    let said = super::ask(worker, &["lint", &openings(folder)?])?;
    let second = OPENINGS.lines().position(|line| line.contains("\"udp\" {")).unwrap_or(0) as u64;
    let lines = said["open"].as_array().context("no lines")?;
    let told = |is_udp: bool| lines.iter().filter_map(Value::as_u64).any(|line| (line > second) == is_udp);
    Ok(Opening { split_told: told(false), udp_told: told(true) })
}

fn openings(folder: &Path) -> Result<String> {
    let folder = folder.join("openings");
    fs::create_dir_all(&folder).context("making the work directory")?;
    let file = folder.join("main.tf");
    fs::write(&file, OPENINGS).with_context(|| format!("writing {}", file.display()))?;
    Ok(file.display().to_string())
}
