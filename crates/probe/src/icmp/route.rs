//! How this host would send to a target: source address, interface and its MTU.

use super::system;
use netwhy_model::Source;
use nix::ifaddrs::getifaddrs;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The way out of this host to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub target: SocketAddr,
    pub source: IpAddr,
    /// The interface asked for by the user.
    pub device: Option<String>,
    /// The MTU of the interface that holds the source address, in bytes.
    pub device_mtu: u32,
    /// The MTU this host believes the path has, in bytes: lower once a router said so.
    pub path_mtu: u32,
}

impl Route {
    /// Asks the kernel which source address and interface it would use; sends nothing.
    pub fn find(target: SocketAddr, source: &Source) -> io::Result<Route> {
        let socket = Socket::new(Domain::for_address(target), Type::DGRAM, None)?;
        apply(&socket, target, source.interface.as_deref(), source.address)?;
        socket.connect(&SockAddr::from(target))?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let (level, name) = match target {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
        };
        let path_mtu =
            system::option(&socket, level, name).ok().and_then(|m| u32::try_from(m).ok()).unwrap_or(1500);
        let device_mtu = interface_of(local.ip(), source.interface.as_deref())
            .and_then(|name| system::interface_mtu(&socket, &name).ok())
            .filter(|mtu| *mtu >= path_mtu)
            .unwrap_or(path_mtu);
        Ok(Route {
            target,
            source: local.ip(),
            device: source.interface.clone(),
            device_mtu: device_mtu.min(u32::from(u16::MAX)),
            path_mtu,
        })
    }

    /// Bytes of the IP header without options.
    pub const fn header_bytes(&self) -> u16 {
        if self.target.is_ipv6() { 40 } else { 20 }
    }

    /// The smallest MTU a link of this family may have (RFC 791, RFC 8200).
    pub const fn mtu_min(&self) -> u32 {
        if self.target.is_ipv6() { 1280 } else { 576 }
    }

    /// Binds a socket to the user's interface and to the source address, with a port or 0.
    pub fn bind(&self, socket: &Socket, port: u16) -> io::Result<()> {
        if let Some(device) = &self.device {
            socket.bind_device(Some(device.as_bytes()))?;
        }
        let mut local = SocketAddr::new(self.source, port);
        if let (SocketAddr::V6(local), SocketAddr::V6(target)) = (&mut local, self.target) {
            local.set_scope_id(target.scope_id());
        }
        socket.bind(&SockAddr::from(local))
    }
}

fn apply(
    socket: &Socket,
    target: SocketAddr,
    device: Option<&str>,
    address: Option<IpAddr>,
) -> io::Result<()> {
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    match address {
        Some(address) if address.is_ipv4() == target.is_ipv4() => {
            socket.bind(&SockAddr::from(SocketAddr::new(address, 0)))
        }
        _ => Ok(()),
    }
}

fn interface_of(address: IpAddr, device: Option<&str>) -> Option<String> {
    if let Some(device) = device {
        return Some(device.to_owned());
    }
    getifaddrs().ok()?.find_map(|entry| {
        let held = entry.address.as_ref()?;
        let held: IpAddr = match (held.as_sockaddr_in(), held.as_sockaddr_in6()) {
            (Some(v4), _) => v4.ip().into(),
            (_, Some(v6)) => v6.ip().into(),
            _ => return None,
        };
        (held == address).then_some(entry.interface_name)
    })
}
