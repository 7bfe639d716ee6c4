//! Captures of what exporters send to a collector: the datagrams in them are decoded as the collector would.

use super::datagrams::looks_like_export;
use super::{Batches, DumpCount, DumpError};
use crate::capture::pump::{self, Outcome, PumpedPacket};
use crate::export::{Arrival, Decoder};
use crate::names::Names;
use crate::record::Flow;
use netwhy_wire::link::{Carried, carried};
use netwhy_wire::pcap::{CaptureFile, Captured, Step};
use netwhy_wire::{Body, parse};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

/// Packets looked at to tell an ordinary capture from one of exports.
const LOOK_COUNT_MAX: usize = 256;

/// Whether most packets at the beginning of a capture are exports.
pub fn is_export(head: &[u8]) -> bool {
    let Ok(mut capture) = CaptureFile::of(head) else { return false };
    let (mut rest, mut packets, mut exports) = (head, 0, 0);
    while packets < LOOK_COUNT_MAX {
        let length = match capture.step(rest, false) {
            Step::Packet(length, captured) => {
                packets += 1;
                exports += usize::from(datagram(&captured).is_some());
                length as u64
            }
            Step::Skip(length) => length,
            Step::Bad(..) | Step::Need(_) => break,
        };
        let Some(behind) = usize::try_from(length).ok().and_then(|length| rest.get(length..)) else { break };
        rest = behind;
    }
    exports > 0 && exports * 2 >= packets
}

/// The export in a packet, if there is one whole: who sent it, and its bytes.
fn datagram<'a>(captured: &Captured<'a>) -> Option<(SocketAddr, &'a [u8])> {
    let Carried::Ip(bytes) = carried(captured.link_type, captured.bytes).0 else { return None };
    let packet = parse(bytes).ok()?;
    let Body::Udp(udp) = packet.body else { return None };
    let whole = !packet.ip.more_fragments && !packet.ip.truncated;
    (whole && looks_like_export(udp.payload, false))
        .then_some((SocketAddr::new(packet.ip.source, udp.source_port), udp.payload))
}

/// Reads a capture of exports.
pub fn read(
    names: &Arc<Names>,
    file_name: &str,
    input: impl Read,
    each: &mut dyn FnMut(&[Flow]),
) -> Result<DumpCount, DumpError> {
    let file: Arc<str> = file_name.into();
    let symbol = names.symbol(file_name);
    let mut count = DumpCount::default();
    let mut decoder = Decoder::new(names.clone());
    let mut batches = Batches::new(each);
    let outcome = pump::packets(&file, input, &mut count, &mut |packet: &PumpedPacket<'_>| {
        let Some((exporter, bytes)) = datagram(&packet.captured) else { return Outcome::PassedOver };
        let at_ms = packet.captured.time_ns.div_euclid(1_000_000);
        let arrival = Arrival { exporter, at_ms, file: symbol, offset: packet.offset };
        match decoder.datagram(&arrival, bytes, &mut |flow| batches.push(*flow)) {
            Ok(()) => Outcome::InFlows,
            Err(error) => Outcome::Unread(error.in_full(), error.in_chinese()),
        }
    });
    count.export = decoder.counts();
    count.unread.read = batches.finish();
    outcome.map(|()| count)
}
