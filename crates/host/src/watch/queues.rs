//! The sockets that listen: of the watched port at their worst, and a few others to compare with.

use netwhy_model::host::{Listener, Transport};
use netwhy_netlink::sock_diag::{self, SocketQuery, SocketSeen, sockets_on, state};
use netwhy_netlink::{Connection, NetlinkError, Protocol};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Listeners of one port told apart.
const PORT_LISTENER_COUNT_MAX: usize = 64;
/// Listeners of other ports.
const OTHER_LISTENER_COUNT_MAX: usize = 32;
/// How often the queues are looked at while packets come.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);
/// Looking at half-open connections walks the whole socket table; at most this share of the time is spent so.
const COST_SHARE_MAX: u32 = 100;

/// Which listener: transport, address, inode.
type Key = (Transport, SocketAddr, u64);

/// The queues of the watched port, looked at again and again.
#[derive(Debug)]
pub(super) struct Queues {
    port: u16,
    udp: bool,
    connection: Option<Connection>,
    peaks: BTreeMap<Key, Listener>,
    next: Instant,
}

impl Queues {
    pub(super) fn new(port: u16, udp: bool) -> Queues {
        Queues { port, udp, connection: None, peaks: BTreeMap::new(), next: Instant::now() }
    }

    /// Looks once more when it is time to.
    pub(super) fn sample(&mut self, now: Instant) {
        if now < self.next {
            return;
        }
        // A refusal shows where the listeners themselves are read.
        let _ = self.look();
        let took = now.elapsed();
        self.next = now + SAMPLE_EVERY.max(took * COST_SHARE_MAX);
    }

    /// The listeners of the port as they are now; the worst of each is remembered.
    pub(super) fn look(&mut self) -> Result<Vec<Listener>, NetlinkError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(Protocol::SockDiag)?,
        };
        let now = listeners_of_port(&mut connection, self.port, self.udp)?;
        self.connection = Some(connection);
        for listener in &now {
            let key = (listener.transport, listener.address, listener.inode);
            if self.peaks.len() >= PORT_LISTENER_COUNT_MAX && !self.peaks.contains_key(&key) {
                continue;
            }
            let peak = self.peaks.entry(key).or_insert_with(|| listener.clone());
            let half_open = peak.half_open.max(listener.half_open);
            if listener.queue > peak.queue {
                *peak = listener.clone();
            }
            peak.half_open = half_open;
        }
        Ok(now)
    }

    /// The listeners as they were when their queues were longest.
    pub(super) fn peaks(&self) -> Vec<Listener> {
        self.peaks.values().cloned().collect()
    }
}

/// Listeners beside those of the port, those that take from outside first.
pub(super) fn others(port: u16, udp: bool) -> Result<Vec<Listener>, NetlinkError> {
    let mut found = Vec::new();
    let mut take = |transport, seen: &SocketSeen| {
        let watched = seen.local.port() == port && (udp || transport == Transport::Tcp);
        if !watched && found.len() < OTHER_LISTENER_COUNT_MAX * 8 {
            found.push(listener(transport, seen));
        }
    };
    let mut connection = Connection::open(Protocol::SockDiag)?;
    sockets_on(&mut connection, &SocketQuery::tcp(&[state::LISTEN]), |seen| take(Transport::Tcp, seen))?;
    sockets_on(&mut connection, &udp_query(0), |seen| take(Transport::Udp, seen))?;
    found.sort_by_key(|l| (l.address.ip().is_loopback(), l.transport, l.address.port(), l.address));
    found.dedup_by_key(|l| (l.transport, l.address));
    found.truncate(OTHER_LISTENER_COUNT_MAX);
    Ok(found)
}

fn listeners_of_port(
    connection: &mut Connection,
    port: u16,
    udp: bool,
) -> Result<Vec<Listener>, NetlinkError> {
    let mut found = Vec::new();
    if udp {
        sockets_on(connection, &udp_query(port), |seen| {
            if found.len() < PORT_LISTENER_COUNT_MAX {
                found.push(listener(Transport::Udp, seen));
            }
        })?;
    }
    let query = SocketQuery { memory: true, local_port: port, ..SocketQuery::tcp(&[state::LISTEN]) };
    sockets_on(connection, &query, |seen| {
        if found.len() < PORT_LISTENER_COUNT_MAX {
            found.push(listener(Transport::Tcp, seen));
        }
    })?;
    if found.iter().any(|l| l.transport == Transport::Tcp) {
        count_half_open(connection, port, &mut found)?;
    }
    Ok(found)
}

/// Counts connections in SYN_RECV for the listener that would take each.
fn count_half_open(
    connection: &mut Connection,
    port: u16,
    found: &mut [Listener],
) -> Result<(), NetlinkError> {
    let query = SocketQuery { local_port: port, ..SocketQuery::tcp(&[state::SYN_RECV]) };
    sockets_on(connection, &query, |seen| {
        let to = seen.local_canonical();
        let owner = found.iter_mut().find(|l| l.transport == Transport::Tcp && l.takes(to));
        if let Some(listener) = owner {
            listener.half_open = listener.half_open.saturating_add(1);
        }
    })?;
    Ok(())
}

/// Bound and unconnected datagram sockets.
fn udp_query(port: u16) -> SocketQuery {
    SocketQuery {
        memory: true,
        local_port: port,
        states: state::mask(&[state::CLOSE]),
        ..SocketQuery::all(sock_diag::Transport::Udp)
    }
}

fn listener(transport: Transport, seen: &SocketSeen) -> Listener {
    Listener {
        transport,
        address: seen.local,
        v6_only: seen.v6_only,
        interface: (seen.interface != 0).then(|| interface_name(seen.interface)),
        queue: seen.receive_queue,
        queue_max: if transport == Transport::Tcp { seen.send_queue } else { 0 },
        half_open: 0,
        drops: seen.drops,
        inode: seen.inode,
        pids: Vec::new(),
    }
}

fn interface_name(index: u32) -> String {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: the buffer is live and of the size the call wants.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    if found.is_null() {
        return format!("if{index}");
    }
    // The kernel's names are plain bytes; `char` may be signed here.
    let bytes: Vec<u8> = name.iter().map(|byte| *byte as u8).collect();
    crate::text::printable(&netwhy_netlink::text(&bytes), libc::IF_NAMESIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_queue_is_remembered_at_its_longest() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let mut queues = Queues::new(address.port(), false);
        let clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let now = queues.look().unwrap();
        assert_eq!((now.len(), now[0].queue), (1, 3));
        for _ in 0..3 {
            drop(socket.accept().unwrap());
        }
        assert_eq!(queues.look().unwrap()[0].queue, 0);
        assert_eq!(queues.peaks()[0].queue, 3);
        drop(clients);
        assert!(others(address.port(), false).unwrap().iter().all(|l| l.address != address));
    }
}
