//! One socket as sock_diag describes it (struct inet_diag_msg and its attributes).

use super::tcp_info::{TcpInfo, parse_tcp_info};
use crate::attribute::{attributes, ne32, ne64};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

const HEADER_LEN: usize = 72;
const ATTRIBUTE_INFO: u16 = 2;
const ATTRIBUTE_CONGESTION: u16 = 4;
const ATTRIBUTE_MEMORY: u16 = 7;
const ATTRIBUTE_V6_ONLY: u16 = 11;
const ATTRIBUTE_MARK: u16 = 15;
const ATTRIBUTE_CGROUP: u16 = 21;
/// SK_MEMINFO_DROPS, in u32 steps.
const MEMORY_DROPS_AT: usize = 8 * 4;
/// TCP_CA_NAME_MAX.
const CONGESTION_BYTES_MAX: usize = 16;

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketSeen {
    /// IPv6, be it with IPv4-mapped addresses.
    pub v6: bool,
    /// See [`super::state`] and [`super::state_name`].
    pub state: u8,
    pub local: SocketAddr,
    pub peer: SocketAddr,
    /// Bound to this interface index; 0 for any.
    pub interface: u32,
    pub user: u32,
    /// 0 without a file: half-open, waiting for accept, TIME_WAIT, closed by its process.
    pub inode: u64,
    /// Bytes not yet read; for a TCP listener the connections that wait for accept.
    pub receive_queue: u32,
    /// Bytes not yet acknowledged; for a TCP listener the places in its accept queue.
    pub send_queue: u32,
    /// 0 none, 1 retransmit, 2 keep-alive, 3 TIME_WAIT, 4 zero-window probe.
    pub timer: u8,
    /// How often in a row the timer fired; for a half-open connection the SYN-ACKs sent again.
    pub retransmits: u8,
    /// When the timer fires, in milliseconds.
    pub expires_ms: u32,
    /// Takes no IPv4; said of listeners and unconnected UDP sockets only.
    pub v6_only: bool,
    /// Packets this socket dropped since it opened, when `memory` was asked for.
    pub drops: Option<u64>,
    /// When `congestion` was asked for.
    pub congestion: Option<CongestionName>,
    /// When `info` was asked for; half-open and TIME_WAIT sockets have none.
    pub info: Option<TcpInfo>,
    /// SO_MARK; the kernel tells it to CAP_NET_ADMIN alone.
    pub mark: Option<u32>,
    /// The id (inode) of its cgroup, version 2.
    pub cgroup: Option<u64>,
}

impl SocketSeen {
    /// The local address with an IPv4-mapped one unmapped, as it is on the wire.
    pub fn local_canonical(&self) -> SocketAddr {
        canonical(self.local)
    }

    /// The peer's address with an IPv4-mapped one unmapped, as it is on the wire.
    pub fn peer_canonical(&self) -> SocketAddr {
        canonical(self.peer)
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The name of a congestion control.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CongestionName {
    bytes: [u8; CONGESTION_BYTES_MAX],
    length: u8,
}

impl CongestionName {
    /// The name; empty when it is not plain ASCII.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn parse(value: &[u8]) -> CongestionName {
        let length =
            value.iter().take(CONGESTION_BYTES_MAX).take_while(|byte| byte.is_ascii_graphic()).count();
        let mut bytes = [0; CONGESTION_BYTES_MAX];
        bytes[..length].copy_from_slice(&value[..length]);
        CongestionName { bytes, length: length as u8 }
    }
}

/// Reads the body of one answer; `None` when it is too short for a socket.
pub fn parse_socket(message: &[u8]) -> Option<SocketSeen> {
    let (head, rest) = message.split_first_chunk::<HEADER_LEN>()?;
    let word = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let v6 = i32::from(head[0]) == libc::AF_INET6;
    let mut seen = SocketSeen {
        v6,
        // NEW_SYN_RECV is the kernel's inner name of a half-open connection.
        state: if head[1] == 12 { super::state::SYN_RECV } else { head[1] },
        local: endpoint(v6, &head[8..24], [head[4], head[5]])?,
        peer: endpoint(v6, &head[24..40], [head[6], head[7]])?,
        interface: word(40),
        user: word(64),
        inode: u64::from(word(68)),
        receive_queue: word(56),
        send_queue: word(60),
        timer: head[2],
        retransmits: head[3],
        expires_ms: word(52),
        v6_only: false,
        drops: None,
        congestion: None,
        info: None,
        mark: None,
        cgroup: None,
    };
    for (kind, value) in attributes(rest) {
        match kind {
            ATTRIBUTE_INFO => seen.info = parse_tcp_info(value),
            ATTRIBUTE_CONGESTION => seen.congestion = Some(CongestionName::parse(value)),
            ATTRIBUTE_MEMORY => seen.drops = value.get(MEMORY_DROPS_AT..).map(|drops| u64::from(ne32(drops))),
            ATTRIBUTE_V6_ONLY => seen.v6_only = value.first().is_some_and(|only| *only != 0),
            ATTRIBUTE_MARK => seen.mark = Some(ne32(value)),
            ATTRIBUTE_CGROUP => seen.cgroup = Some(ne64(value)),
            _ => {}
        }
    }
    Some(seen)
}

fn endpoint(v6: bool, address: &[u8], port: [u8; 2]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(port);
    Some(if v6 {
        (Ipv6Addr::from(*address.first_chunk::<16>()?), port).into()
    } else {
        (Ipv4Addr::from(*address.first_chunk::<4>()?), port).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_ends_where_it_is_not_plain() {
        assert_eq!(CongestionName::parse(b"cubic\0").as_str(), "cubic");
        assert_eq!(CongestionName::parse(b"bb\x1b[2J").as_str(), "bb");
        assert_eq!(CongestionName::parse(b"0123456789abcdefXYZ").as_str(), "0123456789abcdef");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert_eq!(parse_socket(&bytes).is_some(), bytes.len() >= HEADER_LEN);
        }
    }
}
