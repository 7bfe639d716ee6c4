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
    /// What it is set to, where that holds packets back on purpose: `rate 125000 bytes/s`, `loss 10.0%`.
    pub detail: String,
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
            2 => qdisc.detail = detail(&qdisc.kind, value),
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

/// The options of the two disciplines that make a network worse on purpose (linux/pkt_sched.h).
fn detail(kind: &str, options: &[u8]) -> String {
    let word = |value: &[u8], at: usize| value.get(at..).map_or(0, ne32);
    match kind {
        // TCA_TBF_PARMS begins with a tc_ratespec; TCA_TBF_RATE64 is there past 34 Gbit/s.
        "tbf" => {
            let find = |wanted| attributes(options).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
            let rate = find(4).map(ne64).or_else(|| find(1).map(|value| u64::from(word(value, 8))));
            rate.map_or(String::new(), |rate| format!("rate {rate} bytes/s"))
        }
        // struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter; times in ticks of 64 ns.
        "netem" => {
            let share = |at| f64::from(word(options, at)) * 100.0 / f64::from(u32::MAX);
            let delay_ms = u64::from(word(options, 0)) * 64 / 1_000_000;
            format!("limit {} delay {delay_ms} ms loss {:.1}%", word(options, 4), share(8))
        }
        _ => String::new(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::Builder;

    #[test]
    fn a_lossy_discipline_shows_its_loss_and_drops() {
        let mut header = vec![0; 4];
        for word in [3, 0x8001_0000, PARENT_ROOT, 0] {
            header.extend(u32::to_ne_bytes(word));
        }
        let options = [1_562_500, 1000, u32::MAX / 10, 0, 0, 0].map(u32::to_ne_bytes).concat();
        let queue = [1, 1500, 42, 0, 6].map(u32::to_ne_bytes).concat();
        let message = Builder::new(&header)
            .put_text(1, "netem")
            .put(2, &options)
            .nest(7, Builder::default().put(1, &[8; 16]).put(8, &[9, 0, 0, 0, 0, 0, 0, 0]).put(3, &queue));
        let qdisc = parse_qdisc(message.bytes()).unwrap();
        assert_eq!(qdisc.detail, "limit 1000 delay 100 ms loss 10.0%");
        assert!(qdisc.root() && !qdisc.filters_only());
        assert_eq!((qdisc.packets, qdisc.drops, qdisc.queued, qdisc.overlimits), (9, 42, 1, 6));
    }
}
