//! What the tests of all clouds share: a verdict from the steps of a way, by brute force; the shared data.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails with the place, and says what it skips"
)]

use netwhy_policy::doc::{Node, json};
use netwhy_policy::estate::{Ask, End, Estate, Look};
use netwhy_policy::gate::{Action, Gate};
use netwhy_policy::read::Span;
use netwhy_policy::space::{Cube, subtract};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Verdict {
    pub denials: Vec<String>,
    pub ends: Vec<String>,
    pub on: Vec<String>,
    pub gates: usize,
}

impl Verdict {
    pub fn denied(&self) -> bool {
        !self.denials.is_empty() || !self.ends.is_empty()
    }

    pub fn depends(&self) -> bool {
        !self.denied() && !self.on.is_empty()
    }

    pub fn allowed(&self) -> bool {
        !self.denied() && self.on.is_empty() && self.gates > 0
    }

    /// "0 of group" for a rule, "default of gate" for the end of a list.
    pub fn denied_by(&self) -> Vec<&str> {
        self.denials.iter().map(String::as_str).collect()
    }
}

pub fn documents(name: &str, text: &str) -> Vec<Node> {
    let read = json(&Arc::from(name), text);
    assert!(read.unread.is_empty(), "{name}: {:?}", read.unread);
    read.documents
}

pub fn ask(from: End, to: End, protocol: u8, port: u16) -> Ask {
    Ask { from, to, protocol, port: (port != 0).then_some(port), request: None }
}

pub fn addresses(text: &str) -> End {
    let address = text.parse().expect(text);
    End::Addresses(address, address)
}

pub fn verdict(estate: &dyn Estate, ask: &Ask) -> Verdict {
    let mut verdict = Verdict::default();
    for step in estate.way(ask) {
        match step.look {
            Look::Gate { gate, packets } => {
                verdict.gates += 1;
                through(&gate, packets, &mut verdict);
            }
            Look::Passes { .. } => verdict.gates += 1,
            Look::Ends { why, .. } => verdict.ends.push(why.en),
            Look::Depends { on, .. } => verdict.on.push(on.en),
            Look::Decided { .. } => unreachable!("no cloud decides by itself"),
        }
    }
    verdict
}

/// What the rules of a gate do with the packets, each by each.
fn through(gate: &Gate, mut packets: Vec<Cube>, verdict: &mut Verdict) {
    let deny = |name: String, verdict: &mut Verdict| {
        if !verdict.denials.contains(&name) {
            verdict.denials.push(name);
        }
    };
    for rule in &gate.rules {
        let hit = packets.iter().any(|packet| rule.cubes.iter().any(|cube| cube.meets(packet)));
        if !hit {
            continue;
        }
        if !rule.unmodelled.is_empty() {
            verdict.on.extend(rule.unmodelled.iter().map(|text| text.en.clone()));
            if rule.action == Action::Allow {
                for cube in &rule.cubes {
                    packets = subtract(&packets, cube);
                }
            }
            continue;
        }
        if rule.action != Action::Allow {
            deny(format!("{} of {}", rule.number, rule.part_of), verdict);
        }
        for cube in &rule.cubes {
            packets = subtract(&packets, cube);
        }
    }
    if !packets.is_empty() && gate.default != Action::Allow {
        deny(format!("default of {}", gate.name), verdict);
    }
}

/// Where the shared data is, if anywhere.
pub fn shared() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = ["../shared/data/policy", "../../shared/data/policy"]
        .iter()
        .map(|at| root.join(at))
        .find(|at| at.is_dir());
    if found.is_none() {
        println!("SKIPPED: no shared data");
    }
    found
}

pub fn folder(name: &str) -> Option<Vec<(String, String)>> {
    let mut files: Vec<_> = std::fs::read_dir(shared()?.join(name)).ok()?.filter_map(Result::ok).collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let read = |file: &std::fs::DirEntry| {
        Some((file.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(file.path()).ok()?))
    };
    Some(files.iter().filter_map(read).collect())
}

pub struct Packet {
    pub ask: (String, String, u8, u16, u16),
    pub allow: bool,
    pub rule: i64,
}

/// A generated list in one dialect, and its packets with what its first-match list says.
pub fn generated(dialect: &str) -> Option<(String, Vec<Packet>)> {
    let at = shared()?.join("gen/acl-1000-seed7");
    let text = std::fs::read_to_string(at.join(dialect)).ok()?;
    let lines = std::fs::read_to_string(at.join("packets.jsonl")).ok()?;
    Some((text, lines.lines().map(packet).collect()))
}

fn packet(line: &str) -> Packet {
    let node = &documents("packets", line)[0];
    let number = |name: &str| node.get(name).and_then(Node::integer).expect("number");
    let port = |name| u16::try_from(number(name)).expect("port");
    let text = |name| node.word(name).expect("text").to_owned();
    Packet {
        ask: (
            text("src"),
            text("dst"),
            u8::try_from(number("proto")).expect("protocol"),
            port("sport"),
            port("dport"),
        ),
        allow: text("verdict") == "allow",
        rule: number("rule"),
    }
}

/// The verdict on one packet, its source port included.
pub fn asked(estate: &dyn Estate, packet: &Packet) -> Verdict {
    let (source, destination, protocol, from, to) = &packet.ask;
    let question = ask(addresses(source), addresses(destination), *protocol, *to);
    let mut verdict = Verdict::default();
    for step in estate.way(&question) {
        if let Look::Gate { gate, packets } = step.look {
            verdict.gates += 1;
            let exact = packets.into_iter().map(|cube| match protocol {
                6 | 17 => cube.source_ports(*from..=*from),
                _ => cube,
            });
            through(&gate, exact.collect(), &mut verdict);
        }
    }
    verdict
}

/// A rule of the generated list: whom it matches but for source ports, and whether it allows.
pub fn abstract_rules() -> Vec<(Cube, bool)> {
    let Some(at) = shared() else { return Vec::new() };
    let lines = std::fs::read_to_string(at.join("gen/acl-1000-seed7/rules.jsonl")).expect("rules");
    let rule = |line: &str| {
        let rule = documents("rules", line).remove(0);
        let span = |name| Span::read(rule.word(name).expect("prefix")).expect("prefix");
        let protocol =
            netwhy_policy::read::protocols(rule.word("proto").expect("protocol")).expect("protocol");
        let ports: Vec<u16> =
            rule.each("dport").iter().filter_map(|port| u16::try_from(port.integer()?).ok()).collect();
        let (source, destination) = (span("src"), span("dst"));
        let cube = Cube::all(source.family)
            .source(source.first, source.last)
            .destination(destination.first, destination.last)
            .protocols(protocol)
            .destination_ports(ports[0]..=ports[1]);
        (cube, rule.word("action") == Some("allow"))
    };
    lines.lines().map(rule).collect()
}

/// What a list says when only priorities order it, and deny wins ties.
pub fn by_priority(rules: &[(Cube, bool)], packet: &Packet, priority: impl Fn(usize) -> usize) -> bool {
    let span = |text: &str| Span::one(text.parse().expect("address"));
    let (source, destination) = (span(&packet.ask.0), span(&packet.ask.1));
    let one = Cube::all(source.family)
        .source(source.first, source.last)
        .destination(destination.first, destination.last)
        .protocols(netwhy_policy::space::Protocols::of(&[packet.ask.2]));
    let one =
        if matches!(packet.ask.2, 6 | 17) { one.destination_ports(packet.ask.4..=packet.ask.4) } else { one };
    let hits = rules.iter().enumerate().filter(|(_, (cube, _))| cube.meets(&one));
    hits.min_by_key(|(at, (_, allow))| (priority(*at), *allow)).is_some_and(|(_, (_, allow))| *allow)
}

/// The rules of the generated list that never match.
pub fn dead() -> Option<Vec<u32>> {
    let text = std::fs::read_to_string(shared()?.join("gen/acl-1000-seed7/dead.json")).ok()?;
    let node = documents("dead", &text).remove(0);
    let list = if node.list().is_empty() { node.each("dead").to_vec() } else { node.list().to_vec() };
    let mut numbers: Vec<u32> = list.iter().filter_map(|one| u32::try_from(one.integer()?).ok()).collect();
    numbers.sort_unstable();
    Some(numbers)
}
