//! Where the ends of a question are.

use super::model::{Balancer, Interface, Model, Owner, Subnet};
use super::net::{Net, is_public, number, public, span};
use super::packet::{ANY_CLIENT_PORTS, LINUX_PORTS, WINDOWS_PORTS};
use crate::estate::End;
use crate::place::Place;
use crate::read::{Span, without};
use crate::space::Family;
use std::net::IpAddr;

/// What one end of a question is.
#[derive(Debug, Clone)]
pub enum Located {
    Interface {
        at: usize,
        address: Option<IpAddr>,
    },
    /// One of its addresses, when it was asked for by that.
    Balancer {
        at: usize,
        address: Option<IpAddr>,
    },
    Nat(usize),
    /// The public address of a tunnel of AWS.
    Tunnel(usize),
    /// Addresses in a subnet, or in a VPC but in none of its subnets, that nothing in the files has.
    Subnet {
        at: usize,
        range: (u128, u128),
        family: Family,
    },
    Vpc {
        at: usize,
        range: (u128, u128),
        family: Family,
    },
    /// Part of a VPC and something else: no single answer.
    Mixed {
        family: Family,
    },
    Outside {
        range: Option<(Family, (u128, u128))>,
        /// These are left out.
        but: Vec<Span>,
    },
    /// A name that is not here.
    Unknown,
}

pub fn locate(model: &Model, end: &End) -> Located {
    match end {
        End::Outside => Located::Outside { range: None, but: Vec::new() },
        End::OutsideBut(but) => Located::Outside { range: None, but: but.clone() },
        End::Known(id) => named(model, id),
        End::Addresses(first, last) => addressed(model, *first, *last),
    }
}

fn named(model: &Model, id: &str) -> Located {
    if let Some(at) = model.balancers.at(id) {
        return Located::Balancer { at, address: None };
    }
    if let Some(at) = model.nats.at(id) {
        return Located::Nat(at);
    }
    if let Some(at) = model.tunnels.iter().position(|(tunnel, ..)| tunnel == id) {
        return Located::Tunnel(at);
    }
    // By an instance its primary interface is meant; one that goes by the same id is the only one.
    match model.interfaces_of(id).first().copied().or_else(|| model.interfaces.at(id)) {
        Some(at) => Located::Interface { at, address: None },
        None => Located::Unknown,
    }
}

fn addressed(model: &Model, first: IpAddr, last: IpAddr) -> Located {
    let (family, range) = (Family::of(first), (number(first), number(last)));
    if first == last {
        if let Some(at) =
            model.nats.iter().position(|nat| nat.address == Some(first) || nat.public == Some(first))
        {
            return Located::Nat(at);
        }
        if let Some(at) = model.tunnels.iter().position(|(_, address, _)| *address == first) {
            return Located::Tunnel(at);
        }
        let has = |each: &Interface| {
            each.addresses.iter().any(|address| address.private == first || address.public == Some(first))
        };
        if let Some(at) = model.interfaces.iter().position(has) {
            let found = model.interfaces.nth(at);
            let owns = |balancer: &Balancer| found.is_some_and(|each| balancer.owns(each));
            return match model.balancers.iter().position(owns) {
                Some(at) => Located::Balancer { at, address: Some(first) },
                None => Located::Interface { at, address: Some(first) },
            };
        }
    }
    let whole = |nets: &[Net]| nets.iter().any(|net| net.contains(&span(family, range)));
    if let Some(at) = model.subnets.iter().position(|subnet| whole(&subnet.cidrs)) {
        return Located::Subnet { at, range, family };
    }
    let meets = |nets: &[Net]| nets.iter().any(|net| net.and(&span(family, range)).is_some());
    let cut = model.subnets.iter().any(|subnet| meets(&subnet.cidrs));
    match model.vpcs.iter().position(|vpc| whole(&vpc.cidrs)) {
        Some(at) if !cut => Located::Vpc { at, range, family },
        None if !cut && !model.vpcs.iter().any(|vpc| meets(&vpc.cidrs)) => {
            Located::Outside { range: Some((family, range)), but: Vec::new() }
        }
        _ => Located::Mixed { family },
    }
}

/// One end of a connection, with its addresses.
#[derive(Debug, Clone)]
pub struct Party {
    pub title: String,
    pub place: Place,
    pub interface: Option<usize>,
    pub groups: Vec<String>,
    /// Its id; none outside.
    pub subnet: Option<String>,
    pub vpc: Option<String>,
    /// Its addresses inside its VPC, or its addresses where it is outside.
    pub own: Vec<(u128, u128)>,
    /// The address by which the internet reaches it.
    pub public: Option<u128>,
    /// It has a public address that nobody knows yet.
    pub public_later: bool,
    /// It was asked for by its public address.
    pub asked_publicly: bool,
    /// It was asked for by an address that the internet does not route.
    pub asked_privately: bool,
    /// Nothing in the files has these addresses.
    pub nobody: bool,
    pub client_ports: (u16, u16),
    pub client: &'static str,
    /// Its address stands for one of its subnet that is not given yet.
    pub is_guess: bool,
}

impl Party {
    pub fn is_outside(&self) -> bool {
        self.vpc.is_none()
    }

    /// The internet itself, or some of its addresses.
    pub fn outside(range: Option<(Family, (u128, u128))>, family: Family, place: &Place) -> Party {
        Party {
            title: "outside".to_owned(),
            place: place.clone(),
            interface: None,
            groups: Vec::new(),
            subnet: None,
            vpc: None,
            own: range.map_or_else(|| public(family), |(_, range)| vec![range]),
            public: None,
            public_later: false,
            asked_publicly: false,
            asked_privately: false,
            nobody: false,
            client_ports: ANY_CLIENT_PORTS,
            client: "any client",
            is_guess: false,
        }
    }

    /// Without these addresses.
    #[must_use]
    pub fn without(mut self, family: Family, but: &[Span]) -> Party {
        if !but.is_empty() {
            let own: Vec<Span> =
                self.own.iter().map(|(first, last)| Span { family, first: *first, last: *last }).collect();
            self.own = without(&own, but).into_iter().map(|span| (span.first, span.last)).collect();
        }
        self
    }

    /// All its addresses are the internet's.
    pub fn is_public(&self, family: Family) -> bool {
        self.own.iter().all(|range| is_public(family, *range))
    }

    /// An interface by one of its addresses of a family.
    pub fn interface(
        at: usize,
        interface: &Interface,
        family: Family,
        asked: Option<IpAddr>,
    ) -> Option<Party> {
        let is_it = |address: &&super::model::Address| {
            Family::of(address.private) == family
                && asked.is_none_or(|asked| address.private == asked || address.public == Some(asked))
        };
        let address = interface.addresses.iter().find(is_it)?;
        let private = number(address.private);
        let is_private = asked == Some(address.private);
        let (client_ports, client) = match (&interface.owner, interface.windows) {
            (Owner::Instance(_), true) => (WINDOWS_PORTS, "Windows"),
            (Owner::Instance(_), false) => (LINUX_PORTS, "Linux"),
            _ => (ANY_CLIENT_PORTS, "any client"),
        };
        let title = match &interface.owner {
            Owner::Instance(id) if interface.device == 0 => id.clone(),
            Owner::Instance(id) => format!("{id} ({})", interface.id),
            _ => interface.id.clone(),
        };
        Some(Party {
            title,
            place: interface.place.clone(),
            interface: Some(at),
            groups: interface.groups.clone(),
            subnet: Some(interface.subnet.clone()),
            vpc: Some(interface.vpc.clone()),
            own: vec![(private, private)],
            public: address.public.map(number),
            public_later: interface.public_later,
            asked_publicly: asked.is_some() && !is_private,
            asked_privately: is_private && family == Family::V4,
            nobody: false,
            client_ports,
            client,
            is_guess: interface.guessed,
        })
    }

    /// Addresses of a subnet that nothing in the files has.
    pub fn subnet(subnet: &Subnet, range: (u128, u128)) -> Party {
        Party {
            title: subnet.id.clone(),
            place: subnet.place.clone(),
            subnet: Some(subnet.id.clone()),
            vpc: Some(subnet.vpc.clone()),
            nobody: true,
            ..Party::outside(Some((Family::V4, range)), Family::V4, &subnet.place)
        }
    }

    /// Addresses of a VPC that are in none of its subnets.
    pub fn vpc(vpc: &super::model::Vpc, range: (u128, u128)) -> Party {
        Party {
            title: vpc.id.clone(),
            vpc: Some(vpc.id.clone()),
            nobody: true,
            ..Party::outside(Some((Family::V4, range)), Family::V4, &vpc.place)
        }
    }

    /// A NAT gateway as the source of what it sends on.
    pub fn nat(nat: &super::model::NatGateway, vpc: &str, address: u128) -> Party {
        Party {
            title: nat.id.clone(),
            subnet: Some(nat.subnet.clone()),
            vpc: Some(vpc.to_owned()),
            public: nat.public.map(number),
            public_later: nat.is_public && nat.public.is_none(),
            client: "a NAT gateway",
            ..Party::outside(Some((Family::V4, (address, address))), Family::V4, &nat.place)
        }
    }
}
