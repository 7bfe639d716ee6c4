//! What the lake's commands do, where the lake is built in.

use super::{ImportArgs, Place, QueryArgs, RetentionArgs, Stores};
use crate::args::Format;
use crate::commands::flows::inputs::{FOLDER, Fed};
use crate::commands::flows::table::{Column, Kind, Table};
use crate::commands::flows::times::{length, moment, now_ms};
use crate::commands::folder::gather;
use crate::commands::scan::words::thousands;
use crate::failure::{did_you_mean, while_trying};
use crate::{Common, fail, print, warn};
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use netwhy_flows::UnreadCount;
use netwhy_lake::{Cell, ColumnKind, Filter, Imported, Lake, LakeOptions, Outcome, Question, Rows};
use netwhy_model::Lang;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Beginnings of the variables that object stores know.
const STORE_VARIABLES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];
/// Names of questions look so.
const NAME_LETTERS: &str = "abcdefghijklmnopqrstuvwxyz-";

pub fn import(args: &ImportArgs, common: &Common) -> Result<u8> {
    let lake = open(&args.place, LakeOptions::default())?;
    let files = files(&args.files)?;
    let spinner = spinner(common);
    let report = lake.import(&files, &mut |step| {
        spinner.set_message(format!("{} {}", thousands(step.rows), netwhy_report::clean(&step.input)));
    });
    spinner.finish_and_clear();
    let report = report.map_err(anyhow::Error::from)?;
    for one in &report.inputs {
        tell_input(one, common);
    }
    let count =
        |wanted: fn(&Outcome) -> bool| report.inputs.iter().filter(|one| wanted(&one.outcome)).count();
    let added = count(|outcome| matches!(outcome, Outcome::Added | Outcome::Grown(_) | Outcome::Torn(_)));
    let known = count(|outcome| matches!(outcome, Outcome::Known(_)));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    if common.json {
        let unread: u64 = report.inputs.iter().map(|one| one.unread.unread).sum();
        let json = serde_json::json!({
            "schema": "netwhy.import/1", "rows": report.rows, "files": report.files, "bytes": report.bytes,
            "inputs": { "added": added, "known": known, "failed": failed }, "unread": unread,
        });
        print(&netwhy_report::to_json(&json, true)?)?;
    } else {
        let (rows, bytes) = (thousands(report.rows), thousands(report.bytes));
        print(&match common.lang {
            Lang::En => format!(
                "{rows} records added in {} Parquet files of {bytes} bytes; {added} inputs added, {known} known already, {failed} failed\n",
                report.files
            ),
            Lang::Zh => format!(
                "新增 {rows} 条记录，{} 个 Parquet 文件，共 {bytes} 字节；新增 {added} 个输入，{known} 个早已导入，{failed} 个失败\n",
                report.files
            ),
        })?;
    }
    Ok(if failed > 0 && added + known == 0 { 2 } else { 0 })
}

/// Says of one input what was not read of it, and why it failed.
fn tell_input(one: &Imported, common: &Common) {
    let name = one.input.display();
    let line = match (&one.outcome, common.lang) {
        (Outcome::Torn(why), Lang::En) => format!("{name}: ends early: {}", why.en),
        (Outcome::Torn(why), Lang::Zh) => format!("{name}：提前结束：{}", why.zh),
        (Outcome::Failed(why), Lang::En) => format!("{name}: not read: {why}"),
        (Outcome::Failed(why), Lang::Zh) => format!("{name}：未读取：{why}"),
        (Outcome::Added | Outcome::Known(_) | Outcome::Grown(_), _) => String::new(),
    };
    if !line.is_empty() {
        warn(&netwhy_report::clean(&line));
    }
    for place in one.unread.places.values().flatten() {
        let why = place.why.get(common.lang);
        warn(&netwhy_report::clean(&format!("{}:{}: {why}: {}", place.file, place.number, place.excerpt)));
    }
}

pub fn retention(args: &RetentionArgs, common: &Common) -> Result<u8> {
    let lake = open(&args.place, LakeOptions::default())?;
    let report = lake.retention(args.days, now_ms())?;
    for damaged in &report.damaged {
        let line = format!("{}: {}", damaged.file, damaged.why.get(common.lang));
        warn(&netwhy_report::clean(&line));
    }
    let (rows, days) = (thousands(report.dropped_rows), args.days);
    let (dropped, merged, written) = (report.dropped_files, report.merged_files, report.written_files);
    if common.json {
        let damaged = report.damaged.iter().map(|one| format!("{}: {}", one.file, one.why.en));
        let json = serde_json::json!({
            "schema": "netwhy.retention/1", "days": days, "dropped_rows": report.dropped_rows,
            "dropped_files": dropped, "merged_files": merged, "written_files": written,
            "deleted_files": report.deleted_files, "damaged": damaged.collect::<Vec<_>>(),
        });
        return print(&netwhy_report::to_json(&json, true)?).map(|()| 0);
    }
    print(&match common.lang {
        Lang::En => format!(
            "{rows} records older than {days} days forgotten with {dropped} files; {merged} files merged into {written}\n"
        ),
        Lang::Zh => format!(
            "清除早于 {days} 天的 {rows} 条记录（{dropped} 个文件）；{merged} 个文件合并为 {written} 个\n"
        ),
    })?;
    Ok(0)
}

pub fn query(args: &QueryArgs, common: &Common) -> Result<u8> {
    let question = question(args)?;
    if args.sql {
        return print(&(question.sql() + "\n")).map(|()| 0);
    }
    let parquet = common.format == Some(Format::Parquet);
    match (parquet, &args.out) {
        (true, None) => Err(fail(
            ("--format parquet needs a file", "--format parquet 需要指定文件"),
            ("give it with --out FILE", "请用 --out FILE 指定"),
        )),
        (true, Some(path)) => {
            let (rows, torn) = asked(args)?.ok_or_else(no_lake)?.query_to_parquet(&question, path)?;
            Fed::of_answer(1, UnreadCount::default(), torn).tell(common.lang);
            warn(&match common.lang {
                Lang::En => format!("{} rows in {}", thousands(rows), path.display()),
                Lang::Zh => format!("{} 行，写入 {}", thousands(rows), path.display()),
            });
            Ok(0)
        }
        (false, _) => {
            let (count, mut rows) = match asked(args)? {
                Some(lake) => (1, lake.query(&question)?),
                None => {
                    let files = files(&args.files)?;
                    (files.len() as u64, Lake::query_files(&files, &question, &options(args)?)?)
                }
            };
            let fed = Fed::of_answer(count, std::mem::take(&mut rows.unread), std::mem::take(&mut rows.torn));
            fed.tell(common.lang);
            let input = if fed.is_incomplete() { Some(serde_json::to_value(fed.json())?) } else { None };
            Table { input, ..table(rows) }.tell_to(&args.question, args.out.as_deref(), common)?;
            Ok(0)
        }
    }
}

/// A named question with its filter, or SQL.
fn question(args: &QueryArgs) -> Result<Question> {
    let (from_ms, to_ms) = args.when.ends()?;
    let filter = Filter { from_ms, to_ms, condition: args.condition.clone(), limit: args.count };
    let is_name = args.question.chars().all(|letter| NAME_LETTERS.contains(letter));
    if !is_name {
        return Ok(Question::Sql(args.question.clone()));
    }
    Ok(match Question::named(&args.question, filter) {
        Some(Question::NewPairs { filter, .. }) => {
            Question::NewPairs { filter, since_ms: args.new_since.as_deref().map(moment).transpose()? }
        }
        Some(Question::Series { filter, .. }) => {
            let step_seconds = (length(&args.step, "--step")? / 1_000).clamp(1, u64::from(u32::MAX)) as u32;
            Question::Series { filter, step_seconds }
        }
        Some(other) => other,
        None => {
            return Err(fail(
                (
                    format!("there is no question {:?}", args.question),
                    format!("没有名为 {:?} 的问题", args.question),
                ),
                did_you_mean(&args.question, netwhy_lake::NAMES),
            ));
        }
    })
}

/// The lake that is asked; none where files are.
fn asked(args: &QueryArgs) -> Result<Option<Lake>> {
    match args.files.as_slice() {
        [] => open(&args.place, options(args)?).map(Some),
        [one] if Lake::is_one(one) => {
            open_at(&one.display().to_string(), &args.place, options(args)?).map(Some)
        }
        files if files.iter().any(|file| Lake::is_one(file)) => Err(fail(
            ("a lake is asked alone, not beside files", "数据湖须单独查询，不能与文件一起"),
            ("import the files into it first", "请先把文件导入其中"),
        )),
        _ => Ok(None),
    }
}

fn options(args: &QueryArgs) -> Result<LakeOptions> {
    let tables = args.table.iter().map(|text| named_table(text)).collect::<Result<_>>()?;
    Ok(LakeOptions { tables, cluster: args.cluster.clone(), ..LakeOptions::default() })
}

/// `NAME=FILE`, where the name can stand in SQL as it is.
fn named_table(text: &str) -> Result<(String, PathBuf)> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_')
            && name != netwhy_lake::TABLE
    };
    match text.split_once('=') {
        Some((name, file)) if is_name(name) && PathBuf::from(file).is_file() => {
            Ok((name.to_owned(), PathBuf::from(file)))
        }
        Some((name, file)) if is_name(name) => Err(fail(
            (
                format!("there is no file {file:?} for the table {name}"),
                format!("表 {name} 的文件 {file:?} 不存在"),
            ),
            ("give a CSV file with a header", "请给出带表头的 CSV 文件"),
        )),
        _ => Err(fail(
            (format!("{text:?} is no table"), format!("{text:?} 不是表")),
            (
                "write it as NAME=FILE.csv, the name in small letters, digits and _, and not flows",
                "写作 NAME=FILE.csv，名称用小写字母、数字与下划线，且不能是 flows",
            ),
        )),
    }
}

fn open(place: &Place, options: LakeOptions) -> Result<Lake> {
    place.lake.as_deref().map_or_else(|| Err(no_lake()), |location| open_at(location, place, options))
}

fn open_at(location: &str, place: &Place, options: LakeOptions) -> Result<Lake> {
    let options = LakeOptions { store: place.stores.options()?, ..options };
    Lake::open(location, options).map_err(|error| {
        while_trying((format!("opening the lake {location}"), format!("打开数据湖 {location}")), error)
    })
}

fn no_lake() -> anyhow::Error {
    fail(
        ("no lake was given", "没有给出数据湖的位置"),
        ("give it with --lake FOLDER, or set NETWHY_LAKE", "请用 --lake FOLDER 指定，或设置 NETWHY_LAKE"),
    )
}

impl Stores {
    /// The stores' own variables, and over them what the flags say.
    pub(in crate::commands::flows) fn options(&self) -> Result<BTreeMap<String, String>> {
        let known = |name: &String| STORE_VARIABLES.iter().any(|beginning| name.starts_with(beginning));
        let variables = std::env::vars().filter(|(name, _)| known(name));
        let mut options: BTreeMap<String, String> =
            variables.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        for text in &self.store {
            let Some((key, value)) = text.split_once('=') else {
                return Err(fail(
                    (
                        format!("{text:?} is not of the form KEY=VALUE"),
                        format!("{text:?} 不是 KEY=VALUE 的形式"),
                    ),
                    ("write it as in --store aws_region=eu-west-1", "写作 --store aws_region=eu-west-1"),
                ));
            };
            options.insert(key.to_ascii_lowercase(), value.to_owned());
        }
        Ok(options)
    }
}

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        gather(path, &FOLDER, &mut files)?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn spinner(common: &Common) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    let ticks = if common.unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "|/-\\ " };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
        bar.set_style(style.tick_chars(ticks));
    }
    bar
}

fn table(rows: Rows) -> Table {
    let kind = |kind| match kind {
        ColumnKind::Time => Kind::Time,
        ColumnKind::Number => Kind::Number,
        ColumnKind::Address | ColumnKind::Word | ColumnKind::Truth => Kind::Word,
    };
    let columns =
        rows.columns.into_iter().map(|column| Column { name: column.name, kind: kind(column.kind) });
    let value = |cell: Cell| match cell {
        Cell::Null => Value::Null,
        Cell::Address(address) => address.to_string().into(),
        Cell::Time(ms) => ms.into(),
        Cell::Signed(number) => number.into(),
        Cell::Unsigned(number) => number.into(),
        Cell::Float(number) => number.into(),
        Cell::Word(word) => word.into(),
        Cell::Truth(truth) => truth.into(),
    };
    let rows = rows.rows.into_iter().map(|row| row.into_iter().map(value).collect());
    Table { columns: columns.collect(), rows: rows.collect(), input: None }
}
