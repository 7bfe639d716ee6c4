//! Google Cloud: conformance cases for its traps, and the generated list.
#![allow(clippy::expect_used, reason = "a test fails with the place")]

#[path = "clouds/verdict.rs"]
mod clouds;

use clouds::{Verdict, addresses, ask, documents, verdict};
use netwhy_policy::cloud::Cloud;
use netwhy_policy::estate::{End, Estate, Look};
use netwhy_policy::gcp;

const LINK: &str = "https://www.googleapis.com/compute/v1/projects/p";

/// Two instances in one network: `web` with the tag `web` and an external address, `db` with the tag `db`.
fn estate(rules: &str, more: &str) -> Cloud {
    let text = format!(
        r#"[
 {{"kind": "compute#network", "name": "net", "selfLink": "{LINK}/global/networks/net"}},
 {{"kind": "compute#subnetwork", "name": "sub", "selfLink": "{LINK}/regions/r1/subnetworks/sub",
   "network": "{LINK}/global/networks/net", "region": "r1", "ipCidrRange": "10.0.0.0/24"}},
 {{"kind": "compute#instance", "name": "web", "zone": "{LINK}/zones/r1-a", "tags": {{"items": ["web"]}},
   "serviceAccounts": [{{"email": "web@p.iam"}}],
   "networkInterfaces": [{{"network": "{LINK}/global/networks/net", "subnetwork": "{LINK}/regions/r1/subnetworks/sub",
     "networkIP": "10.0.0.2", "accessConfigs": [{{"natIP": "34.1.2.3", "type": "ONE_TO_ONE_NAT"}}]}}]}},
 {{"kind": "compute#instance", "name": "db", "zone": "{LINK}/zones/r1-a", "tags": {{"items": ["db"]}},
   "networkInterfaces": [{{"network": "{LINK}/global/networks/net", "networkIP": "10.0.0.3"}}]}}
 {more}
 {}{rules}
]"#,
        if rules.is_empty() { "" } else { "," }
    );
    gcp::read(&documents("gcp.json", &text), Vec::new())
}

fn rule(name: &str, priority: u32, ingress: bool, allow: bool, rest: &str) -> String {
    format!(
        r#"{{"kind": "compute#firewall", "name": "{name}", "network": "{LINK}/global/networks/net", "priority": {priority},
         "direction": "{}", "{}": [{{"IPProtocol": "tcp", "ports": ["443"]}}]{rest}}}"#,
        if ingress { "INGRESS" } else { "EGRESS" },
        if allow { "allowed" } else { "denied" },
    )
}

const ANY: &str = r#", "sourceRanges": ["0.0.0.0/0"]"#;

fn outside(cloud: &Cloud, to: &str, port: u16) -> Verdict {
    verdict(cloud, &ask(End::Outside, End::Known(to.to_owned()), 6, port))
}

fn between(cloud: &Cloud, from: &str, to: &str) -> Verdict {
    verdict(cloud, &ask(End::Known(from.to_owned()), End::Known(to.to_owned()), 6, 443))
}

#[test]
fn without_rules_ingress_is_denied_and_egress_allowed() {
    let cloud = estate("", "");
    let verdict_in = outside(&cloud, "web", 443);
    assert!(verdict_in.denied() && verdict_in.denied_by()[0].starts_with("default of net ingress"));
    assert!(between(&cloud, "db", "web").denied(), "also between neighbours");
    let out = verdict(&cloud, &ask(End::Known("web".to_owned()), addresses("8.8.8.8"), 6, 443));
    assert!(out.allowed(), "{out:?}");
}

#[test]
fn deny_wins_a_tie_and_the_lower_number_wins_else() {
    let tie = [rule("a", 1000, true, true, ANY), rule("d", 1000, true, false, ANY)].join(",");
    assert_eq!(outside(&estate(&tie, ""), "web", 443).denied_by(), ["1 of net"]);
    let lower = [rule("d", 1000, true, false, ANY), rule("a", 999, true, true, ANY)].join(",");
    assert!(outside(&estate(&lower, ""), "web", 443).allowed());
    let missing = [
        rule("d", 1000, true, false, ANY).replace("\"priority\": 1000,", ""),
        rule("a", 1001, true, true, ANY),
    ];
    assert!(outside(&estate(&missing.join(","), ""), "web", 443).denied(), "1000 is the default");
}

#[test]
fn a_rule_is_for_its_targets_alone() {
    let tagged = rule("t", 1000, true, true, &format!("{ANY}, \"targetTags\": [\"web\"]"));
    let cloud = estate(&tagged, "");
    assert!(outside(&cloud, "web", 443).allowed());
    assert!(between(&cloud, "web", "db").denied());
    let account = rule("s", 1000, true, true, &format!("{ANY}, \"targetServiceAccounts\": [\"web@p.iam\"]"));
    assert!(outside(&estate(&account, ""), "web", 443).allowed());
}

#[test]
fn source_ranges_or_source_tags_match() {
    let either = rule("e", 1000, true, true, r#", "sourceRanges": ["8.8.8.0/24"], "sourceTags": ["db"]"#);
    let cloud = estate(&either, "");
    assert!(between(&cloud, "db", "web").allowed());
    assert!(verdict(&cloud, &ask(addresses("8.8.8.8"), End::Known("web".to_owned()), 6, 443)).allowed());
    assert!(verdict(&cloud, &ask(addresses("9.9.9.9"), End::Known("web".to_owned()), 6, 443)).denied());
}

#[test]
fn a_disabled_rule_is_none_and_one_without_ranges_is_for_everybody() {
    let disabled = rule("d", 1, true, false, &format!("{ANY}, \"disabled\": true"));
    let bare = rule("b", 1000, true, true, "");
    assert!(outside(&estate(&[disabled, bare].join(","), ""), "web", 443).allowed());
}

#[test]
fn no_external_address_is_no_way_in_and_port_25_out_is_not_promised() {
    let cloud = estate(&rule("a", 1000, true, true, ANY), "");
    assert!(outside(&cloud, "db", 443).ends.iter().any(|why| why.contains("no public address")));
    let mail = verdict(&cloud, &ask(End::Known("web".to_owned()), addresses("8.8.8.8"), 6, 25));
    assert!(mail.depends());
}

#[test]
fn the_metadata_server_is_always_reached() {
    let deny = rule("d", 0, false, false, r#", "destinationRanges": ["0.0.0.0/0"]"#)
        .replace(r#"{"IPProtocol": "tcp", "ports": ["443"]}"#, r#"{"IPProtocol": "all"}"#);
    let cloud = estate(&deny, "");
    let asked = ask(End::Known("web".to_owned()), addresses("169.254.169.254"), 6, 80);
    let steps = cloud.way(&asked);
    let gates = steps.iter().filter_map(|step| match &step.look {
        Look::Gate { gate, packets } => Some((gate, packets)),
        _ => None,
    });
    for (gate, packets) in gates {
        let first = gate.rules.iter().find(|rule| rule.cubes.iter().any(|cube| cube.meets(&packets[0])));
        assert_eq!(first.map(|rule| rule.text.as_str()), Some("the metadata server is always reached"));
    }
    let other = verdict(&cloud, &ask(End::Known("web".to_owned()), addresses("8.8.8.8"), 6, 443));
    assert_eq!(other.denied_by(), ["0 of net"]);
}

/// A policy with these rules, for the organisation or for the network.
fn policy(name: &str, target: &str, rules: &str) -> String {
    format!(
        r#",{{"kind": "compute#firewallPolicy", "name": "{name}", "shortName": "{name}",
        "associations": [{{"attachmentTarget": "{target}"}}], "rules": [{rules}]}}"#
    )
}

fn policy_rule(priority: u32, action: &str, port: &str) -> String {
    format!(
        r#"{{"priority": {priority}, "direction": "INGRESS", "action": "{action}", "match": {{"srcIpRanges": ["0.0.0.0/0"],
        "layer4Configs": [{{"ipProtocol": "tcp", "ports": ["{port}"]}}]}}}}"#
    )
}

#[test]
fn a_hierarchical_policy_decides_before_the_rules_and_goto_next_leaves_it() {
    let allow = rule("a", 1000, true, true, ANY);
    let deny = policy("org", "organizations/1", &policy_rule(10, "deny", "443"));
    assert_eq!(outside(&estate(&allow, &deny), "web", 443).denied_by(), ["0 of org"]);
    let rules = [policy_rule(5, "goto_next", "443"), policy_rule(10, "deny", "1-65535")].join(",");
    let next = policy("org", "organizations/1", &rules);
    assert!(outside(&estate(&allow, &next), "web", 443).allowed());
    assert_eq!(outside(&estate(&allow, &next), "web", 444).denied_by(), ["1 of org"]);
    let open = policy("org", "organizations/1", &policy_rule(10, "allow", "443"));
    assert!(outside(&estate(&rule("d", 0, true, false, ANY), &open), "web", 443).allowed());
}

#[test]
fn a_network_policy_comes_after_the_rules_unless_the_network_says_before() {
    let target = format!("{LINK}/global/networks/net");
    let open = policy("np", &target, &policy_rule(10, "allow", "443"));
    let deny = rule("d", 1000, true, false, ANY);
    assert_eq!(outside(&estate(&deny, &open), "web", 443).denied_by(), ["0 of net"]);
    assert!(outside(&estate("", &open), "web", 443).allowed(), "before the implied rule");
    let text = format!(
        r#"[{{"kind": "compute#network", "name": "net", "selfLink": "{target}", "networkFirewallPolicyEnforcementOrder": "BEFORE_CLASSIC_FIREWALL"}},
        {{"kind": "compute#instance", "name": "i", "networkInterfaces": [{{"network": "{target}", "networkIP": "10.0.0.2", "accessConfigs": [{{"natIP": "34.0.0.1"}}]}}]}},{deny}{open}]"#
    );
    let cloud = gcp::read(&documents("g.json", &text), Vec::new());
    assert!(outside(&cloud, "i", 443).allowed());
}

#[test]
fn what_a_policy_matches_by_geography_is_never_allowed() {
    let odd = policy_rule(10, "allow", "443")
        .replace("\"srcIpRanges\"", "\"srcRegionCodes\": [\"DE\"], \"srcIpRanges\"");
    let cloud = estate("", &policy("org", "organizations/1", &odd));
    let verdict = outside(&cloud, "web", 443);
    assert!(!verdict.allowed() && verdict.on.iter().any(|on| on.contains("srcRegionCodes")), "{verdict:?}");
}

#[test]
fn routes_with_tags_are_for_those_instances_and_a_next_hop_that_does_not_forward_drops() {
    let route = format!(
        r#",{{"kind": "compute#route", "name": "r", "network": "{LINK}/global/networks/net", "destRange": "8.8.8.0/24", "priority": 100,
        "tags": ["web"], "nextHopInstance": "{LINK}/zones/r1-a/instances/db"}},
        {{"kind": "compute#route", "name": "d", "network": "{LINK}/global/networks/net", "destRange": "0.0.0.0/0", "priority": 1000,
        "nextHopGateway": "{LINK}/global/gateways/default-internet-gateway"}}"#
    );
    let cloud = estate("", &route);
    let web = verdict(&cloud, &ask(End::Known("web".to_owned()), addresses("8.8.8.8"), 6, 443));
    assert!(web.denied() && web.ends.iter().any(|why| why.contains("(r)")), "{web:?}");
    let other = verdict(&cloud, &ask(End::Known("web".to_owned()), addresses("9.9.9.9"), 6, 443));
    assert!(other.allowed(), "{other:?}");
}

#[test]
fn a_fix_comes_right_before_the_rule_that_denies() {
    let cloud = estate(&rule("d", 500, true, false, ANY), "");
    let steps = cloud.way(&ask(addresses("8.8.8.8"), End::Known("web".to_owned()), 6, 443));
    let fixes: Vec<_> = steps
        .iter()
        .filter_map(|step| match &step.look {
            Look::Gate { gate, packets } if gate.name.contains("ingress") => Some(cloud.allow(gate, packets)),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(
        fixes[0].change,
        "gcloud compute firewall-rules create allow-tcp-443-in --network=net --direction=INGRESS --priority=499 \
         --action=ALLOW --rules=tcp:443 --source-ranges=8.8.8.8/32 --destination-ranges=10.0.0.2/32 --target-tags=web"
    );
    assert!(
        fixes[1].change.contains("allow {\n    protocol = \"tcp\"\n    ports = [\"443\"]\n  }\n}"),
        "{}",
        fixes[1].change
    );
}

#[test]
fn a_list_of_rules_alone_answers_and_targets_are_then_open() {
    let text = format!("[{}]", rule("t", 1000, true, true, &format!("{ANY}, \"targetTags\": [\"web\"]")));
    let cloud = gcp::read(&documents("g.json", &text), Vec::new());
    let verdict = verdict(&cloud, &ask(addresses("8.8.8.8"), addresses("10.0.0.9"), 6, 443));
    assert!(!verdict.allowed() && !verdict.on.is_empty());
    assert_eq!(cloud.gates().len(), 1);
}

#[test]
fn a_generated_list_answers_like_the_list_it_was_made_from() {
    let Some((text, packets)) = clouds::generated("gcp_fw.json") else { return };
    let cloud = gcp::read(&documents("gcp_fw.json", &text), Vec::new());
    // What this dialect cannot say are source ports: what is expected is worked out without them.
    let list = clouds::abstract_rules();
    assert_eq!(cloud.gates()[0].rules.len(), list.len());
    let mut wrong = 0;
    for packet in &packets {
        let expected = clouds::by_priority(&list, packet, |number| number);
        let verdict = clouds::asked(&cloud, packet);
        wrong += usize::from(verdict.allowed() != expected || verdict.denied() == expected);
    }
    assert_eq!(wrong, 0, "of {}", packets.len());
}
