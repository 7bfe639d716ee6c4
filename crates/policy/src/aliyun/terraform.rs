//! Resources of the provider `alicloud` in the shape of Aliyun's own answers.

mod routes;

use crate::cloud::fields::{spelt, word};
use crate::cloud::shape::{Shape, attach, grouped, list, map, member, of_kind, shaped, text};
use crate::doc::Node;
use crate::terraform::Resource;

const SHAPES: [Shape; 9] = [
    Shape {
        kind: "alicloud_vpc",
        add: &[],
        rename: &[
            ("cidr_block", "CidrBlock"),
            ("vpc_name", "VpcName"),
            ("secondary_cidr_blocks", "SecondaryCidrBlocks"),
        ],
        id: &["VpcId"],
    },
    Shape {
        kind: "alicloud_vswitch",
        add: &[],
        rename: &[("cidr_block", "CidrBlock"), ("vpc_id", "VpcId"), ("vswitch_name", "VSwitchName")],
        id: &["VSwitchId"],
    },
    Shape {
        kind: "alicloud_network_acl",
        add: &[],
        rename: &[
            ("ingress_acl_entries", "IngressAclEntries"),
            ("egress_acl_entries", "EgressAclEntries"),
            ("resources", "Resources"),
        ],
        id: &["NetworkAclId"],
    },
    Shape { kind: "alicloud_nat_gateway", add: &[], rename: &[("vpc_id", "VpcId")], id: &["NatGatewayId"] },
    Shape {
        kind: "alicloud_eip_address",
        add: &[],
        rename: &[("ip_address", "IpAddress")],
        id: &["AllocationId"],
    },
    Shape { kind: "alicloud_eip", add: &[], rename: &[("ip_address", "IpAddress")], id: &["AllocationId"] },
    Shape {
        kind: "alicloud_slb_load_balancer",
        add: &[("Address", "")],
        rename: &[],
        id: &["LoadBalancerId"],
    },
    Shape {
        kind: "alicloud_alb_load_balancer",
        add: &[("Address", "")],
        rename: &[],
        id: &["LoadBalancerId"],
    },
    Shape {
        kind: "alicloud_nlb_load_balancer",
        add: &[("Address", "")],
        rename: &[],
        id: &["LoadBalancerId"],
    },
];

/// The resources of Aliyun as documents for [`super::read`].
pub fn terraform(resources: &[Resource]) -> Vec<Node> {
    let mut nodes = shaped(resources, &SHAPES);
    for tie in of_kind(resources, "alicloud_eip_association") {
        if let (Some(eip), Some(instance)) = (tie.node.word("allocation_id"), tie.node.word("instance_id")) {
            attach(&mut nodes, "AllocationId", eip, "InstanceId", &text(&tie.node.place, instance));
        }
    }
    for tie in of_kind(resources, "alicloud_network_acl_attachment") {
        if let (Some(acl), Some(member)) = (tie.node.word("network_acl_id"), tie.node.get("resources")) {
            attach(&mut nodes, "NetworkAclId", acl, "Resources", member);
        }
    }
    let rules = grouped(resources, "alicloud_security_group_rule", "security_group_id");
    for group in of_kind(resources, "alicloud_security_group") {
        let own = rules.get(group.id()).map_or(&[][..], Vec::as_slice);
        nodes.push(security_group(&group.node, group.id(), own));
    }
    for (id, own) in &rules {
        let known = of_kind(resources, "alicloud_security_group").any(|group| group.id() == id);
        if let Some(first) = own.first().filter(|_| !known) {
            nodes.push(security_group(first, id, own));
        }
    }
    nodes.extend(of_kind(resources, "alicloud_instance").map(instance));
    nodes.extend(routes::tables(resources));
    nodes.extend(routes::peerings(resources));
    nodes
}

fn security_group(node: &Node, id: &str, rules: &[&Node]) -> Node {
    let place = &node.place;
    let permissions = list(place, rules.iter().map(|rule| permission(rule)).collect());
    let owned = node.get("security_group_id").is_none();
    // The provider's defaults: an ordinary group whose members reach each other.
    let or = |name: &str, default: &str| {
        let told = member(node, name).filter(|_| owned);
        told.or_else(|| owned.then(|| text(place, default)))
    };
    let name = word(node, "security_group_name").or(word(node, "name")).filter(|_| owned);
    map(
        place,
        vec![
            ("SecurityGroupId", Some(text(place, id))),
            ("SecurityGroupName", name.map(|name| text(place, name))),
            ("VpcId", member(node, "vpc_id")),
            ("InnerAccessPolicy", or("inner_access_policy", "Accept")),
            ("SecurityGroupType", or("security_group_type", "normal")),
            ("Permissions", Some(permissions)),
        ],
    )
}

fn permission(rule: &Node) -> Node {
    let egress = rule.word("type").is_some_and(|way| way.eq_ignore_ascii_case("egress"));
    let end = |source: &'static str, dest: &'static str| if egress { dest } else { source };
    map(
        &rule.place,
        vec![
            ("Direction", member(rule, "type")),
            ("Policy", member(rule, "policy")),
            ("Priority", member(rule, "priority")),
            ("IpProtocol", member(rule, "ip_protocol")),
            ("PortRange", member(rule, "port_range")),
            (end("SourceCidrIp", "DestCidrIp"), member(rule, "cidr_ip")),
            (end("Ipv6SourceCidrIp", "Ipv6DestCidrIp"), member(rule, "ipv6_cidr_ip")),
            (end("SourceGroupId", "DestGroupId"), member(rule, "source_security_group_id")),
            (end("SourcePrefixListId", "DestPrefixListId"), member(rule, "prefix_list_id")),
            ("NicType", member(rule, "nic_type")),
            ("Description", member(rule, "description")),
        ],
    )
}

fn instance(resource: &Resource) -> Node {
    let (node, place) = (&resource.node, &resource.node.place);
    let address = |name: &str| {
        let told = node.get(name).and_then(spelt).filter(|text| !text.is_empty());
        map(
            place,
            vec![("IpAddress", Some(list(place, told.map(|one| text(place, one)).into_iter().collect())))],
        )
    };
    let vpc = map(
        place,
        vec![("VSwitchId", member(node, "vswitch_id")), ("PrivateIpAddress", Some(address("private_ip")))],
    );
    let groups = member(node, "security_groups").or(member(node, "security_group_ids"));
    map(
        place,
        vec![
            ("InstanceId", Some(text(place, resource.id()))),
            ("InstanceName", Some(text(place, node.word("instance_name").unwrap_or(&resource.name)))),
            ("SecurityGroupIds", groups),
            ("VpcAttributes", Some(vpc)),
            ("PublicIpAddress", Some(address("public_ip"))),
        ],
    )
}
