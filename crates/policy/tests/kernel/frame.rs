//! Frames from packets, and back: each carries a number by which it is known again.

use super::lab::{End, SENDER_A, SENDER_B};
use netwhy_policy::netfilter::packet::{ICMP, ICMPV6, Packet, SYN, TCP, UDP};
use std::net::IpAddr;

const MAGIC: [u8; 4] = *b"nwhy";
const TTL: u8 = 64;

/// What came out of the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub id: u32,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ports: Option<(u16, u16)>,
}

/// A frame for one end of the router.
pub fn build(packet: &Packet, id: u32, end: End) -> Vec<u8> {
    let (router, sender) = match end {
        End::A => ([2, 0, 0, 0, 0, 0x0a], SENDER_A),
        End::B => ([2, 0, 0, 0, 0, 0x0b], SENDER_B),
    };
    let mut frame = [&router[..], &sender[..]].concat();
    frame.extend(if packet.is_v6() { [0x86, 0xdd] } else { [0x08, 0x00] });
    frame.extend(network(packet, id));
    frame
}

/// The length of the packet in its frame, in bytes.
pub fn length(packet: &Packet) -> u32 {
    network(packet, 0).len() as u32
}

fn network(packet: &Packet, id: u32) -> Vec<u8> {
    let transport = transport(packet, id);
    let (dscp, ttl) = (packet.dscp.unwrap_or(0), packet.ttl.unwrap_or(TTL));
    let mut bytes = Vec::new();
    match (packet.source, packet.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = (20 + transport.len()) as u16;
            bytes.extend([0x45, dscp << 2]);
            bytes.extend(length.to_be_bytes());
            bytes.extend([0, 1, 0x40, 0, ttl, packet.protocol, 0, 0]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            let sum = checksum(&bytes, 0);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            bytes.extend([0x60 | dscp >> 2, dscp << 6, 0, 0]);
            bytes.extend((transport.len() as u16).to_be_bytes());
            bytes.extend([packet.protocol, ttl]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
        }
        _ => panic!("mixed families"),
    }
    bytes.extend(transport);
    bytes
}

fn transport(packet: &Packet, id: u32) -> Vec<u8> {
    let mut payload = [MAGIC, id.to_be_bytes()].concat();
    let port = |port: Option<u16>| port.expect("a port").to_be_bytes();
    let mut bytes = Vec::new();
    let at = match packet.protocol {
        TCP => {
            bytes.extend(port(packet.source_port));
            bytes.extend(port(packet.destination_port));
            bytes.extend(packet.sequence.unwrap_or(1000).to_be_bytes());
            bytes.extend(packet.acknowledgment.unwrap_or(0).to_be_bytes());
            let flags = packet.flags.expect("flags");
            if flags & SYN != 0 {
                // A SYN that carried something would end elsewhere: the number stands in an option.
                bytes.extend([0x80, flags, 0x20, 0, 0, 0, 0, 0, 253, 10]);
                bytes.extend(std::mem::take(&mut payload));
                bytes.extend([1, 1]);
            } else {
                bytes.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
            }
            Some(16)
        }
        UDP => {
            bytes.extend(port(packet.source_port));
            bytes.extend(port(packet.destination_port));
            bytes.extend((8 + payload.len() as u16).to_be_bytes());
            bytes.extend([0, 0]);
            Some(6)
        }
        ICMP | ICMPV6 => {
            bytes.extend([packet.icmp_type.expect("a type"), packet.icmp_code.unwrap_or(0), 0, 0]);
            bytes.extend(packet.icmp_id.unwrap_or(0).to_be_bytes());
            bytes.extend([0, 1]);
            Some(2)
        }
        // GRE of version 0: anything else is PPTP's, which has its own tracking.
        47 => {
            bytes.extend([0, 0, 0x08, 0x00]);
            None
        }
        _ => None,
    };
    if let Some(inner) = &packet.inner {
        bytes.extend(inner_packet(inner));
    }
    bytes.extend(payload);
    if let Some(at) = at {
        let start = if packet.protocol == ICMP { 0 } else { pseudo(packet, bytes.len()) };
        let sum = checksum(&bytes, start);
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

fn inner_packet(inner: &netwhy_policy::netfilter::packet::Inner) -> Vec<u8> {
    let mut packet = Packet::new(inner.protocol, inner.source, inner.destination);
    packet = packet.ports(inner.source_port, inner.destination_port);
    network(&packet, 0)
}

fn pseudo(packet: &Packet, length: usize) -> u32 {
    let mut bytes = Vec::new();
    for address in [packet.source, packet.destination] {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    bytes.extend((length as u32).to_be_bytes());
    bytes.extend([0, 0, 0, packet.protocol]);
    sum(&bytes, 0)
}

fn sum(bytes: &[u8], start: u32) -> u32 {
    bytes.chunks(2).fold(start, |sum, pair| {
        sum + u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
    })
}

fn checksum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = sum(bytes, start);
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What a frame of ours has become; `None` for the router's own.
pub fn read(frame: &[u8]) -> Option<Seen> {
    let body = frame.get(14..)?;
    let (source, destination, protocol, header): (IpAddr, IpAddr, u8, usize) = match frame.get(12..14)? {
        [0x08, 0x00] => {
            let four = |at: usize| -> Option<IpAddr> {
                Some(<[u8; 4]>::try_from(body.get(at..at + 4)?).ok()?.into())
            };
            (four(12)?, four(16)?, *body.get(9)?, 20)
        }
        [0x86, 0xdd] => {
            let six = |at: usize| -> Option<IpAddr> {
                Some(<[u8; 16]>::try_from(body.get(at..at + 16)?).ok()?.into())
            };
            (six(8)?, six(24)?, *body.get(6)?, 40)
        }
        _ => return None,
    };
    let transport = body.get(header..)?;
    let at = transport.windows(4).rposition(|window| window == MAGIC)?;
    let id = u32::from_be_bytes(transport.get(at + 4..at + 8)?.try_into().ok()?);
    let port = |at: usize| Some(u16::from_be_bytes(transport.get(at..at + 2)?.try_into().ok()?));
    let ports = if matches!(protocol, TCP | UDP) { Some((port(0)?, port(2)?)) } else { None };
    Some(Seen { id, source, destination, ports })
}
