//! The host's own addresses.

use super::{Listed, Names, Prefix, list, name};
use crate::attribute::{address, attributes, ne32};
use crate::connection::NetlinkError;

const GET_ADDRESS: u16 = 22;
const HEADER_LEN: usize = 8;
/// Addresses kept; hosts with thousands exist, such as an edge node's.
pub const ADDRESS_COUNT_MAX: usize = 65_536;
const FLAG_SECONDARY: u32 = 0x01;
const FLAG_DUPLICATE: u32 = 0x08;
const FLAG_DEPRECATED: u32 = 0x20;
const FLAG_TENTATIVE: u32 = 0x40;
const SCOPE_GLOBAL: u8 = 0;
const SCOPE_HOST: u8 = 254;

/// One address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub interface: u32,
    pub interface_name: String,
    /// The address with the length of its network.
    pub prefix: Prefix,
    /// The other end of a point-to-point link.
    pub peer: Option<std::net::IpAddr>,
    /// 0 global, 253 link, 254 host.
    pub scope: u8,
    /// IFA_F_*.
    pub flags: u32,
}

impl Address {
    pub fn global(&self) -> bool {
        self.scope == SCOPE_GLOBAL
    }

    pub fn host_only(&self) -> bool {
        self.scope == SCOPE_HOST
    }

    /// Not usable yet, or never: duplicate address detection runs or found another station.
    pub fn tentative(&self) -> bool {
        self.flags & (FLAG_TENTATIVE | FLAG_DUPLICATE) != 0
    }

    /// Another station on the link has the same address.
    pub fn duplicate(&self) -> bool {
        self.flags & FLAG_DUPLICATE != 0
    }

    /// Not chosen for new connections.
    pub fn deprecated(&self) -> bool {
        self.flags & FLAG_DEPRECATED != 0
    }

    /// IPv4: not the first of its network. (IPv6 uses the same bit for temporary addresses.)
    pub fn secondary(&self) -> bool {
        self.flags & FLAG_SECONDARY != 0
    }
}

/// Lists the addresses of every interface, both families.
pub fn addresses() -> Result<Listed<Address>, NetlinkError> {
    let names = Names::read()?;
    let mut found = list(GET_ADDRESS, &[0; HEADER_LEN], ADDRESS_COUNT_MAX, parse_address)?;
    for own in &mut found.items {
        own.interface_name = names.of(own.interface);
    }
    Ok(found)
}

/// Reads one address; `None` when it is too short or has none. The label is read as the interface's name.
pub fn parse_address(message: &[u8]) -> Option<Address> {
    let head = message.first_chunk::<HEADER_LEN>()?;
    let (mut local, mut other, mut label, mut flags) = (None, None, String::new(), u32::from(head[2]));
    for (kind, value) in attributes(message.get(HEADER_LEN..)?) {
        match kind {
            1 => other = address(value),
            2 => local = address(value),
            3 => label = name(value),
            8 => flags = ne32(value),
            _ => {}
        }
    }
    // IFA_ADDRESS is the own address unless IFA_LOCAL differs: then it is the far end's.
    let own = local.or(other)?;
    Some(Address {
        interface: ne32(&head[4..]),
        interface_name: label,
        prefix: Prefix { address: own, length: head[1] },
        peer: other.filter(|other| *other != own),
        scope: head[3],
        flags,
    })
}
