//! What the tests of the lake share: small logs with known content.

#![allow(dead_code, reason = "each test file uses its own part")]

use netwhy_lake::{Cell, Lake, LakeOptions, Question, Rows};
use std::fs;
use std::path::{Path, PathBuf};

/// The first second of the logs.
pub const BEGIN: u64 = 1_767_225_600;

/// An AWS v2 log of `count` records over two hours; its lines differ from those of another seed.
pub fn log(path: &Path, seed: u64, count: u64) -> PathBuf {
    let mut text = String::from(
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n",
    );
    for row in 0..count {
        let start = BEGIN + row * 7_200 / count;
        let action = if row % 10 == 3 { "REJECT" } else { "ACCEPT" };
        let (source, destination) = (row % 7 + seed, row * 13 % 101);
        let end = start + 30;
        let (port, bytes) = (if row % 3 == 0 { 22 } else { 443 }, 40 + row % 1_000);
        text += &format!(
            "2 1234567890{} eni-{} 10.0.{source}.5 192.168.1.{destination} {} {port} 6 1 {bytes} {start} {end} {action} OK\n",
            seed % 90 + 10,
            row % 5,
            40_000 + row % 1_000,
        );
    }
    fs::write(path, text).unwrap();
    path.to_owned()
}

pub fn open(path: &Path) -> Lake {
    Lake::open(&path.to_string_lossy(), LakeOptions { workers: 2, ..LakeOptions::default() }).unwrap()
}

pub fn sql(lake: &Lake, sql: &str) -> Rows {
    lake.query(&Question::Sql(sql.to_owned())).unwrap()
}

/// The one number of an answer.
pub fn number(rows: &Rows) -> i64 {
    match rows.rows.first().and_then(|row| row.first()) {
        Some(Cell::Signed(number)) => *number,
        Some(Cell::Unsigned(number)) => *number as i64,
        other => panic!("no number: {other:?}"),
    }
}

pub fn count(lake: &Lake) -> i64 {
    number(&sql(lake, "SELECT count(*) FROM flows"))
}

/// An answer as text, for comparing.
pub fn text(rows: &Rows) -> Vec<String> {
    let cell = |cell: &Cell| match cell {
        Cell::Null => "-".to_owned(),
        Cell::Address(address) => address.to_string(),
        Cell::Time(time) => time.to_string(),
        Cell::Signed(number) => number.to_string(),
        Cell::Unsigned(number) => number.to_string(),
        Cell::Float(number) => number.to_string(),
        Cell::Word(word) => word.clone(),
        Cell::Truth(truth) => truth.to_string(),
    };
    rows.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect()
}
