//! The neighbour table: which link-layer address an address on the link has (ARP, neighbour discovery).

use super::{Listed, Names, family, list};
use crate::attribute::{Builder, address, attributes, ne16, ne32, octets};
use crate::connection::{Connection, NetlinkError, Protocol};
use std::net::IpAddr;

const GET_NEIGHBOUR: u16 = 30;
const HEADER_LEN: usize = 12;
/// Entries kept; gc_thresh3 is 1,024 by default and rarely past this.
pub const NEIGHBOUR_COUNT_MAX: usize = 65_536;
const FLAG_ROUTER: u8 = 0x80;

/// The states of an entry (NUD_*, linux/neighbour.h).
pub mod neighbour_state {
    pub const INCOMPLETE: u16 = 0x01;
    pub const REACHABLE: u16 = 0x02;
    pub const STALE: u16 = 0x04;
    pub const DELAY: u16 = 0x08;
    pub const PROBE: u16 = 0x10;
    pub const FAILED: u16 = 0x20;
    pub const NO_ARP: u16 = 0x40;
    pub const PERMANENT: u16 = 0x80;
}

/// One entry of the neighbour table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub address: IpAddr,
    pub interface: u32,
    pub interface_name: String,
    /// See [`neighbour_state`].
    pub state: u16,
    pub mac: Option<[u8; 6]>,
    /// IPv6: it called itself a router.
    pub router: bool,
    /// Requests sent without an answer.
    pub probes: u32,
}

impl Neighbour {
    /// `reachable`, `failed`, …
    pub fn state_name(&self) -> &'static str {
        neighbour_state_name(self.state)
    }

    /// The kernel asks, or asked in vain.
    pub fn unresolved(&self) -> bool {
        self.state & (neighbour_state::INCOMPLETE | neighbour_state::FAILED) != 0 || self.state == 0
    }
}

/// The word `ip neighbour` uses, in lower case.
pub fn neighbour_state_name(state: u16) -> &'static str {
    match state {
        0 => "none",
        neighbour_state::INCOMPLETE => "incomplete",
        neighbour_state::REACHABLE => "reachable",
        neighbour_state::STALE => "stale",
        neighbour_state::DELAY => "delay",
        neighbour_state::PROBE => "probe",
        neighbour_state::FAILED => "failed",
        neighbour_state::NO_ARP => "noarp",
        neighbour_state::PERMANENT => "permanent",
        _ => "mixed",
    }
}

/// Lists the neighbours of every interface, both families.
pub fn neighbours() -> Result<Listed<Neighbour>, NetlinkError> {
    let names = Names::read()?;
    let mut found = list(GET_NEIGHBOUR, &[0; HEADER_LEN], NEIGHBOUR_COUNT_MAX, parse_neighbour)?;
    for entry in &mut found.items {
        entry.interface_name = names.of(entry.interface);
    }
    Ok(found)
}

/// Reads one entry; `None` when there is no such one. The interface's name is left empty.
pub fn neighbour(address: IpAddr, interface: u32) -> Result<Option<Neighbour>, NetlinkError> {
    let mut header = vec![family(address), 0, 0, 0];
    header.extend(interface.to_ne_bytes());
    header.extend([0; 4]);
    let body = Builder::new(&header).put(1, &octets(address));
    match Connection::open(Protocol::Route)?.ask(GET_NEIGHBOUR, 0, body.bytes()) {
        Ok(answer) => Ok(answer.and_then(|(_, message)| parse_neighbour(&message))),
        Err(NetlinkError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads one entry of an answer; `None` when it is too short or has no address.
pub fn parse_neighbour(message: &[u8]) -> Option<Neighbour> {
    let head = message.first_chunk::<HEADER_LEN>()?;
    let (mut own, mut mac, mut probes) = (None, None, 0);
    for (kind, value) in attributes(message.get(HEADER_LEN..)?) {
        match kind {
            1 => own = address(value),
            2 => mac = <[u8; 6]>::try_from(value).ok(),
            4 => probes = ne32(value),
            _ => {}
        }
    }
    Some(Neighbour {
        address: own?,
        interface: ne32(&head[4..]),
        interface_name: String::new(),
        state: ne16(&head[8..]),
        mac,
        router: head[10] & FLAG_ROUTER != 0,
        probes,
    })
}
