//! What was asked and answered, as plain data: the JSON of `netwhy dns` and the ground of every fact.

use crate::authority::Authority;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// One record as it came, its data in presentation form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordLine {
    /// Owner, lower case, without the final dot (the root is `.`).
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// Seconds.
    pub ttl: u32,
    pub data: String,
}

/// One extended error of a reply (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedError {
    pub code: u16,
    /// The registered name of the code, or `unassigned`.
    pub name: String,
    /// The server's own words, printable, possibly empty.
    pub text: String,
}

/// One reply, read as far as it could be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reply {
    pub rcode: u16,
    pub authoritative: bool,
    pub truncated: bool,
    pub recursion_available: bool,
    pub authentic_data: bool,
    /// False when a section could not be decoded; what stands here is then what could.
    pub readable: bool,
    /// Bytes of the whole message.
    pub size_bytes: usize,
    pub answers: Vec<RecordLine>,
    pub authorities: Vec<RecordLine>,
    pub additionals: Vec<RecordLine>,
    /// The UDP payload size the server offers, when it spoke EDNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edns_bytes: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_errors: Vec<ExtendedError>,
}

/// How one exchange with one server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    Answered,
    /// Nothing came within the wait.
    Silent,
    /// ICMP port unreachable, or a TCP reset.
    PortUnreachable,
    /// ICMP host or network unreachable, or the neighbour did not answer.
    HostUnreachable,
    /// This host refused to send: no route, no permission, no such interface.
    LocalError,
}

/// The transport of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    Udp,
    Tcp,
}

/// One question to one server, and what came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    pub server: SocketAddr,
    pub via: Via,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub ending: Ending,
    /// Milliseconds from the first packet sent to the answer, or to giving up.
    pub elapsed_ms: f64,
    /// Packets or connections it took.
    pub tries: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// A later reply to the very same packet that says something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Box<Reply>>,
    /// The IP TTL or hop limit of the reply, when the kernel told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop_limit: Option<u8>,
    /// What this host said when it could not send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a question was put to a resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The A question as the system's stub asks it.
    Ipv4,
    /// The AAAA question as the system's stub asks it.
    Ipv6,
    /// The same over TCP, since the UDP answer was truncated.
    Ipv4Tcp,
    Ipv6Tcp,
    /// With EDNS, so that the resolver may explain itself.
    Explained,
    /// The HTTPS record (RFC 9460).
    Https,
    /// Something the resolver answers by itself: is it there, and how fast?
    Control,
    /// A name beside the target that nobody has cached.
    Sibling,
    /// The A question over TCP, since UDP was silent.
    Tcp,
    /// With CD=1: what it says without validation.
    Unchecked,
    /// The A question once more.
    Again,
    /// The last target of a CNAME chain, by itself.
    Target,
}

/// One exchange with a resolver, and what it was for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asking {
    pub purpose: Purpose,
    #[serde(flatten)]
    pub exchange: Exchange,
}

/// What a resolver turned out to be, for this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResolverState {
    /// Answered, be it that the name does not exist.
    Well,
    Refuses,
    Servfail,
    /// Answered with something no stub can use.
    Bad,
    /// There, but no answer to this name within the wait.
    Mute,
    /// Nothing at all came from it over UDP.
    Dead,
}

/// Everything asked of one resolver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolverReport {
    pub server: SocketAddr,
    pub state: ResolverState,
    /// Milliseconds to the slower of the A and AAAA answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    pub asked: Vec<Asking>,
}

impl ResolverReport {
    /// The first exchange with this purpose.
    pub fn exchange(&self, purpose: Purpose) -> Option<&Exchange> {
        self.asked.iter().find(|a| a.purpose == purpose).map(|a| &a.exchange)
    }

    /// All exchanges with this purpose.
    pub fn exchanges(&self, purpose: Purpose) -> impl Iterator<Item = &Exchange> {
        self.asked.iter().filter(move |a| a.purpose == purpose).map(|a| &a.exchange)
    }

    /// The reply that counts for a family: the one over TCP when UDP was truncated.
    pub fn reply(&self, family: Purpose) -> Option<&Reply> {
        let over_tcp = if family == Purpose::Ipv6 { Purpose::Ipv6Tcp } else { Purpose::Ipv4Tcp };
        let reply = self.exchange(over_tcp).or_else(|| self.exchange(family))?.reply.as_ref()?;
        (!reply.truncated).then_some(reply)
    }
}

/// The names question in full.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NamesReport {
    /// The name asked for.
    pub name: String,
    /// The names tried, in order: the search list applied as the system does.
    pub tried: Vec<String>,
    /// The one of `tried` whose answer counts.
    pub final_name: String,
    pub hosts: Vec<IpAddr>,
    pub resolvers: Vec<ResolverReport>,
    /// Owner names of the CNAME chain, from the name itself to the last target.
    pub cname_chain: Vec<String>,
    /// The system's own waits in milliseconds: time-outs of dead resolvers included.
    pub system_wait_ms: f64,
    /// HTTPS records (RFC 9460).
    pub https: Vec<RecordLine>,
    /// SOA of a negative answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_soa: Option<RecordLine>,
    /// The zone's own servers, when a slow resolver gave reason to look for them already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<Authority>,
}
