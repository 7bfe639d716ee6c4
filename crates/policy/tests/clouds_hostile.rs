//! Whatever stands in a file, the readers of clouds end, and what they made of it can be asked.

#![allow(clippy::expect_used, reason = "a test fails with the place")]

#[path = "clouds/verdict.rs"]
mod clouds;

use clouds::{addresses, ask};
use netwhy_policy::cloud::READERS;
use netwhy_policy::doc::json;
use netwhy_policy::estate::{End, Estate, Look};
use netwhy_policy::terraform::resources;
use proptest::prelude::*;
use std::sync::Arc;

/// Words that the readers look for, of all vendors.
const KEYS: [&str; 72] = [
    "type",
    "kind",
    "id",
    "name",
    "properties",
    "securityRules",
    "priority",
    "direction",
    "access",
    "protocol",
    "sourceAddressPrefix",
    "destinationPortRange",
    "addressSpace",
    "addressPrefixes",
    "subnets",
    "addressPrefix",
    "networkSecurityGroup",
    "ipConfigurations",
    "macAddress",
    "privateIPAddress",
    "subnet",
    "publicIPAddress",
    "virtualNetworkPeerings",
    "remoteVirtualNetwork",
    "routes",
    "routeTable",
    "nextHopType",
    "network",
    "allowed",
    "denied",
    "IPProtocol",
    "ports",
    "sourceRanges",
    "sourceTags",
    "targetTags",
    "networkInterfaces",
    "networkIP",
    "tags",
    "items",
    "ipCidrRange",
    "destRange",
    "nextHopIp",
    "rules",
    "match",
    "action",
    "layer4Configs",
    "SecurityGroupId",
    "Permissions",
    "Permission",
    "Priority",
    "Policy",
    "IpProtocol",
    "PortRange",
    "SourceCidrIp",
    "SourceGroupId",
    "VpcAttributes",
    "InstanceId",
    "SecurityGroupIds",
    "VSwitchId",
    "VpcId",
    "CidrBlock",
    "NetworkAclId",
    "IngressAclEntries",
    "Ingress",
    "PolicyIndex",
    "Port",
    "Action",
    "security_group_id",
    "security_group_rules",
    "remote_group_id",
    "fixed_ips",
    "security_groups",
];
const WORDS: [&str; 26] = [
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/virtualNetworks",
    "compute#firewall",
    "compute#instance",
    "compute#firewallPolicy",
    "compute#network",
    "a",
    "b",
    "Inbound",
    "ingress",
    "Allow",
    "deny",
    "DROP",
    "goto_next",
    "tcp",
    "*",
    "10.0.0.0/8",
    "10.0.0.4",
    "0.0.0.0/0",
    "::/0",
    "VirtualNetwork",
    "Internet",
    "443",
    "1-65535",
    "-1/-1",
    "65000",
];

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        proptest::sample::select(WORDS.to_vec()).prop_map(|word| format!("\"{word}\"")),
        any::<i32>().prop_map(|number| number.to_string()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        "[ -!#-Z^-~]{0,12}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(6, 96, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
            proptest::collection::vec((proptest::sample::select(KEYS.to_vec()), inner), 0..8).prop_map(
                |all| {
                    let members: Vec<String> =
                        all.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
                    format!("{{{}}}", members.join(","))
                }
            ),
        ]
    })
}

fn use_up(estate: &dyn Estate) {
    let mut ends = vec![addresses("10.0.0.4"), addresses("8.8.8.8"), End::Outside];
    ends.extend(estate.endpoints().iter().take(3).map(|endpoint| End::Known(endpoint.id.clone())));
    for from in &ends {
        for to in &ends {
            for step in estate.way(&ask(from.clone(), to.clone(), 6, 443)) {
                if let Look::Gate { gate, packets } = step.look {
                    let _ = estate.allow(&gate, &packets);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_document_makes_a_reader_panic(text in value()) {
        let read = json(&Arc::from("x.json"), &text);
        for reader in &READERS {
            let _ = read.documents.iter().map(reader.claims).count();
            use_up(&(reader.read)(&read.documents, Vec::new()));
        }
    }

    #[test]
    fn no_resource_makes_a_reader_panic(
        kind in proptest::sample::select(vec![
            "azurerm_network_security_group", "azurerm_subnet", "azurerm_network_interface", "google_compute_firewall",
            "google_compute_instance", "google_compute_network_firewall_policy_rule", "alicloud_security_group_rule",
            "alicloud_instance", "tencentcloud_security_group_lite_rule", "tencentcloud_instance",
            "huaweicloud_networking_secgroup_rule", "huaweicloud_compute_instance",
        ]),
        values in value(),
    ) {
        let text = format!(
            r#"{{"terraform_version": "1", "planned_values": {{"root_module": {{"resources": [
              {{"address": "{kind}.a", "mode": "managed", "type": "{kind}", "name": "a", "values": {values}}}]}}}}}}"#
        );
        let found = resources(&[(Arc::from("plan.json"), text.as_str())]);
        for reader in &READERS {
            use_up(&(reader.read)(&(reader.terraform)(&found.resources), Vec::new()));
        }
    }
}

#[test]
fn a_rule_of_a_million_combinations_is_not_modelled_and_says_so() {
    let prefixes: Vec<String> =
        (0..2000).map(|at| format!("\"10.{}.{}.0/25\"", at / 250, at % 250)).collect();
    let ports: Vec<String> = (0..1000).map(|at| format!("\"{}\"", at * 2)).collect();
    let text = format!(
        r#"{{"name": "n", "type": "Microsoft.Network/networkSecurityGroups", "securityRules": [{{"name": "r", "priority": 100,
        "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefixes": [{0}],
        "destinationAddressPrefixes": [{0}], "destinationPortRanges": [{1}]}}]}}"#,
        prefixes.join(","),
        ports.join(",")
    );
    let cloud = netwhy_policy::azure::read(&clouds::documents("a.json", &text), Vec::new());
    let gate = cloud.gates().remove(0);
    assert_eq!(gate.rules[0].cubes.len(), 1);
    assert!(gate.rules[0].unmodelled[0].en.contains("too long"));
}
