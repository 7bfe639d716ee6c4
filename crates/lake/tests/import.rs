//! Imports: once, whole, whatever happens.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{count, log, number, open, sql};
use netwhy_lake::Outcome;
use std::fs;

const ROW_COUNT: u64 = 3_000;

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
