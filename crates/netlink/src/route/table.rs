//! The routing tables, as `ip route show table all` reads.

use super::{Listed, Names, Prefix, V4, V6, list, table_name};
use crate::attribute::{address, attributes, ne32};
use crate::connection::NetlinkError;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const GET_ROUTE: u16 = 26;
const HEADER_LEN: usize = 12;
/// Routes kept per family; a full Internet table is a hundred times that.
pub const ROUTE_COUNT_MAX: usize = 10_000;
/// Next hops read of one route.
const NEXT_HOP_COUNT_MAX: usize = 256;
/// A learned exception, not a route of the table.
const FLAG_CLONED: u32 = 0x200;
const HOP_DEAD: u8 = 1;
const HOP_ON_LINK: u8 = 4;
const HOP_LINK_DOWN: u8 = 16;

/// What a route does with a packet (RTN_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteKind {
    Unicast,
    Local,
    Broadcast,
    Anycast,
    Multicast,
    /// Drops without a word.
    Blackhole,
    /// Answers host unreachable.
    Unreachable,
    /// Answers administratively prohibited.
    Prohibit,
    /// Goes on with the next policy rule.
    Throw,
    Other(u8),
}

impl RouteKind {
    pub(super) fn from_number(number: u8) -> RouteKind {
        match number {
            1 => RouteKind::Unicast,
            2 => RouteKind::Local,
            3 => RouteKind::Broadcast,
            4 => RouteKind::Anycast,
            5 => RouteKind::Multicast,
            6 => RouteKind::Blackhole,
            7 => RouteKind::Unreachable,
            8 => RouteKind::Prohibit,
            9 => RouteKind::Throw,
            other => RouteKind::Other(other),
        }
    }

    /// The word `ip route` uses.
    pub fn name(self) -> &'static str {
        match self {
            RouteKind::Unicast => "unicast",
            RouteKind::Local => "local",
            RouteKind::Broadcast => "broadcast",
            RouteKind::Anycast => "anycast",
            RouteKind::Multicast => "multicast",
            RouteKind::Blackhole => "blackhole",
            RouteKind::Unreachable => "unreachable",
            RouteKind::Prohibit => "prohibit",
            RouteKind::Throw => "throw",
            RouteKind::Other(_) => "other",
        }
    }
}

/// One way on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NextHop {
    pub gateway: Option<IpAddr>,
    pub interface: u32,
    pub interface_name: String,
    /// Its share among several, from 1.
    pub weight: u16,
    flags: u8,
}

impl NextHop {
    /// Its interface is down: the kernel passes it over.
    pub fn dead(&self) -> bool {
        self.flags & HOP_DEAD != 0
    }

    /// Its interface has no carrier; used all the same unless `ignore_routes_with_linkdown` is set.
    pub fn link_down(&self) -> bool {
        self.flags & HOP_LINK_DOWN != 0
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if !self.interface_name.is_empty() {
            write!(f, " dev {}", self.interface_name)?;
        }
        if self.weight > 1 {
            write!(f, " weight {}", self.weight)?;
        }
        for (flag, word) in [(HOP_DEAD, " dead"), (HOP_ON_LINK, " onlink"), (HOP_LINK_DOWN, " linkdown")] {
            if self.flags & flag != 0 {
                f.write_str(word)?;
            }
        }
        Ok(())
    }
}

/// One route of a table. Displays as `ip route` would write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteEntry {
    pub kind: RouteKind,
    pub to: Prefix,
    /// IPv6 alone: only for packets from there.
    pub from: Option<Prefix>,
    /// 254 is main, 255 local.
    pub table: u32,
    pub metric: u32,
    pub source: Option<IpAddr>,
    pub mtu: Option<u32>,
    /// One, or several to share between; none for a route that refuses.
    pub hops: Vec<NextHop>,
}

impl fmt::Display for RouteEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != RouteKind::Unicast {
            write!(f, "{} ", self.kind.name())?;
        }
        write!(f, "{}", self.to)?;
        if let Some(from) = self.from {
            write!(f, " from {from}")?;
        }
        if let [hop] = self.hops.as_slice() {
            write!(f, "{hop}")?;
        }
        if self.table != 254 {
            write!(f, " table {}", table_name(self.table))?;
        }
        if let Some(source) = self.source {
            write!(f, " src {source}")?;
        }
        if self.metric != 0 {
            write!(f, " metric {}", self.metric)?;
        }
        if let Some(mtu) = self.mtu {
            write!(f, " mtu {mtu}")?;
        }
        if self.hops.len() > 1 {
            for hop in &self.hops {
                write!(f, " nexthop{hop}")?;
            }
        }
        Ok(())
    }
}

/// Lists the routes of every table, IPv4 first, at most [`ROUTE_COUNT_MAX`] of each family.
pub fn routes() -> Result<Listed<RouteEntry>, NetlinkError> {
    let names = Names::read()?;
    let mut all = Listed { items: Vec::new(), complete: true };
    for family in [V4, V6] {
        let mut header = [0_u8; HEADER_LEN];
        header[0] = family;
        let found = list(GET_ROUTE, &header, ROUTE_COUNT_MAX, parse_route_entry)?;
        all.complete &= found.complete;
        all.items.extend(found);
    }
    for hop in all.items.iter_mut().flat_map(|entry| &mut entry.hops).filter(|hop| hop.interface != 0) {
        hop.interface_name = names.of(hop.interface);
    }
    Ok(all)
}

/// Reads one route of a dump; `None` for learned exceptions and what is no unicast family's.
pub fn parse_route_entry(message: &[u8]) -> Option<RouteEntry> {
    let head = message.first_chunk::<HEADER_LEN>()?;
    let any: IpAddr = match head[0] {
        V4 => Ipv4Addr::UNSPECIFIED.into(),
        V6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    if ne32(&head[8..]) & FLAG_CLONED != 0 {
        return None;
    }
    let mut entry = RouteEntry {
        kind: RouteKind::from_number(head[7]),
        to: Prefix { address: any, length: head[1] },
        from: None,
        table: u32::from(head[4]),
        metric: 0,
        source: None,
        mtu: None,
        hops: Vec::new(),
    };
    let mut single = NextHop { weight: 1, flags: head[8], ..NextHop::default() };
    for (kind, value) in attributes(message.get(HEADER_LEN..)?) {
        match kind {
            1 => entry.to.address = address(value).unwrap_or(any),
            2 => entry.from = address(value).map(|address| Prefix { address, length: head[2] }),
            4 => single.interface = ne32(value),
            5 => single.gateway = address(value),
            6 => entry.metric = ne32(value),
            7 => entry.source = address(value),
            8 => entry.mtu = metric_mtu(value),
            9 => entry.hops = next_hops(value),
            15 => entry.table = ne32(value),
            18 => single.gateway = value.get(2..).and_then(address),
            _ => {}
        }
    }
    if entry.hops.is_empty() && (single.interface != 0 || single.gateway.is_some()) {
        entry.hops.push(single);
    }
    Some(entry)
}

/// RTAX_MTU of RTA_METRICS.
pub(super) fn metric_mtu(metrics: &[u8]) -> Option<u32> {
    attributes(metrics).find(|(kind, _)| *kind == 2).map(|(_, value)| ne32(value)).filter(|mtu| *mtu != 0)
}

/// RTA_MULTIPATH: struct rtnexthop {length, flags, hops, interface} and attributes, again and again.
fn next_hops(mut bytes: &[u8]) -> Vec<NextHop> {
    let mut hops = Vec::new();
    while let Some(head) = bytes.first_chunk::<8>() {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let Some(inside) = bytes.get(8..length).filter(|_| hops.len() < NEXT_HOP_COUNT_MAX) else { break };
        let mut hop = NextHop {
            interface: ne32(&head[4..]),
            weight: u16::from(head[3]) + 1,
            flags: head[2],
            ..NextHop::default()
        };
        for (kind, value) in attributes(inside) {
            match kind {
                5 => hop.gateway = address(value),
                18 => hop.gateway = value.get(2..).and_then(address),
                _ => {}
            }
        }
        hops.push(hop);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}
