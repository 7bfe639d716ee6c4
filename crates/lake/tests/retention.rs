//! Retention and merging.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{BEGIN, count, log, number, open, sql};

const ROW_COUNT: u64 = 3_000;
const HOUR_MS: i64 = 3_600_000;

#[test]
fn small_files_become_one_for_each_hour_and_old_hours_leave() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder.path().join("lake"));
    for seed in 1..4 {
        let input = log(&folder.path().join(format!("{seed}.log")), seed, ROW_COUNT);
        lake.import(&[input], &mut |_| {}).unwrap();
    }
    let sums = "SELECT sum(CAST(bytes AS BIGINT) * 31 + CAST(\"offset\" AS BIGINT) + sport) FROM flows WHERE file LIKE '%.log'";
    let before = number(&sql(&lake, sums));
    let begin_ms = BEGIN as i64 * 1000;
    let report = lake.retention(180, begin_ms).unwrap();
    assert_eq!((report.merged_files, report.written_files, report.dropped_files), (6, 2, 0));
    assert_eq!(count(&lake), 3 * ROW_COUNT as i64);
    assert_eq!(number(&sql(&lake, sums)), before, "every column of every record is kept");
    let report = lake.retention(180, begin_ms).unwrap();
    assert_eq!((report.merged_files, report.dropped_files), (0, 0), "a second time there is nothing to do");
    let later_ms = begin_ms + 180 * 24 * HOUR_MS + HOUR_MS;
    let report = lake.retention(180, later_ms).unwrap();
    assert_eq!((report.dropped_files, report.dropped_rows), (1, 3 * ROW_COUNT / 2));
    assert_eq!(count(&lake), 3 * ROW_COUNT as i64 / 2);
}
