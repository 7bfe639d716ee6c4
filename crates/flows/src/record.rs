//! The one record that every flow log is read into; `schema` documents its columns.

use crate::icmp;
use crate::names::Symbol;
use netwhy_wire::{TcpFlags, protocol};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How one IPv4 address looks among the IPv6 ones (RFC 4291, section 2.5.5.2).
const V4_MAPPED: u128 = 0xffff << 32;

/// One flow as one source told it, in one direction: from `source` to `destination`.
///
/// What the source did not tell is zero or `Unknown`. Counts of a sampled export are already multiplied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// First and last packet, or the bounds of the aggregation, in milliseconds since 1970 (UTC).
    pub start_ms: i64,
    pub end_ms: i64,
    pub source: Address,
    pub destination: Address,
    pub bytes: u64,
    pub packets: u64,
    /// Where the record begins: the byte of the unpacked file, or the number of the packet of a live stream.
    pub offset: u64,
    pub file: Symbol,
    pub account: Symbol,
    /// The interface, network card or exporter that saw it.
    pub interface: Symbol,
    /// The rule or group that decided, where the source names it.
    pub rule: Symbol,
    pub source_port: u16,
    pub destination_port: u16,
    /// The IANA protocol number.
    pub protocol: u8,
    /// All TCP flags seen, OR-ed: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32. Zero where not told.
    pub tcp_flags: u8,
    pub action: Action,
    pub direction: Direction,
    pub opener: Opener,
    pub status: Status,
}

impl Flow {
    /// The other direction of the same conversation, with this one's counts, flags and times.
    pub(crate) fn turned(&self) -> Flow {
        let turned = Flow {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            direction: self.direction.turned(),
            opener: self.opener.turned(),
            ..*self
        };
        if !icmp::is_icmp(self.protocol) {
            return turned;
        }
        // Of ICMP the type and code of either way stand where its destination's port does.
        let kind = (self.destination_port >> 8) as u8;
        let answer = icmp::answer_of(self.protocol, kind).unwrap_or(kind);
        Flow { source_port: 0, destination_port: u16::from(answer) << 8, ..turned }
    }
}

/// An IPv6 address, or an IPv4 one mapped into it, as a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub u128);

impl Address {
    pub const fn v4(number: u32) -> Address {
        Address(V4_MAPPED | number as u128)
    }

    /// The number of an IPv4 address.
    pub const fn as_v4(self) -> Option<u32> {
        if self.0 >> 32 == V4_MAPPED >> 32 { Some(self.0 as u32) } else { None }
    }

    /// Whether the source told no address.
    pub const fn is_unknown(self) -> bool {
        self.0 == 0
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Address {
        match address {
            IpAddr::V4(v4) => Address::v4(v4.to_bits()),
            IpAddr::V6(v6) => Address(v6.to_bits()),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> IpAddr {
        match address.as_v4() {
            Some(number) => IpAddr::V4(Ipv4Addr::from_bits(number)),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.0)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unknown() { formatter.write_str("-") } else { IpAddr::from(*self).fmt(formatter) }
    }
}

/// What the filter that wrote the record did with the flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Action {
    #[default]
    Unknown,
    Accept,
    Reject,
}

impl Action {
    /// Reads the two upper bits of IPFIX's forwardingStatus (RFC 7270): forwarded, dropped, consumed.
    pub(crate) fn of_forwarding(status: u8) -> Action {
        match status >> 6 {
            1 | 3 => Action::Accept,
            2 => Action::Reject,
            _ => Action::Unknown,
        }
    }

    /// Reads IPFIX's firewallEvent: created, deleted, denied, alert, updated.
    pub(crate) fn of_firewall(event: u64) -> Option<Action> {
        match event {
            1 | 2 | 5 => Some(Action::Accept),
            3 => Some(Action::Reject),
            _ => None,
        }
    }
}

/// Which way the flow went, as seen from the interface's owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Direction {
    #[default]
    Unknown,
    In,
    Out,
}

impl Direction {
    pub(crate) fn turned(self) -> Direction {
        match self {
            Direction::In => Direction::Out,
            Direction::Out => Direction::In,
            Direction::Unknown => Direction::Unknown,
        }
    }
}

/// Who sent the first packet of the conversation, where the source knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Opener {
    #[default]
    Unknown,
    /// The sender of this record's packets: this is the request's direction.
    Source,
    /// The receiver: these packets are answers.
    Destination,
}

impl Opener {
    /// What all flags of a direction tell: who sent a SYN and never an ACK began.
    pub(crate) fn of_syn(protocol: u8, tcp_flags: u8) -> Opener {
        let syn = protocol == protocol::TCP && TcpFlags(tcp_flags).is_syn();
        if syn { Opener::Source } else { Opener::Unknown }
    }

    pub(crate) fn turned(self) -> Opener {
        match self {
            Opener::Source => Opener::Destination,
            Opener::Destination => Opener::Source,
            Opener::Unknown => Opener::Unknown,
        }
    }
}

/// Whether the record carries a flow (AWS `log-status`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    #[default]
    Ok,
    /// Nothing was seen in the interval; no five-tuple.
    NoData,
    /// Records of the interval were lost at the source.
    SkipData,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_itself_again() {
        for text in ["10.0.1.27", "2001:db8::1", "255.255.255.255"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(IpAddr::from(Address::from(address)), address);
            assert_eq!(Address::from(address).to_string(), text);
        }
        assert_eq!(Address::default().to_string(), "-");
    }

    #[test]
    fn the_way_back_of_an_echo_is_its_answer() {
        let [from, to] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse::<IpAddr>().unwrap().into());
        let echo = Flow {
            source: from,
            destination: to,
            protocol: protocol::ICMPV6,
            destination_port: 128 << 8,
            direction: Direction::Out,
            opener: Opener::Source,
            ..Flow::default()
        };
        let back = echo.turned();
        assert_eq!((back.source, back.destination), (to, from));
        assert_eq!((back.source_port, back.destination_port), (0, 129 << 8));
        assert_eq!((back.direction, back.opener), (Direction::In, Opener::Destination));
    }
}
