//! Which rule decided about a watched packet (nftrace).
//!
//! A table of our own marks the watched packets before any other chain sees them; the kernel then reports every rule
//! they meet. The table belongs to our socket (NFT_TABLE_F_OWNER): the kernel removes it when the socket closes,
//! however the process ends.

mod event;
mod expression;
mod packet;
mod setup;

use crate::error::NetfilterError;
use crate::nft::SUBSYSTEM;
use event::Event;
use netwhy_model::host::{Ruleset, TraceStep, WatchSpec};
use netwhy_netlink::{Connection, Protocol};
use packet::Packets;
use std::time::{Duration, Instant};

/// Own tables are named so, with the process id behind.
///
/// Steps in them, always accepted, say how far a packet came: their chains are named `prerouting-first`,
/// `prerouting-last`, `input-first` and so on, and stand before and behind all other chains of the hook.
pub const TRACE_TABLE_PREFIX: &str = "netwhy_trace_";

/// NFNLGRP_NFTRACE.
const GROUP_TRACE: u32 = 9;
const MESSAGE_TRACE: u16 = SUBSYSTEM | 17;
/// How long one call waits for reports, in milliseconds.
const WAIT_MS_MAX: u64 = 20;
/// Reports taken in one call.
const EVENT_COUNT_MAX: usize = 20_000;

/// Traces exactly the watched five-tuples until it is dropped.
#[derive(Debug)]
pub struct Tracer {
    /// Owns the table; taken at the end, so that closing it removes the table.
    owner: Connection,
    table: String,
    reports: Connection,
    packets: Packets,
    /// False once the kernel had to throw reports away.
    complete: bool,
}

impl Tracer {
    /// Sets up the trace in the calling thread's network namespace.
    ///
    /// At most 200 packets a second are traced of each source and direction, after a burst of 400.
    ///
    /// # Errors
    /// Without CAP_NET_ADMIN, or on a kernel before 5.13, which cannot tie a table to its owner.
    pub fn start(spec: &WatchSpec) -> Result<Tracer, NetfilterError> {
        let mut owner = Connection::open(Protocol::Netfilter).map_err(NetfilterError::Open)?;
        let reports = Connection::open(Protocol::Netfilter).map_err(NetfilterError::Open)?;
        reports.join(GROUP_TRACE).map_err(NetfilterError::Trace)?;
        let table = setup::table_name();
        setup::create(&mut owner, &table, spec).map_err(NetfilterError::Trace)?;
        Ok(Tracer { owner, table, reports, packets: Packets::default(), complete: true })
    }

    /// Takes the decisive steps seen since the last call, waiting at most 20 ms.
    ///
    /// Of each packet: what dropped, rejected or translated it, the last rule or policy that accepted it, and the
    /// last step in the table of our own, which says how far it came.
    pub fn steps(&mut self, ruleset: &Ruleset) -> Vec<TraceStep> {
        let until = Instant::now() + Duration::from_millis(WAIT_MS_MAX);
        let mut count = 0;
        let (packets, table) = (&mut self.packets, self.table.as_str());
        let taken = self.reports.events(until, |kind, body| {
            count += 1;
            if kind == MESSAGE_TRACE
                && let Some(event) = Event::parse(body)
            {
                packets.add(event, table);
            }
            count < EVENT_COUNT_MAX
        });
        self.complete &= taken.unwrap_or(false);
        self.packets.take(ruleset)
    }

    /// False once reports were lost: there were more than the kernel could hold for us.
    pub fn complete(&self) -> bool {
        self.complete
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Closing the socket removes the table too; this way it is gone when we return.
        let _ = setup::remove(&mut self.owner, &self.table);
    }
}

/// Takes two messages apart: for fuzzing.
pub(crate) fn take_apart(body: &[u8]) -> String {
    let mut packets = Packets::default();
    for body in body.chunks(body.len().div_ceil(2).max(1)) {
        if let Some(event) = Event::parse(body) {
            packets.add(event, TRACE_TABLE_PREFIX);
        }
    }
    packets.take(&Ruleset::default()).into_iter().map(|step| step.table + &step.chain + &step.text).collect()
}
