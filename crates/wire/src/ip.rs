//! IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200).

use crate::checksum::internet_checksum;
use crate::error::WireError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most IPv6 extension headers followed in one packet.
const EXTENSION_COUNT_MAX: usize = 8;

/// One IP packet: the header's fields and what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ip<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// The protocol carried, past any extension headers.
    pub protocol: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    /// The IPv4 identification; of IPv6 the fragment's, 0 without one.
    pub ident: u32,
    /// Set in IPv4 by DF; IPv6 routers never fragment.
    pub dont_fragment: bool,
    pub more_fragments: bool,
    /// In bytes.
    pub fragment_offset: usize,
    /// The whole packet's length as its header states it, in bytes.
    pub total_len: usize,
    /// True when fewer bytes are there than the header states.
    pub truncated: bool,
    /// Whether the header's checksum is right; always true for IPv6, which has none.
    pub checksum_ok: bool,
    pub payload: &'a [u8],
}

impl Ip<'_> {
    /// True when this is a fragment other than the first, which carries no transport header.
    pub fn is_later_fragment(&self) -> bool {
        self.fragment_offset > 0
    }
}

/// Reads an IP header; what follows it may be cut short.
pub fn parse_ip(bytes: &[u8]) -> Result<Ip<'_>, WireError> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => parse_v4(bytes),
        Some(6) => parse_v6(bytes),
        Some(version) => Err(WireError::Version(version)),
        None => Err(WireError::Short("IP", 20, 0)),
    }
}

fn parse_v4(bytes: &[u8]) -> Result<Ip<'_>, WireError> {
    let Some(fixed) = bytes.first_chunk::<20>() else {
        return Err(WireError::Short("IPv4", 20, bytes.len()));
    };
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    if header_len < 20 {
        return Err(WireError::Length("IPv4"));
    }
    let Some(header) = bytes.get(..header_len) else {
        return Err(WireError::Short("IPv4", header_len, bytes.len()));
    };
    // Segmentation offload leaves 0 here on packets captured before they are cut up.
    let stated = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let total_len = if stated == 0 { bytes.len() } else { stated };
    if total_len < header_len {
        return Err(WireError::Length("IPv4"));
    }
    let flags = u16::from_be_bytes([fixed[6], fixed[7]]);
    Ok(Ip {
        source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]).into(),
        destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]).into(),
        protocol: fixed[9],
        ttl: fixed[8],
        traffic_class: fixed[1],
        ident: u32::from(u16::from_be_bytes([fixed[4], fixed[5]])),
        dont_fragment: flags & 0x4000 != 0,
        more_fragments: flags & 0x2000 != 0,
        fragment_offset: usize::from(flags & 0x1fff) * 8,
        total_len,
        truncated: bytes.len() < total_len,
        checksum_ok: internet_checksum(header) == 0,
        payload: bytes.get(header_len..total_len.min(bytes.len())).unwrap_or_default(),
    })
}

fn parse_v6(bytes: &[u8]) -> Result<Ip<'_>, WireError> {
    let Some(fixed) = bytes.first_chunk::<40>() else {
        return Err(WireError::Short("IPv6", 40, bytes.len()));
    };
    let address = |at: usize| {
        let mut octets = [0_u8; 16];
        octets.copy_from_slice(&fixed[at..at + 16]);
        IpAddr::from(Ipv6Addr::from(octets))
    };
    let stated = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let total_len = if stated == 0 && fixed[6] != 59 { bytes.len() } else { 40 + stated };
    let mut packet = Ip {
        source: address(8),
        destination: address(24),
        protocol: fixed[6],
        ttl: fixed[7],
        traffic_class: (fixed[0] << 4) | (fixed[1] >> 4),
        ident: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        total_len,
        truncated: bytes.len() < total_len,
        checksum_ok: true,
        payload: bytes.get(40..total_len.min(bytes.len())).unwrap_or_default(),
    };
    skip_extensions(&mut packet);
    Ok(packet)
}

/// Walks hop-by-hop, routing, destination, authentication and fragment headers; stops where bytes end.
fn skip_extensions(packet: &mut Ip<'_>) {
    for _ in 0..EXTENSION_COUNT_MAX {
        let Some(head) = packet.payload.first_chunk::<8>().copied() else { return };
        let length = match packet.protocol {
            0 | 43 | 60 | 135 | 139 | 140 => (usize::from(head[1]) + 1) * 8,
            51 => (usize::from(head[1]) + 2) * 4,
            44 => {
                let offset = u16::from_be_bytes([head[2], head[3]]);
                packet.fragment_offset = usize::from(offset & 0xfff8);
                packet.more_fragments = offset & 1 != 0;
                packet.ident = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                8
            }
            _ => return,
        };
        let Some(rest) = packet.payload.get(length..) else { return };
        packet.payload = rest;
        packet.protocol = head[0];
        if packet.is_later_fragment() {
            return;
        }
    }
}
