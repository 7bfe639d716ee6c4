//! Echo requests from the end that is asked to the end that asks: whether the way back carries anything at all.
//!
//! Nothing waits for the answers here: both ends' taps see requests and replies, and the records are joined later.

use netwhy_netlink::route::{RouteKind, RouteQuery};
use netwhy_wire::EchoBuild;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread::Builder;
use std::time::Duration;

/// Requests to each address, and the time between two: apart, so that one short loss does not take them all.
const REQUEST_COUNT: u16 = 3;
const BETWEEN: Duration = Duration::from_millis(250);
/// Addresses of each family whose way is looked up.
const TRIED_COUNT_MAX: usize = 16;

/// Sends the requests, to one address of each family, from a thread in the calling thread's network namespace.
///
/// Without CAP_NET_RAW nothing is sent, and nothing is concluded from that.
pub(super) fn start(sources: &[IpAddr]) {
    let sources = sources.to_vec();
    // Who cannot make a thread learns less.
    let _ = Builder::new().name("netwhy-reach".to_owned()).spawn(move || send(&sources));
}

fn send(sources: &[IpAddr]) {
    let of = |v4: bool| {
        let fit = move |address: &&IpAddr| address.is_ipv4() == v4 && is_elsewhere(**address);
        sources.iter().filter(fit).take(TRIED_COUNT_MAX).copied().find(has_route)
    };
    let sockets: Vec<(IpAddr, OwnedFd)> =
        [true, false].into_iter().filter_map(of).filter_map(|to| Some((to, raw(to).ok()?))).collect();
    let ident = u16::try_from(std::process::id() & 0xffff).unwrap_or(0);
    for sequence in 1..=REQUEST_COUNT {
        if sequence > 1 {
            // One lost packet, or a neighbour not known yet, must not speak for the way.
            std::thread::sleep(BETWEEN);
        }
        for (address, socket) in &sockets {
            let unspecified: IpAddr = match address {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                // The kernel fills in the checksum of ICMPv6 itself.
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let bytes = EchoBuild { ident, sequence, data: b"netwhy" }.bytes(unspecified, *address);
            let _ = send_to(socket, &bytes, *address);
        }
    }
}

/// Sending without a route would count in the very counters that are watched.
fn has_route(address: &IpAddr) -> bool {
    let answer = RouteQuery::to(*address).ask();
    answer.is_ok_and(|answer| answer.route().is_some_and(|route| route.kind == RouteKind::Unicast))
}

/// Addresses that mean something to another host.
fn is_elsewhere(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unspecified() && !v6.is_unicast_link_local(),
    }
}

fn raw(to: IpAddr) -> io::Result<OwnedFd> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (libc::AF_INET, libc::IPPROTO_ICMP),
        IpAddr::V6(_) => (libc::AF_INET6, libc::IPPROTO_ICMPV6),
    };
    // SAFETY: socket(2) with constants; the result is checked.
    let fd =
        unsafe { libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn send_to(socket: &OwnedFd, bytes: &[u8], to: IpAddr) -> io::Result<()> {
    let address = nix::sys::socket::SockaddrStorage::from(SocketAddr::new(to, 0));
    let flags = nix::sys::socket::MsgFlags::empty();
    nix::sys::socket::sendto(socket.as_raw_fd(), bytes, &address, flags)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_use_elsewhere_are_asked() {
        for (text, elsewhere) in
            [("10.0.0.1", true), ("127.0.0.1", false), ("fe80::1", false), ("fd00::1", true), ("::1", false)]
        {
            assert_eq!(is_elsewhere(text.parse().unwrap()), elsewhere, "{text}");
        }
    }
}
