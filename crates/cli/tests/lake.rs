//! `netwhy flows import`, `query` and the cluster as a user runs them, and what becomes of them when a process is killed.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]
#![cfg(feature = "lake")]

use netwhy_testing::{Desk, until};
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const INPUT_COUNT: u64 = 4;
const KILL_COUNT: u32 = 50;
/// How often an executor is killed at most, until once it was in the middle of a query.
const TRY_COUNT_MAX: u32 = 10;
/// How long a process of the cluster may take to listen or to begin.
const START_MAX: Duration = Duration::from_secs(60);

/// A child process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder with flow logs of about so many records each.
fn desk(records: u64) -> Desk {
    let desk = Desk::new(env!("CARGO_BIN_EXE_netwhy"), &[]);
    for seed in 0..INPUT_COUNT {
        let (name, seed, records) = (format!("{seed}.log"), (seed + 1).to_string(), records.to_string());
        let words = ["flows", "generate", &name, "--seed", &seed, "--records", &records];
        assert!(desk.run(&words).status.success());
    }
    desk
}

fn import(desk: &Desk, lake: &str) -> Command {
    let mut command = desk.command(&["flows", "import", "0.log", "1.log", "2.log", "3.log", "--lake", lake]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn rows(desk: &Desk, question: &str, further: &[&str]) -> Value {
    let (code, answer) = desk.json(&[&["flows", "query", question, "-n", "1000"], further].concat());
    assert_eq!(code, 0, "{answer}");
    answer["rows"].clone()
}

#[test]
fn an_import_killed_anywhere_loses_and_doubles_nothing() {
    const INPUTS: &str = "SELECT file, count(*) AS n, count(DISTINCT \"offset\") AS places FROM flows GROUP BY file ORDER BY file";
    let desk = desk(3_000);
    // How long an undisturbed import takes here, so that the kills fall all over it.
    let began = Instant::now();
    assert!(import(&desk, "whole").status().unwrap().success());
    let takes = began.elapsed();
    let whole = rows(&desk, INPUTS, &["--lake", "whole"]);
    assert_eq!(whole.as_array().map(Vec::len), Some(INPUT_COUNT as usize), "{whole}");
    let path = desk.path().join("lake");
    for kill in 0..KILL_COUNT {
        // A fresh lake now and then, so that every part of an import is met, the first as well as the last.
        if kill % 10 == 0 {
            let _ = std::fs::remove_dir_all(&path);
        }
        let mut child = import(&desk, "lake").spawn().unwrap();
        // The moment is what is tried.
        let after = takes.mul_f64(f64::from(kill * 37 % KILL_COUNT) / f64::from(KILL_COUNT));
        std::thread::sleep(after + Duration::from_micros(u64::from(kill) * 97));
        child.kill().unwrap();
        child.wait().unwrap();
        if !path.join("manifest").exists() {
            continue;
        }
        let left = rows(&desk, INPUTS, &["--lake", "lake"]);
        for input in left.as_array().unwrap() {
            assert!(whole.as_array().unwrap().contains(input), "half an input after kill {kill}: {input}");
        }
    }
    assert!(import(&desk, "lake").status().unwrap().success());
    assert_eq!(rows(&desk, INPUTS, &["--lake", "lake"]), whole);
    assert!(unfinished(&path).is_empty(), "left behind: {:?}", unfinished(&path));
}

/// Files in the lake that no import finished.
fn unfinished(lake: &Path) -> Vec<PathBuf> {
    let mut left = Vec::new();
    let mut folders = vec![lake.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("unfinished") {
                left.push(path);
            }
        }
    }
    left
}

#[test]
fn what_an_answer_could_not_read_is_told() {
    const COUNT: &str = "SELECT count(dport) AS n FROM flows";
    const TWICE: &str = "SELECT (SELECT count(dport) FROM flows) AS n, count(dport) AS m FROM flows";
    let line = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 40000 443 6 1 40 1767225600 1767225660 ACCEPT OK";
    let log = format!("{line}\n{}\n{line}\n", line.replace("443", "https"));
    let desk = Desk::new(env!("CARGO_BIN_EXE_netwhy"), &[("a.log", &log)]);
    // What a query reads twice is told once.
    for question in [COUNT, TWICE] {
        let told = String::from_utf8(desk.run(&["flows", "query", question, "a.log"]).stderr).unwrap();
        assert!(told.contains("a.log:2: ") && told.contains("1 of 3 records could not be read"), "{told}");
        let (_, answer) = desk.json(&["flows", "query", question, "a.log"]);
        assert_eq!((&answer["rows"][0]["n"], &answer["input"]["unread"]), (&2.into(), &1.into()), "{answer}");
    }
    assert!(desk.run(&["flows", "import", "a.log", "--lake", "lake"]).status.success());
    let data = desk.path().join("lake/data/date=2026-01-01/hour=00");
    let file = std::fs::read_dir(data).unwrap().next().unwrap().unwrap().path();
    std::fs::write(file, b"torn").unwrap();
    let (_, answer) = desk.json(&["flows", "query", COUNT, "--lake", "lake"]);
    let broken = &answer["input"]["broken"][0];
    assert!(broken["file"].as_str().unwrap().starts_with("data/date=2026-01-01/hour=00/"), "{answer}");
    assert!(broken["why"].as_str().unwrap().ends_with("its 2 records are left out"), "{answer}");
}

#[test]
fn a_lake_stands_wherever_files_may() {
    let desk = desk(3_000);
    let alerts = |files: &[&str]| {
        let (code, report) = desk.json(&[&["flows", "detect"], files].concat());
        assert_eq!(code, 1, "{report}");
        let id = |one: &Value| format!("{} {} {}", one["id"], one["entity"], one["start"]);
        let mut alerts: Vec<String> = report["alerts"].as_array().unwrap().iter().map(id).collect();
        alerts.sort();
        (alerts, report["input"]["records"].clone())
    };
    let files = alerts(&["0.log"]);
    // Half a file first, so that each hour is in pieces.
    let whole = std::fs::read_to_string(desk.path().join("0.log")).unwrap();
    let half = whole[..whole.len() / 2].rfind('\n').unwrap() + 1;
    for text in [&whole[..half], &whole] {
        std::fs::write(desk.path().join("grown.log"), text).unwrap();
        assert!(desk.run(&["flows", "import", "grown.log", "--lake", "lake"]).status.success());
    }
    assert_eq!(alerts(&["lake"]), files);
    // The pieces that were merged are still there, and count no more.
    let (_, merged) = desk.json(&["flows", "retention", "--lake", "lake", "--days", "36500"]);
    assert!(merged["merged_files"].as_u64() > Some(0), "{merged}");
    assert_eq!(alerts(&["lake"]), files);
    let counted = rows(&desk, "SELECT count(*) AS n FROM flows", &["lake"]);
    assert_eq!(counted[0]["n"], files.1);
    let both = desk.run(&["flows", "query", "pairs", "lake", "0.log"]);
    assert!(String::from_utf8_lossy(&both.stderr).contains("a lake is asked alone"), "{both:?}");
    let (_, rows) =
        desk.json(&["flows", "show", "lake", "--until", "2026-01-01T01:00:00Z", "--top", "talkers"]);
    assert!(rows["rows"].as_array().is_some_and(|rows| !rows.is_empty()), "{rows}");
    let nowhere = desk.run(&["flows", "detect", "lake", "--until", "2025-01-01"]);
    assert_eq!(nowhere.status.code(), Some(0), "{nowhere:?}");
}

#[test]
fn a_list_of_ones_own_stands_beside_the_records() {
    let desk = desk(500);
    std::fs::write(desk.path().join("ports.csv"), "port,name\n22,ssh\n443,https\n").unwrap();
    let question = "SELECT p.name, count(*) AS n FROM flows f JOIN ports p ON f.dport = p.port GROUP BY p.name ORDER BY p.name";
    let names = rows(&desk, question, &["--table", "ports=ports.csv", "0.log"]);
    let alone = rows(&desk, "SELECT count(*) AS n FROM flows WHERE dport = 443", &["0.log"]);
    assert_eq!((&names[0]["name"], &names[0]["n"]), (&"https".into(), &alone[0]["n"]));
    for (table, said) in [("Ports=ports.csv", "is no table"), ("ports=none.csv", "there is no file")] {
        let output = desk.run(&["flows", "query", question, "--table", table, "0.log"]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && errors.contains(said), "{errors}");
    }
}

/// A scheduler and its executors on loopback, each a process of its own.
struct Cluster<'a> {
    desk: &'a Desk,
    port: String,
    scheduler: Process,
}

impl<'a> Cluster<'a> {
    fn start(desk: &'a Desk) -> Cluster<'a> {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let scheduler = started(desk, &["flows", "scheduler", "--listen", &address], port);
        Cluster { desk, port: port.to_string(), scheduler }
    }

    /// An executor whose work between two steps of a query lies in the folder `work`.
    fn executor(&self, work: &str) -> Process {
        let (port, orders) = (free_port(), free_port().to_string());
        let (scheduler, listen) = (format!("127.0.0.1:{}", self.port), format!("127.0.0.1:{port}"));
        std::fs::create_dir_all(self.desk.path().join(work)).unwrap();
        let words =
            ["flows", "executor", "--scheduler", &scheduler, "--listen", &listen, "--orders", &orders];
        started(self.desk, &[&words[..], &["--work", work, "--tasks", "2"]].concat(), port)
    }

    fn words<'b>(&self, question: &'b str, place: &'b str) -> [&'b str; 9] {
        ["flows", "query", question, "--lake", "lake", "-n", "1000", "--cluster", place]
    }

    fn place(&self) -> String {
        format!("ballista://127.0.0.1:{}", self.port)
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn started(desk: &Desk, words: &[&str], port: u16) -> Process {
    let process = Process(desk.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until(&words.join(" "), START_MAX, || TcpStream::connect(("127.0.0.1", port)).is_ok());
    process
}

/// How many jobs have left something in an executor's folder.
fn job_count(work: &Path) -> usize {
    std::fs::read_dir(work).unwrap().count()
}

#[test]
fn a_cluster_answers_the_same_also_when_an_executor_dies_and_says_so_when_the_scheduler_does() {
    let desk = desk(20_000);
    assert!(import(&desk, "lake").status().unwrap().success());
    let cluster = Cluster::start(&desk);
    let place = cluster.place();
    let mut executors = ["first", "second"].map(|name| (name, cluster.executor(name)));
    for question in ["top-talkers", "rejected", "destinations", "fan-out", "pairs", "new-pairs", "series"] {
        let (code, answer) = desk.json(&cluster.words(question, &place));
        assert_eq!((code, &answer["rows"]), (0, &rows(&desk, question, &["--lake", "lake"])), "{question}");
    }
    let pairs = rows(&desk, "pairs", &["--lake", "lake"]);
    let began = Instant::now();
    desk.json(&cluster.words("pairs", &place));
    let undisturbed = began.elapsed();
    let mut was_killed = false;
    for _ in 0..TRY_COUNT_MAX {
        let works = executors.each_ref().map(|(name, _)| desk.path().join(name));
        let before = works.each_ref().map(|work| job_count(work));
        // Into a file: nobody reads a pipe while the query runs.
        let words = [&cluster.words("pairs", &place)[..], &["--json", "--out", "answer.json"]].concat();
        let began = Instant::now();
        let mut query = Process(desk.command(&words).stdout(Stdio::null()).spawn().unwrap());
        let busy = || (0..2).find(|at| job_count(&works[*at]) > before[*at]);
        until("work of an executor", START_MAX, || busy().is_some() || query.0.try_wait().unwrap().is_some());
        let at = busy().unwrap_or(0);
        let (name, victim) = &mut executors[at];
        was_killed = query.0.try_wait().unwrap().is_none();
        victim.0.kill().unwrap();
        assert!(query.0.wait().unwrap().success());
        let answer = std::fs::read_to_string(desk.path().join("answer.json")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["rows"], pairs);
        if was_killed {
            println!("undisturbed {undisturbed:?}, with an executor killed {:?}", began.elapsed());
            break;
        }
        *victim = cluster.executor(name);
    }
    assert!(was_killed, "no executor was killed in the middle of a query");
    let (_, answer) = desk.json(&cluster.words("pairs", &place));
    assert_eq!(answer["rows"], pairs, "with one executor left");
    drop(cluster.scheduler);
    let output = desk.run(&["flows", "query", "pairs", "--lake", "lake", "--cluster", &place]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && errors.contains("scheduler"), "{errors}");
}
