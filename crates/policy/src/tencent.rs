//! Tencent Cloud: security groups, network ACLs, instances and networks from the answers of its interface
//! (`tccli vpc Describe…`, `tccli cvm DescribeInstances`).
//!
//! Semantics: cloud.tencent.com, "Security groups", "Network ACL, rule overview".

mod fix;
mod rules;
mod terraform;

pub use terraform::terraform;

use crate::cloud::facts::{Facts, Habits, Nic, RANK_OWN, RANK_SYSTEM, Table, Zone, any_map, maps};
use crate::cloud::fields::{addresses, each, field, flag, spans, word, words};
use crate::cloud::{Cloud, Hop, Route, Vendor};
use crate::doc::Node;
use crate::gate::Kind;
use crate::place::Unread;
use crate::read::Span;

const VENDOR: Vendor = Vendor {
    title: ("Tencent Cloud", "腾讯云"),
    // Outgoing TCP 25 is closed until the account asks for it.
    smtp_blocked: true,
    allow: fix::allow,
    connect: fix::connect,
    publish: fix::publish,
};

const HABITS: Habits = Habits {
    group: Kind::TencentSecurityGroup,
    acl: Kind::TencentNetworkAcl,
    acl_stateful: false,
    join: rules::join,
};

/// Whether a document holds answers of Tencent Cloud.
pub fn claims(document: &Node) -> bool {
    const SETS: [&str; 11] = [
        "SecurityGroupPolicySet",
        "SecurityGroupSet",
        "InstanceSet",
        "NetworkInterfaceSet",
        "SubnetSet",
        "VpcSet",
        "NetworkAclSet",
        "RouteTableSet",
        "AddressTemplateSet",
        "ServiceTemplateSet",
        "NatGatewaySet",
    ];
    any_map(document, |node| SETS.iter().any(|name| node.get(name).is_some()))
}

/// Everything the documents tell of Tencent Cloud.
pub fn read(documents: &[Node], unread: Vec<Unread>) -> Cloud {
    let mut cloud = Cloud::new(&VENDOR, unread);
    let mut facts = Facts::default();
    let mut later = Vec::new();
    maps(documents, &mut |node| {
        place(node, &mut facts);
        later.push(node);
    });
    facts.members();
    rules::read(&later, &mut facts, &mut cloud.unread);
    facts.fill(&mut cloud, &HABITS);
    cloud
}

fn text(node: &Node, name: &str) -> String {
    word(node, name).unwrap_or_default().to_owned()
}

fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

fn place(node: &Node, facts: &mut Facts) {
    let has = |name: &str| node.get(name).is_some();
    match () {
        () if has("InstanceId") && has("PrivateIpAddresses") => instance(node, facts),
        () if has("NetworkInterfaceId") && has("PrivateIpAddressSet") => interface(node, facts),
        () if has("SubnetId") && has("CidrBlock") => facts.zones.push(Zone {
            id: text(node, "SubnetId"),
            names: word(node, "SubnetName").map(str::to_owned).into_iter().collect(),
            network: text(node, "VpcId"),
            spans: spans(node, &["CidrBlock", "Ipv6CidrBlock"]),
            place: node.place.clone(),
            acl: word(node, "NetworkAclId").filter(|id| !id.is_empty()).map(str::to_owned),
            table: word(node, "RouteTableId").map(str::to_owned),
        }),
        () if has("VpcId") && has("CidrBlock") && !has("PeeringConnectionId") => {
            let mut own = spans(node, &["CidrBlock", "Ipv6CidrBlock"]);
            own.extend(each(node, "AssistantCidrSet").iter().flat_map(|more| spans(more, &["CidrBlock"])));
            let id = text(node, "VpcId");
            let name = word(node, "VpcName").unwrap_or(&id).to_owned();
            facts.networks.push((id, name, own, node.place.clone()));
        }
        () if has("RouteTableId") && has("RouteSet") => facts.tables.push(Table {
            id: text(node, "RouteTableId"),
            network: text(node, "VpcId"),
            subnets: each(node, "AssociationSet").iter().map(|one| text(one, "SubnetId")).collect(),
            routes: each(node, "RouteSet").iter().filter_map(route).collect(),
            main: flag(node, "Main") == Some(true),
        }),
        () if has("NatGatewayId") && has("PublicIpAddressSet") => {
            facts.nats.push((text(node, "VpcId"), node.place.clone()));
        }
        () if has("PeeringConnectionId") => {
            let works = word(node, "State").is_none_or(|state| state.eq_ignore_ascii_case("ACTIVE"));
            let ends = (text(node, "SourceVpcId"), text(node, "PeerVpcId"));
            facts.peers.push((ends.0, ends.1, works, node.place.clone()));
        }
        () if has("AddressId") && has("AddressIp") => {
            let to = word(node, "InstanceId").or(word(node, "NetworkInterfaceId")).unwrap_or_default();
            let public = addresses(node, &["AddressIp"]);
            facts.published.extend(public.into_iter().map(|address| (to.to_owned(), address)));
        }
        () => {}
    }
}

fn instance(node: &Node, facts: &mut Facts) {
    let cloud = field(node, "VirtualPrivateCloud").unwrap_or(node);
    facts.nics.push(Nic {
        owner: text(node, "InstanceId"),
        names: word(node, "InstanceName").map(str::to_owned).into_iter().collect(),
        place: node.place.clone(),
        private: addresses(node, &["PrivateIpAddresses", "IPv6Addresses"]),
        public: addresses(node, &["PublicIpAddresses"]),
        network: text(cloud, "VpcId"),
        subnet: text(cloud, "SubnetId"),
        groups: owned(words(node, "SecurityGroupIds")),
    });
}

fn interface(node: &Node, facts: &mut Facts) {
    let sets = each(node, "PrivateIpAddressSet");
    let mut private: Vec<_> = sets.iter().flat_map(|one| addresses(one, &["PrivateIpAddress"])).collect();
    private.extend(each(node, "Ipv6AddressSet").iter().flat_map(|one| addresses(one, &["Address"])));
    let public: Vec<_> = sets.iter().flat_map(|one| addresses(one, &["PublicIpAddress", "WanIp"])).collect();
    let id = text(node, "NetworkInterfaceId");
    if let Some(known) = facts.nics.iter_mut().find(|nic| nic.private.iter().any(|one| private.contains(one)))
    {
        known.names.push(id);
        known.public.extend(public);
        return;
    }
    let owner = field(node, "Attachment").and_then(|to| word(to, "InstanceId")).unwrap_or(&id).to_owned();
    facts.nics.push(Nic {
        owner,
        names: vec![id],
        place: node.place.clone(),
        private,
        public,
        network: text(node, "VpcId"),
        subnet: text(node, "SubnetId"),
        groups: owned(words(node, "GroupSet")),
    });
}

fn route(node: &Node) -> Option<Route> {
    let to = word(node, "DestinationCidrBlock")
        .filter(|to| !to.is_empty())
        .or(word(node, "DestinationIpv6CidrBlock"))?;
    let to = Span::read(to)?;
    if flag(node, "Enabled") == Some(false) {
        return None;
    }
    let kind = word(node, "GatewayType").unwrap_or_default().to_ascii_uppercase();
    let text = format!("{to} → {kind} {}", word(node, "GatewayId").unwrap_or_default());
    let hop = match kind.as_str() {
        "LOCAL_GATEWAY" | "LOCAL" | "PEERCONNECTION" => Hop::Local,
        "NAT" | "EIP" | "INTERNET" | "IPV6_INTERNET" => Hop::Internet,
        _ => Hop::strange(&text),
    };
    let rank = if hop == Hop::Local { RANK_SYSTEM } else { RANK_OWN };
    Some(Route { to, hop, text, place: node.place.clone(), rank })
}
