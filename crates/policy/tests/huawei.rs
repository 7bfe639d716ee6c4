//! Huawei Cloud: conformance cases for its traps.
#![allow(clippy::expect_used, reason = "a test fails with the place")]

#[path = "clouds/verdict.rs"]
mod clouds;

use clouds::{Verdict, addresses, ask, documents, verdict};
use netwhy_policy::cloud::Cloud;
use netwhy_policy::estate::{End, Estate, Look};
use netwhy_policy::huawei;

fn rule(group: &str, id: &str, action: &str, priority: u8, ports: &str, rest: &str) -> String {
    format!(
        r#"{{"id": "{id}", "security_group_id": "{group}", "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
        "multiport": "{ports}", "action": "{action}", "priority": {priority}{rest}}}"#
    )
}

fn out(group: &str) -> String {
    format!(
        r#"{{"id": "out-{group}", "security_group_id": "{group}", "direction": "egress", "ethertype": "IPv4", "protocol": null,
        "remote_ip_prefix": "0.0.0.0/0", "action": "allow", "priority": 1}}"#
    )
}

/// A server and its port: the port knows the groups.
fn server(id: &str, address: &str, subnet: &str, groups: &str) -> String {
    format!(
        r#"{{"servers": [{{"id": "{id}", "name": "n-{id}", "security_groups": [{{"name": "whatever"}}],
        "addresses": {{"vpc-1": [{{"addr": "{address}", "OS-EXT-IPS:type": "fixed"}}, {{"addr": "100.0.0.1", "OS-EXT-IPS:type": "floating"}}]}}}}]}},
        {{"ports": [{{"id": "port-{id}", "device_id": "{id}", "security_groups": [{groups}], "fixed_ips": [{{"subnet_id": "{subnet}", "ip_address": "{address}"}}]}}]}}"#
    )
}

const NETWORK: &str = r#"{"vpcs": [{"id": "vpc-1", "name": "v", "cidr": "10.0.0.0/16", "enterprise_project_id": "0"}]},
  {"subnets": [{"id": "sub-a", "name": "a", "vpc_id": "vpc-1", "cidr": "10.0.1.0/24", "neutron_subnet_id": "ns-a"},
  {"id": "sub-b", "name": "b", "vpc_id": "vpc-1", "cidr": "10.0.2.0/24", "neutron_subnet_id": "ns-b"}]}"#;

fn read(rules: &[String], more: &[String]) -> Cloud {
    let rules = format!(r#"{{"security_group_rules": [{}]}}"#, rules.join(","));
    let text = format!("[{NETWORK},{rules},{}]", more.join(","));
    huawei::read(&documents("h.json", &text), Vec::new())
}

fn from(cloud: &Cloud, address: &str, port: u16) -> Verdict {
    verdict(cloud, &ask(addresses(address), End::Known("s-a".to_owned()), 6, port))
}

const ANY: &str = r#", "remote_ip_prefix": "0.0.0.0/0""#;

#[test]
fn priority_decides_and_deny_wins_a_tie() {
    let one = |rules: &[String]| read(rules, &[server("s-a", "10.0.1.1", "ns-a", "\"sg-1\"")]);
    let tie = [rule("sg-1", "1", "allow", 1, "443", ANY), rule("sg-1", "2", "deny", 1, "1-65535", ANY)];
    assert_eq!(from(&one(&tie), "8.8.8.8", 443).denied_by(), ["1 of sg-1"]);
    let order = [
        rule("sg-1", "1", "deny", 2, "1-65535", ANY),
        rule("sg-1", "2", "allow", 1, "22,443,8000-8010", ANY),
    ];
    assert!(from(&one(&order), "8.8.8.8", 8005).allowed());
    assert_eq!(from(&one(&order), "8.8.8.8", 80).denied_by(), ["0 of sg-1"]);
    assert_eq!(from(&one(&[out("sg-1")]), "8.8.8.8", 80).denied_by(), ["default of sg-1 inbound"]);
}

#[test]
fn groups_are_asked_in_their_order() {
    let rules = [rule("sg-1", "1", "allow", 100, "443", ANY), rule("sg-2", "2", "deny", 1, "443", ANY)];
    assert!(
        from(&read(&rules, &[server("s-a", "10.0.1.1", "ns-a", "\"sg-1\",\"sg-2\"")]), "8.8.8.8", 443)
            .allowed()
    );
    assert!(
        from(&read(&rules, &[server("s-a", "10.0.1.1", "ns-a", "\"sg-2\",\"sg-1\"")]), "8.8.8.8", 443)
            .denied()
    );
}

#[test]
fn remote_groups_and_address_groups_are_their_members() {
    let rules = [
        rule("sg-1", "1", "allow", 1, "443", r#", "remote_group_id": "sg-1""#),
        rule("sg-1", "2", "allow", 1, "22", r#", "remote_address_group_id": "ag-1""#),
        out("sg-1"),
    ];
    let group =
        r#"{"address_groups": [{"id": "ag-1", "ip_version": 4, "ip_set": ["8.8.8.0/24"]}]}"#.to_owned();
    let servers =
        [server("s-a", "10.0.1.1", "ns-a", "\"sg-1\""), server("s-b", "10.0.2.1", "ns-b", "\"sg-1\"")];
    let cloud = read(&rules, &[servers.as_slice(), &[group]].concat());
    let between = ask(End::Known("s-b".to_owned()), End::Known("s-a".to_owned()), 6, 443);
    assert!(verdict(&cloud, &between).allowed());
    assert!(from(&cloud, "8.8.8.8", 22).allowed());
    assert!(from(&cloud, "9.9.9.9", 22).denied());
    assert!(from(&read(&rules, &servers), "9.9.9.9", 22).depends());
}

#[test]
fn a_network_acl_comes_first_and_remembers_connections() {
    let rules = [rule("sg-1", "1", "allow", 1, "443", ANY)];
    let acl = |action: &str| {
        format!(
            r#"{{"firewalls": [{{"id": "fw-1", "admin_state_up": true, "associations": [{{"virsubnet_id": "sub-a"}}],
            "ingress_rules": [{{"id": "r", "action": "{action}", "protocol": "tcp", "ip_version": 4, "destination_port": "443", "enabled": true}}], "egress_rules": []}}]}}"#
        )
    };
    let with = |action: &str| read(&rules, &[server("s-a", "10.0.1.1", "ns-a", "\"sg-1\""), acl(action)]);
    assert!(from(&with("allow"), "8.8.8.8", 443).allowed(), "the answers are not asked");
    assert_eq!(from(&with("deny"), "8.8.8.8", 443).denied_by(), ["0 of fw-1"]);
}

#[test]
fn a_fix_comes_before_the_rule_that_denies() {
    let cloud = read(
        &[rule("sg-1", "1", "deny", 10, "1-65535", ANY)],
        &[server("s-a", "10.0.1.1", "ns-a", "\"sg-1\"")],
    );
    let steps = cloud.way(&ask(addresses("8.8.8.8"), End::Known("s-a".to_owned()), 6, 443));
    let gates = steps.iter().filter_map(|step| match &step.look {
        Look::Gate { gate, packets } => Some(cloud.allow(gate, packets)),
        _ => None,
    });
    let fixes: Vec<String> = gates.flatten().map(|fix| fix.change).collect();
    assert!(
        fixes[0].contains("--security_group_rule.priority=9") && fixes[0].contains("multiport=443"),
        "{fixes:?}"
    );
    assert!(fixes[1].contains("huaweicloud_networking_secgroup_rule"));
}
