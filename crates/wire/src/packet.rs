//! One whole IP packet as captured.

use crate::checksum::{internet_checksum, transport_checksum};
use crate::error::WireError;
use crate::icmp::{Icmp, parse_icmp};
use crate::ip::{Ip, parse_ip};
use crate::protocol;
use crate::tcp::{Tcp, parse_tcp};
use crate::udp::{Udp, parse_udp};

/// What an IP packet carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    Tcp(Tcp<'a>),
    Udp(Udp<'a>),
    Icmp(Icmp<'a>),
    /// Another protocol, a later fragment, or a header that did not parse.
    Other,
}

/// One IP packet with what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    pub ip: Ip<'a>,
    pub body: Body<'a>,
}

/// Reads one IP packet, starting at its IP header.
///
/// # Errors
/// Only when there is no IP header; a transport header that does not parse is [`Body::Other`].
pub fn parse(bytes: &[u8]) -> Result<Packet<'_>, WireError> {
    let ip = parse_ip(bytes)?;
    let v6 = ip.source.is_ipv6();
    let body = if ip.is_later_fragment() {
        Body::Other
    } else {
        match ip.protocol {
            protocol::TCP => parse_tcp(ip.payload).map_or(Body::Other, Body::Tcp),
            protocol::UDP => parse_udp(ip.payload).map_or(Body::Other, Body::Udp),
            protocol::ICMP if !v6 => parse_icmp(false, ip.payload).map_or(Body::Other, Body::Icmp),
            protocol::ICMPV6 if v6 => parse_icmp(true, ip.payload).map_or(Body::Other, Body::Icmp),
            _ => Body::Other,
        }
    };
    Ok(Packet { ip, body })
}

impl Packet<'_> {
    /// Whether the transport checksum is right; `None` when the packet is cut short, a fragment or has none.
    ///
    /// A packet captured on the host that made it, or on a veth pair, may carry an unfinished checksum.
    pub fn transport_checksum_ok(&self) -> Option<bool> {
        let ip = &self.ip;
        if ip.truncated || ip.more_fragments || ip.is_later_fragment() {
            return None;
        }
        let sum = match &self.body {
            Body::Tcp(_) => transport_checksum(ip.source, ip.destination, protocol::TCP, ip.payload),
            Body::Udp(datagram) if datagram.checksum == 0 => return None,
            Body::Udp(_) => transport_checksum(ip.source, ip.destination, protocol::UDP, ip.payload),
            Body::Icmp(_) if ip.source.is_ipv4() => internet_checksum(ip.payload),
            Body::Icmp(_) => transport_checksum(ip.source, ip.destination, protocol::ICMPV6, ip.payload),
            Body::Other => return None,
        };
        Some(sum == 0)
    }
}
