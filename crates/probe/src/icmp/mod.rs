//! Probes of our own making and the answers to them: the ground under ping, trace, PMTU and loss.
//!
//! Two ways lead to the wire. [`raw`] writes whole packets and listens in front of every local filter;
//! it needs CAP_NET_RAW. [`plain`] uses one kernel socket for each probe and the error queue; it needs
//! nothing, and for echo a group inside `net.ipv4.ping_group_range`. [`Link`] hides which one is in use.

mod batch;
mod filter;
mod flow;
mod packet;
mod plain;
mod raw;
mod route;
mod system;

pub use batch::{Batch, Outcome, Wait, run_batch};
pub use flow::{Flow, FlowError, OpenFlow, tcp_packet_max};
pub use packet::{Heard, What, read};
pub use plain::PlainLink;
pub use raw::RawLink;
pub use route::Route;
pub(crate) use system::tcp_info;

use netwhy_model::{Evidence, Stamp};
use netwhy_wire::ErrorClass;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// What a probe is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Icmp,
    Tcp,
    Udp,
}

impl Protocol {
    /// The name used on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Icmp => "icmp",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// The packet one probe sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// An echo request; the identifier is the link's own.
    Echo { sequence: u16 },
    /// A SYN that nobody will complete; the kernel resets what answers it.
    Syn { source_port: u16, port: u16, number: u32 },
    /// Bytes the peer already has, on an established connection: it acknowledges them at once (RFC 9293, 3.10.7.4).
    Again { flow: Flow, length: u16 },
    /// A datagram, told from others of its ports by its length.
    Datagram { source_port: u16, port: u16 },
}

/// One probe: packet, TTL, size and whether routers may cut it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub packet: Packet,
    pub ttl: u8,
    /// Length of the whole IP packet in bytes; the smallest possible when less.
    pub bytes: u16,
    pub whole: bool,
    /// Sent in pieces of at most so many bytes; whole when 0. Raw only.
    pub cut: u16,
}

/// The TTL of an ordinary packet.
pub const TTL_DEFAULT: u8 = 64;

impl Probe {
    /// A small probe with an ordinary TTL.
    pub const fn new(packet: Packet) -> Probe {
        Probe { packet, ttl: TTL_DEFAULT, bytes: 0, whole: false, cut: 0 }
    }
}

/// Why a packet did not arrive, in the words of ICMP and ICMPv6 alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreachable {
    Net,
    Host,
    Protocol,
    Port,
    /// A filter or a prohibit route says so.
    Prohibited,
    /// ICMP type and code without a word of their own here.
    Other,
}

impl Unreachable {
    /// The name used in excerpts.
    pub const fn name(self) -> &'static str {
        match self {
            Unreachable::Net => "net unreachable",
            Unreachable::Host => "host unreachable",
            Unreachable::Protocol => "protocol unreachable",
            Unreachable::Port => "port unreachable",
            Unreachable::Prohibited => "administratively prohibited",
            Unreachable::Other => "unreachable",
        }
    }
}

impl Answer {
    /// The answer an ICMP error is; `None` when it says nothing of the path.
    pub fn from_error(class: ErrorClass, mtu: Option<u32>) -> Option<Answer> {
        Some(Answer::Unreachable(match class {
            ErrorClass::TtlExceeded => return Some(Answer::TimeExceeded),
            ErrorClass::TooBig => return Some(Answer::TooBig(mtu.unwrap_or(0))),
            ErrorClass::NetUnreachable => Unreachable::Net,
            ErrorClass::HostUnreachable => Unreachable::Host,
            ErrorClass::ProtocolUnreachable => Unreachable::Protocol,
            ErrorClass::PortUnreachable => Unreachable::Port,
            ErrorClass::AdminProhibited => Unreachable::Prohibited,
            ErrorClass::Other => Unreachable::Other,
            ErrorClass::ReassemblyExceeded | ErrorClass::ParameterProblem => return None,
        }))
    }
}

/// What came back for a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Echo,
    SynAck,
    Reset,
    /// An acknowledgement of bytes sent again.
    Ack,
    Datagram,
    TimeExceeded,
    Unreachable(Unreachable),
    /// The next link takes no more than so many bytes; 0 when the router does not say how many.
    TooBig(u32),
}

impl Answer {
    /// True when the destination itself, or someone in its name, answered.
    pub const fn from_destination(self) -> bool {
        matches!(self, Answer::Echo | Answer::SynAck | Answer::Reset | Answer::Ack | Answer::Datagram)
    }
}

/// One answer to one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    pub answer: Answer,
    pub from: IpAddr,
    /// TTL of the answer as it arrived, where it could be read.
    pub ttl: Option<u8>,
    pub rtt: Duration,
    /// The maximum segment size a SYN-ACK names.
    pub mss: Option<u16>,
    /// The kernel had to send the SYN again: the first one, or its answer, was lost.
    pub retried: bool,
}

/// A way to the wire.
#[derive(Debug)]
pub enum Link {
    Raw(Box<RawLink>),
    Plain(Box<PlainLink>),
}

impl Link {
    /// Opens the raw way, or the plain one where raw is not allowed.
    pub fn open(route: &Route) -> io::Result<Link> {
        match RawLink::open(route) {
            Ok(link) => Ok(Link::Raw(Box::new(link))),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Link::plain(route)),
            Err(error) => Err(error),
        }
    }

    /// The way that needs no privilege.
    pub fn plain(route: &Route) -> Link {
        Link::Plain(Box::new(PlainLink::new(route)))
    }

    /// True when packets are written and heard raw.
    pub const fn is_raw(&self) -> bool {
        matches!(self, Link::Raw(_))
    }

    /// Sends one probe under an index of the caller's; an error is what this host said.
    pub fn send(&mut self, index: usize, probe: &Probe) -> io::Result<SystemTime> {
        match self {
            Link::Raw(link) => link.send(index, probe),
            Link::Plain(link) => link.send(index, probe),
        }
    }

    /// Waits for the next answer until a moment; `None` when it passed.
    pub fn receive(&mut self, until: Instant) -> io::Result<Option<(usize, Reply)>> {
        match self {
            Link::Raw(link) => link.receive(until),
            Link::Plain(link) => link.receive(until),
        }
    }

    /// Reserves a source port, so that no program of this host uses it meanwhile.
    pub fn reserve_port(&mut self, protocol: Protocol) -> io::Result<u16> {
        match self {
            Link::Raw(link) => link.reserve_port(protocol),
            Link::Plain(_) => Ok(0),
        }
    }

    /// True when packets were lost inside this host, so that counting is off.
    pub fn overflowed(&self) -> bool {
        match self {
            Link::Raw(link) => link.overflowed(),
            Link::Plain(_) => false,
        }
    }
}

/// A wish to stop, shared with whoever may have it.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Asks everything that looks here to end soon.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once somebody asked.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why raw packets are out of reach, in the words of a report.
pub(crate) const NEEDS_RAW: &str = "needs CAP_NET_RAW: run as root or setcap cap_net_raw+ep";

/// A fact of the path as seen now.
pub(crate) fn seen(fact: &str, value: &str, collector: &str, excerpt: impl Into<String>) -> Evidence {
    let now = Stamp::from(SystemTime::now());
    Evidence::seen(fact, value, netwhy_model::Link::Path, now, collector, excerpt)
}

/// A fact of the path that could not be asked.
pub(crate) fn unread(fact: &str, collector: &str, why: impl Into<String>) -> Evidence {
    let now = Stamp::from(SystemTime::now());
    Evidence::unread(fact, netwhy_model::Link::Path, now, collector, why)
}

/// Milliseconds with as many digits as matter.
pub(crate) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1_000.0;
    if millis < 10.0 { format!("{millis:.2} ms") } else { format!("{millis:.0} ms") }
}
