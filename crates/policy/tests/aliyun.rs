//! Aliyun: conformance cases for its traps, and the generated group.
#![allow(clippy::expect_used, reason = "a test fails with the place")]

#[path = "clouds/verdict.rs"]
mod clouds;

use clouds::{Verdict, addresses, ask, documents, verdict};
use netwhy_policy::aliyun;
use netwhy_policy::cloud::Cloud;
use netwhy_policy::estate::{End, Estate, Look};

/// A group with these rules.
fn group(id: &str, inner: &str, kind: &str, rules: &[String]) -> String {
    format!(
        r#"{{"SecurityGroupId": "{id}", "VpcId": "vpc-1", "InnerAccessPolicy": "{inner}",
        "Permissions": {{"Permission": [{}]}}}},
        {{"SecurityGroups": {{"SecurityGroup": [{{"SecurityGroupId": "{id}", "SecurityGroupType": "{kind}", "VpcId": "vpc-1"}}]}}}}"#,
        rules.join(",")
    )
}

fn rule(way: &str, policy: &str, priority: u8, cidr: &str, ports: &str) -> String {
    let end = if way == "ingress" { "Source" } else { "Dest" };
    format!(
        r#"{{"Direction": "{way}", "Policy": "{policy}", "Priority": "{priority}", "IpProtocol": "TCP",
        "{end}CidrIp": "{cidr}", "PortRange": "{ports}", "NicType": "intranet"}}"#
    )
}

fn instance(id: &str, address: &str, switch: &str, groups: &str, public: &str) -> String {
    format!(
        r#"{{"Instances": {{"Instance": [{{"InstanceId": "{id}", "InstanceName": "name-{id}", "InstanceType": "t",
        "SecurityGroupIds": {{"SecurityGroupId": [{groups}]}}, "PublicIpAddress": {{"IpAddress": []}},
        "EipAddress": {{"IpAddress": "{public}"}},
        "VpcAttributes": {{"VpcId": "vpc-1", "VSwitchId": "{switch}", "PrivateIpAddress": {{"IpAddress": ["{address}"]}}}}}}]}}}}"#
    )
}

const SWITCHES: &str = r#"{"Vpcs": {"Vpc": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", "VpcName": "v"}]}},
  {"VSwitches": {"VSwitch": [{"VSwitchId": "vsw-a", "VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24", "NetworkAclId": ""},
    {"VSwitchId": "vsw-b", "VpcId": "vpc-1", "CidrBlock": "10.0.2.0/24", "NetworkAclId": ""}]}}"#;

fn read(parts: &[String]) -> Cloud {
    aliyun::read(&documents("aliyun.json", &format!("[{}]", parts.join(","))), Vec::new())
}

fn between(cloud: &Cloud, from: &str, to: &str, port: u16) -> Verdict {
    verdict(cloud, &ask(End::Known(from.to_owned()), End::Known(to.to_owned()), 6, port))
}

fn from(cloud: &Cloud, address: &str, to: &str, port: u16) -> Verdict {
    verdict(cloud, &ask(addresses(address), End::Known(to.to_owned()), 6, port))
}

/// `i-a` in `sg-1`, reached from outside by its elastic address.
fn one(kind: &str, inner: &str, rules: &[String]) -> Cloud {
    read(&[
        group("sg-1", inner, kind, rules),
        SWITCHES.to_owned(),
        instance("i-a", "10.0.1.1", "vsw-a", "\"sg-1\"", "47.1.1.1"),
        instance("i-b", "10.0.2.1", "vsw-b", "\"sg-1\"", ""),
    ])
}

#[test]
fn the_smaller_priority_wins_and_drop_wins_ties() {
    let all = "0.0.0.0/0";
    let rules = [rule("ingress", "Accept", 1, all, "443/443"), rule("ingress", "Drop", 1, all, "1/65535")];
    assert_eq!(from(&one("normal", "Accept", &rules), "8.8.8.8", "i-a", 443).denied_by(), ["1 of sg-1"]);
    let rules = [rule("ingress", "Drop", 2, all, "1/65535"), rule("ingress", "Accept", 1, all, "443/443")];
    assert!(from(&one("normal", "Accept", &rules), "8.8.8.8", "i-a", 443).allowed());
    assert!(from(&one("normal", "Accept", &[]), "8.8.8.8", "i-a", 443).denied());
}

#[test]
fn priorities_are_merged_over_the_groups_of_an_interface() {
    let all = "0.0.0.0/0";
    let cloud = read(&[
        group("sg-1", "Accept", "normal", &[rule("ingress", "Accept", 10, all, "443/443")]),
        group("sg-2", "Accept", "normal", &[rule("ingress", "Drop", 5, all, "443/443")]),
        SWITCHES.to_owned(),
        instance("i-a", "10.0.1.1", "vsw-a", "\"sg-1\", \"sg-2\"", "47.1.1.1"),
    ]);
    assert_eq!(from(&cloud, "8.8.8.8", "i-a", 443).denied_by(), ["0 of sg-2"]);
}

#[test]
fn members_of_a_basic_group_reach_each_other_unless_it_isolates_them() {
    assert!(between(&one("normal", "Accept", &[]), "i-b", "i-a", 443).allowed());
    assert!(between(&one("normal", "Drop", &[]), "i-b", "i-a", 443).denied());
    let drop = [rule("ingress", "Drop", 100, "10.0.0.0/8", "443/443")];
    assert!(between(&one("normal", "Accept", &drop), "i-b", "i-a", 443).denied(), "the policy comes last");
}

#[test]
fn an_enterprise_group_denies_both_ways_and_isolates_its_members() {
    let cloud = one("enterprise", "Accept", &[rule("ingress", "Accept", 1, "0.0.0.0/0", "443/443")]);
    let verdict = between(&cloud, "i-b", "i-a", 443);
    assert_eq!(verdict.denied_by(), ["default of sg-1 outbound"]);
    assert!(between(&one("enterprise", "Accept", &[]), "i-b", "i-a", 443).denied());
    let out = [
        rule("egress", "Accept", 1, "0.0.0.0/0", "443/443"),
        rule("ingress", "Accept", 1, "10.0.0.0/8", "443/443"),
    ];
    assert!(between(&one("enterprise", "Accept", &out), "i-b", "i-a", 443).allowed());
}

#[test]
fn a_basic_group_lets_everything_out_until_a_rule_drops_it() {
    let open = one("normal", "Accept", &[]);
    let out =
        |cloud: &Cloud| verdict(cloud, &ask(End::Known("i-a".to_owned()), addresses("8.8.8.8"), 6, 443));
    assert!(out(&open).allowed());
    let closed = one("normal", "Accept", &[rule("egress", "Drop", 1, "0.0.0.0/0", "1/65535")]);
    assert_eq!(out(&closed).denied_by(), ["0 of sg-1"]);
}

#[test]
fn a_group_as_a_source_is_its_members() {
    let grant = r#"{"Direction": "ingress", "Policy": "Accept", "Priority": "1", "IpProtocol": "TCP", "SourceGroupId": "sg-2", "PortRange": "443/443"}"#;
    let cloud = read(&[
        group("sg-1", "Drop", "normal", &[grant.to_owned()]),
        group("sg-2", "Drop", "normal", &[]),
        group("sg-3", "Drop", "normal", &[]),
        SWITCHES.to_owned(),
        instance("i-a", "10.0.1.1", "vsw-a", "\"sg-1\"", ""),
        instance("i-b", "10.0.2.1", "vsw-b", "\"sg-2\"", ""),
        instance("i-c", "10.0.2.2", "vsw-b", "\"sg-3\"", ""),
    ]);
    assert!(between(&cloud, "i-b", "i-a", 443).allowed());
    assert!(between(&cloud, "i-c", "i-a", 443).denied());
    let alone = read(&[group("sg-1", "Drop", "normal", &[grant.to_owned()])]);
    let verdict = verdict(&alone, &ask(addresses("10.0.0.9"), addresses("10.0.1.1"), 6, 443));
    assert!(!verdict.allowed() && verdict.on.iter().any(|on| on.contains("sg-2")));
}

#[test]
fn a_network_acl_is_stateless_and_not_asked_within_a_switch() {
    let acl = |egress: &str| {
        format!(
            r#"{{"NetworkAclAttribute": {{"NetworkAclId": "nacl-1", "Resources": {{"Resource": [{{"ResourceId": "vsw-a", "ResourceType": "VSwitch"}}]}},
            "IngressAclEntries": {{"IngressAclEntry": [{{"Policy": "accept", "Protocol": "tcp", "SourceCidrIp": "0.0.0.0/0", "Port": "443/443"}}]}},
            "EgressAclEntries": {{"EgressAclEntry": [{egress}]}}}}}}"#
        )
    };
    let rules = [rule("ingress", "Accept", 1, "0.0.0.0/0", "443/443")];
    let with = |acl: String| {
        read(&[
            group("sg-1", "Accept", "normal", &rules),
            SWITCHES.to_owned(),
            acl,
            instance("i-a", "10.0.1.1", "vsw-a", "\"sg-1\"", "47.1.1.1"),
            instance("i-c", "10.0.1.2", "vsw-a", "\"sg-1\"", ""),
        ])
    };
    let closed = with(acl(""));
    assert_eq!(
        from(&closed, "8.8.8.8", "i-a", 443).denied_by(),
        ["default of nacl-1 outbound"],
        "the answers"
    );
    assert!(between(&closed, "i-c", "i-a", 443).allowed(), "not within a switch");
    let open = with(acl(
        r#"{"Policy": "accept", "Protocol": "tcp", "DestinationCidrIp": "0.0.0.0/0", "Port": "1024/65535"}"#,
    ));
    assert!(from(&open, "8.8.8.8", "i-a", 443).allowed());
    assert_eq!(from(&open, "8.8.8.8", "i-a", 80).denied_by()[0], "default of nacl-1 inbound");
}

#[test]
fn a_prefix_list_is_its_entries_and_a_missing_one_is_not_guessed() {
    let listed = r#"{"Direction": "ingress", "Policy": "Accept", "Priority": "1", "IpProtocol": "TCP", "SourcePrefixListId": "pl-1", "PortRange": "443/443"}"#;
    let list = r#"{"PrefixListId": "pl-1", "Entries": {"Entry": [{"Cidr": "8.8.8.0/24"}]}}"#;
    let parts = |more: &[String]| {
        let mut parts = vec![
            group("sg-1", "Drop", "normal", &[listed.to_owned()]),
            SWITCHES.to_owned(),
            instance("i-a", "10.0.1.1", "vsw-a", "\"sg-1\"", "47.1.1.1"),
        ];
        parts.extend_from_slice(more);
        read(&parts)
    };
    assert!(from(&parts(&[list.to_owned()]), "8.8.8.8", "i-a", 443).allowed());
    assert!(from(&parts(&[list.to_owned()]), "9.9.9.9", "i-a", 443).denied());
    assert!(from(&parts(&[]), "8.8.8.8", "i-a", 443).depends());
}

#[test]
fn rules_of_five_parts_ask_for_source_ports_and_destinations() {
    let quintuple = r#"{"Direction": "ingress", "Policy": "Drop", "Priority": "1", "IpProtocol": "TCP", "SourceCidrIp": "0.0.0.0/0",
      "DestCidrIp": "10.0.9.9/32", "PortRange": "443/443", "SourcePortRange": "1/65535"}"#;
    let rules = [quintuple.to_owned(), rule("ingress", "Accept", 2, "0.0.0.0/0", "443/443")];
    assert!(from(&one("normal", "Accept", &rules), "8.8.8.8", "i-a", 443).allowed());
}

#[test]
fn a_fix_comes_before_the_rule_that_drops_and_a_tie_at_one_cannot_be_won() {
    let fixes = |priority: u8| -> Vec<String> {
        let cloud = one("normal", "Accept", &[rule("ingress", "Drop", priority, "0.0.0.0/0", "1/65535")]);
        let steps = cloud.way(&ask(addresses("8.8.8.8"), End::Known("i-a".to_owned()), 6, 443));
        let gates = steps.iter().filter_map(|step| match &step.look {
            Look::Gate { gate, packets } if gate.name.contains("inbound") => Some(cloud.allow(gate, packets)),
            _ => None,
        });
        gates.flatten().map(|fix| fix.change).collect()
    };
    assert_eq!(
        fixes(10)[0],
        "aliyun ecs AuthorizeSecurityGroup --SecurityGroupId sg-1 --Permissions.1.IpProtocol TCP \
         --Permissions.1.PortRange 443/443 --Permissions.1.SourceCidrIp 8.8.8.8/32 --Permissions.1.Policy accept \
         --Permissions.1.Priority 9"
    );
    assert!(fixes(10)[1].contains("alicloud_security_group_rule"));
    assert!(fixes(1)[0].contains("priority 1"));
}

#[test]
fn a_generated_group_answers_like_the_list_it_was_made_from_by_its_own_priorities() {
    let Some((text, packets)) = clouds::generated("aliyun_sg.json") else { return };
    let cloud = aliyun::read(&documents("aliyun_sg.json", &text), Vec::new());
    let gate = cloud.gates().remove(0);
    // A hundred priorities for a thousand rules: ten rules share one, and drop wins among them. What is expected
    // is worked out from the abstract list by that.
    let list = clouds::abstract_rules();
    assert_eq!(gate.rules.iter().filter(|rule| rule.number != u32::MAX).count(), list.len());
    let mut wrong = 0;
    for packet in &packets {
        let expected = clouds::by_priority(&list, packet, |number| 1 + number * 100 / list.len());
        let verdict = clouds::asked(&cloud, packet);
        wrong += usize::from(verdict.allowed() != expected || verdict.denied() == expected);
    }
    assert_eq!(wrong, 0, "of {}", packets.len());
}
