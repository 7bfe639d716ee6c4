//! What one packet says of the flow it belongs to.

use crate::icmp;
use crate::record::{Address, Opener};
use netwhy_wire::{TcpFlags, parse_ip, protocol};

/// Ports below are servers' more often than clients'.
const CLIENT_PORT_MIN: u16 = 1024;
/// TCP, UDP, UDP-Lite, DCCP and SCTP begin with two ports.
const WITH_PORTS: [u8; 5] = [protocol::TCP, protocol::UDP, 136, 33, 132];
/// Where a TCP header has its flags.
const TCP_FLAGS_AT: usize = 13;

/// What one packet says of the flow it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketFlow {
    pub source: Address,
    pub destination: Address,
    pub protocol: u8,
    /// For ICMP 0 and type × 256 + code.
    pub ports: (u16, u16),
    pub tcp_flags: TcpFlags,
    /// From the IP header on, as it states.
    pub bytes: u64,
    pub fragment: Option<Fragment>,
}

/// A packet that was cut up on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    pub ident: u32,
    /// Only the first fragment has ports.
    pub first: bool,
}

/// Reads a packet from its IP header on; `None` when there is no such header.
pub fn packet_flow(bytes: &[u8]) -> Option<PacketFlow> {
    let ip = parse_ip(bytes).ok()?;
    let later = ip.is_later_fragment();
    let fragment = (later || ip.more_fragments).then_some(Fragment { ident: ip.ident, first: !later });
    let transport = if later { &[] } else { ip.payload };
    let pair = |at: usize| transport.get(at..).and_then(|rest| rest.first_chunk::<2>().copied());
    let mut ports = (0, 0);
    if WITH_PORTS.contains(&ip.protocol) {
        ports = (number(pair(0)), number(pair(2)));
    } else if icmp::is_icmp(ip.protocol) {
        ports = (0, number(pair(0)));
    }
    let tcp_flags = match ip.protocol {
        protocol::TCP => transport.get(TCP_FLAGS_AT).copied().unwrap_or(0) & 0x3f,
        _ => 0,
    };
    Some(PacketFlow {
        source: ip.source.into(),
        destination: ip.destination.into(),
        protocol: ip.protocol,
        ports,
        tcp_flags: TcpFlags(tcp_flags),
        bytes: ip.total_len as u64,
        fragment,
    })
}

fn number(pair: Option<[u8; 2]>) -> u16 {
    pair.map_or(0, u16::from_be_bytes)
}

impl PacketFlow {
    /// Who opened the conversation, as far as this packet alone tells.
    pub fn opener(&self) -> Opener {
        match self.protocol {
            protocol::TCP if self.tcp_flags.is_syn() => Opener::Source,
            protocol::TCP if self.tcp_flags.is_syn_ack() => Opener::Destination,
            protocol if icmp::is_icmp(protocol) => {
                let kind = (self.ports.1 >> 8) as u8;
                if icmp::answer_of(protocol, kind).is_some() {
                    Opener::Source
                } else if icmp::request_of(protocol, kind).is_some() {
                    Opener::Destination
                } else {
                    Opener::Unknown
                }
            }
            _ => Opener::Unknown,
        }
    }

    /// Who opened it when this is the first packet that was seen.
    pub fn first_opener(&self) -> Opener {
        let answer = self.ports.0 < CLIENT_PORT_MIN && self.ports.1 >= CLIENT_PORT_MIN;
        match self.opener() {
            // A UDP conversation that was already going on when the capture began may start with an answer.
            Opener::Unknown if self.protocol == protocol::UDP && !answer => Opener::Source,
            known => known,
        }
    }
}
