//! Recorded answers of the kernel: rules, packets, and what became of them.

use netwhy_policy::netfilter::ast::Ruleset;
use netwhy_policy::netfilter::eval::{Host, Machine, Outcome};
use netwhy_policy::netfilter::packet::{Fragment, Packet, tcp_flags};
use netwhy_policy::netfilter::{nft, xtables};
use netwhy_policy::space::Family;
use serde_json::Value;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Where shared data lies, if it does.
pub fn shared(name: &str) -> Option<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = crates.ancestors().nth(2)?;
    ["../shared", "../../shared"].iter().map(|shared| root.join(shared).join(name)).find(|path| path.exists())
}

/// The rules of a case, as text of nft and of iptables-save, growing as steps load more.
#[derive(Default)]
struct Loaded {
    nft: String,
    iptables: String,
    ipsets: String,
    loose: Option<bool>,
}

impl Loaded {
    fn load(&mut self, rules: &Value) {
        match rules {
            Value::String(text) => self.nft.push_str(text),
            Value::Array(all) => all.iter().for_each(|one| self.load(one)),
            Value::Object(one) => {
                for (kind, text) in one {
                    let text = text.as_str().expect("a text");
                    match kind.as_str() {
                        "ipt" => self.iptables.push_str(text),
                        "ipset" => self.ipsets.push_str(text),
                        "nft" => self.nft.push_str(text),
                        "sysctl" => self.loose = Some(text.ends_with("tcp_loose=1")),
                        other => panic!("unknown rules: {other}"),
                    }
                }
            }
            other => panic!("unknown rules: {other}"),
        }
    }

    fn ruleset(&self) -> Ruleset {
        let mut all = nft::read_text(&"rules.nft".into(), &self.nft);
        let tables = xtables::read_save(&"rules.ipt".into(), &self.iptables, Family::V4);
        all.tables.extend(tables.tables);
        all.unread.extend(tables.unread);
        let sets = xtables::read_ipset(&"sets".into(), &self.ipsets);
        all.ipsets.extend(sets.ipsets);
        all.unread.extend(sets.unread);
        xtables::bind(&mut all);
        assert!(all.unread.is_empty(), "{:?}", all.unread);
        all
    }
}

fn host() -> Host {
    let address = |text: &str| -> IpAddr { text.parse().expect("address") };
    Host {
        interfaces: vec![
            ("pr0".to_owned(), Vec::new()),
            ("pr1".to_owned(), vec![address("192.0.2.1"), address("192.0.2.5")]),
        ],
        routes: vec![
            (address("198.51.100.0"), 24, "pr0".to_owned()),
            (address("0.0.0.0"), 0, "pr1".to_owned()),
        ],
    }
}

fn packet(step: &Value) -> Packet {
    let text = |key: &str| step.get(key).and_then(Value::as_str);
    let number = |key: &str| step.get(key).and_then(Value::as_u64);
    let protocol = match text("proto").expect("a protocol") {
        "tcp" => 6,
        "udp" => 17,
        "icmp" => 1,
        other => other.parse().expect("a number"),
    };
    let address = |key| -> IpAddr { text(key).expect("an address").parse().expect("an address") };
    let mut packet = Packet::new(protocol, address("src"), address("dst"));
    packet.source_port = number("sport").map(|port| port as u16);
    packet.destination_port = number("dport").map(|port| port as u16);
    packet.flags = text("flags").and_then(tcp_flags).or(packet.flags);
    packet.icmp_type = number("type").map(|kind| kind as u8).or(packet.icmp_type);
    packet.ttl = Some(number("ttl").unwrap_or(64) as u8);
    packet.mac = Some(0x0200_0000_00aa);
    packet.fragment = if text("frag") == Some("later") { Fragment::Later } else { Fragment::Whole };
    packet.input = Some(if text("from") == Some("b") { "pr1" } else { "pr0" }.to_owned());
    packet
}

/// What is wrong with one case.
pub fn faults(case: &Value) -> Vec<String> {
    let mut loaded = Loaded::default();
    loaded.load(&case["rules"]);
    let mut machine = Machine::new(&loaded.ruleset());
    let prepare = |machine: &mut Machine, loaded: &Loaded| {
        machine.host = host();
        machine.habits.loose = loaded.loose.unwrap_or(true);
    };
    prepare(&mut machine, &loaded);
    let mut faults = Vec::new();
    for (at, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
        if let Some(more) = step.get("load") {
            loaded.load(more);
            machine.reload(&loaded.ruleset());
            prepare(&mut machine, &loaded);
            continue;
        }
        let packet = packet(step);
        let decision = machine.packet(&packet);
        let kernel = &step["kernel"];
        let verdict = match kernel["verdict"].as_str().expect("a verdict") {
            "pass" => Outcome::Accept,
            "drop" => Outcome::Drop,
            reject if reject.starts_with("reject") => Outcome::Reject,
            other => panic!("unknown verdict {other}"),
        };
        let rewritten = decision.rewritten;
        let same = |key: &str, ours: Option<String>| {
            kernel.get(key).and_then(Value::as_str).is_none_or(|address| ours.as_deref() == Some(address))
        };
        let port = |key: &str, ours: Option<u16>| {
            kernel.get(key).and_then(Value::as_u64).is_none_or(|port| ours.map(u64::from) == Some(port))
        };
        let (source, destination, sport, dport) = match rewritten {
            None => {
                (Some(packet.source), Some(packet.destination), packet.source_port, packet.destination_port)
            }
            Some(new) => (new.src, new.dst, new.sport, new.dport),
        };
        let right = decision.verdict == verdict
            && same("src", source.map(|address| address.to_string()))
            && same("dst", destination.map(|address| address.to_string()))
            && port("sport", sport)
            && port("dport", dport);
        if !right {
            faults.push(format!("{} step {at}: kernel {kernel}, ours {decision:?}", case["name"]));
        }
    }
    faults
}
