//! Question "local": what this host knows of its own route, ports, clock and counters.

pub(crate) mod counters;
mod neighbour;
mod netlink;
mod resources;

pub(crate) use resources::{few_ports, ports_used};

use netlink::{Interface, Netlink, RouteAnswer};
use netwhy_model::{Case, Evidence, Link, Stamp};
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

const COLLECTOR: &str = "source.local";
/// Most addresses whose route and next hop are looked at.
const ADDRESS_COUNT_MAX: usize = 8;

/// Reads this host's own state for every address of the target.
///
/// Costs a few milliseconds; 1.3 s when a next hop does not answer.
pub async fn local(case: &Case, addresses: &[SocketAddr]) -> Vec<Evidence> {
    let at = Stamp::from(SystemTime::now());
    let case = case.clone();
    let addresses: Vec<SocketAddr> = addresses.iter().copied().take(ADDRESS_COUNT_MAX).collect();
    // Netlink and /proc block for microseconds, the neighbour look for up to a second.
    tokio::task::spawn_blocking(move || look(&case, &addresses, at)).await.unwrap_or_default()
}

/// What one address' route look-up said.
struct Looked {
    address: IpAddr,
    route: RouteAnswer,
}

fn look(case: &Case, addresses: &[SocketAddr], at: Stamp) -> Vec<Evidence> {
    let mut facts = vec![resources::descriptors(at)];
    let Ok(mut netlink) = Netlink::open() else {
        facts.push(Evidence::unread("source.route", Link::SourceHost, at, COLLECTOR, "no netlink socket"));
        return facts;
    };
    let looked: Vec<Looked> = addresses
        .iter()
        .map(|a| Looked { address: a.ip(), route: netlink.route(a.ip(), &case.source) })
        .collect();
    // The family that has a route speaks: an IPv4-only host is not broken for a name with AAAA.
    let Some(main) = looked
        .iter()
        .find(|l| matches!(l.route, RouteAnswer::Route(_)) && l.address.is_ipv4())
        .or_else(|| looked.iter().find(|l| matches!(l.route, RouteAnswer::Route(_))))
        .or_else(|| looked.iter().find(|l| l.address.is_ipv4()))
        .or(looked.first())
    else {
        return facts;
    };
    facts.extend(route(main, at));
    facts.extend(routed(&mut netlink, main, at));
    facts.extend(interface(&mut netlink, main, at));
    if let RouteAnswer::Route(found) = &main.route {
        facts.extend(resources::ttl(main.address, found.interface_name.as_deref(), at));
        facts.extend(neighbour::neighbour(&mut netlink, main.address, found, case, at));
    }
    facts.extend(addresses.iter().find(|a| a.ip() == main.address).and_then(|a| resources::ports(*a, at)));
    facts
}

fn route(main: &Looked, at: Stamp) -> Option<Evidence> {
    let (value, text) = match &main.route {
        RouteAnswer::Route(found) => {
            let via = found.gateway.map_or("on link".to_owned(), |gateway| format!("via {gateway}"));
            let name = found.interface_name.as_deref().unwrap_or("?");
            let source = found.source.map_or(String::new(), |source| format!(" from {source}"));
            ("ok", format!("{} {via} dev {name}{source}", main.address))
        }
        RouteAnswer::Refused(errno) => {
            let value = match *errno {
                libc::ENETUNREACH => "none",
                libc::EINVAL => "blackhole",
                libc::EACCES => "prohibit",
                libc::EHOSTUNREACH => "unreachable",
                _ => return None,
            };
            (value, format!("route to {}: {}", main.address, crate::socket::errno_name(*errno)))
        }
        RouteAnswer::Unknown => return None,
    };
    Some(Evidence::seen("source.route", value, Link::SourceHost, at, COLLECTOR, text))
}

/// Whether a router stands between, as the routing table has it; a tunnel without gateways says nothing.
fn routed(netlink: &mut Netlink, main: &Looked, at: Stamp) -> Option<Evidence> {
    let RouteAnswer::Route(found) = &main.route else { return None };
    let (value, text) = match found.gateway {
        Some(gateway) => ("yes", format!("{} via {gateway}", main.address)),
        None => {
            let link = netlink.links().into_iter().find(|l| l.index == found.interface)?;
            let shared = !link.is_loopback() && link.flags & libc::IFF_POINTOPOINT as u32 == 0;
            (shared.then_some("no")?, format!("{} on the link of {}", main.address, link.name))
        }
    };
    Some(Evidence::seen("path.routed", value, Link::Path, at, COLLECTOR, text))
}

/// The interface the route names; without a route, any that carries traffic.
fn interface(netlink: &mut Netlink, main: &Looked, at: Stamp) -> Option<Evidence> {
    let links = netlink.links();
    let fact = |value: &str, text: String| {
        Some(Evidence::seen("source.interface", value, Link::SourceHost, at, COLLECTOR, text))
    };
    if let RouteAnswer::Route(found) = &main.route {
        let link = links.iter().find(|l| l.index == found.interface)?;
        let text = format!("{}: flags {:#x}, carrier {}", link.name, link.flags, link.carrier());
        return fact(if link.carrier() { "up" } else { "down" }, text);
    }
    let outside: Vec<_> = links.iter().filter(|l| !l.is_loopback()).collect();
    if outside.is_empty() {
        return None;
    }
    let (v4, v6) = (netlink.addressed(false), netlink.addressed(true));
    // Interfaces without any address, such as spare tunnels, are nobody's way out.
    let down = |l: &&&Interface| !l.carrier() && (v4.contains(&l.index) || v6.contains(&l.index));
    if let Some(link) = outside.iter().find(down) {
        return fact("down", format!("{} has an address and no carrier: flags {:#x}", link.name, link.flags));
    }
    if !outside.iter().any(|l| l.carrier()) {
        let names: Vec<&str> = outside.iter().map(|l| l.name.as_str()).collect();
        return fact("down", format!("no interface carries traffic: {}", names.join(", ")));
    }
    if main.address.is_ipv4() && v4.is_empty() {
        return fact("no_address", "no IPv4 address beside the loopback's".to_owned());
    }
    if main.address.is_ipv6() && v6.is_empty() {
        return fact("no_address", "no IPv6 address beside those of the link".to_owned());
    }
    fact("up", "an interface carries traffic".to_owned())
}
