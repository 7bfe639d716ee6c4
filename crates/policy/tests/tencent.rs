//! Tencent Cloud: conformance cases for its traps.
#![allow(clippy::expect_used, reason = "a test fails with the place")]

#[path = "clouds/verdict.rs"]
mod clouds;

use clouds::{Verdict, addresses, ask, documents, verdict};
use netwhy_policy::cloud::Cloud;
use netwhy_policy::estate::{End, Estate, Look};
use netwhy_policy::tencent;

fn rule(index: u32, action: &str, protocol: &str, port: &str, cidr: &str) -> String {
    format!(
        r#"{{"PolicyIndex": {index}, "Protocol": "{protocol}", "Port": "{port}", "CidrBlock": "{cidr}", "Ipv6CidrBlock": "",
        "SecurityGroupId": "", "ServiceTemplate": {{"ServiceId": "", "ServiceGroupId": ""}},
        "AddressTemplate": {{"AddressId": "", "AddressGroupId": ""}}, "Action": "{action}", "PolicyDescription": ""}}"#
    )
}

fn policies(id: &str, ingress: &[String], egress: &[String]) -> String {
    format!(
        r#"{{"SecurityGroupId": "{id}", "SecurityGroupPolicySet": {{"Version": "1", "Ingress": [{}], "Egress": [{}]}}}}"#,
        ingress.join(","),
        egress.join(",")
    )
}

fn instance(id: &str, address: &str, subnet: &str, groups: &str, public: &str) -> String {
    format!(
        r#"{{"InstanceSet": [{{"InstanceId": "{id}", "InstanceName": "n-{id}", "PrivateIpAddresses": ["{address}"],
        "PublicIpAddresses": [{public}], "SecurityGroupIds": [{groups}], "VirtualPrivateCloud": {{"VpcId": "vpc-1", "SubnetId": "{subnet}"}}}}]}}"#
    )
}

const NETWORK: &str = r#"{"VpcSet": [{"VpcId": "vpc-1", "VpcName": "v", "CidrBlock": "10.0.0.0/16"}]},
  {"SubnetSet": [{"SubnetId": "subnet-a", "VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24", "NetworkAclId": ""},
  {"SubnetId": "subnet-b", "VpcId": "vpc-1", "CidrBlock": "10.0.2.0/24", "NetworkAclId": ""}]}"#;

fn read(parts: &[String]) -> Cloud {
    tencent::read(&documents("t.json", &format!("[{NETWORK},{}]", parts.join(","))), Vec::new())
}

fn open() -> Vec<String> {
    vec![rule(0, "ACCEPT", "ALL", "ALL", "0.0.0.0/0")]
}

fn from(cloud: &Cloud, address: &str, port: u16) -> Verdict {
    verdict(cloud, &ask(addresses(address), End::Known("ins-a".to_owned()), 6, port))
}

fn between(cloud: &Cloud, from: &str, to: &str) -> Verdict {
    verdict(cloud, &ask(End::Known(from.to_owned()), End::Known(to.to_owned()), 6, 443))
}

#[test]
fn the_first_rule_by_index_decides_and_nothing_is_allowed_by_default() {
    let one = |rules: &[String]| {
        read(&[
            policies("sg-1", rules, &[]),
            instance("ins-a", "10.0.1.1", "subnet-a", "\"sg-1\"", "\"1.2.3.4\""),
        ])
    };
    let rules = [rule(1, "DROP", "TCP", "ALL", "0.0.0.0/0"), rule(0, "ACCEPT", "TCP", "80,443", "0.0.0.0/0")];
    assert!(from(&one(&rules), "8.8.8.8", 443).allowed());
    assert_eq!(from(&one(&rules), "8.8.8.8", 22).denied_by(), ["1 of sg-1"]);
    assert_eq!(from(&one(&[]), "8.8.8.8", 22).denied_by(), ["default of sg-1 inbound"]);
    let cloud = one(&[]);
    let out = verdict(&cloud, &ask(End::Known("ins-a".to_owned()), addresses("8.8.8.8"), 6, 443));
    assert_eq!(out.denied_by(), ["default of sg-1 outbound"], "egress is denied too");
}

#[test]
fn groups_are_asked_one_after_another() {
    let cloud = |order: &str| {
        read(&[
            policies("sg-1", &[rule(5, "ACCEPT", "TCP", "443", "0.0.0.0/0")], &open()),
            policies("sg-2", &[rule(0, "DROP", "TCP", "443", "0.0.0.0/0")], &open()),
            instance("ins-a", "10.0.1.1", "subnet-a", order, "\"1.2.3.4\""),
        ])
    };
    assert!(from(&cloud("\"sg-1\", \"sg-2\""), "8.8.8.8", 443).allowed(), "whatever the index in the second");
    assert_eq!(from(&cloud("\"sg-2\", \"sg-1\""), "8.8.8.8", 443).denied_by(), ["0 of sg-2"]);
}

#[test]
fn templates_are_their_addresses_and_services_and_missing_ones_are_not_guessed() {
    let templated = r#"{"PolicyIndex": 0, "Protocol": "", "Port": "", "CidrBlock": "", "Action": "ACCEPT",
        "ServiceTemplate": {"ServiceId": "ppm-1"}, "AddressTemplate": {"AddressGroupId": "ipmg-1"}}"#;
    let templates = r#"{"AddressTemplateSet": [{"AddressTemplateId": "ipm-1", "AddressSet": ["8.8.8.0/24", "9.0.0.1-9.0.0.9"]}]},
        {"AddressTemplateGroupSet": [{"AddressTemplateGroupId": "ipmg-1", "AddressTemplateIdSet": ["ipm-1"]}]},
        {"ServiceTemplateSet": [{"ServiceTemplateId": "ppm-1", "ServiceSet": ["tcp:80,443", "udp:53"]}]}"#;
    let with = |more: &[String]| {
        let mut parts = vec![
            policies("sg-1", &[templated.to_owned()], &[]),
            instance("ins-a", "10.0.1.1", "subnet-a", "\"sg-1\"", "\"1.2.3.4\""),
        ];
        parts.extend_from_slice(more);
        read(&parts)
    };
    let known = with(&[templates.to_owned()]);
    assert!(from(&known, "9.0.0.5", 443).allowed());
    assert!(from(&known, "9.0.0.5", 22).denied());
    assert!(from(&known, "9.0.0.10", 443).denied());
    assert!(from(&with(&[]), "9.0.0.5", 443).depends());
}

#[test]
fn a_network_acl_is_stateless_and_ends_with_a_denial() {
    let acl = |egress: &str| {
        format!(
            r#"{{"NetworkAclSet": [{{"NetworkAclId": "acl-1", "VpcId": "vpc-1", "SubnetSet": [{{"SubnetId": "subnet-a"}}],
            "IngressEntries": [{{"Protocol": "tcp", "Port": "443", "CidrBlock": "0.0.0.0/0", "Action": "Accept"}}], "EgressEntries": [{egress}]}}]}}"#
        )
    };
    let with = |acl: String| {
        read(&[
            policies("sg-1", &open(), &open()),
            acl,
            instance("ins-a", "10.0.1.1", "subnet-a", "\"sg-1\"", "\"1.2.3.4\""),
            instance("ins-b", "10.0.2.1", "subnet-b", "\"sg-1\"", ""),
        ])
    };
    assert_eq!(between(&with(acl("")), "ins-b", "ins-a").denied_by(), ["default of acl-1 outbound"]);
    let answers =
        r#"{"Protocol": "tcp", "Port": "1024-65535", "CidrBlock": "0.0.0.0/0", "Action": "Accept"}"#;
    assert!(between(&with(acl(answers)), "ins-b", "ins-a").allowed());
}

#[test]
fn a_fix_takes_the_place_of_the_rule_that_drops() {
    let cloud = read(&[
        policies(
            "sg-1",
            &[rule(0, "ACCEPT", "TCP", "80", "0.0.0.0/0"), rule(1, "DROP", "ALL", "ALL", "0.0.0.0/0")],
            &[],
        ),
        instance("ins-a", "10.0.1.1", "subnet-a", "\"sg-1\"", "\"1.2.3.4\""),
    ]);
    let steps = cloud.way(&ask(addresses("8.8.8.8"), End::Known("ins-a".to_owned()), 6, 443));
    let gates = steps.iter().filter_map(|step| match &step.look {
        Look::Gate { gate, packets } => Some(cloud.allow(gate, packets)),
        _ => None,
    });
    let fixes: Vec<String> = gates.flatten().map(|fix| fix.change).collect();
    assert_eq!(
        fixes[0],
        "tccli vpc CreateSecurityGroupPolicies --SecurityGroupId sg-1 --SecurityGroupPolicySet \
         '{\"Ingress\":[{\"PolicyIndex\":1,\"Protocol\":\"TCP\",\"Port\":\"443\",\"CidrBlock\":\"8.8.8.8/32\",\"Action\":\"ACCEPT\"}]}'"
    );
    assert!(
        fixes[1].contains("tencentcloud_security_group_rule_set") && fixes[1].ends_with("  }\n}\n"),
        "{}",
        fixes[1]
    );
}

#[test]
fn a_file_named_after_its_group_tells_whose_rules_it_has() {
    let rules = r#"{"SecurityGroupPolicySet": {"Ingress": [], "Egress": []}}"#;
    let cloud = tencent::read(&documents("policies-sg-abc1.json", rules), Vec::new());
    assert_eq!(cloud.gates()[0].name, "sg-abc1 inbound");
}
