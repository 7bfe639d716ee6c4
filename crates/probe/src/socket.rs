//! Kernel sockets as the case wants them, and what the kernel tells about them.

use netwhy_model::Source;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use tokio::io::unix::AsyncFd;

/// Most errors read from one socket's queue.
const ERROR_COUNT_MAX: usize = 16;
/// Bytes kept of the packet an error quotes: the ports or the echo identifier.
const QUOTED_BYTES: usize = 8;

/// An ICMP error as the kernel's error queue gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueuedError {
    pub errno: i32,
    pub kind: u8,
    pub code: u8,
    /// Who sent it; `None` when this host's own stack raised it.
    pub from: Option<IpAddr>,
    pub mtu: u32,
    /// The head of our own packet the error quotes, from its transport header on.
    pub quoted: [u8; QUOTED_BYTES],
}

/// The parts of `struct tcp_info` (linux/tcp.h) that netwhy reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TcpInfo {
    pub state: u8,
    pub unacked: u32,
    pub rtt_us: u32,
    pub total_retrans: u32,
    pub bytes_acked: u64,
    /// Segments that came out of order: something before them is missing.
    pub out_of_order: u32,
    /// The peer's window in bytes; `None` on kernels that do not say.
    pub peer_window: Option<u32>,
}

/// Makes a nonblocking socket bound as the case asks, in the family of `remote`.
pub(crate) fn open(
    source: &Source,
    remote: SocketAddr,
    kind: Type,
    protocol: Protocol,
) -> io::Result<Socket> {
    open_from(source, remote, kind, protocol, None)
}

/// As [`open`], from a chosen source port.
pub(crate) fn open_from(
    source: &Source,
    remote: SocketAddr,
    kind: Type,
    protocol: Protocol,
    port: Option<u16>,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(remote), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if let Some(interface) = &source.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    let any: IpAddr =
        if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    match (source.address, port) {
        (Some(address), _) if address.is_ipv4() != remote.is_ipv4() => {
            return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT));
        }
        (Some(address), port) => {
            if port.is_none() {
                // Else bind() itself would take a port for every destination at once.
                set_flag(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT)?;
            }
            socket.bind(&SockAddr::from(SocketAddr::new(address, port.unwrap_or(0))))?;
        }
        (None, Some(port)) => {
            socket.set_reuse_address(true)?;
            socket.bind(&SockAddr::from(SocketAddr::new(any, port)))?;
        }
        (None, None) => {}
    }
    Ok(socket)
}

/// Asks the kernel to keep ICMP errors with their sender on the socket's error queue.
pub(crate) fn keep_errors(socket: &Socket, v6: bool) -> io::Result<()> {
    if v6 {
        set_flag(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    } else {
        set_flag(socket, libc::IPPROTO_IP, libc::IP_RECVERR)
    }
}

/// Sets an integer option to 1.
pub(crate) fn set_flag(socket: &Socket, level: i32, name: i32) -> io::Result<()> {
    set_integer(socket, level, name, 1)
}

/// Sets the type of service or traffic class of what the socket sends.
pub(crate) fn set_traffic_class(socket: &Socket, v6: bool, class: u8) -> io::Result<()> {
    let (level, name) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) } else { (libc::IPPROTO_IP, libc::IP_TOS) };
    set_integer(socket, level, name, class.into())
}

fn set_integer(socket: &Socket, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer and length describe a live c_int for the duration of the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads the error queue until it is empty.
pub(crate) fn queued_errors(socket: &Socket) -> Vec<QueuedError> {
    let mut errors = Vec::new();
    for _ in 0..ERROR_COUNT_MAX {
        let first = errors.len();
        let mut bytes = [0_u8; 2048];
        let mut space = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, [u8; 64]);
        let mut parts = [io::IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let Ok(message) = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)
        else {
            break;
        };
        let Ok(control) = message.cmsgs() else { break };
        for one in control {
            match one {
                ControlMessageOwned::Ipv4RecvErr(error, from) => {
                    let from = from.map(|a| IpAddr::from(Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr))));
                    errors.push(queued(error, from));
                }
                ControlMessageOwned::Ipv6RecvErr(error, from) => {
                    errors
                        .push(queued(error, from.map(|a| IpAddr::from(Ipv6Addr::from(a.sin6_addr.s6_addr)))));
                }
                _ => {}
            }
        }
        let mut quoted = [0_u8; QUOTED_BYTES];
        quoted.copy_from_slice(&bytes[..QUOTED_BYTES]);
        errors.iter_mut().skip(first).for_each(|error| error.quoted = quoted);
    }
    errors
}

fn queued(error: libc::sock_extended_err, from: Option<IpAddr>) -> QueuedError {
    let by_icmp = matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
    QueuedError {
        errno: error.ee_errno as i32,
        kind: error.ee_type,
        code: error.ee_code,
        from: from.filter(|address| by_icmp && !address.is_unspecified()),
        mtu: error.ee_info,
        quoted: [0; QUOTED_BYTES],
    }
}

/// Reads TCP_INFO; a short answer of an old kernel leaves the later fields 0.
pub(crate) fn tcp_info(socket: &Socket) -> Option<TcpInfo> {
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
    let word = |at: usize| u32::from_ne_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
    Some(TcpInfo {
        state: raw[0],
        unacked: word(24),
        rtt_us: word(68),
        total_retrans: word(100),
        bytes_acked: u64::from(word(120)) | (u64::from(word(124)) << 32),
        out_of_order: word(224),
        peer_window: (length >= 232).then(|| word(228)),
    })
}

/// The local address the kernel gave a socket.
pub(crate) fn local_address(socket: &Socket) -> Option<SocketAddr> {
    socket.local_addr().ok().and_then(|address| address.as_socket()).filter(|a| a.port() != 0)
}

/// Lets tokio watch a socket.
pub(crate) fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a `Socket` owns its descriptor, and nobody replaces it inside the `AsyncFd`.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

/// The kernel's name of an errno, such as `ENETUNREACH`.
pub(crate) fn errno_name(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}
