//! Interfaces, addresses, neighbours and routes, as far as they matter to a connection.

mod xfrm;

pub(crate) use xfrm::policies;

use crate::files::{Gaps, chain};
use netwhy_model::host::{Interface, Neighbour};
use netwhy_netlink::NetlinkError;
use netwhy_netlink::route::{self, Link, Listed, NextHop, RouteEntry, RouteKind, XdpMode};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Interfaces shown.
const INTERFACE_COUNT_MAX: usize = 512;
/// Addresses shown of one interface.
const ADDRESS_COUNT_MAX: usize = 64;
/// Neighbours shown.
const NEIGHBOUR_COUNT_MAX: usize = 64;
/// Routes and rules shown.
const ROUTE_COUNT_MAX: usize = 200;
/// Hooks shown of one interface.
const HOOK_COUNT_MAX: usize = 16;
/// The table of this host's own addresses and broadcasts.
const TABLE_LOCAL: u32 = 255;
const TABLE_MAIN: u32 = 254;

/// What rtnetlink says of this network namespace.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) neighbours: Vec<Neighbour>,
    pub(crate) routes: Vec<String>,
    pub(crate) names: BTreeMap<u32, String>,
    /// Interfaces whose kind never carries traffic of its own accord: bridges and the like, without a carrier.
    pub(crate) kinds: BTreeMap<String, String>,
    pub(crate) gateways: BTreeSet<IpAddr>,
    /// Interfaces that a default route leaves by.
    pub(crate) default_interfaces: BTreeSet<String>,
    pub(crate) packets_sent: u64,
    pub(crate) bytes_sent: u64,
    /// Entries of the neighbour table by family.
    pub(crate) neighbour_counts: (u64, u64),
}

/// Reads all of it; what fails is noted and the rest goes on.
pub(crate) fn read(gaps: &mut Gaps) -> Network {
    let mut network = Network::default();
    let links = listed(route::links(), "interfaces", gaps);
    for link in links.iter().take(INTERFACE_COUNT_MAX) {
        network.names.insert(link.index, link.name.clone());
        network.kinds.insert(link.name.clone(), link.kind.clone());
        network.interfaces.push(interface(link));
        if !link.loopback() {
            network.packets_sent += link.counters.sent_packets;
            network.bytes_sent += link.counters.sent_bytes;
        }
    }
    add_addresses(&mut network, gaps);
    add_disciplines(&mut network, gaps);
    let rules = listed(route::rules(), "policy rules", gaps);
    network.routes.extend(rules.iter().take(ROUTE_COUNT_MAX).map(ToString::to_string));
    let routes = listed(route::routes(), "routes", gaps);
    add_routes(&mut network, &routes);
    let neighbours = listed(route::neighbours(), "neighbours", gaps);
    add_neighbours(&mut network, &neighbours);
    network
}

/// Packets that each interface's root discipline dropped, by the interface's name.
pub(crate) fn sending_drops() -> BTreeMap<String, u64> {
    let mut drops = BTreeMap::new();
    for qdisc in route::qdiscs().map(|listed| listed.items).unwrap_or_default() {
        if qdisc.root() && !qdisc.filters_only() {
            *drops.entry(qdisc.interface_name).or_default() += u64::from(qdisc.drops);
        }
    }
    drops
}

fn listed<T>(read: Result<Listed<T>, NetlinkError>, what: &str, gaps: &mut Gaps) -> Vec<T> {
    match read {
        Ok(list) => {
            if !list.complete {
                gaps.note(what, "the table is longer than is read, or changed meanwhile", false);
            }
            list.items
        }
        Err(error) => {
            gaps.note(what, chain(&error), matches!(error.errno(), Some(libc::EPERM | libc::EACCES)));
            Vec::new()
        }
    }
}

fn interface(link: &Link) -> Interface {
    let counters = &link.counters;
    Interface {
        index: link.index,
        name: link.name.clone(),
        up: link.up(),
        carrier: link.carrier(),
        mtu: link.mtu,
        addresses: Vec::new(),
        rx_errors: counters.receive_errors,
        // The receiver's full ring is told apart by the kernel alone; to the packet it is the same.
        rx_dropped: counters.receive_dropped + counters.receive_missed,
        tx_errors: counters.send_errors,
        tx_dropped: counters.send_dropped,
        carrier_changes: link.carrier_changes.into(),
        qdisc: Some(link.qdisc.clone()).filter(|name| !name.is_empty()),
        qdisc_drops: 0,
        hooks: link.xdp.iter().map(|xdp| format!("xdp {} id {}", mode(xdp.mode), xdp.program)).collect(),
    }
}

fn mode(mode: XdpMode) -> &'static str {
    match mode {
        XdpMode::Driver => "driver",
        XdpMode::Generic => "generic",
        XdpMode::Hardware => "hardware",
    }
}

fn add_addresses(network: &mut Network, gaps: &mut Gaps) {
    let addresses = listed(route::addresses(), "addresses", gaps);
    for own in &addresses {
        let Some(interface) = network.interfaces.iter_mut().find(|i| i.index == own.interface) else {
            continue;
        };
        if interface.addresses.len() >= ADDRESS_COUNT_MAX {
            continue;
        }
        let mut text = format!("{}/{}", own.prefix.address, own.prefix.length);
        if own.duplicate() {
            text.push_str(" duplicate");
        } else if own.tentative() {
            text.push_str(" tentative");
        } else if own.deprecated() {
            text.push_str(" deprecated");
        }
        interface.addresses.push(text);
    }
}

fn add_disciplines(network: &mut Network, gaps: &mut Gaps) {
    for qdisc in listed(route::qdiscs(), "queueing disciplines", gaps) {
        let Some(interface) = network.interfaces.iter_mut().find(|i| i.index == qdisc.interface) else {
            continue;
        };
        if qdisc.filters_only() {
            interface.hooks.push(qdisc.kind.clone());
        } else if qdisc.root() {
            interface.qdisc_drops += u64::from(qdisc.drops);
            interface.qdisc = Some(qdisc.kind.clone());
        }
    }
    for filter in listed(route::filters(), "traffic control filters", gaps) {
        let Some(interface) = network.interfaces.iter_mut().find(|i| i.index == filter.interface) else {
            continue;
        };
        if interface.hooks.len() < HOOK_COUNT_MAX {
            let drops: u64 = filter.actions.iter().map(|action| u64::from(action.drops)).sum();
            let counted = if drops > 0 { format!(", {drops} dropped") } else { String::new() };
            interface.hooks.push(format!("tc {filter}{counted}"));
        }
    }
}

fn add_routes(network: &mut Network, routes: &[RouteEntry]) {
    let mut shown: Vec<&RouteEntry> = routes.iter().filter(|entry| is_shown(entry)).collect();
    // Long tables of a router would hide what decides: defaults, refusals and other tables come first.
    shown.sort_by_key(|entry| {
        entry.to.length != 0 && entry.kind == RouteKind::Unicast && entry.table == TABLE_MAIN
    });
    for entry in &shown {
        let is_default = entry.to.length == 0 && entry.kind == RouteKind::Unicast;
        for hop in &entry.hops {
            network.gateways.extend(hop.gateway);
            if is_default {
                network.default_interfaces.insert(hop.interface_name.clone());
            }
        }
        if network.routes.len() < ROUTE_COUNT_MAX {
            network.routes.push(entry.to_string());
        }
    }
}

fn is_shown(entry: &RouteEntry) -> bool {
    let plain = matches!(
        entry.kind,
        RouteKind::Local | RouteKind::Broadcast | RouteKind::Anycast | RouteKind::Multicast
    );
    // IPv6 keeps one multicast and one link-local route per interface, and refuses what has none.
    let noise = entry.table == TABLE_LOCAL
        || entry.to.to_string() == "fe80::/64"
        || entry.kind == RouteKind::Unreachable
            && entry.hops.iter().any(is_loopback)
            && entry.metric == u32::MAX;
    !plain && !noise
}

fn is_loopback(hop: &NextHop) -> bool {
    hop.interface_name == "lo"
}

/// Gateways, and entries that are not resolved.
fn add_neighbours(network: &mut Network, all: &[route::Neighbour]) {
    let (v4, v6): (Vec<_>, Vec<_>) = all.iter().partition(|entry| entry.address.is_ipv4());
    network.neighbour_counts = (v4.len() as u64, v6.len() as u64);
    let mut shown: Vec<&route::Neighbour> =
        all.iter().filter(|entry| entry.unresolved() || network.gateways.contains(&entry.address)).collect();
    shown.sort_by_key(|entry| (!network.gateways.contains(&entry.address), entry.address));
    shown.truncate(NEIGHBOUR_COUNT_MAX);
    network.neighbours = shown
        .into_iter()
        .map(|entry| Neighbour {
            address: entry.address,
            interface: entry.interface_name.clone(),
            mac: entry.mac.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":")),
            state: entry.state_name().to_owned(),
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_among_the_interfaces() {
        let mut gaps = Gaps::default();
        let network = read(&mut gaps);
        let loopback = network.interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        assert!(loopback.mtu > 0);
        assert!(network.names.values().any(|name| name == "lo"));
    }
}
