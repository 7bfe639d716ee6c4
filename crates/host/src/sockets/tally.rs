//! Counts sockets by state and by whom they connect, exactly, in bounded memory.

use super::spread::{self, Targets};
use super::worst::Worst;
use super::{ports, ranges::PortRange};
use netwhy_model::host::{FanOut, PeerCount, PortDemand, PortUse, SlowSocket, SocketCounts};
use netwhy_netlink::sock_diag::{SocketSeen, state, state_name};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

/// Different (address, port, direction) kept apart; at about 64 bytes each this is 32 MiB with the table's slack.
const KEY_COUNT_MAX: usize = 262_144;
/// Own addresses kept apart.
const OWN_ADDRESS_COUNT_MAX: usize = 1_024;
/// Sockets whose process is looked for, per kind.
const SAMPLE_COUNT_MAX: usize = 4_096;
/// The same for connections that are open: a proxy has thousands.
const OPEN_SAMPLE_COUNT_MAX: usize = 2_048;
/// Peers listed per state.
const PEER_COUNT_MAX: usize = 20;
/// A peer with fewer sockets in such a state is not listed.
const PEER_SOCKETS_MIN: u32 = 2;
/// Destinations listed by the local ports they take.
const DEMAND_COUNT_MAX: usize = 20;
/// A destination with fewer connections is not listed.
const DEMAND_MIN: u64 = 64;

/// Whom a socket connects: compact, since there may be hundreds of thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The peer, IPv4 as mapped.
    pub(super) peer: u128,
    /// The peer's port for connections this host began, the own port for those it serves.
    pub(super) port: u16,
    /// Index of the own address; 0 for those it serves.
    pub(super) own: u16,
    pub(super) serves: bool,
}

impl Key {
    pub(super) fn address(&self) -> IpAddr {
        Ipv6Addr::from_bits(self.peer).to_canonical()
    }
}

/// How many sockets of a key are in which state.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct States {
    pub(super) syn_sent: u32,
    pub(super) syn_recv: u32,
    pub(super) established: u32,
    pub(super) time_wait: u32,
    pub(super) close_wait: u32,
    /// FIN_WAIT_1, FIN_WAIT_2, CLOSING, LAST_ACK.
    pub(super) closing: u32,
}

impl States {
    pub(super) fn all(&self) -> u64 {
        [self.syn_sent, self.syn_recv, self.established, self.time_wait, self.close_wait, self.closing]
            .into_iter()
            .map(u64::from)
            .sum()
    }

    fn of(&mut self, state: u8) -> &mut u32 {
        match state {
            state::SYN_SENT => &mut self.syn_sent,
            state::SYN_RECV => &mut self.syn_recv,
            state::ESTABLISHED => &mut self.established,
            state::TIME_WAIT => &mut self.time_wait,
            state::CLOSE_WAIT => &mut self.close_wait,
            _ => &mut self.closing,
        }
    }
}

/// The counts of one pass.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: SocketCounts,
    served: HashSet<u16>,
    pub(super) keys: HashMap<Key, States>,
    lost: u64,
    own: Vec<IpAddr>,
    own_index: HashMap<IpAddr, u16>,
    pub(super) served_ports: BTreeMap<u16, ports::Served>,
    worst: Worst,
    /// Outgoing sockets whose process is looked for: inode and port.
    pub(super) outgoing: Vec<(u64, u16, u128)>,
    sampled_open: usize,
    /// Sockets the peer closed and the own process did not.
    pub(super) left_open: Vec<(u64, u16)>,
}

impl Tally {
    pub(super) fn count_listener(&mut self) {
        self.counts.listen += 1;
    }

    pub(super) fn count_udp(&mut self) {
        self.counts.udp += 1;
    }

    /// Says which ports have a listener: connections of these were begun by the peer.
    pub(super) fn serve(&mut self, ports: impl Iterator<Item = u16>) {
        self.served = ports.collect();
        for port in &self.served {
            self.served_ports.entry(*port).or_default();
        }
    }

    /// Counts one connection.
    pub(crate) fn add(&mut self, socket: &SocketSeen) {
        self.count_state(socket.state);
        // Unbound or closed sockets have no peer.
        if socket.state == state::CLOSE || socket.state == state::LISTEN {
            return;
        }
        let (local, peer) = (socket.local_canonical(), socket.peer_canonical());
        let serves = socket.state == state::SYN_RECV || self.served.contains(&local.port());
        let peer_bits = match peer.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let key = Key {
            peer: peer_bits,
            port: if serves { local.port() } else { peer.port() },
            own: if serves { 0 } else { self.own_index(local.ip()) },
            serves,
        };
        if self.keys.len() < KEY_COUNT_MAX || self.keys.contains_key(&key) {
            *self.keys.entry(key).or_default().of(socket.state) += 1;
        } else {
            self.lost += 1;
        }
        if serves {
            self.served_ports.entry(local.port()).or_default().add(socket);
        } else {
            self.sample(socket, peer.port(), peer_bits);
        }
        if socket.state == state::CLOSE_WAIT && socket.inode != 0 && self.left_open.len() < SAMPLE_COUNT_MAX {
            self.left_open.push((socket.inode, local.port()));
        }
        self.worst.add(socket);
    }

    /// Half-open ones tell more, so the others may not take all the room.
    fn sample(&mut self, socket: &SocketSeen, port: u16, peer: u128) {
        let half_open = socket.state == state::SYN_SENT;
        let room = if half_open { SAMPLE_COUNT_MAX } else { OPEN_SAMPLE_COUNT_MAX };
        let taken = if half_open { self.outgoing.len() - self.sampled_open } else { self.sampled_open };
        if socket.inode != 0 && taken < room {
            self.sampled_open += usize::from(!half_open);
            self.outgoing.push((socket.inode, port, peer));
        }
    }

    pub(crate) fn counts(&self) -> SocketCounts {
        self.counts
    }

    /// Sockets that could not be told apart by peer any more.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Half-open connections of an own port.
    pub(crate) fn half_open(&self, port: u16) -> u32 {
        self.served_ports.get(&port).map_or(0, |served| u32::try_from(served.half_open).unwrap_or(u32::MAX))
    }

    /// Sockets whose process is worth knowing.
    pub(super) fn inodes(&self) -> impl Iterator<Item = u64> {
        let sampled = self.outgoing.iter().map(|(inode, ..)| *inode);
        sampled.chain(self.left_open.iter().map(|(inode, _)| *inode)).chain(self.worst.inodes())
    }

    /// Connections of each own port.
    pub(crate) fn ports(&self, owners: &BTreeMap<u64, Vec<u32>>) -> Vec<PortUse> {
        ports::summary(self, owners)
    }

    /// Outgoing connections to many hosts or many ports.
    pub(crate) fn fan_outs(&self, owners: &BTreeMap<u64, Vec<u32>>) -> Vec<FanOut> {
        spread::fan_outs(&Targets::of(self), &self.outgoing, owners)
    }

    pub(crate) fn slow(&self, owners: &BTreeMap<u64, Vec<u32>>) -> Vec<SlowSocket> {
        self.worst.list(owners)
    }

    /// The peers with most sockets in each state that tells something.
    pub(crate) fn peers(&self) -> Vec<PeerCount> {
        const TOLD: [u8; 5] =
            [state::SYN_RECV, state::SYN_SENT, state::CLOSE_WAIT, state::TIME_WAIT, state::ESTABLISHED];
        let mut peers = Vec::new();
        for wanted in TOLD {
            let mut most: Vec<(u32, Key)> = self
                .keys
                .iter()
                .map(|(key, states)| (*states.clone().of(wanted), *key))
                .filter(|(count, _)| *count >= PEER_SOCKETS_MIN || (*count > 0 && wanted == state::SYN_SENT))
                .collect();
            most.sort_by_key(|(count, key)| (std::cmp::Reverse(*count), key.peer, key.port));
            peers.extend(most.into_iter().take(PEER_COUNT_MAX).map(|(count, key)| PeerCount {
                state: state_name(wanted).to_owned(),
                peer: key.address(),
                port: (!key.serves).then_some(key.port),
                own_port: key.serves.then_some(key.port),
                count: count.into(),
            }));
        }
        peers
    }

    /// The destinations that take most local ports.
    pub(crate) fn demands(&self, range: &PortRange) -> Vec<PortDemand> {
        let mut demands: Vec<PortDemand> = self
            .keys
            .iter()
            .filter(|(key, states)| !key.serves && states.all() >= DEMAND_MIN)
            .map(|(key, states)| PortDemand {
                from: self
                    .own
                    .get(usize::from(key.own))
                    .copied()
                    .unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
                to: (key.address(), key.port).into(),
                used: states.all(),
                time_wait: states.time_wait.into(),
                range: range.count(),
            })
            .collect();
        demands.sort_by_key(|demand| (std::cmp::Reverse(demand.used), demand.to));
        demands.truncate(DEMAND_COUNT_MAX);
        demands
    }

    /// The index of an own address; past the limit all others share the last.
    fn own_index(&mut self, address: IpAddr) -> u16 {
        if let Some(index) = self.own_index.get(&address) {
            return *index;
        }
        if self.own.len() < OWN_ADDRESS_COUNT_MAX {
            self.own.push(address);
        }
        let index = u16::try_from(self.own.len() - 1).unwrap_or(u16::MAX);
        if self.own_index.len() < OWN_ADDRESS_COUNT_MAX {
            self.own_index.insert(address, index);
        }
        index
    }

    fn count_state(&mut self, state: u8) {
        let count = match state {
            state::ESTABLISHED => &mut self.counts.established,
            state::SYN_SENT => &mut self.counts.syn_sent,
            state::SYN_RECV => &mut self.counts.syn_recv,
            state::FIN_WAIT_1 => &mut self.counts.fin_wait_1,
            state::FIN_WAIT_2 => &mut self.counts.fin_wait_2,
            state::TIME_WAIT => &mut self.counts.time_wait,
            state::CLOSE_WAIT => &mut self.counts.close_wait,
            state::LAST_ACK => &mut self.counts.last_ack,
            state::CLOSING => &mut self.counts.closing,
            _ => return,
        };
        *count += 1;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use netwhy_netlink::sock_diag::parse_socket;
    use std::net::SocketAddr;

    /// A socket without extras.
    pub(crate) fn socket(state: u8, local: &str, peer: &str, inode: u32) -> SocketSeen {
        let mut bytes = vec![0_u8; 72];
        let (local, peer): (SocketAddr, SocketAddr) = (local.parse().unwrap(), peer.parse().unwrap());
        bytes[0] = if local.is_ipv4() { 2 } else { 10 };
        bytes[1] = state;
        bytes[4..6].copy_from_slice(&local.port().to_be_bytes());
        bytes[6..8].copy_from_slice(&peer.port().to_be_bytes());
        for (at, ip) in [(8, local.ip()), (24, peer.ip())] {
            match ip {
                IpAddr::V4(ip) => bytes[at..at + 4].copy_from_slice(&ip.octets()),
                IpAddr::V6(ip) => bytes[at..at + 16].copy_from_slice(&ip.octets()),
            }
        }
        bytes[68..72].copy_from_slice(&inode.to_ne_bytes());
        parse_socket(&bytes).unwrap()
    }

    #[test]
    fn directions_and_states_are_told_apart() {
        let mut tally = Tally::default();
        tally.serve([80].into_iter());
        for port in 1_000..1_010 {
            tally.add(&socket(state::SYN_RECV, "10.0.0.1:80", &format!("10.0.0.9:{port}"), 0));
        }
        for port in 40_000..40_100 {
            tally.add(&socket(state::TIME_WAIT, &format!("10.0.0.1:{port}"), "10.0.0.2:443", 0));
        }
        tally.add(&socket(state::ESTABLISHED, "[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.9]:2000", 7));
        assert_eq!(tally.counts().syn_recv, 10);
        assert_eq!(tally.half_open(80), 10);
        let peers = tally.peers();
        assert_eq!((peers[0].state.as_str(), peers[0].own_port, peers[0].count), ("SYN_RECV", Some(80), 10));
        let demands = tally.demands(&PortRange { first: 40_000, last: 40_199, reserved: 0 });
        assert_eq!(demands.len(), 1);
        assert_eq!((demands[0].used, demands[0].time_wait, demands[0].range), (100, 100, 200));
        assert_eq!(demands[0].from, "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn two_hundred_thousand_peers_are_counted_exactly() {
        let mut tally = Tally::default();
        tally.serve([80].into_iter());
        for number in 0..200_000_u32 {
            let peer = format!("{}:5", std::net::Ipv4Addr::from_bits(0x0a00_0000 + number));
            tally.add(&socket(state::SYN_RECV, "10.0.0.1:80", &peer, 0));
        }
        assert_eq!((tally.keys.len(), tally.lost()), (200_000, 0));
        assert_eq!(tally.ports(&BTreeMap::new())[0].peers, 200_000);
    }
}
