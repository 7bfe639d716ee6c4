//! How the connections of each own port stand.

use super::tally::Tally;
use netwhy_model::host::PortUse;
use netwhy_netlink::sock_diag::{SocketSeen, state};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Input that waits longer than this was left, not just not reached yet, in milliseconds.
const UNREAD_MS: u32 = 1_000;
/// A request that takes longer than this to be sent is slow, in milliseconds.
const STARVED_MS: u32 = 5_000;
/// A request of so many bytes is no longer "hardly begun".
const STARVED_BYTES: u64 = 2_048;
/// Own ports kept.
const PORT_COUNT_MAX: usize = 1_024;

/// What is counted of one own port while the sockets stream by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    pub(super) half_open: u64,
    established: u64,
    close_wait: u64,
    time_wait: u64,
    not_accepted: u64,
    unread: u64,
    unread_ms_max: u64,
    starved: u64,
}

impl Served {
    pub(super) fn add(&mut self, socket: &SocketSeen) {
        match socket.state {
            state::SYN_RECV => self.half_open += 1,
            state::TIME_WAIT => self.time_wait += 1,
            state::CLOSE_WAIT => self.close_wait += 1,
            state::ESTABLISHED => self.add_established(socket),
            _ => {}
        }
    }

    fn add_established(&mut self, socket: &SocketSeen) {
        self.established += 1;
        // Without a file nobody called accept(2) for it yet.
        let accepted = socket.inode != 0;
        self.not_accepted += u64::from(!accepted);
        let Some(info) = socket.info else { return };
        if accepted && socket.receive_queue > 0 && info.last_data_received_ms > UNREAD_MS {
            self.unread += 1;
            self.unread_ms_max = self.unread_ms_max.max(info.last_data_received_ms.into());
        }
        // A connection that never sent counts "last sent" from its opening.
        let hardly_begun = info.bytes_received < STARVED_BYTES && info.data_segments_out == 0;
        if accepted && socket.receive_queue == 0 && hardly_begun && info.last_data_sent_ms > STARVED_MS {
            self.starved += 1;
        }
    }
}

/// Sums up every own port, most connections first.
pub(super) fn summary(tally: &Tally, owners: &BTreeMap<u64, Vec<u32>>) -> Vec<PortUse> {
    let mut peers: BTreeMap<u16, (u64, Option<(IpAddr, u64)>)> = BTreeMap::new();
    for (key, states) in tally.keys.iter().filter(|(key, _)| key.serves) {
        let (count, busiest) = peers.entry(key.port).or_default();
        *count += 1;
        // TIME_WAIT costs the peer nothing any more; what it holds open counts.
        let held = states.all() - u64::from(states.time_wait);
        if held > 0 && busiest.is_none_or(|(_, most)| held > most) {
            *busiest = Some((key.address(), held));
        }
    }
    let mut ports: Vec<PortUse> = tally
        .served_ports
        .iter()
        .map(|(port, served)| {
            let (peers, busiest) = peers.get(port).copied().unwrap_or_default();
            let left = tally.left_open.iter().filter(|(_, own)| own == port);
            let pids: BTreeSet<u32> =
                left.filter_map(|(inode, _)| owners.get(inode)).flatten().copied().collect();
            PortUse {
                port: *port,
                established: served.established,
                half_open: served.half_open,
                close_wait: served.close_wait,
                time_wait: served.time_wait,
                not_accepted: served.not_accepted,
                unread: served.unread,
                unread_ms_max: served.unread_ms_max,
                starved: served.starved,
                peers,
                busiest,
                pids: pids.into_iter().collect(),
            }
        })
        .collect();
    ports.sort_by_key(|port| (std::cmp::Reverse(port.established + port.half_open), port.port));
    ports.truncate(PORT_COUNT_MAX);
    ports
}
