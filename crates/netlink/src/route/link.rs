//! Interfaces, with their counters and what is attached to them.

use super::{Listed, list, name};
use crate::attribute::{attributes, ne16, ne32, ne64};
use crate::connection::{Connection, NetlinkError};

const GET_LINK: u16 = 18;
const HEADER_LEN: usize = 16;
/// Interfaces kept; a container host has hundreds.
pub const LINK_COUNT_MAX: usize = 16_384;

/// What an interface counted since it came up (struct rtnl_link_stats64).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounters {
    pub received_packets: u64,
    pub sent_packets: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub receive_errors: u64,
    pub send_errors: u64,
    pub receive_dropped: u64,
    pub send_dropped: u64,
    pub collisions: u64,
    pub checksum_errors: u64,
    /// The receiver's ring was full.
    pub receive_missed: u64,
    pub carrier_errors: u64,
    /// Nobody in the kernel wanted the protocol.
    pub no_handler: u64,
}

/// Where a program of the express data path runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum XdpMode {
    Driver,
    Generic,
    Hardware,
}

/// One XDP program on an interface: it sees packets before everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xdp {
    pub mode: XdpMode,
    pub program: u32,
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// IFF_* (netdevice(7)).
    pub flags: u32,
    pub mac: Option<[u8; 6]>,
    pub mtu: u32,
    /// `veth`, `vlan`, `bridge`, `wireguard`, …; empty for hardware and the loopback.
    pub kind: String,
    /// IEEE 802.1Q id of a `vlan`.
    pub vlan: Option<u16>,
    /// The bridge, bond or VRF it belongs to, by index.
    pub master: Option<u32>,
    /// The interface it sits on, or its peer, by index; of another namespace where `parent_elsewhere`.
    pub parent: Option<u32>,
    pub parent_elsewhere: bool,
    /// Name of the root queueing discipline.
    pub qdisc: String,
    pub queue_len_max: u32,
    /// How often the carrier came or went.
    pub carrier_changes: u32,
    /// Held down by a protocol such as VRRP or MLAG.
    pub protocol_down: bool,
    pub counters: LinkCounters,
    pub xdp: Vec<Xdp>,
}

impl Link {
    pub fn loopback(&self) -> bool {
        self.flags & libc::IFF_LOOPBACK as u32 != 0
    }

    pub fn up(&self) -> bool {
        self.flags & libc::IFF_UP as u32 != 0
    }

    /// Up, with a carrier below. (RUNNING follows the carrier only up to a second later.)
    pub fn carrier(&self) -> bool {
        let wanted = (libc::IFF_UP | libc::IFF_LOWER_UP) as u32;
        self.flags & wanted == wanted
    }

    pub fn point_to_point(&self) -> bool {
        self.flags & libc::IFF_POINTOPOINT as u32 != 0
    }

    /// Its link needs no neighbour's address: loopback, tunnel, point to point.
    pub fn needs_no_neighbour(&self) -> bool {
        self.flags & (libc::IFF_LOOPBACK | libc::IFF_NOARP | libc::IFF_POINTOPOINT) as u32 != 0
    }
}

/// Lists the interfaces.
pub fn links() -> Result<Listed<Link>, NetlinkError> {
    list(GET_LINK, &[0; HEADER_LEN], LINK_COUNT_MAX, parse_link)
}

/// The name of one interface; `None` when it is gone.
pub(super) fn link_name(connection: &mut Connection, index: u32) -> Option<String> {
    let mut header = [0_u8; HEADER_LEN];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let (_, message) = connection.ask(GET_LINK, 0, &header).ok()??;
    parse_link(&message).map(|link| link.name)
}

/// Reads one interface; `None` when it is too short.
pub fn parse_link(message: &[u8]) -> Option<Link> {
    let head = message.first_chunk::<HEADER_LEN>()?;
    let mut link = Link { index: ne32(&head[4..]), flags: ne32(&head[8..]), ..Link::default() };
    for (kind, value) in attributes(message.get(HEADER_LEN..)?) {
        match kind {
            1 => link.mac = <[u8; 6]>::try_from(value).ok(),
            3 => link.name = name(value),
            4 => link.mtu = ne32(value),
            5 => link.parent = Some(ne32(value)).filter(|index| *index != 0),
            6 => link.qdisc = name(value),
            10 => link.master = Some(ne32(value)).filter(|index| *index != 0),
            13 => link.queue_len_max = ne32(value),
            18 => read_kind(value, &mut link),
            23 => link.counters = read_counters(value),
            35 => link.carrier_changes = ne32(value),
            // IFLA_LINK_NETNSID is there when the parent's namespace is another one.
            37 => link.parent_elsewhere = true,
            39 => link.protocol_down = value.first().is_some_and(|down| *down != 0),
            43 => link.xdp = read_xdp(value),
            _ => {}
        }
    }
    Some(link)
}

/// IFLA_LINKINFO.
fn read_kind(value: &[u8], link: &mut Link) {
    const KIND: u16 = 1;
    const DATA: u16 = 2;
    const VLAN_ID: u16 = 1;
    for (kind, inside) in attributes(value) {
        match kind {
            KIND => link.kind = name(inside),
            DATA if link.kind == "vlan" => {
                link.vlan = attributes(inside).find(|(kind, _)| *kind == VLAN_ID).map(|(_, id)| ne16(id));
            }
            _ => {}
        }
    }
}

/// IFLA_STATS64; older kernels end earlier.
fn read_counters(value: &[u8]) -> LinkCounters {
    let number = |at: usize| value.get(at * 8..).map_or(0, ne64);
    LinkCounters {
        received_packets: number(0),
        sent_packets: number(1),
        received_bytes: number(2),
        sent_bytes: number(3),
        receive_errors: number(4),
        send_errors: number(5),
        receive_dropped: number(6),
        send_dropped: number(7),
        collisions: number(9),
        checksum_errors: number(12),
        receive_missed: number(15),
        carrier_errors: number(17),
        no_handler: number(23),
    }
}

/// IFLA_XDP: the general id is one of those by mode, so only those are read.
fn read_xdp(value: &[u8]) -> Vec<Xdp> {
    attributes(value)
        .filter_map(|(kind, id)| {
            let mode = match kind {
                5 => XdpMode::Driver,
                6 => XdpMode::Generic,
                7 => XdpMode::Hardware,
                _ => return None,
            };
            Some(Xdp { mode, program: ne32(id) })
        })
        .filter(|xdp| xdp.program != 0)
        .take(3)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::Builder;

    #[test]
    fn a_vlan_with_a_program_is_read() {
        let mut header = vec![0; 4];
        for word in [7, (libc::IFF_UP | libc::IFF_LOWER_UP) as u32, 0] {
            header.extend(u32::to_ne_bytes(word));
        }
        let counters: Vec<u8> = (0..24_u64).flat_map(u64::to_ne_bytes).collect();
        let kind = Builder::default().put_text(1, "vlan").nest(2, Builder::default().put(1, &[7, 0]));
        let xdp = Builder::default().put(2, &[2]).put(4, &[9, 0, 0, 0]).put(6, &[9, 0, 0, 0]);
        let message = Builder::new(&header)
            .put_text(3, "eth0.7")
            .put(23, &counters)
            .nest(18, kind)
            .nest(43, xdp)
            .put(37, &[0; 4]);
        let link = parse_link(message.bytes()).unwrap();
        assert_eq!((link.index, link.name.as_str(), link.vlan), (7, "eth0.7", Some(7)));
        assert!(link.carrier() && link.parent_elsewhere);
        assert_eq!(link.xdp, [Xdp { mode: XdpMode::Generic, program: 9 }]);
        assert_eq!((link.counters.receive_dropped, link.counters.no_handler), (6, 23));
        // An older kernel knows fewer counters.
        assert_eq!(read_counters(&counters[..64]).no_handler, 0);
    }
}
