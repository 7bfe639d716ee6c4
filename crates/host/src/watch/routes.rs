//! Where this host would send its answers, and what it would do with packets it forwards.

use netwhy_model::host::LocalRoute;
use netwhy_netlink::NetlinkError;
use netwhy_netlink::route::{self, Link, Route, RouteAnswer, RouteQuery};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Look-ups of one look.
const LOOKUP_COUNT_MAX: usize = 64;

/// Onward destinations looked up.
const ONWARD_COUNT_MAX: usize = 8;

/// One packet whose way is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    pub to: IpAddr,
    pub from: Option<IpAddr>,
    /// The interface it comes in by, when it is another host's.
    pub interface_in: Option<u32>,
}

/// Who talks to whom, as far as the watch knows.
#[derive(Debug, Default)]
pub(super) struct Parties {
    pub own: BTreeSet<IpAddr>,
    pub targets: Vec<IpAddr>,
    pub sources: Vec<IpAddr>,
    /// (address asked, source, interface) of packets that came for the port.
    pub knockers: Vec<(IpAddr, IpAddr, u32)>,
    /// Where connections go on to that begin here, or are translated here; the likeliest first.
    pub onward: Vec<IpAddr>,
    pub forwards: bool,
}

impl Parties {
    /// The ways worth asking for: back to each source, on to each target, and between them on a router.
    pub(super) fn ways(&self) -> Vec<Way> {
        let mut ways = BTreeSet::new();
        for (asked, source, interface) in &self.knockers {
            if self.own.contains(asked) {
                ways.insert(plain(*source));
                ways.insert(Way { from: Some(*asked), ..plain(*source) });
            } else if self.forwards && !self.own.contains(source) {
                ways.insert(Way { to: *asked, from: Some(*source), interface_in: Some(*interface) });
                ways.insert(plain(*asked));
                ways.extend(back(*source, *asked));
            }
        }
        for source in self.sources.iter().filter(|source| !self.own.contains(source)) {
            ways.insert(plain(*source));
            for own in self.targets.iter().filter(|t| self.own.contains(t) && same_family(t, source)) {
                ways.insert(Way { from: Some(*own), ..plain(*source) });
            }
        }
        for target in self.targets.iter().filter(|target| !self.own.contains(target)) {
            ways.insert(plain(*target));
            for own in self.sources.iter().filter(|s| self.own.contains(s) && same_family(s, target)) {
                ways.insert(Way { from: Some(*own), ..plain(*target) });
            }
            for source in self.sources.iter().filter(|s| !self.own.contains(s) && same_family(s, target)) {
                if self.forwards {
                    // The source's packets come in where answers to it would go out, as far as can be told.
                    ways.extend(back(*target, *source));
                    ways.extend(back(*source, *target));
                }
            }
        }
        ways.extend(self.onward.iter().take(ONWARD_COUNT_MAX).map(|to| plain(*to)));
        ways.into_iter().take(LOOKUP_COUNT_MAX).collect()
    }
}

fn plain(to: IpAddr) -> Way {
    Way { to, from: None, interface_in: None }
}

/// A forwarded packet to `to`, coming in by the interface that leads to its sender.
fn back(to: IpAddr, sender: IpAddr) -> Option<Way> {
    let answer = RouteQuery::to(sender).ask().ok()?;
    let interface_in = Some(answer.route()?.interface);
    Some(Way { to, from: Some(sender), interface_in })
}

fn same_family(one: &IpAddr, other: &IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

/// Asks the kernel for every way; what it refuses is an answer too.
pub(super) fn look_up(ways: &[Way], links: &[Link]) -> Result<Vec<LocalRoute>, NetlinkError> {
    ways.iter()
        .map(|way| {
            let query =
                RouteQuery { from: way.from, interface_in: way.interface_in, ..RouteQuery::to(way.to) };
            Ok(local_route(way, &query.ask()?, links))
        })
        .collect()
}

fn local_route(way: &Way, answer: &RouteAnswer, links: &[Link]) -> LocalRoute {
    let kind = answer.kind_name().to_owned();
    let mut found = LocalRoute {
        to: way.to,
        from: way.from,
        kind,
        interface: String::new(),
        gateway: None,
        table: 0,
        mtu: None,
        rule: None,
        neighbour: String::new(),
    };
    if !matches!(found.kind.as_str(), "unicast" | "local") {
        found.rule = ruled(way);
    }
    let RouteAnswer::Route(route) = answer else { return found };
    let link = links.iter().find(|link| link.index == route.interface);
    found.interface = route.interface_name.clone().unwrap_or_default();
    found.gateway = route.gateway;
    found.table = route.table;
    found.mtu = route.mtu.filter(|mtu| link.is_none_or(|link| *mtu < link.mtu));
    if answer.errno().is_none() && !route.to_self() && link.is_none_or(|link| !link.needs_no_neighbour()) {
        found.neighbour = next_hop_state(route, way.to);
    }
    found
}

/// The first policy rule beside the three usual ones that speaks of the addresses of this way.
fn ruled(way: &Way) -> Option<String> {
    /// The rules every host has: local, main, default (net/ipv4/fib_rules.c).
    const USUAL: [u32; 3] = [0, 32_766, 32_767];
    let rules = route::rules().ok()?;
    let speaks = |rule: &&route::PolicyRule| {
        let from = rule.from.is_none_or(|prefix| way.from.is_some_and(|from| prefix.contains(from)));
        let to = rule.to.is_none_or(|prefix| prefix.contains(way.to));
        rule.v6 != way.to.is_ipv4()
            && !USUAL.contains(&rule.priority)
            && (rule.from.is_some() || rule.to.is_some())
            && from
            && to
    };
    rules.iter().find(speaks).map(ToString::to_string)
}

fn next_hop_state(route: &Route, to: IpAddr) -> String {
    let hop = route.gateway.unwrap_or(to);
    match route::neighbour(hop, route.interface) {
        Ok(Some(entry)) => entry.state_name().to_owned(),
        Ok(None) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn answers_are_asked_for_from_the_address_that_was_asked() {
        let parties = Parties {
            own: BTreeSet::from([ip("10.0.0.2")]),
            targets: vec![ip("10.0.0.2")],
            sources: vec![ip("10.9.0.1")],
            knockers: vec![(ip("10.0.0.2"), ip("10.9.0.7"), 2)],
            ..Parties::default()
        };
        let ways = parties.ways();
        for source in ["10.9.0.1", "10.9.0.7"] {
            assert!(ways.contains(&plain(ip(source))));
            assert!(ways.contains(&Way { from: Some(ip("10.0.0.2")), ..plain(ip(source)) }));
        }
        assert_eq!(ways.len(), 4);
    }

    #[test]
    fn the_loopback_is_local() {
        let links = route::links().unwrap();
        let found = look_up(&[plain(ip("127.0.0.1"))], &links).unwrap();
        assert_eq!((found[0].kind.as_str(), found[0].interface.as_str()), ("local", "lo"));
        assert_eq!(found[0].neighbour, "");
    }
}
