//! This host's TCP connections at one moment, as flows.

use super::LiveError;
use crate::names::{Names, Symbol};
use crate::record::{Direction, Flow, Opener};
use netwhy_netlink::sock_diag::{self, SocketQuery, SocketSeen, Transport, state};
use std::collections::HashSet;
use std::net::SocketAddr;

/// Sockets taken in one look.
const SOCKET_COUNT_MAX: usize = 1 << 20;
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;

/// This host's TCP connections now: a flow for what each sent, and one for what it received.
///
/// A connection belongs to a listener of this host where one has its port, else this host opened it. A SYN without an
/// answer is a flow with that flag alone. Which process holds a socket is not told here.
pub fn sockets(names: &Names, now_ms: i64) -> Result<Vec<Flow>, LiveError> {
    let query = SocketQuery { info: true, ..SocketQuery::all(Transport::Tcp) };
    let mut listeners = HashSet::new();
    let mut seen = Vec::new();
    sock_diag::sockets(&query, |socket| {
        if socket.state == state::LISTEN {
            listeners.insert(socket.local.port());
        } else if seen.len() < SOCKET_COUNT_MAX && socket.peer.port() != 0 {
            seen.push(socket.clone());
        }
    })
    .map_err(LiveError::Sockets)?;
    let interface = names.symbol("sockets");
    let mut flows = Vec::with_capacity(2 * seen.len());
    for (number, socket) in seen.iter().enumerate() {
        push(socket, now_ms, number as u64, interface, &listeners, &mut flows);
    }
    Ok(flows)
}

fn push(
    socket: &SocketSeen,
    now_ms: i64,
    number: u64,
    interface: Symbol,
    listeners: &HashSet<u16>,
    flows: &mut Vec<Flow>,
) {
    let (own, peer) = (socket.local_canonical(), socket.peer_canonical());
    let served = listeners.contains(&own.port()) && socket.state != state::SYN_SENT;
    let info = socket.info.unwrap_or_default();
    let opening = socket.state == state::SYN_SENT;
    let flags = if opening { SYN } else { SYN_ACK };
    let base = Flow {
        start_ms: now_ms,
        end_ms: now_ms,
        protocol: 6,
        tcp_flags: flags,
        offset: number,
        interface,
        ..Flow::default()
    };
    let way = |from: SocketAddr, to: SocketAddr, direction, opener, packets: u32, bytes| Flow {
        source: from.ip().into(),
        destination: to.ip().into(),
        source_port: from.port(),
        destination_port: to.port(),
        direction,
        opener,
        packets: u64::from(packets),
        bytes,
        ..base
    };
    let (sent_by, received_by) =
        if served { (Opener::Destination, Opener::Source) } else { (Opener::Source, Opener::Destination) };
    // A SYN that was sent again is counted as often.
    let sent_packets = info.segments_out.max(1 + u32::from(socket.retransmits));
    flows.push(way(own, peer, Direction::Out, sent_by, sent_packets, info.bytes_acked));
    if !opening {
        let packets = info.segments_in.max(1);
        flows.push(way(peer, own, Direction::In, received_by, packets, info.bytes_received));
    }
}
