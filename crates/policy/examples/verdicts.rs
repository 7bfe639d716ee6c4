//! Measures verdicts a second: rules and packets from a folder of the generator, or drawn here.
//!
//! `verdicts [RULES.nft PACKETS.jsonl]`; without files 10,000 rules of the generator's kind are made up.
#![allow(clippy::expect_used, clippy::print_stdout)]

use netwhy_policy::netfilter::eval::{Machine, Outcome};
use netwhy_policy::netfilter::nft;
use netwhy_policy::netfilter::packet::{Packet, TCP, UDP};
use std::fmt::Write;
use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

const RULES: u32 = 10_000;
const PACKETS: u32 = 20_000;
const MEASURED: Duration = Duration::from_secs(3);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (rules, packets) = match (arguments.next(), arguments.next()) {
        (Some(rules), Some(packets)) => (
            std::fs::read_to_string(rules).expect("rules"),
            given(&std::fs::read_to_string(packets).expect("packets")),
        ),
        _ => (drawn_rules(), drawn_packets()),
    };
    let start = Instant::now();
    let ruleset = nft::read_text(&"rules.nft".into(), &rules);
    let read = start.elapsed();
    let count: usize =
        ruleset.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum();
    let start = Instant::now();
    let mut machine = Machine::new(&ruleset);
    println!("{count} rules: read in {read:.1?}, made ready in {:.1?}", start.elapsed());
    let accepted = packets.iter().filter(|packet| machine.packet(packet).verdict == Outcome::Accept).count();
    let start = Instant::now();
    let mut verdicts = 0_u64;
    while start.elapsed() < MEASURED {
        for packet in &packets {
            black_box(machine.packet(black_box(packet)));
        }
        verdicts += packets.len() as u64;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} packets, {accepted} accepted: {:.2} million verdicts a second, {:.0} ns each",
        packets.len(),
        verdicts as f64 / seconds / 1e6,
        seconds * 1e9 / verdicts as f64
    );
}

/// Packets as the generator writes them.
fn given(lines: &str) -> Vec<Packet> {
    let one = |line: &str| -> Option<Packet> {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        let address = |key: &str| -> Option<IpAddr> { value.get(key)?.as_str()?.parse().ok() };
        let number = |key: &str| value.get(key)?.as_u64();
        let packet = Packet::new(number("proto")? as u8, address("src")?, address("dst")?);
        Some(packet.ports(number("sport")? as u16, number("dport")? as u16))
    };
    lines.lines().filter_map(one).collect()
}

/// A number that looks random for each place (an integer hash).
fn mixed(place: u32) -> u32 {
    let mut number = place.wrapping_mul(0x9e37_79b9) ^ 0x85eb_ca6b;
    number = (number ^ (number >> 16)).wrapping_mul(0x7feb_352d);
    number = (number ^ (number >> 15)).wrapping_mul(0x846c_a68b);
    number ^ (number >> 16)
}

fn host(place: u32) -> String {
    let number = mixed(place % (RULES / 4));
    format!("10.{}.{}.{}", number >> 24 & 0x0f, number >> 16 & 0x1f, number & 0xff)
}

fn port(place: u32) -> u32 {
    [22, 53, 80, 443, 3306, 5432, 8080, 8443, 9000, 27017][mixed(place) as usize % 10]
}

fn drawn_rules() -> String {
    let mut text =
        "table inet gen { chain f { type filter hook forward priority 0; policy drop;\n".to_owned();
    for rule in 0..RULES {
        let kind = mixed(rule ^ 0x5555) % 10;
        let source = match kind {
            0..=4 => format!("ip saddr {}", host(rule * 2)),
            5..=7 => format!("ip saddr {}/24", host(rule * 2)),
            _ => String::new(),
        };
        let destination = match mixed(rule ^ 0xaaaa) % 10 {
            0..=5 => format!("ip daddr {}", host(rule * 2 + 1)),
            6..=8 => format!("ip daddr {}/24", host(rule * 2 + 1)),
            _ if source.is_empty() => format!("ip daddr {}", host(rule * 2 + 1)),
            _ => String::new(),
        };
        let protocol = if kind.is_multiple_of(4) { "udp" } else { "tcp" };
        let verdict = if mixed(rule).is_multiple_of(5) { "drop" } else { "accept" };
        let _ = writeln!(text, "{source} {destination} {protocol} dport {} counter {verdict}", port(rule));
    }
    text.push_str("} }\n");
    text
}

fn drawn_packets() -> Vec<Packet> {
    let packet = |place: u32| {
        let rule = mixed(place) % RULES;
        let aimed = place % 10 < 7;
        let (source, destination) = if aimed { (rule * 2, rule * 2 + 1) } else { (place * 3, place * 7 + 1) };
        let protocol = if (mixed(rule ^ 0x5555) % 10).is_multiple_of(4) { UDP } else { TCP };
        let address = |place| -> IpAddr { host(place).parse().expect("an address") };
        Packet::new(protocol, address(source), address(destination))
            .ports(1_024 + (mixed(place ^ 7) % 60_000) as u16, port(rule) as u16)
    };
    (0..PACKETS).map(packet).collect()
}
