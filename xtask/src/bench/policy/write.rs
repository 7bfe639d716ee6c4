//! Writes a drawn list in the form of each program that reads it.

use super::draw::{ALL_PORTS, Drawn, Match, Net, Rule, has_ports};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The files of one list.
pub const RULES: &str = "rules.jsonl";
pub const PACKETS: &str = "packets.jsonl";
pub const NFT: &str = "rules.nft";
pub const IPTABLES: &str = "rules.v4";
/// With the policy and definitions of Aerleon.
pub const AERLEON: &str = "aerleon";

/// Writes everything into a folder, for Aerleon only when told.
pub fn write(folder: &Path, drawn: &Drawn, for_aerleon: bool) -> Result<()> {
    let aerleon = folder.join(AERLEON);
    for folder in ["def", "policies"] {
        fs::create_dir_all(aerleon.join(folder)).context("making the work directory")?;
    }
    let mut files = vec![
        (folder.join(RULES), lines(drawn.rules.iter().map(tuple))?),
        (folder.join(PACKETS), lines(drawn.packets.iter())?),
        (folder.join(NFT), nft(&drawn.rules)),
        (folder.join(IPTABLES), iptables(&drawn.rules)),
    ];
    if for_aerleon {
        let (policy, definitions) = aerleon_policy(&drawn.rules);
        files.push((aerleon.join("policies/drawn.yaml"), policy.to_string()));
        files.push((aerleon.join("def/drawn.yaml"), definitions.to_string()));
    }
    for (file, text) in files {
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

fn lines<T: serde::Serialize>(all: impl Iterator<Item = T>) -> Result<String> {
    let mut text = String::new();
    for one in all {
        text.push_str(&serde_json::to_string(&one)?);
        text.push('\n');
    }
    Ok(text)
}

fn tuple(rule: &Rule) -> impl serde::Serialize + use<> {
    let net = |net: Net| (net.first, net.last());
    let Match { source, destination, protocol, source_ports, destination_ports } = rule.of;
    (rule.allow, net(source), net(destination), protocol, source_ports, destination_ports)
}

fn protocol_name(protocol: u8) -> &'static str {
    match protocol {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        _ => "",
    }
}

/// One port, or the first and the last.
fn ports(ports: (u16, u16), between: char) -> String {
    if ports.0 == ports.1 { ports.0.to_string() } else { format!("{}{between}{}", ports.0, ports.1) }
}

/// The two ranges of ports that are not all of them, each with its name.
fn port_matches(of: &Match) -> impl Iterator<Item = (&'static str, (u16, u16))> + use<> {
    let both = [("sport", of.source_ports), ("dport", of.destination_ports)];
    both.into_iter().filter(|one| one.1 != ALL_PORTS)
}

fn nft(rules: &[Rule]) -> String {
    let mut text =
        "table inet drawn {\n chain f {\n  type filter hook forward priority 0; policy drop;\n".to_owned();
    for (number, Rule { allow, of, .. }) in rules.iter().enumerate() {
        text.push_str("  ");
        for (word, net) in [("saddr", of.source), ("daddr", of.destination)] {
            if net.bits > 0 {
                let _ = write!(text, "ip {word} {} ", net.text().trim_end_matches("/32"));
            }
        }
        let name = protocol_name(of.protocol);
        if !name.is_empty() && port_matches(of).next().is_none() {
            let _ = write!(text, "meta l4proto {name} ");
        }
        for (word, range) in port_matches(of) {
            let _ = write!(text, "{name} {word} {} ", ports(range, '-'));
        }
        let verdict = if *allow { "accept" } else { "drop" };
        let _ = writeln!(text, "counter {verdict} comment \"r{number}\"");
    }
    text + " }\n}\n"
}

fn iptables(rules: &[Rule]) -> String {
    let mut text = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n".to_owned();
    for (number, Rule { allow, of, .. }) in rules.iter().enumerate() {
        text.push_str("-A FORWARD");
        for (word, net) in [("-s", of.source), ("-d", of.destination)] {
            if net.bits > 0 {
                let _ = write!(text, " {word} {}", net.text());
            }
        }
        let name = protocol_name(of.protocol);
        if !name.is_empty() {
            let _ = write!(text, " -p {name}");
        }
        for (word, range) in port_matches(of) {
            let _ = write!(text, " -m {name} --{word} {}", ports(range, ':'));
        }
        let target = if *allow { "ACCEPT" } else { "DROP" };
        let _ = writeln!(text, " -m comment --comment r{number} -j {target}");
    }
    text + "COMMIT\n"
}

/// A policy and its definitions; JSON is YAML too.
fn aerleon_policy(rules: &[Rule]) -> (Value, Value) {
    let (mut networks, mut services) = (Map::new(), Map::new());
    let terms: Vec<Value> = rules
        .iter()
        .enumerate()
        .map(|(number, rule)| aerleon_term(number, rule, &mut networks, &mut services))
        .collect();
    let header = json!({ "targets": { "nftables": "inet forward" }, "comment": "drawn" });
    let policy = json!({ "filters": [{ "header": header, "terms": terms }] });
    (policy, json!({ "networks": networks, "services": services }))
}

fn aerleon_term(
    number: usize,
    rule: &Rule,
    networks: &mut Map<String, Value>,
    services: &mut Map<String, Value>,
) -> Value {
    let of = &rule.of;
    let mut term = Map::new();
    term.insert("name".into(), format!("r{number}").into());
    term.insert("action".into(), if rule.allow { "accept" } else { "deny" }.into());
    for (word, net) in [("source-address", of.source), ("destination-address", of.destination)] {
        if net.bits > 0 {
            let name = format!("N{:08x}_{}", net.first, net.bits);
            term.insert(word.into(), name.clone().into());
            networks.insert(name, json!({ "values": [{ "address": net.text() }] }));
        }
    }
    let protocol = protocol_name(of.protocol);
    if !protocol.is_empty() {
        term.insert("protocol".into(), protocol.into());
    }
    for (word, range) in port_matches(of).filter(|_| has_ports(of.protocol)) {
        let name = format!("P{}_{}_{}", of.protocol, range.0, range.1);
        let word = if word == "sport" { "source-port" } else { "destination-port" };
        term.insert(word.into(), name.clone().into());
        services.insert(name, json!([{ "protocol": protocol, "port": ports(range, '-') }]));
    }
    term.into()
}

#[cfg(test)]
mod tests {
    use super::super::draw::{PROFILES, draw};
    use super::*;

    #[test]
    fn every_form_has_every_rule() {
        let drawn = draw(&PROFILES[0], 300, 8, 10);
        let count = |text: &str, word: &str| text.lines().filter(|line| line.contains(word)).count();
        assert_eq!(count(&nft(&drawn.rules), "counter"), 300);
        assert_eq!(count(&iptables(&drawn.rules), "-A FORWARD"), 300);
        let (policy, definitions) = aerleon_policy(&drawn.rules);
        assert_eq!(policy["filters"][0]["terms"].as_array().unwrap().len(), 300);
        assert!(definitions["networks"].as_object().unwrap().len() > 30);
    }
}
