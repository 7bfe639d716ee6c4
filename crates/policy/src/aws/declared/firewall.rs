//! Security groups, network ACLs, prefix lists.

use super::{Reader, blocks, bool, net, service};
use crate::aws::model::{Acl, AclEntry, Group, GroupRule, Model, Peer};
use crate::aws::net::Net;
use crate::aws::service::Service;
use crate::doc::{Node, Value};
use crate::place::both;
use crate::space::Family;
use crate::terraform::{Resource, identities};

pub fn prefix_list(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let entries = blocks(&resource.node, "entry");
    let nets: Vec<Net> = entries.iter().filter_map(|entry| net(entry, &["cidr"]).ok()).collect();
    // An entry that cannot be worked out makes the list unknown, not shorter.
    if nets.len() == entries.len() {
        reader.model.prefixes.insert(resource.id().to_owned(), nets);
    }
    Some(())
}

pub fn prefix_entry(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let id = reader.id(&resource.node, "prefix_list_id")?;
    match net(&resource.node, &["cidr"]) {
        Ok(net) => reader.model.prefixes.entry(id).or_default().push(net),
        Err(_) => drop(reader.model.prefixes.remove(&id)),
    }
    Some(())
}

pub fn group(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let vpc = reader.id(&resource.node, "vpc_id").unwrap_or_default();
    add_group(reader, resource, resource.id(), &vpc);
    Some(())
}

/// The default group of a VPC, whose rules Terraform has taken over.
pub fn default_group(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let vpc = reader.id(&resource.node, "vpc_id").unwrap_or_default();
    let at = add_group(reader, resource, resource.id(), &vpc);
    reader.model.groups.alias(&default_id(&vpc), at);
    Some(())
}

fn add_group(reader: &mut Reader<'_>, resource: &Resource, id: &str, vpc: &str) -> usize {
    let node = &resource.node;
    let rules = |reader: &Reader<'_>, key: &str| {
        blocks(node, key).iter().flat_map(|block| rules_of(reader, block, id)).collect::<Vec<GroupRule>>()
    };
    let group = Group {
        inbound: rules(reader, "ingress"),
        outbound: rules(reader, "egress"),
        ..Group::empty(id, vpc, &node.place)
    };
    reader.model.groups.add(id, group)
}

/// How the default group of a VPC is called here.
pub fn default_id(vpc: &str) -> String {
    format!("{vpc} default")
}

/// Every VPC has a default group: its members reach each other, and anything outside.
pub fn default_groups(model: &mut Model) {
    let vpcs: Vec<_> = model.vpcs.iter().map(|vpc| (vpc.id.clone(), vpc.place.clone())).collect();
    for (vpc, place) in vpcs {
        let id = default_id(&vpc);
        let all = || Service::new(Some("-1"), None, None);
        let rule = |peer| GroupRule { service: all(), peer, place: place.clone() };
        let group = Group {
            inbound: vec![rule(Peer::Group(id.clone()))],
            outbound: [Family::V4, Family::V6].map(|family| rule(Peer::Net(Net::all(family)))).to_vec(),
            is_default: true,
            ..Group::empty(&id, &vpc, &place)
        };
        model.groups.add(&id, group);
    }
}

/// The rules of an `ingress` or `egress` block, or of an `aws_security_group_rule`.
fn rules_of(reader: &Reader<'_>, node: &Node, own: &str) -> Vec<GroupRule> {
    let place = node.place.clone();
    let mut peers: Vec<Peer> = Vec::new();
    let service = match &node.value {
        Value::Map(members) if !members.is_empty() => service(node, "protocol", "from_port", "to_port"),
        Value::Expression(text) => {
            peers.push(Peer::Unknown(text.clone()));
            Service::new(Some("-1"), None, None)
        }
        _ => {
            peers.push(Peer::Unknown("a block that could not be read".to_owned()));
            Service::new(Some("-1"), None, None)
        }
    };
    for key in ["cidr_blocks", "ipv6_cidr_blocks"] {
        peers.extend(identities(node, key).into_iter().map(net_peer));
    }
    for key in ["security_groups", "source_security_group_id"] {
        peers.extend(reader.ids(node, key).into_iter().filter(|id| !id.is_empty()).map(Peer::Group));
    }
    peers.extend(reader.ids(node, "prefix_list_ids").into_iter().map(Peer::Prefixes));
    if bool(node, "self") == Some(true) {
        peers.push(Peer::Group(own.to_owned()));
    }
    peers.into_iter().map(|peer| GroupRule { service: service.clone(), peer, place: place.clone() }).collect()
}

fn net_peer(text: &str) -> Peer {
    Net::read(text).map_or_else(|| Peer::Unknown(text.to_owned()), Peer::Net)
}

pub fn group_rule(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let id = reader.id(node, "security_group_id")?;
    let rules = rules_of(reader, node, &id);
    add_rules(reader, &id, node.word("type") == Some("egress"), rules, node)
}

fn add_rules(
    reader: &mut Reader<'_>,
    id: &str,
    is_outbound: bool,
    rules: Vec<GroupRule>,
    node: &Node,
) -> Option<()> {
    let group = match reader.model.groups.get_mut(id) {
        Some(group) => group,
        // A group that is elsewhere: what is known of it is not all of it.
        None => {
            let group = Group::empty(id, "", &node.place);
            reader.model.groups.add(id, group);
            let rest = GroupRule {
                service: Service::new(Some("-1"), None, None),
                peer: Peer::Unknown(format!("the other rules of {id}")),
                place: node.place.clone(),
            };
            let group = reader.model.groups.get_mut(id)?;
            group.inbound.push(rest.clone());
            group.outbound.push(rest);
            group
        }
    };
    if is_outbound { &mut group.outbound } else { &mut group.inbound }.extend(rules);
    Some(())
}

pub fn single_rule(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let id = reader.id(node, "security_group_id")?;
    let service = service(node, "ip_protocol", "from_port", "to_port");
    let some = |key: &str| reader.id(node, key).filter(|text| !text.is_empty());
    let peer = if let Some(net) = some("cidr_ipv4").or_else(|| some("cidr_ipv6")) {
        net_peer(&net)
    } else if let Some(group) = some("referenced_security_group_id") {
        Peer::Group(group)
    } else if let Some(list) = some("prefix_list_id") {
        Peer::Prefixes(list)
    } else {
        Peer::Unknown("a rule for nobody".to_owned())
    };
    let rule = GroupRule { service, peer, place: node.place.clone() };
    add_rules(reader, &id, resource.kind == "aws_vpc_security_group_egress_rule", vec![rule], node)
}

pub fn acl(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let (id, node) = (resource.id(), &resource.node);
    let is_default = resource.kind == "aws_default_network_acl";
    let vpc = reader
        .owner_of(node, "default_network_acl_id", "default_network_acl_id")
        .or_else(|| reader.id(node, "vpc_id"))
        .unwrap_or_default();
    let entries = |key: &str| {
        let keys = ["rule_no", "rule_number"];
        blocks(node, key)
            .iter()
            .flat_map(|block| entries_of(block, keys, ["action", "rule_action"]))
            .collect()
    };
    let mut acl = Acl {
        id: id.to_owned(),
        vpc,
        is_default,
        subnets: reader.ids(node, "subnet_ids"),
        place: node.place.clone(),
        inbound: entries("ingress"),
        outbound: entries("egress"),
    };
    acl.sort();
    reader.model.acls.add(id, acl);
    Some(())
}

/// One entry; two that may or may not match where it cannot be worked out.
fn entries_of(node: &Node, numbers: [&str; 2], actions: [&str; 2]) -> Vec<AclEntry> {
    let number = numbers.iter().find_map(|key| node.get(key)).and_then(Node::integer);
    let action = actions.iter().find_map(|key| node.word(key));
    let place = node.place.clone();
    let (Some(number), Some(action)) = (number.and_then(|number| u32::try_from(number).ok()), action) else {
        let entry = |allow| {
            let mut service = Service::new(Some("-1"), None, None);
            service.unknown.push(both("this entry cannot be worked out", "无法计算该条目"));
            AclEntry { number: 0, allow, service, net: None, place: place.clone() }
        };
        return vec![entry(true), entry(false)];
    };
    let is_icmp = matches!(node.word("protocol"), Some("1" | "58" | "icmp" | "icmpv6"));
    let (from, to) = if is_icmp { ("icmp_type", "icmp_code") } else { ("from_port", "to_port") };
    let service = service(node, "protocol", from, to);
    let net = net(node, &["cidr_block", "ipv6_cidr_block"]).ok();
    vec![AclEntry { number, allow: action.eq_ignore_ascii_case("allow"), service, net, place }]
}

pub fn acl_rule(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let node = &resource.node;
    let entries = entries_of(node, ["rule_number", "rule_no"], ["rule_action", "action"]);
    let id = reader.id(node, "network_acl_id")?;
    let vpc = reader.owner_of(node, "network_acl_id", "default_network_acl_id");
    let acl = match vpc {
        Some(vpc) => reader.model.acls.iter_mut().find(|acl| acl.is_default && acl.vpc == vpc)?,
        None => reader.model.acls.get_mut(&id)?,
    };
    if bool(node, "egress") == Some(true) { &mut acl.outbound } else { &mut acl.inbound }.extend(entries);
    acl.sort();
    Some(())
}

pub fn acl_association(reader: &mut Reader<'_>, resource: &Resource) -> Option<()> {
    let subnet = reader.id(&resource.node, "subnet_id")?;
    let id = reader.id(&resource.node, "network_acl_id")?;
    reader.model.acls.get_mut(&id)?.subnets.push(subnet);
    Some(())
}
