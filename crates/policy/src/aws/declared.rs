//! The `aws_*` resources of Terraform.

mod balance;
mod compute;
mod firewall;
mod network;
mod transit;

use super::model::Model;
use super::net::Net;
use super::service::Service;
use crate::doc::{Node, Value};
use crate::place::both;
use crate::terraform::{Resource, identities, identity};
use std::collections::HashMap;
use std::net::IpAddr;

/// How one resource is read.
type Handler = fn(&mut Reader<'_>, &Resource) -> Option<()>;

/// In the order they are read: what adds to others comes after them.
const HANDLERS: [(&[&str], Handler); 44] = [
    (&["aws_vpc", "aws_default_vpc"], network::vpc),
    (&["aws_vpc_ipv4_cidr_block_association"], network::vpc_network),
    (&["aws_subnet", "aws_default_subnet"], network::subnet),
    (&["aws_internet_gateway", "aws_egress_only_internet_gateway"], network::internet_gateway),
    (&["aws_internet_gateway_attachment"], network::gateway_attachment),
    (&["aws_nat_gateway"], network::nat_gateway),
    (&["aws_vpn_gateway"], network::virtual_gateway),
    (&["aws_vpc_endpoint"], network::endpoint),
    (&["aws_vpc_peering_connection"], network::peering),
    (&["aws_vpc_peering_connection_accepter"], network::peering_accepter),
    (&["aws_route_table"], network::route_table),
    (&["aws_default_route_table"], network::default_table),
    (&["aws_main_route_table_association"], network::main_table),
    (&["aws_route_table_association"], network::table_association),
    (&["aws_route"], network::route),
    (&["aws_ec2_managed_prefix_list"], firewall::prefix_list),
    (&["aws_ec2_managed_prefix_list_entry"], firewall::prefix_entry),
    (&["aws_security_group"], firewall::group),
    (&["aws_default_security_group"], firewall::default_group),
    (&["aws_security_group_rule"], firewall::group_rule),
    (&["aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"], firewall::single_rule),
    (&["aws_network_acl", "aws_default_network_acl"], firewall::acl),
    (&["aws_network_acl_rule"], firewall::acl_rule),
    (&["aws_network_acl_association"], firewall::acl_association),
    (&["aws_network_interface"], compute::interface),
    (&["aws_instance"], compute::instance),
    (&["aws_network_interface_attachment"], compute::attachment),
    (&["aws_network_interface_sg_attachment"], compute::group_attachment),
    (&["aws_db_instance", "aws_rds_cluster", "aws_lambda_function"], compute::service),
    (&["aws_eip"], compute::elastic),
    (&["aws_eip_association"], compute::elastic_association),
    (&["aws_lb", "aws_alb"], balance::balancer),
    (&["aws_lb_target_group", "aws_alb_target_group"], balance::target_group),
    (&["aws_lb_listener", "aws_alb_listener"], balance::listener),
    (&["aws_lb_listener_rule", "aws_alb_listener_rule"], balance::rule),
    (&["aws_lb_target_group_attachment", "aws_alb_target_group_attachment"], balance::target),
    (&["aws_elb"], balance::classic),
    (&["aws_elb_attachment"], balance::classic_attachment),
    (&["aws_autoscaling_group"], compute::scaling_group),
    (&["aws_autoscaling_attachment"], balance::scaling_attachment),
    (&["aws_ec2_transit_gateway"], transit::gateway),
    (&["aws_ec2_transit_gateway_route_table"], transit::table),
    (
        &["aws_ec2_transit_gateway_vpc_attachment", "aws_ec2_transit_gateway_peering_attachment"],
        transit::attachment,
    ),
    (
        &[
            "aws_ec2_transit_gateway_route",
            "aws_ec2_transit_gateway_route_table_association",
            "aws_ec2_transit_gateway_route_table_propagation",
        ],
        transit::table_entry,
    ),
];

/// What is read into, and the ids of everything.
pub struct Reader<'a> {
    model: &'a mut Model,
    resources: &'a [Resource],
    /// The id of each resource, by its address.
    ids: HashMap<&'a str, &'a str>,
    by_id: HashMap<&'a str, &'a Resource>,
}

/// Reads the resources of AWS among those of a configuration.
pub fn read(resources: &[Resource], model: &mut Model) {
    let ids = resources.iter().map(|resource| (resource.address.as_str(), resource.id())).collect();
    let by_id = resources.iter().map(|resource| (resource.id(), resource)).collect();
    let mut reader = Reader { model, resources, ids, by_id };
    for (kinds, handler) in HANDLERS {
        for resource in resources.iter().filter(|resource| kinds.contains(&resource.kind.as_str())) {
            let _ = handler(&mut reader, resource);
        }
    }
    firewall::default_groups(reader.model);
    network::main_tables(&mut reader, resources);
}

impl<'a> Reader<'a> {
    /// The id that a reference stands for.
    fn id(&self, node: &Node, key: &str) -> Option<String> {
        self.resolved(identity(node.get(key)?)?)
    }

    fn resolved(&self, text: &str) -> Option<String> {
        Some((*self.ids.get(text).unwrap_or(&text)).to_owned())
    }

    /// The resource of a kind that goes by this id, address or name: some are referred to by their names.
    fn named(&self, written: &str, kind: &str) -> Option<&'a Resource> {
        let bare = written.strip_suffix(".name").unwrap_or(written);
        self.resources.iter().find(|one| {
            let is_it = one.id() == bare || one.address == bare || one.node.word("name") == Some(written);
            one.kind.starts_with(kind) && is_it
        })
    }

    fn ids(&self, node: &Node, key: &str) -> Vec<String> {
        identities(node, key).into_iter().flat_map(|text| self.copies(text)).collect()
    }

    /// The ids of all copies of a resource that a plan refers to as a whole.
    fn copies(&self, text: &str) -> Vec<String> {
        if self.ids.contains_key(text) {
            return self.resolved(text).into_iter().collect();
        }
        let is_copy = |resource: &&Resource| {
            resource.address.strip_prefix(text).is_some_and(|rest| rest.starts_with('['))
        };
        let copies: Vec<String> =
            self.resources.iter().filter(is_copy).map(|one| one.id().to_owned()).collect();
        if copies.is_empty() { vec![text.to_owned()] } else { copies }
    }

    /// The thing whose computed attribute an expression names: `aws_vpc.a` of `aws_vpc.a.default_route_table_id`.
    fn owner_of(&self, node: &Node, key: &str, attribute: &str) -> Option<String> {
        let written = identity(node.get(key)?)?;
        let address = written.strip_suffix(attribute)?.strip_suffix('.')?;
        let ends = |resource: &&Resource| {
            resource
                .address
                .strip_suffix(address)
                .is_some_and(|front| front.is_empty() || front.ends_with('.'))
        };
        self.resources.iter().find(ends).map(|resource| resource.id().to_owned())
    }
}

/// Blocks under a key: those of a list, or a single one.
fn blocks<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    match node.get(key) {
        Some(Node { value: Value::List(nodes), .. }) => nodes,
        Some(Node { value: Value::Null, .. }) | None => &[],
        Some(single) => std::slice::from_ref(single),
    }
}

fn ip(node: &Node, key: &str) -> Option<IpAddr> {
    node.word(key)?.parse().ok()
}

fn bool(node: &Node, key: &str) -> Option<bool> {
    node.get(key).and_then(Node::bool)
}

fn nets(node: &Node, keys: &[&str]) -> Vec<Net> {
    keys.iter().filter_map(|key| node.word(key)).filter_map(Net::read).collect()
}

/// A network, by the first of these keys that is set; `Err` is one that cannot be worked out.
fn net(node: &Node, keys: &[&str]) -> Result<Net, String> {
    let written =
        keys.iter().filter_map(|key| node.get(key)).find(|node| !node.is_null() && node.text() != Some(""));
    let text = written.and_then(identity).unwrap_or_default();
    Net::read(text).ok_or_else(|| text.to_owned())
}

/// Protocol and ports of a rule; what is an expression is not known.
fn service(node: &Node, protocol: &str, from: &str, to: &str) -> Service {
    let unknown = [protocol, from, to].iter().find_map(|key| match node.get(key).map(|node| &node.value) {
        Some(Value::Expression(text)) => Some(text.clone()),
        _ => None,
    });
    let integer = |key| node.get(key).and_then(Node::integer);
    let mut service = match unknown {
        Some(_) => Service::new(Some("-1"), None, None),
        None => Service::new(node.word(protocol), integer(from), integer(to)),
    };
    if let Some(text) = unknown {
        service.unknown.push(both(format!("{text} cannot be worked out"), format!("无法计算 {text}")));
        service.text = text;
    }
    service
}

/// What people call a resource.
fn names(resource: &Resource) -> Vec<String> {
    let tag = resource.node.at(&["tags", "Name"]).and_then(Node::text).map(str::to_owned);
    let id = resource.id();
    let mut names: Vec<String> = tag.into_iter().collect();
    names.extend([resource.address.clone(), resource.name.clone()]);
    names.retain(|name| name != id);
    names.dedup();
    names
}
