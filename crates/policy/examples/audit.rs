//! Times the audit, questions and a difference of a list given as JSON lines (action, src, dst, proto, sport, dport).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use netwhy_policy::gate::{Action, Order};
use netwhy_policy::list::{Fate, List, diff};
use netwhy_policy::space::{Cube, Family, Protocols};
use std::time::Instant;

fn net(text: &str) -> (u128, u128) {
    let (ip, len) = text.split_once('/').unwrap();
    let ip = u32::from(ip.parse::<std::net::Ipv4Addr>().unwrap());
    let len: u32 = len.parse().unwrap();
    let last = ip | u32::MAX.checked_shr(len).unwrap_or(0);
    (u128::from(ip), u128::from(last))
}

fn main() {
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let rules: Vec<(Vec<Cube>, Action)> = text
        .lines()
        .map(|line| {
            let node: serde_json::Value = serde_json::from_str(line).unwrap();
            let word = |key: &str| node[key].as_str().unwrap();
            let port = |key: &str, at: usize| node[key][at].as_u64().unwrap() as u16;
            let (from, to) = (net(word("src")), net(word("dst")));
            let protocols = match word("proto") {
                "tcp" => Protocols::TCP,
                "udp" => Protocols::UDP,
                "icmp" => Protocols::ICMP,
                _ => Protocols::ALL,
            };
            let cube = Cube::all(Family::V4)
                .source(from.0, from.1)
                .destination(to.0, to.1)
                .protocols(protocols)
                .source_ports(port("sport", 0)..=port("sport", 1))
                .destination_ports(port("dport", 0)..=port("dport", 1));
            (vec![cube], if word("action") == "allow" { Action::Allow } else { Action::Deny })
        })
        .collect();
    let make = |rules: &[(Vec<Cube>, Action)]| {
        List::of(rules.iter().map(|(c, a)| (c.as_slice(), *a, true)), Action::Deny, Order::FirstMatch)
    };
    let start = Instant::now();
    let list = make(&rules);
    println!("build {:?}", start.elapsed());
    for redundant in [false, true] {
        let start = Instant::now();
        let audit = list.audit(redundant);
        let count = |f: fn(&Fate) -> bool| audit.fates.iter().filter(|fate| f(fate)).count();
        println!(
            "audit redundant={redundant}: {:?}, {} dead, {} redundant, {} undecided",
            start.elapsed(),
            count(|f| matches!(f, Fate::Dead(_))),
            count(|f| matches!(f, Fate::Redundant(_))),
            count(|f| matches!(f, Fate::Undecided))
        );
    }
    let mut times: Vec<_> = rules
        .iter()
        .map(|(cubes, _)| {
            let c = &cubes[0];
            let ask = Cube::all(Family::V4)
                .source(c.source.0 & !255, c.source.0 | 255)
                .destination(c.destination.0 & !255, c.destination.0 | 255)
                .protocols(Protocols::TCP)
                .destination_ports(443..=443);
            let start = Instant::now();
            std::hint::black_box(list.decide(&ask).unwrap());
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("/24 to /24:443: median {:?}, p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
    let mut edited = rules.clone();
    edited.remove(rules.len() / 2);
    let new = make(&edited);
    let start = Instant::now();
    let changes = diff(&list, &new).unwrap();
    println!("one edit: {:?}, {} boxes", start.elapsed(), changes.len());
    let points: Vec<Cube> = rules
        .iter()
        .map(|(cubes, _)| {
            let c = &cubes[0];
            Cube {
                source: (c.source.1, c.source.1),
                destination: (c.destination.0, c.destination.0),
                destination_ports: (c.destination_ports.0, c.destination_ports.0),
                source_ports: (c.source_ports.1, c.source_ports.1),
                ..*c
            }
        })
        .collect();
    let start = Instant::now();
    let sum: u64 = points.iter().cycle().take(1_000_000).map(|p| u64::from(list.first(p).unwrap_or(0))).sum();
    println!("verdicts: {:.2} million a second ({sum})", 1.0 / start.elapsed().as_secs_f64());
}
