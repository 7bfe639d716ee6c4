//! Bytes to packets and back: IPv4, IPv6, TCP, UDP, ICMP, ARP; captures and exports of flows taken apart. Pure.
//!
//! [`parse`] reads one IP packet as captured; it never panics, and a packet cut short gives what was there.
//! The `*Build` values write packets with correct checksums. No I/O, no clock.

mod arp;
mod build;
mod checksum;
mod error;
mod icmp;
mod ip;
pub mod ipfix;
pub mod link;
pub mod netflow;
mod packet;
pub mod pcap;
mod pcapng;
pub mod sflow;
mod take;
mod tcp;
mod udp;

pub use arp::{Arp, ArpOperation};
pub use build::{EchoBuild, IpBuild, NeighbourSolicitBuild, TcpBuild, UdpBuild};
pub use checksum::{internet_checksum, transport_checksum};
pub use error::WireError;
pub use icmp::{ErrorClass, Icmp, IcmpError, IcmpKind, Quoted};
pub use ip::{Ip, parse_ip};
pub use packet::{Body, Packet, parse};
pub use take::{Order, Take};
pub use tcp::{Tcp, TcpFlags, TcpOption};
pub use udp::Udp;

/// Protocol numbers (IANA) that netwhy speaks.
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
}
