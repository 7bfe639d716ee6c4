//! `netwhy host` as a user runs it: forms, refusals, the live screen in a terminal of its own.

// Helpers of tests may unwrap as tests do; the lint knows only functions marked as tests.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

use netwhy_model::host::Snapshot;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder without configuration, so that the machine's own settings change nothing.
fn netwhy(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netwhy"));
    command.env_clear().env("LANG", "en_US.UTF-8").env("HOME", folder).current_dir(folder);
    command
}

fn run(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    netwhy(folder.path()).arg("host").args(arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap() + &String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn json_is_the_whole_look_and_the_exit_code_follows_from_it() {
    let output = run(&["--json", "--window", "0", "--no-logs"]);
    let snapshot: Snapshot = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(snapshot.schema, "netwhy.host/1");
    let grave = snapshot.findings.iter().any(|f| f.severity != netwhy_model::host::Severity::Note);
    assert_eq!(output.status.code(), Some(i32::from(grave)));
}

#[test]
fn text_and_page_begin_with_the_verdict() {
    for (lang, listens) in [("en", "Listeners"), ("zh", "监听")] {
        // Something of this host always listens here: this test's own socket.
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let text = told(&run(&["--window", "0", "--no-logs", "--lang", lang]));
        let first = text.lines().next().unwrap();
        assert!(["✓", "!", "✗"].iter().any(|sign| first.starts_with(sign)), "{text}");
        assert!(text.contains(listens), "{text}");
        let page = told(&run(&["--window", "0", "--no-logs", "--lang", lang, "--format", "html"]));
        assert!(page.starts_with("<!doctype html>") && page.contains("<h1>"), "{page}");
    }
    let some = told(&run(&["--window", "0", "--no-logs", "--only", "routes,unread"]));
    assert!(some.contains("Routes") && !some.contains("Connections"), "{some}");
}

#[test]
fn what_is_wrong_with_the_words_typed() {
    let slips = [
        "--only listners",
        "--window soon",
        "--window 2m",
        "--watch",
        "--watch --interval 1ms",
        "--interval 1s",
        "--record case.json",
        "--record case.json --for 203.0.113.9",
        "--record case.json --for nowhere --port 443",
        "--record /nosuch/case.json --for 203.0.113.9 --port 443",
        "--record . --for 203.0.113.9 --port 443",
        "--record case.json --for 203.0.113.9 --port 0",
        "--watch --record case.json --for 203.0.113.9 --port 443",
    ];
    let all: Vec<String> = slips
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let output = run(&words);
            assert_eq!(output.status.code(), Some(2), "{line}");
            assert!(output.stdout.is_empty(), "{line}");
            let zh = told(&run(&[&words[..], &["--lang", "zh"]].concat()));
            assert!(zh.starts_with("错误：") && zh.lines().count() == 2, "{line}: {zh}");
            format!("$ netwhy host {line}\n{}", told(&output))
        })
        .collect();
    insta::assert_snapshot!("host_slips", all.join("\n"));
}

#[test]
fn a_record_is_kept_whole_when_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = netwhy(folder.path())
        .args(["host", "--record", "case.json", "--for", "127.0.0.1", "--port", "9"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says so as soon as it listens for signals.
    let mut said = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("127.0.0.1"), "{said}");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["case.json"], "nothing else is left");
    let text = std::fs::read(folder.path().join("case.json")).unwrap();
    let record: netwhy_model::host::Record = serde_json::from_slice(&text).unwrap();
    assert_eq!((record.schema.as_str(), record.spec.port), ("netwhy.record/1", 9));
}

/// Runs the live screen in a terminal that script(1) makes; none without that tool.
fn live(keys: &[u8], stop: Option<nix::sys::signal::Signal>) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("stty rows 24 cols 80; exec {} host --watch", env!("CARGO_BIN_EXE_netwhy"));
    let spawned = Command::new("script")
        .args(["-qefc", &line, "typescript"])
        .env_clear()
        .envs([
            ("PATH", "/usr/bin:/bin"),
            ("TERM", "xterm-256color"),
            ("LANG", "C.UTF-8"),
            ("SHELL", "/bin/sh"),
        ])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        eprintln!("SKIPPED: script(1) is not installed");
        return None;
    };
    let screen = || {
        String::from_utf8_lossy(&std::fs::read(folder.path().join("typescript")).unwrap_or_default())
            .into_owned()
    };
    wait_until(|| screen().contains("SYN_RECV"));
    child.stdin.as_mut().unwrap().write_all(keys).unwrap();
    if let Some(signal) = stop {
        for pid in children_of(child.id()) {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
        }
    }
    wait_until(|| child.try_wait().unwrap().is_some());
    Some(screen())
}

fn children_of(pid: u32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(20), "it takes too long");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_live_screen_gives_the_terminal_back() {
    use nix::sys::signal::Signal;
    let ends: [(&[u8], Option<Signal>); 4] =
        [(b"q", None), (b"\t?pzq", None), (b"\x03", None), (b"", Some(Signal::SIGTERM))];
    for (keys, stop) in ends {
        let Some(screen) = live(keys, stop) else { return };
        let (taken, given) = (screen.rfind("\u{1b}[?1049h"), screen.rfind("\u{1b}[?1049l"));
        assert!(taken.is_some() && taken < given, "{keys:?} {stop:?}: {screen:?}");
        assert!(screen.rfind("\u{1b}[?25h") > taken, "the cursor is shown again");
    }
}
