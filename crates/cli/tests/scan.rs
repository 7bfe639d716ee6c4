//! `netwhy scan` as a user runs it, against listeners of the test's own on loopback: results, checks, stopping, going on.

// Helpers of tests may unwrap as tests do; the lint knows only functions marked as tests.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Longest time a run takes before the test fails, in seconds.
const RUN_SECONDS_MAX: u64 = 60;

fn netwhy(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netwhy"));
    command.env_clear().env("LANG", "en_US.UTF-8").env("HOME", folder).current_dir(folder);
    command.stdin(Stdio::null());
    command
}

/// Two listeners at a loopback address that no other test has, and a port there that is closed.
struct Ports {
    host: String,
    open: [TcpListener; 2],
    closed: u16,
}

impl Ports {
    fn new() -> Self {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        let host = format!("127.73.{}.1", NUMBER.fetch_add(1, Ordering::Relaxed));
        let open = [(); 2].map(|()| TcpListener::bind((host.as_str(), 0)).unwrap());
        Self { host, open, closed: 1 }
    }

    fn numbers(&self) -> [u16; 2] {
        self.open.each_ref().map(|listener| listener.local_addr().unwrap().port())
    }

    fn list(&self) -> String {
        let [first, second] = self.numbers();
        format!("{first},{second},{}", self.closed)
    }
}

fn scan(folder: &Path, host: &str, arguments: &[&str]) -> Output {
    netwhy(folder).args(["scan", host, "--connect"]).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn json_lines_are_a_contract() {
    let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::new());
    let output = scan(folder.path(), &ports.host, &["-p", &ports.list(), "--json", "--all"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = lines(&output);
    assert_eq!(lines.len(), 4, "a line a port, then the summary");
    let mut states = BTreeMap::new();
    for line in &lines[..3] {
        let mut keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let mut wanted = ["host", "port", "protocol", "state", "reason", "ttl", "rtt_ms"];
        wanted.sort_unstable();
        assert_eq!(keys, wanted, "these and no others");
        assert_eq!(
            (&line["host"], &line["protocol"]),
            (&Value::from(ports.host.as_str()), &Value::from("tcp"))
        );
        states.insert(line["port"].as_u64().unwrap(), line["state"].as_str().unwrap().to_owned());
    }
    let [first, second] = ports.numbers().map(u64::from);
    assert_eq!((states[&first].as_str(), states[&second].as_str()), ("open", "open"));
    assert_eq!(states[&u64::from(ports.closed)], "closed");
    let summary = &lines[3]["summary"];
    assert_eq!((summary["open"].as_u64(), summary["closed"].as_u64()), (Some(2), Some(1)));
    assert_eq!(summary["complete"], true);
    let quiet = scan(folder.path(), &ports.host, &["-p", &ports.list(), "--json"]);
    assert_eq!(stdout(&quiet).lines().count(), 3, "closed ports only with --all");
}

#[test]
fn a_look_says_what_is_open() {
    let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::new());
    let port = ports.numbers()[0];
    let list = format!("{port},{}", ports.closed);
    let Ports { open: [listener, _], host, .. } = ports;
    // Asked once by the scan, once by the look; a listener may be asked more often.
    std::thread::spawn(move || {
        for stream in listener.incoming().take(10) {
            let _ = stream.unwrap().write_all(b"SSH-2.0-\x1b[2Jtest\r\n");
        }
    });
    let lines = lines(&scan(folder.path(), &host, &["-p", &list, "-s", "--json"]));
    assert_eq!(lines.len(), 2, "one line a port: {lines:?}");
    assert_eq!(lines[0]["look"]["service"], "ssh");
    assert!(!lines[0]["look"]["banner"].as_str().unwrap().contains('\u{1b}'));
}

#[test]
fn the_page_names_what_is_open() {
    let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::new());
    let page = stdout(&scan(folder.path(), &ports.host, &["-p", &ports.list()]));
    for port in ports.numbers() {
        assert!(page.lines().any(|line| line.starts_with(&format!("{port}/tcp")) && line.contains(" open ")));
    }
    assert!(page.contains("2 open, 1 closed (RST)"), "{page}");
    let zh = stdout(&scan(folder.path(), &ports.host, &["-p", &ports.list(), "--lang", "zh"]));
    assert!(zh.contains("2 个开放，1 个关闭（RST）"), "{zh}");
}

#[test]
fn more_or_less_open_than_expected_is_exit_code_1() {
    let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::new());
    let [first, second] = ports.numbers();
    let expecting = |open: String| {
        scan(folder.path(), &ports.host, &["-p", &ports.list(), "--expect", &format!("open={open}")])
    };
    let right = expecting(format!("{first},{second}"));
    assert_eq!(right.status.code(), Some(0), "{right:?}");
    assert!(stdout(&right).contains("All is as it ought to be."));
    let more = expecting(first.to_string());
    assert_eq!(more.status.code(), Some(1));
    assert!(stdout(&more).contains(&format!("+ {}:{second}/tcp: is open, ought not to be", ports.host)));
    let less = expecting(format!("{},{first},{second}", ports.closed));
    assert_eq!(less.status.code(), Some(1));
    let missing = format!("- {}:{}/tcp: ought to be open, is closed (RST)", ports.host, ports.closed);
    assert!(stdout(&less).contains(&missing), "{less:?}");
}

#[test]
fn a_change_since_the_last_scan_is_exit_code_1() {
    let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::new());
    let list = ports.list();
    let old = scan(folder.path(), &ports.host, &["-p", &list, "--jsonl", "old.jsonl"]);
    assert_eq!(old.status.code(), Some(0), "{old:?}");
    let same = scan(folder.path(), &ports.host, &["-p", &list, "--diff", "old.jsonl"]);
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    let [first, second] = ports.numbers();
    let Ports { open: [gone, listening], host, .. } = ports;
    drop(gone);
    let changed = scan(folder.path(), &host, &["-p", &list, "--diff", "old.jsonl", "--json"]);
    assert_eq!(changed.status.code(), Some(1));
    let told = String::from_utf8_lossy(&changed.stderr).into_owned();
    assert!(told.contains(&format!("- {host}:{first}/tcp: was open, is closed (RST)")), "{told}");
    let differences = lines(&changed).pop().unwrap()["summary"]["differences"].clone();
    assert_eq!(differences.as_array().unwrap().len(), 1);
    assert_eq!(differences[0]["expected"], "open");
    assert_eq!(listening.local_addr().unwrap().port(), second);
}

#[test]
fn xml_has_the_structure_nmaps_readers_expect() {
    let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::new());
    let output = scan(folder.path(), &ports.host, &["-p", &ports.list(), "--xml", "-"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = stdout(&output);
    let paths = element_paths(&page);
    for wanted in [
        "nmaprun/scaninfo",
        "nmaprun/host/status",
        "nmaprun/host/address",
        "nmaprun/host/ports/extraports/extrareasons",
        "nmaprun/host/ports/port/state",
        "nmaprun/runstats/finished",
        "nmaprun/runstats/hosts",
    ] {
        assert!(paths.iter().any(|path| path == wanted), "{wanted} is missing: {page}");
    }
    assert_eq!(paths.iter().filter(|path| *path == "nmaprun/host/ports/port").count(), 2);
}

/// The path of every element; panics where elements do not nest.
fn element_paths(page: &str) -> Vec<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut paths = Vec::new();
    for tag in page.split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0) {
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        open.push(tag.split([' ', '/']).next().unwrap());
        paths.push(open.join("/"));
        if tag.ends_with('/') {
            open.pop();
        }
    }
    assert!(open.is_empty(), "{open:?} is not closed");
    paths
}

#[test]
fn an_output_on_a_full_disk_is_told_and_the_others_are_whole() {
    let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::new());
    let output = scan(
        folder.path(),
        &ports.host,
        &["-p", &ports.list(), "--csv", "/dev/full", "--jsonl", "all.jsonl"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write /dev/full"), "{output:?}");
    assert!(stdout(&output).contains("2 open"));
    assert_eq!(std::fs::read_to_string(folder.path().join("all.jsonl")).unwrap().lines().count(), 3);
}

/// A scan slow enough to be stopped, that keeps where it stands.
fn slow(folder: &Path, ports: &Ports) -> Child {
    let mut command = netwhy(folder);
    let list = format!("2-400,{}", ports.list());
    command.args(["scan", &ports.host, "--connect", "-p", &list, "--rate", "100"]);
    command.args(["--json", "--checkpoint", "scan.ckpt"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn until(what: &str, holds: impl FnMut() -> bool) {
    netwhy_testing::until(what, Duration::from_secs(RUN_SECONDS_MAX), holds);
}

#[test]
fn a_scan_stopped_or_killed_goes_on_where_it_was() {
    for signal in ["-INT", "-KILL"] {
        let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::new());
        let path = folder.path().join("scan.ckpt");
        let child = slow(folder.path(), &ports);
        // The first checkpoint is written before anything is asked, the next when something was.
        until("the first checkpoint", || path.exists());
        let first = std::fs::read(&path).unwrap();
        until("the next checkpoint", || std::fs::read(&path).is_ok_and(|now| now != first));
        send(signal, &child);
        let stopped = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&stopped.stderr).into_owned();
        if signal == "-INT" {
            assert_eq!(stopped.status.code(), Some(130), "{told}");
            assert!(told.contains("go on with: netwhy scan --resume scan.ckpt"), "{told}");
            assert_eq!(lines(&stopped).pop().unwrap()["summary"]["complete"], false);
        }
        let resumed =
            netwhy(folder.path()).args(["scan", "--resume", "scan.ckpt", "--json"]).output().unwrap();
        assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
        let mut told = lines(&resumed);
        let summary = told.pop().unwrap()["summary"].clone();
        let mut open: Vec<u64> = told.iter().map(|line| line["port"].as_u64().unwrap()).collect();
        open.sort_unstable();
        let mut listening = ports.numbers().map(u64::from);
        listening.sort_unstable();
        assert_eq!(open, listening, "what was found before is told again, once");
        let settled = ["open", "closed", "filtered", "rejected"].map(|key| summary[key].as_u64().unwrap());
        assert_eq!(settled.iter().sum::<u64>(), 402, "{summary}");
        assert!(!path.exists(), "a finished scan leaves no checkpoint");
    }
}

#[test]
fn a_torn_checkpoint_is_refused() {
    let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::new());
    let path = folder.path().join("scan.ckpt");
    let child = slow(folder.path(), &ports);
    until("the first checkpoint", || path.exists());
    send("-KILL", &child);
    child.wait_with_output().unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let output = netwhy(folder.path()).args(["scan", "--resume", "scan.ckpt"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.starts_with("error: checkpoint scan.ckpt: is torn") && told.contains("hint: "), "{told}");
    std::fs::write(&path, &whole).unwrap();
    let other = netwhy(folder.path()).args(["scan", "127.0.0.2", "--resume", "scan.ckpt"]).output().unwrap();
    assert!(String::from_utf8_lossy(&other.stderr).contains("is of another scan"), "{other:?}");
}

#[test]
fn a_checkpoint_too_large_is_refused_before_it_is_written() {
    for (lang, said, hint) in [
        (
            "en",
            "error: hosts: 200000, ports of each: 1; more than a checkpoint keeps in mind",
            "hint: cut the",
        ),
        ("zh", "错误：200000 台主机，每台 1 个端口：超出检查点所能记录", "提示：把主机"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let words = ["--lang", lang, "scan", "127.1.0.0-127.4.13.63", "-p", "1", "--i-am-authorized"];
        let output = netwhy(folder.path()).args(words).args(["--checkpoint", "scan.ckpt"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.starts_with(said) && told.contains(hint), "{told}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is written");
    }
}

#[test]
fn a_list_names_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("list.txt"), "127.0.0.1\n127.0.0.300\n").unwrap();
    let output = netwhy(folder.path()).args(["scan", "@list.txt"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.starts_with("error: list.txt:2: 127.0.0.300: "), "{told}");
}

#[test]
fn a_reader_that_goes_away_ends_the_scan() {
    let (folder, ports) = (tempfile::tempdir().unwrap(), Ports::new());
    let mut child = slow(folder.path(), &ports);
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(!told.contains("error") && !told.contains("not finished"), "{told}");
}
