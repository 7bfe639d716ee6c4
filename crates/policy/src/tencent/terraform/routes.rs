//! Route tables and peerings of Terraform in the shape of Tencent's own answers.

use crate::cloud::shape::{by_identity, list, map, member, of_kind, text};
use crate::doc::Node;
use crate::place::Place;
use crate::terraform::{Resource, identity};

/// Every table with its entries: those of its own, and the one that each VPC has from the start.
pub(super) fn tables(resources: &[Resource]) -> Vec<Node> {
    let mut entries = by_identity(resources, "tencentcloud_route_table_entry", "route_table_id");
    for (id, more) in by_identity(resources, "tencentcloud_route_entry", "route_table_id") {
        entries.entry(id).or_default().extend(more);
    }
    let ties = by_identity(resources, "tencentcloud_route_table_association", "route_table_id");
    let of = |id: &str| entries.get(id).map_or(&[][..], Vec::as_slice);
    let mut nodes = Vec::new();
    for own in of_kind(resources, "tencentcloud_route_table") {
        let tied = ties.get(own.id()).map_or(&[][..], Vec::as_slice).iter();
        let tied = tied.filter_map(|tie| member(&tie.node, "subnet_id"));
        let place = &own.node.place;
        let subnets = tied.map(|id| map(place, vec![("SubnetId", Some(id))])).collect();
        nodes.push(table(place, own.id(), member(&own.node, "vpc_id"), (false, subnets), of(own.id())));
    }
    for vpc in of_kind(resources, "tencentcloud_vpc") {
        let unknown = format!("{}.default_route_table_id", vpc.address);
        let id = vpc.node.get("default_route_table_id").and_then(identity).unwrap_or(&unknown);
        if !of(id).is_empty() {
            let place = &vpc.node.place;
            nodes.push(table(place, id, Some(text(place, vpc.id())), (true, Vec::new()), of(id)));
        }
    }
    nodes
}

fn table(
    place: &Place,
    id: &str,
    vpc: Option<Node>,
    (main, subnets): (bool, Vec<Node>),
    entries: &[&Resource],
) -> Node {
    let entry = |entry: &&Resource| {
        let node = &entry.node;
        let either = |one: &str, other: &str| member(node, one).or_else(|| member(node, other));
        map(
            &node.place,
            vec![
                ("DestinationCidrBlock", either("destination_cidr_block", "cidr_block")),
                ("GatewayType", member(node, "next_type")),
                ("GatewayId", member(node, "next_hub")),
                (
                    "Enabled",
                    member(node, "disabled")
                        .and_then(|node| node.bool())
                        .map(|off| text(place, if off { "false" } else { "true" })),
                ),
            ],
        )
    };
    let entries = list(place, entries.iter().map(entry).collect());
    map(
        place,
        vec![
            ("RouteTableId", Some(text(place, id))),
            ("VpcId", vpc),
            ("Main", Some(text(place, if main { "true" } else { "false" }))),
            ("AssociationSet", Some(list(place, subnets))),
            ("RouteSet", Some(entries)),
        ],
    )
}

pub(super) fn peerings(resources: &[Resource]) -> Vec<Node> {
    let one = |resource: &Resource| {
        let (node, place) = (&resource.node, &resource.node.place);
        map(
            place,
            vec![
                ("PeeringConnectionId", Some(text(place, resource.id()))),
                ("SourceVpcId", member(node, "source_vpc_id")),
                ("PeerVpcId", member(node, "destination_vpc_id")),
            ],
        )
    };
    of_kind(resources, "tencentcloud_vpc_peer_connect_manager").map(one).collect()
}
