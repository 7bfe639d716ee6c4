//! Sockets and the processes behind them.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Tcp,
    Udp,
}

/// One listening socket (sock_diag(7), state LISTEN; for UDP an unconnected bound socket).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    pub transport: Transport,
    pub address: SocketAddr,
    /// An IPv6 wildcard that takes no IPv4 (`IPV6_V6ONLY`).
    #[serde(default)]
    pub v6_only: bool,
    /// Bound to one interface (SO_BINDTODEVICE).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Connections waiting for accept(2); for UDP bytes unread.
    pub queue: u32,
    /// Places in the accept queue, min(backlog, somaxconn); 0 for UDP.
    pub queue_max: u32,
    /// Half-open connections (SYN_RECV) of this port.
    #[serde(default)]
    pub half_open: u32,
    /// Datagrams or connections this socket dropped since it opened, where the kernel says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drops: Option<u64>,
    pub inode: u64,
    /// Process ids that hold it, smallest first; empty when not readable.
    #[serde(default)]
    pub pids: Vec<u32>,
}

impl Listener {
    /// Whether a packet to this address and port would find it.
    pub fn takes(&self, to: SocketAddr) -> bool {
        if self.address.port() != to.port() {
            return false;
        }
        match (self.address.ip(), to.ip()) {
            (IpAddr::V6(own), IpAddr::V4(_)) if own.is_unspecified() => !self.v6_only,
            (own, wanted) if own.is_unspecified() => own.is_ipv4() == wanted.is_ipv4(),
            (own, wanted) => own.to_canonical() == wanted.to_canonical(),
        }
    }
}

/// How many TCP sockets are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SocketCounts {
    pub established: u64,
    pub syn_sent: u64,
    pub syn_recv: u64,
    pub fin_wait_1: u64,
    pub fin_wait_2: u64,
    pub time_wait: u64,
    pub close_wait: u64,
    pub last_ack: u64,
    pub closing: u64,
    pub listen: u64,
    pub udp: u64,
}

/// Sockets in one state towards one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCount {
    /// `SYN_SENT`, `SYN_RECV`, `TIME_WAIT`, `CLOSE_WAIT`.
    pub state: String,
    pub peer: IpAddr,
    /// The peer's port when it is the service's, else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// This host's own port when the service is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_port: Option<u16>,
    pub count: u64,
}

/// How the connections of one listening TCP port stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortUse {
    pub port: u16,
    pub established: u64,
    pub half_open: u64,
    pub close_wait: u64,
    pub time_wait: u64,
    /// Established, and not yet accepted by the application.
    pub not_accepted: u64,
    /// Accepted, with input that nobody read for a while.
    pub unread: u64,
    /// How long the longest of these has waited since its last input came, in milliseconds.
    pub unread_ms_max: u64,
    /// Open for a while, little or nothing received, nothing answered, nothing left to read: slow requests.
    pub starved: u64,
    /// Different peer addresses, all states together.
    pub peers: u64,
    /// The peer with most connections, and how many.
    pub busiest: Option<(IpAddr, u64)>,
    pub pids: Vec<u32>,
}

/// How many local ports one destination takes, from one own address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortDemand {
    pub from: IpAddr,
    pub to: SocketAddr,
    /// Connections in all states: each holds a port.
    pub used: u64,
    /// Of these in TIME_WAIT.
    pub time_wait: u64,
    /// Ports the kernel may choose from.
    pub range: u64,
}

/// Outgoing connections that spread over many hosts or many ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FanOut {
    /// The port they all go to; none when they go to many ports of one host.
    pub port: Option<u16>,
    /// The host they all go to; none when they go to one port of many hosts.
    pub host: Option<IpAddr>,
    /// Different hosts, or different ports of the one host.
    pub targets: u64,
    /// Targets with a connection that is not open yet (SYN_SENT).
    pub half_open: u64,
    pub established: u64,
    /// Connections that already ended (TIME_WAIT, FIN_WAIT).
    pub ended: u64,
    /// Processes behind them, most connections first.
    pub pids: Vec<u32>,
    /// A few of the targets.
    pub examples: Vec<SocketAddr>,
}

/// One of the connections that do worst.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlowSocket {
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub state: String,
    pub retransmits: u32,
    pub lost: u32,
    pub rtt_ms: f64,
    pub rtt_var_ms: f64,
    pub congestion: String,
    /// Bytes not yet read by the application.
    pub unread_bytes: u32,
    /// Bytes not yet acknowledged by the peer, or not yet sent.
    pub unsent_bytes: u32,
    #[serde(default)]
    pub pids: Vec<u32>,
}

/// One process that matters here: it listens, or many of its connections stand out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub name: String,
    /// Its command line, bounded, without control characters; arguments that look like secrets left out.
    pub command: String,
    pub user: u32,
    /// The letter of proc(5): R running, S sleeping, D uninterruptible, T stopped, Z zombie.
    pub state: String,
    /// Seconds since it started.
    pub age_s: u64,
    pub files_open: Option<u64>,
    pub files_max: Option<u64>,
    pub threads: u32,
    /// Share of one core over its life or the window, 0 to the number of cores.
    pub cpu: Option<f64>,
    /// The longest that one of its threads waited for a processor between two looks, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u32>,
    pub memory_bytes: u64,
    /// `nginx.service`, read from its cgroup.
    pub unit: Option<String>,
    /// Container id (12 hex digits) and runtime, read from its cgroup.
    pub container: Option<String>,
    /// The program file, with ` (deleted)` where it is gone.
    pub executable: Option<String>,
}

/// A service behind a port: its unit or process, restarts and what its log says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    pub name: String,
    /// Ports it listens on.
    pub ports: Vec<u16>,
    pub pids: Vec<u32>,
    /// `active`, `failed`, `restarting`, where a service manager says so.
    pub state: Option<String>,
    pub restarts: Option<u64>,
    /// The file or journal its log was read from.
    pub log: Option<String>,
    /// The last lines, bounded and printable.
    pub lines: Vec<String>,
}
