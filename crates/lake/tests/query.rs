//! Questions: what they mean, and that our own ways of answering answer the same as plain ones.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{count, log, number, open, sql, text};
use netwhy_lake::{ColumnKind, Filter, Lake, LakeError, LakeOptions, Question};
use std::path::PathBuf;

const ROW_COUNT: u64 = 3_000;

fn lake(folder: &tempfile::TempDir) -> (Lake, Vec<PathBuf>) {
    let lake = open(&folder.path().join("lake"));
    let inputs = vec![
        log(&folder.path().join("a.log"), 1, ROW_COUNT),
        log(&folder.path().join("b.log"), 4, ROW_COUNT),
    ];
    lake.import(&inputs, &mut |_| {}).unwrap();
    (lake, inputs)
}

#[test]
fn an_address_is_compared_as_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&folder);
    let all = |condition: &str| number(&sql(&lake, &format!("SELECT count(*) FROM flows WHERE {condition}")));
    let one = all("src = '10.0.4.5'");
    assert!(one > 0);
    assert_eq!(all("src IN ('10.0.4.5', '2001:db8::1')"), one);
    assert_eq!(all("src BETWEEN '10.0.4.0' AND '10.0.4.255'"), one);
    assert_eq!(all("src = '10.0.4.0/24'"), one);
    assert_eq!(all("in_subnet(src, '10.0.4.0/24')"), one);
    assert_eq!(all("src = ip('10.0.4.5')"), one);
    assert_eq!(all("address_text(src) LIKE '10.0.4.%'"), one);
    assert_eq!(all("src <> '10.0.4.5'"), count(&lake) - one);
    assert_eq!(all("src > '9.255.255.255' AND src < '10.0.0.0'"), 0);
    assert_eq!(all("src = '2001:db8::1'"), 0);
    let wrong = lake.query(&Question::Sql("SELECT 1 FROM flows WHERE src = 'ten'".to_owned()));
    assert!(matches!(wrong, Err(LakeError::Query(_))), "{wrong:?}");
    let rows = sql(&lake, "SELECT src, count(*) FROM flows GROUP BY src ORDER BY src LIMIT 1");
    assert_eq!(rows.columns[0].kind, ColumnKind::Address);
    assert!(text(&rows)[0].starts_with("10.0.1.5 "), "{rows:?}");
}

#[test]
fn a_question_only_reads() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&folder);
    for statement in ["DROP TABLE flows", "CREATE TABLE x AS SELECT 1", "COPY flows TO 'x.csv'", "SET a = 1"]
    {
        assert!(lake.query(&Question::Sql(statement.to_owned())).is_err(), "{statement}");
    }
    assert!(count(&lake) > 0);
}

#[test]
fn distinct_values_are_counted_the_same_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&folder);
    // A set for every group: neither the rewriting nor our operator touches an array.
    let plain = "SELECT src, array_length(array_agg(DISTINCT dst)) AS n FROM flows GROUP BY src ORDER BY src";
    let fast = "SELECT src, count(DISTINCT dst) AS n FROM flows GROUP BY src ORDER BY src";
    assert_eq!(text(&sql(&lake, fast)), text(&sql(&lake, plain)));
    let plan = text(&sql(&lake, &format!("EXPLAIN {fast}"))).join("\n");
    assert!(plan.contains("SpreadExec"), "{plan}");
    let minute = "date_trunc('minute', start)";
    let plain = format!(
        "SELECT src, {minute} AS m, array_length(array_agg(DISTINCT dst)) AS n FROM flows GROUP BY src, m ORDER BY src, m"
    );
    let fast = format!(
        "SELECT src, {minute} AS m, count(DISTINCT dst) AS n FROM flows GROUP BY src, m ORDER BY src, m"
    );
    assert_eq!(text(&sql(&lake, &fast)), text(&sql(&lake, &plain)));
    let plain = "SELECT src, count(*) AS c, array_length(array_agg(DISTINCT dst)) AS n FROM flows GROUP BY src ORDER BY src";
    let fast = "SELECT src, count(*) AS c, count(DISTINCT dst) AS n FROM flows GROUP BY src ORDER BY src";
    assert_eq!(text(&sql(&lake, fast)), text(&sql(&lake, plain)));
}

#[test]
fn a_join_with_groups_is_summed_before_it_is_joined() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&folder);
    let groups =
        "(VALUES ('eni-0', 'web'), ('eni-1', 'web'), ('eni-2', 'db'), ('eni-2', 'all')) AS g (eni, name)";
    let joined = format!("FROM flows f JOIN {groups} ON f.interface = g.eni GROUP BY g.name ORDER BY g.name");
    let rows = sql(
        &lake,
        &format!("SELECT g.name, count(*) AS n, sum(f.bytes) AS bytes, max(f.dport) AS p {joined}"),
    );
    let of =
        |eni: &str| number(&sql(&lake, &format!("SELECT count(*) FROM flows WHERE interface = '{eni}'")));
    let counts: Vec<i64> =
        text(&rows).iter().map(|row| row.split(' ').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(counts, [of("eni-2"), of("eni-2"), of("eni-0") + of("eni-1")]);
    let plan = text(&sql(&lake, &format!("EXPLAIN SELECT g.name, count(*) {joined}"))).join("\n");
    assert!(plan.contains("early_0"), "{plan}");
}

#[test]
fn every_named_question_is_answered_from_the_lake_and_from_the_files_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, inputs) = lake(&folder);
    let options = LakeOptions { workers: 2, ..LakeOptions::default() };
    for name in netwhy_lake::NAMES {
        let filter =
            Filter { condition: Some("dst <> '192.168.1.7'".to_owned()), limit: 50, ..Filter::default() };
        let question = Question::named(name, filter).unwrap();
        let rows = lake.query(&question).unwrap();
        assert!(!rows.rows.is_empty() || name == "new-pairs", "{name}");
        assert_eq!(text(&rows), text(&Lake::query_files(&inputs, &question, &options).unwrap()), "{name}");
    }
}

#[test]
fn conditions_that_the_reader_tells_leave_the_same_records() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, inputs) = lake(&folder);
    let options = LakeOptions { workers: 2, ..LakeOptions::default() };
    for condition in [
        "action = 'reject'",
        "'accept' = action",
        "action = 'reject' AND action = 'accept'",
        "action = 'REJECT'",
        "dport = 443 AND protocol = 6",
        "dport = 70000",
        "sport = 443 OR action = 'reject'",
        "src = '10.0.4.5' AND dst <> '192.168.1.7'",
        "src = '2001:db8::1'",
        "NOT (action = 'reject')",
    ] {
        let sql = format!("SELECT count(*), sum(bytes) FROM flows WHERE {condition}");
        let question = Question::Sql(sql);
        let files = Lake::query_files(&inputs, &question, &options).unwrap();
        let told = text(&files);
        assert_eq!(text(&lake.query(&question).unwrap()), told, "{condition}");
        // Left out is not unread; what no record can be is not even looked for.
        let is_none = told[0].starts_with("0 ");
        assert!(files.unread.read == 2 * ROW_COUNT || is_none, "{condition}: {}", files.unread.read);
        assert_eq!(files.unread.unread, 0, "{condition}");
    }
}

#[test]
fn times_choose_the_files_that_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&folder);
    let filter =
        Filter { from_ms: Some(common::BEGIN as i64 * 1000 + 3_600_000), limit: 1_000, ..Filter::default() };
    let rows = lake.query(&Question::TopTalkers(filter)).unwrap();
    let flows: i64 =
        text(&rows).iter().map(|row| row.split(' ').nth(1).unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(flows, count(&lake) / 2);
    let plan = sql(&lake, "EXPLAIN SELECT src FROM flows WHERE start >= '2026-01-01T01:00:00Z'");
    let plan = text(&plan).join("\n");
    assert!(plan.contains("hour=01") && !plan.contains("hour=00"), "{plan}");
}
