//! A packet filter's rules as written: one tree for nft (text and JSON), iptables-save and ip6tables-save.
//!
//! Numbers are in host order; addresses of IPv4 take the low 32 bits. A part that cannot be modelled stays in
//! its rule as [`Part::Unknown`], so that whoever evaluates it answers *depends* and not *accept*.

use crate::place::{Place, Unread};
use std::sync::Arc;

/// Everything one file, or one host, holds.
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    pub tables: Vec<Table>,
    /// Sets of ipset; those of nft stand in their table.
    pub ipsets: Vec<Set>,
    pub unread: Vec<Unread>,
}

#[derive(Debug, Clone)]
pub struct Table {
    pub backend: Backend,
    pub family: TableFamily,
    pub name: String,
    /// A dormant table's chains are not called.
    pub dormant: bool,
    pub chains: Vec<Chain>,
    /// Named sets and maps.
    pub sets: Vec<Set>,
    pub place: Place,
}

/// Which program's semantics hold; with equal priority legacy and nft chains run in order of registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    Nft,
    /// iptables-save, of either back end.
    Xtables,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableFamily {
    Ip,
    Ip6,
    Inet,
    Arp,
    Bridge,
    Netdev,
}

#[derive(Debug, Clone)]
pub struct Chain {
    pub name: String,
    /// What hangs it into a hook; `None` for a chain that is only jumped to.
    pub base: Option<Base>,
    pub rules: Vec<Rule>,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub kind: ChainKind,
    pub hook: Hook,
    pub priority: i32,
    /// What happens to a packet that no rule decided: [`Verdict::Accept`] or [`Verdict::Drop`].
    pub policy: Policy,
    pub devices: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    Accept,
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainKind {
    Filter,
    /// Asked only for the first packet of a connection.
    Nat,
    /// As filter on output, then routed again when the mark or addresses changed.
    Route,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    Ingress,
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    Egress,
}

#[derive(Debug, Clone)]
pub struct Rule {
    /// The rule's number in its chain, from 0.
    pub number: u32,
    pub place: Place,
    /// The rule as written, without the chain's name, cut after 200 characters.
    pub text: String,
    pub comment: Option<String>,
    /// Worked through from left to right; the first match that fails ends the rule.
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Match(Match),
    Verdict(Verdict),
    /// `tcp dport vmap { … }`: the verdict of the element found, none when none is.
    VerdictMap {
        keys: Vec<Operand>,
        set: SetUse,
    },
    Nat(Nat),
    /// `meta mark set …`, `ct mark set …`, `ip dscp set …`.
    Write {
        field: Field,
        value: Written,
    },
    Notrack,
    /// `add @set { … }`, `update`, `delete`; of ipset's SET target too. `also` is what stands beside the key.
    Update {
        set: String,
        kind: UpdateKind,
        keys: Vec<Operand>,
        also: Vec<Part>,
    },
    Limit(Limit),
    /// Matches once the count of bytes passed it (`over`), or until then.
    Quota {
        bytes: u64,
        over: bool,
    },
    /// `ct count`, connlimit. Matches while the connections are up to (`over`: more than) `count`.
    Connections {
        count: u64,
        over: bool,
    },
    /// Log and whatever else decides nothing but does something; counters and comments are left out.
    Aside,
    /// Not understood: may match or not, and if it is a statement may do anything.
    Unknown {
        text: String,
        why: netwhy_model::Text,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateKind {
    Add,
    Update,
    Delete,
}

/// `negated` turns the result of the test, not the need for the field: a packet without the field never matches
/// in nft.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// More than one is a concatenation (`ip saddr . tcp dport`).
    pub keys: Vec<Operand>,
    pub test: Test,
    pub negated: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// The value, or one of the values.
    In(SetUse),
    /// One of these bits at least: `ct state new,established`, `tcp flags syn`. A single key.
    AnyBit(u128),
    /// Compared with another field of the packet (rare): equal.
    Same(Box<Operand>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum SetUse {
    Inline(Arc<Vec<Element>>),
    /// A named set of the table, or of ipset for xtables.
    Named(String),
}

/// A field, then `& mask`, then `^ xor`, then `<< shift` (negative: `>>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operand {
    pub field: Field,
    pub mask: Option<u128>,
    pub xor: u128,
    pub shift: i8,
}

impl Operand {
    pub const fn plain(field: Field) -> Operand {
        Operand { field, mask: None, xor: 0, shift: 0 }
    }

    /// Whether nothing is done to the field.
    pub const fn is_plain(&self) -> bool {
        self.mask.is_none() && self.xor == 0 && self.shift == 0
    }
}

/// What a rule can look at. The header it belongs to is part of it: `Ip4Source` of an IPv6 packet is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    Ip4Source,
    Ip4Destination,
    Ip6Source,
    Ip6Destination,
    /// The byte in the IPv4 header (`ip protocol`).
    Ip4Protocol,
    /// The byte in the fixed IPv6 header (`ip6 nexthdr`): an extension header, when there is one.
    Ip6NextHeader,
    /// The transport protocol, past extension headers (`meta l4proto`, `-p`).
    Protocol,
    /// 2 for IPv4, 10 for IPv6 (`meta nfproto`).
    NfProto,
    /// 0x0800, 0x86dd (`meta protocol`, `ether type`).
    EtherType,
    TcpSource,
    TcpDestination,
    UdpSource,
    UdpDestination,
    /// Ports of sctp, dccp, udplite; the protocol's own number stands beside as a match of its own.
    ThSource,
    ThDestination,
    TcpFlags,
    TcpSequence,
    TcpAcknowledgment,
    TcpWindow,
    TcpOptionPresent(u8),
    TcpMaxSegment,
    UdpLength,
    IcmpType,
    IcmpCode,
    Icmp6Type,
    Icmp6Code,
    Ip4Length,
    Ip4Ttl,
    Ip4Dscp,
    Ip4Ecn,
    Ip4Id,
    /// The 16 bits of flags and fragment offset.
    Ip4FragmentOffset,
    Ip6HopLimit,
    Ip6Dscp,
    Ip6FlowLabel,
    Ip6Length,
    /// An extension header is there (by its protocol number).
    Ip6ExtensionPresent(u8),
    /// 1 for a later fragment (`-f`, `frag frag-off != 0`).
    IsLaterFragment,
    /// Bits: invalid 1, established 2, related 4, new 8, untracked 64 (as the kernel has them).
    CtState,
    /// xtables' own union (`--ctstate NEW,DNAT`), there for every packet: the bits of [`Field::CtState`], and 256 for
    /// a connection whose source NAT changed, 512 for its destination.
    CtStateNat,
    /// Bits: expected 1, seen-reply 2, assured 4, confirmed 8, snat 16, dnat 32, dying 512.
    CtStatus,
    /// 0 original, 1 reply.
    CtDirection,
    CtMark,
    CtZone,
    CtProtocol,
    /// Addresses and ports of the connection, of one direction: `ct original ip saddr`.
    CtOriginalSource,
    CtOriginalDestination,
    CtReplySource,
    CtReplyDestination,
    CtOriginalSourcePort,
    CtOriginalDestinationPort,
    CtReplySourcePort,
    CtReplyDestinationPort,
    CtExpiration,
    CtHelper,
    Mark,
    /// Names of interfaces; a packet of the host itself has none coming in.
    InputInterface,
    OutputInterface,
    InputInterfaceType,
    OutputInterfaceType,
    InputInterfaceIndex,
    OutputInterfaceIndex,
    InputGroup,
    OutputGroup,
    InputBridge,
    OutputBridge,
    /// `meta length`: the whole packet.
    Length,
    /// unicast/host 0, broadcast 1, multicast 2, other 3.
    PacketType,
    EtherSource,
    EtherDestination,
    VlanId,
    SocketUser,
    SocketGroup,
    /// `socket transparent`, xt_socket.
    SocketTransparent,
    SocketMark,
    Priority,
    /// `fib daddr type`, `fib saddr type`, addrtype: unspec 0, unicast 1, local 2, broadcast 3, anycast 4, multicast 5,
    /// blackhole 6, unreachable 7, prohibit 8.
    FibSourceType,
    FibDestinationType,
    /// Whether the way back to the source leads out where it came in (`fib saddr . iif oif`, rpfilter): 1 yes, 0 no.
    ReversePath,
    Hour,
    Day,
    Time,
    Cpu,
    Cgroup,
    Random,
    /// A dimension of an ipset that is compared with the packet's source: which field that is, says the set's type
    /// (see `xtables::bind`).
    SetSource,
    /// As [`Field::SetSource`], of the destination.
    SetDestination,
    /// What ipset takes for a port: that of TCP, UDP, SCTP, UDP-Lite; type × 256 + code of ICMP; 0 of all others.
    SetSourcePort,
    SetDestinationPort,
    /// Bits of a header by their place: what has no name above. The header itself is asked for by a match of its
    /// own beside it.
    Payload { base: Start, offset_bits: u16, length_bits: u16 },
    /// Bits of an option of TCP, by its kind; the packet must have it.
    TcpOption { kind: u8, offset_bits: u16, length_bits: u16 },
    /// Bits of an IPv6 extension header, by its protocol number; the packet must have it.
    Ip6Extension { header: u8, offset_bits: u16, length_bits: u16 },
    /// Well understood, but nothing that a question about a packet tells: never known.
    Opaque(Opaque),
    /// Always there and 0: with `xor` a constant in a key (`add @knocked { ip saddr . 10002 }`).
    Zero,
    /// The conntrack helper, string match, u32, bpf … : never known.
    Other,
}

/// Where the bits of a [`Field::Payload`] are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    Link,
    Network,
    Transport,
    /// Behind the transport header.
    Inner,
}

/// What a rule can look at and no question tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opaque {
    CtId,
    CtLabel,
    CtBytes,
    CtPackets,
    CtAveragePacket,
    CtEvent,
    /// SELinux labels of a packet or its connection.
    SecurityMark,
    /// Whether IPsec protected it, and how.
    Ipsec,
    Trace,
    /// What routing made of it: realm, next hop, path MTU.
    Route,
    RouteMtu,
    /// Answers of the routing table other than [`Field::FibSourceType`] and its like.
    Fib,
    Socket,
    OperatingSystem,
    IpOption,
    SctpChunk,
    DccpOption,
    /// A header inside a tunnel's.
    Tunnel,
    InterfaceKind,
    SlaveInterface,
    BridgeProtocol,
}

/// One element of a set, inline or named: as many spans as the key has fields.
///
/// In a map what stands first counts: nft's `*`, which is asked last, stands last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Element {
    pub spans: Vec<Span>,
    /// What a map gives for it.
    pub data: Option<Data>,
    /// ipset's `nomatch`: found, yet not in the set.
    pub excluded: bool,
    /// It goes away by itself after so many seconds.
    pub timeout_s: Option<u64>,
    /// 0 for a value that stands in its rule without braces.
    pub line: u32,
}

impl Element {
    /// An element of one field, in no map.
    pub fn of(span: Span) -> Element {
        Element { spans: vec![span], ..Element::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Span {
    /// Both ends included.
    Numbers(u128, u128),
    /// The name of an interface, or what it begins with (`eth*`).
    Name { text: String, prefix: bool },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Verdict(Verdict),
    /// Addresses, ports, marks: one span for each field of the map's data.
    Values(Vec<Span>),
}

#[derive(Debug, Clone)]
pub struct Set {
    pub name: String,
    /// What its key is made of, as written (`ipv4_addr . inet_service`); for ipset its type (`hash:ip,port`).
    pub key: Vec<String>,
    /// What a map gives.
    pub data: Vec<String>,
    pub is_map: bool,
    /// Rules or users add to it at run time: what it holds now is all that is known.
    pub dynamic: bool,
    pub elements: Arc<Vec<Element>>,
    /// For ipset's list:set, the sets in it.
    pub members: Vec<String>,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Accept,
    Drop,
    /// With what it answers: `tcp reset`, `icmp port-unreachable`, … as written.
    Reject(String),
    Return,
    Continue,
    Jump(String),
    Goto(String),
    /// To a program; `bypass` accepts when none listens.
    Queue {
        bypass: bool,
    },
    /// Taken away by the kernel, a proxy or a duplicate: `tproxy`, `synproxy`, `fwd`.
    Stolen(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Nat {
    pub kind: NatKind,
    /// First and last address; the same twice for one.
    pub addresses: Option<(u128, u128)>,
    pub ports: Option<(u16, u16)>,
    /// `dnat to tcp dport map { … }`: the address, or address and port, or port, comes from a map.
    pub map: Option<Box<NatMap>>,
    /// Only packets of this family: 4 or 6; `None` as the table.
    pub family: Option<u8>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NatMap {
    pub keys: Vec<Operand>,
    pub set: SetUse,
    pub gives_address: bool,
    pub gives_port: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NatKind {
    Source,
    Destination,
    Masquerade,
    Redirect,
    /// The network part is replaced, the host part kept.
    Netmap,
}

/// The new value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    Value(u128),
    /// `(old & and) ^ xor`.
    Masked {
        and: u128,
        xor: u128,
    },
    /// From another field: `meta mark set ct mark`.
    Of(Operand),
    Map {
        keys: Vec<Operand>,
        set: SetUse,
    },
    /// Not known before the packet comes.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Packets, or bytes, in `per_s` seconds.
    pub rate: u64,
    pub per_s: u64,
    pub burst: u64,
    pub bytes: bool,
    /// Matches what is above the rate.
    pub over: bool,
    /// Counted for each key of its own (hashlimit).
    pub keyed: bool,
}
