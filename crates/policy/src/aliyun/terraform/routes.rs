//! Route tables and peerings of Terraform in the shape of Aliyun's own answers.

use crate::cloud::shape::{by_identity, list, map, member, of_kind, text};
use crate::doc::Node;
use crate::place::Place;
use crate::terraform::{Resource, identity};

/// Every table with its entries: those of its own, and the one that each VPC has from the start.
pub(super) fn tables(resources: &[Resource]) -> Vec<Node> {
    let entries = by_identity(resources, "alicloud_route_entry", "route_table_id");
    let ties = by_identity(resources, "alicloud_route_table_attachment", "route_table_id");
    let of = |id: &str| entries.get(id).map_or(&[][..], Vec::as_slice);
    let mut nodes = Vec::new();
    for own in of_kind(resources, "alicloud_route_table") {
        let switches = ties.get(own.id()).map_or(&[][..], Vec::as_slice);
        let switches = switches.iter().filter_map(|tie| member(&tie.node, "vswitch_id")).collect();
        let place = &own.node.place;
        let vpc = member(&own.node, "vpc_id");
        nodes.push(table(place, own.id(), vpc, ("Custom", switches), of(own.id())));
    }
    for vpc in of_kind(resources, "alicloud_vpc") {
        let unknown = format!("{}.route_table_id", vpc.address);
        let id = vpc.node.get("route_table_id").and_then(identity).unwrap_or(&unknown);
        if !of(id).is_empty() {
            let place = &vpc.node.place;
            nodes.push(table(place, id, Some(text(place, vpc.id())), ("System", Vec::new()), of(id)));
        }
    }
    nodes
}

fn table(
    place: &Place,
    id: &str,
    vpc: Option<Node>,
    (kind, switches): (&str, Vec<Node>),
    entries: &[&Resource],
) -> Node {
    let entry = |entry: &&Resource| {
        let node = &entry.node;
        map(
            &node.place,
            vec![
                ("DestinationCidrBlock", member(node, "destination_cidrblock")),
                ("NextHopType", member(node, "nexthop_type")),
                ("InstanceId", member(node, "nexthop_id")),
                ("Type", Some(text(&node.place, "Custom"))),
            ],
        )
    };
    let entries = list(place, entries.iter().map(entry).collect());
    map(
        place,
        vec![
            ("RouteTableId", Some(text(place, id))),
            ("VpcId", vpc),
            ("RouteTableType", Some(text(place, kind))),
            ("VSwitchIds", Some(map(place, vec![("VSwitchId", Some(list(place, switches)))]))),
            ("RouteEntrys", Some(map(place, vec![("RouteEntry", Some(entries))]))),
        ],
    )
}

pub(super) fn peerings(resources: &[Resource]) -> Vec<Node> {
    let one = |resource: &Resource| {
        let (node, place) = (&resource.node, &resource.node.place);
        let end = |name: &str| Some(map(place, vec![("VpcId", member(node, name))]));
        map(
            place,
            vec![
                ("InstanceId", Some(text(place, resource.id()))),
                ("Vpc", end("vpc_id")),
                ("AcceptingVpc", end("accepting_vpc_id")),
                ("Status", member(node, "status").filter(|status| status.text().is_some())),
            ],
        )
    };
    of_kind(resources, "alicloud_vpc_peer_connection").map(one).collect()
}
