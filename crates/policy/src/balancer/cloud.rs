//! What the readers of cloud balancers share: looking through documents, and numbers of checks.

use super::{Check, Health, Member};
use crate::doc::{Node, Value};
use crate::place::Place;

/// Every map in the documents, the outer before the inner; the depth is that of the documents, which is limited.
pub fn maps(documents: &[Node]) -> Vec<&Node> {
    let mut found = Vec::new();
    let mut open: Vec<&Node> = documents.iter().rev().collect();
    while let Some(node) = open.pop() {
        match &node.value {
            Value::Map(members) => {
                found.push(node);
                open.extend(members.iter().rev().map(|(_, member)| member));
            }
            Value::List(nodes) => open.extend(nodes.iter().rev()),
            _ => {}
        }
    }
    found
}

/// Words by which documents of load balancers are known.
const CLAIMING_KEYS: [&str; 16] = [
    "LoadBalancerDescriptions",
    "InstanceStates",
    "LoadBalancers",
    "Listeners",
    "TargetGroups",
    "TargetHealthDescriptions",
    "RuleArn",
    "ServerGroups",
    "HealthCheckTemplates",
    "ListenerPort",
    "BackendServers",
    "VServerGroupId",
    "checkIntervalSec",
    "healthChecks",
    "healthStatus",
    "portRange",
];
/// What its `kind` begins with for Google's parts of a load balancer.
const CLAIMING_KINDS: [&str; 6] =
    ["backendService", "targetPool", "forwardingRule", "urlMap", "target", "healthCheck"];

/// Whether a document has anything of a cloud load balancer, or the subnets one stands in.
pub fn claims(document: &Node) -> bool {
    maps(std::slice::from_ref(document)).into_iter().any(|map| {
        let kind = map.word("kind").and_then(|kind| kind.strip_prefix("compute#"));
        let google = kind.is_some_and(|kind| CLAIMING_KINDS.iter().any(|word| kind.starts_with(word)));
        google || CLAIMING_KEYS.iter().any(|key| map.get(key).is_some()) || map.get("Subnets").is_some()
    })
}

/// The elements of every list that stands under a key, at any depth.
pub fn each<'a>(maps: &[&'a Node], key: &'a str) -> Vec<&'a Node> {
    maps.iter().flat_map(|map| map.each(key)).collect()
}

/// The text under the first of the keys that has one.
pub fn first<'a>(node: &'a Node, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| node.word(key)).filter(|text| !text.is_empty())
}

pub fn port(node: &Node, key: &str) -> Option<u16> {
    node.get(key)?.integer().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

pub fn number(node: &Node, keys: &[&str]) -> Option<u32> {
    keys.iter().find_map(|key| node.get(key)?.integer()).and_then(|number| u32::try_from(number).ok())
}

/// Interval, timeout, rise and fall under their owner's names; each has a list of them.
pub fn timing(health: &mut Health, node: &Node, keys: [&[&str]; 4]) {
    let [interval, timeout, rise, fall] = keys.map(|keys| number(node, keys));
    health.interval_s = interval.map(f64::from);
    health.timeout_s = timeout.map(f64::from);
    health.timeout_written = timeout.is_some();
    (health.rise, health.fall) = (rise, fall);
    health.defaults = interval.is_none() && rise.is_none() && fall.is_none();
}

pub fn unchecked(place: &Place) -> Health {
    Health::new(Check::None, place)
}

/// A member with nothing but its address and port.
pub fn member(address: &str, port: Option<u16>, place: &Place) -> Member {
    Member {
        address: address.to_owned(),
        port,
        weight: 1,
        backup: false,
        down: None,
        health: None,
        place: place.clone(),
    }
}

/// The last part of a URL or path.
pub fn last(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}
