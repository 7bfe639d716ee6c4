//! Imports: once, whole, whatever happens.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{count, log, number, open, sql};
use netwhy_lake::Outcome;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROW_COUNT: u64 = 3_000;
const INPUT_COUNT: u64 = 4;
const KILL_COUNT: u32 = 50;
/// Where the child of the killing test finds its folder.
const FOLDER: &str = "NETWHY_LAKE_TEST_FOLDER";

#[test]
fn the_same_bytes_are_imported_once_whatever_they_are_called() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder.path().join("lake"));
    let first = log(&folder.path().join("a.log"), 1, ROW_COUNT);
    let report = lake.import(std::slice::from_ref(&first), &mut |_| {}).unwrap();
    assert_eq!((report.rows, report.inputs[0].outcome.clone()), (ROW_COUNT, Outcome::Added));
    assert_eq!(report.files, 2, "one file for each hour");
    let copy = folder.path().join("copy.log");
    fs::copy(&first, &copy).unwrap();
    let other = log(&folder.path().join("b.log"), 2, ROW_COUNT);
    let report = lake.import(&[first.clone(), copy, other], &mut |_| {}).unwrap();
    let known = Outcome::Known(first.to_string_lossy().into_owned());
    let outcomes: Vec<_> = report.inputs.iter().map(|input| input.outcome.clone()).collect();
    assert_eq!(outcomes, [known.clone(), known, Outcome::Added]);
    assert_eq!(count(&lake), 2 * ROW_COUNT as i64);
    assert_eq!(
        number(&sql(&lake, "SELECT count(DISTINCT \"offset\") FROM flows WHERE account = '123456789011'")),
        ROW_COUNT as i64
    );
}

#[test]
fn a_log_that_grew_adds_only_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder.path().join("lake"));
    let path = log(&folder.path().join("a.log"), 1, ROW_COUNT);
    let whole = fs::read(&path).unwrap();
    let half = whole[..whole.len() / 2].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(&path, &whole[..half]).unwrap();
    lake.import(std::slice::from_ref(&path), &mut |_| {}).unwrap();
    let before = count(&lake);
    fs::write(&path, &whole).unwrap();
    let report = lake.import(std::slice::from_ref(&path), &mut |_| {}).unwrap();
    assert_eq!(report.inputs[0].outcome, Outcome::Grown(before as u64));
    assert_eq!(count(&lake), ROW_COUNT as i64);
}

#[test]
fn what_is_no_flow_log_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder.path().join("lake"));
    let torn = folder.path().join("torn.parquet");
    fs::write(&torn, b"PAR1 and then nothing that a footer is made of").unwrap();
    let missing = folder.path().join("missing.log");
    let good = log(&folder.path().join("a.log"), 1, ROW_COUNT);
    let report = lake.import(&[torn, missing, good], &mut |_| {}).unwrap();
    assert!(
        matches!(&report.inputs[0].outcome, Outcome::Failed(why) if why.contains("footer")),
        "{report:?}"
    );
    assert!(matches!(&report.inputs[1].outcome, Outcome::Failed(_)));
    assert_eq!(report.inputs[2].outcome, Outcome::Added);
    assert_eq!(count(&lake), ROW_COUNT as i64);
}

#[test]
fn an_import_killed_anywhere_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<PathBuf> = (0..INPUT_COUNT)
        .map(|seed| log(&folder.path().join(format!("{seed}.log")), seed + 1, ROW_COUNT))
        .collect();
    // How long an undisturbed import takes here, so that the kills fall all over it.
    let began = Instant::now();
    let mut child = start(&folder.path().join("trial"), folder.path());
    assert!(child.wait().unwrap().success());
    let whole = began.elapsed();
    let path = folder.path().join("lake");
    for kill in 0..KILL_COUNT {
        // A fresh lake now and then, so that every part of an import is met, the first as well as the last.
        if kill % 10 == 0 {
            let _ = fs::remove_dir_all(&path);
        }
        let mut child = start(&path, folder.path());
        let after = whole.mul_f64(f64::from(kill * 37 % KILL_COUNT) / f64::from(KILL_COUNT));
        std::thread::sleep(after + Duration::from_micros(u64::from(kill) * 97));
        child.kill().unwrap();
        child.wait().unwrap();
        let lake = open(&path);
        assert_eq!(count(&lake) % ROW_COUNT as i64, 0, "half an input after kill {kill}");
    }
    let lake = open(&path);
    lake.import(&inputs, &mut |_| {}).unwrap();
    assert_eq!(count(&lake), (INPUT_COUNT * ROW_COUNT) as i64);
    let different = "SELECT count(*) FROM (SELECT DISTINCT account, \"offset\" FROM flows)";
    assert_eq!(number(&sql(&lake, different)), (INPUT_COUNT * ROW_COUNT) as i64);
    assert!(unknown(&path).is_empty(), "left behind: {:?}", unknown(&path));
}

/// Files in the lake that are neither its records nor its manifests.
fn unknown(lake: &Path) -> Vec<PathBuf> {
    let mut left = Vec::new();
    let mut folders = vec![lake.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.contains("unfinished") {
                left.push(path);
            }
        }
    }
    left
}

fn start(lake: &Path, folder: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--quiet"])
        .env(FOLDER, folder)
        .env(format!("{FOLDER}_LAKE"), lake)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "the process that the test above kills"]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let lake = open(Path::new(&std::env::var(format!("{FOLDER}_LAKE")).unwrap()));
    for seed in 0..INPUT_COUNT {
        lake.import(&[Path::new(&folder).join(format!("{seed}.log"))], &mut |_| {}).unwrap();
    }
}
