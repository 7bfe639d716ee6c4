//! ICMP (RFC 792, RFC 1191, RFC 4884) and ICMPv6 (RFC 4443, RFC 4861), with the datagram an error quotes.

use crate::error::WireError;
use crate::ip::parse_ip;
use crate::protocol;
use crate::tcp::parse_tcp;
use std::net::{IpAddr, Ipv6Addr};

/// What an ICMP error means, one word for both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    NetUnreachable,
    HostUnreachable,
    ProtocolUnreachable,
    PortUnreachable,
    /// Codes 9, 10 and 13 of IPv4; 1, 5 and 6 of IPv6.
    AdminProhibited,
    TooBig,
    TtlExceeded,
    ReassemblyExceeded,
    ParameterProblem,
    Other,
}

impl ErrorClass {
    /// Classifies an error by family, type and code; `None` when the type is no error.
    pub const fn of(v6: bool, kind: u8, code: u8) -> Option<ErrorClass> {
        Some(match (v6, kind, code) {
            (false, 3, 0 | 6 | 11) | (true, 1, 0) => ErrorClass::NetUnreachable,
            (false, 3, 1 | 7 | 8 | 12) | (true, 1, 3) => ErrorClass::HostUnreachable,
            (false, 3, 2) | (true, 4, 1) => ErrorClass::ProtocolUnreachable,
            (false, 3, 3) | (true, 1, 4) => ErrorClass::PortUnreachable,
            (false, 3, 4) | (true, 2, _) => ErrorClass::TooBig,
            (false, 3, 9 | 10 | 13) | (true, 1, 1 | 5 | 6) => ErrorClass::AdminProhibited,
            (false, 11, 0) | (true, 3, 0) => ErrorClass::TtlExceeded,
            (false, 11, _) | (true, 3, _) => ErrorClass::ReassemblyExceeded,
            (false, 12, _) | (true, 4, _) => ErrorClass::ParameterProblem,
            (false, 3, _) | (true, 1, _) => ErrorClass::Other,
            _ => return None,
        })
    }

    /// The word the catalogue uses for it.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorClass::NetUnreachable => "net_unreachable",
            ErrorClass::HostUnreachable => "host_unreachable",
            ErrorClass::PortUnreachable => "port_unreachable",
            ErrorClass::AdminProhibited => "admin_prohibited",
            ErrorClass::TtlExceeded => "ttl_exceeded",
            ErrorClass::TooBig => "too_big",
            ErrorClass::ProtocolUnreachable
            | ErrorClass::ReassemblyExceeded
            | ErrorClass::ParameterProblem
            | ErrorClass::Other => "other",
        }
    }
}

/// What an ICMP error quotes of the packet that caused it; as much as was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    /// TTL or hop limit when the packet reached the sender of the error.
    pub ttl: u8,
    /// The IPv4 identification; 0 for IPv6.
    pub ident: u32,
    /// Length of the whole quoted packet as its header states it, in bytes.
    pub total_len: usize,
    /// Of TCP and UDP; of an echo request `source_port` is its identifier.
    pub source_port: Option<u16>,
    /// Of TCP and UDP; of an echo request its sequence number.
    pub destination_port: Option<u16>,
    /// Of TCP.
    pub sequence: Option<u32>,
    /// The TCP timestamp value, when the quote is long enough to hold it.
    pub timestamp: Option<u32>,
}

/// An ICMP error with what it quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcmpError {
    pub class: ErrorClass,
    /// The next hop's MTU of a too-big error, in bytes; old routers leave it 0, which is `None`.
    pub mtu: Option<u32>,
    pub quoted: Option<Quoted>,
}

/// What an ICMP message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IcmpKind<'a> {
    EchoRequest {
        ident: u16,
        sequence: u16,
        data: &'a [u8],
    },
    EchoReply {
        ident: u16,
        sequence: u16,
        data: &'a [u8],
    },
    Error(IcmpError),
    /// ICMPv6 only.
    NeighbourSolicit {
        target: Ipv6Addr,
    },
    /// ICMPv6 only; the link-layer address when the option is there.
    NeighbourAdvert {
        target: Ipv6Addr,
        mac: Option<[u8; 6]>,
        solicited: bool,
    },
    Other,
}

/// One ICMP or ICMPv6 message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icmp<'a> {
    /// The type as on the wire.
    pub kind: u8,
    pub code: u8,
    pub checksum: u16,
    pub message: IcmpKind<'a>,
}

impl Icmp<'_> {
    /// The error it is, if it is one.
    pub fn error(&self) -> Option<&IcmpError> {
        if let IcmpKind::Error(error) = &self.message { Some(error) } else { None }
    }
}

/// Reads an ICMP message (`v6`: an ICMPv6 one).
pub(crate) fn parse_icmp(v6: bool, bytes: &[u8]) -> Result<Icmp<'_>, WireError> {
    let Some(head) = bytes.first_chunk::<8>() else { return Err(WireError::Short("ICMP", 8, bytes.len())) };
    let (kind, code) = (head[0], head[1]);
    let body = bytes.get(8..).unwrap_or_default();
    let first = u16::from_be_bytes([head[4], head[5]]);
    let second = u16::from_be_bytes([head[6], head[7]]);
    let message = match (v6, kind) {
        (false, 8) | (true, 128) => IcmpKind::EchoRequest { ident: first, sequence: second, data: body },
        (false, 0) | (true, 129) => IcmpKind::EchoReply { ident: first, sequence: second, data: body },
        (true, 135) => {
            neighbour(body).map_or(IcmpKind::Other, |target| IcmpKind::NeighbourSolicit { target })
        }
        (true, 136) => neighbour(body).map_or(IcmpKind::Other, |target| IcmpKind::NeighbourAdvert {
            target,
            mac: link_address(body.get(16..).unwrap_or_default(), 2),
            solicited: head[4] & 0x40 != 0,
        }),
        _ => match ErrorClass::of(v6, kind, code) {
            Some(class) => IcmpKind::Error(IcmpError {
                class,
                mtu: mtu(v6, class, second, u32::from_be_bytes([head[4], head[5], head[6], head[7]])),
                quoted: parse_quoted(body),
            }),
            None => IcmpKind::Other,
        },
    };
    Ok(Icmp { kind, code, checksum: u16::from_be_bytes([head[2], head[3]]), message })
}

fn mtu(v6: bool, class: ErrorClass, low: u16, whole: u32) -> Option<u32> {
    if class != ErrorClass::TooBig {
        return None;
    }
    Some(if v6 { whole } else { u32::from(low) }).filter(|mtu| *mtu != 0)
}

fn neighbour(body: &[u8]) -> Option<Ipv6Addr> {
    body.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets))
}

/// Most neighbour discovery options looked at.
const ND_OPTION_COUNT_MAX: usize = 16;

fn link_address(mut options: &[u8], wanted: u8) -> Option<[u8; 6]> {
    for _ in 0..ND_OPTION_COUNT_MAX {
        let [kind, units, ..] = options else { return None };
        if *kind == wanted {
            return options.get(2..8).and_then(|mac| <[u8; 6]>::try_from(mac).ok());
        }
        let length = usize::from(*units) * 8;
        if length == 0 {
            return None;
        }
        options = options.get(length..)?;
    }
    None
}

fn parse_quoted(bytes: &[u8]) -> Option<Quoted> {
    let inner = parse_ip(bytes).ok()?;
    let mut quoted = Quoted {
        source: inner.source,
        destination: inner.destination,
        protocol: inner.protocol,
        ttl: inner.ttl,
        ident: if inner.source.is_ipv4() { inner.ident } else { 0 },
        total_len: inner.total_len,
        source_port: None,
        destination_port: None,
        sequence: None,
        timestamp: None,
    };
    if inner.is_later_fragment() {
        return Some(quoted);
    }
    let word = |at: usize| inner.payload.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    match inner.protocol {
        protocol::TCP | protocol::UDP => (quoted.source_port, quoted.destination_port) = (word(0), word(2)),
        protocol::ICMP | protocol::ICMPV6 => {
            (quoted.source_port, quoted.destination_port) = (word(4), word(6))
        }
        _ => {}
    }
    if inner.protocol == protocol::TCP {
        quoted.sequence = word(4).zip(word(6)).map(|(high, low)| (u32::from(high) << 16) | u32::from(low));
        quoted.timestamp = parse_tcp(inner.payload).ok().and_then(|segment| segment.timestamp());
    }
    Some(quoted)
}
