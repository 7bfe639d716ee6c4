//! Packets followed through rules: the kernel's own verdicts, and what regions become.
#![allow(clippy::expect_used)]

use netwhy_policy::netfilter::ast::Ruleset;
use netwhy_policy::netfilter::nft::read_text;
use netwhy_policy::netfilter::trace::{Outcome, Role, Tracer, Verdict, path};
use netwhy_policy::netfilter::xtables::{bind, read_ipset, read_save};
use netwhy_policy::space::{Cube, Family, Protocols, State};
use serde_json::Value;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

const PIECES: usize = 10_000;

fn shared() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?.to_owned();
    ["../shared/data/policy", "../../shared/data/policy"]
        .iter()
        .map(|up| root.join(up))
        .find(|path| path.exists())
}

fn join(into: &mut Ruleset, other: Ruleset) {
    into.tables.extend(other.tables);
    into.ipsets.extend(other.ipsets);
    into.unread.extend(other.unread);
}

/// Reads the rules of a case; not those that need more than rules.
fn rules(value: &Value, into: &mut Ruleset) -> bool {
    let file: Arc<str> = "case".into();
    match value {
        Value::String(text) => join(into, read_text(&file, text)),
        Value::Array(parts) => return parts.iter().all(|part| rules(part, into)),
        Value::Object(one) => {
            if let Some(text) = one.get("ipt").and_then(Value::as_str) {
                join(into, read_save(&file, text, Family::V4));
            } else if let Some(text) = one.get("ipset").and_then(Value::as_str) {
                join(into, read_ipset(&file, text));
            } else {
                return false;
            }
        }
        _ => return false,
    }
    true
}

fn address(step: &Value, key: &str) -> u128 {
    let text = step[key].as_str().expect("an address");
    u32::from(text.parse::<Ipv4Addr>().expect("IPv4")).into()
}

/// The packet of a step, as the first of its connection; none for those whose state hangs on others.
fn packet(step: &Value, tracer: &Tracer<'_>) -> Option<Cube> {
    let (source, destination) = (address(step, "src"), address(step, "dst"));
    let bits = |name| tracer.names().map_or(u64::MAX, |names| names.bits(name, false));
    let mut cube = Cube::all(Family::V4).source(source, source).destination(destination, destination);
    (cube.from, cube.to) = (bits("pr0"), bits("pr1"));
    let port = |key: &str| step[key].as_u64().map(|port| u16::try_from(port).expect("a port"));
    let proto = step["proto"].as_str().expect("a protocol");
    let number = match proto {
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        other => other.parse().expect("a number"),
    };
    cube = cube.protocols(Protocols::of(&[number]));
    if let (Some(sport), Some(dport)) = (port("sport"), port("dport")) {
        cube = cube.source_ports(sport..=sport).destination_ports(dport..=dport);
    }
    let (flags, state) = match step["flags"].as_str() {
        None => (0x02, State::NEW),
        Some("ack") => (0x10, State::NEW),
        Some("syn|ece|cwr") => (0xc2, State::NEW),
        Some("syn|ack") => (0x12, State::INVALID),
        Some("rst") => (0x04, State::INVALID),
        Some("fin") => (0x01, State::INVALID),
        Some(_) => return None,
    };
    if number == 6 {
        cube.flags = Protocols::of(&[flags]).0;
    }
    if number == 1 {
        let kind = step["type"].as_u64().map_or(8, |kind| u16::try_from(kind).expect("a type"));
        cube = cube.source_ports(kind..=kind).destination_ports(0..=0);
        return Some(cube.state(if kind == 8 { State::NEW } else { State::INVALID }));
    }
    Some(cube.state(state))
}

#[test]
fn first_packets_go_the_way_they_went_in_the_kernel() {
    let Some(data) = shared() else {
        println!("SKIPPED: no shared data");
        return;
    };
    let text = std::fs::read_to_string(data.join("kernel-truth/cases.json")).expect("cases");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let (mut right, mut depends) = (0, 0);
    for case in &cases {
        let mut ruleset = Ruleset::default();
        if !rules(&case["rules"], &mut ruleset) {
            continue;
        }
        bind(&mut ruleset);
        assert!(ruleset.unread.is_empty(), "{}: {:?}", case["name"], ruleset.unread);
        let tracer = Tracer::new(&ruleset);
        let mut seen = Vec::new();
        for step in case["steps"].as_array().expect("steps") {
            if step.get("load").is_some() || step.get("frag").is_some() {
                break;
            }
            let Some(packet) = packet(step, &tracer).filter(|_| step["from"] != "b") else { continue };
            let tuple = (packet.source, packet.destination, packet.source_ports, packet.destination_ports);
            if seen.contains(&tuple) {
                continue;
            }
            seen.push(tuple);
            let local = step["dst"].as_str().is_some_and(|text| text.starts_with("192.0.2."));
            let outcomes = tracer.path(if local { Role::Input } else { Role::Forward }, &[packet], PIECES);
            let [outcome] = outcomes.as_slice() else { panic!("{}: {outcomes:?}", case["name"]) };
            let passes = step["kernel"]["verdict"] == "pass";
            match &outcome.verdict {
                Verdict::Depends(why) => {
                    println!("{}: depends on {}", case["name"], why[0].en);
                    depends += 1;
                }
                verdict => {
                    assert_eq!(*verdict == Verdict::Accept, passes, "{}: {outcome:?}", case["name"]);
                    right += 1;
                }
            }
            if let (Some(rewritten), true) =
                (&outcome.rewritten, passes && step["kernel"].get("dst").is_some())
            {
                assert_eq!(rewritten.destination.0, address(&step["kernel"], "dst"));
                assert_eq!(Some(u64::from(rewritten.destination_ports.0)), step["kernel"]["dport"].as_u64());
            }
        }
    }
    println!("{right} as the kernel, {depends} depend");
    assert!(right >= 90 && depends <= 25, "{right} {depends}");
}

fn v4(text: &str) -> Ruleset {
    let ruleset = read_save(&"rules".into(), text, Family::V4);
    assert!(ruleset.unread.is_empty(), "{:?}", ruleset.unread);
    ruleset
}

fn tcp(port: u16) -> Cube {
    Cube::all(Family::V4).protocols(Protocols::TCP).destination_ports(port..=port).opening()
}

/// The verdict that all packets of a cube share.
fn verdict(ruleset: &Ruleset, role: Role, packets: Cube) -> Verdict {
    let outcomes: Vec<Outcome> = path(ruleset, role, &[packets], PIECES);
    let first = outcomes.first().expect("an outcome").verdict.clone();
    assert!(outcomes.iter().all(|outcome| outcome.verdict == first), "{outcomes:?}");
    first
}

#[test]
fn a_region_is_cut_where_rules_cut_it() {
    let ruleset = v4(
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -s 10.0.0.0/8 -j ACCEPT\n-A FORWARD -m mark --mark 7 -j ACCEPT\nCOMMIT\n",
    );
    let outcomes = path(&ruleset, Role::Forward, &[tcp(80)], PIECES);
    let accepted: Vec<_> = outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Accept).collect();
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0].packets.source, (10 << 24, (11 << 24) - 1));
    assert_eq!(outcomes.len(), 3);
}

#[test]
fn what_is_not_modelled_makes_only_its_own_packets_depend() {
    let ruleset = v4(
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p tcp --dport 80 -m string --string x --algo bm -j ACCEPT\n-A FORWARD -p tcp --dport 81 -m string --string x --algo bm -j DROP\nCOMMIT\n",
    );
    assert!(matches!(verdict(&ruleset, Role::Forward, tcp(80)), Verdict::Depends(_)));
    assert_eq!(verdict(&ruleset, Role::Forward, tcp(81)), Verdict::Drop);
}

#[test]
fn a_connection_not_tracked_is_not_new_later() {
    let ruleset = v4(
        "*raw\n-A PREROUTING -p tcp --dport 80 -j NOTRACK\nCOMMIT\n*nat\n-A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.9\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate NEW -d 10.0.0.9 -j ACCEPT\nCOMMIT\n",
    );
    assert_eq!(verdict(&ruleset, Role::Forward, tcp(80)), Verdict::Drop);
    assert_eq!(verdict(&ruleset, Role::Forward, tcp(81)), Verdict::Accept);
}

#[test]
fn marks_decide_and_published_ports_leave_input() {
    let ruleset = v4(
        "*mangle\n-A PREROUTING -p tcp --dport 80 -j MARK --set-mark 0x10/0xf0\nCOMMIT\n*nat\n-A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n-A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 82\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n:INPUT DROP [0:0]\n-A FORWARD -m mark --mark 0x10/0xf0 -j ACCEPT\n-A FORWARD -d 172.17.0.2 -p tcp --dport 80 -j ACCEPT\n-A INPUT -p tcp --dport 82 -j ACCEPT\nCOMMIT\n",
    );
    assert_eq!(verdict(&ruleset, Role::Forward, tcp(80)), Verdict::Accept);
    assert_eq!(verdict(&ruleset, Role::Forward, tcp(79)), Verdict::Drop);
    assert_eq!(verdict(&ruleset, Role::Input, tcp(8080)), Verdict::Accept);
    assert_eq!(verdict(&ruleset, Role::Forward, tcp(81)), Verdict::Accept);
}

#[test]
fn a_port_that_docker_publishes_is_forwarded_to_its_container() {
    let ruleset = v4(
        "*nat\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER\n\
         -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n-A DOCKER -i docker0 -j RETURN\n\
         -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\nCOMMIT\n\
         *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:DOCKER - [0:0]\n-A FORWARD -o docker0 -j DOCKER\n\
         -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n",
    );
    let tracer = Tracer::new(&ruleset);
    let bits = |name| tracer.names().expect("few names").bits(name, false);
    let packets = Cube { from: bits("eth0"), to: bits("docker0"), ..tcp(8080) }
        .destination(0xc000_0201, 0xc000_0201)
        .source(1 << 24, 1 << 24);
    let outcomes = tracer.path(Role::Input, &[packets], PIECES);
    let [outcome] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(outcome.verdict, Verdict::Accept);
    assert_eq!(outcome.rewritten.map(|cube| cube.destination_ports), Some((80, 80)));
    let outcomes = tracer.path(Role::Forward, &[packets], PIECES);
    assert!(outcomes.iter().all(|outcome| outcome.verdict == Verdict::Drop), "{outcomes:?}");
}

#[test]
fn a_circle_of_chains_ends() {
    let ruleset = v4("*filter\n:A - [0:0]\n:B - [0:0]\n-A FORWARD -j A\n-A A -j B\n-A B -j A\nCOMMIT\n");
    assert!(matches!(verdict(&ruleset, Role::Forward, tcp(80)), Verdict::Depends(_)));
}
