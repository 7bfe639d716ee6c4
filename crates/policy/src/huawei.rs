//! Huawei Cloud: security groups, network ACLs, servers and networks from the answers of its interface
//! (`hcloud VPC List…`, `hcloud ECS ListServersDetails`), of version 1, 2 (Neutron's words) and 3.
//!
//! Semantics: support.huaweicloud.com, "Security groups", "Network ACLs", "How traffic matches security group rules".

mod fix;
mod rules;
mod terraform;

pub use terraform::terraform;

use crate::cloud::facts::{Facts, Habits, Nic, RANK_OWN, RANK_SYSTEM, Table, Zone, any_map, maps};
use crate::cloud::fields::{addresses, each, field, spans, word, words};
use crate::cloud::{Cloud, Hop, Route, Vendor};
use crate::doc::{Node, Value};
use crate::gate::Kind;
use crate::place::Unread;
use crate::read::Span;

const VENDOR: Vendor = Vendor {
    title: ("Huawei Cloud", "华为云"),
    // Outgoing TCP 25 is closed until the account asks for it.
    smtp_blocked: true,
    allow: fix::allow,
    connect: fix::connect,
    publish: fix::publish,
};

const HABITS: Habits = Habits {
    group: Kind::HuaweiSecurityGroup,
    acl: Kind::HuaweiNetworkAcl,
    // "Network ACLs are stateful."
    acl_stateful: true,
    join: rules::join,
};

/// Whether a document holds answers of Huawei Cloud.
pub fn claims(document: &Node) -> bool {
    any_map(document, |node| {
        let has = |name: &str| node.get(name).is_some();
        has("security_group_id") && has("direction")
            || has("security_groups") && has("OS-EXT-AZ:availability_zone")
            || has("neutron_network_id")
            || has("fixed_ips") && has("security_groups")
            || has("ingress_rules") && has("egress_rules")
            || has("ip_set") && has("ip_version")
    })
}

/// Everything the documents tell of Huawei Cloud.
pub fn read(documents: &[Node], unread: Vec<Unread>) -> Cloud {
    let mut cloud = Cloud::new(&VENDOR, unread);
    let mut facts = Facts::default();
    let mut all = Vec::new();
    maps(documents, &mut |node| all.push(node));
    // Ports first: they know the groups by id, servers by name alone.
    all.iter().for_each(|node| port(node, &mut facts));
    all.iter().for_each(|node| place(node, &all, &mut facts));
    facts.members();
    rules::read(&all, &mut facts, &mut cloud.unread);
    facts.fill(&mut cloud, &HABITS);
    cloud
}

fn text(node: &Node, name: &str) -> String {
    word(node, name).unwrap_or_default().to_owned()
}

fn port(node: &Node, facts: &mut Facts) {
    if node.get("fixed_ips").is_none() || node.get("security_groups").is_none() {
        return;
    }
    let fixed = each(node, "fixed_ips");
    let id = text(node, "id");
    let owner = word(node, "device_id").filter(|owner| !owner.is_empty()).unwrap_or(&id).to_owned();
    let subnet = fixed.iter().find_map(|one| word(one, "subnet_id")).or(word(node, "network_id"));
    facts.nics.push(Nic {
        owner,
        names: vec![id],
        place: node.place.clone(),
        private: fixed.iter().flat_map(|one| addresses(one, &["ip_address"])).collect(),
        public: Vec::new(),
        network: String::new(),
        subnet: subnet.unwrap_or_default().to_owned(),
        groups: words(node, "security_groups").into_iter().map(str::to_owned).collect(),
    });
}

fn place(node: &Node, all: &[&Node], facts: &mut Facts) {
    let has = |name: &str| node.get(name).is_some();
    match () {
        () if has("addresses") && has("security_groups") => server(node, all, facts),
        () if has("cidr") && has("vpc_id") => facts.zones.push(Zone {
            id: text(node, "id"),
            names: ["name", "neutron_network_id", "neutron_subnet_id"]
                .iter()
                .filter_map(|name| word(node, name))
                .map(str::to_owned)
                .collect(),
            network: text(node, "vpc_id"),
            spans: spans(node, &["cidr", "cidr_v6"]),
            place: node.place.clone(),
            acl: None,
            table: None,
        }),
        () if has("cidr")
            && has("id")
            && (has("routes") || has("extend_cidrs") || has("enterprise_project_id")) =>
        {
            let own = spans(node, &["cidr", "extend_cidrs"]);
            let id = text(node, "id");
            let name = word(node, "name").filter(|name| !name.is_empty()).unwrap_or(&id).to_owned();
            facts.networks.push((id, name, own, node.place.clone()));
        }
        () if has("routes") && has("vpc_id") => facts.tables.push(Table {
            id: text(node, "id"),
            network: text(node, "vpc_id"),
            subnets: each(node, "subnets").iter().map(|one| text(one, "id")).collect(),
            routes: each(node, "routes").iter().filter_map(route).collect(),
            main: field(node, "default").and_then(Node::bool) == Some(true),
        }),
        () if has("public_ip_address") => {
            let nic = field(node, "vnic").unwrap_or(node);
            let to = word(nic, "private_ip_address")
                .or(word(node, "private_ip_address"))
                .or(word(node, "port_id"));
            let public = addresses(node, &["public_ip_address"]);
            facts.published.extend(public.into_iter().map(|one| (to.unwrap_or_default().to_owned(), one)));
        }
        () if has("request_vpc_info") && has("accept_vpc_info") => {
            let id = |name: &str| field(node, name).map(|vpc| text(vpc, "vpc_id")).unwrap_or_default();
            let works = word(node, "status").is_none_or(|status| status.eq_ignore_ascii_case("ACTIVE"));
            facts.peers.push((id("request_vpc_info"), id("accept_vpc_info"), works, node.place.clone()));
        }
        () if has("internal_network_id") && has("router_id") => {
            facts.nats.push((text(node, "router_id"), node.place.clone()));
        }
        () => {}
    }
}

/// A server: its addresses by the network they are in; its groups by name, or by id where a file tells that too.
fn server(node: &Node, all: &[&Node], facts: &mut Facts) {
    let id = text(node, "id");
    let name = word(node, "name").map(str::to_owned);
    let mut private = Vec::new();
    let mut public = Vec::new();
    let mut network = String::new();
    for (vpc, list) in field(node, "addresses").map_or(&[][..], Node::members) {
        network.clone_from(vpc);
        for one in list.list() {
            let floating = word(one, "OS-EXT-IPS:type") == Some("floating");
            let to = if floating { &mut public } else { &mut private };
            to.extend(addresses(one, &["addr"]));
        }
    }
    let ported = |nic: &&mut Nic| nic.owner == id || nic.private.iter().any(|one| private.contains(one));
    let mut known = false;
    for nic in facts.nics.iter_mut().filter(ported) {
        known = true;
        nic.owner.clone_from(&id);
        nic.names.extend(name.clone());
        nic.network.clone_from(&network);
        nic.public.extend(public.iter().filter(|_| nic.private.iter().any(|one| private.contains(one))));
    }
    if known {
        return;
    }
    let groups = each(node, "security_groups").iter().filter_map(|group| {
        let told = word(group, "id").or_else(|| word(group, "name")).or_else(|| group.text())?;
        Some(group_id(told, all).unwrap_or(told).to_owned())
    });
    let groups = groups.collect();
    let zone = facts
        .zones
        .iter()
        .find(|zone| private.iter().any(|one| zone.spans.iter().any(|span| span.has(*one))));
    facts.nics.push(Nic {
        subnet: zone.map(|zone| zone.id.clone()).unwrap_or_default(),
        owner: id,
        names: name.into_iter().collect(),
        place: node.place.clone(),
        private,
        public,
        network,
        groups,
    });
}

/// The id of a group of this name.
fn group_id<'a>(name: &str, all: &[&'a Node]) -> Option<&'a str> {
    let named =
        |node: &&&Node| word(node, "name") == Some(name) && node.get("security_group_rules").is_some();
    all.iter().find(named).and_then(|node| word(node, "id"))
}

fn route(node: &Node) -> Option<Route> {
    let to = Span::read(word(node, "destination")?)?;
    let kind = word(node, "type").unwrap_or_default().to_ascii_lowercase();
    let next = word(node, "nexthop").unwrap_or_default();
    let text = format!("{to} → {kind} {next}");
    let hop = match kind.as_str() {
        "local" | "peering" => Hop::Local,
        "nat" | "egw" => Hop::Internet,
        _ => Hop::strange(&text),
    };
    let rank = if hop == Hop::Local { RANK_SYSTEM } else { RANK_OWN };
    Some(Route { to, hop, text, place: node.place.clone(), rank })
}

/// Whether a member is there and says something.
fn said(node: &Node, name: &str) -> bool {
    field(node, name).is_some_and(|node| !matches!(&node.value, Value::Text(text) if text.is_empty()))
}
