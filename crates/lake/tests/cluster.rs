//! The same questions on a real scheduler and two real executors, each a process of its own, on loopback.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]
#![cfg(feature = "cluster")]

mod common;

use common::{log, open, text};
use netwhy_lake::cluster::{ExecutorOptions, serve_executor, serve_scheduler};
use netwhy_lake::{Filter, Lake, LakeError, LakeOptions, Question};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROW_COUNT: u64 = 20_000;
const INPUT_COUNT: u64 = 4;
/// How long a process may take to listen.
const START_SECONDS_MAX: u64 = 60;
const ROLE: &str = "NETWHY_LAKE_TEST_ROLE";

/// A child process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "not passing yet: the first run of it did not end within two minutes on a machine under load"]
fn a_cluster_answers_the_same_also_when_an_executor_dies_and_says_so_when_the_scheduler_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lake");
    let local = open(&path);
    for seed in 0..INPUT_COUNT {
        let input = log(&folder.path().join(format!("{seed}.log")), seed + 1, ROW_COUNT);
        local.import(&[input], &mut |_| {}).unwrap();
    }
    let ports = free_ports(5);
    let scheduler = start(&format!("scheduler {}", ports[0]), ports[0]);
    let first = start(&format!("executor {} {} {}", ports[0], ports[1], ports[2]), ports[1]);
    let _second = start(&format!("executor {} {} {}", ports[0], ports[3], ports[4]), ports[3]);
    let cluster = on_cluster(&path, ports[0]);
    let filter = Filter { condition: Some("in_subnet(src, '10.0.0.0/16')".to_owned()), ..Filter::default() };
    for name in netwhy_lake::NAMES {
        let question = Question::named(name, filter.clone()).unwrap();
        let answer = cluster.query(&question);
        assert_eq!(text(&answer.unwrap()), text(&local.query(&question).unwrap()), "{name}");
    }
    let question = Question::named("pairs", filter).unwrap();
    let wanted = text(&local.query(&question).unwrap());
    let began = Instant::now();
    cluster.query(&question).unwrap();
    let whole = began.elapsed();
    let victim = std::thread::spawn(move || {
        std::thread::sleep(whole / 3);
        drop(first);
    });
    let began = Instant::now();
    assert_eq!(text(&cluster.query(&question).unwrap()), wanted);
    println!("undisturbed {whole:?}, with an executor killed {:?}", began.elapsed());
    victim.join().unwrap();
    assert_eq!(text(&cluster.query(&question).unwrap()), wanted, "with one executor left");
    drop(scheduler);
    let lost = cluster.query(&question);
    assert!(matches!(lost, Err(LakeError::Scheduler { .. })), "{lost:?}");
}

fn on_cluster(path: &Path, port: u16) -> Lake {
    let options = LakeOptions {
        workers: 2,
        cluster: Some(format!("ballista://127.0.0.1:{port}")),
        ..LakeOptions::default()
    };
    Lake::open(&path.to_string_lossy(), options).unwrap()
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn start(role: &str, port: u16) -> Process {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture", "--quiet"])
        .env(ROLE, role)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process(child);
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(START_SECONDS_MAX), "{role} does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    process
}

#[test]
#[ignore = "a process of the test above"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<&str> = role.split(' ').collect();
    let port = |place: usize| words[place].parse::<u16>().unwrap();
    if words[0] == "scheduler" {
        serve_scheduler(format!("127.0.0.1:{}", port(1)).parse().unwrap(), &BTreeMap::new()).unwrap();
        return;
    }
    let options = ExecutorOptions {
        scheduler_host: "127.0.0.1".to_owned(),
        scheduler_port: port(1),
        host: "127.0.0.1".to_owned(),
        port: port(2),
        order_port: port(3),
        cores: 2,
        folder: None,
        memory_bytes_max: 256 << 20,
        store: BTreeMap::new(),
    };
    serve_executor(options).unwrap();
}
