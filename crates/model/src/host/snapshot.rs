//! One look at a machine.

use super::{
    FanOut, Listener, PeerCount, PortDemand, PortUse, Process, Ruleset, Service, SlowSocket, SocketCounts,
};
use crate::{Stamp, Text};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How a reading looks by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    Well,
    /// Worth a look; not broken.
    Odd,
    /// Breaks connections, or is about to.
    Bad,
}

/// One number or setting, with what it was read from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The kernel's or the file's own name: `ListenOverflows`, `net.ipv4.tcp_syncookies`.
    pub name: String,
    /// As read; numbers without separators.
    pub value: String,
    /// `packets`, `bytes`, `%`, `ms`, `files`; empty for settings.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The limit it runs into, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// How much it rose in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<i64>,
    /// The file, netlink dump or call it was read from.
    pub from: String,
    #[serde(default)]
    pub state: State,
    /// Why it is odd or bad, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Text>,
}

/// Readings of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// `queues`, `counters`, `limits`, `settings`, `pressure`, `hooks`, `clock`, `names`.
    pub id: String,
    pub title: Text,
    pub readings: Vec<Reading>,
}

/// The fill of the connection-tracking table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conntrack {
    pub count: u64,
    /// The limit that really counts: the first namespace's where that is smaller.
    pub max: u64,
    pub insert_failed: u64,
    pub drop: u64,
    pub early_drop: u64,
    /// Entries by state, most first, bounded.
    pub by_state: Vec<(String, u64)>,
    /// The destinations with most entries, bounded.
    pub top: Vec<(String, u64)>,
    pub from: String,
}

/// One interface with its errors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    pub index: u32,
    pub name: String,
    pub up: bool,
    pub carrier: bool,
    pub mtu: u32,
    pub addresses: Vec<String>,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
    pub carrier_changes: u64,
    /// The root queueing discipline, with its drops.
    pub qdisc: Option<String>,
    pub qdisc_drops: u64,
    /// Programs and filters that see packets before or after the firewall: `xdp id 7`, `clsact ingress`.
    pub hooks: Vec<String>,
}

/// One entry of the neighbour table that is not well, or a gateway's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    pub address: IpAddr,
    pub interface: String,
    pub mac: Option<String>,
    /// `reachable`, `stale`, `failed`, `incomplete`, `permanent`, …
    pub state: String,
}

/// A line of a log that means something, recognised and dated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSign {
    /// `too_many_files`, `conntrack_full`, `upstream_refused`, `upstream_timeout`, `no_live_upstream`,
    /// `oom_kill`, `disk_full`, `access_denied`, `rate_limited`, `worker_limit`, `crash`, `bind_failed`,
    /// `tls_upstream`, `syn_flood`, `neighbour_full`, `waf_block`, …
    pub sign: String,
    /// When, by the log's own date; the epoch when it has none.
    pub at: Stamp,
    /// The line, bounded and printable.
    pub line: String,
    /// The file or journal unit.
    pub from: String,
    #[serde(default)]
    pub count: u64,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Breaks connections now.
    Broken,
    /// Will break them soon, or breaks some.
    Risk,
    /// Worth knowing.
    Note,
}

/// What the host's own state says, by cause of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// An id of the catalogue.
    pub cause: String,
    pub severity: Severity,
    /// One sentence.
    pub text: Text,
    /// What proves it, each with its number and where that was read.
    pub proof: Vec<String>,
    /// The process, port or interface it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// What could not be read, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub what: String,
    pub why: String,
    /// True when root would read it.
    #[serde(default)]
    pub root_helps: bool,
}

/// One look at a machine: the JSON contract `netwhy.host/1`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    pub schema: String,
    pub hostname: String,
    pub kernel: String,
    pub at: Stamp,
    /// Wall time the look took, in milliseconds.
    pub took_ms: u64,
    /// The window of the deltas, in milliseconds; 0 without one.
    pub window_ms: u64,
    pub root: bool,
    pub findings: Vec<Finding>,
    pub counts: SocketCounts,
    pub listeners: Vec<Listener>,
    pub processes: Vec<Process>,
    pub peers: Vec<PeerCount>,
    /// Connections of each listening TCP port.
    pub ports: Vec<PortUse>,
    /// Destinations that take most local ports.
    pub demands: Vec<PortDemand>,
    /// Outgoing connections to many hosts or ports, most targets first.
    pub fan_outs: Vec<FanOut>,
    pub slow: Vec<SlowSocket>,
    pub sections: Vec<Section>,
    pub conntrack: Option<Conntrack>,
    pub interfaces: Vec<Interface>,
    pub neighbours: Vec<Neighbour>,
    /// `default via 10.0.0.1 dev eth0`, tables beyond main named; policy rules first; bounded.
    pub routes: Vec<String>,
    pub ruleset: Ruleset,
    pub services: Vec<Service>,
    pub signs: Vec<LogSign>,
    pub unread: Vec<Unread>,
}
