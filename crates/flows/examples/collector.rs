//! How many records a second the collector takes on loopback, and what is lost: `collector RATE SECONDS [v5|v9|ipfix]`.
//!
//! A thread sends so many records a second to a collector of this process; what came, what the kernel dropped and the
//! CPU seconds of each thread are printed. Without arguments: 200,000 a second for 5 seconds, then 5 seconds idle.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks and may fail")]

#[path = "../tests/support/exporter.rs"]
mod exporter;

use exporter::{BOOT_MS, Exporter, RECORD_COUNT_MAX, sets};
use netwhy_flows::live::Collector;
use netwhy_flows::{Address, Flow};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A sender's bursts begin so far apart: exporters send what they gathered, and a sleep is no more exact.
const BURST: Duration = Duration::from_millis(2);
/// So long the collector is left alone with what is still in its buffer.
const DRAIN: Duration = Duration::from_millis(500);
/// So long it is watched while nothing comes: what it costs then is what is measured.
const IDLE: Duration = Duration::from_secs(5);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rate: u64 = arguments.next().map_or(200_000, |word| word.parse().unwrap());
    let seconds: u64 = arguments.next().map_or(5, |word| word.parse().unwrap());
    let dialect = arguments.next().unwrap_or_else(|| "v9".to_owned());
    let mut collector = Collector::bind("127.0.0.1:0".parse().unwrap(), Arc::default()).unwrap();
    let address = collector.address();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let receiver = thread::spawn(move || {
        let mut flows = 0_u64;
        let mut bytes = 0_u64;
        let received = collector.run(&stopped, &mut |batch, _| {
            flows += batch.len() as u64;
            bytes += batch.iter().map(|flow| flow.bytes).sum::<u64>();
        });
        (flows, received.unwrap(), thread_cpu_ms())
    });
    let sender = thread::spawn(move || (send(address, rate, seconds, &dialect), thread_cpu_ms()));
    let ((sent, took), sender_cpu_ms) = sender.join().unwrap();
    thread::sleep(DRAIN);
    let before = process_cpu_ms();
    thread::sleep(IDLE);
    let idle_ms = process_cpu_ms() - before;
    stop.store(true, Ordering::Relaxed);
    let (flows, received, receiver_cpu_ms) = receiver.join().unwrap();
    println!(
        "sent {sent} records in {:.2} s ({:.0}/s), sender {sender_cpu_ms} ms CPU",
        took.as_secs_f64(),
        sent as f64 / took.as_secs_f64()
    );
    println!(
        "received {flows}, missing {}, kernel dropped {} datagrams, lost by sequence {}",
        sent - flows,
        received.dropped_by_kernel,
        received.export.lost_records
    );
    println!(
        "receiver {receiver_cpu_ms} ms CPU = {:.0} records per CPU second; buffer {} MiB",
        flows as f64 * 1000.0 / receiver_cpu_ms.max(1) as f64,
        received.receive_buffer_bytes >> 20
    );
    println!(
        "idle: {idle_ms} ms CPU in {IDLE:?} = {:.2} %",
        idle_ms as f64 / IDLE.as_millis() as f64 * 100.0
    );
}

/// Sends so many records a second; returns how many and how long it took.
fn send(to: SocketAddr, rate: u64, seconds: u64, dialect: &str) -> (u64, Duration) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    let mut exporter = Exporter::default();
    let now_ms = BOOT_MS + 60_000;
    let flows: Vec<Flow> = (0..RECORD_COUNT_MAX as u32).map(|at| flow(at, now_ms)).collect();
    let ipfix = dialect == "ipfix";
    let (templates, data) = sets(&flows, ipfix);
    let mut write = |records: usize, sets: &[Vec<u8>]| match dialect {
        "v5" => exporter.v5(&flows, now_ms),
        "ipfix" => exporter.ipfix(records, sets, now_ms),
        _ => exporter.v9(records, sets, now_ms),
    };
    let mut sent = 0;
    if dialect != "v5" {
        socket.send(&write(0, &[templates])).unwrap();
    }
    let begin = Instant::now();
    let end = Duration::from_secs(seconds);
    while begin.elapsed() < end {
        let due = (begin.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent < due {
            socket.send(&write(RECORD_COUNT_MAX, &data)).unwrap();
            sent += RECORD_COUNT_MAX as u64;
        }
        thread::sleep(BURST);
    }
    (sent, begin.elapsed())
}

fn flow(at: u32, now_ms: i64) -> Flow {
    Flow {
        source: Address::v4(0x0a00_0000 + at),
        destination: Address::v4(0x0b00_0000 + at * 7),
        source_port: 40_000 + at as u16,
        destination_port: 443,
        protocol: 6,
        tcp_flags: 0x1b,
        packets: 10,
        bytes: 5000,
        start_ms: now_ms - 5000,
        end_ms: now_ms - 1000,
        ..Flow::default()
    }
}

fn thread_cpu_ms() -> i64 {
    cpu_ms(UsageWho::RUSAGE_THREAD)
}

fn process_cpu_ms() -> i64 {
    cpu_ms(UsageWho::RUSAGE_SELF)
}

fn cpu_ms(who: UsageWho) -> i64 {
    let usage = getrusage(who).unwrap();
    usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()
}
