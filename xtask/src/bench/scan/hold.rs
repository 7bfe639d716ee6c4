//! One target brought up to try something on it by hand.

use super::place::Place;
use super::target::{SCANNER, TARGETS, Target};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs a command where the scanner stands, or waits for the end of the input.
pub fn enter(name: &str, command: &[&str]) -> Result<()> {
    let status = namespaces()?.args(["bench", "scan", "held", name]).args(command).status();
    let status = status.context("running unshare")?;
    match status.code() {
        Some(0) => Ok(()),
        _ if !nix::unistd::geteuid().is_root() => bail!("holding {name} needs root"),
        code => bail!("the command ended with {code:?}"),
    }
}

/// This program in network, mount and process namespaces of its own, which end with it.
pub fn namespaces() -> Result<Command> {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(std::env::current_exe().context("finding this program")?);
    Ok(command)
}

/// What `enter` runs in the namespaces.
pub fn inside(name: &str, command: &[&str]) -> Result<()> {
    let known = || TARGETS.map(|target| target.name).join(", ");
    let target = Target::named(name).with_context(|| format!("no target {name}; known: {}", known()))?;
    let folder = folder()?;
    let place = Place::build(&target, &folder)?;
    let open: Vec<String> = target.open_ports().iter().map(u16::to_string).collect();
    let open = open.join(",");
    let (hosts, ports) = (target.hosts(), target.ports());
    crate::tell(&format!("{name}: {hosts} ports {ports} from {SCANNER} on eth0; open: {open}"));
    let status = match command.split_first() {
        Some((program, words)) => Command::new(program)
            .args(words)
            .env("TARGET", target.hosts())
            .env("PORTS", target.ports())
            .env("OPEN", &open)
            .status()
            .with_context(|| format!("running {program}"))?,
        None => Command::new("cat").stdout(Stdio::null()).status().context("waiting")?,
    };
    drop(place);
    let _ = fs::remove_dir_all(&folder);
    std::process::exit(status.code().unwrap_or(1));
}

/// A folder for the files of one run.
pub fn folder() -> Result<PathBuf> {
    // The process id within the namespace is always 1: the time tells runs apart.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let folder = std::env::temp_dir().join(format!("netwhy-bench-scan-{}", since.as_nanos()));
    fs::create_dir_all(&folder).context("making the work directory")?;
    Ok(folder)
}
