//! Whether the next hop answers on its link, and whether two stations do.

use super::COLLECTOR;
use crate::tap::{Seen, Tap, What, send_link};
use netwhy_model::{Case, Evidence, Link, Stamp};
use netwhy_netlink::route::{Link as Interface, Neighbour, Route, neighbour as entry, neighbour_state};
use netwhy_wire::{Arp, ArpOperation, IpBuild, NeighbourSolicitBuild, protocol};
use socket2::{Protocol, SockAddr, Type};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Requests go out at these times, in milliseconds; a busy peer may miss one.
const ASK_MS: [u64; 3] = [0, 300, 750];
/// Without an answer until then the next hop counts as failed.
const WAIT: Duration = Duration::from_millis(1_250);
/// A second station answers within so long after the first.
const SECOND_STATION: Duration = Duration::from_millis(12);
const PAUSE: Duration = Duration::from_millis(1);
/// The discard port: where a datagram goes that is only to make the kernel look for its neighbour.
const DISCARD_PORT: u16 = 9;

/// Asks the next hop for its link-layer address, on the wire when allowed, else through the kernel.
pub(super) fn neighbour(
    links: &[Interface],
    address: IpAddr,
    route: &Route,
    case: &Case,
    at: Stamp,
) -> Vec<Evidence> {
    let fact = |fact: &str, link: Link, value: &str, text: String| {
        Evidence::seen(fact, value, link, at, COLLECTOR, text)
    };
    let Some(link) = links.iter().find(|l| l.index == route.interface) else {
        return Vec::new();
    };
    if route.to_self() || link.needs_no_neighbour() {
        let text = format!("{} needs no neighbour", link.name);
        return vec![fact("source.neighbour", Link::SourceHost, "not_needed", text)];
    }
    if !link.carrier() {
        return Vec::new();
    }
    let hop = route.gateway.unwrap_or(address);
    let known = entry(hop, route.interface).ok().flatten();
    let failed = if route.gateway.is_some() { "gateway_failed" } else { "target_failed" };
    let Some(stations) = ask_wire(hop, route, link) else {
        return by_kernel(address, hop, route, case)
            .map(|(ok, text)| {
                vec![fact("source.neighbour", Link::SourceHost, if ok { "ok" } else { failed }, text)]
            })
            .unwrap_or_default();
    };
    let list = stations.iter().map(|mac| mac_text(*mac)).collect::<Vec<_>>().join(" and ");
    let permanent = known.filter(|k| k.state & neighbour_state::PERMANENT != 0).and_then(|k| k.mac);
    let (value, text) = match (stations.is_empty(), permanent) {
        (false, Some(mac)) if !stations.contains(&mac) => {
            ("wrong_mac", format!("{hop} is at {list}, the static entry says {}", mac_text(mac)))
        }
        (false, _) => ("ok", format!("{hop} is at {list}")),
        (true, Some(mac)) => ("ok", format!("{hop} has a static entry, {}", mac_text(mac))),
        (true, None) => {
            (failed, format!("{hop} answered none of {} requests in {} ms", ASK_MS.len(), WAIT.as_millis()))
        }
    };
    let mut facts = vec![fact("source.neighbour", Link::SourceHost, value, text)];
    if !stations.is_empty() {
        let value = if stations.len() > 1 { "yes" } else { "no" };
        facts.push(fact("source.duplicate_mac", Link::Path, value, format!("{hop} is at {list}")));
    }
    facts
}

/// The stations that answer for an address; `None` without CAP_NET_RAW.
fn ask_wire(hop: IpAddr, route: &Route, link: &Interface) -> Option<BTreeSet<[u8; 6]>> {
    let (mac, source) = (link.mac?, route.source?);
    let mut tap = Tap::open(&[]).ok()?;
    let began = Instant::now();
    let mut asked = 0;
    let mut first: Option<Instant> = None;
    let mut confirmed = false;
    while began.elapsed() < WAIT {
        let due = ASK_MS.get(asked).is_some_and(|ms| began.elapsed() >= Duration::from_millis(*ms));
        if due && first.is_none() {
            send_request(hop, source, mac, route.interface).ok()?;
            asked += 1;
        }
        let stations = stations(tap.drain(), hop, mac);
        match first {
            None if !stations.is_empty() => first = Some(Instant::now()),
            Some(when) if when.elapsed() >= SECOND_STATION => {
                if stations.len() < 2 || confirmed {
                    return Some(stations);
                }
                // Two stations are an accusation: both must answer a second request too.
                confirmed = true;
                tap = Tap::open(&[]).ok()?;
                first = Some(Instant::now());
                send_request(hop, source, mac, route.interface).ok()?;
            }
            _ => {}
        }
        std::thread::sleep(PAUSE);
    }
    Some(stations(tap.drain(), hop, mac))
}

fn stations(seen: &[Seen], hop: IpAddr, own: [u8; 6]) -> BTreeSet<[u8; 6]> {
    seen.iter()
        .filter(|s| !s.outgoing)
        .filter_map(|s| match (&s.what, hop) {
            (What::Arp(arp), IpAddr::V4(v4)) if arp.sender == v4 && arp.operation == ArpOperation::Reply => {
                Some(arp.sender_mac)
            }
            (What::Advert { target, mac }, IpAddr::V6(v6)) if *target == v6 => mac.or(s.mac),
            _ => None,
        })
        .filter(|mac| *mac != own)
        .collect()
}

fn send_request(hop: IpAddr, source: IpAddr, mac: [u8; 6], interface: u32) -> std::io::Result<()> {
    match (hop, source) {
        (IpAddr::V4(target), IpAddr::V4(sender)) => {
            let arp =
                Arp { operation: ArpOperation::Request, sender_mac: mac, sender, target_mac: [0; 6], target };
            send_link(interface, libc::ETH_P_ARP as u16, [0xff; 6], &arp.bytes())
        }
        (IpAddr::V6(target), source) => {
            let group: Ipv6Addr = NeighbourSolicitBuild::group(target);
            let message = NeighbourSolicitBuild { target, sender_mac: mac }.bytes(source, group.into());
            let header =
                IpBuild { source, destination: group.into(), ttl: 255, ident: 0, dont_fragment: true };
            let packet =
                header.wrap(protocol::ICMPV6, &message).map_err(|e| std::io::Error::other(e.to_string()))?;
            let [.., a, b, c, d] = group.octets();
            send_link(interface, libc::ETH_P_IPV6 as u16, [0x33, 0x33, a, b, c, d], &packet)
        }
        _ => Err(std::io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
    }
}

/// Makes the kernel look for its neighbour and reads what became of it.
fn by_kernel(address: IpAddr, hop: IpAddr, route: &Route, case: &Case) -> Option<(bool, String)> {
    let remote = SocketAddr::new(address, DISCARD_PORT);
    let socket = crate::socket::open(&case.source, remote, Type::DGRAM, Protocol::UDP).ok()?;
    let began = Instant::now();
    let mut last: Option<Neighbour> = None;
    // An error here shows in the state below.
    let _ = socket.send_to(&[0], &SockAddr::from(remote));
    while began.elapsed() < WAIT {
        last = entry(hop, route.interface).ok().flatten();
        match &last {
            Some(known) if !known.unresolved() => {
                return Some((true, format!("{hop} is at {}", known.mac.map_or("?".to_owned(), mac_text))));
            }
            _ => std::thread::sleep(PAUSE),
        }
    }
    last.map(|known| {
        (false, format!("{hop} not resolved in {} ms, state {:#x}", WAIT.as_millis(), known.state))
    })
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
