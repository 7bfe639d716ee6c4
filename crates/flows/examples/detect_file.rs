//! Reads a file of flows and says what the detectors find: `detect_file FILE [WORKERS]`, with CPU seconds and memory.
//!
//! Where `FILE.truth.json` lies beside it (`netwhy flows generate FILE --truth FILE.truth.json`), it says how well they did.
#![allow(clippy::print_stdout)]

#[path = "support/cpu.rs"]
mod cpu;

use cpu::cpu_seconds;
use netwhy_flows::Names;
use netwhy_flows::detect::{Detectors, Options};
use netwhy_flows::generate::Truth;
use netwhy_flows::read::Reader;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let file = words.first().ok_or("name a file")?;
    let names = Arc::new(Names::default());
    let mut reader = Reader::new(names.clone());
    reader.workers = words.get(1).map_or(Ok(1), |word| word.parse())?;
    let mut detectors = Detectors::new(Options { names: Some(names), ..Options::default() });
    let count = reader.read(file, std::fs::File::open(file)?, &mut |block| {
        block.flows.iter().for_each(|flow| detectors.flow(flow));
    })?;
    let read_s = cpu_seconds()?;
    let report = detectors.report();
    for alert in &report.alerts {
        println!("{} {} {:.2}: {}", alert.id, alert.entity, alert.confidence, alert.why);
    }
    println!("{} strangers knocked, {} times", report.radiation.sources, report.radiation.records);
    println!("{} records, {} not read, {} forgotten", count.read, count.unread, report.forgotten);
    let status = std::fs::read_to_string("/proc/self/status")?;
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{read_s:.2} CPU seconds until the end of the file, {:.2} in all, {memory}", cpu_seconds()?);
    if let Ok(text) = std::fs::read(format!("{file}.truth.json")) {
        let truth: Truth = serde_json::from_slice(&text)?;
        let score = truth.score(&report.alerts);
        println!("found {} of {}, {} false", score.found, score.planted, score.false_alerts.len());
        for attack in &score.missed {
            println!("  missed {} {:?}", attack.kind, attack.victims.first());
        }
    }
    Ok(())
}
