//! Sockets as the kernel has them: sock_diag(7), inet_diag for TCP and UDP.
//!
//! Streams: one [`SocketSeen`] at a time, without allocation, so that 200,000 sockets cost milliseconds.
//! Which process holds a socket is not known here; its inode is what /proc/PID/fd names.

mod query;
mod seen;
mod tcp_info;

pub use query::{Family, SocketQuery, Transport};
pub use seen::{CongestionName, SocketSeen, parse_socket};
pub use tcp_info::{TcpInfo, parse_tcp_info};

use crate::connection::{Connection, NetlinkError, Protocol};
use std::net::SocketAddr;

pub(crate) const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// The states of a TCP socket (net/tcp_states.h), and masks of them.
pub mod state {
    pub const ESTABLISHED: u8 = 1;
    pub const SYN_SENT: u8 = 2;
    pub const SYN_RECV: u8 = 3;
    pub const FIN_WAIT_1: u8 = 4;
    pub const FIN_WAIT_2: u8 = 5;
    pub const TIME_WAIT: u8 = 6;
    /// For UDP: not connected.
    pub const CLOSE: u8 = 7;
    pub const CLOSE_WAIT: u8 = 8;
    pub const LAST_ACK: u8 = 9;
    pub const LISTEN: u8 = 10;
    pub const CLOSING: u8 = 11;
    /// Asked for by this bit, reported as [`CLOSE`]: bound, neither listening nor connected (Linux 6.8).
    pub const BOUND_INACTIVE: u8 = 13;

    /// Every state, sockets that are only bound aside.
    pub const ALL: u32 = 0xfff;

    /// The mask of some states.
    pub const fn mask(states: &[u8]) -> u32 {
        let mut mask = 0;
        let mut at = 0;
        while at < states.len() {
            mask |= 1 << (states[at] & 31);
            at += 1;
        }
        mask
    }
}

/// The name of a state as `/proc` and RFC 9293 readers know it.
pub fn state_name(state: u8) -> &'static str {
    match state {
        state::ESTABLISHED => "ESTABLISHED",
        state::SYN_SENT => "SYN_SENT",
        // 12 is NEW_SYN_RECV, a half-open connection before it has a socket of its own.
        state::SYN_RECV | 12 => "SYN_RECV",
        state::FIN_WAIT_1 => "FIN_WAIT_1",
        state::FIN_WAIT_2 => "FIN_WAIT_2",
        state::TIME_WAIT => "TIME_WAIT",
        state::CLOSE => "CLOSE",
        state::CLOSE_WAIT => "CLOSE_WAIT",
        state::LAST_ACK => "LAST_ACK",
        state::LISTEN => "LISTEN",
        state::CLOSING => "CLOSING",
        state::BOUND_INACTIVE => "BOUND_INACTIVE",
        _ => "UNKNOWN",
    }
}

/// Shows every matching socket of the calling thread's network namespace, in the kernel's order.
///
/// Returns false when the kernel says the table changed while it was read. ENOENT means that the kernel lacks
/// the module (tcp_diag, udp_diag), not that there are no sockets.
pub fn sockets(query: &SocketQuery, each: impl FnMut(&SocketSeen)) -> Result<bool, NetlinkError> {
    sockets_on(&mut Connection::open(Protocol::SockDiag)?, query, each)
}

/// Does as [`sockets`] on a connection that is kept, for who looks again and again.
pub fn sockets_on(
    connection: &mut Connection,
    query: &SocketQuery,
    mut each: impl FnMut(&SocketSeen),
) -> Result<bool, NetlinkError> {
    let mut consistent = true;
    for family in query.families() {
        let body = query.body(*family);
        consistent &= connection.dump(SOCK_DIAG_BY_FAMILY, body.bytes(), |_, message| {
            if let Some(seen) = parse_socket(message) {
                each(&seen);
            }
        })?;
    }
    Ok(consistent)
}

/// Finds the one socket a packet from `peer` to `local` would meet, as the kernel's own look-up does.
///
/// A TCP listener is found when no connection matches, also the IPv6 wildcard that takes IPv4; `None` when
/// nothing would take the packet. Sockets bound to an interface are passed over.
pub fn socket(
    transport: Transport,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<Option<SocketSeen>, NetlinkError> {
    let mut connection = Connection::open(Protocol::SockDiag)?;
    let query = SocketQuery { info: true, congestion: true, memory: true, ..SocketQuery::all(transport) };
    match connection.ask(SOCK_DIAG_BY_FAMILY, 0, query.exact(local, peer).bytes()) {
        Ok(answer) => Ok(answer.and_then(|(_, message)| parse_socket(&message))),
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};

    #[test]
    fn a_listener_and_its_connection_are_seen() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap();
        let client = TcpStream::connect(own).unwrap();
        let query = SocketQuery {
            info: true,
            congestion: true,
            memory: true,
            local_port: own.port(),
            ..SocketQuery::all(Transport::Tcp)
        };
        let mut seen = Vec::new();
        sockets(&query, |socket| seen.push(socket.clone())).unwrap();
        let listening = seen.iter().find(|s| s.state == state::LISTEN).unwrap();
        assert_eq!(listening.local, own);
        assert_eq!(listening.receive_queue, 1, "one connection waits for accept");
        assert!(listening.send_queue >= 1, "the limit of the accept queue");
        assert_eq!(listening.drops, Some(0));
        let served = seen.iter().find(|s| s.state == state::ESTABLISHED).unwrap();
        assert_eq!((served.local, served.peer), (own, client.local_addr().unwrap()));
        assert_eq!(served.inode, 0, "nobody accepted it yet");
        let info = served.info.unwrap();
        assert_eq!(info.state, state::ESTABLISHED);
        assert!(info.segments_in >= 1);
        assert!(!served.congestion.unwrap().as_str().is_empty());
    }

    #[test]
    fn an_address_filter_is_the_kernels() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        for (address, count) in [(Ipv4Addr::LOCALHOST, 1), (Ipv4Addr::new(127, 0, 0, 9), 0)] {
            let query = SocketQuery {
                local_port: port,
                local_address: Some(address.into()),
                ..SocketQuery::all(Transport::Tcp)
            };
            let mut seen = 0;
            sockets(&query, |_| seen += 1).unwrap();
            assert_eq!(seen, count, "{address}");
        }
    }

    #[test]
    fn an_ipv6_listener_says_whom_it_takes() {
        let Ok(listener) = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) else {
            println!("SKIPPED: no IPv6 here");
            return;
        };
        let own = listener.local_addr().unwrap();
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, own.port())).unwrap();
        let query = SocketQuery { local_port: own.port(), ..SocketQuery::all(Transport::Tcp) };
        let mut seen = Vec::new();
        sockets(&query, |socket| seen.push(socket.clone())).unwrap();
        assert!(seen.iter().any(|s| s.state == state::LISTEN && !s.v6_only && s.local == own));
        let mapped = seen.iter().find(|s| s.state == state::ESTABLISHED).unwrap();
        assert!(mapped.local.is_ipv6());
        assert_eq!(mapped.local_canonical().ip(), Ipv4Addr::LOCALHOST);
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let met = socket(Transport::Tcp, mapped.local_canonical(), from).unwrap().unwrap();
        assert_eq!((met.local, met.state), (own, state::LISTEN));
    }

    #[test]
    fn the_exact_lookup_finds_connection_listener_or_nothing() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap();
        let client = TcpStream::connect(own).unwrap().local_addr().unwrap();
        let find = |local, peer| socket(Transport::Tcp, local, peer).unwrap().map(|s| s.state);
        assert!(find(own, client).is_some_and(|state| state != state::LISTEN));
        assert_eq!(find(own, (Ipv4Addr::LOCALHOST, 1).into()), Some(state::LISTEN));
        drop(listener);
        assert_eq!(find(own, (Ipv4Addr::LOCALHOST, 1).into()), None);
    }

    #[test]
    fn a_bound_udp_socket_is_seen() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = socket.local_addr().unwrap();
        let query = SocketQuery { memory: true, local_port: own.port(), ..SocketQuery::all(Transport::Udp) };
        let mut seen = Vec::new();
        sockets(&query, |socket| seen.push(socket.clone())).unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].local, seen[0].state, seen[0].drops), (own, state::CLOSE, Some(0)));
        assert_ne!(seen[0].inode, 0);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        assert_eq!(super::socket(Transport::Udp, own, peer).unwrap().map(|s| s.local), Some(own));
    }
}
