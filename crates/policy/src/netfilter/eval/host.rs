//! What of the host itself decides: its addresses and its routes.

use std::net::IpAddr;

pub const UNICAST: u128 = 1;
pub const LOCAL: u128 = 2;
const BROADCAST: u128 = 3;
const MULTICAST: u128 = 5;

/// The host that filters. Nothing known of it is what most questions have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Every interface with its addresses, the main one first.
    pub interfaces: Vec<(String, Vec<IpAddr>)>,
    /// Destination, length of its prefix, interface.
    pub routes: Vec<(IpAddr, u8, String)>,
}

impl Host {
    pub fn is_unknown(&self) -> bool {
        self.interfaces.is_empty() && self.routes.is_empty()
    }

    /// The main address of an interface.
    pub fn address_of(&self, interface: &str, six: bool) -> Option<IpAddr> {
        let (_, addresses) = self.interfaces.iter().find(|(name, _)| name == interface)?;
        addresses.iter().copied().find(|address| address.is_ipv6() == six)
    }

    /// `None` when nothing is known of the host's addresses.
    pub fn is_local(&self, address: IpAddr) -> Option<bool> {
        if self.interfaces.is_empty() {
            return None;
        }
        Some(self.interfaces.iter().any(|(_, addresses)| addresses.contains(&address)))
    }

    /// Local or unicast.
    pub fn kind(&self, address: IpAddr) -> Option<u128> {
        self.is_local(address).map(|local| if local { LOCAL } else { UNICAST })
    }

    /// The interface that an address is reached by.
    pub fn leads_out(&self, address: IpAddr) -> Option<&str> {
        let holds = |(network, length, _): &&(IpAddr, u8, String)| within(address, *network, *length);
        let route = self.routes.iter().filter(holds).max_by_key(|(_, length, _)| *length)?;
        Some(&route.2)
    }
}

fn within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let bits: u32 = match (address, network) {
        (IpAddr::V4(_), IpAddr::V4(_)) => 32,
        (IpAddr::V6(_), IpAddr::V6(_)) => 128,
        _ => return false,
    };
    let shift = bits.saturating_sub(length.into());
    let top = |address| crate::netfilter::packet::number(address).checked_shr(shift).unwrap_or(0);
    top(address) == top(network)
}

/// The kind of an address that needs no routes to be known, in the numbers of `FibDestinationType`.
pub fn kind_by_itself(address: IpAddr) -> Option<u128> {
    if address.is_multicast() {
        return Some(MULTICAST);
    }
    if address.is_loopback() {
        return Some(LOCAL);
    }
    match address {
        IpAddr::V4(address) if address.is_broadcast() => Some(BROADCAST),
        _ => None,
    }
}
