//! Packets to bytes, with their checksums.

use crate::checksum::{internet_checksum, transport_checksum};
use crate::error::WireError;
use crate::protocol;
use crate::tcp::{TcpFlags, TcpOption, write_options};
use std::net::{IpAddr, Ipv6Addr};

/// Longest payload put behind one IP header, in bytes.
const PAYLOAD_BYTES_MAX: usize = 65_000;

/// The IP header around a segment; both addresses must be of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpBuild {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ttl: u8,
    /// IPv4 only.
    pub ident: u16,
    /// IPv4 only.
    pub dont_fragment: bool,
}

impl IpBuild {
    /// Writes the whole IP packet around a segment whose own checksum is already there.
    ///
    /// # Errors
    /// Families differ, or the segment is longer than 65,000 bytes.
    pub fn wrap(&self, protocol: u8, segment: &[u8]) -> Result<Vec<u8>, WireError> {
        if segment.len() > PAYLOAD_BYTES_MAX {
            return Err(WireError::Long(segment.len()));
        }
        let length = segment.len() as u16;
        let mut bytes = Vec::with_capacity(40 + segment.len());
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                bytes.extend([0x45, 0]);
                bytes.extend((length + 20).to_be_bytes());
                bytes.extend(self.ident.to_be_bytes());
                bytes.extend(if self.dont_fragment { [0x40, 0] } else { [0, 0] });
                bytes.extend([self.ttl, protocol, 0, 0]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
                let sum = internet_checksum(&bytes).to_be_bytes();
                bytes[10..12].copy_from_slice(&sum);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                bytes.extend([0x60, 0, 0, 0]);
                bytes.extend(length.to_be_bytes());
                bytes.extend([protocol, self.ttl]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
            }
            _ => return Err(WireError::Families),
        }
        bytes.extend(segment);
        Ok(bytes)
    }
}

/// One TCP segment to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpBuild<'a> {
    pub source_port: u16,
    pub destination_port: u16,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: TcpFlags,
    pub window: u16,
    pub options: &'a [TcpOption],
    pub payload: &'a [u8],
}

impl TcpBuild<'_> {
    /// Writes the segment with its checksum for these addresses.
    pub fn bytes(&self, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        let options = write_options(self.options);
        let mut bytes = Vec::with_capacity(20 + options.len() + self.payload.len());
        bytes.extend(self.source_port.to_be_bytes());
        bytes.extend(self.destination_port.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgment.to_be_bytes());
        bytes.extend([(((20 + options.len()) / 4) as u8) << 4, self.flags.0]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0, 0, 0]);
        bytes.extend(options);
        bytes.extend(self.payload);
        let sum = transport_checksum(source, destination, protocol::TCP, &bytes).to_be_bytes();
        bytes[16..18].copy_from_slice(&sum);
        bytes
    }
}

/// One UDP datagram to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpBuild<'a> {
    pub source_port: u16,
    pub destination_port: u16,
    /// At most 65,000 bytes; what is longer is cut.
    pub payload: &'a [u8],
}

impl UdpBuild<'_> {
    /// Writes the datagram with its checksum for these addresses.
    pub fn bytes(&self, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        let payload = self.payload.get(..PAYLOAD_BYTES_MAX - 8).unwrap_or(self.payload);
        let mut bytes = Vec::with_capacity(8 + payload.len());
        bytes.extend(self.source_port.to_be_bytes());
        bytes.extend(self.destination_port.to_be_bytes());
        bytes.extend(((8 + payload.len()) as u16).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(payload);
        // RFC 768: a computed 0 is sent as all ones, since 0 means "no checksum".
        let sum = match transport_checksum(source, destination, protocol::UDP, &bytes) {
            0 => 0xffff,
            sum => sum,
        };
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        bytes
    }
}

/// One echo request to write, ICMP or ICMPv6 by the addresses' family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoBuild<'a> {
    pub ident: u16,
    pub sequence: u16,
    pub data: &'a [u8],
}

impl EchoBuild<'_> {
    /// Writes the message with its checksum for these addresses.
    pub fn bytes(&self, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        let v6 = destination.is_ipv6();
        let mut bytes = vec![if v6 { 128 } else { 8 }, 0, 0, 0];
        bytes.extend(self.ident.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.data);
        finish_icmp(bytes, source, destination)
    }
}

/// One neighbour solicitation to write (RFC 4861 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourSolicitBuild {
    pub target: Ipv6Addr,
    pub sender_mac: [u8; 6],
}

impl NeighbourSolicitBuild {
    /// The multicast group a solicitation for `target` goes to (RFC 4291 2.7.1).
    pub fn group(target: Ipv6Addr) -> Ipv6Addr {
        let octets = target.octets();
        Ipv6Addr::new(
            0xff02,
            0,
            0,
            0,
            0,
            1,
            0xff00 | u16::from(octets[13]),
            u16::from_be_bytes([octets[14], octets[15]]),
        )
    }

    /// Writes the message with its checksum; the IP header needs a hop limit of 255.
    pub fn bytes(&self, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        let mut bytes = vec![135, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(self.target.octets());
        bytes.extend([1, 1]);
        bytes.extend(self.sender_mac);
        finish_icmp(bytes, source, destination)
    }
}

fn finish_icmp(mut bytes: Vec<u8>, source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let sum = if destination.is_ipv6() {
        transport_checksum(source, destination, protocol::ICMPV6, &bytes)
    } else {
        internet_checksum(&bytes)
    };
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}
