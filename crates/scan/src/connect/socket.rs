//! One TCP socket that asks port after port, and what the kernel tells of each.
//!
//! Linux lets a socket whose connect failed connect again, so a scan of closed ports needs neither a new socket nor
//! a close for each: the second `connect` both fetches the error and makes the socket ready for the next port.

use crate::Reason;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Most ICMP errors read from one socket's queue at a time.
const ERROR_COUNT_MAX: usize = 8;
/// `tcpi_state` of `struct tcp_info` while the connection stands (net/tcp_states.h).
const TCP_ESTABLISHED: u8 = 1;
/// The other side has closed, this one not yet.
const TCP_CLOSE_WAIT: u8 = 8;

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

/// What TCP_INFO says of an open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Info {
    pub stands: bool,
    /// The window the other side offers; `None` on kernels that do not say.
    pub window: Option<u32>,
    pub rtt: Duration,
    pub bytes_received: u64,
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
            set(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1)?;
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
    let mut nowhere = SockAddrZero::default();
    nowhere.0.sa_family = libc::AF_UNSPEC as libc::sa_family_t;
    // SAFETY: the pointer and length describe a live sockaddr for the duration of the call.
    let done = unsafe {
        libc::connect(
            socket.as_raw_fd(),
            &raw const nowhere.0,
            size_of::<libc::sockaddr>() as libc::socklen_t,
        )
    };
    done == 0
}

struct SockAddrZero(libc::sockaddr);

impl Default for SockAddrZero {
    fn default() -> Self {
        Self(libc::sockaddr { sa_family: 0, sa_data: [0; 14] })
    }
}

/// The last ICMP error of the socket's queue and the address it was an answer to.
///
/// What this host's own stack raised has no sender and is no answer.
pub(crate) fn icmp_error(socket: &Socket) -> Option<(Reason, Option<SocketAddr>)> {
    let mut last = None;
    for _ in 0..ERROR_COUNT_MAX {
        match next_icmp_error(socket) {
            None => break,
            Some(found) => last = found.or(last),
        }
    }
    last
}

/// One error of the queue; `None` when it is empty, `Some(None)` when it was no ICMP error.
pub(crate) fn next_icmp_error(socket: &Socket) -> Option<Option<(Reason, Option<SocketAddr>)>> {
    let mut space = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, [u8; 64]);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut [], Some(&mut space), flags).ok()?;
    let asked = message.address.as_ref().and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|a| SocketAddr::from((a.ip(), a.port())));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| SocketAddr::from((a.ip(), a.port()))))
    });
    let mut found = None;
    for one in message.cmsgs().into_iter().flatten() {
        let (error, from) = match one {
            ControlMessageOwned::Ipv4RecvErr(error, from) => {
                (error, from.map(|a| IpAddr::from(Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr)))))
            }
            ControlMessageOwned::Ipv6RecvErr(error, from) => {
                (error, from.map(|a| IpAddr::from(Ipv6Addr::from(a.sin6_addr.s6_addr))))
            }
            _ => continue,
        };
        let by_icmp = matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
        if let Some(from) = from.filter(|from| by_icmp && !from.is_unspecified() && is_unreachable(&error)) {
            found = Some((Reason::Icmp { kind: error.ee_type, code: error.ee_code, from }, asked));
        }
    }
    Some(found)
}

/// Too-big and source-quench messages say nothing of the port.
fn is_unreachable(error: &libc::sock_extended_err) -> bool {
    /// Fragmentation needed, below ICMP destination unreachable.
    const NEEDS_FRAGMENTING: u8 = 4;
    match (error.ee_origin, error.ee_type) {
        (libc::SO_EE_ORIGIN_ICMP, 3) => error.ee_code != NEEDS_FRAGMENTING,
        (libc::SO_EE_ORIGIN_ICMP, 11 | 12) => true,
        (libc::SO_EE_ORIGIN_ICMP6, 1 | 3 | 4) => true,
        _ => false,
    }
}

/// Reads TCP_INFO of an open connection.
pub(crate) fn info(socket: &Socket) -> Option<Info> {
    let mut raw = [0_u8; 256];
    let mut length = raw.len() as libc::socklen_t;
    // SAFETY: the buffer lives through the call and `length` states its size.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            raw.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if done != 0 {
        return None;
    }
    // Offsets of `struct tcp_info` (linux/tcp.h): tcpi_rtt, tcpi_bytes_received, tcpi_snd_wnd.
    let word = |at: usize| u32::from_ne_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
    Some(Info {
        stands: matches!(raw[0], TCP_ESTABLISHED | TCP_CLOSE_WAIT),
        window: (length >= 232).then(|| word(228)),
        rtt: Duration::from_micros(word(68).into()),
        bytes_received: u64::from(word(128)) | u64::from(word(132)) << 32,
    })
}

/// Whether a connection reached itself: the kernel chose the asked port as its own source port.
pub(crate) fn is_own_echo(socket: &Socket) -> bool {
    match (socket.local_addr(), socket.peer_addr()) {
        (Ok(local), Ok(peer)) => local.as_socket() == peer.as_socket(),
        _ => false,
    }
}

/// Asks the kernel to keep ICMP errors with their sender on the socket's error queue.
fn keep_errors(socket: &Socket, v6: bool) -> io::Result<()> {
    match v6 {
        true => set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, &1),
        false => set(socket, libc::IPPROTO_IP, libc::IP_RECVERR, &1),
    }
}

fn set(socket: &Socket, level: i32, name: i32, value: &libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer and length describe a live c_int for the duration of the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
