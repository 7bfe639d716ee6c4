//! The error queue: ICMP errors about what a socket sent, with who sent them.

use crate::option::set_flag;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

/// Most errors read from one socket's queue at a time.
const ERROR_COUNT_MAX: usize = 16;
/// Bytes kept of the packet an error quotes: the ports or the echo identifier.
pub const QUOTED_BYTES: usize = 8;

/// An error as the kernel's error queue gives it (`struct sock_extended_err`, linux/errqueue.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueuedError {
    pub errno: i32,
    /// ICMP or ICMPv6 type and code.
    pub kind: u8,
    pub code: u8,
    /// Who sent it; `None` when this host's own stack raised it.
    pub from: Option<IpAddr>,
    pub mtu: u32,
    /// The address our packet was for.
    pub asked: Option<SocketAddr>,
    /// The head of our own packet the error quotes, from its transport header on.
    pub quoted: [u8; QUOTED_BYTES],
}

impl QueuedError {
    /// An ICMP error that says that the packet did not get through: too-big messages say nothing of the port.
    pub fn is_unreachable(&self) -> bool {
        /// Fragmentation needed, below ICMP destination unreachable.
        const NEEDS_FRAGMENTING: u8 = 4;
        match (self.from, self.kind) {
            (Some(IpAddr::V4(_)), 3) => self.code != NEEDS_FRAGMENTING,
            (Some(IpAddr::V4(_)), 11 | 12) => true,
            (Some(IpAddr::V6(_)), 1 | 3 | 4) => true,
            _ => false,
        }
    }
}

/// Asks the kernel to keep ICMP errors with their sender on the socket's error queue.
pub fn keep_errors(socket: &impl AsFd, v6: bool) -> io::Result<()> {
    match v6 {
        true => set_flag(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        false => set_flag(socket, libc::IPPROTO_IP, libc::IP_RECVERR),
    }
}

/// Reads the error queue until it is empty, up to a limit.
pub fn queued_errors(socket: &impl AsFd) -> Vec<QueuedError> {
    std::iter::from_fn(|| next_error(socket)).take(ERROR_COUNT_MAX).collect()
}

/// Takes one error from the queue; `None` when it is empty.
pub fn next_error(socket: &impl AsFd) -> Option<QueuedError> {
    let mut quoted = [0_u8; QUOTED_BYTES];
    let mut space = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, [u8; 64]);
    let mut parts = [io::IoSliceMut::new(&mut quoted)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let descriptor = socket.as_fd().as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(descriptor, &mut parts, Some(&mut space), flags).ok()?;
    let asked = message.address.as_ref().and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|a| SocketAddr::from((a.ip(), a.port())));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| SocketAddr::from((a.ip(), a.port()))))
    });
    let mut found = QueuedError::default();
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
        found = QueuedError {
            errno: error.ee_errno as i32,
            kind: error.ee_type,
            code: error.ee_code,
            from: from.filter(|address| by_icmp && !address.is_unspecified()),
            mtu: error.ee_info,
            ..QueuedError::default()
        };
    }
    Some(QueuedError { asked, quoted, ..found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_closed_port_of_this_host_is_told_with_its_sender() {
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        keep_errors(&socket, false).unwrap();
        socket.send_to(b"12345678", closed).unwrap();
        let errors = queued_errors(&socket);
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert_eq!((error.kind, error.code, error.errno), (3, 3, libc::ECONNREFUSED));
        assert_eq!(error.from, Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!((error.asked, error.quoted), (Some(closed), *b"12345678"));
        assert!(error.is_unreachable() && next_error(&socket).is_none());
    }

    #[test]
    fn too_big_is_no_refusal() {
        let of = |from: &str, kind, code| QueuedError {
            from: Some(from.parse().unwrap()),
            kind,
            code,
            ..QueuedError::default()
        };
        assert!(!of("192.0.2.1", 3, 4).is_unreachable() && !of("2001:db8::1", 2, 0).is_unreachable());
        assert!(of("192.0.2.1", 3, 13).is_unreachable() && of("2001:db8::1", 1, 4).is_unreachable());
        assert!(!QueuedError { kind: 3, ..QueuedError::default() }.is_unreachable(), "of our own making");
    }
}
