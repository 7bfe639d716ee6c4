//! Parquet flow logs: the clouds' columns by name, and files that are broken.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{count, log, open, sql, text};
use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use netwhy_lake::Outcome;
use proptest::prelude::*;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

const ROW_COUNT: i64 = 4_000;
const GROUP_ROW_COUNT: usize = 1_000;

/// As AWS delivers it: plain numbers, seconds, text addresses, names with underscores.
fn aws(path: &Path) {
    let all = 0..ROW_COUNT;
    let words =
        |word: fn(i64) -> String| Arc::new(StringArray::from_iter_values(all.clone().map(word))) as ArrayRef;
    let numbers =
        |number: fn(i64) -> i32| Arc::new(Int32Array::from_iter_values(all.clone().map(number))) as ArrayRef;
    let long =
        |number: fn(i64) -> i64| Arc::new(Int64Array::from_iter_values(all.clone().map(number))) as ArrayRef;
    let columns = [
        ("version", numbers(|_| 2)),
        ("account_id", words(|_| "123456789012".to_owned())),
        ("interface_id", words(|row| format!("eni-{}", row % 3))),
        (
            "srcaddr",
            words(
                |row| if row % 2 == 0 { format!("10.0.0.{}", row % 200) } else { "2001:db8::5".to_owned() },
            ),
        ),
        ("dstaddr", words(|_| "10.9.9.9".to_owned())),
        ("srcport", numbers(|row| 40_000 + (row % 1_000) as i32)),
        ("dstport", numbers(|_| 22)),
        ("protocol", numbers(|_| 6)),
        ("packets", long(|row| row % 9 + 1)),
        ("bytes", long(|row| row)),
        ("start", long(|row| 1_767_225_600 + row)),
        ("end", long(|row| 1_767_225_660 + row)),
        ("action", words(|row| if row % 4 == 0 { "REJECT".to_owned() } else { "ACCEPT".to_owned() })),
        ("log_status", words(|_| "OK".to_owned())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(GROUP_ROW_COUNT)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn the_columns_of_a_cloud_are_read_by_name_and_both_kinds_of_address_are_one_column() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("vpc.parquet");
    aws(&input);
    let lake = open(&folder.path().join("lake"));
    let report = lake.import(&[input], &mut |_| {}).unwrap();
    assert_eq!(report.inputs[0].outcome, Outcome::Added);
    assert_eq!(count(&lake), ROW_COUNT);
    let rows = sql(
        &lake,
        "SELECT src, count(*) AS n, max(\"end\") FROM flows WHERE action = 'accept' AND src = '2001:db8::/32' GROUP BY src",
    );
    assert_eq!(text(&rows), ["2001:db8::5 2000 1767229659000"]);
    let rows =
        sql(&lake, "SELECT count(*), count(DISTINCT src) FROM flows WHERE in_subnet(src, '10.0.0.0/24')");
    assert_eq!(text(&rows), ["2000 100"]);
}

#[test]
fn a_broken_row_group_is_told_with_its_place_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("vpc.parquet");
    aws(&input);
    let mut bytes = fs::read(&input).unwrap();
    // The first pages of the file belong to the first row group.
    bytes[4..200].fill(0xff);
    fs::write(&input, bytes).unwrap();
    let lake = open(&folder.path().join("lake"));
    let report = lake.import(&[input], &mut |_| {}).unwrap();
    assert!(
        matches!(&report.inputs[0].outcome, Outcome::Torn(why) if why.en.contains("row group 0")),
        "{report:?}"
    );
    assert_eq!(count(&lake), ROW_COUNT - GROUP_ROW_COUNT as i64);
}

#[test]
fn a_damaged_file_of_the_lake_is_named_and_the_others_are_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lake");
    let lake = open(&path);
    lake.import(&[log(&folder.path().join("a.log"), 1, 100)], &mut |_| {}).unwrap();
    let file_of = |hour: &str| {
        let data = path.join("data/date=2026-01-01").join(hour);
        fs::read_dir(data).unwrap().next().unwrap().unwrap().path()
    };
    // Only what is asked for is read, so the times, which come first in a file, are asked for.
    const ASKED: &str = "SELECT count(*), sum(bytes), count(DISTINCT start) FROM flows";
    let first_hour = format!("{ASKED} WHERE start < '2026-01-01T01:00:00Z'");
    let sound = text(&sql(&lake, &first_hour));
    let second = file_of("hour=01");
    let whole = fs::read(&second).unwrap();
    let mut middle = whole.clone();
    middle[8..60].fill(0xff);
    // Emptied, cut to a word, broken in its first pages, cut in its middle, and gone.
    let half = whole[..whole.len() / 2].to_vec();
    for damage in [Some(Vec::new()), Some(b"torn".to_vec()), Some(middle), Some(half), None] {
        match damage {
            Some(bytes) => fs::write(&second, bytes).unwrap(),
            None => fs::remove_file(&second).unwrap(),
        }
        let rows = sql(&lake, ASKED);
        assert_eq!(text(&rows), sound);
        let [torn] = rows.torn.as_slice() else { panic!("{:?}", rows.torn) };
        assert!(torn.file.starts_with("data/date=2026-01-01/hour=01/"), "{torn:?}");
        assert!(torn.why.en.ends_with("; its 50 records are left out"), "{torn:?}");
        let out = folder.path().join("out.parquet");
        let question = netwhy_lake::Question::Sql("SELECT start, bytes FROM flows".to_owned());
        let (rows, left_out) = lake.query_to_parquet(&question, &out).unwrap();
        assert_eq!((rows, left_out.len()), (50, 1));
    }
    fs::remove_file(file_of("hour=00")).unwrap();
    let rows = sql(&lake, "SELECT count(*), sum(bytes) FROM flows");
    assert_eq!((text(&rows), rows.torn.len()), (vec!["0 -".to_owned()], 2));
    fs::write(&second, whole).unwrap();
    assert_eq!(sql(&lake, "SELECT sum(bytes) FROM flows").torn.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_stop_an_import(places in proptest::collection::vec((0usize..100_000, any::<u8>()), 1..20), cut in 0usize..100_000) {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("vpc.parquet");
        aws(&input);
        let mut bytes = fs::read(&input).unwrap();
        for (place, byte) in places {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        if cut % 3 == 0 {
            let length = cut % bytes.len();
            bytes.truncate(length);
        }
        fs::write(&input, bytes).unwrap();
        let lake = open(&folder.path().join("lake"));
        let report = lake.import(&[input], &mut |_| {}).unwrap();
        prop_assert!(report.rows as i64 <= ROW_COUNT);
    }
}
