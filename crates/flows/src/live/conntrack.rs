//! Connections as the kernel's connection tracking opens and closes them.

use super::{LiveError, TICK_MS, now_ms};
use crate::icmp;
use crate::names::{Names, Symbol};
use crate::record::{Direction, Flow, Opener};
use netwhy_netfilter::{FlowEvent, FlowEventKind, FlowEvents};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Flows handed over at once.
const BATCH_FLOWS: usize = 4096;
/// This host's addresses are read again after so long, in ticks.
pub(super) const ADDRESSES_TICKS: u32 = 40;

/// Shows this host's connections as the kernel's connection tracking opens and closes them, until `stop` is set.
///
/// An opening is a flow of one packet each; at the end come two flows with the counts of both directions, where the
/// kernel counts (`net.netfilter.nf_conntrack_acct`). `each` comes at least every [`TICK_MS`]. Returns how often the
/// kernel had to throw events away.
pub fn connections(
    names: &Names,
    stop: &AtomicBool,
    each: &mut dyn FnMut(&[Flow]),
) -> Result<u64, LiveError> {
    let mut events = FlowEvents::start().map_err(LiveError::Conntrack)?;
    let interface = names.symbol("conntrack");
    let mut own = own_addresses();
    let mut flows = Vec::new();
    let mut thrown_away = 0;
    let mut number = 0;
    let mut ticks = 0;
    while !stop.load(Ordering::Relaxed) {
        let until = Instant::now() + Duration::from_millis(TICK_MS);
        let at_ms = now_ms();
        let complete = events
            .take(until, |event| {
                number += 1;
                push(event, at_ms, number, interface, &own, &mut flows);
                if flows.len() >= BATCH_FLOWS {
                    each(&flows);
                    flows.clear();
                }
            })
            .map_err(LiveError::Conntrack)?;
        thrown_away += u64::from(!complete);
        each(&flows);
        flows.clear();
        ticks += 1;
        if ticks % ADDRESSES_TICKS == 0 {
            own = own_addresses();
        }
    }
    Ok(thrown_away)
}

fn push(
    event: &FlowEvent,
    at_ms: i64,
    number: u64,
    interface: Symbol,
    own: &HashSet<IpAddr>,
    flows: &mut Vec<Flow>,
) {
    let seen = &event.flow;
    // What is routed through belongs to neither direction of this host.
    let direction = match (own.contains(&seen.from.ip()), own.contains(&seen.to.ip())) {
        (true, false) => Direction::Out,
        (false, true) => Direction::In,
        _ => Direction::Unknown,
    };
    let start_ms = event.start_ms.unwrap_or(at_ms);
    let icmp = icmp::is_icmp(seen.protocol);
    let forward = Flow {
        start_ms,
        end_ms: event.stop_ms.unwrap_or(at_ms),
        source: seen.from.ip().into(),
        destination: seen.to.ip().into(),
        source_port: seen.from.port(),
        destination_port: if icmp { event.message } else { seen.to.port() },
        protocol: seen.protocol,
        packets: event.there.packets,
        bytes: event.there.bytes,
        offset: number,
        interface,
        direction,
        opener: Opener::Source,
        ..Flow::default()
    };
    if event.kind == FlowEventKind::New {
        // The kernel has not counted yet, but the packet that opened it has been.
        flows.push(Flow { packets: forward.packets.max(1), end_ms: start_ms, ..forward });
        return;
    }
    flows.push(forward);
    if event.back.packets > 0 || seen.replied() {
        flows.push(Flow { packets: event.back.packets, bytes: event.back.bytes, ..forward.turned() });
    }
}

/// Addresses of this host; without them no direction is told.
pub(super) fn own_addresses() -> HashSet<IpAddr> {
    let addresses = netwhy_netlink::route::addresses();
    addresses.into_iter().flatten().map(|own| own.prefix.address).collect()
}
