//! Route tables, peerings and NAT gateways of Terraform in the shape of Huawei's own answers.

use crate::cloud::fields::{many, spelt};
use crate::cloud::shape::{by_identity, list, map, member, of_kind, text};
use crate::doc::Node;
use crate::terraform::Resource;

/// Every table with its routes; routes that stand alone are those of the VPC's first table, or of the one they name.
pub(super) fn tables(resources: &[Resource]) -> Vec<Node> {
    let alone = by_identity(resources, "huaweicloud_vpc_route", "vpc_id");
    let placed = by_identity(resources, "huaweicloud_vpc_route", "route_table_id");
    let mut nodes = Vec::new();
    for own in of_kind(resources, "huaweicloud_vpc_route_table") {
        let (node, place) = (&own.node, &own.node.place);
        let added = placed.get(own.id()).map_or(&[][..], Vec::as_slice).iter().map(|one| one.node.clone());
        let routes = node.get("route").map_or(&[][..], many).iter().cloned().chain(added).collect();
        let subnets = node.get("subnets").map_or(&[][..], many).iter().filter_map(spelt);
        let subnets = subnets.map(|id| map(place, vec![("id", Some(text(place, id)))])).collect();
        nodes.push(map(
            place,
            vec![
                ("id", Some(text(place, own.id()))),
                ("vpc_id", member(node, "vpc_id")),
                ("subnets", Some(list(place, subnets))),
                ("routes", Some(list(place, routes))),
            ],
        ));
    }
    for vpc in of_kind(resources, "huaweicloud_vpc") {
        let main = |route: &&&Resource| route.node.get("route_table_id").is_none_or(Node::is_null);
        let own = alone.get(vpc.id()).map_or(&[][..], Vec::as_slice).iter().filter(main);
        let routes: Vec<Node> = own.map(|route| route.node.clone()).collect();
        let place = &vpc.node.place;
        if !routes.is_empty() {
            nodes.push(map(
                place,
                vec![
                    ("id", Some(text(place, &format!("{} default", vpc.id())))),
                    ("vpc_id", Some(text(place, vpc.id()))),
                    ("default", Some(text(place, "true"))),
                    ("routes", Some(list(place, routes))),
                ],
            ));
        }
    }
    nodes
}

pub(super) fn peerings(resources: &[Resource]) -> Vec<Node> {
    let one = |resource: &Resource| {
        let (node, place) = (&resource.node, &resource.node.place);
        let end = |name: &str| Some(map(place, vec![("vpc_id", member(node, name))]));
        map(
            place,
            vec![
                ("id", Some(text(place, resource.id()))),
                ("request_vpc_info", end("vpc_id")),
                ("accept_vpc_info", end("peer_vpc_id")),
            ],
        )
    };
    of_kind(resources, "huaweicloud_vpc_peering_connection").map(one).collect()
}

pub(super) fn gateways(resources: &[Resource]) -> Vec<Node> {
    let one = |resource: &Resource| {
        let (node, place) = (&resource.node, &resource.node.place);
        map(
            place,
            vec![
                ("id", Some(text(place, resource.id()))),
                ("router_id", member(node, "vpc_id")),
                ("internal_network_id", member(node, "subnet_id")),
            ],
        )
    };
    of_kind(resources, "huaweicloud_nat_gateway").map(one).collect()
}
