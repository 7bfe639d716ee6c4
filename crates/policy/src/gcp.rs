//! Google Cloud: firewall rules and policies, instances, networks, routes and peerings, from `gcloud … --format=json`.
//!
//! Semantics: docs.cloud.google.com, "VPC firewall rules", "Evaluation order for firewall policies and rules",
//! "Routes", "VPC Network Peering".

mod fix;
mod network;
mod policy;
mod rules;
mod terraform;

pub use terraform::terraform;

use crate::cloud::fields::{field, last, many, word};
use crate::cloud::{Cloud, Vendor};
use crate::doc::Node;
use crate::place::Unread;
use std::collections::HashMap;

/// How deep lists and pages may stand in each other.
const PAGE_DEPTH_MAX: usize = 8;

const VENDOR: Vendor = Vendor {
    title: ("Google Cloud", "Google Cloud"),
    // "Always blocked: egress packets to TCP destination port 25 of an external IP address", with exceptions.
    smtp_blocked: true,
    allow: fix::allow,
    connect: fix::connect,
    publish: fix::publish,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Firewall,
    Policy,
    Network,
    Subnetwork,
    Instance,
    Route,
    Router,
    /// Load balancers: they lead packets on in ways that are not modelled.
    Relay,
    /// What some of them lead to.
    TargetPool,
    TargetInstance,
}

const KINDS: [(&str, Kind); 10] = [
    ("compute#firewall", Kind::Firewall),
    ("compute#firewallPolicy", Kind::Policy),
    ("compute#network", Kind::Network),
    ("compute#subnetwork", Kind::Subnetwork),
    ("compute#instance", Kind::Instance),
    ("compute#route", Kind::Route),
    ("compute#router", Kind::Router),
    ("compute#forwardingRule", Kind::Relay),
    ("compute#targetPool", Kind::TargetPool),
    ("compute#targetInstance", Kind::TargetInstance),
];

/// The members that tell a resource without a `kind`, the surest first.
const SHAPES: [(&[&str], Kind); 12] = [
    (&["allowed", "network"], Kind::Firewall),
    (&["denied", "network"], Kind::Firewall),
    (&["allowed", "direction"], Kind::Firewall),
    (&["denied", "direction"], Kind::Firewall),
    (&["networkInterfaces"], Kind::Instance),
    (&["ipCidrRange", "network"], Kind::Subnetwork),
    (&["destRange", "network"], Kind::Route),
    (&["nats", "network"], Kind::Router),
    (&["IPAddress", "target"], Kind::Relay),
    (&["IPAddress", "backendService"], Kind::Relay),
    (&["autoCreateSubnetworks"], Kind::Network),
    (&["routingConfig", "selfLink"], Kind::Network),
];

#[derive(Default)]
struct Files<'a> {
    of: HashMap<Kind, Vec<&'a Node>>,
}

/// Whether a document holds resources of Google Cloud.
pub fn claims(document: &Node) -> bool {
    let mut files = Files::default();
    files.collect(document, 0);
    !files.of.is_empty()
}

/// Everything the documents tell of Google Cloud.
pub fn read(documents: &[Node], unread: Vec<Unread>) -> Cloud {
    let mut files = Files::default();
    for document in documents {
        files.collect(document, 0);
    }
    let mut cloud = Cloud::new(&VENDOR, unread);
    network::fill(&mut cloud, &files);
    cloud
}

impl<'a> Files<'a> {
    fn collect(&mut self, node: &'a Node, depth: usize) {
        if depth > PAGE_DEPTH_MAX {
            return;
        }
        if node.members().is_empty() {
            node.list().iter().for_each(|node| self.collect(node, depth + 1));
        } else if let Some(kind) = kind(node) {
            self.of.entry(kind).or_default().push(node);
        } else if let Some(items) = node.get("items") {
            many(items).iter().for_each(|node| self.collect(node, depth + 1));
        }
    }

    fn each(&self, kind: Kind) -> &[&'a Node] {
        self.of.get(&kind).map_or(&[], Vec::as_slice)
    }
}

fn kind(node: &Node) -> Option<Kind> {
    if let Some(named) = word(node, "kind") {
        return KINDS.iter().find(|(name, _)| *name == named).map(|(_, kind)| *kind);
    }
    let is_policy_rule = |rule: &Node| rule.get("match").is_some() && rule.get("action").is_some();
    let rules = node.get("rules").map_or(&[][..], Node::list);
    if rules.iter().any(is_policy_rule) {
        return Some(Kind::Policy);
    }
    let has = |names: &[&str]| names.iter().all(|name| field(node, name).is_some());
    SHAPES.iter().find(|(names, _)| has(names)).map(|(_, kind)| *kind)
}

/// What networks and other resources are compared by: the link after `projects/`, else as it is written.
fn key(link: &str) -> String {
    let path = link.rfind("projects/").map_or(link, |at| &link[at..]);
    path.strip_prefix("global/networks/").unwrap_or(path).to_owned()
}

/// Whether two links may mean the same: the same path, or one of them is bare and the names are the same.
fn same(one: &str, two: &str) -> bool {
    let (one, two) = (key(one), key(two));
    let bare = !one.contains("projects/") || !two.contains("projects/");
    one == two || bare && last(&one) == last(&two)
}
