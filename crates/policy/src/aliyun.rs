//! Aliyun: security groups, network ACLs, instances and networks from the answers of its interface
//! (`aliyun ecs Describe…`, `aliyun vpc Describe…`).
//!
//! Semantics: help.aliyun.com, "Security group rules", "Basic and enterprise security groups", "Network ACL overview".

mod fix;
mod rules;
mod terraform;

pub use terraform::terraform;

use crate::cloud::facts::{Facts, Habits, Nic, RANK_OWN, RANK_SYSTEM, Table, Zone, any_map, maps};
use crate::cloud::fields::{addresses, field, spans, word, words};
use crate::cloud::{Cloud, Hop, Relay, Route, Vendor};
use crate::doc::Node;
use crate::gate::Kind;
use crate::place::Unread;
use crate::read::Span;
use std::net::IpAddr;

const VENDOR: Vendor = Vendor {
    title: ("Alibaba Cloud", "阿里云"),
    // "For security reasons, TCP port 25 is restricted by default."
    smtp_blocked: true,
    allow: fix::allow,
    connect: fix::connect,
    publish: fix::publish,
};

const HABITS: Habits = Habits {
    group: Kind::AliyunSecurityGroup,
    acl: Kind::AliyunNetworkAcl,
    acl_stateful: false,
    join: rules::join,
};

/// Whether a document holds answers of Aliyun.
pub fn claims(document: &Node) -> bool {
    any_map(document, |node| {
        let has = |name: &str| node.get(name).is_some();
        has("Permissions") && has("SecurityGroupId")
            || has("SecurityGroupType") && has("SecurityGroupId")
            || has("VpcAttributes")
            || has("NetworkInterfaceId") && (has("PrivateIpSets") || has("VSwitchId"))
            || has("VSwitchId") && has("CidrBlock")
            || has("VRouterId")
            || has("IngressAclEntries")
            || has("RouteEntrys")
            || has("PrefixListId") && has("Entries")
    })
}

/// Everything the documents tell of Aliyun.
pub fn read(documents: &[Node], unread: Vec<Unread>) -> Cloud {
    let mut cloud = Cloud::new(&VENDOR, unread);
    let mut facts = Facts::default();
    let mut later = Vec::new();
    maps(documents, &mut |node| {
        place(node, &mut facts, &mut cloud);
        if node.get("Permissions").is_some()
            || node.get("NetworkAclId").is_some()
            || node.get("PrefixListId").is_some()
        {
            later.push(node);
        }
    });
    facts.members();
    rules::read(&later, &mut facts, &mut cloud.unread);
    facts.fill(&mut cloud, &HABITS);
    cloud
}

/// Takes what one map tells of places and addresses.
fn place(node: &Node, facts: &mut Facts, cloud: &mut Cloud) {
    let has = |name: &str| node.get(name).is_some();
    match () {
        () if has("InstanceId")
            && (has("VpcAttributes") || has("SecurityGroupIds") && has("InstanceType")) =>
        {
            instance(node, facts);
        }
        () if has("SecurityGroupId") && has("SecurityGroupType") && !has("Permissions") => {
            let basic = word(node, "SecurityGroupType").map(|kind| kind.eq_ignore_ascii_case("normal"));
            facts.group(word(node, "SecurityGroupId").unwrap_or_default()).basic = basic;
        }
        () if has("NetworkInterfaceId") && (has("VSwitchId") || has("PrivateIpSets")) => {
            interface(node, facts)
        }
        () if has("VSwitchId") && has("CidrBlock") && has("VpcId") => vswitch(node, facts),
        () if has("VpcId") && has("CidrBlock") => {
            let mut own = spans(node, &["CidrBlock", "Ipv6CidrBlock"]);
            own.extend(
                field(node, "SecondaryCidrBlocks")
                    .map_or_else(Vec::new, |more| spans(more, &["SecondaryCidrBlock"])),
            );
            let id = word(node, "VpcId").unwrap_or_default();
            let name = word(node, "VpcName").filter(|name| !name.is_empty()).unwrap_or(id);
            facts.networks.push((id.to_owned(), name.to_owned(), own, node.place.clone()));
        }
        () if has("RouteTableId") && has("RouteEntrys") => facts.tables.extend(table(node)),
        () if has("NatGatewayId") && has("VpcId") => {
            facts.nats.push((word(node, "VpcId").unwrap_or_default().to_owned(), node.place.clone()));
        }
        () if has("LoadBalancerId") && has("Address") => cloud.relays.extend(relay(node)),
        () if has("AllocationId") && has("IpAddress") => {
            let to = word(node, "InstanceId").unwrap_or_default().to_owned();
            facts
                .published
                .extend(addresses(node, &["IpAddress"]).into_iter().map(|address| (to.clone(), address)));
        }
        () if has("AcceptingVpc") => peering(node, facts),
        () => {}
    }
}

/// A load balancer that the Internet reaches, with its servers where the answer lists them.
fn relay(node: &Node) -> Option<Relay> {
    let kind = word(node, "AddressType").unwrap_or("internet");
    if kind.eq_ignore_ascii_case("intranet") {
        return None;
    }
    let servers = field(node, "BackendServers").map(|servers| {
        let list = servers.get("BackendServer").map_or(servers.list(), Node::list);
        list.iter().filter_map(|one| word(one, "ServerId")).map(str::to_owned).collect()
    });
    Some(Relay {
        name: word(node, "LoadBalancerName").or(word(node, "LoadBalancerId")).unwrap_or("?").to_owned(),
        place: node.place.clone(),
        targets: servers,
        // Of a classic one TCP and UDP listeners do, HTTP ones do not: which it has is not in this answer.
        keeps_client: true,
    })
}

/// A list in its wrapper: `{"SecurityGroupId": ["sg-1"]}` under `SecurityGroupIds`.
fn wrapped(node: &Node, outer: &str, inner: &str) -> Vec<String> {
    let Some(list) = field(node, outer) else { return Vec::new() };
    let own = words(list, inner);
    let bare = if own.is_empty() { words(node, outer) } else { own };
    bare.into_iter().map(str::to_owned).collect()
}

fn parsed(texts: Vec<String>) -> Vec<IpAddr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn instance(node: &Node, facts: &mut Facts) {
    let id = word(node, "InstanceId").unwrap_or("?").to_owned();
    let vpc = field(node, "VpcAttributes").unwrap_or(node);
    let mut public = parsed(wrapped(node, "PublicIpAddress", "IpAddress"));
    public.extend(field(node, "EipAddress").map_or_else(Vec::new, |eip| addresses(eip, &["IpAddress"])));
    let names = ["InstanceName", "HostName"]
        .iter()
        .filter_map(|name| word(node, name))
        .filter(|name| !name.is_empty());
    facts.nics.push(Nic {
        names: names.map(str::to_owned).collect(),
        place: node.place.clone(),
        private: parsed(wrapped(vpc, "PrivateIpAddress", "IpAddress")),
        public,
        network: word(vpc, "VpcId").unwrap_or_default().to_owned(),
        subnet: word(vpc, "VSwitchId").unwrap_or_default().to_owned(),
        groups: wrapped(node, "SecurityGroupIds", "SecurityGroupId"),
        owner: id,
    });
}

/// An interface that the answer on its instance has told of already adds what that lacks.
fn interface(node: &Node, facts: &mut Facts) {
    let id = word(node, "NetworkInterfaceId").unwrap_or("?").to_owned();
    let mut private = addresses(node, &["PrivateIpAddress", "PrimaryIpAddress"]);
    let mut public =
        field(node, "AssociatedPublicIp").map_or_else(Vec::new, |one| addresses(one, &["PublicIpAddress"]));
    let sets = field(node, "PrivateIpSets")
        .map_or(&[][..], |sets| sets.get("PrivateIpSet").map_or(sets.list(), Node::list));
    for set in sets {
        private.extend(addresses(set, &["PrivateIpAddress"]));
        public.extend(
            field(set, "AssociatedPublicIp")
                .map_or_else(Vec::new, |one| addresses(one, &["PublicIpAddress"])),
        );
    }
    let six =
        field(node, "Ipv6Sets").map_or(&[][..], |sets| sets.get("Ipv6Set").map_or(sets.list(), Node::list));
    private.extend(six.iter().flat_map(|set| addresses(set, &["Ipv6Address"])));
    private.sort();
    private.dedup();
    let shared = |nic: &&mut Nic| nic.private.iter().any(|address| private.contains(address));
    if let Some(known) = facts.nics.iter_mut().find(shared) {
        known.names.push(id);
        known.private.extend(private);
        known.private.sort();
        known.private.dedup();
        known.public.extend(public);
        return;
    }
    let groups = wrapped(node, "SecurityGroupIds", "SecurityGroupId");
    if groups.is_empty() {
        return;
    }
    let owner = word(node, "InstanceId").filter(|owner| !owner.is_empty()).unwrap_or(&id).to_owned();
    facts.nics.push(Nic {
        owner,
        names: vec![id],
        place: node.place.clone(),
        private,
        public,
        network: word(node, "VpcId").unwrap_or_default().to_owned(),
        subnet: word(node, "VSwitchId").unwrap_or_default().to_owned(),
        groups,
    });
}

fn vswitch(node: &Node, facts: &mut Facts) {
    let text = |name: &str| word(node, name).filter(|text| !text.is_empty()).map(str::to_owned);
    facts.zones.push(Zone {
        id: text("VSwitchId").unwrap_or_default(),
        names: text("VSwitchName").into_iter().collect(),
        network: text("VpcId").unwrap_or_default(),
        spans: spans(node, &["CidrBlock", "Ipv6CidrBlock"]),
        place: node.place.clone(),
        acl: text("NetworkAclId"),
        table: field(node, "RouteTable").and_then(|table| word(table, "RouteTableId")).map(str::to_owned),
    });
}

fn table(node: &Node) -> Option<Table> {
    let entries = field(node, "RouteEntrys")?;
    let entries = entries.get("RouteEntry").map_or(entries.list(), Node::list);
    let switches = wrapped(node, "VSwitchIds", "VSwitchId");
    let kind = word(node, "RouteTableType").unwrap_or("System");
    Some(Table {
        id: word(node, "RouteTableId")?.to_owned(),
        network: word(node, "VpcId").unwrap_or_default().to_owned(),
        main: kind.eq_ignore_ascii_case("System") && switches.is_empty(),
        subnets: switches,
        routes: entries.iter().filter_map(route).collect(),
    })
}

fn route(node: &Node) -> Option<Route> {
    let to = Span::read(word(node, "DestinationCidrBlock")?)?;
    let hops =
        field(node, "NextHops").map_or(&[][..], |hops| hops.get("NextHop").map_or(hops.list(), Node::list));
    let kind = hops
        .first()
        .and_then(|hop| word(hop, "NextHopType"))
        .or(word(node, "NextHopType"))
        .unwrap_or_default();
    let next =
        hops.first().and_then(|hop| word(hop, "NextHopId")).or(word(node, "InstanceId")).unwrap_or_default();
    let text = format!("{to} → {} {next}", if kind.is_empty() { "local" } else { kind });
    let hop = match kind.to_ascii_lowercase().as_str() {
        "" | "local" | "service" => Hop::Local,
        "natgateway" | "ipv6gateway" | "ipv4gateway" => Hop::Internet,
        "vpcpeer" => Hop::Local,
        _ => Hop::strange(&text),
    };
    let system = word(node, "Type").is_some_and(|kind| kind.eq_ignore_ascii_case("System"));
    let rank = if system { RANK_SYSTEM } else { RANK_OWN };
    Some(Route { to, hop, text, place: node.place.clone(), rank })
}

fn peering(node: &Node, facts: &mut Facts) {
    let id = |name: &str| field(node, name).and_then(|vpc| word(vpc, "VpcId")).map(str::to_owned);
    if let (Some(one), Some(two)) = (id("Vpc"), id("AcceptingVpc")) {
        let works = word(node, "Status").is_none_or(|status| status.eq_ignore_ascii_case("Activated"));
        facts.peers.push((one, two, works, node.place.clone()));
    }
}
