//! Instances, interfaces, elastic addresses, services with interfaces in a VPC.

use super::firewall::default_id;
use super::{Reader, blocks, bool, ip, names};
use crate::aws::model::{Address, Interface, Owner};
use crate::doc::Node;
use crate::terraform::{Resource, identities, identity};
use std::net::IpAddr;

pub fn new(reader: &Reader<'_>, resource: &Resource, subnet: String, groups: Vec<String>) -> Interface {
    let vpc = reader.model.subnets.get(&subnet).map(|subnet| subnet.vpc.clone()).unwrap_or_default();
    let groups = if groups.is_empty() && !vpc.is_empty() { vec![default_id(&vpc)] } else { groups };
    Interface {
        id: resource.id().to_owned(),
        owner: Owner::Other,
        names: names(resource),
        vpc,
        subnet,
        groups,
        addresses: Vec::new(),
        guessed: false,
        public_later: false,
        device: 0,
        windows: false,
        place: resource.node.place.clone(),
    }
}

/// The addresses under some keys; IPv6 ones are their own public address.
fn addresses(node: &Node, keys: &[&str], public: Option<IpAddr>) -> Vec<Address> {
    let found = keys.iter().flat_map(|key| identities(node, key)).filter_map(|text| text.parse().ok());
    found
        .enumerate()
        .map(|(at, private): (usize, IpAddr)| {
            let own = private.is_ipv6().then_some(private);
            Address { private, public: own.or(public.filter(|_| at == 0)) }
        })
        .collect()
}

pub fn interface(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let subnet = reader.id(node, "subnet_id").unwrap_or_default();
    let mut made = new(reader, resource, subnet, reader.ids(node, "security_groups"));
    made.addresses = addresses(node, &["private_ip", "private_ips", "ipv6_addresses"], None);
    made.addresses.dedup();
    for block in blocks(node, "attachment") {
        if let Some(instance) = reader.id(block, "instance") {
            made.owner = Owner::Instance(instance);
            made.device = device(block);
        }
    }
    reader.model.interfaces.add(&made.id.clone(), made);
    Some(())
}

pub fn instance(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id().to_owned(), &resource.node);
    reader.model.instance_names.insert(id.clone(), (names(resource), node.place.clone()));
    let given = blocks(node, "network_interface").iter().chain(blocks(node, "primary_network_interface"));
    let given: Vec<(String, i64)> =
        given.filter_map(|block| Some((reader.id(block, "network_interface_id")?, device(block)))).collect();
    for (interface, device) in &given {
        if let Some(known) = reader.model.interfaces.get_mut(interface) {
            known.owner = Owner::Instance(id.clone());
            known.device = *device;
        }
    }
    if !given.is_empty() {
        return Some(());
    }
    let subnet = reader.id(node, "subnet_id").unwrap_or_default();
    let mut groups = reader.ids(node, "vpc_security_group_ids");
    groups.extend(reader.ids(node, "security_groups"));
    let mut made = new(reader, resource, subnet.clone(), groups);
    made.owner = Owner::Instance(id.clone());
    made.names.clear();
    let public = ip(node, "public_ip");
    made.addresses = addresses(node, &["private_ip", "ipv6_addresses"], public);
    let wants_public = bool(node, "associate_public_ip_address")
        .or_else(|| bool(&reader.by_id.get(subnet.as_str())?.node, "map_public_ip_on_launch"));
    made.public_later = public.is_none() && wants_public == Some(true);
    reader.model.interfaces.add(&id, made);
    Some(())
}

/// An autoscaling group: an instance in each of its subnets stands for those it makes.
pub fn scaling_group(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id().to_owned(), &resource.node);
    reader.model.instance_names.insert(id.clone(), (names(resource), node.place.clone()));
    let template = template(reader, node);
    let groups = template.map(|template| template_groups(reader, &template.node)).unwrap_or_default();
    let public = template.and_then(|template| {
        let network = blocks(&template.node, "network_interfaces").first().unwrap_or(&template.node);
        bool(network, "associate_public_ip_address")
    });
    for (at, subnet) in reader.ids(node, "vpc_zone_identifier").into_iter().enumerate() {
        let gives_public = || bool(&reader.by_id.get(subnet.as_str())?.node, "map_public_ip_on_launch");
        let public_later = public.or_else(gives_public) == Some(true);
        let mut made = new(reader, resource, subnet, groups.clone());
        made.owner = Owner::Instance(id.clone());
        made.names.clear();
        made.public_later = public_later;
        if at > 0 {
            made.id = format!("{id}[{at}]");
        }
        reader.model.interfaces.add(&made.id.clone(), made);
    }
    for key in ["target_group_arns", "load_balancers"] {
        for owner in reader.ids(node, key) {
            let owner = reader.named(&owner, "aws_elb").map_or(owner.as_str(), Resource::id);
            super::balance::register_all(reader, owner, &id);
        }
    }
    Some(())
}

/// The launch template or configuration of an autoscaling group.
fn template<'a>(reader: &Reader<'a>, node: &Node) -> Option<&'a Resource> {
    let mixed =
        blocks(node, "mixed_instances_policy").iter().flat_map(|block| blocks(block, "launch_template"));
    let mixed = mixed.flat_map(|block| blocks(block, "launch_template_specification"));
    let named = blocks(node, "launch_template").iter().chain(mixed);
    let keys = ["id", "launch_template_id", "name", "launch_template_name"];
    let found = |block: &Node| {
        keys.iter().find_map(|key| reader.named(block.get(key).and_then(identity)?, "aws_launch_"))
    };
    let configuration = || reader.named(node.get("launch_configuration").and_then(identity)?, "aws_launch_");
    named.into_iter().find_map(found).or_else(configuration)
}

fn template_groups(reader: &Reader<'_>, node: &Node) -> Vec<String> {
    let networks = blocks(node, "network_interfaces").iter();
    let mut groups: Vec<String> = networks.flat_map(|block| reader.ids(block, "security_groups")).collect();
    groups.extend(reader.ids(node, "vpc_security_group_ids"));
    groups.extend(reader.ids(node, "security_groups"));
    groups
}

pub fn attachment(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let interface = reader.id(&resource.node, "network_interface_id")?;
    let instance = reader.id(&resource.node, "instance_id")?;
    let known = reader.model.interfaces.get_mut(&interface)?;
    known.owner = Owner::Instance(instance);
    known.device = device(&resource.node);
    Some(())
}

/// Which of its instance's interfaces it is.
fn device(node: &Node) -> i64 {
    node.get("device_index").and_then(Node::integer).unwrap_or(0)
}

pub fn group_attachment(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let group = reader.id(node, "security_group_id")?;
    let interface = reader
        .owner_of(node, "network_interface_id", "primary_network_interface_id")
        .or_else(|| reader.id(node, "network_interface_id"))?;
    reader.model.interfaces.get_mut(&interface)?.groups.push(group);
    Some(())
}

/// A database or function: one interface in each of its subnets.
pub fn service(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let (subnets, groups) = match blocks(node, "vpc_config").first() {
        Some(block) => (reader.ids(block, "subnet_ids"), reader.ids(block, "security_group_ids")),
        None => {
            let name = node.word("db_subnet_group_name").unwrap_or_default();
            let is_it = |group: &&Resource| {
                group.kind == "aws_db_subnet_group"
                    && (group.id() == name || group.address == name || group.node.word("name") == Some(name))
            };
            let written =
                node.get("db_subnet_group_name").and_then(crate::terraform::identity).unwrap_or_default();
            let by_address = |group: &&Resource| {
                group.kind == "aws_db_subnet_group" && written.strip_suffix(".name") == Some(&group.address)
            };
            let group =
                reader.resources.iter().find(is_it).or_else(|| reader.resources.iter().find(by_address));
            let subnets = group.map_or_else(Vec::new, |group| reader.ids(&group.node, "subnet_ids"));
            (subnets, reader.ids(node, "vpc_security_group_ids"))
        }
    };
    let public_later = bool(node, "publicly_accessible") == Some(true);
    for (at, subnet) in subnets.into_iter().enumerate() {
        let mut made = new(reader, resource, subnet, groups.clone());
        made.public_later = public_later;
        if at > 0 {
            made.id = format!("{}[{at}]", made.id);
        }
        reader.model.interfaces.add(&made.id.clone(), made);
    }
    Some(())
}

pub fn elastic(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let target = reader.id(node, "instance").or_else(|| reader.id(node, "network_interface"))?;
    lead(reader, &target, ip(node, "public_ip"))
}

pub fn elastic_association(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let target = reader.id(node, "instance_id").or_else(|| reader.id(node, "network_interface_id"))?;
    let allocation = reader.id(node, "allocation_id");
    let known = allocation.and_then(|id| ip(&reader.by_id.get(id.as_str())?.node, "public_ip"));
    lead(reader, &target, known.or_else(|| ip(node, "public_ip")))
}

/// A public address leads to an interface, or will.
fn lead(reader: &mut Reader<'_>, target: &str, public: Option<IpAddr>) -> Option<()> {
    let is_it = |each: &&mut Interface| each.id == target || each.owner == Owner::Instance(target.to_owned());
    let known = reader.model.interfaces.iter_mut().find(is_it)?;
    match (public, known.addresses.first_mut()) {
        (Some(public), Some(address)) => address.public = Some(public),
        _ => known.public_later = true,
    }
    Some(())
}
