//! Kernel sockets as the case wants them, and what the kernel tells about them.

use netwhy_model::Source;
use netwhy_socket::set_integer;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::unix::AsyncFd;

pub(crate) use netwhy_socket::{QueuedError, TcpInfo, keep_errors, queued_errors, set_flag, tcp_info};

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

/// Sets the type of service or traffic class of what the socket sends.
pub(crate) fn set_traffic_class(socket: &Socket, v6: bool, class: u8) -> io::Result<()> {
    let (level, name) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) } else { (libc::IPPROTO_IP, libc::IP_TOS) };
    set_integer(socket, level, name, class.into())
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
