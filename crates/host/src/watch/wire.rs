//! What the tap and the thread that drains it hold, taken for one look.

use super::pulse::{Live, lock};
use crate::files::{Gaps, chain};
use netwhy_model::host::{DropSeen, Listener, PacketSeen, Record, Unread};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

/// Drains before a look: the ring holds at most so many times what one drain takes.
const DRAIN_COUNT_MAX: usize = 5;

/// What was on the wire, and the queues behind it.
#[derive(Debug, Default)]
pub(super) struct Wire {
    packets: Vec<PacketSeen>,
    lost: u64,
    /// (address asked, source, interface) of what came for the port.
    pub knockers: Vec<(IpAddr, IpAddr, u32)>,
    /// (destination, source) of translated flows as they leave.
    pub translated: Vec<(IpAddr, IpAddr)>,
    /// Both ends of every flow kept.
    pub flows: HashSet<(SocketAddr, SocketAddr)>,
    /// Where this host began connections to, the likeliest first.
    pub destinations: Vec<SocketAddr>,
    pub listeners: Vec<Listener>,
    pub peaks: Vec<Listener>,
    drops: Vec<DropSeen>,
    pub unread: Vec<Unread>,
}

impl Wire {
    /// Drains what waits, and copies what is held.
    pub(super) fn take(live: &Mutex<Live>) -> Wire {
        let mut live = lock(live);
        for _ in 0..DRAIN_COUNT_MAX {
            if !live.drain() {
                break;
            }
        }
        let mut gaps = Gaps::default();
        gaps.join(live.unread.clone());
        let mut wire = Wire::default();
        match live.queues.look() {
            Ok(listeners) => wire.listeners = listeners,
            Err(error) => gaps.note("listening sockets", chain(&error), false),
        }
        wire.peaks = live.queues.peaks();
        if let Some(drops) = &live.drops {
            wire.drops = drops.seen();
        }
        if let Some(tap) = &mut live.tap {
            gaps.join(tap.left_out());
            let kept = tap.kept();
            wire.packets = kept.packets();
            wire.lost = kept.lost();
            wire.knockers = kept.knockers().collect();
            wire.translated = kept.translated().collect();
            wire.flows = kept.flows().collect();
            wire.destinations = kept.destinations();
        }
        wire.unread = gaps.into_unread();
        wire
    }

    pub(super) fn fill(self, record: &mut Record) {
        record.packets = self.packets;
        record.packets_lost = self.lost;
        record.drops = self.drops;
    }
}
