//! Through transit gateways: attachments, their tables, peered gateways.

use super::ends::Party;
use super::model::{Attachment, Destination, Model, TransitTable};
use super::net::Net;
use super::packet::Packets;
use super::route::{Leg, narrowest};
use super::trip::{Crossed, Trip};
use crate::estate::Way;
use crate::place::{Place, both};
use crate::space::Family;

/// How many transit gateways one way may go through.
const GATEWAY_COUNT_MAX: usize = 4;

/// Where a table sends some addresses.
enum Next<'m> {
    Attachment(&'m Attachment, Place),
    BlackHole(Place),
    Missing(String, Place),
    Nothing,
}

fn next<'m>(model: &'m Model, table: &'m TransitTable, family: Family, ranges: &[(u128, u128)]) -> Next<'m> {
    let find =
        |id: &str| model.attachments.iter().find(|each| each.id == id && each.gateway == table.gateway);
    let mut best: Option<(u128, bool, Next<'m>)> = None;
    let mut offer = |size: u128, learnt: bool, next: Next<'m>| {
        if best.as_ref().is_none_or(|(known, known_learnt, _)| (size, learnt) < (*known, *known_learnt)) {
            best = Some((size, learnt, next));
        }
    };
    for route in &table.routes {
        if let Some(net) = narrowest(model, &route.to, family, ranges) {
            let next = match &route.attachment {
                None => Next::BlackHole(route.place.clone()),
                Some(id) => find(id).map_or_else(
                    || Next::Missing(id.clone(), route.place.clone()),
                    |found| Next::Attachment(found, route.place.clone()),
                ),
            };
            offer(net.size(), false, next);
        }
    }
    for attachment in table.propagated.iter().filter_map(|id| find(id)) {
        // A VPN with static routes has them in its own listing.
        let vpn = || model.prefixes.get(&attachment.resource).map_or(&[][..], Vec::as_slice);
        let nets = model.vpcs.get(&attachment.resource).map_or_else(vpn, |vpc| &vpc.cidrs);
        for net in nets {
            if let Some(net) = narrowest(model, &Destination::Net(*net), family, ranges) {
                offer(net.size(), true, Next::Attachment(attachment, attachment.place.clone()));
            }
        }
    }
    best.map_or(Next::Nothing, |(_, _, next)| next)
}

/// The table of an attachment: the one it is associated with, else the default one of its gateway.
fn table_of<'m>(model: &'m Model, from: &Attachment) -> Option<&'m TransitTable> {
    let is_default = |table: &&TransitTable| table.gateway == from.gateway && table.default_association;
    match &from.table {
        Some(id) => model.transit_tables.get(id),
        None => model.transit_tables.iter().find(is_default),
    }
}

impl Trip<'_> {
    pub fn transit(&mut self, way: Way, gateway: &str, leg: Leg<'_>, packets: Packets) -> Crossed {
        let Leg { route, start, end } = leg;
        let what = both(gateway, gateway);
        let of_gateway = |each: &&Attachment| each.gateway == gateway;
        let own = self.model.attachments.iter().filter(of_gateway);
        let own = own.clone().find(|each| each.kind == "vpc" && Some(&each.resource) == start.vpc.as_ref());
        let Some(own) = own else {
            if self.model.attachments.iter().any(|each| of_gateway(&each)) {
                let why =
                    both("the VPC is not attached to this transit gateway", "该 VPC 未挂接到此转接网关");
                return self.ends(way, what, why, &route.place, Vec::new());
            }
            let on = both("its attachments are not among the files", "其挂接不在所给文件中");
            return self.depends(way, what, on, &route.place);
        };
        let own = own.clone();
        if let Some(stopped) = self.attachment_subnet(way, &own, start, true, &packets) {
            return stopped;
        }
        let mut at = own;
        for _ in 0..GATEWAY_COUNT_MAX {
            match self.hop(way, &at, end, &packets) {
                Some(next) if next.kind == "peering" => {
                    let there = |each: &&Attachment| each.id == next.id && each.gateway == next.resource;
                    let Some(other) = self.model.attachments.iter().find(there) else {
                        let on = both(
                            format!("transit gateway {} is not among the files", next.resource),
                            format!("转接网关 {} 不在所给文件中", next.resource),
                        );
                        return self.depends(way, both(&next.resource, &next.resource), on, &next.place);
                    };
                    at = other.clone();
                }
                Some(next) => return self.leave_transit(way, &next, end, packets),
                None => return Crossed::Stopped,
            }
        }
        let on = both("more than four transit gateways follow each other", "连续超过四个转接网关");
        self.depends(way, what, on, &route.place)
    }

    /// One gateway: the table of the attachment it came from, and the attachment that says. `None` is told already.
    fn hop(&mut self, way: Way, from: &Attachment, end: &Party, packets: &Packets) -> Option<Attachment> {
        let table = table_of(self.model, from);
        let what = both(format!("route in {}", from.gateway), format!("{} 中的路由", from.gateway));
        let Some(table) = table else {
            let on =
                both("the table of this attachment is not among the files", "该挂接的路由表不在所给文件中");
            self.depends(way, what, on, &from.place);
            return None;
        };
        let what = both(
            format!("route in {} of {}", table.id, table.gateway),
            format!("{} 的 {} 中的路由", table.gateway, table.id),
        );
        match next(self.model, table, self.family, &packets.destination) {
            Next::Attachment(found, place) => {
                let found = found.clone();
                let why = both(
                    format!("→ {} ({})", found.id, found.resource),
                    format!("→ {}（{}）", found.id, found.resource),
                );
                self.passes(way, what, why, &place);
                Some(found)
            }
            Next::BlackHole(place) => {
                let why = both("the route is a black hole", "该路由为黑洞");
                self.ends(way, what, why, &place, Vec::new());
                None
            }
            Next::Missing(id, place) => {
                let on = both(
                    format!("attachment {id} is not among the files"),
                    format!("挂接 {id} 不在所给文件中"),
                );
                self.depends(way, what, on, &place);
                None
            }
            Next::Nothing => {
                let place = table.place.clone();
                let dynamic = self.model.attachments.iter().any(|each| {
                    table.propagated.contains(&each.id) && each.gateway == table.gateway && each.kind != "vpc"
                });
                if dynamic && end.is_outside() {
                    let on = both(
                        "what it learns from VPN or Direct Connect is not in the files",
                        "由 VPN 或专线学到的路由不在所给文件中",
                    );
                    self.depends(way, what, on, &place);
                    return None;
                }
                let why = both("the transit gateway has no route there", "转接网关没有到目的地的路由");
                let fix = super::fix::transit_route(&table.id, end, self.model);
                self.ends(way, what, why, &place, fix);
                None
            }
        }
    }

    fn leave_transit(&mut self, way: Way, to: &Attachment, end: &Party, packets: Packets) -> Crossed {
        let what = both(&to.id, &to.id);
        match to.kind.as_str() {
            "vpc" if end.vpc.as_ref() == Some(&to.resource) => {
                match self.attachment_subnet(way, to, end, false, &packets) {
                    Some(stopped) => stopped,
                    None => Crossed::Arrived(packets),
                }
            }
            "vpc" if self.model.vpcs.get(&to.resource).is_some() && !end.is_outside() => {
                let why = both(
                    format!("it leads to {}, where the destination is not", to.resource),
                    format!("它通往 {}，而目的地不在其中", to.resource),
                );
                self.ends(way, what, why, &to.place, Vec::new())
            }
            "vpn" | "direct-connect-gateway" | "connect" if end.is_outside() => {
                let why = both(
                    "it leaves here; what is beyond is not in the files of AWS",
                    "流量由此离开；其后的网络不在 AWS 的文件中",
                );
                self.passes(way, what, why, &to.place);
                Crossed::Arrived(packets)
            }
            _ => {
                let on = both(
                    format!("what {} does with it is not in the files", to.resource),
                    format!("{} 如何处理不在所给文件中", to.resource),
                );
                self.depends(way, what, on, &to.place)
            }
        }
    }

    /// The subnet in which a transit gateway has its interface: on the way in its inbound ACL is asked, on the way
    /// out its outbound one, and neither when the party is in that subnet itself.
    fn attachment_subnet(
        &mut self,
        way: Way,
        attachment: &Attachment,
        party: &Party,
        is_source: bool,
        packets: &Packets,
    ) -> Option<Crossed> {
        if attachment.subnets.iter().any(|subnet| Some(subnet) == party.subnet.as_ref())
            || attachment.subnets.is_empty()
        {
            return None;
        }
        let zone = |id: &str| self.model.subnets.get(id).and_then(|subnet| subnet.zone.clone());
        let own = party.subnet.as_deref().and_then(zone);
        let same = attachment.subnets.iter().find(|id| own.is_some() && zone(id) == own);
        let all_known = own.is_some() && attachment.subnets.iter().all(|id| zone(id).is_some());
        if same.is_none() && all_known && is_source {
            let what = both(&attachment.id, &attachment.id);
            let zone = own.unwrap_or_default();
            let why = both(
                format!("the attachment has no subnet in {zone}, and takes nothing from subnets there"),
                format!("该挂接在 {zone} 没有子网，不接收该可用区的流量"),
            );
            return Some(self.ends(way, what, why, &attachment.place, Vec::new()));
        }
        let subnet = same.or_else(|| attachment.subnets.first())?.clone();
        self.acl(way, &subnet, &attachment.place, !is_source, packets);
        None
    }
}

/// The networks of a party's VPC.
pub fn nets_of<'m>(model: &'m Model, party: &Party) -> &'m [Net] {
    party.vpc.as_deref().and_then(|vpc| model.vpcs.get(vpc)).map_or(&[], |vpc| &vpc.cidrs)
}
