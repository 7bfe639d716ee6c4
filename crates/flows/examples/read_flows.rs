//! Measures the reader: `read_flows FILE [workers] [column,column…|all]`; `netwhy flows generate` draws such a file.
//!
//! Says records, what was not read, CPU seconds of the process and what one record costs.
#![allow(clippy::print_stdout)]

#[path = "support/cpu.rs"]
mod cpu;

use cpu::cpu_seconds;
use netwhy_flows::Names;
use netwhy_flows::read::{Reader, Wanted};
use std::fs::File;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [file, rest @ ..] => {
            let workers = rest.first().map_or(Ok(1), |word| word.parse())?;
            measure(file, workers, rest.get(1).map_or("all", String::as_str))
        }
        [] => Err("name a file".into()),
    }
}

fn measure(file: &str, workers: usize, columns: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = Reader::new(Arc::new(Names::default()));
    reader.workers = workers;
    if columns != "all" {
        reader.wanted = Wanted::named(columns.split(',')).map_err(|name| format!("no column {name}"))?;
    }
    let (mut bytes, mut ports) = (0u64, 0u64);
    // What a question would do: a sum over two columns.
    let map = |flows: &[netwhy_flows::Flow]| {
        flows.iter().fold((0u64, 0u64), |(bytes, ports), flow| {
            (bytes.wrapping_add(flow.bytes), ports.wrapping_add(u64::from(flow.destination_port)))
        })
    };
    let count = reader.map(file, File::open(file)?, map, |(more, others)| {
        bytes = bytes.wrapping_add(more);
        ports = ports.wrapping_add(others);
    })?;
    let seconds = cpu_seconds()?;
    let each = seconds * 1e9 / count.read.max(1) as f64;
    println!("{} records, {} not read, {bytes} bytes, ports {ports}", count.read, count.unread);
    println!("{seconds:.2} CPU seconds, {each:.0} ns a record");
    Ok(())
}
