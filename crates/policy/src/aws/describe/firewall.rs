//! Security groups, network ACLs, prefix lists.

use super::words;
use crate::aws::model::{Acl, AclEntry, Group, GroupRule, Model, Peer};
use crate::aws::net::Net;
use crate::aws::service::Service;
use crate::doc::Node;
use crate::place::Place;

/// The number AWS shows for `*`, the entry that denies the rest.
const LAST_ENTRY: i64 = 32_767;

pub fn group(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("GroupId")?;
    let group = Group {
        id: id.to_owned(),
        vpc: node.word("VpcId").unwrap_or_default().to_owned(),
        is_default: node.word("GroupName") == Some("default")
            || node.word("Description") == Some("default VPC security group"),
        place: node.place.clone(),
        inbound: node.each("IpPermissions").iter().flat_map(permissions).collect(),
        outbound: node.each("IpPermissionsEgress").iter().flat_map(permissions).collect(),
    };
    model.groups.add(id, group);
    Some(())
}

/// The rules of one permission: one for each of those it is for.
fn permissions(node: &Node) -> Vec<GroupRule> {
    let integer = |key| node.get(key).and_then(Node::integer);
    let service = Service::new(node.word("IpProtocol"), integer("FromPort"), integer("ToPort"));
    let mut rules = Vec::new();
    for (list, key, peer) in PEERS {
        for each in node.each(list) {
            let peer = match each.word(key) {
                Some(word) => peer(word),
                None => Peer::Unknown(list.to_owned()),
            };
            rules.push(GroupRule { service: service.clone(), peer, place: each.place.clone() });
        }
    }
    rules
}

type MakePeer = fn(&str) -> Peer;
const PEERS: [(&str, &str, MakePeer); 4] = [
    ("IpRanges", "CidrIp", net_peer),
    ("Ipv6Ranges", "CidrIpv6", net_peer),
    ("UserIdGroupPairs", "GroupId", |id| Peer::Group(id.to_owned())),
    ("PrefixListIds", "PrefixListId", |id| Peer::Prefixes(id.to_owned())),
];

pub fn net_peer(text: &str) -> Peer {
    Net::read(text).map_or_else(|| Peer::Unknown(text.to_owned()), Peer::Net)
}

/// An item of `describe-security-group-rules`; groups that were read with their rules have it already.
pub fn group_rule(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("GroupId")?;
    let integer = |key| node.get(key).and_then(Node::integer);
    let service = Service::new(node.word("IpProtocol"), integer("FromPort"), integer("ToPort"));
    let peer = if let Some(net) = node.word("CidrIpv4").or_else(|| node.word("CidrIpv6")) {
        net_peer(net)
    } else if let Some(list) = node.word("PrefixListId") {
        Peer::Prefixes(list.to_owned())
    } else if let Some(group) = node.at(&["ReferencedGroupInfo", "GroupId"]).and_then(Node::text) {
        Peer::Group(group.to_owned())
    } else {
        Peer::Unknown("a rule for nobody".to_owned())
    };
    if model.groups.get(id).is_none() {
        model.groups.add(id, Group::empty(id, "", &node.place));
    }
    let group = model.groups.get_mut(id)?;
    let rules = if node.get("IsEgress").and_then(Node::bool) == Some(true) {
        &mut group.outbound
    } else {
        &mut group.inbound
    };
    if !rules.iter().any(|rule| rule.service == service && rule.peer == peer) {
        rules.push(GroupRule { service, peer, place: node.place.clone() });
    }
    Some(())
}

pub fn acl(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("NetworkAclId")?;
    let mut acl = Acl {
        id: id.to_owned(),
        vpc: node.word("VpcId").unwrap_or_default().to_owned(),
        is_default: node.get("IsDefault").and_then(Node::bool) == Some(true),
        subnets: words(node, "Associations", "SubnetId"),
        place: node.place.clone(),
        inbound: Vec::new(),
        outbound: Vec::new(),
    };
    for entry in node.each("Entries") {
        let number = entry.get("RuleNumber").and_then(Node::integer)?;
        if number >= LAST_ENTRY {
            continue;
        }
        let bound = |list: &str, key: &str| entry.at(&[list, key]).and_then(Node::integer);
        let is_icmp = matches!(entry.word("Protocol"), Some("1" | "58" | "icmp" | "icmpv6"));
        let (list, first, last) =
            if is_icmp { ("IcmpTypeCode", "Type", "Code") } else { ("PortRange", "From", "To") };
        let net = entry.word("CidrBlock").or_else(|| entry.word("Ipv6CidrBlock"));
        let made = AclEntry {
            number: u32::try_from(number).ok()?,
            allow: entry.word("RuleAction").is_some_and(|action| action.eq_ignore_ascii_case("allow")),
            service: Service::new(entry.word("Protocol"), bound(list, first), bound(list, last)),
            net: net.and_then(Net::read),
            place: entry.place.clone(),
        };
        let is_outbound = entry.get("Egress").and_then(Node::bool) == Some(true);
        if is_outbound { &mut acl.outbound } else { &mut acl.inbound }.push(made);
    }
    acl.sort();
    model.acls.add(id, acl);
    Some(())
}

impl Group {
    /// A group without rules.
    pub fn empty(id: &str, vpc: &str, place: &Place) -> Group {
        let (inbound, outbound) = (Vec::new(), Vec::new());
        let is_default = false;
        Group { id: id.to_owned(), vpc: vpc.to_owned(), is_default, place: place.clone(), inbound, outbound }
    }
}

impl Acl {
    /// Puts the entries in the order they are asked.
    pub fn sort(&mut self) {
        self.inbound.sort_by_key(|entry| entry.number);
        self.outbound.sort_by_key(|entry| entry.number);
    }
}

pub fn prefix_list(model: &mut Model, node: &Node) -> Option<()> {
    let id = node.word("PrefixListId")?;
    let entries = node.each("Entries").iter().filter_map(|entry| entry.word("Cidr").or_else(|| entry.text()));
    let nets: Vec<Net> =
        node.each("Cidrs").iter().filter_map(Node::text).chain(entries).filter_map(Net::read).collect();
    if !nets.is_empty() {
        model.prefixes.entry(id.to_owned()).or_default().extend(nets);
    }
    Some(())
}
