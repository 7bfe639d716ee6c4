//! What `aws … describe-*` prints, in files of any name: told apart by the keys at their top.

mod balance;
mod classic;
mod compute;
mod firewall;
mod network;
mod transit;

use super::model::Model;
use crate::doc::{Node, Value};
use crate::place::Unread;
use std::net::IpAddr;

/// How deep the listings may lie below maps of accounts and regions.
const LISTING_DEPTH_MAX: usize = 6;

/// How one thing of a listing is read.
type Reader = fn(&mut Model, &Node) -> Option<()>;

/// The listings in the order they are read, by their key in lower case without `_`.
const LISTINGS: [(&str, Reader); 30] = [
    ("securitygroups", firewall::group),
    ("networkacls", firewall::acl),
    ("prefixlists", firewall::prefix_list),
    ("managedprefixlists", firewall::prefix_list),
    ("vpcs", network::vpc),
    ("subnets", network::subnet),
    ("routetables", network::route_table),
    ("internetgateways", network::internet_gateway),
    ("egressonlyinternetgateways", network::internet_gateway),
    ("natgateways", network::nat_gateway),
    ("vpcpeeringconnections", network::peering),
    ("vpngateways", network::virtual_gateway),
    ("vpnconnections", network::vpn_connection),
    ("customergateways", ignored),
    ("virtualinterfaces", ignored),
    ("transitgateways", transit::gateway),
    ("transitgatewayattachments", transit::attachment),
    ("transitgatewayvpcattachments", transit::vpc_attachment),
    ("transitgatewaypeeringattachments", transit::peering_attachment),
    ("transitgatewayroutetables", transit::table),
    ("transitgatewaystaticroutes", transit::routes),
    ("transitgatewaypropagations", transit::propagations),
    ("networkinterfaces", compute::interface),
    ("reservations", compute::reservation),
    ("instances", compute::instance),
    ("loadbalancers", balance::balancer),
    ("loadbalancerdescriptions", classic::balancer),
    ("loadbalancerlisteners", balance::listeners),
    ("listeners", balance::listener),
    ("targetgroups", balance::target_group),
];

/// Listings that are read after the others, since they add to what those told.
const LATE: [(&str, Reader); 10] = [
    ("loadbalancertargethealth", balance::target_health),
    ("targethealthdescriptions", balance::target_of_file),
    ("rules", balance::rule),
    ("autoscalinggroups", balance::scaling_group),
    ("securitygrouprules", firewall::group_rule),
    ("addresses", compute::address),
    ("vpcendpoints", network::endpoint),
    ("dbinstances", compute::database),
    ("elasticsearchdomains", compute::domain),
    ("loadbalancerattributes", balance::attributes),
];

/// Reads the listings of all documents.
pub fn read(documents: &[Node], model: &mut Model, unread: &mut Vec<Unread>) {
    let mut found = Vec::new();
    for document in documents {
        listings(document, 0, &mut found);
    }
    for (name, reader) in LISTINGS.into_iter().chain(LATE) {
        for (_, list) in found.iter().filter(|(found, _)| found == name) {
            each(list, reader, model, unread);
        }
    }
    for (name, list) in &found {
        model.described |= matches!(name.as_str(), "networkinterfaces" | "reservations" | "instances");
        model.acls_told |= name == "networkacls" && !list.list().is_empty();
    }
}

/// Whether a document has a listing of AWS in it.
pub fn is_listing(document: &Node) -> bool {
    let mut found = Vec::new();
    listings(document, 0, &mut found);
    !found.is_empty()
}

fn each(list: &Node, reader: Reader, model: &mut Model, unread: &mut Vec<Unread>) {
    for node in list.list() {
        if reader(model, node).is_none() {
            let (en, zh) = ("a thing without the id or the fields it needs", "缺少标识或必要字段的条目");
            unread.push(Unread::new(node.place.clone(), "", en, zh));
        }
    }
}

fn listings<'a>(node: &'a Node, depth: usize, found: &mut Vec<(String, &'a Node)>) {
    if depth > LISTING_DEPTH_MAX {
        return;
    }
    match &node.value {
        Value::Map(members) => {
            for (key, value) in members {
                let name: String = key
                    .chars()
                    .filter(|c| c.is_ascii_alphanumeric())
                    .map(|c| c.to_ascii_lowercase())
                    .collect();
                let name = match name.as_str() {
                    "rdsinstances" => "dbinstances".to_owned(),
                    "domainstatuslist" => "elasticsearchdomains".to_owned(),
                    _ => name,
                };
                let known = |(listing, _): &(&str, Reader)| {
                    *listing == name && (name != "rules" || value.list().iter().any(is_listener_rule))
                };
                match value.value {
                    Value::List(_) if LISTINGS.iter().any(known) || LATE.iter().any(known) => {
                        found.push((name, value));
                    }
                    Value::Map(_) | Value::List(_) => listings(value, depth + 1, found),
                    _ => {}
                }
            }
        }
        Value::List(nodes) => nodes.iter().for_each(|node| listings(node, depth + 1, found)),
        _ => {}
    }
}

/// Rules of listeners are listed under a word that others use as well.
fn is_listener_rule(node: &Node) -> bool {
    node.word("RuleArn").is_some_and(|arn| arn.contains(":listener-rule/"))
}

/// What says nothing about the ways of packets here.
fn ignored(_: &mut Model, _: &Node) -> Option<()> {
    Some(())
}

fn words(node: &Node, list: &str, key: &str) -> Vec<String> {
    node.each(list).iter().filter_map(|each| each.word(key)).map(str::to_owned).collect()
}

/// The texts of a list of texts.
fn texts(node: &Node, list: &str) -> Vec<String> {
    node.each(list).iter().filter_map(Node::text).map(str::to_owned).collect()
}

fn ip(node: &Node, key: &str) -> Option<IpAddr> {
    node.word(key)?.parse().ok()
}

/// The `Name` tag.
fn name_tag(node: &Node) -> Option<String> {
    let tags = node.each("Tags").iter().chain(node.each("TagSet"));
    tags.filter(|tag| tag.word("Key") == Some("Name")).find_map(|tag| tag.word("Value")).map(str::to_owned)
}
