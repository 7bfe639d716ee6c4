//! Into and out of a VPC: internet gateways, NAT gateways, virtual gateways and endpoints.

use super::ends::Party;
use super::fix;
use super::model::{Destination, ExitKind, InternetGateway, Target};
use super::net::{address, number, public};
use super::packet::Packets;
use super::route::{Found, Leg, look_up, narrowest, told};
use super::trip::{Crossed, Trip};
use crate::estate::Way;
use crate::place::{Place, both};
use crate::space::Family;
use netwhy_model::Text;

impl Trip<'_> {
    pub fn gateway(&mut self, way: Way, id: &str, leg: Leg<'_>, packets: Packets) -> Crossed {
        let Leg { route, start, end } = leg;
        let what = both(id, id);
        if let Some(gateway) = self.model.internet.get(id) {
            let gateway = gateway.clone();
            return self.out_to_internet(way, &gateway, start, end, packets);
        }
        let exit = self.model.exits.get(id).map(|exit| exit.kind);
        let kind = match id {
            _ if exit.is_some() => exit,
            id if id.starts_with("igw-") => {
                let vpcs = start.vpc.iter().cloned().collect();
                let gateway = InternetGateway { id: id.to_owned(), vpcs, place: route.place.clone() };
                return self.out_to_internet(way, &gateway, start, end, packets);
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

    pub fn egress_only(&mut self, way: Way, what: Text, leg: Leg<'_>, packets: Packets) -> Crossed {
        let Leg { route, start, end } = leg;
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

    fn out_to_internet(
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
        self.in_from_internet(way, end, packets)
    }

    /// From outside into a VPC.
    pub fn enter(&mut self, way: Way, start: &Party, end: &Party, packets: Packets) -> Crossed {
        if start.is_public(self.family) {
            return self.in_from_internet(way, end, packets);
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

    fn in_from_internet(&mut self, way: Way, end: &Party, packets: Packets) -> Crossed {
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

    pub fn through_nat(
        &mut self,
        way: Way,
        id: &str,
        start: &Party,
        place: &Place,
        packets: Packets,
    ) -> Crossed {
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
    pub fn translate(&mut self, id: &str, start: &Party) -> Option<Party> {
        let nat = self.model.nats.get(id)?;
        let own = self.model.subnets.get(&nat.subnet);
        let vpc =
            own.map_or_else(|| start.vpc.clone(), |subnet| Some(subnet.vpc.clone())).unwrap_or_default();
        let free = || own.and_then(|subnet| subnet.cidrs.first()).map(|net| net.first + 4);
        match nat.address.map(number).or_else(free) {
            Some(address) => Some(Party::nat(nat, &vpc, address)),
            None => {
                let (nat_id, place) = (nat.id.clone(), nat.place.clone());
                let on = both(
                    "the subnet of this NAT gateway is not among the files",
                    "该 NAT 网关的子网不在所给文件中",
                );
                self.depends(Way::There, both(&nat_id, &nat_id), on, &place);
                None
            }
        }
    }
}
