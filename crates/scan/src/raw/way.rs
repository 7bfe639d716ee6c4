//! How packets get to the hosts: routes asked of the kernel, grouped by interface, gateway and source.

use super::frame::{Mac, Template};
use super::link::Sender;
use super::neighbour;
use super::sys;
use crate::{Plan, ScanError};
use netwhy_netlink::route::{self, Link, Prefix, RouteAnswer, RouteQuery};
use std::collections::HashMap;
use std::net::IpAddr;

/// Hosts up to which every one's route is asked for; beyond, one a stretch that no routing table divides.
const ASKED_ONE_BY_ONE_COUNT_MAX: usize = 64;
/// Ways kept apart. Each has a batch of its own.
const GROUP_COUNT_MAX: usize = 256;

/// Where a host's packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostWay {
    /// A group, and the station the frame is for.
    Through { group: u16, next: Mac },
    /// No station with this address answered on the link.
    NoNeighbour,
    /// The errno of the look-up.
    NoRoute(i32),
}

/// Hosts that share interface, gateway and source.
#[derive(Debug)]
pub struct Group {
    pub sender: Sender,
    pub template: Template,
    pub source: IpAddr,
    pub interface_name: String,
}

/// All ways of a block of hosts.
#[derive(Debug)]
pub struct Ways {
    pub groups: Vec<Group>,
    pub hosts: Vec<HostWay>,
}

/// What distinguishes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Via {
    interface: u32,
    gateway: Option<IpAddr>,
    source: IpAddr,
    local: bool,
}

impl Ways {
    /// Finds the way to each host.
    pub fn find(hosts: &[IpAddr], plan: &Plan) -> Result<Ways, ScanError> {
        let links = route::links().map_err(|error| netlink_error("listing the interfaces", error))?;
        let forced = interface_index(plan, &links)?;
        let vias = look_up(hosts, plan, forced)?;
        let mut numbers: HashMap<Via, u16> = HashMap::new();
        let mut ways = Ways { groups: Vec::new(), hosts: Vec::with_capacity(hosts.len()) };
        let mut wanted: HashMap<u16, Vec<IpAddr>> = HashMap::new();
        for (&host, via) in hosts.iter().zip(&vias) {
            let way = match via {
                Err(errno) => HostWay::NoRoute(*errno),
                Ok(via) => {
                    let number = match numbers.get(via) {
                        Some(&number) => number,
                        None if ways.groups.len() < GROUP_COUNT_MAX => {
                            ways.groups.push(group(via, &links, plan)?);
                            let number = (ways.groups.len() - 1) as u16;
                            numbers.insert(*via, number);
                            number
                        }
                        None => 0,
                    };
                    if needs_neighbour(via, &links) {
                        let next = via.gateway.unwrap_or(host);
                        let targets = wanted.entry(number).or_default();
                        if via.gateway.is_none() || targets.is_empty() {
                            targets.push(next);
                        }
                    }
                    HostWay::Through { group: number, next: [0; 6] }
                }
            };
            ways.hosts.push(way);
        }
        for (via, number) in &numbers {
            let Some(targets) = wanted.get(number) else { continue };
            let Some(link) = links.iter().find(|link| link.index == via.interface) else { continue };
            let found = neighbour::resolve(link, via.source, targets)?;
            ways.place(*number, via.gateway, hosts, &found);
        }
        Ok(ways)
    }

    /// Source addresses in use, each once.
    pub fn sources(&self) -> Vec<IpAddr> {
        let mut sources: Vec<IpAddr> = self.groups.iter().map(|group| group.source).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    fn place(
        &mut self,
        number: u16,
        gateway: Option<IpAddr>,
        hosts: &[IpAddr],
        found: &HashMap<IpAddr, Mac>,
    ) {
        for (way, host) in self.hosts.iter_mut().zip(hosts) {
            if let HostWay::Through { group, next } = way
                && *group == number
            {
                match (found.get(&gateway.unwrap_or(*host)), gateway) {
                    (Some(mac), _) => *next = *mac,
                    (None, Some(_)) => *way = HostWay::NoRoute(libc::EHOSTUNREACH),
                    (None, None) => *way = HostWay::NoNeighbour,
                }
            }
        }
    }
}

fn interface_index(plan: &Plan, links: &[Link]) -> Result<Option<u32>, ScanError> {
    let Some(name) = &plan.interface else { return Ok(None) };
    match links.iter().find(|link| link.name == *name) {
        Some(link) if link.up() => Ok(Some(link.index)),
        Some(_) => Err(ScanError::InterfaceDown { name: name.clone(), asked: 0 }),
        None => Err(ScanError::Input {
            place: name.clone(),
            problem: "there is no such interface".to_owned(),
            hint: "see ip link".to_owned(),
        }),
    }
}

fn needs_neighbour(via: &Via, links: &[Link]) -> bool {
    !via.local && links.iter().any(|link| link.index == via.interface && is_ethernet(link))
}

fn is_ethernet(link: &Link) -> bool {
    link.mac.is_some() && !link.needs_no_neighbour()
}

fn group(via: &Via, links: &[Link], plan: &Plan) -> Result<Group, ScanError> {
    let link = links.iter().find(|link| link.index == via.interface);
    let interface_name = link.map_or_else(String::new, |link| link.name.clone());
    if link.is_some_and(|link| !link.up()) {
        return Err(ScanError::InterfaceDown { name: interface_name, asked: 0 });
    }
    let ethernet = link.filter(|link| is_ethernet(link) && !via.local).and_then(|link| link.mac);
    let sender = match ethernet {
        Some(_) => Sender::ethernet(via.interface)?,
        None => Sender::routed(via.source.is_ipv6(), plan.interface.as_deref().filter(|_| !via.local))?,
    };
    Ok(Group { sender, template: Template::new(via.source, ethernet), source: via.source, interface_name })
}

/// The way of each host, or the errno of its look-up.
fn look_up(
    hosts: &[IpAddr],
    plan: &Plan,
    interface: Option<u32>,
) -> Result<Vec<Result<Via, i32>>, ScanError> {
    let ask = |host: IpAddr| -> Result<Result<Via, i32>, ScanError> {
        let query = RouteQuery { from: plan.source, interface_out: interface, ..RouteQuery::to(host) };
        let answer = query.ask().map_err(|error| netlink_error("asking for a route", error))?;
        Ok(via_of(&answer, plan, host))
    };
    if hosts.len() <= ASKED_ONE_BY_ONE_COUNT_MAX {
        return hosts.iter().map(|&host| ask(host)).collect();
    }
    let borders = borders()?;
    let mut found = Vec::with_capacity(hosts.len());
    let mut last: Option<(usize, Result<Via, i32>)> = None;
    for &host in hosts {
        let stretch = borders.partition_point(|&border| border <= line(host));
        let via = match &last {
            Some((at, via)) if *at == stretch => *via,
            _ => ask(host)?,
        };
        last = Some((stretch, via));
        found.push(via);
    }
    Ok(found)
}

fn via_of(answer: &RouteAnswer, plan: &Plan, host: IpAddr) -> Result<Via, i32> {
    let Some(route) = answer.route() else { return Err(answer.errno().unwrap_or(libc::ENETUNREACH)) };
    let own = plan.source.filter(|source| source.is_ipv4() == host.is_ipv4());
    let source = own.or(route.source).ok_or(libc::EADDRNOTAVAIL)?;
    Ok(Via { interface: route.interface, gateway: route.gateway, source, local: route.to_self() })
}

/// Where on the line of addresses any route of any table begins or ends: between two of them all hosts go one way.
fn borders() -> Result<Vec<u128>, ScanError> {
    let routes = route::routes().map_err(|error| netlink_error("listing the routes", error))?;
    let mut borders = Vec::with_capacity(routes.len() * 2);
    for entry in routes.iter() {
        let Prefix { address, length } = entry.to;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let first = line(address);
        borders.push(first);
        let size = 1_u128.checked_shl(width - u32::from(length).min(width)).unwrap_or(0);
        borders.extend(first.checked_add(size));
    }
    borders.sort_unstable();
    borders.dedup();
    Ok(borders)
}

/// IPv4 lies within IPv6 as its mapped addresses.
fn line(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn netlink_error(doing: &str, error: netwhy_netlink::NetlinkError) -> ScanError {
    let errno = error.errno().unwrap_or(libc::ETIMEDOUT);
    sys::system(doing, std::io::Error::from_raw_os_error(errno))
}
