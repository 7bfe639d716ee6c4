//! Routes: which one is taken, and what it leads through.

use super::ends::Party;
use super::fix;
use super::model::{Destination, Model, Route, RouteTable, Target};
use super::net::{Net, address, span};
use super::packet::Packets;
use super::trip::{Crossed, Trip};
use crate::estate::{Fix, Way};
use crate::place::{Place, both};
use crate::space::Family;
use netwhy_model::Text;

/// What a table says about some addresses.
pub enum Found<'m> {
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

/// A route that is taken, and who is to be reached by it from whom.
#[derive(Clone, Copy)]
pub struct Leg<'a> {
    pub route: &'a Route,
    pub start: &'a Party,
    pub end: &'a Party,
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
    let holds = |net: &&Net| ranges.iter().all(|range| net.contains(&span(family, *range)));
    // The ranges of "anywhere" leave out private networks: a default route has them all.
    nets_of(model, to)?.iter().filter(holds).min_by_key(|net| net.size()).copied()
}

pub fn look_up<'m>(model: &'m Model, start: &Party, family: Family, ranges: &[(u128, u128)]) -> Found<'m> {
    let vpc = start.vpc.as_deref().unwrap_or_default();
    let own = model.vpcs.get(vpc);
    let local = own.and_then(|vpc| {
        let holds = |net: &&Net| ranges.iter().all(|range| net.contains(&span(family, *range)));
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
                    net.size() < best_size
                        && ranges.iter().any(|range| net.and(&span(family, *range)).is_some())
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

pub fn told(model: &Model, start: &Party, family: Family, ranges: &[(u128, u128)]) -> (Text, String) {
    let vpc = start.vpc.as_deref().unwrap_or_default();
    let table = table_of(model, start.subnet.as_deref(), vpc);
    let table = table.map_or_else(|| format!("route table of {}", start.title), |table| table.id.clone());
    let whither = match ranges {
        [(first, last)] if first == last => address(family, *first).to_string(),
        [range] => span(family, *range).prefixes().first().map(Net::to_string).unwrap_or_default(),
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
            Found::Route(route) => self.follow(way, what, Leg { route, start, end }, packets),
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

    fn follow(&mut self, way: Way, what: Text, leg: Leg<'_>, packets: Packets) -> Crossed {
        let Leg { route, start, end } = leg;
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
            Target::Nat(id) => self.through_nat(way, id, start, &route.place, packets),
            Target::Gateway(id) if self.model.nats.get(id).is_some() => {
                self.through_nat(way, id, start, &route.place, packets)
            }
            Target::Gateway(id) => self.gateway(way, id, leg, packets),
            Target::EgressOnly(_) => self.egress_only(way, what, leg, packets),
            Target::Peering(id) => self.peering(way, id, leg, packets),
            Target::Transit(id) => self.transit(way, id, leg, packets),
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

    fn peering(&mut self, way: Way, id: &str, leg: Leg<'_>, packets: Packets) -> Crossed {
        let Leg { route, start, end } = leg;
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
