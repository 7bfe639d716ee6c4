//! Resources of the provider `tencentcloud` in the shape of Tencent's own answers.

mod routes;

use crate::cloud::fields::{many, spelt};
use crate::cloud::shape::{Shape, grouped, list, map, member, of_kind, shaped, text};
use crate::doc::Node;
use crate::terraform::Resource;

const SHAPES: [Shape; 3] = [
    Shape {
        kind: "tencentcloud_vpc",
        add: &[],
        rename: &[("cidr_block", "CidrBlock"), ("name", "VpcName")],
        id: &["VpcId"],
    },
    Shape {
        kind: "tencentcloud_subnet",
        add: &[],
        rename: &[
            ("cidr_block", "CidrBlock"),
            ("vpc_id", "VpcId"),
            ("name", "SubnetName"),
            ("route_table_id", "RouteTableId"),
        ],
        id: &["SubnetId"],
    },
    Shape {
        kind: "tencentcloud_nat_gateway",
        add: &[("PublicIpAddressSet", "")],
        rename: &[("vpc_id", "VpcId")],
        id: &["NatGatewayId"],
    },
];

/// The resources of Tencent Cloud as documents for [`super::read`].
pub fn terraform(resources: &[Resource]) -> Vec<Node> {
    let mut nodes = shaped(resources, &SHAPES);
    for set in of_kind(resources, "tencentcloud_security_group_rule_set") {
        let rules = |way: &str| set.node.each(way).iter().map(|rule| policy(rule, None)).collect();
        nodes.extend(policies(&set.node, rules("ingress"), rules("egress")));
    }
    for set in of_kind(resources, "tencentcloud_security_group_lite_rule") {
        let rules = |way: &str| set.node.each(way).iter().map(lite).collect();
        nodes.extend(policies(&set.node, rules("ingress"), rules("egress")));
    }
    for rules in grouped(resources, "tencentcloud_security_group_rule", "security_group_id").values() {
        let of = |way: &str| -> Vec<Node> {
            let ours = |rule: &&&Node| rule.word("type").is_some_and(|own| own.eq_ignore_ascii_case(way));
            rules.iter().filter(ours).map(|rule| policy(rule, rule.get("policy_index").cloned())).collect()
        };
        if let Some(first) = rules.first() {
            nodes.extend(policies(first, of("ingress"), of("egress")));
        }
    }
    nodes.extend(templates(resources));
    nodes.extend(of_kind(resources, "tencentcloud_instance").map(instance));
    nodes.extend(routes::tables(resources));
    nodes.extend(routes::peerings(resources));
    nodes
}

fn policies(node: &Node, ingress: Vec<Node>, egress: Vec<Node>) -> Option<Node> {
    let place = &node.place;
    let set =
        map(place, vec![("Ingress", Some(list(place, ingress))), ("Egress", Some(list(place, egress)))]);
    let id = text(place, node.word("security_group_id")?);
    Some(map(place, vec![("SecurityGroupId", Some(id)), ("SecurityGroupPolicySet", Some(set))]))
}

fn policy(rule: &Node, index: Option<Node>) -> Node {
    let place = &rule.place;
    let either = |one: &str, two: &str| member(rule, one).or_else(|| member(rule, two));
    let nested = |outer: &'static str, pairs: &[(&'static str, &str)]| {
        let inner: Vec<_> = pairs.iter().map(|(to, from)| (*to, member(rule, from))).collect();
        let told = inner.iter().any(|(_, node)| node.is_some());
        (outer, told.then(|| map(place, inner)))
    };
    map(
        place,
        vec![
            ("PolicyIndex", index),
            ("Action", either("action", "policy")),
            ("Protocol", either("protocol", "ip_protocol")),
            ("Port", either("port", "port_range")),
            ("CidrBlock", either("cidr_block", "cidr_ip")),
            ("Ipv6CidrBlock", member(rule, "ipv6_cidr_block")),
            ("SecurityGroupId", either("source_security_id", "source_sgid")),
            ("PolicyDescription", member(rule, "description")),
            nested(
                "AddressTemplate",
                &[("AddressId", "address_template_id"), ("AddressGroupId", "address_template_group")],
            ),
            nested(
                "ServiceTemplate",
                &[("ServiceId", "service_template_id"), ("ServiceGroupId", "service_template_group")],
            ),
        ],
    )
}

/// `ACCEPT#192.168.1.0/24#80,443#TCP`; the address may be a group or a template, the last two may be one template.
fn lite(rule: &Node) -> Node {
    let place = &rule.place;
    let parts: Vec<&str> = spelt(rule).unwrap_or("?").split('#').collect();
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let some = |name: &'static str, text_of: &str| (name, Some(text(place, text_of)));
    let mut members = vec![some("Action", part(0))];
    members.push(match part(1) {
        group if group.starts_with("sg-") => some("SecurityGroupId", group),
        template if template.starts_with("ipm") => {
            ("AddressTemplate", Some(map(place, vec![some("AddressId", template)])))
        }
        six if six.contains(':') => some("Ipv6CidrBlock", six),
        cidr => some("CidrBlock", cidr),
    });
    match part(2) {
        template if template.starts_with("ppm") => {
            members.push(("ServiceTemplate", Some(map(place, vec![some("ServiceId", template)]))));
        }
        port => members.extend([some("Port", port), some("Protocol", part(3))]),
    }
    map(place, members)
}

fn templates(resources: &[Resource]) -> Vec<Node> {
    let kinds = [
        ("tencentcloud_address_template", "AddressTemplateId", "addresses", "AddressSet"),
        (
            "tencentcloud_address_template_group",
            "AddressTemplateGroupId",
            "template_ids",
            "AddressTemplateIdSet",
        ),
        ("tencentcloud_protocol_template", "ServiceTemplateId", "protocols", "ServiceSet"),
        (
            "tencentcloud_protocol_template_group",
            "ServiceTemplateGroupId",
            "template_ids",
            "ServiceTemplateIdSet",
        ),
    ];
    let mut nodes = Vec::new();
    for (kind, id, from, to) in kinds {
        nodes.extend(of_kind(resources, kind).map(|resource| {
            let place = &resource.node.place;
            map(place, vec![(id, Some(text(place, resource.id()))), (to, member(&resource.node, from))])
        }));
    }
    nodes
}

fn instance(resource: &Resource) -> Node {
    let (node, place) = (&resource.node, &resource.node.place);
    let listed = |name: &str| {
        let told =
            node.get(name).map_or(&[][..], many).iter().filter_map(spelt).filter(|text| !text.is_empty());
        Some(list(place, told.map(|one| text(place, one)).collect()))
    };
    let ordered = member(node, "orderly_security_groups").or_else(|| member(node, "security_groups"));
    let cloud = map(place, vec![("VpcId", member(node, "vpc_id")), ("SubnetId", member(node, "subnet_id"))]);
    map(
        place,
        vec![
            ("InstanceId", Some(text(place, resource.id()))),
            ("InstanceName", Some(text(place, node.word("instance_name").unwrap_or(&resource.name)))),
            ("PrivateIpAddresses", listed("private_ip")),
            ("PublicIpAddresses", listed("public_ip")),
            ("SecurityGroupIds", ordered),
            ("VirtualPrivateCloud", Some(cloud)),
        ],
    )
}
