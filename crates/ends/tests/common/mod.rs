//! What the tests share.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

pub mod pretend;

use netwhy_ends::{At, EndName, Ends, OpenOptions, Place};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The helper that is started at other places.
pub fn helper() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_netwhy-end-for-tests"))
}

/// Options that start the helper.
pub fn options() -> OpenOptions {
    OpenOptions {
        program: Some(helper()),
        runner: Some(Arc::new(pretend::Engine)),
        eyes: Some(Arc::new(pretend::Eyes::default())),
        ..OpenOptions::default()
    }
}

/// Reads `NAME=PLACE`.
pub fn at(texts: &[&str]) -> Vec<(EndName, Place)> {
    texts.iter().map(|text| text.parse::<At>().unwrap()).map(|at| (at.name, at.place)).collect()
}

/// Opens ends that must open.
pub async fn open(texts: &[&str]) -> Ends {
    let ends = Ends::open(&at(texts), &options()).await;
    if let Some((name, place, why)) = ends.failed().first() {
        panic!("{} at {place}: {why}", name.name);
    }
    ends
}

/// Why an end that must not open does not.
pub async fn refusal(text: &str, options: &OpenOptions) -> netwhy_ends::EndError {
    let ends = Ends::open(&at(&[text]), options).await;
    assert!(ends.opened().is_empty(), "{text} opened");
    ends.failed()[0].2.clone()
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Waits until something holds, at most five seconds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..100 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

/// Whether a process exists and is no zombie.
pub fn is_alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// A command prefix that starts what follows where neither this process's /proc entry nor the helper's file is seen.
pub fn apart() -> Option<String> {
    let place = helper();
    let hide = format!("mount -t tmpfs none {} && exec \"$@\"", place.parent().unwrap().display());
    let prefix = format!("unshare -p -m -f --mount-proc sh -c '{hide}' --");
    let can = std::process::Command::new("sh").args(["-c", &format!("{prefix} true")]).output();
    if can.is_ok_and(|output| output.status.success()) {
        return Some(prefix);
    }
    println!("SKIPPED: needs the right to make PID namespaces and to mount");
    None
}
