//! AWS: security groups, network ACLs, routes, gateways and load balancers, from what `describe-*` prints and from
//! Terraform.

mod balance;
mod complete;
mod declared;
mod describe;
mod ends;
mod findings;
mod fix;
mod gates;
mod gateway;
mod model;
mod net;
mod packet;
mod route;
mod service;
mod transit;
mod trip;

use crate::doc::{Node, json};
use crate::estate::{Ask, End, Endpoint, Estate, Fix, Step, Way};
use crate::finding::Finding;
use crate::gate::Gate;
use crate::place::{Place, Unread, both};
use crate::space::{Cube, Family};
use ends::{Located, Party, locate};
use gates::Gates;
use model::{Interface, Model, Owner};
use netwhy_model::Text;
use std::net::IpAddr;
use std::sync::Arc;
use trip::Trip;

/// A file: its name and its text.
pub type File<'a> = (Arc<str>, &'a str);

/// Accounts and regions of AWS, as far as the files describe them.
#[derive(Debug)]
pub struct Aws {
    model: Model,
    gates: Gates,
    endpoints: Vec<Endpoint>,
    unread: Vec<Unread>,
}

/// Whether a document is one of the listings of `aws … describe-*`.
pub fn is_aws(document: &Node) -> bool {
    describe::is_listing(document)
}

impl Aws {
    /// Reads files of any name and number: listings, and Terraform's.
    pub fn read(files: &[File<'_>]) -> Aws {
        let (mut model, mut unread) = (Model::default(), Vec::new());
        let (terraform, listings): (Vec<_>, Vec<_>) =
            files.iter().cloned().partition(|(name, text)| crate::terraform::is_terraform(name, text));
        let mut documents = Vec::new();
        for (name, text) in &listings {
            let read = json(name, text);
            unread.extend(read.unread);
            documents.extend(read.documents.into_iter().map(Node::printable));
        }
        describe::read(&documents, &mut model, &mut unread);
        let declared = crate::terraform::resources(&terraform);
        declared::read(&declared.resources, &mut model);
        unread.extend(declared.unread);
        complete::complete(&mut model);
        let (gates, endpoints) = (Gates::new(&model), endpoints(&model));
        Aws { model, gates, endpoints, unread }
    }

    /// What is wrong beyond the rules of single lists: unused, dangling, one-way.
    pub fn findings(&self) -> Vec<Finding> {
        findings::findings(&self.model, &self.gates)
    }

    fn party(&self, located: &Located, family: Family) -> Option<Party> {
        let model = &self.model;
        let nowhere = Place::whole(&"".into());
        match located {
            Located::Interface { at, address } => {
                Party::interface(*at, model.interfaces.nth(*at)?, family, *address)
            }
            Located::Balancer { at, address } => {
                balance::nodes(model, model.balancers.nth(*at)?, family, *address).into_iter().next()
            }
            Located::Nat(at) => {
                let nat = model.nats.nth(*at)?;
                let vpc = model.subnets.get(&nat.subnet)?.vpc.clone();
                Some(Party::nat(nat, &vpc, nat.address.map(net::number)?))
            }
            Located::Subnet { at, range, .. } => Some(Party::subnet(model.subnets.nth(*at)?, *range)),
            Located::Vpc { at, range, .. } => Some(Party::vpc(model.vpcs.nth(*at)?, *range)),
            Located::Outside { range, but } => {
                Some(Party::outside(*range, family, &nowhere).without(family, but))
            }
            Located::Tunnel(_) | Located::Mixed { .. } | Located::Unknown => None,
        }
    }

    /// Whether an end has, or may have, addresses of a family.
    fn has(&self, located: &Located, family: Family) -> bool {
        match located {
            Located::Interface { address: Some(address), .. } => Family::of(*address) == family,
            Located::Interface { at, .. } => self.model.interfaces.nth(*at).is_some_and(|each| {
                each.addresses.iter().any(|address| Family::of(address.private) == family)
            }),
            Located::Balancer { at, address } => self
                .model
                .balancers
                .nth(*at)
                .is_some_and(|each| !balance::nodes(&self.model, each, family, *address).is_empty()),
            Located::Subnet { family: own, .. }
            | Located::Vpc { family: own, .. }
            | Located::Mixed { family: own } => *own == family,
            Located::Outside { range: Some((own, _)), .. } => *own == family,
            Located::Outside { range: None, .. } => true,
            Located::Nat(_) | Located::Tunnel(_) | Located::Unknown => family == Family::V4,
        }
    }

    /// The way of one family.
    fn way_of(&self, ask: &Ask, (from, to): (&Located, &Located), family: Family) -> Vec<Step> {
        let (model, gates, request) = (&self.model, &self.gates, ask.request.as_ref());
        let mut trip = Trip { model, gates, family, request, steps: Vec::new() };
        if self.special(&mut trip, to) {
            return trip.steps;
        }
        let Some(source) = self.party(from, family) else {
            undecided(&mut trip, from, ("source", "源"));
            return trip.steps;
        };
        if let Located::Balancer { at, address } = to
            && let Some(balancer) = self.model.balancers.nth(*at)
        {
            trip.balanced(&source, balancer, *address, (ask.protocol, ask.port), 0);
            return trip.steps;
        }
        match self.party(to, family) {
            Some(destination) => trip.connect(&source, &destination, ask.protocol, ask.port),
            None => undecided(&mut trip, to, ("destination", "目的")),
        }
        trip.steps
    }

    /// What ends a way before it begins, or is its whole answer.
    fn special(&self, trip: &mut Trip<'_>, to: &Located) -> bool {
        match to {
            Located::Tunnel(at) => {
                if let Some((id, _, place)) = self.model.tunnels.get(*at) {
                    let why = both(
                        "the tunnel's own end, which no rule here governs",
                        "隧道自身的端点，不受此处规则约束",
                    );
                    trip.passes(Way::There, both(id, id), why, place);
                }
                true
            }
            Located::Nat(at) => {
                if let Some(nat) = self.model.nats.nth(*at) {
                    let why =
                        both("a NAT gateway takes no connections to itself", "NAT 网关不接受到自身的连接");
                    trip.ends(Way::There, both(&nat.id, &nat.id), why, &nat.place, Vec::new());
                }
                true
            }
            _ => false,
        }
    }
}

impl Estate for Aws {
    fn title(&self) -> Text {
        both("AWS", "AWS")
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn unread(&self) -> &[Unread] {
        &self.unread
    }

    fn gates(&self) -> Vec<Arc<Gate>> {
        self.gates.all()
    }

    /// Of several interfaces of an instance that is asked, one that is reached answers for all.
    fn way(&self, ask: &Ask) -> Vec<Step> {
        let mut first = None;
        for to in self.located(&ask.to) {
            let steps = self.way_between(ask, &self.source(&ask.from, &to), &to);
            if !trip::is_stopped(&steps) {
                return steps;
            }
            first.get_or_insert(steps);
        }
        first.unwrap_or_default()
    }

    fn allow(&self, gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
        fix::allow(gate, packets)
    }
}

impl Aws {
    /// Where an end is: once for each interface of an instance, the primary one first.
    fn located(&self, end: &End) -> Vec<Located> {
        let several = match end {
            End::Known(id) => self.model.interfaces_of(id),
            _ => Vec::new(),
        };
        match several.as_slice() {
            [_, _, ..] => several.into_iter().map(|at| Located::Interface { at, address: None }).collect(),
            _ => vec![locate(&self.model, end)],
        }
    }

    /// Where an instance sends from: its interface in the subnet of the other end, else its primary one.
    fn source(&self, end: &End, to: &Located) -> Located {
        let subnet = |located: &Located| match located {
            Located::Interface { at, .. } => Some(self.model.interfaces.nth(*at)?.subnet.as_str()),
            Located::Subnet { at, .. } => Some(self.model.subnets.nth(*at)?.id.as_str()),
            _ => None,
        };
        let mut all = self.located(end);
        let near = all.iter().position(|one| subnet(one).is_some() && subnet(one) == subnet(to));
        all.swap_remove(near.unwrap_or(0))
    }

    fn way_between(&self, ask: &Ask, from: &Located, to: &Located) -> Vec<Step> {
        let is_elsewhere = |located: &Located| matches!(located, Located::Outside { .. } | Located::Unknown);
        if is_elsewhere(from) && is_elsewhere(to) {
            return Vec::new();
        }
        let ends = (from, to);
        let has = |family| self.has(from, family) && self.has(to, family);
        match (has(Family::V4), has(Family::V6)) {
            (false, true) => self.way_of(ask, ends, Family::V6),
            (true, true) => {
                // Where IPv4 does not lead there, IPv6 may.
                let steps = self.way_of(ask, ends, Family::V4);
                let other =
                    if trip::is_stopped(&steps) { self.way_of(ask, ends, Family::V6) } else { Vec::new() };
                if other.is_empty() || trip::is_stopped(&other) { steps } else { other }
            }
            _ => self.way_of(ask, ends, Family::V4),
        }
    }
}

fn undecided(trip: &mut Trip<'_>, located: &Located, (en, zh): (&str, &str)) {
    let place = Place::whole(&"".into());
    let on = match located {
        Located::Mixed { .. } => both(
            format!("the {en} spans several networks that have different rules: ask for one of them"),
            format!("{zh}地址跨越规则不同的多个网段：请只问其中一个"),
        ),
        _ => both(
            format!("the files do not tell an address of the {en} that the other end could use"),
            format!("所给文件没有给出{zh}可用的地址"),
        ),
    };
    trip.depends(Way::There, both(format!("the {en}"), format!("{zh}端")), on, &place);
}

/// Every thing that can be asked for by name.
fn endpoints(model: &Model) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut by_id = std::collections::HashMap::new();
    for interface in
        model.interfaces.iter().filter(|each| !matches!(each.owner, Owner::Balancer | Owner::NatGateway))
    {
        let id = match &interface.owner {
            Owner::Instance(id) => id,
            _ => &interface.id,
        };
        let at = *by_id.entry(id.clone()).or_insert_with(|| {
            let (names, place) =
                model.instance_names.get(id).cloned().unwrap_or((Vec::new(), interface.place.clone()));
            endpoints.push(Endpoint { id: id.clone(), names, addresses: Vec::new(), place });
            endpoints.len() - 1
        });
        if let Some(endpoint) = endpoints.get_mut(at) {
            endpoint.addresses.extend(addresses(interface));
            let own = Some(&interface.id).filter(|own| *own != id);
            endpoint.names.extend(interface.names.iter().chain(own).cloned());
        }
    }
    for balancer in model.balancers.iter() {
        let names = std::iter::once(balancer.name.clone()).chain(balancer.dns.clone()).collect();
        let own = model.interfaces.iter().filter(|each| balancer.owns(each));
        let addresses = own.flat_map(addresses).collect();
        endpoints.push(Endpoint { id: balancer.id.clone(), names, addresses, place: balancer.place.clone() });
    }
    for nat in model.nats.iter() {
        let addresses = nat.address.into_iter().chain(nat.public).collect();
        endpoints.push(Endpoint {
            id: nat.id.clone(),
            names: Vec::new(),
            addresses,
            place: nat.place.clone(),
        });
    }
    endpoints
}

/// The addresses of an interface that are known.
fn addresses(interface: &Interface) -> Vec<IpAddr> {
    let known = interface.addresses.iter().filter(|_| !interface.guessed);
    let mut addresses: Vec<IpAddr> =
        known.flat_map(|each| std::iter::once(each.private).chain(each.public)).collect();
    addresses.dedup();
    addresses
}
