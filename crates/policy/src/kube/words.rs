//! Rules of policies in Kubernetes' own words.

use super::policy::{Direction, Peer, Pods, Policy, Port, Rule, Verb, Where};
use crate::read::protocol_name;

/// A direction in both languages.
pub(super) fn direction(direction: Direction) -> (&'static str, &'static str) {
    match direction {
        Direction::Ingress => ("ingress", "入站"),
        Direction::Egress => ("egress", "出站"),
    }
}

/// `NetworkPolicy default/web ingress[0]: allow from pods app=edge of namespace default on TCP 80`.
pub(super) fn rule(policy: &Policy, rule: &Rule, direction: Direction) -> String {
    let verb = match rule.verb {
        Verb::Allow => "allow",
        Verb::Deny => "deny",
        Verb::Pass => "pass",
    };
    let name = if rule.name.is_empty() { String::new() } else { format!(" {}", rule.name) };
    let joined = |words: Vec<String>, between: &str| words.join(between);
    let peers = rule
        .peers
        .as_ref()
        .map_or("everyone".to_owned(), |peers| joined(peers.iter().map(peer).collect(), " or "));
    let ports = rule
        .ports
        .as_ref()
        .map_or("every port".to_owned(), |ports| joined(ports.iter().map(port).collect(), ", "));
    let ends = if direction == Direction::Ingress { "from" } else { "to" };
    format!(
        "{} {}[{}]{name}: {verb} {ends} {peers} on {ports}",
        policy.title(),
        direction.word(),
        rule.number
    )
}

fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Pods(Pods { namespaces: Where::Own(namespace), pods, .. }) => {
            format!("pods {pods} of namespace {namespace}")
        }
        Peer::Pods(Pods { namespaces: Where::Labelled(selector), pods, .. }) => {
            format!("pods {pods} of namespaces {selector}")
        }
        Peer::Block { text, .. } => text.clone(),
        Peer::Network(span) => span.to_string(),
        Peer::Nodes(selector) => format!("nodes {selector}"),
    }
}

fn port(port: &Port) -> String {
    let name = |protocol: &u8| protocol_name(*protocol).to_uppercase();
    match port {
        Port::All(protocol) => name(protocol),
        Port::Numbers(protocol, first, last) if first == last => format!("{} {first}", name(protocol)),
        Port::Numbers(protocol, first, last) => format!("{} {first}-{last}", name(protocol)),
        Port::Named(Some(protocol), port) => format!("{} {port}", name(protocol)),
        Port::Named(None, port) => port.clone(),
    }
}
