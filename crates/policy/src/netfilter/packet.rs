//! One packet as it is asked about: what of it is known, and what is not.

mod json;

pub use json::{PacketError, icmp_type, tcp_flags};

use super::ast::Hook;
use std::net::IpAddr;

/// TCP's flags as they stand in the header.
pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;
pub const URG: u8 = 32;

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const DCCP: u8 = 33;
pub const ICMPV6: u8 = 58;
pub const SCTP: u8 = 132;
pub const UDP_LITE: u8 = 136;

/// A packet, and the way it takes through the host. `None` is "not known", never "not there": what a packet of
/// its protocol or hook has not follows from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The last hook but postrouting: a forwarded packet passes prerouting, forward and postrouting.
    pub hook: Hook,
    pub input: Option<String>,
    pub output: Option<String>,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// The transport protocol, past extension headers.
    pub protocol: u8,
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
    pub flags: Option<u8>,
    pub sequence: Option<u32>,
    pub acknowledgment: Option<u32>,
    pub icmp_type: Option<u8>,
    pub icmp_code: Option<u8>,
    pub icmp_id: Option<u16>,
    /// Bits of [`super::ast::Field::CtState`], when the state is said and not to be found out.
    pub state: Option<u8>,
    pub ttl: Option<u8>,
    pub dscp: Option<u8>,
    pub ecn: Option<u8>,
    pub mark: u32,
    /// Of the whole packet, in bytes.
    pub length: Option<u32>,
    pub fragment: Fragment,
    /// The sender's hardware address.
    pub mac: Option<u64>,
    /// Whose socket sent it; only of packets of the host itself.
    pub user: Option<u32>,
    pub group: Option<u32>,
    /// In an ICMP error: the packet it is about.
    pub inner: Option<Inner>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    Whole,
    First,
    /// Without the transport header.
    Later,
}

/// The packet an ICMP error is about, as its sender saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inner {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    pub source_port: u16,
    pub destination_port: u16,
}

impl Packet {
    /// A forwarded packet of which no more than this is known.
    pub fn new(protocol: u8, source: IpAddr, destination: IpAddr) -> Packet {
        Packet {
            hook: Hook::Forward,
            input: None,
            output: None,
            source,
            destination,
            protocol,
            source_port: None,
            destination_port: None,
            flags: (protocol == TCP).then_some(SYN),
            sequence: None,
            acknowledgment: None,
            icmp_type: match protocol {
                ICMP => Some(8),
                ICMPV6 => Some(128),
                _ => None,
            },
            icmp_code: matches!(protocol, ICMP | ICMPV6).then_some(0),
            icmp_id: None,
            state: None,
            ttl: None,
            dscp: None,
            ecn: None,
            mark: 0,
            length: None,
            fragment: Fragment::Whole,
            mac: None,
            user: None,
            group: None,
            inner: None,
        }
    }

    #[must_use]
    pub fn ports(mut self, source: u16, destination: u16) -> Packet {
        self.source_port = Some(source);
        self.destination_port = Some(destination);
        self
    }

    /// Whether its protocol has ports.
    pub fn has_ports(&self) -> bool {
        has_ports(self.protocol)
    }

    pub fn is_v6(&self) -> bool {
        self.source.is_ipv6()
    }
}

/// Whether the header of a protocol begins with two ports.
pub fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | DCCP | SCTP | UDP_LITE)
}

/// An address as a number; those of IPv4 take the low 32 bits.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address that [`number`] came from.
pub fn address(number: u128, six: bool) -> IpAddr {
    if six { IpAddr::from(number.to_be_bytes()) } else { IpAddr::from((number as u32).to_be_bytes()) }
}
