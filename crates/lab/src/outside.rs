//! Starts the process inside and listens to it.

use crate::error::{LabError, Result};
use crate::host::SEARCH_PATH;
use crate::isolate::EXIT_FORBIDDEN;
use crate::scenario::Network;
use crate::script::{Event, Script};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};

/// The highest limit of connection tracking that a lab will fill, in entries of about 1 KiB.
const CONNTRACK_LIMIT_MAX: u64 = 600_000;
/// Events of one lab.
const EVENTS_COUNT_MAX: usize = 2000;

/// Plays a script and passes every event on; returns when nothing of the lab is left.
///
/// On SIGINT, SIGTERM or SIGHUP the lab is torn down first and the result is an error. The running
/// program must call [`crate::maybe_inside`] first thing in `main`.
pub async fn run(script: &Script, mut on_event: impl FnMut(Event)) -> Result<()> {
    let ended = |why: String| LabError::Ended(why);
    let mut child = Command::new("/proc/self/exe")
        .arg(crate::ROLE_INSIDE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| ended(error.to_string()))?;
    let mut line = serde_json::to_string(script).map_err(|error| ended(error.to_string()))?;
    line.push('\n');
    // Its other end is what keeps the lab alive: dropping it, or dying, ends the lab.
    let mut lifeline = child.stdin.take().ok_or_else(|| ended("no pipe".into()))?;
    let _ = lifeline.write_all(line.as_bytes()).await;
    let told = tokio::select! {
        told = listen(&mut child, &mut on_event) => told,
        name = interrupted() => Err(LabError::Interrupted(name)),
    };
    end(child, lifeline, told).await
}

/// Reads events until the process inside closes its output.
async fn listen(child: &mut Child, on_event: &mut impl FnMut(Event)) -> Result<()> {
    let Some(output) = child.stdout.take() else { return Err(LabError::Ended("no pipe".into())) };
    let mut lines = BufReader::new(output).lines();
    let mut failure = None;
    for _ in 0..EVENTS_COUNT_MAX {
        let Ok(Some(line)) = lines.next_line().await else { break };
        match serde_json::from_str(&line) {
            Ok(Event::Failed { why }) => failure = Some(why),
            Ok(Event::Done) => return Ok(()),
            Ok(event) => on_event(event),
            Err(error) => failure = Some(error.to_string()),
        }
    }
    Err(failure.map_or_else(|| LabError::Ended("it said nothing".into()), LabError::Inside))
}

async fn interrupted() -> &'static str {
    let wait = async |kind, name| match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
            name
        }
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        name = wait(SignalKind::interrupt(), "SIGINT") => name,
        name = wait(SignalKind::terminate(), "SIGTERM") => name,
        name = wait(SignalKind::hangup(), "SIGHUP") => name,
    }
}

async fn end(mut child: Child, lifeline: ChildStdin, told: Result<()>) -> Result<()> {
    drop(lifeline);
    let status = child.wait().await.map_err(|error| LabError::Ended(error.to_string()))?;
    match told {
        Err(LabError::Inside(why)) if status.code() == Some(i32::from(EXIT_FORBIDDEN)) => {
            Err(LabError::NeedsRoot(why))
        }
        other => other,
    }
}

/// What a network needs and this machine lacks: programs, `root`, `tun`, `conntrack-limit`.
pub fn missing(network: &Network) -> Vec<String> {
    let has = |need: &&String| match need.as_str() {
        "root" => nix::unistd::geteuid().is_root(),
        "tun" => Path::new("/dev/net/tun").exists(),
        "conntrack-limit" => conntrack_can_be_filled(),
        program => program_exists(program),
    };
    network.needs.iter().filter(|need| !has(need)).cloned().collect()
}

/// Whether a lab can fill a connection-tracking table: the limit is one for the machine, and must be modest.
fn conntrack_can_be_filled() -> bool {
    let limit = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max");
    limit
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .is_some_and(|limit: u64| limit <= CONNTRACK_LIMIT_MAX)
}

/// Whether a program is where the lab looks for programs.
pub fn program_exists(program: &str) -> bool {
    SEARCH_PATH.split(':').any(|directory| Path::new(directory).join(program).exists())
}
