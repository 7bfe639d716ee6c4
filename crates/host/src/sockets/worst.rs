//! The connections that do worst.

use netwhy_model::host::SlowSocket;
use netwhy_netlink::sock_diag::{SocketSeen, TcpInfo, state_name};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Connections kept.
const WORST_COUNT: usize = 20;
/// A connection with less than this many points is not worth showing.
const SCORE_MIN: u64 = 100;
/// Data that waits shorter than this is on its way, in milliseconds.
const WAIT_MS_MIN: u32 = 1_000;

/// Points and an order of arrival that breaks ties.
type Rank = (u64, Reverse<u64>);

/// The worst so far: the least bad of them is on top and gives way.
#[derive(Debug, Default)]
pub(super) struct Worst {
    ranks: BinaryHeap<Reverse<Rank>>,
    sockets: BTreeMap<Rank, SocketSeen>,
    seen: u64,
}

impl Worst {
    pub(super) fn add(&mut self, socket: &SocketSeen) {
        let Some(info) = &socket.info else { return };
        let score = score(socket, info);
        let full = self.ranks.len() >= WORST_COUNT;
        if score < SCORE_MIN || (full && self.ranks.peek().is_some_and(|least| score <= least.0.0)) {
            return;
        }
        if full && let Some(Reverse(least)) = self.ranks.pop() {
            self.sockets.remove(&least);
        }
        self.seen += 1;
        let rank = (score, Reverse(self.seen));
        self.ranks.push(Reverse(rank));
        self.sockets.insert(rank, socket.clone());
    }

    pub(super) fn inodes(&self) -> impl Iterator<Item = u64> {
        self.sockets.values().map(|socket| socket.inode)
    }

    /// The worst first.
    pub(super) fn list(&self, owners: &BTreeMap<u64, Vec<u32>>) -> Vec<SlowSocket> {
        self.sockets
            .values()
            .rev()
            .filter_map(|socket| {
                let info = socket.info?;
                Some(SlowSocket {
                    local: socket.local_canonical(),
                    peer: socket.peer_canonical(),
                    state: state_name(socket.state).to_owned(),
                    retransmits: info.total_retrans,
                    lost: info.lost,
                    rtt_ms: f64::from(info.rtt_us) / 1_000.0,
                    rtt_var_ms: f64::from(info.rtt_variation_us) / 1_000.0,
                    congestion: socket.congestion.map(|name| name.as_str().to_owned()).unwrap_or_default(),
                    unread_bytes: socket.receive_queue,
                    unsent_bytes: socket.send_queue,
                    pids: owners.get(&socket.inode).cloned().unwrap_or_default(),
                })
            })
            .collect()
    }
}

/// How bad a connection is: unanswered now weighs most, then loss, then a long queue or round trip.
fn score(socket: &SocketSeen, info: &TcpInfo) -> u64 {
    let unanswered = u64::from(info.backoff.max(info.retransmits)) * 2_000 + u64::from(info.probes) * 1_000;
    let lost = u64::from(info.lost) * 100;
    // A share of at least one percent lost, so that a long life alone does not count.
    let sent = u64::from(info.segments_out.max(1));
    let retransmitted = u64::from(info.total_retrans);
    let loss = if retransmitted * 100 >= sent { (retransmitted * 1_000 / sent).min(1_000) } else { 0 };
    let unread = socket.receive_queue > 0 && info.last_data_received_ms > WAIT_MS_MIN;
    let unsent = socket.send_queue > 0 && info.last_ack_received_ms > WAIT_MS_MIN;
    let waits = u64::from(unread) * 500 + u64::from(unsent) * 500;
    // A round trip of 200 ms is where people notice.
    let slow = u64::from(info.rtt_us / 1_000).saturating_sub(100).min(1_000);
    unanswered + lost + loss + waits + slow
}

#[cfg(test)]
mod tests {
    use super::super::tally::tests::socket;
    use super::*;
    use netwhy_netlink::sock_diag::state;

    fn with(retrans: u32, backoff: u8, inode: u32) -> SocketSeen {
        let mut one = socket(state::ESTABLISHED, "10.0.0.1:80", "10.0.0.2:9", inode);
        one.info =
            Some(TcpInfo { total_retrans: retrans, segments_out: 1_000, backoff, ..TcpInfo::default() });
        one
    }

    #[test]
    fn the_worst_are_kept_in_order() {
        let mut worst = Worst::default();
        for inode in 1..=100 {
            worst.add(&with(inode + 100, 0, inode));
        }
        worst.add(&with(0, 3, 777));
        worst.add(&with(0, 0, 888));
        let listed = worst.list(&BTreeMap::from([(777, vec![5])]));
        assert_eq!(listed.len(), WORST_COUNT);
        assert_eq!(listed[0].pids, [5]);
        assert_eq!(listed[1].retransmits, 200);
        assert!(worst.inodes().all(|inode| inode != 888));
    }
}
