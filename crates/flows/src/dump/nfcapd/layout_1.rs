//! Records of nfdump 1.6: a common part, addresses, two counters, and extensions in the order of an extension map.

use super::layout_2::ipv6;
use super::{ORDER, Taken, action};
use crate::record::{Address, Flow};
use std::collections::HashMap;

/// Types of records.
pub const COMMON_SMALL: u16 = 1;
pub const MAP: u16 = 2;
pub const COMMON: u16 = 10;

/// Extension maps kept of one file.
const MAP_COUNT_MAX: usize = 65_536;
/// Extensions read of one map.
const EXTENSION_COUNT_MAX: usize = 256;
/// Counters that are 64 bits wide, and addresses of IPv6, by the record's flags.
const FLAG_IPV6: u16 = 1;
const FLAG_PACKETS_64: u16 = 2;
const FLAG_BYTES_64: u16 = 4;

/// Which maps the file has told; what follows the counters is not read, so that their order suffices.
#[derive(Debug, Default)]
pub struct Maps {
    known: HashMap<u16, usize>,
}

impl Maps {
    pub fn learn(&mut self, record: &[u8]) -> Taken {
        let extensions = record.get(8..).unwrap_or_default().chunks_exact(2).take(EXTENSION_COUNT_MAX);
        let count = extensions.take_while(|pair| *pair != [0, 0]).count();
        if self.known.len() < MAP_COUNT_MAX {
            self.known.insert(ORDER.u16(record, 4), count);
        }
        Taken::Other
    }

    /// Reads a common record; `None` when it is shorter than its parts.
    pub fn flow(&self, record: &[u8], base: &Flow) -> Option<Flow> {
        let small = ORDER.u16(record, 0) == COMMON_SMALL;
        let flags = if small { u16::from(*record.get(4)?) } else { ORDER.u16(record, 4) };
        let time = |seconds: usize, part: usize| {
            i64::from(ORDER.u32(record, seconds)) * 1000 + i64::from(ORDER.u16(record, part))
        };
        let mut flow = Flow {
            start_ms: time(12, 8),
            end_ms: time(16, 10),
            action: action(*record.get(20)?),
            tcp_flags: *record.get(21)? & 0x3f,
            protocol: *record.get(22)?,
            source_port: ORDER.u16(record, 24),
            destination_port: ORDER.u16(record, 26),
            ..*base
        };
        let mut at = if small { 28 } else { 32 };
        if flags & FLAG_IPV6 != 0 {
            (flow.source, flow.destination) = (ipv6(record, at), ipv6(record, at + 16));
            at += 32;
        } else {
            flow.source = Address::v4(ORDER.u32(record, at));
            flow.destination = Address::v4(ORDER.u32(record, at + 4));
            at += 8;
        }
        let mut counter = |wide: bool| {
            let value = if wide { ORDER.u64(record, at) } else { u64::from(ORDER.u32(record, at)) };
            at += if wide { 8 } else { 4 };
            value
        };
        flow.packets = counter(flags & FLAG_PACKETS_64 != 0);
        flow.bytes = counter(flags & FLAG_BYTES_64 != 0);
        (at <= record.len()).then_some(flow)
    }
}
