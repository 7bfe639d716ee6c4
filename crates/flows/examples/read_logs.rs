//! Measures the readers and detectors of logs: `read_logs FILE [workers]`, or `read_logs draw FILE LINES`.
//!
//! Says what was read and found, and the CPU seconds of the process with and without the detectors.
#![allow(clippy::print_stdout)]

#[path = "support/cpu.rs"]
mod cpu;

use cpu::cpu_seconds;
use netwhy_flows::Names;
use netwhy_flows::detect::logs::LogDetectors;
use netwhy_flows::logs::{Clock, LogReader, Options, server};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

/// Visits a second that drawn lines have.
const VISITS_A_SECOND: u64 = 50;
/// 2026-03-01, the day of the drawn lines.
const LATEST_MS: i64 = 1_772_409_600_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [draw, file, lines] if draw == "draw" => draw_lines(file, lines.parse()?),
        [file, rest @ ..] => measure(file, rest.first().map_or(Ok(1), |word| word.parse())?),
        [] => Err("name a file".into()),
    }
}

fn measure(file: &str, workers: usize) -> Result<(), Box<dyn std::error::Error>> {
    let names = Arc::new(Names::default());
    let options = Options { clock: Clock { latest_ms: LATEST_MS, zone_minutes: 0 }, server: server(file) };
    let reader = LogReader { workers, ..LogReader::new(names.clone(), options) };
    let mut events = 0;
    let count = reader.read(file, File::open(file)?, &mut |more| events += more.len())?;
    let alone = cpu_seconds()?;
    println!("{} lines, {} not read, {events} events, {alone:.2} CPU seconds", count.read, count.unread);
    let mut detectors = LogDetectors::new(names);
    reader.read(file, File::open(file)?, &mut |more| more.iter().for_each(|event| detectors.event(event)))?;
    let alerts = detectors.finish();
    println!("with detectors {:.2} CPU seconds, {} alerts", cpu_seconds()? - alone, alerts.len());
    for alert in alerts.iter().take(20) {
        println!("{} {} {}", alert.id, alert.confidence, alert.why);
    }
    Ok(())
}

fn draw_lines(file: &str, lines: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(File::create(file)?);
    let mut dice = 7u64;
    for line in 0..lines {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (second, roll) = (line / VISITS_A_SECOND, dice >> 33);
        let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
        let path = ["/", "/static/app.js", "/static/style.css", "/product/", "/search?q="][roll as usize % 5];
        writeln!(
            out,
            "198.51.{}.{} - - [01/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET {path}{} HTTP/1.1\" 200 {} \
             \"https://shop.example/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox\"",
            roll >> 3 & 63,
            roll >> 9 & 255,
            roll >> 20 & 511,
            roll & 65535,
            roll & 127
        )?;
    }
    Ok(out.flush()?)
}
