//! What is asked of sock_diag: struct inet_diag_req_v2 and its filters.

use super::state;
use crate::attribute::{Builder, octets};
use std::net::{IpAddr, SocketAddr};

const REQUEST_BYTECODE: u16 = 1;
/// Extensions of the answer: 1 << (attribute - 1), linux/inet_diag.h.
const WITH_INFO: u8 = 1 << 1;
const WITH_CONGESTION: u8 = 1 << 3;
const WITH_MEMORY: u8 = 1 << 6;
/// "Any cookie": the cookie is the kernel's own name of one socket.
const NO_COOKIE: [u8; 8] = [0xff; 8];

/// Which transport's sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    Tcp = libc::IPPROTO_TCP as isize,
    Udp = libc::IPPROTO_UDP as isize,
}

/// Which address family's sockets. A wildcard IPv6 socket that also takes IPv4 is an IPv6 socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Family {
    V4,
    V6,
    #[default]
    Both,
}

/// Which sockets to show, and what to say of each. The kernel filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketQuery {
    pub transport: Transport,
    pub family: Family,
    /// Bit mask of 1 << state; see [`state::mask`].
    pub states: u32,
    /// Also [`super::TcpInfo`]: the kernel locks every socket for it, so it costs more.
    pub info: bool,
    /// Also the name of the congestion control.
    pub congestion: bool,
    /// Also the socket's own drop counter.
    pub memory: bool,
    /// Only this local port; 0 for any.
    pub local_port: u16,
    /// Only this peer port; 0 for any. Listeners have none.
    pub peer_port: u16,
    /// Only this local address; an IPv4 address also matches its mapped form.
    pub local_address: Option<IpAddr>,
    /// Only this peer address; an IPv4 address also matches its mapped form.
    pub peer_address: Option<IpAddr>,
}

impl SocketQuery {
    /// Every socket of a transport, in both families, without extras.
    pub fn all(transport: Transport) -> SocketQuery {
        SocketQuery {
            transport,
            family: Family::Both,
            states: state::ALL,
            info: false,
            congestion: false,
            memory: false,
            local_port: 0,
            peer_port: 0,
            local_address: None,
            peer_address: None,
        }
    }

    /// The TCP sockets in some states.
    pub fn tcp(states: &[u8]) -> SocketQuery {
        SocketQuery { states: state::mask(states), ..SocketQuery::all(Transport::Tcp) }
    }

    pub(super) fn families(&self) -> &'static [u8] {
        const V4: u8 = libc::AF_INET as u8;
        const V6: u8 = libc::AF_INET6 as u8;
        match self.family {
            Family::V4 => &[V4],
            Family::V6 => &[V6],
            Family::Both => &[V4, V6],
        }
    }

    /// The request for a dump of one family.
    pub(super) fn body(&self, family: u8) -> Builder {
        let mut header = self.head(family);
        header.extend(self.local_port.to_be_bytes());
        header.extend(self.peer_port.to_be_bytes());
        // Addresses and interface of the identity are not looked at in a dump; the bytecode is.
        header.extend([0; 36]);
        header.extend(NO_COOKIE);
        let builder = Builder::new(&header);
        match self.bytecode() {
            code if code.is_empty() => builder,
            code => builder.put(REQUEST_BYTECODE, &code),
        }
    }

    /// The request for one socket by its identity.
    pub(super) fn exact(&self, local: SocketAddr, peer: SocketAddr) -> Builder {
        let v4 = local.is_ipv4() && peer.is_ipv4();
        let family = if v4 { libc::AF_INET } else { libc::AF_INET6 } as u8;
        // UDP alone reads the identity as the sender of the packet would write it (udp_dump_one).
        let (first, second) = match self.transport {
            Transport::Tcp => (local, peer),
            Transport::Udp => (peer, local),
        };
        let mut header = self.head(family);
        header.extend(first.port().to_be_bytes());
        header.extend(second.port().to_be_bytes());
        for address in [first.ip(), second.ip()] {
            let mut bytes = match address {
                IpAddr::V4(own) if !v4 => own.to_ipv6_mapped().octets().to_vec(),
                own => octets(own),
            };
            bytes.resize(16, 0);
            header.extend(bytes);
        }
        header.extend([0; 4]);
        header.extend(NO_COOKIE);
        Builder::new(&header)
    }

    fn head(&self, family: u8) -> Vec<u8> {
        let mut extensions = 0;
        for (wanted, bit) in
            [(self.info, WITH_INFO), (self.congestion, WITH_CONGESTION), (self.memory, WITH_MEMORY)]
        {
            extensions |= if wanted { bit } else { 0 };
        }
        let mut header = vec![family, self.transport as u8, extensions, 0];
        header.extend(self.states.to_ne_bytes());
        header
    }

    /// One condition per address; a condition that fails jumps past the end, which refuses the socket.
    fn bytecode(&self) -> Vec<u8> {
        const LOCAL_CONDITION: u8 = 7;
        const PEER_CONDITION: u8 = 8;
        let wanted = [(LOCAL_CONDITION, self.local_address), (PEER_CONDITION, self.peer_address)];
        let mut code = Vec::new();
        // From the end, since a condition names how far it is from there.
        for (operation, address) in wanted.into_iter().rev() {
            let Some(address) = address else { continue };
            let mut condition = host_condition(operation, address);
            let past_end = (condition.len() + code.len() + 4) as u16;
            condition[2..4].copy_from_slice(&past_end.to_ne_bytes());
            condition.extend(code);
            code = condition;
        }
        code
    }
}

/// An inet_diag_bc_op with its inet_diag_hostcond; where to jump on failure is left open.
fn host_condition(operation: u8, address: IpAddr) -> Vec<u8> {
    const ANY_PORT: i32 = -1;
    let address = address.to_canonical();
    let octets = octets(address);
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
    let mut bytes = vec![operation, (12 + octets.len()) as u8, 0, 0];
    bytes.extend([family, (octets.len() * 8) as u8, 0, 0]);
    bytes.extend(ANY_PORT.to_ne_bytes());
    bytes.extend(octets);
    bytes
}
