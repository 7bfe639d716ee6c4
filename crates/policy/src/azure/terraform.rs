//! Resources of the provider `azurerm` in the shape of Azure's own answers.

use crate::cloud::shape::{Shape, append, attach, map, of_kind, shaped, text};
use crate::doc::Node;
use crate::terraform::Resource;

const ID: &[&str] = &["id"];

macro_rules! shape {
    ($kind:literal, $type:literal, $rename:expr) => {
        Shape { kind: $kind, add: &[("type", $type)], rename: $rename, id: ID }
    };
}

const SHAPES: [Shape; 18] = [
    shape!(
        "azurerm_network_security_group",
        "Microsoft.Network/networkSecurityGroups",
        &[("security_rule", "securityRules")]
    ),
    shape!("azurerm_network_security_rule", "Microsoft.Network/networkSecurityGroups/securityRules", &[]),
    shape!("azurerm_virtual_network", "Microsoft.Network/virtualNetworks", &[("subnet", "subnets")]),
    shape!("azurerm_subnet", "Microsoft.Network/virtualNetworks/subnets", &[]),
    Shape {
        kind: "azurerm_virtual_network_peering",
        // What is not written is false.
        add: &[
            ("type", "Microsoft.Network/virtualNetworks/virtualNetworkPeerings"),
            ("allowForwardedTraffic", "false"),
        ],
        rename: &[("allow_forwarded_traffic", "allowForwardedTraffic")],
        id: ID,
    },
    shape!(
        "azurerm_network_interface",
        "Microsoft.Network/networkInterfaces",
        &[("ip_configuration", "ipConfigurations")]
    ),
    shape!("azurerm_public_ip", "Microsoft.Network/publicIPAddresses", &[]),
    shape!("azurerm_linux_virtual_machine", "Microsoft.Compute/virtualMachines", &[]),
    shape!("azurerm_windows_virtual_machine", "Microsoft.Compute/virtualMachines", &[]),
    shape!("azurerm_virtual_machine", "Microsoft.Compute/virtualMachines", &[]),
    shape!("azurerm_route_table", "Microsoft.Network/routeTables", &[("route", "routes")]),
    shape!("azurerm_nat_gateway", "Microsoft.Network/natGateways", &[]),
    shape!("azurerm_application_security_group", "Microsoft.Network/applicationSecurityGroups", &[]),
    shape!(
        "azurerm_local_network_gateway",
        "Microsoft.Network/localNetworkGateways",
        &[("address_space", "addressPrefixes")]
    ),
    shape!("azurerm_lb", "Microsoft.Network/loadBalancers", &[]),
    shape!("azurerm_application_gateway", "Microsoft.Network/applicationGateways", &[]),
    shape!("azurerm_firewall", "Microsoft.Network/azureFirewalls", &[]),
    shape!(
        "azurerm_network_security_group_rule",
        "Microsoft.Network/networkSecurityGroups/securityRules",
        &[]
    ),
];

/// Kinds that tie two resources: the member that names the one, that which names the other, what it gets of it.
const TIES: [(&str, &str, &str, &str); 4] = [
    (
        "azurerm_subnet_network_security_group_association",
        "subnet_id",
        "network_security_group_id",
        "networkSecurityGroup",
    ),
    (
        "azurerm_network_interface_security_group_association",
        "network_interface_id",
        "network_security_group_id",
        "networkSecurityGroup",
    ),
    ("azurerm_subnet_route_table_association", "subnet_id", "route_table_id", "routeTable"),
    ("azurerm_subnet_nat_gateway_association", "subnet_id", "nat_gateway_id", "natGateway"),
];

/// The resources of Azure as documents for [`super::read`].
pub fn terraform(resources: &[Resource]) -> Vec<Node> {
    let mut nodes = shaped(resources, &SHAPES);
    for (kind, owner, other, member) in TIES {
        for tie in of_kind(resources, kind) {
            if let (Some(owner), Some(other)) = (tie.node.word(owner), tie.node.word(other)) {
                attach(&mut nodes, "id", owner, member, &text(&tie.node.place, other));
            }
        }
    }
    for route in of_kind(resources, "azurerm_route") {
        if let Some(table) = route.node.word("route_table_name") {
            append(&mut nodes, "name", table, "routes", route.node.clone());
        }
    }
    for tie in of_kind(resources, "azurerm_network_interface_application_security_group_association") {
        let (nic, group) =
            (tie.node.word("network_interface_id"), tie.node.word("application_security_group_id"));
        if let (Some(nic), Some(group)) = (nic, group) {
            let place = &tie.node.place;
            let group = map(place, vec![("id", Some(text(place, group)))]);
            append(&mut nodes, "id", nic, "applicationSecurityGroups", group);
        }
    }
    nodes
}
