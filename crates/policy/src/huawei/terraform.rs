//! Resources of the provider `huaweicloud` in the shape of Huawei's own answers.

mod routes;

use crate::cloud::fields::{many, spelt};
use crate::cloud::shape::{Shape, list, map, of_kind, shaped, text};
use crate::doc::Node;
use crate::terraform::Resource;

const ID: &[&str] = &["id"];
const SHAPES: [Shape; 5] = [
    Shape { kind: "huaweicloud_vpc", add: &[("enterprise_project_id", "0")], rename: &[], id: ID },
    Shape { kind: "huaweicloud_vpc_subnet", add: &[], rename: &[], id: ID },
    Shape {
        kind: "huaweicloud_networking_secgroup_rule",
        add: &[],
        rename: &[("ports", "multiport")],
        id: ID,
    },
    Shape { kind: "huaweicloud_vpc_address_group", add: &[], rename: &[("addresses", "ip_set")], id: ID },
    Shape {
        kind: "huaweicloud_vpc_network_acl",
        add: &[],
        rename: &[("associated_subnets", "associations"), ("enabled", "admin_state_up")],
        id: ID,
    },
];

/// The resources of Huawei Cloud as documents for [`super::read`].
pub fn terraform(resources: &[Resource]) -> Vec<Node> {
    let mut nodes = shaped(resources, &SHAPES);
    for group in of_kind(resources, "huaweicloud_networking_secgroup") {
        nodes.push(security_group(group));
    }
    nodes.extend(of_kind(resources, "huaweicloud_compute_instance").map(instance));
    nodes.extend(routes::tables(resources));
    nodes.extend(routes::peerings(resources));
    nodes.extend(routes::gateways(resources));
    nodes
}

/// A new group lets everything out and its members in, unless `delete_default_rules` says not to.
fn security_group(group: &Resource) -> Node {
    let place = &group.node.place;
    let some = |name: &'static str, value: &str| (name, Some(text(place, value)));
    let rule = |direction: &str, family: &str| {
        let mut members = vec![
            some("id", &format!("{}: default {direction} {family}", group.id())),
            some("security_group_id", group.id()),
            some("direction", direction),
            some("ethertype", family),
            some("action", "allow"),
            some("priority", "100"),
        ];
        if direction == "ingress" {
            members.push(some("remote_group_id", group.id()));
        }
        map(place, members)
    };
    let bare = group.node.get("delete_default_rules").and_then(Node::bool) == Some(true);
    let ways = [("egress", "IPv4"), ("egress", "IPv6"), ("ingress", "IPv4"), ("ingress", "IPv6")];
    let rules = ways.iter().filter(|_| !bare).map(|(way, family)| rule(way, family)).collect();
    map(
        place,
        vec![
            some("id", group.id()),
            some("name", group.node.word("name").unwrap_or(&group.name)),
            ("security_group_rules", Some(list(place, rules))),
        ],
    )
}

fn instance(resource: &Resource) -> Node {
    let (node, place) = (&resource.node, &resource.node.place);
    let some = |name: &'static str, value: &str| (name, Some(text(place, value)));
    let networks = node.get("network").map_or(&[][..], many);
    let fixed = networks.iter().map(|network| {
        let told = |name: &str| network.get(name).and_then(spelt).filter(|text| !text.is_empty());
        let mut members = Vec::new();
        members.extend(told("uuid").map(|id| some("subnet_id", id)));
        members.extend(told("fixed_ip_v4").or(node.word("access_ip_v4")).map(|one| some("ip_address", one)));
        map(place, members)
    });
    let groups = ["security_group_ids", "security_groups"].iter().find_map(|name| node.get(name)).cloned();
    map(
        place,
        vec![
            some("id", node.word("name").unwrap_or(&resource.name)),
            some("device_id", node.word("name").unwrap_or(&resource.name)),
            ("fixed_ips", Some(list(place, fixed.collect()))),
            ("security_groups", Some(groups.unwrap_or_else(|| list(place, Vec::new())))),
        ],
    )
}
