//! Queueing disciplines: what waits, and what was dropped, before an interface sends.

use super::{Listed, Names, list, name};
use crate::attribute::{attributes, ne32, ne64};
use crate::connection::NetlinkError;

const GET_QDISC: u16 = 38;
pub(super) const HEADER_LEN: usize = 20;
/// Disciplines kept; a card with 64 queues has 65.
pub const QDISC_COUNT_MAX: usize = 65_536;
const PARENT_ROOT: u32 = 0xffff_ffff;

/// One queueing discipline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Qdisc {
    pub interface: u32,
    pub interface_name: String,
    /// `fq_codel`, `mq`, `netem`, `tbf`; `clsact` and `ingress` hold filters and queue nothing.
    pub kind: String,
    /// Major number in the upper half: 0x8001_0000 is `8001:`.
    pub handle: u32,
    pub parent: u32,
    pub bytes: u64,
    pub packets: u64,
    /// Packets that wait, and their bytes.
    pub queued: u32,
    pub backlog_bytes: u32,
    pub drops: u32,
    pub requeues: u32,
    /// Packets that had to wait for the rate.
    pub overlimits: u32,
}

impl Qdisc {
    /// It is the interface's own, not one below another.
    pub fn root(&self) -> bool {
        self.parent == PARENT_ROOT
    }

    /// It only holds filters that see packets before or after the firewall.
    pub fn filters_only(&self) -> bool {
        matches!(self.kind.as_str(), "clsact" | "ingress")
    }
}

/// Lists the queueing disciplines of every interface.
pub fn qdiscs() -> Result<Listed<Qdisc>, NetlinkError> {
    let names = Names::read()?;
    let mut found = list(GET_QDISC, &[0; HEADER_LEN], QDISC_COUNT_MAX, parse_qdisc)?;
    for qdisc in &mut found.items {
        qdisc.interface_name = names.of(qdisc.interface);
    }
    Ok(found)
}

/// Reads one discipline; `None` when it is too short. The interface's name is left empty.
pub fn parse_qdisc(message: &[u8]) -> Option<Qdisc> {
    let head = message.first_chunk::<HEADER_LEN>()?;
    let mut qdisc = Qdisc {
        interface: ne32(&head[4..]),
        handle: ne32(&head[8..]),
        parent: ne32(&head[12..]),
        ..Qdisc::default()
    };
    for (kind, value) in attributes(message.get(HEADER_LEN..)?) {
        match kind {
            1 => qdisc.kind = name(value),
            7 => {
                let stats = Statistics::read(value);
                qdisc.bytes = stats.bytes;
                qdisc.packets = stats.packets;
                qdisc.queued = stats.queued;
                qdisc.backlog_bytes = stats.backlog_bytes;
                qdisc.drops = stats.drops;
                qdisc.requeues = stats.requeues;
                qdisc.overlimits = stats.overlimits;
            }
            _ => {}
        }
    }
    Some(qdisc)
}

/// TCA_STATS2 and TCA_ACT_STATS (linux/gen_stats.h).
#[derive(Debug, Default)]
pub(super) struct Statistics {
    pub bytes: u64,
    pub packets: u64,
    pub queued: u32,
    pub backlog_bytes: u32,
    pub drops: u32,
    pub requeues: u32,
    pub overlimits: u32,
}

impl Statistics {
    pub(super) fn read(value: &[u8]) -> Statistics {
        const BASIC: u16 = 1;
        const QUEUE: u16 = 3;
        const PACKETS_64: u16 = 8;
        let mut stats = Statistics::default();
        for (kind, value) in attributes(value) {
            let word = |at: usize| value.get(at..).map_or(0, ne32);
            match kind {
                BASIC => {
                    stats.bytes = ne64(value);
                    stats.packets = stats.packets.max(u64::from(word(8)));
                }
                QUEUE => {
                    stats.queued = word(0);
                    stats.backlog_bytes = word(4);
                    stats.drops = word(8);
                    stats.requeues = word(12);
                    stats.overlimits = word(16);
                }
                PACKETS_64 => stats.packets = ne64(value),
                _ => {}
            }
        }
        stats
    }
}
