//! Zero-trust policies under the names of several products, asked as gates.
#![allow(clippy::expect_used, reason = "helpers of tests may fail loudly")]

use netwhy_policy::doc::{Node, json};
use netwhy_policy::estate::{Ask, End, Estate, Look};
use netwhy_policy::gate::{Action, Gate};
use netwhy_policy::list::{Decided, List};
use netwhy_policy::read::Span;
use netwhy_policy::space::{Cube, Protocols};
use netwhy_policy::zero_trust::{Facts, ZeroTrust, resembles, zero_trust};
use proptest::prelude::*;

fn documents(text: &str) -> Vec<Node> {
    let read = json(&"policy.json".into(), text);
    assert!(read.unread.is_empty(), "{:?}", read.unread);
    read.documents
}

fn policy(text: &str, facts: &[&str]) -> ZeroTrust {
    zero_trust(&documents(text), &Facts::parse(facts.iter().copied()))
}

fn asked(gate: &Gate, from: &str, to: &str, port: u16) -> &'static str {
    let (from, to) = (Span::read(from).expect("from"), Span::read(to).expect("to"));
    let cube = Cube::all(from.family).source(from.first, from.last).destination(to.first, to.last);
    let cube = cube.protocols(Protocols::TCP).destination_ports(port..=port).opening();
    let parts = List::new(gate).decide(&cube).expect("few parts");
    let word = |decided: &Decided| match decided {
        Decided::Rule(_, Action::Allow) | Decided::Default(Action::Allow) => "allowed",
        Decided::Rule(..) | Decided::Default(_) => "denied",
        Decided::Depends { .. } => "depends",
    };
    let mut words: Vec<&str> = parts.iter().map(|part| word(&part.decided)).collect();
    words.dedup();
    if let [word] = words.as_slice() { word } else { "mixed" }
}

const OWN: &str = r#"{"schema": "netwhy.zero-trust/1", "name": "corp", "default": "deny",
 "networks": {"office": ["192.0.2.0/24"]}, "hosts": {"db": "10.1.0.5", "web": ["10.2.0.1", "10.2.0.2"]},
 "groups": {"staff": ["alice@x.example", "@corp.example"]},
 "rules": [
  {"name": "guests never", "action": "deny", "from": ["192.0.2.128/25"], "to": "db"},
  {"name": "office web", "action": "allow", "from": ["office"], "to": ["web:443", "web:8000-8010"], "protocols": ["tcp"]},
  {"name": "staff db", "action": "allow", "from": ["group:staff"], "to": "db", "ports": [5432], "when": {"mfa": true, "device": {"managed": true}}},
  {"name": "off", "enabled": false, "from": ["any"], "to": ["any"]},
  {"name": "hours", "action": "allow", "from": ["office"], "to": "db", "ports": [22], "when": {"time": "09:00-18:00"}}]}"#;

#[test]
fn networks_are_exact_and_other_conditions_depend_until_they_are_known() {
    let gate = &policy(OWN, &[]).gates()[0];
    assert_eq!(asked(gate, "192.0.2.1", "10.2.0.1", 443), "allowed");
    assert_eq!(asked(gate, "192.0.2.1", "10.2.0.1", 444), "denied");
    assert_eq!(asked(gate, "198.51.100.1", "10.2.0.1", 443), "denied");
    assert_eq!(asked(gate, "198.51.100.1", "10.1.0.5", 5432), "depends");
    assert_eq!(asked(gate, "192.0.2.200", "10.1.0.5", 5432), "denied");
    assert_eq!(asked(gate, "192.0.2.0/24", "10.2.0.2", 8005), "allowed");
    let verdict = |facts: &[&str]| asked(&policy(OWN, facts).gates()[0], "198.51.100.1", "10.1.0.5", 5432);
    assert_eq!(verdict(&["identity=alice@x.example"]), "depends");
    assert_eq!(verdict(&["identity=alice@x.example", "mfa=true", "device.managed=true"]), "allowed");
    assert_eq!(verdict(&["identity=Bob@corp.example", "mfa=true", "device.managed=true"]), "allowed");
    assert_eq!(verdict(&["identity=eve@y.example", "mfa=true", "device.managed=true"]), "denied");
    assert_eq!(verdict(&["mfa=false"]), "denied");
    let at = |time: &str| asked(&policy(OWN, &[time]).gates()[0], "192.0.2.1", "10.1.0.5", 22);
    assert_eq!((at("time=10:00"), at("time=18:00"), at("x=y")), ("allowed", "denied", "depends"));
}

#[test]
fn the_way_stands_before_the_destinations_it_names_and_the_fix_is_a_rule() {
    let policy = policy(OWN, &[]);
    let ask = |to: &str| Ask {
        from: End::Addresses(
            "198.51.100.1".parse().expect("address"),
            "198.51.100.1".parse().expect("address"),
        ),
        to: End::Known(to.to_owned()),
        protocol: 6,
        port: Some(443),
        request: None,
    };
    let steps = policy.way(&ask("web"));
    let Look::Gate { gate, packets } = &steps[0].look else { panic!("{steps:?}") };
    assert_eq!(packets.len(), 1);
    let fix = policy.allow(gate, packets);
    assert!(
        fix[0].change.contains("\"198.51.100.1/32\"") && fix[0].change.contains("443"),
        "{}",
        fix[0].change
    );
    let mended = format!("{{\"rules\": {}}}", fix[0].change);
    let mended = zero_trust(&documents(&mended), &Facts::default());
    assert_eq!(asked(&mended.gates()[0], "198.51.100.1", "10.2.0.1", 443), "allowed");
    assert!(policy.way(&ask("elsewhere")).is_empty());
}

#[test]
fn applications_and_policies_of_cloudflare_access_are_understood() {
    let text = r#"{"apps": [{"name": "wiki", "domain": "wiki.x.example", "addresses": ["10.9.0.1"], "policies": [
  {"name": "block", "decision": "deny", "precedence": 1, "include": [{"everyone": {}}], "exclude": [{"ip": {"ip": "192.0.2.0/24"}}]},
  {"name": "staff", "decision": "allow", "precedence": 2, "include": [{"email_domain": {"domain": "x.example"}}, {"ip": {"ip": "192.0.2.7/32"}}],
   "require": [{"geo": {"country_code": "DE"}}]},
  {"name": "monitor", "decision": "bypass", "precedence": 3, "include": [{"ip": {"ip": "203.0.113.0/24"}}]}]}]}"#;
    let gate = |facts: &[&str]| policy(text, facts).gates().remove(0);
    assert!(resembles(&documents(text)[0]));
    assert_eq!(asked(&gate(&[]), "203.0.113.9", "10.9.0.1", 443), "allowed");
    assert_eq!(asked(&gate(&[]), "198.51.100.1", "10.9.0.1", 443), "denied");
    assert_eq!(asked(&gate(&[]), "192.0.2.7", "10.9.0.1", 443), "depends");
    assert_eq!(asked(&gate(&["country=de"]), "192.0.2.7", "10.9.0.1", 443), "allowed");
    assert_eq!(asked(&gate(&["country=de", "email=a@x.example"]), "192.0.2.8", "10.9.0.1", 443), "allowed");
    assert_eq!(asked(&gate(&["country=fr", "email=a@x.example"]), "192.0.2.8", "10.9.0.1", 443), "denied");
}

#[test]
fn access_levels_and_bindings_of_google_are_understood() {
    let text = r#"{"accessLevels": [
  {"name": "accessPolicies/1/accessLevels/corp", "basic": {"combiningFunction": "AND", "conditions": [{"ipSubnetworks": ["192.0.2.0/24"], "requiredAccessLevels": ["accessPolicies/1/accessLevels/good"]}]}},
  {"name": "accessPolicies/1/accessLevels/good", "basic": {"conditions": [{"devicePolicy": {"requireScreenlock": true}}]}},
  {"name": "accessPolicies/1/accessLevels/a", "basic": {"conditions": [{"requiredAccessLevels": ["b", "b"]}]}},
  {"name": "accessPolicies/1/accessLevels/b", "basic": {"conditions": [{"requiredAccessLevels": ["a", "a"]}]}}],
 "bindings": [{"role": "roles/iap.httpsResourceAccessor", "members": ["user:a@x.example", "group:g@x.example"],
  "condition": {"title": "corp", "expression": "\"accessPolicies/1/accessLevels/corp\" in request.auth.access_levels"}}]}"#;
    let gate = |facts: &[&str]| policy(text, facts).gates().remove(0);
    assert!(!policy(text, &[]).unread().is_empty(), "the cycle is said");
    assert_eq!(asked(&gate(&[]), "198.51.100.1", "10.0.0.1", 443), "denied");
    assert_eq!(asked(&gate(&[]), "192.0.2.1", "10.0.0.1", 443), "depends");
    let known = ["identity=a@x.example", "device.require_screenlock=true"];
    assert_eq!(asked(&gate(&known), "192.0.2.1", "10.0.0.1", 443), "allowed");
}

#[test]
fn the_most_specific_rule_wins_where_the_policy_says_so_and_unknown_words_depend() {
    let text = r#"{"match": "most-specific", "rules": [
  {"name": "wide", "action": "deny", "from": ["any"], "to": ["10.0.0.0/8"]},
  {"name": "narrow", "action": "allow", "from": ["192.0.2.0/24"], "to": ["10.1.0.0/16"]},
  {"name": "odd", "action": "quarantine", "from": ["192.0.2.0/24"], "to": ["10.2.0.0/16"]},
  {"name": "named", "action": "allow", "from": ["192.0.2.0/24"], "to": ["shop.example:443"]}]}"#;
    let gate = &policy(text, &[]).gates()[0];
    assert_eq!(asked(gate, "192.0.2.1", "10.1.0.1", 443), "allowed");
    assert_eq!(asked(gate, "192.0.3.1", "10.1.0.1", 443), "denied");
    assert_eq!(asked(gate, "192.0.2.1", "10.2.0.1", 443), "depends");
    assert_eq!(asked(gate, "192.0.2.1", "172.16.0.1", 443), "depends");
    assert_eq!(asked(gate, "192.0.2.1", "172.16.0.1", 80), "denied");
}

/// Something like a policy: keys and values that readers know, put together at random.
fn value(depth: u32) -> BoxedStrategy<String> {
    let word = prop_oneof![
        Just("\"any\""),
        Just("\"10.0.0.0/8\""),
        Just("\"a@x\""),
        Just("\"group:g\""),
        Just("\"web:443\""),
        Just("true"),
        Just("443"),
        Just("\"1-0\""),
        Just("null"),
        Just("\"accessLevels/a\""),
        Just("[]"),
        Just("{}"),
    ];
    let key = prop_oneof![
        Just("rules"),
        Just("from"),
        Just("to"),
        Just("include"),
        Just("exclude"),
        Just("when"),
        Just("ip"),
        Just("ports"),
        Just("apps"),
        Just("policies"),
        Just("accessLevels"),
        Just("name"),
        Just("basic"),
        Just("conditions"),
        Just("requiredAccessLevels"),
        Just("device"),
        Just("action"),
        Just("not"),
        Just("hosts"),
        Just("groups"),
    ];
    let leaf = word.prop_map(str::to_owned).boxed();
    leaf.prop_recursive(depth, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            proptest::collection::vec((key.clone(), inner), 0..5).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
    .boxed()
}

proptest! {
    #[test]
    fn no_document_makes_the_reader_fail(text in value(5)) {
        for document in documents(&text) {
            resembles(&document);
            let policy = zero_trust(&[document], &Facts::parse(["identity=a@x"]));
            for gate in policy.gates() {
                List::new(&gate);
            }
        }
    }
}
