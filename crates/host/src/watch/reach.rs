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

/// Requests to each address, and the time between two.
const REQUEST_COUNT: u16 = 3;
const BETWEEN: Duration = Duration::from_millis(250);
/// Addresses asked of each family.
const ADDRESS_COUNT_MAX: usize = 1;

/// Sends the requests from a thread of its own, in the calling thread's network namespace.
///
/// Without CAP_NET_RAW nothing is sent, and nothing is concluded from that.
pub(super) fn start(sources: &[IpAddr]) {
    let of = |v4: bool| {
        let fit = move |address: &&IpAddr| address.is_ipv4() == v4 && is_global(**address);
        sources.iter().filter(fit).take(ADDRESS_COUNT_MAX).copied()
    };
    let to: Vec<IpAddr> = of(true).chain(of(false)).collect();
    if to.is_empty() {
        return;
    }
    // Who cannot make a thread learns less.
    let _ = Builder::new().name("netwhy-reach".to_owned()).spawn(move || send(&to));
}

fn send(to: &[IpAddr]) {
    // Sending without a route would count in the very counters that are watched.
    let has_route = |address: &&IpAddr| matches!(RouteQuery::to(**address).ask(), Ok(answer) if answer.route().is_some_and(|r| r.kind == RouteKind::Unicast));
    let sockets: Vec<(IpAddr, OwnedFd)> =
        to.iter().filter(has_route).filter_map(|address| Some((*address, raw(*address).ok()?))).collect();
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

/// Addresses that mean something to another host.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unspecified() && (v6.segments()[0] & 0xffc0) != 0xfe80,
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
        for (text, global) in
            [("10.0.0.1", true), ("127.0.0.1", false), ("fe80::1", false), ("fd00::1", true), ("::1", false)]
        {
            assert_eq!(is_global(text.parse().unwrap()), global, "{text}");
        }
    }
}
