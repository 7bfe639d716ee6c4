//! Records of nfdump 1.7: a head and elements, each with its type and length.

use super::{ORDER, action};
use crate::names::{Names, Symbol};
use crate::record::{Action, Address, Direction, Flow, Opener};
use std::collections::HashMap;

/// The type of a flow record.
pub const RECORD: u16 = 11;
const HEAD_BYTES: usize = 12;
const ELEMENT_HEAD_BYTES: usize = 4;
/// Interface names kept of one file.
const NAME_COUNT_MAX: usize = 4096;

const GENERIC: u16 = 1;
const IPV4: u16 = 2;
const IPV6: u16 = 3;
const MISCELLANEOUS: u16 = 4;
const COUNTERS_BACK: u16 = 5;
const RECEIVED_IPV4: u16 = 12;
const RECEIVED_IPV6: u16 = 13;
const FIREWALL: u16 = 19;

/// The names of exporters and their interfaces.
#[derive(Debug, Default)]
pub struct Exporters {
    symbols: HashMap<(Address, u32), Symbol>,
}

/// What elements other than the first say.
#[derive(Default)]
struct More {
    input: u32,
    output: u32,
    exporter: Address,
    back_packets: u64,
    back_bytes: u64,
    /// A firewall tells events and both directions.
    firewall: bool,
}

impl Exporters {
    /// Reads a record: its flow, and the other direction's where the record has it.
    pub fn flows(&mut self, record: &[u8], base: &Flow, names: &Names) -> Option<(Flow, Option<Flow>)> {
        let mut flow = *base;
        let mut more = More::default();
        let mut generic = false;
        let mut rest = record.get(HEAD_BYTES..)?;
        while let Some(element) = rest.get(..usize::from(ORDER.u16(rest, 2))) {
            let Some(value) = element.get(ELEMENT_HEAD_BYTES..) else { break };
            let kind = ORDER.u16(element, 0);
            generic |= kind == GENERIC && value.len() >= 48;
            take(&mut flow, &mut more, kind, value);
            rest = &rest[element.len()..];
        }
        if !generic {
            return None;
        }
        let seen = match flow.direction {
            Direction::Out if more.output != 0 => more.output,
            _ if more.input != 0 => more.input,
            _ => more.output,
        };
        flow.interface = self.symbol(more.exporter, seen, names);
        let back = (more.back_packets > 0 || more.back_bytes > 0).then(|| Flow {
            source: flow.destination,
            destination: flow.source,
            source_port: flow.destination_port,
            destination_port: flow.source_port,
            packets: more.back_packets,
            bytes: more.back_bytes,
            tcp_flags: 0,
            opener: if more.firewall { Opener::Destination } else { Opener::Unknown },
            ..flow
        });
        if back.is_some() && more.firewall {
            flow.opener = Opener::Source;
        }
        Some((flow, back))
    }

    fn symbol(&mut self, exporter: Address, interface: u32, names: &Names) -> Symbol {
        if exporter.is_unknown() && interface == 0 {
            return Symbol::NONE;
        }
        if let Some(symbol) = self.symbols.get(&(exporter, interface)) {
            return *symbol;
        }
        if self.symbols.len() >= NAME_COUNT_MAX {
            return Symbol::OTHER;
        }
        let name = match (exporter.is_unknown(), interface) {
            (true, number) => number.to_string(),
            (false, 0) => exporter.to_string(),
            (false, number) => format!("{exporter}/{number}"),
        };
        let symbol = names.symbol(&name);
        self.symbols.insert((exporter, interface), symbol);
        symbol
    }
}

fn take(flow: &mut Flow, more: &mut More, kind: u16, value: &[u8]) {
    let byte = |at: usize| value.get(at).copied().unwrap_or(0);
    match kind {
        GENERIC => {
            flow.start_ms = ORDER.u64(value, 0).cast_signed();
            flow.end_ms = ORDER.u64(value, 8).cast_signed();
            flow.packets = ORDER.u64(value, 24);
            flow.bytes = ORDER.u64(value, 32);
            flow.source_port = ORDER.u16(value, 40);
            flow.destination_port = ORDER.u16(value, 42);
            flow.protocol = byte(44);
            flow.tcp_flags = byte(45) & 0x3f;
            if flow.action == Action::Unknown {
                flow.action = action(byte(46));
            }
        }
        IPV4 if value.len() >= 8 => {
            flow.source = Address::v4(ORDER.u32(value, 0));
            flow.destination = Address::v4(ORDER.u32(value, 4));
        }
        IPV6 if value.len() >= 32 => {
            flow.source = ipv6(value, 0);
            flow.destination = ipv6(value, 16);
        }
        MISCELLANEOUS => {
            (more.input, more.output) = (ORDER.u32(value, 0), ORDER.u32(value, 4));
            flow.direction = if byte(10) == 1 { Direction::Out } else { Direction::Unknown };
        }
        COUNTERS_BACK => {
            (more.back_packets, more.back_bytes) = (ORDER.u64(value, 8), ORDER.u64(value, 16));
        }
        RECEIVED_IPV4 if value.len() >= 4 => more.exporter = Address::v4(ORDER.u32(value, 0)),
        RECEIVED_IPV6 if value.len() >= 16 => more.exporter = ipv6(value, 0),
        FIREWALL => {
            more.firewall = true;
            flow.action = match byte(14) {
                1 | 2 | 5 => Action::Accept,
                3 => Action::Reject,
                _ => flow.action,
            };
        }
        _ => {}
    }
}

/// An address is two numbers of 64 bits, the upper one first.
pub fn ipv6(value: &[u8], at: usize) -> Address {
    Address(u128::from(ORDER.u64(value, at)) << 64 | u128::from(ORDER.u64(value, at + 8)))
}
