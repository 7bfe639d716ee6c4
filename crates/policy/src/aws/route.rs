//! Routes: which one is taken, and what it leads through.

use super::ends::Party;
use super::fix;
use super::model::{Destination, ExitKind, InternetGateway, Model, Route, RouteTable, Target};
use super::net::{Net, address, public};
use super::packet::Packets;
use super::trip::{Crossed, Trip};
use crate::estate::{Fix, Way};
use crate::place::{Place, both};
use crate::space::Family;
use netwhy_model::Text;

/// What a table says about some addresses.
enum Found<'m> {
    Route(&'m Route),
    /// Every VPC routes its own networks.
    Local(Place),
    Nothing(Place),
    /// The files do not have the table.
    NoTable,
    /// This route takes a part of the addresses, and others the rest.
    Partly(&'m Route),
    /// Whether this route is taken is not known.
    Unclear(&'m Route),
}

/// The table of a subnet: its own, else the main one of its VPC.
pub fn table_of<'m>(model: &'m Model, subnet: Option<&str>, vpc: &str) -> Option<&'m RouteTable> {
    let own = |table: &&RouteTable| table.subnets.iter().any(|each| Some(each.as_str()) == subnet);
    let main = |table: &&RouteTable| table.main && table.vpc == vpc;
    model.tables.iter().find(own).or_else(|| model.tables.iter().find(main))
}

/// The networks of a destination; `None` when the files do not have them.
fn nets_of<'m>(model: &'m Model, destination: &'m Destination) -> Option<&'m [Net]> {
    match destination {
        Destination::Net(net) => Some(std::slice::from_ref(net)),
        Destination::Prefixes(id) => model.prefixes.get(id).map(Vec::as_slice),
        Destination::Unknown(_) => None,
    }
}

/// The narrowest network of a destination that holds all the ranges.
pub fn narrowest(model: &Model, to: &Destination, family: Family, ranges: &[(u128, u128)]) -> Option<Net> {
    let holds = |net: &&Net| ranges.iter().all(|range| net.holds(family, *range));
    // The ranges of "anywhere" leave out private networks: a default route has them all.
    nets_of(model, to)?.iter().filter(holds).min_by_key(|net| net.size()).copied()
}

fn look_up<'m>(model: &'m Model, start: &Party, family: Family, ranges: &[(u128, u128)]) -> Found<'m> {
    let vpc = start.vpc.as_deref().unwrap_or_default();
    let own = model.vpcs.get(vpc);
    let local = own.and_then(|vpc| {
        let holds = |net: &&Net| ranges.iter().all(|range| net.holds(family, *range));
        vpc.cidrs.iter().find(holds).copied()
    });
    let Some(table) = table_of(model, start.subnet.as_deref(), vpc) else {
        return match (local, own) {
            (Some(_), Some(vpc)) => Found::Local(vpc.place.clone()),
            _ => Found::NoTable,
        };
    };
    let fitting = table.routes.iter().filter_map(|route| {
        let net = narrowest(model, &route.to, family, ranges)?;
        Some((net.size(), route.propagated, route))
    });
    let best = fitting.min_by_key(|(size, propagated, _)| (*size, *propagated));
    if let Some(local) = local
        && best.as_ref().is_none_or(|(size, ..)| *size > local.size())
    {
        return Found::Local(own.map_or_else(|| table.place.clone(), |vpc| vpc.place.clone()));
    }
    let best_size = best.as_ref().map_or(u128::MAX, |(size, ..)| *size);
    for route in &table.routes {
        match nets_of(model, &route.to) {
            // Only AWS's own services have lists that are not in the files, and nobody asks for those by address.
            None if matches!(route.to, Destination::Unknown(_)) => return Found::Unclear(route),
            Some(nets) if ranges.len() == 1 => {
                let cuts = |net: &Net| {
                    net.size() < best_size && ranges.iter().any(|range| net.meets(family, *range))
                };
                if nets.iter().any(cuts) {
                    return Found::Partly(route);
                }
            }
            _ => {}
        }
    }
    best.map_or_else(|| Found::Nothing(table.place.clone()), |(_, _, route)| Found::Route(route))
}

fn told(model: &Model, start: &Party, family: Family, ranges: &[(u128, u128)]) -> (Text, String) {
    let vpc = start.vpc.as_deref().unwrap_or_default();
    let table = table_of(model, start.subnet.as_deref(), vpc);
    let table = table.map_or_else(|| format!("route table of {}", start.title), |table| table.id.clone());
    let whither = match ranges {
        [(first, last)] if first == last => address(family, *first).to_string(),
        [range] => super::net::networks(family, *range).first().map(Net::to_string).unwrap_or_default(),
        _ => "the internet".to_owned(),
    };
    (both(format!("route in {table} to {whither}"), format!("{table} 中到 {whither} 的路由")), whither)
}

impl Trip<'_> {
    /// The route out of a subnet, and what it leads through to the other end.
    pub fn route(&mut self, way: Way, start: &Party, end: &Party, packets: Packets) -> Crossed {
        let (what, whither) = told(self.model, start, self.family, &packets.destination);
        match look_up(self.model, start, self.family, &packets.destination) {
            Found::Local(place) => self.local(way, what, &place, end, start, packets),
            Found::Route(route) => self.follow(way, what, route, start, end, packets),
            Found::Nothing(place) => {
                let why = both(format!("no route leads to {whither}"), format!("没有到 {whither} 的路由"));
                let fix = self.route_fix(start, end);
                self.ends(way, what, why, &place, fix)
            }
            Found::NoTable if end.is_outside() && self.has_no_exit(start) => {
                let why = both(
                    format!(
                        "{} has no public address, and no NAT gateway or other way out is among the files",
                        start.title
                    ),
                    format!("{} 没有公网地址，所给文件中也没有 NAT 网关等出口", start.title),
                );
                let fix = fix::public_address(start, self.model);
                self.ends(way, what, why, &start.place, fix)
            }
            Found::NoTable => {
                let on = both(
                    "the route table of this subnet is not among the files",
                    "该子网的路由表不在所给文件中",
                );
                self.depends(way, what, on, &start.place)
            }
            Found::Partly(route) => {
                let on =
                    both("a part of these addresses is routed another way", "其中一部分地址走另一条路由");
                self.depends(way, what, on, &route.place)
            }
            Found::Unclear(route) => {
                let on =
                    both("the destination of this route cannot be worked out", "无法确定该路由的目的网段");
                self.depends(way, what, on, &route.place)
            }
        }
    }

    /// Whatever its routes are, nothing they could lead to lets it out.
    fn has_no_exit(&self, start: &Party) -> bool {
        let model = self.model;
        let has_gateway =
            model.internet.iter().any(|each| each.vpcs.iter().any(|vpc| Some(vpc) == start.vpc.as_ref()));
        has_gateway
            && start.public.is_none()
            && !start.public_later
            && model.nats.is_empty()
            && model.exits.is_empty()
            && model.attachments.is_empty()
            && model.peerings.is_empty()
    }

    fn local(
        &mut self,
        way: Way,
        what: Text,
        place: &Place,
        end: &Party,
        start: &Party,
        packets: Packets,
    ) -> Crossed {
        if end.vpc != start.vpc {
            let why = both(
                format!(
                    "the address is in the network of {} itself, which keeps it",
                    start.vpc.as_deref().unwrap_or("the VPC")
                ),
                format!("该地址属于 {} 自身的网段，不会离开", start.vpc.as_deref().unwrap_or("该 VPC")),
            );
            return self.ends(way, what, why, place, Vec::new());
        }
        self.passes(way, what, both("local", "local"), place);
        Crossed::Arrived(packets)
    }

    fn follow(
        &mut self,
        way: Way,
        what: Text,
        route: &Route,
        start: &Party,
        end: &Party,
        packets: Packets,
    ) -> Crossed {
        let id = route.target.id();
        if route.blackhole {
            let why = both(
                format!("the route is a black hole: its target {id} is gone"),
                format!("该路由为黑洞：其目标 {id} 已不存在"),
            );
            let fix = self.route_fix(start, end);
            return self.ends(way, what, why, &route.place, fix);
        }
        if route.target == Target::Local {
            return self.local(way, what, &route.place, end, start, packets);
        }
        self.passes(way, what, both(format!("→ {id}"), format!("→ {id}")), &route.place);
        let what = both(id, id);
        match &route.target {
            Target::Nat(id) => self.into_nat(way, id, start, &route.place, packets),
            Target::Gateway(id) if self.model.nats.get(id).is_some() => {
                self.into_nat(way, id, start, &route.place, packets)
            }
            Target::Gateway(id) => self.gateway(way, id, route, start, end, packets),
            Target::EgressOnly(_) => self.egress_only(way, what, route, start, end, packets),
            Target::Peering(id) => self.peering(way, id, route, start, end, packets),
            Target::Transit(id) => self.transit(way, id, route, start, end, packets),
            Target::Interface(_) | Target::Local => {
                let on = both(
                    format!("{id} forwards it or does not: what an appliance does is not in the files"),
                    format!("取决于设备 {id} 是否转发，所给文件没有说明"),
                );
                self.depends(way, what, on, &route.place)
            }
            Target::Unknown(_) => {
                let on = both("what this target does is not known", "不了解该目标的行为");
                self.depends(way, what, on, &route.place)
            }
        }
    }

    fn gateway(
        &mut self,
        way: Way,
        id: &str,
        route: &Route,
        start: &Party,
        end: &Party,
        packets: Packets,
    ) -> Crossed {
        let what = both(id, id);
        if let Some(gateway) = self.model.internet.get(id) {
            let gateway = gateway.clone();
            return self.to_internet(way, &gateway, start, end, packets);
        }
        let exit = self.model.exits.get(id).map(|exit| exit.kind);
        let kind = match id {
            _ if exit.is_some() => exit,
            id if id.starts_with("igw-") => {
                let vpcs = start.vpc.iter().cloned().collect();
                let gateway = InternetGateway { id: id.to_owned(), vpcs, place: route.place.clone() };
                return self.to_internet(way, &gateway, start, end, packets);
            }
            id if id.starts_with("vgw-") => Some(ExitKind::Virtual),
            id if id.starts_with("vpce-") && matches!(route.to, Destination::Prefixes(_)) => {
                Some(ExitKind::Service)
            }
            _ => None,
        };
        match kind {
            Some(ExitKind::Virtual | ExitKind::Service) if end.is_outside() => {
                let why = both(
                    "it leaves here; what is beyond is not in the files of AWS",
                    "流量由此离开；其后的网络不在 AWS 的文件中",
                );
                self.passes(way, what, why, &route.place);
                Crossed::Arrived(packets)
            }
            Some(ExitKind::Virtual | ExitKind::Service) => {
                let on = both(
                    "it leaves AWS here, and whether it comes back in is not in the files",
                    "流量由此离开 AWS，是否返回不在所给文件中",
                );
                self.depends(way, what, on, &route.place)
            }
            Some(ExitKind::Appliance) | None => {
                let on = both(
                    format!("what {id} does with it is not in the files"),
                    format!("{id} 如何处理不在所给文件中"),
                );
                self.depends(way, what, on, &route.place)
            }
        }
    }

    fn egress_only(
        &mut self,
        way: Way,
        what: Text,
        route: &Route,
        start: &Party,
        end: &Party,
        packets: Packets,
    ) -> Crossed {
        if way == Way::Back || !end.is_outside() {
            let why = both(
                "an egress-only gateway carries only connections that were opened from inside",
                "仅出口网关只承载从内部发起的连接",
            );
            let fix = self.route_fix(start, end);
            return self.ends(way, what, why, &route.place, fix);
        }
        Crossed::Arrived(packets)
    }

    fn to_internet(
        &mut self,
        way: Way,
        gateway: &InternetGateway,
        start: &Party,
        end: &Party,
        packets: Packets,
    ) -> Crossed {
        let what = both(&gateway.id, &gateway.id);
        let place = &gateway.place;
        if !gateway.vpcs.iter().any(|vpc| Some(vpc) == start.vpc.as_ref()) {
            let why = both("this internet gateway is not attached to the VPC", "该互联网网关未挂接到此 VPC");
            let fix = fix::attach(&gateway.id, start.vpc.as_deref().unwrap_or_default());
            return self.ends(way, what, why, place, fix);
        }
        let source = match (start.public, start.public_later) {
            (Some(public), _) => vec![(public, public)],
            (None, true) => public(self.family),
            (None, false) => {
                let why = both(
                    format!(
                        "{} has no public address, and an internet gateway drops what comes from a private one",
                        start.title
                    ),
                    format!("{} 没有公网地址，互联网网关丢弃来自私网地址的流量", start.title),
                );
                let fix = fix::public_address(start, self.model);
                return self.ends(way, what, why, place, fix);
            }
        };
        let packets = packets.from(&source);
        let is_private = end.own == packets.destination && !end.is_public(self.family);
        if is_private {
            let why = both("the internet does not route private addresses", "互联网不路由私网地址");
            return self.ends(way, what, why, place, Vec::new());
        }
        let why = both("out with the public address as source", "以公网地址为源发出");
        self.passes(way, what, why, place);
        if end.is_outside() {
            return Crossed::Arrived(packets);
        }
        self.from_internet(way, end, packets)
    }

    /// From outside into a VPC.
    pub fn enter(&mut self, way: Way, start: &Party, end: &Party, packets: Packets) -> Crossed {
        if start.is_public(self.family) {
            return self.from_internet(way, end, packets);
        }
        // What comes over VPN, Direct Connect or a transit gateway comes in where the answers would go out.
        let (what, whither) = told(self.model, end, self.family, &packets.source);
        let found = look_up(self.model, end, self.family, &packets.source);
        match found {
            Found::Route(route) if !route.blackhole => {
                let is_private = match &route.target {
                    Target::Gateway(id) => {
                        id.starts_with("vgw-")
                            || self.model.exits.get(id).is_some_and(|exit| exit.kind == ExitKind::Virtual)
                    }
                    Target::Transit(_) => true,
                    _ => false,
                };
                if is_private {
                    let id = route.target.id();
                    let why = both(format!("comes in through {id}"), format!("经 {id} 进入"));
                    self.passes(way, both(id, id), why, &route.place);
                    return Crossed::Arrived(packets);
                }
                let why = both(
                    format!(
                        "{whither} is private, and the route to it leads to {}, from where it cannot come",
                        route.target.id()
                    ),
                    format!("{whither} 为私网地址，而到它的路由指向 {}，无法从那里进入", route.target.id()),
                );
                self.ends(way, what, why, &route.place, Vec::new())
            }
            Found::NoTable | Found::Partly(_) | Found::Unclear(_) => {
                let on = both(
                    "where these addresses come in is not in the files",
                    "所给文件没有说明这些地址从何处进入",
                );
                self.depends(way, what, on, &end.place)
            }
            Found::Route(_) | Found::Nothing(_) | Found::Local(_) => {
                let why = both(
                    format!("nothing here leads to or from {whither}"),
                    format!("没有通往 {whither} 的网关或路由"),
                );
                self.ends(way, what, why, &end.place, Vec::new())
            }
        }
    }

    fn from_internet(&mut self, way: Way, end: &Party, packets: Packets) -> Crossed {
        let vpc = end.vpc.clone().unwrap_or_default();
        let gateway = self.model.internet.iter().find(|gateway| gateway.vpcs.contains(&vpc));
        let Some(gateway) = gateway.cloned() else {
            let what = both(format!("internet gateway of {vpc}"), format!("{vpc} 的互联网网关"));
            if self.model.internet.is_empty() && self.model.tables.is_empty() {
                let on = both("no internet gateway is among the files", "所给文件中没有互联网网关");
                return self.depends(way, what, on, &end.place);
            }
            let why = both("the VPC has no internet gateway", "该 VPC 没有互联网网关");
            return self.ends(way, what, why, &end.place, fix::new_gateway(&vpc));
        };
        let what = both(&gateway.id, &gateway.id);
        let is_v6 = self.family == Family::V6;
        if end.public.is_none() && !end.public_later
            || !is_v6 && end.own == packets.destination && !end.public_later
        {
            let why = match end.public {
                Some(known) => {
                    let known = address(self.family, known);
                    both(
                        format!(
                            "the internet does not route private addresses; {} has the public one {known}",
                            end.title
                        ),
                        format!("互联网不路由私网地址；{} 的公网地址是 {known}", end.title),
                    )
                }
                None => both(
                    format!("{} has no public address that leads to it from the internet", end.title),
                    format!("{} 没有可从互联网到达的公网地址", end.title),
                ),
            };
            let fix = if end.public.is_none() { fix::public_address(end, self.model) } else { Vec::new() };
            return self.ends(way, what, why, &gateway.place, fix);
        }
        let edge = self.model.tables.iter().find(|table| table.gateways.contains(&gateway.id));
        let steered = edge.and_then(|table| {
            table.routes.iter().find(|route| {
                route.target != Target::Local
                    && narrowest(self.model, &route.to, self.family, &end.own).is_some()
            })
        });
        if let Some(route) = steered {
            let on = both(
                format!(
                    "the gateway's route table sends it to {}, and what that does is not in the files",
                    route.target.id()
                ),
                format!("网关路由表将其送往 {}，其行为不在所给文件中", route.target.id()),
            );
            return self.depends(way, what, on, &route.place);
        }
        let why = both("in, with the private address as destination", "进入，目的改为私网地址");
        self.passes(way, what, why, &gateway.place);
        Crossed::Arrived(packets.to(&end.own))
    }

    fn into_nat(&mut self, way: Way, id: &str, start: &Party, place: &Place, packets: Packets) -> Crossed {
        let what = both(id, id);
        let Some(nat) = self.model.nats.get(id).cloned() else {
            let on = both(format!("{id} is not among the files"), format!("{id} 不在所给文件中"));
            return self.depends(way, what, on, place);
        };
        if way == Way::Back {
            return Crossed::Nat(id.to_owned(), packets);
        }
        if start.subnet.as_deref() != Some(nat.subnet.as_str()) {
            self.acl(way, &nat.subnet, &nat.place, false, &packets);
        }
        if !matches!(packets.protocol, 1 | 6 | 17) {
            let why = both("a NAT gateway carries only TCP, UDP and ICMP", "NAT 网关只承载 TCP、UDP 和 ICMP");
            return self.ends(way, what, why, &nat.place, Vec::new());
        }
        let why = both("goes on with the address of the NAT gateway as source", "以 NAT 网关的地址为源继续");
        self.passes(way, what, why, &nat.place);
        Crossed::Nat(id.to_owned(), packets)
    }

    /// The NAT gateway as the sender of what it translated.
    pub fn translate(&mut self, id: &str, start: &Party, packets: &Packets) -> Option<Party> {
        let nat = self.model.nats.get(id)?;
        let own = self.model.subnets.get(&nat.subnet);
        let vpc =
            own.map_or_else(|| start.vpc.clone(), |subnet| Some(subnet.vpc.clone())).unwrap_or_default();
        let free = || own.and_then(|subnet| subnet.cidrs.first()).map(|net| net.first + 4);
        match nat.address.map(super::net::number).or_else(free) {
            Some(address) => Some(Party::nat(nat, &vpc, address)),
            None => {
                let (nat_id, place) = (nat.id.clone(), nat.place.clone());
                let on = both(
                    "the subnet of this NAT gateway is not among the files",
                    "该 NAT 网关的子网不在所给文件中",
                );
                let _ = packets;
                self.depends(Way::There, both(&nat_id, &nat_id), on, &place);
                None
            }
        }
    }

    fn peering(
        &mut self,
        way: Way,
        id: &str,
        route: &Route,
        start: &Party,
        end: &Party,
        packets: Packets,
    ) -> Crossed {
        let what = both(id, id);
        let Some(peering) = self.model.peerings.get(id).cloned() else {
            let on =
                both(format!("peering {id} is not among the files"), format!("对等连接 {id} 不在所给文件中"));
            return self.depends(way, what, on, &route.place);
        };
        if !peering.active {
            let why = both("the peering connection is not active", "该对等连接未激活");
            return self.ends(way, what, why, &peering.place, fix::accept_peering(id));
        }
        let own = start.vpc.as_deref().unwrap_or_default();
        let other = match &peering.sides {
            [one, other] if one == own => other,
            [other, one] if one == own => other,
            _ => {
                let why =
                    both("the peering connection does not belong to this VPC", "该对等连接不属于此 VPC");
                return self.ends(way, what, why, &peering.place, Vec::new());
            }
        };
        if end.vpc.as_ref() == Some(other) {
            self.passes(way, what, both(format!("to {other}"), format!("到 {other}")), &peering.place);
            return Crossed::Arrived(packets);
        }
        if self.model.vpcs.get(other).is_none() {
            let on = both(
                format!("{other} at its other side is not among the files"),
                format!("其对端 {other} 不在所给文件中"),
            );
            return self.depends(way, what, on, &peering.place);
        }
        let why = both(
            format!(
                "it leads to {other}, where the destination is not, and peering carries nothing on from there"
            ),
            format!("它通往 {other}，而目的地不在其中；对等连接不可传递"),
        );
        self.ends(way, what, why, &peering.place, Vec::new())
    }

    /// The route that would lead from one party to another.
    pub fn route_fix(&self, start: &Party, end: &Party) -> Vec<Fix> {
        let (subnet, vpc) = (start.subnet.as_deref(), start.vpc.as_deref().unwrap_or_default());
        let Some(table) = table_of(self.model, subnet, vpc) else { return Vec::new() };
        let gateway = self.model.internet.iter().find(|gateway| gateway.vpcs.iter().any(|each| each == vpc));
        let peering = self.model.peerings.iter().find(|peering| {
            peering.active
                && peering.sides.iter().any(|side| side == vpc)
                && end.vpc.as_ref().is_some_and(|other| peering.sides.contains(other))
        });
        let attached = |vpc: Option<&str>| {
            let of =
                |each: &&super::model::Attachment| each.kind == "vpc" && Some(each.resource.as_str()) == vpc;
            self.model.attachments.iter().filter(of).map(|each| each.gateway.as_str()).collect::<Vec<_>>()
        };
        let others = attached(end.vpc.as_deref());
        let transit = attached(Some(vpc)).into_iter().find(|id| others.contains(id));
        let nets =
            end.vpc.as_deref().and_then(|vpc| self.model.vpcs.get(vpc)).and_then(|vpc| vpc.cidrs.first());
        let all = Net::all(self.family);
        match (end.vpc.is_some(), peering, transit, gateway) {
            (true, Some(peering), ..) => fix::route(
                &table.id,
                nets.copied().unwrap_or(all),
                ("vpc-peering-connection-id", "vpc_peering_connection_id"),
                &peering.id,
            ),
            (true, None, Some(id), _) => fix::route(
                &table.id,
                nets.copied().unwrap_or(all),
                ("transit-gateway-id", "transit_gateway_id"),
                id,
            ),
            (false, .., Some(gateway)) => {
                fix::route(&table.id, all, ("gateway-id", "gateway_id"), &gateway.id)
            }
            _ => Vec::new(),
        }
    }
}
