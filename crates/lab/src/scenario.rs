//! What a scenario file says, and how it is laid over the topology it names.
//!
//! The format is described in docs/lab.md. Unknown keys are refused, so that a typing error is not a
//! fault that was never injected.

use crate::ends::Ends;
use crate::error::{LabError, Result};
use netwhy_model::Lang;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Topologies may stand on topologies this deep.
const EXTENDS_DEPTH_MAX: usize = 4;
/// Entries of one kind (hosts, links, …) in one network.
const ENTRIES_COUNT_MAX: usize = 64;
/// Steps in one list.
const STEPS_COUNT_MAX: usize = 64;
/// The tables of a file that describe the network; the rest describes the scenario.
const NETWORK_KEYS: [&str; 9] = ["host", "link", "zone", "cert", "file", "service", "setup", "needs", "ends"];

/// A fault (or a healthy control) with the network it happens in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    pub head: Head,
    pub network: Network,
}

/// What is broken, what is asked, and what the truth is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The name a user types; unique.
    pub name: String,
    /// Ids of causes.yaml: one, two for a pair, none for a healthy control.
    pub cause: Vec<String>,
    /// Look-alikes that are acceptable where the client alone cannot tell.
    #[serde(default)]
    pub group: Vec<String>,
    /// From where it can be told at all; from less, it is not scored.
    #[serde(default)]
    pub seen_from: Ends,
    pub en: Words,
    pub zh: Words,
    /// A file of lab/topologies.
    #[serde(default)]
    pub topology: Option<String>,
    /// What netwhy is asked.
    pub target: String,
    /// Further arguments of netwhy.
    #[serde(default)]
    pub args: Vec<String>,
    /// The host netwhy runs on.
    #[serde(default = "client")]
    pub from: String,
    /// Steps that break it.
    #[serde(default)]
    pub inject: Vec<String>,
    /// Steps that mend it again.
    #[serde(default)]
    pub heal: Vec<String>,
}

/// The story in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// A few words.
    pub title: String,
    /// One or two sentences: what happened, and how it looks.
    pub what: String,
    /// One sentence: what mends it. Empty for a healthy control.
    #[serde(default)]
    pub fix: String,
}

impl Head {
    /// The story in one language.
    pub fn words(&self, lang: Lang) -> &Words {
        match lang {
            Lang::En => &self.en,
            Lang::Zh => &self.zh,
        }
    }

    /// Whether nothing is wrong here, however odd it looks.
    pub fn is_control(&self) -> bool {
        self.cause.is_empty()
    }
}

/// Hosts, the links between them, and what runs on them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    pub host: Vec<Host>,
    pub link: Vec<Link>,
    pub zone: Vec<Zone>,
    pub cert: Vec<Cert>,
    pub file: Vec<File>,
    pub service: Vec<Service>,
    /// Who plays which role when netwhy stands at both ends: `origin = "app1"`; empty for nobody.
    pub ends: BTreeMap<String, String>,
    /// Steps run before the services start.
    pub setup: Vec<String>,
    /// Programs that must exist, or `root`, `tun`, `conntrack-limit`; else the scenario is skipped.
    pub needs: Vec<String>,
}

/// A machine: a network namespace and its own view of /etc.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Host {
    pub name: String,
    /// `nameserver` lines of resolv.conf.
    pub resolvers: Vec<String>,
    /// The search list of resolv.conf.
    pub search: Vec<String>,
    /// The `options` line of resolv.conf.
    pub options: String,
    /// Further lines of /etc/hosts.
    pub hosts: Vec<String>,
    /// `default via 10.0.0.1`, `10.2.0.0/16 via 10.0.0.1`; IPv6 likewise.
    pub routes: Vec<String>,
    /// Whether it forwards packets.
    pub forward: bool,
    /// Written below /proc/sys: `"net.ipv4.ip_forward" = "1"`; applied after the links exist.
    pub sysctl: BTreeMap<String, String>,
}

/// A cable between two hosts, or a switch among more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    pub name: String,
    /// `client:eth0 10.61.1.10/24 fd61:1::10/64`; the interface name may be left out.
    pub ends: Vec<String>,
    pub mtu: Option<u32>,
    /// How a packet fares; only on links of two ends.
    pub shape: Shape,
}

/// What a link does to packets. Directions: `forward` is from the first end to the second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// One way, in milliseconds.
    pub delay_ms: f64,
    /// Added at random, 0 to this, in milliseconds; order is kept.
    pub jitter_ms: f64,
    /// Probability that a packet is lost, 0 to 1.
    pub loss: f64,
    /// Probability that a bit of a packet's transport payload is flipped, 0 to 1.
    pub corrupt: f64,
    /// Probability that a packet arrives twice, 0 to 1.
    pub duplicate: f64,
    /// Probability that a packet overtakes the delay, 0 to 1.
    pub reorder: f64,
    /// Kilobits per second; 0 is unlimited.
    pub rate_kbit: u64,
    /// Packets that may wait for the rate; 0 means 100.
    pub queue_packets: usize,
    /// Network-layer packets longer than this vanish, in bytes; 0 is no limit.
    pub drop_over_bytes: usize,
    /// `both` (also when empty), `forward` or `back`.
    pub direction: String,
}

impl Shape {
    /// Whether packets pass untouched.
    pub fn is_plain(&self) -> bool {
        *self == Shape { direction: self.direction.clone(), ..Shape::default() }
    }
}

/// A DNS zone, written as a master file (RFC 1035 section 5) to `{zones}/<name>.zone`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Zone {
    /// Without the last dot; the root is `.`.
    pub name: String,
    /// Lines such as `www 300 A 10.0.0.1`; SOA is made up unless one is given.
    pub records: Vec<String>,
}

/// A key and a certificate chain, at `{pki}/<name>.pem` and `{pki}/<name>.key`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cert {
    pub name: String,
    /// Names and addresses it is valid for.
    pub names: Vec<String>,
    /// A profile of `pki`; empty means `good`.
    pub profile: String,
}

/// A file on a host, in its work directory unless the path is absolute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// What the `file` verb calls it; by default the path.
    pub name: String,
    pub host: String,
    pub path: String,
    pub text: String,
    /// The text after the step `file NAME broken`.
    pub broken: Option<String>,
    /// Octal, such as `600`.
    pub mode: Option<String>,
}

/// A program that serves: netwhy's own (`dns`, `web`, `tcp`, `udp`) or a real daemon (`exec`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    pub name: String,
    pub host: String,
    pub kind: String,
    /// For `exec`: a shell line that stays in the foreground.
    pub command: String,
    /// Ports that must be listened on before it counts as started: `tcp:443`, `udp:53`.
    pub ready: Vec<String>,
    /// `false` when a step starts it.
    #[serde(default = "yes")]
    pub start: bool,
    /// Options of netwhy's own servers; see docs/lab.md.
    #[serde(flatten)]
    pub options: BTreeMap<String, serde_json::Value>,
}

fn yes() -> bool {
    true
}

fn client() -> String {
    "client".into()
}

/// Reads a scenario and lays it over its topology; `topology` finds the text of one by name.
pub fn parse(text: &str, topology: &dyn Fn(&str) -> Option<String>) -> Result<Scenario> {
    let mut head = table_of("scenario", text)?;
    let name = head.get("name").and_then(Value::as_str).unwrap_or("(without a name)").to_owned();
    let bad = |why: String| LabError::Scenario { name: name.clone(), why };
    let overlay = take_network(&mut head);
    let base = head.get("topology").and_then(Value::as_str).map(str::to_owned);
    let mut network = match base {
        Some(base) => base_table(&base, topology, 0)?,
        None => Table::new(),
    };
    lay_over(&mut network, overlay).map_err(&bad)?;
    let scenario = Scenario {
        head: head.try_into().map_err(|error: toml::de::Error| bad(error.message().to_owned()))?,
        network: network.try_into().map_err(|error: toml::de::Error| bad(error.message().to_owned()))?,
    };
    crate::check::check(&scenario).map_err(bad)?;
    Ok(scenario)
}

/// Reads a topology alone, for networks that are not scenarios (the demo).
pub fn network(name: &str, topology: &dyn Fn(&str) -> Option<String>) -> Result<Network> {
    let bad = |why: String| LabError::Scenario { name: name.to_owned(), why };
    base_table(name, topology, 0)?
        .try_into()
        .map_err(|error: toml::de::Error| bad(error.message().to_owned()))
}

fn table_of(what: &str, text: &str) -> Result<Table> {
    toml::from_str(text).map_err(|error| LabError::Scenario {
        name: what.to_owned(),
        why: error.to_string().trim().to_owned(),
    })
}

fn base_table(name: &str, topology: &dyn Fn(&str) -> Option<String>, depth: usize) -> Result<Table> {
    let bad = |why: String| LabError::Scenario { name: format!("topology {name}"), why };
    if depth > EXTENDS_DEPTH_MAX {
        return Err(bad("extends itself, or too many others".into()));
    }
    let text = topology(name).ok_or_else(|| LabError::Unknown { what: "topology", name: name.to_owned() })?;
    let mut table = table_of(name, &text)?;
    let own = take_network(&mut table);
    let extends = table.remove("extends");
    if let Some(key) = table.keys().next() {
        return Err(bad(format!("unknown key {key:?}")));
    }
    let mut network = match extends.as_ref().and_then(Value::as_str) {
        Some(base) => base_table(base, topology, depth + 1)?,
        None => Table::new(),
    };
    lay_over(&mut network, own).map_err(bad)?;
    Ok(network)
}

fn take_network(table: &mut Table) -> Table {
    NETWORK_KEYS.iter().filter_map(|key| table.remove_entry(*key)).collect()
}

/// Entries of the same name are merged key by key, as is `ends`; `setup` and `needs` are appended.
fn lay_over(base: &mut Table, overlay: Table) -> std::result::Result<(), String> {
    for (key, value) in overlay {
        if key == "ends" {
            lay_over_ends(base, value)?;
            continue;
        }
        let Value::Array(entries) = value else { return Err(format!("{key} must be a list")) };
        let slot = base.entry(&key).or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(existing) = slot else { return Err(format!("{key} must be a list")) };
        for entry in entries {
            merge_entry(existing, entry, &key)?;
        }
        let limit = if key == "setup" { STEPS_COUNT_MAX } else { ENTRIES_COUNT_MAX };
        if existing.len() > limit {
            return Err(format!("more than {limit} entries in {key}"));
        }
    }
    Ok(())
}

fn lay_over_ends(base: &mut Table, overlay: Value) -> std::result::Result<(), String> {
    let slot = base.entry("ends").or_insert_with(|| Value::Table(Table::new()));
    match (slot, overlay) {
        (Value::Table(ends), Value::Table(overlay)) if ends.len() + overlay.len() <= ENTRIES_COUNT_MAX => {
            ends.extend(overlay);
            Ok(())
        }
        _ => Err(format!("ends must be a table of at most {ENTRIES_COUNT_MAX} entries")),
    }
}

fn merge_entry(existing: &mut Vec<Value>, entry: Value, key: &str) -> std::result::Result<(), String> {
    let Value::Table(mut entry) = entry else {
        existing.push(entry);
        return Ok(());
    };
    if key == "file" && !entry.contains_key("name") {
        let part = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = format!("{}:{}", part("host"), part("path"));
        entry.insert("name".into(), Value::String(name));
    }
    let Some(name) = entry.get("name").and_then(Value::as_str).map(str::to_owned) else {
        return Err(format!("an entry of {key} has no name"));
    };
    let same = |value: &&mut Value| value.get("name").and_then(Value::as_str) == Some(&name);
    let added = entry.remove("add");
    match existing.iter_mut().find(same) {
        Some(Value::Table(old)) => {
            old.extend(entry);
            append_records(old, added);
        }
        _ => {
            append_records(&mut entry, added);
            existing.push(Value::Table(entry));
        }
    }
    Ok(())
}

/// `add` of a zone appends to the records of the zone below.
fn append_records(zone: &mut Table, added: Option<Value>) {
    let Some(Value::Array(added)) = added else { return };
    if let Value::Array(records) = zone.entry("records").or_insert_with(|| Value::Array(Vec::new())) {
        records.extend(added);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"
[[host]]
name = "client"
routes = ["default via 10.61.1.1"]
[[zone]]
name = "example.test"
records = ["www A 10.61.1.1"]
"#;

    fn parsed(text: &str) -> Result<Scenario> {
        parse(text, &|name| (name == "base").then(|| BASE.to_owned()))
    }

    const HEAD: &str = r#"
name = "x"
cause = ["tcp.refused.no_listener"]
topology = "base"
target = "tcp://10.61.1.1:1"
inject = ["@client true"]
heal = ["@client true"]
en = { title = "t", what = "w" }
zh = { title = "t", what = "w" }
"#;

    #[test]
    fn lays_a_scenario_over_its_topology() {
        let text = format!(
            "{HEAD}[[host]]\nname = \"client\"\nresolvers = [\"10.61.1.1\"]\n[[zone]]\nname = \"example.test\"\nadd = [\"a A 10.61.1.2\"]\n"
        );
        let scenario = parsed(&text).unwrap();
        assert_eq!(scenario.network.host.len(), 1);
        assert_eq!(scenario.network.host[0].routes.len(), 1);
        assert_eq!(scenario.network.host[0].resolvers, ["10.61.1.1"]);
        assert_eq!(scenario.network.zone[0].records.len(), 2);
        let ends = |text: &str| parsed(&format!("{HEAD}[ends]\n{text}\n")).map(|found| found.network.ends);
        assert_eq!(ends("origin = \"client\"").unwrap()["origin"], "client");
        assert!(ends("origin = \"nobody\"").is_err());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for (extra, part) in [
            ("colour = 1\n", "colour"),
            ("[[host]]\nname = \"a\"\nspeed = 1\n", "speed"),
            ("[[host]]\nspeed = 1\n", "no name"),
            ("setup = [\"dance\"]\n", "dance"),
        ] {
            let error = parsed(&format!("{HEAD}{extra}")).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
