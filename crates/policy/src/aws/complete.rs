//! What the files leave open and can be filled in: interfaces of balancers, addresses not given yet.

use super::model::{Address, Interface, Model, Owner};
use super::net::{Net, address, number};
use crate::space::Family;
use std::collections::HashSet;

/// AWS keeps the first four addresses of every subnet for itself.
const RESERVED_ADDRESSES: u128 = 4;
/// How many addresses of a subnet are tried for a free one.
const TRY_COUNT_MAX: u128 = 65_536;

pub fn complete(model: &mut Model) {
    balancer_nodes(model);
    nat_addresses(model);
    guess_addresses(model);
}

/// A balancer has an interface in each of its subnets, whether or not the files list it.
fn balancer_nodes(model: &mut Model) {
    let mut made = Vec::new();
    for balancer in model.balancers.iter() {
        for subnet in &balancer.subnets {
            let is_node = |each: &Interface| each.subnet == *subnet && balancer.owns(each);
            if model.interfaces.iter().any(is_node) {
                continue;
            }
            let vpc = model.subnets.get(subnet).map_or(&balancer.vpc, |subnet| &subnet.vpc);
            made.push(Interface {
                id: format!("{}@{subnet}", balancer.id),
                owner: Owner::Balancer,
                names: vec![balancer.id.clone(), balancer.mark()],
                vpc: vpc.clone(),
                subnet: subnet.clone(),
                groups: balancer.groups.clone(),
                addresses: Vec::new(),
                guessed: true,
                public_later: !balancer.internal,
                device: 0,
                windows: false,
                place: balancer.place.clone(),
            });
        }
    }
    for interface in made {
        model.interfaces.add(&interface.id.clone(), interface);
    }
}

/// The interface of a NAT gateway may be listed where the gateway's own listing has no address.
fn nat_addresses(model: &mut Model) {
    for nat in model.nats.iter_mut().filter(|nat| nat.address.is_none()) {
        let own = |each: &&Interface| {
            each.owner == Owner::NatGateway && each.names.iter().any(|name| name.ends_with(&nat.id))
        };
        if let Some(found) = model.interfaces.iter().find(own).and_then(|each| each.addresses.first()) {
            nat.address = Some(found.private);
            nat.public = nat.public.or(found.public);
        }
    }
}

/// A free address of its subnet stands for one that AWS has not given yet.
fn guess_addresses(model: &mut Model) {
    let mut taken: HashSet<u128> = model
        .interfaces
        .iter()
        .flat_map(|each| each.addresses.iter().map(|one| number(one.private)))
        .collect();
    taken.extend(model.nats.iter().filter_map(|nat| nat.address).map(number));
    for interface in model.interfaces.iter_mut().filter(|each| each.addresses.is_empty()) {
        let subnet = model.subnets.get(&interface.subnet);
        let v4 = |net: &&Net| net.family == Family::V4;
        let Some(net) = subnet.and_then(|subnet| subnet.cidrs.iter().find(v4)).copied() else { continue };
        let tries = net.first.saturating_add(RESERVED_ADDRESSES)..=net.last;
        let free =
            tries.take(usize::try_from(TRY_COUNT_MAX).unwrap_or(usize::MAX)).find(|at| !taken.contains(at));
        if let Some(free) = free {
            taken.insert(free);
            interface.guessed = true;
            interface.addresses.push(Address { private: address(Family::V4, free), public: None });
        }
    }
}
