//! Question "local": what this host knows of its own route, ports, clock and counters.

pub(crate) mod counters;
mod neighbour;
mod resources;

pub(crate) use resources::{few_ports, ports_used};

use netwhy_model::{Case, Evidence, Link, Source, Stamp};
use netwhy_netlink::route::{self as rtnetlink, Link as Interface, Route, RouteAnswer, RouteQuery};
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

/// What one address' route look-up said; no answer when the kernel gave none.
struct Looked {
    address: IpAddr,
    answer: Option<RouteAnswer>,
}

impl Looked {
    /// Looks a route up as connect() would, with the source the case asks for.
    fn up(address: IpAddr, source: &Source, links: &[Interface]) -> Looked {
        let named = source.interface.as_ref().and_then(|name| links.iter().find(|link| link.name == *name));
        let query = RouteQuery {
            from: source.address,
            interface_out: named.map(|link| link.index),
            ..RouteQuery::to(address)
        };
        Looked { address, answer: query.ask().ok() }
    }

    fn route(&self) -> Option<&Route> {
        self.answer.as_ref().and_then(RouteAnswer::route)
    }
}

fn look(case: &Case, addresses: &[SocketAddr], at: Stamp) -> Vec<Evidence> {
    let mut facts = vec![resources::descriptors(at)];
    let Ok(links) = rtnetlink::links() else {
        facts.push(Evidence::unread("source.route", Link::SourceHost, at, COLLECTOR, "no netlink socket"));
        return facts;
    };
    let looked: Vec<Looked> = addresses.iter().map(|a| Looked::up(a.ip(), &case.source, &links)).collect();
    // The family that has a route speaks: an IPv4-only host is not broken for a name with AAAA.
    let Some(main) = looked
        .iter()
        .find(|l| l.route().is_some() && l.address.is_ipv4())
        .or_else(|| looked.iter().find(|l| l.route().is_some()))
        .or_else(|| looked.iter().find(|l| l.address.is_ipv4()))
        .or(looked.first())
    else {
        return facts;
    };
    facts.extend(route(main, at));
    facts.extend(routed(&links, main, at));
    facts.extend(interface(&links, main, at));
    if let Some(found) = main.route() {
        facts.extend(resources::ttl(main.address, found.interface_name.as_deref(), at));
        facts.extend(neighbour::neighbour(&links, main.address, found, case, at));
    }
    facts.extend(addresses.iter().find(|a| a.ip() == main.address).and_then(|a| resources::ports(*a, at)));
    facts
}

fn route(main: &Looked, at: Stamp) -> Option<Evidence> {
    let (value, text) = match (main.route(), main.answer.as_ref()?.errno()) {
        (Some(found), _) => {
            let via = found.gateway.map_or("on link".to_owned(), |gateway| format!("via {gateway}"));
            let name = found.interface_name.as_deref().unwrap_or("?");
            let source = found.source.map_or(String::new(), |source| format!(" from {source}"));
            ("ok", format!("{} {via} dev {name}{source}", main.address))
        }
        (None, Some(errno)) => {
            let value = match errno {
                libc::ENETUNREACH => "none",
                libc::EINVAL => "blackhole",
                libc::EACCES => "prohibit",
                libc::EHOSTUNREACH => "unreachable",
                _ => return None,
            };
            (value, format!("route to {}: {}", main.address, crate::socket::errno_name(errno)))
        }
        (None, None) => return None,
    };
    Some(Evidence::seen("source.route", value, Link::SourceHost, at, COLLECTOR, text))
}

/// Whether a router stands between, as the routing table has it; a tunnel without gateways says nothing.
fn routed(links: &[Interface], main: &Looked, at: Stamp) -> Option<Evidence> {
    let found = main.route()?;
    let (value, text) = match found.gateway {
        Some(gateway) => ("yes", format!("{} via {gateway}", main.address)),
        None => {
            let link = links.iter().find(|l| l.index == found.interface)?;
            let shared = !link.loopback() && !link.point_to_point();
            (shared.then_some("no")?, format!("{} on the link of {}", main.address, link.name))
        }
    };
    Some(Evidence::seen("path.routed", value, Link::Path, at, COLLECTOR, text))
}

/// The interface the route names; without a route, any that carries traffic.
fn interface(links: &[Interface], main: &Looked, at: Stamp) -> Option<Evidence> {
    let fact = |value: &str, text: String| {
        Some(Evidence::seen("source.interface", value, Link::SourceHost, at, COLLECTOR, text))
    };
    if let Some(found) = main.route() {
        let link = links.iter().find(|l| l.index == found.interface)?;
        let text = format!("{}: flags {:#x}, carrier {}", link.name, link.flags, link.carrier());
        return fact(if link.carrier() { "up" } else { "down" }, text);
    }
    let outside: Vec<_> = links.iter().filter(|l| !l.loopback()).collect();
    if outside.is_empty() {
        return None;
    }
    let (v4, v6) = (addressed(false), addressed(true));
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

/// The interfaces that have an address of a family, the loopback's own aside: those have scope host.
fn addressed(v6: bool) -> Vec<u32> {
    let Ok(own) = rtnetlink::addresses() else { return Vec::new() };
    own.iter().filter(|a| a.prefix.address.is_ipv6() == v6 && a.global()).map(|a| a.interface).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_loopback_has_a_route_everywhere() {
        let links = rtnetlink::links().unwrap();
        assert!(links.iter().any(Interface::loopback));
        let looked = Looked::up(Ipv4Addr::LOCALHOST.into(), &Source::default(), &links);
        assert!(looked.route().unwrap().to_self());
    }
}
