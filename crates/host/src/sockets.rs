//! One streaming pass over every socket: listeners, counts, who talks to whom, the worst connections.

mod ports;
mod ranges;
mod spread;
mod tally;
mod worst;

pub(crate) use ranges::{PortRange, parse_reserved};
pub(crate) use tally::Tally;

use crate::files::Gaps;
use netwhy_model::host::{Listener, Transport};
use netwhy_netlink::sock_diag::{self, SocketQuery, SocketSeen, state};
use std::collections::{BTreeMap, BTreeSet};

/// Listeners kept.
const LISTENER_COUNT_MAX: usize = 8_192;
/// UDP sockets kept among the listeners.
const UDP_COUNT_MAX: usize = 4_096;

/// What the pass found, before it is known which process holds what.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) tally: Tally,
}

impl Sockets {
    /// Sockets whose holder is worth knowing.
    pub(crate) fn inodes(&self) -> BTreeSet<u64> {
        let mut inodes: BTreeSet<u64> = self.listeners.iter().map(|listener| listener.inode).collect();
        inodes.extend(self.tally.inodes());
        inodes.remove(&0);
        inodes
    }

    /// Names the processes that hold each listener.
    pub(crate) fn name_owners(&mut self, owners: &BTreeMap<u64, Vec<u32>>) {
        for listener in &mut self.listeners {
            listener.pids = owners.get(&listener.inode).cloned().unwrap_or_default();
        }
    }
}

/// Reads every TCP and UDP socket of the calling thread's network namespace.
pub(crate) fn read(interface_names: &BTreeMap<u32, String>, gaps: &mut Gaps) -> Sockets {
    let mut found = Sockets::default();
    let name = |index: u32| (index != 0).then(|| interface_names.get(&index).cloned()).flatten();
    let listening = SocketQuery { memory: true, ..SocketQuery::tcp(&[state::LISTEN]) };
    walk(&listening, "TCP listeners", gaps, |socket| {
        found.tally.count_listener();
        if found.listeners.len() < LISTENER_COUNT_MAX {
            found.listeners.push(listener(Transport::Tcp, socket, name(socket.interface)));
        }
    });
    found.tally.serve(found.listeners.iter().map(|listener| listener.address.port()));
    // TCP_INFO and the congestion control cost a lock and 260 bytes per socket; half-open and TIME_WAIT
    // sockets have neither, so one query does for all.
    let rest = SocketQuery {
        info: true,
        congestion: true,
        states: state::ALL & !state::mask(&[state::LISTEN]),
        ..SocketQuery::all(sock_diag::Transport::Tcp)
    };
    walk(&rest, "TCP sockets", gaps, |socket| found.tally.add(socket));
    let udp = SocketQuery { memory: true, ..SocketQuery::all(sock_diag::Transport::Udp) };
    let mut udp_count = 0;
    walk(&udp, "UDP sockets", gaps, |socket| {
        found.tally.count_udp();
        // A connected UDP socket serves one peer: a client's.
        if socket.peer.port() == 0 && udp_count < UDP_COUNT_MAX {
            udp_count += 1;
            found.listeners.push(listener(Transport::Udp, socket, name(socket.interface)));
        }
    });
    for listener in found.listeners.iter_mut().filter(|l| l.transport == Transport::Tcp) {
        listener.half_open = found.tally.half_open(listener.address.port());
    }
    if found.tally.lost() > 0 {
        let why =
            format!("{} sockets beyond the limit are counted but not told apart by peer", found.tally.lost());
        gaps.note("peers of sockets", why, false);
    }
    found
        .listeners
        .sort_by_key(|listener| (listener.transport, listener.address.port(), listener.address.ip()));
    found
}

fn walk(query: &SocketQuery, what: &str, gaps: &mut Gaps, each: impl FnMut(&SocketSeen)) {
    match sock_diag::sockets(query, each) {
        Ok(_) => {}
        Err(error) => {
            let refused = matches!(error.errno(), Some(libc::EPERM | libc::EACCES));
            gaps.note(what, crate::files::chain(&error), refused);
        }
    }
}

fn listener(transport: Transport, socket: &SocketSeen, interface: Option<String>) -> Listener {
    Listener {
        transport,
        address: socket.local,
        v6_only: socket.v6_only,
        interface,
        queue: socket.receive_queue,
        queue_max: if transport == Transport::Tcp { socket.send_queue } else { 0 },
        half_open: 0,
        drops: socket.drops,
        inode: socket.inode,
        pids: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_listener_is_found_with_its_queue() {
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = own.local_addr().unwrap();
        let _waiting = TcpStream::connect(address).unwrap();
        let mut gaps = Gaps::default();
        let mut sockets = read(&BTreeMap::new(), &mut gaps);
        sockets.name_owners(&crate::processes::owners(&sockets.inodes()));
        let seen = sockets.listeners.iter().find(|listener| listener.address == address).unwrap();
        assert_eq!((seen.queue, seen.pids.as_slice()), (1, [std::process::id()].as_slice()));
        assert!(seen.queue_max >= 1);
        let ports = sockets.tally.ports(&BTreeMap::new());
        let port = ports.iter().find(|port| port.port == address.port()).unwrap();
        assert_eq!((port.established, port.not_accepted, port.peers), (1, 1, 1));
    }
}
