//! One TCP socket that asks port after port, and what the kernel tells of each.
//!
//! Linux lets a socket whose connect failed connect again, so a scan of closed ports needs neither a new socket nor
//! a close for each: the second `connect` both fetches the error and makes the socket ready for the next port.

use crate::Reason;
use netwhy_socket::{QueuedError, keep_errors, queued_errors, set_flag};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// From where every socket asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub source: Option<IpAddr>,
    pub interface: Option<String>,
    /// Index of the interface, the scope of link-local addresses.
    pub scope: u32,
}

/// What a call of `connect` told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Pending,
    Open,
    Failed(i32),
}

impl Source {
    /// Reads what a plan says; the interface must exist.
    pub fn new(source: Option<IpAddr>, interface: Option<&str>) -> io::Result<Self> {
        let scope = match interface {
            None => 0,
            Some(name) => nix::net::if_::if_nametoindex(name)?,
        };
        Ok(Self { source, interface: interface.map(str::to_owned), scope })
    }

    /// The address to connect to, with its scope where it needs one.
    pub fn remote(&self, host: IpAddr, port: u16) -> SocketAddr {
        match host {
            IpAddr::V6(host) if host.is_unicast_link_local() => {
                SocketAddrV6::new(host, port, 0, self.scope).into()
            }
            _ => SocketAddr::new(host, port),
        }
    }

    /// A nonblocking socket of the family that leaves no TIME_WAIT behind.
    pub fn socket(&self, v6: bool, kind: Type, protocol: Protocol) -> io::Result<Socket> {
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, kind.nonblocking().cloexec(), Some(protocol))?;
        keep_errors(&socket, v6)?;
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        if let Some(source) = self.source.filter(|source| source.is_ipv6() == v6) {
            // Else bind() itself would take a port for every destination at once.
            set_flag(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT)?;
            socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
        }
        Ok(socket)
    }

    /// A TCP socket, see [`Self::socket`].
    pub fn tcp(&self, v6: bool) -> io::Result<Socket> {
        let socket = self.socket(v6, Type::STREAM, Protocol::TCP)?;
        socket.set_linger(Some(Duration::ZERO))?;
        Ok(socket)
    }
}

/// Starts a connection, or asks what became of the one started.
pub(crate) fn step(socket: &Socket, remote: &SockAddr) -> Step {
    match socket.connect(remote) {
        Ok(()) => Step::Open,
        Err(error) => match error.raw_os_error().unwrap_or(libc::EIO) {
            libc::EISCONN => Step::Open,
            libc::EINPROGRESS | libc::EALREADY | libc::EINTR => Step::Pending,
            errno => Step::Failed(errno),
        },
    }
}

/// Gives a started connection up without a packet; the socket can ask again.
pub(crate) fn give_up(socket: &Socket) -> bool {
    let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    // SAFETY: the pointer and length describe a live sockaddr for the duration of the call.
    let done = unsafe {
        libc::connect(socket.as_raw_fd(), &raw const nowhere, size_of::<libc::sockaddr>() as libc::socklen_t)
    };
    done == 0
}

/// The last ICMP error of the socket's queue.
///
/// What this host's own stack raised has no sender and is no answer.
pub(crate) fn icmp_error(socket: &Socket) -> Option<Reason> {
    queued_errors(socket).iter().rev().find_map(reason)
}

/// What an error of the queue says of the port that was asked.
pub(crate) fn reason(error: &QueuedError) -> Option<Reason> {
    let from = error.from.filter(|_| error.is_unreachable())?;
    Some(Reason::Icmp { kind: error.kind, code: error.code, from })
}

/// Whether a connection reached itself: the kernel chose the asked port as its own source port.
pub(crate) fn is_own_echo(socket: &Socket) -> bool {
    match (socket.local_addr(), socket.peer_addr()) {
        (Ok(local), Ok(peer)) => local.as_socket() == peer.as_socket(),
        _ => false,
    }
}
