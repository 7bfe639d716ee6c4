//! The sockets of the watched flows, and whom a node in front of an origin talks to.

use netwhy_model::host::TupleSocket;
use netwhy_netlink::sock_diag::{self, SocketQuery, SocketSeen, sockets_on, state, state_name};
use netwhy_netlink::{Connection, NetlinkError, Protocol};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};

/// Sockets of the watched flows kept.
const SOCKET_COUNT_MAX: usize = 256;
/// Sockets looked at more closely to find the worst of them.
const CANDIDATE_COUNT_MAX: usize = 4_096;
/// Sockets whose TCP_INFO is asked for one by one.
const INFO_COUNT_MAX: usize = 128;
/// Own sockets of the processes behind the port.
const ONWARD_INODE_COUNT_MAX: usize = 65_536;

/// Which connections are the watch's.
#[derive(Debug, Default)]
pub(super) struct Flows {
    pub port: u16,
    /// The port may be this host's own, and another's. Each side asked for costs a walk over all sockets.
    pub own_port: bool,
    pub peer_port: bool,
    /// Local address and peer of every flow on the wire.
    pub seen: HashSet<(SocketAddr, SocketAddr)>,
    /// Sources and targets.
    pub parties: BTreeSet<IpAddr>,
}

impl Flows {
    fn hold(&self, socket: &SocketSeen) -> bool {
        let (local, peer) = (socket.local_canonical(), socket.peer_canonical());
        self.parties.contains(&peer.ip())
            || self.seen.contains(&(local, peer))
            || self.seen.contains(&(peer, local))
    }
}

/// Finds the sockets of the watched flows, the most telling first: not accepted, with unread or unsent bytes.
pub(super) fn of_flows(flows: &Flows) -> Result<Vec<TupleSocket>, NetlinkError> {
    let mut connection = Connection::open(Protocol::SockDiag)?;
    let states = state::ALL & !state::mask(&[state::LISTEN, state::TIME_WAIT]);
    let any = SocketQuery { states, ..SocketQuery::all(sock_diag::Transport::Tcp) };
    let mut found: BTreeMap<(SocketAddr, SocketAddr), SocketSeen> = BTreeMap::new();
    let own = flows.own_port.then_some(SocketQuery { local_port: flows.port, ..any });
    let peer = flows.peer_port.then_some(SocketQuery { peer_port: flows.port, ..any });
    for query in own.into_iter().chain(peer) {
        sockets_on(&mut connection, &query, |seen| {
            if found.len() < CANDIDATE_COUNT_MAX && flows.hold(seen) {
                found.insert((seen.local, seen.peer), seen.clone());
            }
        })?;
    }
    let mut found: Vec<SocketSeen> = found.into_values().collect();
    found.sort_by_key(|s| (!waits_for_accept(s), s.receive_queue == 0, s.send_queue == 0, s.local, s.peer));
    found.truncate(SOCKET_COUNT_MAX);
    Ok(found.into_iter().enumerate().map(|(n, seen)| tuple(&seen, n < INFO_COUNT_MAX)).collect())
}

/// Where the processes that hold these sockets connect to: whom they are dialling first.
pub(super) fn onward(
    inodes: &BTreeSet<u64>,
    listening: &BTreeSet<u16>,
) -> Result<Vec<SocketAddr>, NetlinkError> {
    let mut counted: BTreeMap<SocketAddr, (u64, u64)> = BTreeMap::new();
    let mut connection = Connection::open(Protocol::SockDiag)?;
    let query = SocketQuery::tcp(&[state::SYN_SENT, state::ESTABLISHED, state::CLOSE_WAIT]);
    sockets_on(&mut connection, &query, |seen| {
        // What came in on a port that is listened on was not begun here.
        if inodes.contains(&seen.inode) && !listening.contains(&seen.local.port()) {
            let (dialling, open) = counted.entry(seen.peer_canonical()).or_default();
            *(if seen.state == state::SYN_SENT { dialling } else { open }) += 1;
        }
    })?;
    let mut found: Vec<(SocketAddr, (u64, u64))> = counted.into_iter().collect();
    found.sort_by_key(|(to, count)| (std::cmp::Reverse(*count), *to));
    Ok(found.into_iter().map(|(to, _)| to).collect())
}

/// The sockets a process holds.
pub(super) fn inodes_of(pids: &BTreeSet<u32>) -> BTreeSet<u64> {
    let links = pids.iter().filter_map(|pid| std::fs::read_dir(format!("/proc/{pid}/fd")).ok()).flatten();
    links
        .take(ONWARD_INODE_COUNT_MAX)
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.ok()?.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

fn waits_for_accept(socket: &SocketSeen) -> bool {
    socket.inode == 0 && matches!(socket.state, state::ESTABLISHED | state::CLOSE_WAIT)
}

fn tuple(seen: &SocketSeen, with_info: bool) -> TupleSocket {
    let whole = matches!(seen.state, state::SYN_RECV | state::TIME_WAIT | 12);
    let exact = (with_info && !whole)
        .then(|| sock_diag::socket(sock_diag::Transport::Tcp, seen.local, seen.peer).ok().flatten())
        .flatten()
        // A look-up that finds no connection any more may find the listener.
        .filter(|found| found.state != state::LISTEN);
    let seen = exact.as_ref().unwrap_or(seen);
    let info = seen.info.unwrap_or_default();
    TupleSocket {
        local: seen.local_canonical(),
        peer: seen.peer_canonical(),
        state: state_name(seen.state).to_owned(),
        inode: seen.inode,
        unread_bytes: seen.receive_queue,
        unsent_bytes: seen.send_queue,
        retransmits: u32::from(seen.retransmits),
        last_received_ms: info.last_data_received_ms,
        last_sent_ms: info.last_data_sent_ms,
        bytes_received: info.bytes_received,
        bytes_acked: info.bytes_acked,
        pids: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn an_unaccepted_connection_with_unread_bytes_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        let flows = Flows {
            port: address.port(),
            own_port: true,
            peer_port: true,
            seen: HashSet::from([(client.local_addr().unwrap(), address)]),
            ..Flows::default()
        };
        let found = of_flows(&flows).unwrap();
        let served = found.iter().find(|s| s.local == address).unwrap();
        assert_eq!((served.inode, served.unread_bytes, served.state.as_str()), (0, 5, "ESTABLISHED"));
        assert_eq!(served.bytes_received, 5);
        assert_eq!(found.len(), 2, "both ends are of this host");
    }

    #[test]
    fn whom_a_process_talks_to_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _client = TcpStream::connect(address).unwrap();
        let inodes = inodes_of(&BTreeSet::from([std::process::id()]));
        assert!(onward(&inodes, &BTreeSet::new()).unwrap().contains(&address));
    }
}
