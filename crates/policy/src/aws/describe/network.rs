//! VPCs, subnets, route tables and the gateways of a VPC.

use super::{ip, texts, words};
use crate::aws::model::{
    Destination, Exit, ExitKind, InternetGateway, Model, NatGateway, Peering, Route, RouteTable, Subnet,
    Target, Vpc,
};
use crate::aws::net::Net;
use crate::doc::Node;

/// Every network in the lists and fields where AWS writes them.
fn nets(node: &Node) -> Vec<Net> {
    let mut nets: Vec<Net> = node.word("CidrBlock").and_then(Net::read).into_iter().collect();
    for (list, key) in [
        ("CidrBlockAssociationSet", "CidrBlock"),
        ("CidrBlockSet", "CidrBlock"),
        ("Ipv6CidrBlockAssociationSet", "Ipv6CidrBlock"),
        ("Ipv6CidrBlockSet", "Ipv6CidrBlock"),
    ] {
        nets.extend(words(node, list, key).iter().filter_map(|text| Net::read(text)));
    }
    nets.sort();
    nets.dedup();
    nets
}

pub fn vpc(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("VpcId")?;
    model.vpcs.add(id, Vpc { id: id.to_owned(), cidrs: nets(node), place: node.place.clone() });
    Some(())
}

pub fn subnet(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("SubnetId")?;
    let subnet = Subnet {
        id: id.to_owned(),
        vpc: node.word("VpcId")?.to_owned(),
        zone: node.word("AvailabilityZone").map(str::to_owned),
        cidrs: nets(node),
        place: node.place.clone(),
    };
    model.subnets.add(id, subnet);
    Some(())
}

pub fn route_table(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("RouteTableId")?;
    let associations = node.each("Associations");
    let table = RouteTable {
        id: id.to_owned(),
        vpc: node.word("VpcId").unwrap_or_default().to_owned(),
        main: associations.iter().any(|each| each.get("Main").and_then(Node::bool) == Some(true)),
        subnets: words(node, "Associations", "SubnetId"),
        gateways: words(node, "Associations", "GatewayId"),
        routes: node.each("Routes").iter().map(route).collect(),
        place: node.place.clone(),
    };
    model.tables.add(id, table);
    Some(())
}

fn route(node: &Node) -> Route {
    let net = node.word("DestinationCidrBlock").or_else(|| node.word("DestinationIpv6CidrBlock"));
    let to = match (net.map(|text| (text, Net::read(text))), node.word("DestinationPrefixListId")) {
        (Some((_, Some(net))), _) => Destination::Net(net),
        (Some((text, None)), _) => Destination::Unknown(text.to_owned()),
        (None, Some(list)) => Destination::Prefixes(list.to_owned()),
        (None, None) => Destination::Unknown(String::new()),
    };
    Route {
        to,
        target: target(node),
        blackhole: node.word("State") == Some("blackhole"),
        propagated: node.word("Origin") == Some("EnableVgwRoutePropagation"),
        place: node.place.clone(),
    }
}

type MakeTarget = fn(String) -> Target;

fn target(node: &Node) -> Target {
    let makers: [(&str, MakeTarget); 7] = [
        ("NatGatewayId", Target::Nat),
        ("VpcPeeringConnectionId", Target::Peering),
        ("TransitGatewayId", Target::Transit),
        ("EgressOnlyInternetGatewayId", Target::EgressOnly),
        ("GatewayId", Target::Gateway),
        ("NetworkInterfaceId", Target::Interface),
        ("InstanceId", Target::Interface),
    ];
    for (key, make) in makers {
        match node.word(key) {
            Some("local") => return Target::Local,
            Some(id) => return make(id.to_owned()),
            None => {}
        }
    }
    let other = node.members().iter().find(|(key, value)| key.ends_with("Id") && value.text().is_some());
    Target::Unknown(other.and_then(|(_, value)| value.text()).unwrap_or_default().to_owned())
}

pub fn internet_gateway(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("InternetGatewayId").or_else(|| node.word("EgressOnlyInternetGatewayId"))?;
    let vpcs = words(node, "Attachments", "VpcId");
    model.internet.add(id, InternetGateway { id: id.to_owned(), vpcs, place: node.place.clone() });
    Some(())
}

pub fn nat_gateway(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("NatGatewayId")?;
    if matches!(node.word("State"), Some("deleted" | "deleting" | "failed")) {
        return Some(());
    }
    let first = node.each("NatGatewayAddresses").first();
    let nat = NatGateway {
        id: id.to_owned(),
        subnet: node.word("SubnetId").unwrap_or_default().to_owned(),
        address: first.and_then(|each| ip(each, "PrivateIp")),
        public: first.and_then(|each| ip(each, "PublicIp")),
        is_public: node.word("ConnectivityType") != Some("private"),
        place: node.place.clone(),
    };
    model.nats.add(id, nat);
    Some(())
}

pub fn peering(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("VpcPeeringConnectionId")?;
    let side = |key: &str| node.get(key).and_then(|side| side.word("VpcId")).unwrap_or_default().to_owned();
    let code = node.at(&["Status", "Code"]).and_then(Node::text);
    if matches!(code, Some("deleted" | "deleting")) {
        return Some(());
    }
    let sides = [side("RequesterVpcInfo"), side("AccepterVpcInfo")];
    let active = matches!(code, Some("active") | None);
    model.peerings.add(id, Peering { id: id.to_owned(), sides, active, place: node.place.clone() });
    Some(())
}

pub fn virtual_gateway(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("VpnGatewayId")?;
    model.exits.add(id, Exit { kind: ExitKind::Virtual });
    Some(())
}

/// A connection's tunnels have addresses of their own; what it leads to is not AWS's.
pub fn vpn_connection(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("VpnConnectionId")?;
    if matches!(node.word("State"), Some("deleted" | "deleting")) {
        return Some(());
    }
    let routes: Vec<Net> =
        words(node, "Routes", "DestinationCidrBlock").iter().filter_map(|text| Net::read(text)).collect();
    if !routes.is_empty() {
        model.prefixes.insert(id.to_owned(), routes);
    }
    let options = node.at(&["Options"]).map_or(&[][..], |options| options.each("TunnelOptions"));
    for tunnel in node.each("VgwTelemetry").iter().chain(options) {
        if let Some(address) = ip(tunnel, "OutsideIpAddress")
            && !model.tunnels.iter().any(|(_, known, _)| *known == address)
        {
            model.tunnels.push((id.to_owned(), address, tunnel.place.clone()));
        }
    }
    Some(())
}

pub fn endpoint(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("VpcEndpointId")?;
    let kind = match node.word("VpcEndpointType") {
        Some("Interface") => return interface_endpoint(model, node, id),
        Some("GatewayLoadBalancer") => ExitKind::Appliance,
        _ => ExitKind::Service,
    };
    model.exits.add(id, Exit { kind });
    Some(())
}

/// An endpoint that is interfaces: its names lead to them.
fn interface_endpoint(model: &mut Model, node: &Node, id: &str) -> Option<()> {
    let names: Vec<String> =
        std::iter::once(id.to_owned()).chain(words(node, "DnsEntries", "DnsName")).collect();
    for interface in texts(node, "NetworkInterfaceIds") {
        if let Some(known) = model.interfaces.get_mut(&interface) {
            known.names.extend(names.iter().cloned());
        }
    }
    Some(())
}
