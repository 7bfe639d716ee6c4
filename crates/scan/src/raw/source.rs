//! Source ports of our own, on which the kernel neither answers nor resets.
//!
//! A SYN-ACK for a port without a socket makes the kernel send a reset. A listening socket alone does not help, it
//! resets too. But a socket's BPF filter runs before its state machine (tcp_filter() in tcp_v4_rcv()), so a listener
//! whose filter lets nothing through makes the kernel drop the segment in silence. It also reserves the port. Nothing
//! of the firewall is touched, and everything goes with the process.

use super::filter;
use super::sys;
use crate::ScanError;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

/// Ports reserved for each source address.
pub const SOURCE_PORT_COUNT: u16 = 16;
/// The first of them tell which try a question was: one a pass.
pub const TRY_PORT_COUNT: u16 = 10;
/// Ranges tried before giving up.
const RANGE_COUNT_MAX: u16 = 200;
/// Where ranges are looked for.
const LOWEST_PORT: u16 = 40_000;

/// A range of reserved source ports, the same on every source address.
#[derive(Debug)]
pub struct SourcePorts {
    pub first: u16,
    _listeners: Vec<OwnedFd>,
}

impl SourcePorts {
    /// Reserves a range on all the addresses; `seed` chooses where to begin.
    pub fn reserve(addresses: &[IpAddr], seed: u64) -> Result<SourcePorts, ScanError> {
        let slots = u64::from((u16::MAX - LOWEST_PORT) / SOURCE_PORT_COUNT);
        let mut last = None;
        for attempt in 0..RANGE_COUNT_MAX {
            // Below 1,596, so the product stays below 65,536.
            let slot = (seed % slots + u64::from(attempt) * 7) % slots;
            let first = LOWEST_PORT + slot as u16 * SOURCE_PORT_COUNT;
            match listeners(addresses, first) {
                Ok(listeners) => return Ok(SourcePorts { first, _listeners: listeners }),
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => last = Some(error),
                Err(error) => return Err(sys::system("reserving source ports", error)),
            }
        }
        let error = last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into());
        Err(sys::system("reserving source ports", error))
    }
}

fn listeners(addresses: &[IpAddr], first: u16) -> std::io::Result<Vec<OwnedFd>> {
    let mut listeners = Vec::new();
    let is_link_local = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    // A link-local source needs its interface, which is the kernel's to find: the wildcard serves all of IPv6 then.
    let wildcard =
        addresses.iter().any(is_link_local).then_some(IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED));
    let v6 = addresses.iter().copied().filter(IpAddr::is_ipv6);
    let v6: Vec<IpAddr> = wildcard.map_or_else(|| v6.collect(), |any| vec![any]);
    let v4 = addresses.iter().copied().filter(IpAddr::is_ipv4);
    for address in v4.chain(v6) {
        for port in first..first + SOURCE_PORT_COUNT {
            let at = SocketAddr::new(address, port);
            let domain = socket2::Domain::for_address(at);
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
            let socket_fd: OwnedFd = socket.into();
            // Before it listens, so that there is no moment in which it would answer.
            sys::attach_filter(&socket_fd, &filter::nothing())?;
            let socket = socket2::Socket::from(socket_fd);
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.bind(&at.into())?;
            socket.listen(1)?;
            listeners.push(socket.into());
        }
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn two_scans_get_different_ranges() {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let one = SourcePorts::reserve(&loopback, 5).unwrap();
        let other = SourcePorts::reserve(&loopback, 5).unwrap();
        assert_ne!(one.first, other.first);
    }

    #[test]
    fn a_reserved_port_answers_nobody() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ports = SourcePorts::reserve(&[address], 77).unwrap();
        let time = std::time::Duration::from_millis(100);
        let error =
            std::net::TcpStream::connect_timeout(&SocketAddr::new(address, ports.first), time).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }
}
