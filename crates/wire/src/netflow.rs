//! NetFlow v5 (fixed records) and the heads of v9 (RFC 3954); v9's templates and sets are `ipfix`'s.

use crate::take::Take;
use std::net::Ipv4Addr;

/// Most records of one v5 datagram.
pub const V5_RECORD_COUNT_MAX: usize = 30;
/// One v5 record, in bytes.
pub const V5_RECORD_BYTES: usize = 48;

/// The head of a v5 datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V5Head {
    pub count: u16,
    /// Since the exporter started, in milliseconds.
    pub uptime_ms: u32,
    pub unix_s: u32,
    pub unix_ns: u32,
    /// Records sent before this datagram.
    pub sequence: u32,
    /// Type and slot of the engine that counts.
    pub engine: u16,
    /// One packet in so many was looked at; 0 where not told.
    pub sampling: u16,
}

/// One v5 record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V5Record {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    /// SNMP numbers of the interfaces.
    pub input: u16,
    pub output: u16,
    pub packets: u32,
    pub bytes: u32,
    /// The exporter's uptime at the first and last packet, in milliseconds.
    pub first_ms: u32,
    pub last_ms: u32,
    pub source_port: u16,
    /// For ICMP type × 256 + code.
    pub destination_port: u16,
    pub tcp_flags: u8,
    pub protocol: u8,
}

impl V5Head {
    /// Reads the head; the records follow in what is left.
    pub fn parse(take: &mut Take<'_>) -> Option<V5Head> {
        take.u16()?;
        Some(V5Head {
            count: take.u16()?,
            uptime_ms: take.u32()?,
            unix_s: take.u32()?,
            unix_ns: take.u32()?,
            sequence: take.u32()?,
            engine: take.u16()?,
            // The two upper bits are the mode.
            sampling: take.u16()? & 0x3fff,
        })
    }
}

impl V5Record {
    pub fn parse(take: &mut Take<'_>) -> Option<V5Record> {
        let mut record = Take::new(take.bytes(V5_RECORD_BYTES)?);
        let address = |take: &mut Take<'_>| take.u32().map(Ipv4Addr::from_bits);
        let source = address(&mut record)?;
        let destination = address(&mut record)?;
        record.u32()?;
        let (input, output) = (record.u16()?, record.u16()?);
        let (packets, bytes) = (record.u32()?, record.u32()?);
        let (first_ms, last_ms) = (record.u32()?, record.u32()?);
        let (source_port, destination_port) = (record.u16()?, record.u16()?);
        record.u8()?;
        let (tcp_flags, protocol) = (record.u8()?, record.u8()?);
        Some(V5Record {
            source,
            destination,
            input,
            output,
            packets,
            bytes,
            first_ms,
            last_ms,
            source_port,
            destination_port,
            tcp_flags,
            protocol,
        })
    }
}

/// The head of a v9 datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V9Head {
    /// Records of all kinds in the datagram.
    pub count: u16,
    /// Since the exporter started, in milliseconds.
    pub uptime_ms: u32,
    pub unix_s: u32,
    /// Datagrams sent before this one.
    pub sequence: u32,
    pub source_id: u32,
}

impl V9Head {
    /// Reads the head; the sets follow in what is left.
    pub fn parse(take: &mut Take<'_>) -> Option<V9Head> {
        take.u16()?;
        Some(V9Head {
            count: take.u16()?,
            uptime_ms: take.u32()?,
            unix_s: take.u32()?,
            sequence: take.u32()?,
            source_id: take.u32()?,
        })
    }
}
