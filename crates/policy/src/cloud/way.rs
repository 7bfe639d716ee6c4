//! The way of a packet through a cloud: outbound gates, routes, inbound gates; and what comes back.

mod ends;
mod packets;

use super::route::{Hop, Route, lookup};
use super::{Cloud, Exit, Guard};
use crate::estate::{Ask, Look, Step, Way};
use crate::place::{Place, both};
use crate::read::Span;
use ends::{Link, Point};
use netwhy_model::Text;
use std::net::IpAddr;

pub(crate) use ends::internet;

/// How many pairs of interfaces one question may mean.
const PAIR_COUNT_MAX: usize = 64;

/// Every step of the way that this cloud governs.
pub(super) fn way(cloud: &Cloud, ask: &Ask) -> Vec<Step> {
    let (from, to) = (ends::points(cloud, &ask.from), ends::points(cloud, &ask.to));
    let known = from.iter().chain(&to).any(Point::is_known);
    if !known {
        return loose(cloud, ask, &from, &to);
    }
    let mut steps = Vec::new();
    for (pairs, (from, to)) in ends::pairs(cloud, ask, &from, &to).into_iter().enumerate() {
        if pairs >= PAIR_COUNT_MAX {
            steps.push(too_many(from.place(cloud)));
            break;
        }
        let mut walk = Walk { cloud, ask, steps: Vec::new() };
        walk.pair(from, to);
        steps.extend(walk.steps);
    }
    steps
}

fn too_many(place: Place) -> Step {
    let on = both(
        "the question means more than 64 pairs of interfaces: ask for fewer addresses at once",
        "该问题涉及超过 64 对网卡：请缩小地址范围",
    );
    Step { what: on.clone(), way: Way::There, look: Look::Depends { on, place } }
}

/// Nobody in the files has the addresses: the one list there is answers by its inbound rules.
fn loose(cloud: &Cloud, ask: &Ask, from: &[Point], to: &[Point]) -> Vec<Step> {
    let (Some(from), Some(to), Some(first)) = (from.first(), to.first(), cloud.loose.first()) else {
        return Vec::new();
    };
    if cloud.loose.len() > 1 {
        let on = both(
            format!(
                "which of the {} lists of rules guards the destination: no file tells",
                cloud.loose.len()
            ),
            format!("目标受 {} 个规则列表中的哪一个保护：文件中没有说明", cloud.loose.len()),
        );
        let look = Look::Depends { on: on.clone(), place: first.gate.place.clone() };
        return vec![Step { what: on, way: Way::There, look }];
    }
    let why = both(
        "no file tells whose addresses these are; the inbound rules are asked as if they guarded the destination",
        "文件中没有说明这些地址属于谁；按入方向规则保护目标来判断",
    );
    let told = Step {
        what: first.what.clone(),
        way: Way::There,
        look: Look::Passes { why, place: first.gate.place.clone() },
    };
    let packets = packets::there(&from.spans, &to.spans, ask);
    let look = Look::Gate { gate: first.gate.clone(), packets };
    vec![told, Step { what: first.what.clone(), way: Way::There, look }]
}

struct Walk<'a> {
    cloud: &'a Cloud,
    ask: &'a Ask,
    steps: Vec<Step>,
}

impl<'a> Walk<'a> {
    fn pair(&mut self, from: &Point, to: &Point) {
        let link = ends::link(self.cloud, from, to);
        if link == Link::Apart {
            self.apart(from, to);
            return;
        }
        let seen = Seen::of(self.cloud, from, to, link);
        let same_subnet = link == Link::Subnet;
        self.guards(&self.outbound(from), same_subnet, Way::There, &seen.from, &seen.to_outside);
        if let Some(at) = from.network.filter(|_| from.subnet.is_some() || from.interface.is_some()) {
            self.routed(from, (at, to.network), &seen.to_outside, link, Way::There);
        }
        if link == Link::Internet {
            self.leave(from);
            self.enter(from, to);
        }
        self.guards(&self.inbound(to), same_subnet, Way::There, &seen.from_outside, &seen.to);
        self.guards_back(&self.outbound(to), same_subnet, &seen.from_outside, &seen.to);
        if let Some(at) = to.network.filter(|_| to.interface.is_some() || to.subnet.is_some()) {
            self.routed(to, (at, from.network), &seen.from_outside, link, Way::Back);
        }
        self.guards_back(&self.inbound(from), same_subnet, &seen.from, &seen.to_outside);
    }

    /// The guards at one end, in the order of outgoing packets.
    fn outbound(&self, at: &Point) -> Vec<Guard> {
        let own = at.interface.map(|at| self.cloud.interfaces[at].outbound.clone()).unwrap_or_default();
        let subnet = at.subnet.map(|at| self.cloud.subnets[at].outbound.clone()).unwrap_or_default();
        own.into_iter().chain(subnet).chain(self.stranger(at).map(|guards| guards.0)).collect()
    }

    fn stranger(&self, at: &Point) -> Option<(Guard, Guard)> {
        let subnet = at.subnet.filter(|_| at.interface.is_none())?;
        self.cloud.subnets[subnet].strangers.clone()
    }

    fn inbound(&self, at: &Point) -> Vec<Guard> {
        let own = at.interface.map(|at| self.cloud.interfaces[at].inbound.clone()).unwrap_or_default();
        let subnet = at.subnet.map(|at| self.cloud.subnets[at].inbound.clone()).unwrap_or_default();
        subnet.into_iter().chain(own).chain(self.stranger(at).map(|guards| guards.1)).collect()
    }

    fn guards(&mut self, guards: &[Guard], same_subnet: bool, way: Way, from: &[Span], to: &[Span]) {
        for guard in guards.iter().filter(|guard| guard.within_subnet || !same_subnet) {
            let packets = packets::there(from, to, self.ask);
            let look = Look::Gate { gate: guard.gate.clone(), packets };
            self.steps.push(Step { what: guard.what.clone(), way, look });
        }
    }

    /// What has no memory is asked for the answers too. `from` and `to` are those of the question.
    fn guards_back(&mut self, guards: &[Guard], same_subnet: bool, from: &[Span], to: &[Span]) {
        let asked = |guard: &&Guard| !guard.gate.stateful && (guard.within_subnet || !same_subnet);
        for guard in guards.iter().filter(asked) {
            let packets = packets::back(from, to, self.ask);
            let look = Look::Gate { gate: guard.gate.clone(), packets };
            self.steps.push(Step { what: guard.what.clone(), way: Way::Back, look });
        }
    }

    /// The routes from one end, in its network, to addresses, in theirs if that is known.
    fn routed(
        &mut self,
        at: &Point,
        (network, other): (usize, Option<usize>),
        to: &[Span],
        link: Link,
        way: Way,
    ) {
        let cloud = self.cloud;
        let routes = routes(cloud, at, network);
        if routes.is_empty() {
            return;
        }
        let (taken, left) = lookup(&routes, to);
        for (route, part) in taken {
            self.hop(route, &part, link, way);
            if let (Hop::Appliance(address, _), Some(other)) = (&route.hop, other.filter(|at| *at != network))
            {
                self.forwarded(*address, other, way);
            }
        }
        if !left.is_empty() && cloud.networks[network].known && link != Link::Beyond {
            let place = cloud.networks[network].place.clone();
            let why = both(
                format!("no route to {}", packets::some(&left)),
                format!("没有到 {} 的路由", packets::some(&left)),
            );
            self.push(why.clone(), way, Look::Ends { why, place, fix: Vec::new() });
        } else if !left.is_empty() && link == Link::Beyond && way == Way::There {
            self.beyond(&left, cloud.networks[network].place.clone());
        }
    }

    fn hop(&mut self, route: &Route, part: &[Span], link: Link, way: Way) {
        let to = packets::some(part);
        let what = both(format!("route {} to {to}", route.text), format!("到 {to} 的路由 {}", route.text));
        let place = route.place.clone();
        let look = match &route.hop {
            Hop::Nowhere => {
                let why = both(
                    format!("route {} drops packets to {to}", route.text),
                    format!("路由 {} 丢弃到 {to} 的数据包", route.text),
                );
                Look::Ends { why, place, fix: Vec::new() }
            }
            Hop::Other(on) | Hop::Appliance(_, on) => Look::Depends { on: on.clone(), place },
            Hop::Internet if link == Link::Beyond && way == Way::There => {
                self.beyond(part, place);
                return;
            }
            // Between networks of private addresses it leads nowhere.
            Hop::Internet if matches!(link, Link::Peered | Link::Relayed) && ends::is_private(part) => {
                let why = both(
                    format!(
                        "route {} takes packets to {to}, and no other leads over the peering",
                        route.text
                    ),
                    format!("到 {to} 的数据包走路由 {}，没有经由对等连接的路由", route.text),
                );
                Look::Ends { why, place, fix: Vec::new() }
            }
            _ => Look::Passes { why: what.clone(), place },
        };
        self.push(what, way, look);
    }

    /// From an appliance into another network: over a peering that takes what others send on.
    fn forwarded(&mut self, appliance: IpAddr, other: usize, way: Way) {
        let cloud = self.cloud;
        let Some(hub) = ends::hub(cloud, appliance).filter(|hub| *hub != other) else { return };
        let (from, to) = (&cloud.networks[hub], &cloud.networks[other]);
        let what = both(
            format!("the peering of {} with {}", to.name, from.name),
            format!("{} 与 {} 的对等连接", to.name, from.name),
        );
        let (why, place) = match to.peers.iter().find(|peer| peer.network == Some(hub) && peer.works) {
            Some(peer) if peer.forwards == Some(false) => (
                both(
                    "it takes no packets that an appliance sends on (allowForwardedTraffic is false)",
                    "不接收设备转发的数据包（allowForwardedTraffic 为 false）",
                ),
                peer.place.clone(),
            ),
            None if to.known && from.known => (
                both(
                    "there is none, and packets of an appliance cannot come in",
                    "不存在，设备的数据包无法进入",
                ),
                to.place.clone(),
            ),
            _ => return,
        };
        self.push(what, way, Look::Ends { why, place, fix: Vec::new() });
    }

    /// Private addresses that no network of the files has.
    fn beyond(&mut self, to: &[Span], place: Place) {
        let to = packets::some(to);
        let on = both(
            format!("where {to} is: no file has a route or a network for it (a gateway to other premises?)"),
            format!("{to} 在哪里：文件中没有对应的路由或网络（是否经由专线或 VPN 网关？）"),
        );
        self.push(on.clone(), Way::There, Look::Depends { on, place });
    }

    /// Out to the Internet.
    fn leave(&mut self, from: &Point) {
        let Some(interface) = from.interface.map(|at| &self.cloud.interfaces[at]) else { return };
        let what = both("the way out to the Internet", "通往公网的出口");
        if interface.public.is_empty() && !interface.published {
            let look = match &interface.exit {
                Exit::Yes(why, place) => Look::Passes { why: why.clone(), place: place.clone() },
                Exit::No(why) => Look::Ends {
                    why: why.clone(),
                    place: interface.place.clone(),
                    fix: (self.cloud.vendor.publish)(&self.cloud.endpoints[interface.endpoint]),
                },
                Exit::Unknown(on) => Look::Depends { on: on.clone(), place: interface.place.clone() },
            };
            self.push(what.clone(), Way::There, look);
        }
        if self.cloud.vendor.smtp_blocked && (self.ask.protocol, self.ask.port) == (6, Some(25)) {
            let on = both(
                "outgoing TCP 25 is blocked by this cloud unless it was lifted for the account",
                "该云默认封禁出方向 TCP 25，除非账号已申请解封",
            );
            self.push(what, Way::There, Look::Depends { on, place: interface.place.clone() });
        }
    }

    /// In from the Internet: a public address leads to the interface, or nothing does.
    fn enter(&mut self, from: &Point, to: &Point) {
        let Some(at) = to.interface else { return };
        let interface = &self.cloud.interfaces[at];
        let what = both("the way in from the Internet", "来自公网的入口");
        let published = interface.published || !interface.public.is_empty();
        if let Some(why) = interface.shut.clone().filter(|_| published) {
            let look = Look::Ends { why, place: interface.place.clone(), fix: Vec::new() };
            self.push(what, Way::There, look);
            return;
        }
        if published {
            return;
        }
        let endpoint = &self.cloud.endpoints[interface.endpoint];
        let why =
            both(format!("{} has no public address", endpoint.id), format!("{} 没有公网地址", endpoint.id));
        let described = interface.network.is_some_and(|at| self.cloud.networks[at].known);
        let look = match self.relayed(interface) {
            Some(look) => look,
            None if described || from.outside => {
                let fix = (self.cloud.vendor.publish)(endpoint);
                Look::Ends { why, place: interface.place.clone(), fix }
            }
            None => Look::Passes { why, place: interface.place.clone() },
        };
        self.push(what, Way::There, look);
    }

    /// What leads to an interface that has no public address: a load balancer that has it among its targets, or one
    /// whose targets no file tells.
    fn relayed(&self, interface: &super::Interface) -> Option<Look> {
        let endpoint = &self.cloud.endpoints[interface.endpoint];
        let addresses: Vec<String> = interface.private.iter().map(IpAddr::to_string).collect();
        let names: Vec<&str> =
            [&endpoint.id].into_iter().chain(&endpoint.names).chain(&addresses).map(String::as_str).collect();
        let leads = self.cloud.relays.iter().find(|relay| relay.leads_to(&names) == Some(true));
        if let Some(relay) = leads {
            let (name, place) = (&relay.name, relay.place.clone());
            let why = both(
                format!("load balancer {name} leads to {}", endpoint.id),
                format!("负载均衡 {name} 指向 {}", endpoint.id),
            );
            return Some(if relay.keeps_client {
                Look::Passes { why, place }
            } else {
                let on = both(
                    format!("{}, from addresses of its own: ask for those", why.en),
                    format!("{}，并使用自己的地址：请以这些地址为来源询问", why.zh),
                );
                Look::Depends { on, place }
            });
        }
        let unknown = self.cloud.relays.iter().find(|relay| relay.targets.is_none())?;
        let (id, name) = (&endpoint.id, &unknown.name);
        let on = both(
            format!("{id} has no public address; whether {name} leads to it: its targets are in no file"),
            format!("{id} 没有公网地址；取决于 {name} 是否指向它：文件中没有其后端"),
        );
        Some(Look::Depends { on, place: unknown.place.clone() })
    }

    /// Two networks of this cloud that nothing connects.
    fn apart(&mut self, from: &Point, to: &Point) {
        let (Some(one), Some(two)) = (from.network, to.network) else { return };
        let (one, two) = (&self.cloud.networks[one], &self.cloud.networks[two]);
        let half = one.peers.iter().chain(&two.peers).find(|peer| [&one.id, &two.id].contains(&&peer.id));
        let why = match half {
            Some(_) => both(
                format!("the peering of {} and {} is not complete on both sides", one.name, two.name),
                format!("{} 与 {} 的对等连接没有在两侧都生效", one.name, two.name),
            ),
            None => both(
                format!("nothing connects the networks {} and {}", one.name, two.name),
                format!("网络 {} 与 {} 之间没有连接", one.name, two.name),
            ),
        };
        let place = half.map_or_else(|| one.place.clone(), |peer| peer.place.clone());
        let look = Look::Ends { why: why.clone(), place, fix: (self.cloud.vendor.connect)(one, two) };
        self.push(why, Way::There, look);
    }

    fn push(&mut self, what: Text, way: Way, look: Look) {
        self.steps.push(Step { what, way, look });
    }
}

/// The routes that packets from somewhere meet.
fn routes<'c>(cloud: &'c Cloud, at: &Point, network: usize) -> Vec<&'c Route> {
    let own = at.subnet.map_or(&[][..], |subnet| &cloud.subnets[subnet].routes);
    let some = at.interface.map_or(&[][..], |at| &cloud.interfaces[at].routes);
    own.iter().chain(some).chain(&cloud.networks[network].routes).collect()
}

/// The addresses of both ends, as they are at each: NAT to public addresses in between.
struct Seen {
    from: Vec<Span>,
    to_outside: Vec<Span>,
    from_outside: Vec<Span>,
    to: Vec<Span>,
}

impl Seen {
    fn of(cloud: &Cloud, from: &Point, to: &Point, link: Link) -> Seen {
        let outside = |point: &Point| match (link, point.interface) {
            (Link::Internet, Some(at)) if cloud.interfaces[at].public.is_empty() => ends::internet(),
            (Link::Internet, Some(at)) => {
                cloud.interfaces[at].public.iter().map(|address| Span::one(*address)).collect()
            }
            _ => point.spans.clone(),
        };
        let to_outside = match to.interface {
            // A destination without a public address: said by `enter`; the rules are asked for what was asked.
            Some(at) if cloud.interfaces[at].public.is_empty() => to.spans.clone(),
            _ => outside(to),
        };
        Seen { from: from.spans.clone(), to_outside, from_outside: outside(from), to: to.spans.clone() }
    }
}
