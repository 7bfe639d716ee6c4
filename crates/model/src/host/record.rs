//! What one end saw while a source probed: the half of a case that the other end keeps.

use super::{
    Conntrack, Finding, Interface, Listener, LogSign, Neighbour, Process, Reading, Rule, TraceStep, Unread,
};
use crate::{Stamp, Vantage};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The schema of a record.
pub const RECORD_SCHEMA: &str = "netwhy.record/1";

/// Which traffic to watch. Ports and addresses are as this end sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchSpec {
    /// The addresses asked for, as the source knows them; any when empty.
    pub targets: Vec<IpAddr>,
    /// The port asked for.
    pub port: u16,
    /// The source's own addresses, when known: return routes are looked up for these.
    pub sources: Vec<IpAddr>,
    /// UDP instead of TCP.
    pub udp: bool,
    /// Also watch what this end itself sends out to begin connections: it is a node in front of an origin.
    pub onward: bool,
    /// Set up tracing of rules and drop reasons (needs privilege; removed when the watch ends), and send the
    /// sources a few echo requests.
    pub trace: bool,
}

/// What kind of packet was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PacketKind {
    Syn,
    SynAck,
    Rst,
    Fin,
    /// A segment with payload.
    Data,
    /// Anything else of TCP.
    Ack,
    /// An ICMP error about one of the flows.
    IcmpError,
    EchoRequest,
    EchoReply,
    Udp,
}

/// One packet's identity, which no clock is needed to compare: addresses, ports, sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PacketSeen {
    /// Nanoseconds since the epoch, by this end's own clock.
    pub at_ns: u64,
    /// True when this host sent it.
    pub outgoing: bool,
    /// It came with another station's link-layer address: this host's kernel throws it away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_station: bool,
    /// Index of the interface.
    pub interface: u32,
    pub kind: PacketKind,
    /// For an ICMP error: of the packet it quotes.
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub payload_len: u16,
    pub ttl: u8,
    /// For an ICMP error: its sender and type/code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<(IpAddr, u8, u8)>,
    /// The sender's link-layer address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<[u8; 6]>,
}

/// A kernel counter before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterDelta {
    /// `TcpExt.ListenOverflows`, `Ip.OutNoRoutes`, `Xfrm.XfrmInNoPols`.
    pub name: String,
    pub before: u64,
    pub after: u64,
    pub from: String,
}

impl CounterDelta {
    /// How much it rose; a counter that went back counts as not risen.
    pub fn rose(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }
}

/// A rule whose counter moved, or that a traced packet met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDelta {
    pub rule: Rule,
    pub packets: u64,
}

/// A drop the kernel traced. System-wide, without a namespace: a hint, never the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropSeen {
    /// `NETFILTER_DROP`, `NO_SOCKET`, `TCP_CSUM`.
    pub reason: String,
    pub count: u64,
}

/// What this host would do with a packet to that address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalRoute {
    pub to: IpAddr,
    /// From which own address, when asked so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// `unicast`, `local`, `unreachable`, `prohibit`, `blackhole`, `none`, `throw`.
    pub kind: String,
    #[serde(default)]
    pub interface: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// 254 is main, 255 local.
    #[serde(default)]
    pub table: u32,
    /// MTU of the route or a cached path MTU exception, when smaller than the interface's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The policy rule beyond the usual ones that speaks of this pair, where the answer is a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The state of the next hop's neighbour entry.
    #[serde(default)]
    pub neighbour: String,
}

/// A socket of one of the watched five-tuples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TupleSocket {
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub state: String,
    /// 0 while it waits in the accept queue.
    pub inode: u64,
    pub unread_bytes: u32,
    pub unsent_bytes: u32,
    pub retransmits: u32,
    /// Milliseconds since data last came, and since data was last sent, by TCP_INFO.
    pub last_received_ms: u32,
    pub last_sent_ms: u32,
    /// Payload bytes received and sent and acknowledged in all.
    pub bytes_received: u64,
    pub bytes_acked: u64,
    #[serde(default)]
    pub pids: Vec<u32>,
}

/// Where a proxy sends requests on to, by its own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// `nginx` or `haproxy`.
    pub program: String,
    pub file: String,
    pub line: u32,
    /// The ports its frontend listens on.
    pub listens: Vec<u16>,
    /// The sites its frontend answers for, as written; empty when for all.
    pub sites: Vec<String>,
    /// The paths that go there: `/api`, `= /x`, `~ \.php$`, `@named`; empty when all do.
    pub location: String,
    /// As written: `10.0.0.2:8080`, `origin.example:443`, `unix:/run/app.sock`.
    pub server: String,
    /// The server written as an address, when it is one.
    pub address: Option<SocketAddr>,
    /// The name written, when it is one, and what it means now (hosts file and the configured resolvers).
    pub name: Option<String>,
    pub resolves_to: Vec<IpAddr>,
    /// It speaks TLS to the server.
    pub tls: bool,
    /// It sends this name in its hello; `None` when none is sent.
    pub sni: Option<String>,
    /// It checks the server's certificate.
    pub verify: bool,
    /// The Host header it sends: a literal, or `$host`-like variables as written; `None` when left alone.
    pub host_header: Option<String>,
    /// What that comes to, when the configuration alone decides it and not the visitor.
    pub host_sent: Option<String>,
    /// It passes bytes on unread (haproxy `mode tcp`, nginx `stream`): TLS may pass through it.
    pub raw: bool,
    /// It begins with a PROXY header (version 1 or 2).
    pub proxy_protocol: bool,
    pub connect_timeout_ms: Option<u64>,
    pub read_timeout_ms: Option<u64>,
    /// Idle connections it keeps for reuse; 0 when it opens one per request, `u32::MAX` without a limit.
    pub keepalive: u32,
    /// Most connections to this server at once.
    pub connections_max: Option<u32>,
    /// A health check: its request path (empty for a bare connect) and interval.
    pub check_path: Option<String>,
    pub check_interval_ms: Option<u64>,
    /// Marked `down`, `disabled` or `backup` in the configuration.
    pub disabled: bool,
    /// Marked `backup`: asked once all others are out.
    pub backup: bool,
    /// What the running program says of it: `UP`, `DOWN`, `MAINT`, `no check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// What a server expects of those who connect to one of its ports, by its own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Frontend {
    /// `nginx` or `haproxy`.
    pub program: String,
    pub file: String,
    pub line: u32,
    pub port: u16,
    /// The address it is bound to; `None` for every one.
    pub address: Option<IpAddr>,
    pub tls: bool,
    /// It expects a PROXY header before anything else.
    pub proxy_protocol: bool,
    /// The sites it answers for, as written; empty when for all.
    pub sites: Vec<String>,
    /// It takes what no other frontend of the port names.
    pub is_default: bool,
    /// It refuses a TLS handshake without a name it knows.
    pub refuses_unnamed: bool,
}

/// What one end saw while the source probed: the JSON contract `netwhy.record/1`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    pub schema: String,
    /// As the user calls it: `origin`, `edge`, `client`, `r2`.
    pub name: String,
    pub vantage: Option<Vantage>,
    pub hostname: String,
    pub spec: WatchSpec,
    pub started: Stamp,
    pub ended: Stamp,
    pub own_addresses: Vec<IpAddr>,
    pub forwards_v4: bool,
    pub forwards_v6: bool,
    pub packets: Vec<PacketSeen>,
    /// Packets the kernel could not hold for us, or past the limit.
    pub packets_lost: u64,
    /// Only counters that can explain a lost connection.
    pub counters: Vec<CounterDelta>,
    pub rules: Vec<RuleDelta>,
    /// Every rule and policy that could stop the watched traffic, whether its counter moved or not; bounded.
    pub candidates: Vec<Rule>,
    /// Decisive trace steps of watched packets.
    pub trace: Vec<TraceStep>,
    pub drops: Vec<DropSeen>,
    /// Of the watched port, and a few others of the host to compare with.
    pub listeners: Vec<Listener>,
    /// The listeners as they were at the worst moment of their queues.
    pub queue_peaks: Vec<Listener>,
    pub sockets: Vec<TupleSocket>,
    pub processes: Vec<Process>,
    pub routes: Vec<LocalRoute>,
    pub neighbours: Vec<Neighbour>,
    pub interfaces: Vec<Interface>,
    pub conntrack: Option<Conntrack>,
    /// Settings and pressures that matter to a connection.
    pub readings: Vec<Reading>,
    pub signs: Vec<LogSign>,
    /// Where this end itself tried to connect to during the watch, with how that ended.
    pub onward: Vec<SocketAddr>,
    /// Where the proxies behind the watched port send requests, by their configuration.
    pub upstreams: Vec<Upstream>,
    /// What the proxies and web servers of this host expect on their ports, by their configuration.
    pub frontends: Vec<Frontend>,
    /// What this host's own state says (`netwhy host`), where it was judged.
    pub findings: Vec<Finding>,
    pub judged: bool,
    pub unread: Vec<Unread>,
}
