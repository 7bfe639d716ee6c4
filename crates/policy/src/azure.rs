//! Azure: security groups on subnets and interfaces, networks, peerings and route tables, from `az … list` and `show`,
//! from the REST interface (everything under `properties`) and from templates.
//!
//! Semantics: learn.microsoft.com, "Network security groups", "How network security groups filter network traffic",
//! "Virtual network service tags", "Virtual network traffic routing".

mod fix;
mod network;
mod rules;
mod tags;
mod terraform;

pub use terraform::terraform;

use crate::cloud::fields::{field, last, many, word};
use crate::cloud::{Cloud, Vendor};
use crate::doc::Node;
use crate::place::Unread;
use std::collections::HashMap;

/// How deep resources may stand in resources of a template.
const RESOURCE_DEPTH_MAX: usize = 16;

const VENDOR: Vendor = Vendor {
    title: ("Azure", "Azure"),
    smtp_blocked: false,
    allow: fix::allow,
    connect: fix::connect,
    publish: fix::publish,
};

/// What kind of resource a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    SecurityGroup,
    SecurityRule,
    Network,
    Subnet,
    Peering,
    Interface,
    Machine,
    PublicAddress,
    RouteTable,
    NatGateway,
    ApplicationGroup,
    LocalGateway,
    /// Load balancers, application gateways, firewalls: they lead packets on in ways that are not modelled.
    Relay,
}

/// `type` in lower case, or what it ends with, and the kind it means.
const KINDS: [(&str, Kind); 15] = [
    ("networksecuritygroups", Kind::SecurityGroup),
    ("networksecuritygroups/securityrules", Kind::SecurityRule),
    ("virtualnetworks", Kind::Network),
    ("virtualnetworks/subnets", Kind::Subnet),
    ("virtualnetworks/virtualnetworkpeerings", Kind::Peering),
    ("networkinterfaces", Kind::Interface),
    ("virtualmachines", Kind::Machine),
    ("publicipaddresses", Kind::PublicAddress),
    ("routetables", Kind::RouteTable),
    ("natgateways", Kind::NatGateway),
    ("applicationsecuritygroups", Kind::ApplicationGroup),
    ("localnetworkgateways", Kind::LocalGateway),
    ("loadbalancers", Kind::Relay),
    ("applicationgateways", Kind::Relay),
    ("azurefirewalls", Kind::Relay),
];

/// The members that tell a resource without a `type`, the surest first.
const SHAPES: [(&[&str], Kind); 9] = [
    (&["securityRules"], Kind::SecurityGroup),
    (&["defaultSecurityRules"], Kind::SecurityGroup),
    (&["access", "direction", "priority"], Kind::SecurityRule),
    (&["addressSpace", "subnets"], Kind::Network),
    (&["remoteVirtualNetwork"], Kind::Peering),
    (&["networkProfile"], Kind::Machine),
    (&["routes", "disableBgpRoutePropagation"], Kind::RouteTable),
    (&["publicIPAllocationMethod"], Kind::PublicAddress),
    (&["ipConfigurations", "macAddress"], Kind::Interface),
];

/// A resource with what it stands in.
#[derive(Clone, Copy)]
struct Resource<'a> {
    node: &'a Node,
    /// The resource it belongs to, where it stands inside of it.
    parent: Option<&'a Node>,
}

/// Every resource of the files, by kind and by id and name.
#[derive(Default)]
struct Files<'a> {
    of: HashMap<Kind, Vec<Resource<'a>>>,
    ids: HashMap<(Kind, String), usize>,
}

/// Whether a document holds resources of Azure.
pub fn claims(document: &Node) -> bool {
    let mut files = Files::default();
    files.collect(document, None, 0);
    !files.of.is_empty()
}

/// Everything the documents tell of Azure.
pub fn read(documents: &[Node], unread: Vec<Unread>) -> Cloud {
    let bare = rules::groups_of_bare_rules(documents);
    let mut files = Files::default();
    for document in documents.iter().chain(&bare) {
        files.collect(document, None, 0);
    }
    let mut cloud = Cloud::new(&VENDOR, unread);
    network::fill(&mut cloud, &files);
    cloud
}

impl<'a> Files<'a> {
    fn collect(&mut self, node: &'a Node, parent: Option<&'a Node>, depth: usize) {
        if depth > RESOURCE_DEPTH_MAX {
            return;
        }
        if node.members().is_empty() {
            node.list().iter().for_each(|node| self.collect(node, parent, depth + 1));
            return;
        }
        let kind = kind(node);
        if let Some(kind) = kind {
            self.add(kind, Resource { node, parent });
            self.inside(kind, node);
        }
        // `value` is a page of the REST interface, `resources` those of a template or of a resource.
        let inner = if kind.is_some() { Some(node) } else { parent };
        for member in ["value", "resources"].iter().filter_map(|name| node.get(name)) {
            many(member).iter().for_each(|node| self.collect(node, inner, depth + 1));
        }
    }

    /// Resources that stand in another one without a type of their own.
    fn inside(&mut self, kind: Kind, node: &'a Node) {
        let parts: &[(&str, Kind)] = match kind {
            Kind::Network => &[("subnets", Kind::Subnet), ("virtualNetworkPeerings", Kind::Peering)],
            _ => &[],
        };
        for (name, kind) in parts {
            for part in field(node, name).map_or(&[][..], many) {
                self.add(*kind, Resource { node: part, parent: Some(node) });
            }
        }
    }

    fn add(&mut self, kind: Kind, resource: Resource<'a>) {
        let of = self.of.entry(kind).or_default();
        let at = of.len();
        let id = word(resource.node, "id").map(key);
        let known = id.as_ref().is_some_and(|id| self.ids.contains_key(&(kind, id.clone())));
        // `az network vnet list` and `subnet list` tell of the same subnet: once is enough.
        if known {
            return;
        }
        of.push(resource);
        self.ids.extend(id.map(|id| ((kind, id), at)));
        if let Some(name) = word(resource.node, "name") {
            self.ids.entry((kind, key(name))).or_insert(at);
            self.ids.entry((kind, key(last(name)))).or_insert(at);
        }
    }

    fn each(&self, kind: Kind) -> &[Resource<'a>] {
        self.of.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// The number of the resource with this id, else with its last name.
    fn at(&self, kind: Kind, id: &str) -> Option<usize> {
        let id = key(id);
        let found = self.ids.get(&(kind, id.clone())).or_else(|| self.ids.get(&(kind, last(&id).to_owned())));
        found.copied()
    }

    fn find(&self, kind: Kind, id: &str) -> Option<Resource<'a>> {
        self.at(kind, id).and_then(|at| self.each(kind).get(at)).copied()
    }
}

fn kind(node: &Node) -> Option<Kind> {
    let typed = node.get("type").and_then(Node::text).filter(|text| text.contains('/'));
    if let Some(typed) = typed {
        let typed = typed.to_ascii_lowercase();
        let (provider, path) = typed.split_once('/')?;
        let ours = matches!(provider, "microsoft.network" | "microsoft.compute");
        let path = path.strip_prefix("locations/").unwrap_or(path);
        return KINDS.iter().find(|(known, _)| ours && *known == path).map(|(_, kind)| *kind);
    }
    let has = |names: &[&str]| names.iter().all(|name| field(node, name).is_some());
    SHAPES.iter().find(|(names, _)| has(names)).map(|(_, kind)| *kind)
}

/// What an id is compared by: in lower case; of a template's expression the last name in quotes.
fn key(id: &str) -> String {
    let id = id.trim_end_matches('/').to_lowercase();
    let quoted = id.starts_with('[').then(|| id.rsplit('\'').nth(1)).flatten();
    quoted.map_or(id.clone(), str::to_owned)
}
