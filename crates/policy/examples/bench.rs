//! The worker of `cargo xtask bench policy`: does one part of it on files drawn there, and prints its figures as JSON.
//!
//! Times are processor time of this thread, user and system: other work on the machine is not in them.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)]

use netwhy_policy::gate::{Action, Order};
use netwhy_policy::list::{Fate, List, diff};
use netwhy_policy::netfilter::eval::{Machine, Outcome};
use netwhy_policy::netfilter::nft;
use netwhy_policy::netfilter::packet::Packet;
use netwhy_policy::space::{Cube, Family, Protocols};
use netwhy_policy::world::{Source, World};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long verdicts are counted.
const VERDICTS_S: u64 = 1;
const USAGE: &str =
    "list RULES PACKETS ROUND | verdicts RULES.nft RULES PACKETS | read RULES.nft | lint FILE";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let figures = match words.as_slice() {
        ["list", rules, packets, round] => list(rules, packets, round.parse().expect("a round")),
        ["verdicts", nft, rules, packets] => verdicts(nft, rules, packets),
        ["read", nft] => read(nft),
        ["lint", file] => lint(file),
        _ => panic!("{USAGE}"),
    };
    println!("{figures}");
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).expect("a file of the benchmark")
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the clock").into()
}

fn ms(since: Duration) -> f64 {
    (cpu() - since).as_secs_f64() * 1e3
}

/// Whether it allows; source, destination, protocol (0 is any), source and destination ports.
type Rule = (bool, (u32, u32), (u32, u32), u8, (u16, u16), (u16, u16));
/// Source, destination, protocol, ports.
type Tuple = (u32, u32, u8, u16, u16);

fn lines<T: serde::de::DeserializeOwned>(path: &str) -> Vec<T> {
    text(path).lines().map(|line| serde_json::from_str(line).expect("a line of the benchmark")).collect()
}

fn rules(path: &str) -> Vec<([Cube; 1], Action)> {
    let rule = |(allow, source, destination, protocol, source_ports, destination_ports): Rule| {
        let any = Cube::all(Family::V4);
        let protocols = if protocol == 0 { any.protocols } else { Protocols::of(&[protocol]) };
        let wide = |(first, last): (u32, u32)| (u128::from(first), u128::from(last));
        let (source, destination) = (wide(source), wide(destination));
        let cube = Cube { source, destination, protocols, source_ports, destination_ports, ..any };
        ([cube], if allow { Action::Allow } else { Action::Deny })
    };
    lines(path).into_iter().map(rule).collect()
}

fn indexed<'a>(rules: impl Iterator<Item = &'a ([Cube; 1], Action)>) -> List {
    let rules = rules.map(|(cubes, action)| (cubes.as_slice(), *action, true));
    List::of(rules, Action::Deny, Order::FirstMatch)
}

fn packet_cube((source, destination, protocol, from, to): Tuple) -> Cube {
    let one = |address: u32| (u128::from(address), u128::from(address));
    let any = Cube::all(Family::V4);
    let ported = Protocols::of(&[protocol]);
    let (source_ports, destination_ports) = match protocol {
        6 | 17 => ((from, from), (to, to)),
        _ => (any.source_ports, any.destination_ports),
    };
    let (source, destination) = (one(source), one(destination));
    Cube { source, destination, protocols: ported, source_ports, destination_ports, ..any }
}

/// The audit, questions, verdicts and a difference of one edit.
fn list(path: &str, packets: &str, round: usize) -> Value {
    let rules = rules(path);
    let packets: Vec<Tuple> = lines(packets);
    let start = cpu();
    let list = indexed(rules.iter());
    let build_ms = ms(start);
    let start = cpu();
    let audit = list.audit(false);
    let audit_ms = ms(start);
    let start = cpu();
    let redundant = list.audit(true);
    let redundant_ms = ms(start);
    let dead = |fate: &Fate| matches!(fate, Fate::Dead(_));
    let undecided = audit.fates.iter().filter(|fate| matches!(fate, Fate::Undecided)).count();
    let dead: Vec<usize> = (0..rules.len()).filter(|at| dead(&audit.fates[*at])).collect();
    let changes_nothing = redundant.fates.iter().filter(|fate| matches!(fate, Fate::Redundant(_))).count();
    let edited = round * rules.len() / 6 % rules.len();
    let without = rules.iter().enumerate().filter(|(at, _)| *at != edited).map(|(_, rule)| rule);
    let other = indexed(without);
    let start = cpu();
    let changes = diff(&list, &other).expect("few parts");
    let diff_ms = ms(start);
    let [question_median_us, question_p99_us] = questions(&list, &packets);
    json!({
        "build_ms": build_ms, "audit_ms": audit_ms, "redundant_ms": redundant_ms,
        "dead": dead, "redundant": changes_nothing, "undecided": undecided,
        "diff_ms": diff_ms, "diff_boxes": changes.len(),
        "question_median_us": question_median_us, "question_p99_us": question_p99_us,
        "first_per_s": first_per_s(&list, &packets),
    })
}

/// Exactly which flows from this /24 to that /24:443: median and 99th percentile of the time, in microseconds.
fn questions(list: &List, packets: &[Tuple]) -> [f64; 2] {
    let net = |address: u32| (u128::from(address & !255), u128::from(address | 255));
    let ask = |packet: &Tuple| Cube {
        source: net(packet.0),
        destination: net(packet.1),
        protocols: Protocols::TCP,
        destination_ports: (443, 443),
        ..Cube::all(Family::V4)
    };
    let asked: Vec<Cube> = packets.iter().map(ask).collect();
    let mut times: Vec<Duration> = Vec::with_capacity(asked.len());
    for cube in &asked {
        let start = cpu();
        black_box(list.decide(black_box(cube)).expect("few parts"));
        times.push(cpu() - start);
    }
    times.sort_unstable();
    [times.len() / 2, times.len() * 99 / 100].map(|at| times[at].as_secs_f64() * 1e6)
}

fn first_per_s(list: &List, packets: &[Tuple]) -> f64 {
    let points: Vec<Cube> = packets.iter().map(|packet| packet_cube(*packet)).collect();
    per_s(points.len(), || {
        for point in &points {
            black_box(list.first(black_box(point)));
        }
    })
}

/// How much of what one call does so many times is done in a second.
fn per_s(count: usize, mut work: impl FnMut()) -> f64 {
    let start = cpu();
    let mut done = 0;
    while cpu() - start < Duration::from_secs(VERDICTS_S) {
        work();
        done += count;
    }
    done as f64 / (cpu() - start).as_secs_f64()
}

/// Verdicts of the packet filter, as the kernel would give them; compared with those of the list.
fn verdicts(nft: &str, path: &str, packets: &str) -> Value {
    let ruleset = nft::read_text(&"rules.nft".into(), &text(nft));
    let start = cpu();
    let mut machine = Machine::new(&ruleset);
    let ready_ms = ms(start);
    let tuples: Vec<Tuple> = lines(packets);
    let packet = |(source, destination, protocol, from, to): &Tuple| {
        let address = |bits: &u32| Ipv4Addr::from_bits(*bits).into();
        Packet::new(*protocol, address(source), address(destination)).ports(*from, *to)
    };
    let packets: Vec<Packet> = tuples.iter().map(packet).collect();
    let rules = rules(path);
    let list = indexed(rules.iter());
    let differ = packets.iter().zip(&tuples).filter(|(packet, tuple)| {
        let first = list.first(&packet_cube(**tuple)).map(|rule| rules[rule as usize].1);
        (machine.packet(packet).verdict == Outcome::Accept) != (first == Some(Action::Allow))
    });
    let differ = differ.count();
    let verdicts_per_s = per_s(packets.len(), || {
        for packet in &packets {
            black_box(machine.packet(black_box(packet)));
        }
    });
    json!({ "ready_ms": ready_ms, "verdicts_per_s": verdicts_per_s, "differ": differ })
}

/// Reading alone, so that the most memory this process ever had is that of reading, the text included.
fn read(path: &str) -> Value {
    let text = text(path);
    let start = cpu();
    let ruleset = nft::read_text(&"rules.nft".into(), &text);
    let read_ms = ms(start);
    let rules: usize =
        ruleset.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum();
    let status = std::fs::read_to_string("/proc/self/status").expect("the status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    json!({ "read_ms": read_ms, "peak_mb": kib * 1024.0 / 1e6, "rules": rules, "unread": ruleset.unread.len() })
}

/// The lines at which too much is open.
fn lint(path: &str) -> Value {
    let world = World::read(&[Source { file: "main.tf".into(), text: text(path) }], None);
    let open = world.lint(None).into_iter().filter(|one| one.kind == "over-permissive");
    json!({ "open": open.map(|one| one.place.line).collect::<Vec<_>>(), "unread": world.unread().len() })
}
