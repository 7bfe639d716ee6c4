//! VPCs, subnets, route tables, gateways, peering.

use super::{Reader, blocks, bool, ip, names, nets};
use crate::aws::model::{
    Destination, Exit, ExitKind, Interface, InternetGateway, NatGateway, Owner, Peering, Route, RouteTable,
    Subnet, Target, Vpc,
};
use crate::aws::net::Net;
use crate::doc::{Node, Value};
use crate::place::Place;
use crate::terraform::{Resource, identity};

pub fn vpc(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    let mut cidrs = nets(node, &["cidr_block", "ipv6_cidr_block"]);
    if cidrs.is_empty() && resource.kind == "aws_default_vpc" {
        cidrs.extend(Net::read("172.31.0.0/16"));
    }
    reader.model.vpcs.add(id, Vpc { id: id.to_owned(), cidrs, place: node.place.clone() });
    Some(())
}

pub fn vpc_network(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let id = reader.id(&resource.node, "vpc_id")?;
    reader.model.vpcs.get_mut(&id)?.cidrs.extend(nets(&resource.node, &["cidr_block"]));
    Some(())
}

pub fn subnet(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    let subnet = Subnet {
        id: id.to_owned(),
        vpc: reader.id(node, "vpc_id").unwrap_or_default(),
        zone: node.get("availability_zone").and_then(identity).map(str::to_owned),
        cidrs: nets(node, &["cidr_block", "ipv6_cidr_block"]),
        place: node.place.clone(),
    };
    reader.model.subnets.add(id, subnet);
    Some(())
}

pub fn internet_gateway(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let id = resource.id();
    let vpcs = reader.id(&resource.node, "vpc_id").into_iter().collect();
    reader
        .model
        .internet
        .add(id, InternetGateway { id: id.to_owned(), vpcs, place: resource.node.place.clone() });
    Some(())
}

pub fn gateway_attachment(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let gateway = reader.id(&resource.node, "internet_gateway_id")?;
    let vpc = reader.id(&resource.node, "vpc_id")?;
    reader.model.internet.get_mut(&gateway)?.vpcs.push(vpc);
    Some(())
}

pub fn nat_gateway(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    let nat = NatGateway {
        id: id.to_owned(),
        subnet: reader.id(node, "subnet_id").unwrap_or_default(),
        address: ip(node, "private_ip"),
        public: ip(node, "public_ip"),
        is_public: node.word("connectivity_type") != Some("private"),
        place: node.place.clone(),
    };
    reader.model.nats.add(id, nat);
    Some(())
}

pub fn virtual_gateway(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    reader.model.exits.add(resource.id(), Exit { kind: ExitKind::Virtual });
    Some(())
}

pub fn endpoint(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    match node.word("vpc_endpoint_type").unwrap_or("Gateway") {
        "Interface" => {
            for (at, subnet) in reader.ids(node, "subnet_ids").into_iter().enumerate() {
                let made = Interface {
                    id: format!("{id}[{at}]"),
                    owner: Owner::Other,
                    names: names(resource),
                    vpc: reader.id(node, "vpc_id").unwrap_or_default(),
                    subnet,
                    groups: reader.ids(node, "security_group_ids"),
                    addresses: Vec::new(),
                    guessed: true,
                    public_later: false,
                    device: 0,
                    windows: false,
                    place: node.place.clone(),
                };
                reader.model.interfaces.add(&made.id.clone(), made);
            }
        }
        "GatewayLoadBalancer" => {
            reader.model.exits.add(id, Exit { kind: ExitKind::Appliance });
        }
        _ => {
            reader.model.exits.add(id, Exit { kind: ExitKind::Service });
        }
    }
    Some(())
}

pub fn peering(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    let side = |key: &str| reader.id(node, key).unwrap_or_default();
    let sides = [side("vpc_id"), side("peer_vpc_id")];
    let status = node.word("accept_status");
    let active = bool(node, "auto_accept") == Some(true) || status == Some("active");
    reader.model.peerings.add(id, Peering { id: id.to_owned(), sides, active, place: node.place.clone() });
    Some(())
}

pub fn peering_accepter(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let id = reader.id(&resource.node, "vpc_peering_connection_id")?;
    let accepts = bool(&resource.node, "auto_accept") == Some(true);
    reader.model.peerings.get_mut(&id)?.active |= accepts;
    Some(())
}

pub fn route_table(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let vpc = reader.id(&resource.node, "vpc_id").unwrap_or_default();
    add_table(reader, resource, vpc, false);
    Some(())
}

pub fn default_table(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let vpc = reader
        .owner_of(node, "default_route_table_id", "default_route_table_id")
        .or_else(|| reader.owner_of(node, "default_route_table_id", "main_route_table_id"))
        .or_else(|| reader.id(node, "vpc_id"));
    add_table(reader, resource, vpc.unwrap_or_default(), true);
    Some(())
}

fn add_table(reader: &mut Reader<'_>, resource: &Resource, vpc: String, main: bool) {
    let (id, node) = (resource.id(), &resource.node);
    let routes = blocks(node, "route").iter().map(|block| made_route(reader, block, &ROUTE_BLOCK)).collect();
    let table = RouteTable {
        id: id.to_owned(),
        vpc,
        main,
        subnets: Vec::new(),
        gateways: Vec::new(),
        routes,
        place: node.place.clone(),
    };
    reader.model.tables.add(id, table);
}

pub fn main_table(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let table = reader.id(&resource.node, "route_table_id")?;
    let vpc = reader.id(&resource.node, "vpc_id")?;
    for other in reader.model.tables.iter_mut().filter(|table| table.vpc == vpc) {
        other.main = false;
    }
    reader.model.tables.get_mut(&table)?.main = true;
    Some(())
}

pub fn table_association(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let (subnet, gateway) = (reader.id(node, "subnet_id"), reader.id(node, "gateway_id"));
    let id = reader.id(node, "route_table_id")?;
    match reader.model.tables.get_mut(&id) {
        Some(table) => {
            table.subnets.extend(subnet);
            table.gateways.extend(gateway);
        }
        // A table that is not among the files is still not the main one.
        None => {
            let table = RouteTable {
                id: id.clone(),
                vpc: String::new(),
                main: false,
                subnets: subnet.into_iter().collect(),
                gateways: gateway.into_iter().collect(),
                routes: vec![unknown_route(&id, &node.place)],
                place: node.place.clone(),
            };
            reader.model.tables.add(&id, table);
        }
    }
    Some(())
}

fn unknown_route(text: &str, place: &Place) -> Route {
    Route {
        to: Destination::Unknown(text.to_owned()),
        target: Target::Unknown(text.to_owned()),
        blackhole: false,
        propagated: false,
        place: place.clone(),
    }
}

pub fn route(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let made = made_route(reader, &resource.node, &ROUTE_RESOURCE);
    let id = reader.id(&resource.node, "route_table_id")?;
    let main_of = reader
        .owner_of(&resource.node, "route_table_id", "main_route_table_id")
        .or_else(|| reader.owner_of(&resource.node, "route_table_id", "default_route_table_id"));
    if let Some(vpc) = main_of {
        main_of_vpc(reader, &vpc, &resource.node.place)?.routes.push(made);
        return Some(());
    }
    reader.model.tables.get_mut(&id)?.routes.push(made);
    Some(())
}

/// The main table of a VPC, made when the files have only routes of it.
fn main_of_vpc<'m>(reader: &'m mut Reader<'_>, vpc: &str, place: &Place) -> Option<&'m mut RouteTable> {
    let known =
        reader.model.tables.iter().find(|table| table.main && table.vpc == vpc).map(|table| table.id.clone());
    let id = known.unwrap_or_else(|| format!("{vpc}.main_route_table_id"));
    let table = RouteTable {
        id: id.clone(),
        vpc: vpc.to_owned(),
        main: true,
        subnets: Vec::new(),
        gateways: Vec::new(),
        routes: Vec::new(),
        place: place.clone(),
    };
    reader.model.tables.add(&id, table);
    reader.model.tables.get_mut(&id)
}

/// A VPC that Terraform makes has a main table, which routes only the VPC's own networks until it is told more.
pub fn main_tables(reader: &mut Reader<'_>, resources: &[Resource]) {
    for vpc in resources.iter().filter(|resource| resource.kind == "aws_vpc") {
        main_of_vpc(reader, vpc.id(), &vpc.node.place);
    }
}

/// The keys of destinations: of networks, and of prefix lists.
struct RouteKeys {
    nets: [&'static str; 2],
    list: &'static str,
}

const ROUTE_BLOCK: RouteKeys =
    RouteKeys { nets: ["cidr_block", "ipv6_cidr_block"], list: "destination_prefix_list_id" };
const ROUTE_RESOURCE: RouteKeys = RouteKeys {
    nets: ["destination_cidr_block", "destination_ipv6_cidr_block"],
    list: "destination_prefix_list_id",
};

fn made_route(reader: &Reader<'_>, node: &Node, keys: &RouteKeys) -> Route {
    if let Value::Expression(text) = &node.value {
        return unknown_route(text, &node.place);
    }
    let list = reader.id(node, keys.list).filter(|list| !list.is_empty());
    let to = match (super::net(node, &keys.nets), list) {
        (Ok(net), _) => Destination::Net(net),
        (Err(_), Some(list)) => Destination::Prefixes(list),
        (Err(text), None) => Destination::Unknown(text),
    };
    Route { to, target: target(reader, node), blackhole: false, propagated: false, place: node.place.clone() }
}

type MakeTarget = fn(String) -> Target;

fn target(reader: &Reader<'_>, node: &Node) -> Target {
    let makers: [(&str, MakeTarget); 9] = [
        ("nat_gateway_id", Target::Nat),
        ("vpc_peering_connection_id", Target::Peering),
        ("transit_gateway_id", Target::Transit),
        ("egress_only_gateway_id", Target::EgressOnly),
        ("gateway_id", Target::Gateway),
        ("vpc_endpoint_id", Target::Gateway),
        ("network_interface_id", Target::Interface),
        ("instance_id", Target::Interface),
        ("local_gateway_id", Target::Unknown),
    ];
    for (key, make) in makers {
        match reader.id(node, key).as_deref() {
            Some("local") => return Target::Local,
            Some("") | None => {}
            Some(id) => return make(id.to_owned()),
        }
    }
    Target::Unknown(String::new())
}
