//! Packets to flows: a bounded table of conversations with timeouts.
//!
//! A conversation becomes two flows, one for each direction that sent something. Tunnels stay what they are outside.

mod conversation;
pub(crate) mod packet;
pub(crate) mod pump;
mod table;

pub use conversation::Seen;
pub use packet::{Fragment, PacketFlow, packet_flow};
pub use table::{Limits, Table};

use crate::dump::{DumpCount, DumpError};
use crate::names::{Names, Symbol};
use crate::record::{Direction, Flow};
use netwhy_wire::link::{Carried, Way, carried};
use pump::{Outcome, PumpedPacket};
use std::io::Read;
use std::sync::Arc;

/// Flows given at once, about.
const BATCH_FLOWS: usize = 4096;
/// Names of interfaces remembered beside `Names`.
const INTERFACE_COUNT_MAX: usize = 1024;

/// Reads pcap or pcapng; flows come to `each` in batches, as they end.
///
/// # Errors
/// When the file is no capture or cannot be read on; the flows so far were given.
pub fn read(
    limits: Limits,
    names: &Names,
    file_name: &str,
    input: impl Read,
    each: &mut dyn FnMut(&[Flow]),
) -> Result<DumpCount, DumpError> {
    let file: Arc<str> = file_name.into();
    let mut count = DumpCount::default();
    let mut table = Table::new(limits);
    let mut interfaces = Interfaces { names, symbols: Vec::new() };
    let symbol = names.symbol(file_name);
    let mut flows = Vec::new();
    let mut written = 0;
    let outcome = pump::packets(&file, input, &mut count, &mut |packet| {
        let outcome = add(packet, symbol, &mut interfaces, &mut table, &mut flows);
        if flows.len() >= BATCH_FLOWS {
            written += flows.len();
            each(&flows);
            flows.clear();
        }
        outcome
    });
    table.finish(&mut flows);
    written += flows.len();
    for batch in flows.chunks(BATCH_FLOWS) {
        each(batch);
    }
    count.unread.read = written as u64;
    outcome.map(|()| count)
}

fn add(
    packet: &PumpedPacket<'_>,
    file: Symbol,
    interfaces: &mut Interfaces<'_>,
    table: &mut Table,
    flows: &mut Vec<Flow>,
) -> Outcome {
    let captured = &packet.captured;
    let (carried, way) = carried(captured.link_type, captured.bytes);
    let bytes = match carried {
        Carried::Ip(bytes) => bytes,
        Carried::Other(_) => return Outcome::PassedOver,
        Carried::Short => {
            return Outcome::Unread(
                "the link-layer header is cut short".into(),
                "链路层头部不完整".into(),
            );
        }
        Carried::Foreign => {
            let number = captured.link_type;
            return Outcome::Unread(
                format!("link type {number} is not known"),
                format!("未知的链路类型 {number}"),
            );
        }
    };
    let Some(flow) = packet_flow(bytes) else {
        return Outcome::Unread("the IP header is cut short or wrong".into(), "IP 头部不完整或有误".into());
    };
    let seen = Seen {
        at_ms: captured.time_ns.div_euclid(1_000_000),
        direction: direction(if captured.way == Way::Unknown { way } else { captured.way }),
        interface: interfaces.symbol(captured.interface, packet.interface_name),
        file,
        offset: packet.offset,
    };
    table.add(&flow, &seen, flows);
    Outcome::InFlows
}

fn direction(way: Way) -> Direction {
    match way {
        Way::Unknown => Direction::Unknown,
        Way::In => Direction::In,
        Way::Out => Direction::Out,
    }
}

/// The symbols of a file's interfaces, so that each packet need not look its name up.
struct Interfaces<'n> {
    names: &'n Names,
    symbols: Vec<(Box<str>, Symbol)>,
}

impl Interfaces<'_> {
    fn symbol(&mut self, number: u32, name: Option<&str>) -> Symbol {
        let Some(name) = name else { return Symbol::NONE };
        let at = number as usize;
        if let Some((known, symbol)) = self.symbols.get(at)
            && **known == *name
        {
            return *symbol;
        }
        let symbol = self.names.symbol(name);
        if at < INTERFACE_COUNT_MAX {
            if self.symbols.len() <= at {
                self.symbols.resize(at + 1, (Box::default(), Symbol::NONE));
            }
            self.symbols[at] = (name.into(), symbol);
        }
        symbol
    }
}
