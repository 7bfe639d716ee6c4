//! ARP for IPv4 over Ethernet (RFC 826).

use crate::error::WireError;
use std::net::Ipv4Addr;

/// What an ARP packet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArpOperation {
    Request,
    Reply,
    Other(u16),
}

/// One ARP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    pub operation: ArpOperation,
    pub sender_mac: [u8; 6],
    pub sender: Ipv4Addr,
    pub target_mac: [u8; 6],
    pub target: Ipv4Addr,
}

impl Arp {
    /// Length of the packet without its Ethernet header, in bytes.
    pub const LEN: usize = 28;

    /// Reads the bytes after the Ethernet header.
    pub fn parse(bytes: &[u8]) -> Result<Arp, WireError> {
        let Some(raw) = bytes.first_chunk::<28>() else {
            return Err(WireError::Short("ARP", 28, bytes.len()));
        };
        if raw[..6] != [0, 1, 8, 0, 6, 4] {
            return Err(WireError::Length("ARP"));
        }
        let mac = |at: usize| [raw[at], raw[at + 1], raw[at + 2], raw[at + 3], raw[at + 4], raw[at + 5]];
        Ok(Arp {
            operation: match u16::from_be_bytes([raw[6], raw[7]]) {
                1 => ArpOperation::Request,
                2 => ArpOperation::Reply,
                other => ArpOperation::Other(other),
            },
            sender_mac: mac(8),
            sender: Ipv4Addr::new(raw[14], raw[15], raw[16], raw[17]),
            target_mac: mac(18),
            target: Ipv4Addr::new(raw[24], raw[25], raw[26], raw[27]),
        })
    }

    /// Writes the bytes after the Ethernet header.
    pub fn bytes(&self) -> [u8; Arp::LEN] {
        let operation = match self.operation {
            ArpOperation::Request => 1,
            ArpOperation::Reply => 2,
            ArpOperation::Other(other) => other,
        };
        let mut raw = [0_u8; Arp::LEN];
        raw[..6].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
        raw[6..8].copy_from_slice(&u16::to_be_bytes(operation));
        raw[8..14].copy_from_slice(&self.sender_mac);
        raw[14..18].copy_from_slice(&self.sender.octets());
        raw[18..24].copy_from_slice(&self.target_mac);
        raw[24..28].copy_from_slice(&self.target.octets());
        raw
    }
}
