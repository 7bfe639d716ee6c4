//! The benchmark's worker: one piece of work in a process of its own, and what it cost.
//!
//! `lake draw FILE ROWS`, `lake import LAKE FILE…`, `lake ask LAKE QUESTION|SQL`, `lake ask-files QUESTION|SQL FILE…`,
//! `lake groups LOG SQL FILE COUNT`, `lake retention LAKE DAYS`; with the feature `cluster` also `lake scheduler ADDRESS` and
//! `lake executor SCHEDULER-PORT PORT ORDER-PORT CORES`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program may speak; the lint is for libraries"
)]

use netwhy_lake::{Cell, Filter, Lake, LakeOptions, Question, Rows};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// The rows that are printed.
const SHOWN_COUNT: usize = 5;
/// The rows that a question of the benchmark answers at most.
const ROW_COUNT_MAX: usize = 40_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // `name=file.csv` anywhere is a further table.
    let (tables, words): (Vec<&str>, Vec<&str>) = words
        .into_iter()
        .partition(|word| !word.contains(' ') && word.ends_with(".csv") && word.contains('='));
    let tables = tables.iter().filter_map(|word| word.split_once('='));
    let options = LakeOptions {
        tables: tables.map(|(name, file)| (name.to_owned(), PathBuf::from(file))).collect(),
        row_count_max: ROW_COUNT_MAX,
        cluster: std::env::var("LAKE_CLUSTER").ok(),
        ..LakeOptions::default()
    };
    match words.as_slice() {
        ["draw", file, rows] => draw(file, rows.parse()?)?,
        ["import", lake, files @ ..] => {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            let report = Lake::open(lake, options)?.import(&files, &mut |_| {})?;
            for input in &report.inputs {
                eprintln!(
                    "{} {:?} rows {} unread {}",
                    input.input.display(),
                    input.outcome,
                    input.rows,
                    input.unread.unread
                );
            }
            println!(
                "{{\"rows\": {}, \"files\": {}, \"bytes\": {}}}",
                report.rows, report.files, report.bytes
            );
        }
        ["ask", lake, question] => show(&Lake::open(lake, options)?.query(&asked(question))?),
        ["ask-files", question, files @ ..] => {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            show(&Lake::query_files(&files, &asked(question), &options)?);
        }
        ["groups", log, question, file, count] => {
            let rows = Lake::query_files(&[PathBuf::from(log)], &asked(question), &options)?;
            groups(&rows, file, count.parse()?)?;
        }
        ["retention", lake, days] => {
            let lake = Lake::open(lake, options)?;
            let now_ms = lake.extent()?.map_or(0, |(_, last, _)| last);
            println!("{:?}", lake.retention(days.parse()?, now_ms)?);
        }
        #[cfg(feature = "cluster")]
        ["scheduler", address] => netwhy_lake::cluster::serve_scheduler(address.parse()?, &options.store)?,
        #[cfg(feature = "cluster")]
        ["executor", scheduler, port, order_port, cores] => {
            netwhy_lake::cluster::serve_executor(netwhy_lake::cluster::ExecutorOptions {
                scheduler_host: "127.0.0.1".to_owned(),
                scheduler_port: scheduler.parse()?,
                host: "127.0.0.1".to_owned(),
                port: port.parse()?,
                order_port: order_port.parse()?,
                cores: cores.parse()?,
                folder: None,
                memory_bytes_max: 1 << 30,
                store: options.store,
            })?;
        }
        _ => return Err("unknown words".into()),
    }
    cost();
    Ok(())
}

fn asked(question: &str) -> Question {
    let filter = Filter { limit: 20, ..Filter::default() };
    Question::named(question, filter).unwrap_or_else(|| Question::Sql(question.to_owned()))
}

fn show(rows: &Rows) {
    println!("{}", rows.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join("\t"));
    let text = |cell: &Cell| match cell {
        Cell::Address(address) => address.to_string(),
        Cell::Word(word) => word.clone(),
        other => format!("{other:?}"),
    };
    for row in rows.rows.iter().take(SHOWN_COUNT) {
        println!("{}", row.iter().map(text).collect::<Vec<_>>().join("\t"));
    }
    println!("{} rows", rows.rows.len());
}

/// Deals the interfaces out to `count` security groups.
fn groups(interfaces: &Rows, file: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(File::create(file)?);
    writeln!(out, "interface,name")?;
    for (place, row) in interfaces.rows.iter().enumerate() {
        if let Some(Cell::Word(interface)) = row.first() {
            writeln!(out, "{interface},group-{}", place % count.max(1))?;
        }
    }
    Ok(out.flush()?)
}

/// Processor time and the most memory of this process.
fn cost() {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a rusage of this frame, which the call fills.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    eprintln!("cpu {cpu:.2} s (user {:.2}), memory {} MB", seconds(usage.ru_utime), usage.ru_maxrss / 1024);
}

/// A day of AWS v2 records in time order: clients of services, their answers, some scans and rejects.
fn draw(file: &str, rows: u64) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    writeln!(
        out,
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
    )?;
    let begin = 1_767_225_600u64;
    let mut row = 0;
    while row < rows {
        let random = next();
        let minute = row * 1440 / rows;
        let start = begin + minute * 60 + random % 20;
        let end = start + 40 + (random >> 8) % 20;
        // Squaring a uniform number makes few of many common.
        let host = ((random >> 16) % 400 * ((random >> 26) % 400)) / 400;
        let private = format!("10.0.{}.{}", host / 100, 10 + host % 100);
        let eni = format!("eni-{:017x}", 0x0a00_0000_0000 + host * 7919);
        let skew = (random >> 36) % 1_000 * (next() % 3_000) / 50;
        let public =
            format!("{}.{}.{}.{}", 23 + skew % 150, skew / 150 % 250, skew / 3_000 % 250, 1 + skew % 250);
        let service = [443, 443, 443, 80, 5432, 6379, 53, 22][(next() % 8) as usize];
        let client = 32_768 + next() % 28_000;
        let packets = 1 + next() % 12 * (next() % 12);
        let bytes = packets * (40 + next() % 800);
        let (protocol, action) =
            (if service == 53 { 17 } else { 6 }, if random % 33 == 0 { "REJECT" } else { "ACCEPT" });
        if random % 400 == 1 {
            writeln!(out, "2 123456789012 {eni} - - - - - - - {start} {end} - NODATA")?;
            row += 1;
            continue;
        }
        writeln!(
            out,
            "2 123456789012 {eni} {public} {private} {client} {service} {protocol} {packets} {bytes} {start} {end} {action} OK"
        )?;
        row += 1;
        if action == "ACCEPT" && row < rows {
            let more = packets + next() % 6;
            let bytes = more * (60 + next() % 1_200);
            writeln!(
                out,
                "2 123456789012 {eni} {private} {public} {service} {client} {protocol} {more} {bytes} {start} {end} {action} OK"
            )?;
            row += 1;
        }
    }
    out.flush()?;
    Ok(())
}
