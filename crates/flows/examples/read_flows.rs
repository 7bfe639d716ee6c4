//! Measures the reader: `read_flows FILE [workers] [column,column…|all]`, or `read_flows draw FILE LINES` to draw AWS lines.
//!
//! Says records, what was not read, CPU seconds of the process and what one record costs.
#![allow(clippy::print_stdout)]

use netwhy_flows::Names;
use netwhy_flows::read::{Reader, Wanted};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::sync::Arc;

/// Interfaces and senders that the drawn lines repeat.
const INTERFACE_COUNT: u64 = 400;
/// Records a second that the drawn lines have: a day of them is 19.65 million.
const RECORDS_A_SECOND: u64 = 227;
/// Clock ticks a second in /proc, the same on every Linux.
const TICKS_A_SECOND: f64 = 100.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [draw, file, lines] if draw == "draw" => draw_lines(file, lines.parse()?),
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

/// User and system time of this process.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |field: usize| fields.get(field).and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / TICKS_A_SECOND)
}

fn draw_lines(file: &str, lines: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    writeln!(
        out,
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action \
         log-status"
    )?;
    let mut state = 88_172_645_463_325_252u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    for number in 0..lines {
        let second = 1_767_225_600 + number / RECORDS_A_SECOND;
        let interface = 0x0a1b_2c3d_4e5f_6071 + draw(INTERFACE_COUNT) * 0x1_0001;
        if draw(500) == 0 {
            writeln!(
                out,
                "2 123456789012 eni-{interface:017x} - - - - - - - {second} {} - NODATA",
                second + 60
            )?;
            continue;
        }
        let inside = format!("10.0.{}.{}", draw(16), draw(256));
        let outside = format!("{}.{}.{}.{}", 1 + draw(220), draw(256), draw(256), draw(256));
        let (client, port) = (1024 + draw(60_000), [443, 443, 443, 80, 22, 53, 3306, 8080][draw(8) as usize]);
        let (from, to) = if draw(2) == 0 {
            ((&inside, client), (&outside, port))
        } else {
            ((&outside, port), (&inside, client))
        };
        let scale = draw(8);
        let packets = 1 + draw(1 << scale);
        writeln!(
            out,
            "2 123456789012 eni-{interface:017x} {} {} {} {} {} {packets} {} {second} {} {} OK",
            from.0,
            to.0,
            from.1,
            to.1,
            if port == 53 { 17 } else { 6 },
            packets * (40 + draw(1400)),
            second + draw(60),
            if draw(20) == 0 { "REJECT" } else { "ACCEPT" },
        )?;
    }
    Ok(out.flush()?)
}
