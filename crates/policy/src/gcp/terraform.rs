//! Resources of the provider `google` in the shape of Google Cloud's own answers.

use crate::cloud::fields::spelt;
use crate::cloud::shape::{Shape, append, list, map, of_kind, shaped, text};
use crate::doc::{Node, Value};
use crate::terraform::Resource;
use std::collections::HashMap;

/// How deep names of networks are looked for.
const NODE_DEPTH_MAX: usize = 8;

macro_rules! shape {
    ($kind:literal, $type:literal, $rename:expr) => {
        Shape { kind: $kind, add: &[("kind", $type)], rename: $rename, id: &[] }
    };
}

const SHAPES: [Shape; 12] = [
    shape!("google_compute_firewall", "compute#firewall", &[("allow", "allowed"), ("deny", "denied")]),
    shape!("google_compute_network", "compute#network", &[]),
    shape!("google_compute_subnetwork", "compute#subnetwork", &[("secondary_ip_range", "secondaryIpRanges")]),
    shape!("google_compute_instance", "compute#instance", INSTANCE),
    shape!("google_compute_instance_from_template", "compute#instance", INSTANCE),
    shape!("google_compute_route", "compute#route", &[]),
    shape!("google_compute_router", "compute#router", &[]),
    shape!("google_compute_forwarding_rule", "compute#forwardingRule", &[]),
    shape!("google_compute_global_forwarding_rule", "compute#forwardingRule", &[]),
    shape!("google_compute_network_firewall_policy", "compute#firewallPolicy", &[]),
    shape!("google_compute_region_network_firewall_policy", "compute#firewallPolicy", &[]),
    shape!("google_compute_firewall_policy", "compute#firewallPolicy", &[("short_name", "shortName")]),
];

const INSTANCE: &[(&str, &str)] = &[
    ("network_interface", "networkInterfaces"),
    ("service_account", "serviceAccounts"),
    ("access_config", "accessConfigs"),
    ("ipv6_access_config", "ipv6AccessConfigs"),
];
const POLICY_RULES: [&str; 3] = [
    "google_compute_network_firewall_policy_rule",
    "google_compute_region_network_firewall_policy_rule",
    "google_compute_firewall_policy_rule",
];
const POLICY_TIES: [&str; 3] = [
    "google_compute_network_firewall_policy_association",
    "google_compute_region_network_firewall_policy_association",
    "google_compute_firewall_policy_association",
];
/// Kinds whose addresses stand for their names wherever they are referred to.
const NAMED: [&str; 7] = [
    "google_compute_network",
    "google_compute_subnetwork",
    "google_compute_router",
    "google_compute_network_firewall_policy",
    "google_compute_region_network_firewall_policy",
    "google_compute_firewall_policy",
    "google_compute_instance",
];

/// The resources of Google Cloud as documents for [`super::read`].
pub fn terraform(resources: &[Resource]) -> Vec<Node> {
    let mut nodes = shaped(resources, &SHAPES);
    let names = names(resources);
    nodes.iter_mut().for_each(|node| rename(node, &names, 0));
    let named = |node: &Node| {
        let mut node = node.clone();
        rename(&mut node, &names, 0);
        node
    };
    for peering in of_kind(resources, "google_compute_network_peering") {
        let node = named(&peering.node);
        let (Some(own), Some(other)) = (node.word("network"), node.word("peer_network")) else { continue };
        let part = map(&node.place, vec![("network", Some(text(&node.place, other)))]);
        append(&mut nodes, "name", own, "peerings", part);
    }
    for nat in of_kind(resources, "google_compute_router_nat") {
        let node = named(&nat.node);
        if let Some(router) = node.word("router").map(str::to_owned) {
            append(&mut nodes, "name", &router, "nats", node);
        }
    }
    policies(resources, &mut nodes, &named);
    nodes
}

fn policies(resources: &[Resource], nodes: &mut [Node], named: &dyn Fn(&Node) -> Node) {
    let rules = POLICY_RULES.iter().flat_map(|kind| of_kind(resources, kind));
    for rule in rules {
        let node = named(&rule.node);
        if let Some(policy) = node.word("firewall_policy").map(str::to_owned) {
            append(nodes, "name", &policy, "rules", node);
        }
    }
    let ties = POLICY_TIES.iter().flat_map(|kind| of_kind(resources, kind));
    for tie in ties {
        let node = named(&tie.node);
        let (Some(policy), Some(target)) = (node.word("firewall_policy"), node.word("attachment_target"))
        else {
            continue;
        };
        // What the reader knows a network's path by.
        let path = if target.contains('/') { target.to_owned() } else { format!("global/networks/{target}") };
        let part = map(&node.place, vec![("attachmentTarget", Some(text(&node.place, &path)))]);
        append(nodes, "name", policy, "associations", part);
    }
    for node in nodes.iter_mut().filter(|node| node.word("kind") == Some("compute#firewallPolicy")) {
        let place = node.place.clone();
        if node.get("rules").is_none()
            && let Value::Map(members) = &mut node.value
        {
            members.push(("rules".to_owned(), list(&place, Vec::new())));
        }
    }
}

/// What each address stands for.
fn names(resources: &[Resource]) -> HashMap<String, String> {
    let named = resources.iter().filter(|resource| NAMED.contains(&resource.kind.as_str()));
    let pair = |resource: &Resource| {
        let name = resource.node.word("name").or(resource.node.word("short_name")).unwrap_or(&resource.name);
        [(resource.address.clone(), name.to_owned()), (resource.id().to_owned(), name.to_owned())]
    };
    named.flat_map(pair).collect()
}

/// Puts names for addresses of resources, everywhere.
fn rename(node: &mut Node, names: &HashMap<String, String>, depth: usize) {
    if depth > NODE_DEPTH_MAX {
        return;
    }
    if let Some(name) = spelt(node).and_then(|text| names.get(text)) {
        node.value = Value::Text(name.clone());
    }
    match &mut node.value {
        Value::List(nodes) => nodes.iter_mut().for_each(|node| rename(node, names, depth + 1)),
        Value::Map(members) => members.iter_mut().for_each(|(_, node)| rename(node, names, depth + 1)),
        _ => {}
    }
}
