//! A cluster of a thousand workloads and two hundred policies: every connection is found, and none is made up.

#![allow(clippy::expect_used)]

use netwhy_policy::kube::{Kube, Options};
use std::collections::BTreeSet;
use std::fmt::Write;

const NAMESPACES: usize = 50;
const WORKLOADS: usize = 20;

/// In every namespace: all are isolated; members of it reach its even workloads on 8080; one monitor reaches all on
/// the port they call `metrics`; and the first workload is open to one network.
fn cluster() -> String {
    let mut text = String::new();
    for namespace in 0..NAMESPACES {
        let _ = writeln!(text, "apiVersion: v1\nkind: Namespace\nmetadata: {{name: ns{namespace}}}\n---");
        for workload in 0..WORKLOADS {
            let parity = if workload % 2 == 0 { "even" } else { "odd" };
            let port = 9000 + workload % 3;
            let _ = writeln!(
                text,
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: w{workload}, namespace: ns{namespace}}}\nspec:\n  template:\n    \
                 metadata: {{labels: {{app: w{workload}, parity: {parity}}}}}\n    spec: {{containers: [{{name: c, ports: \
                 [{{name: metrics, containerPort: {port}}}]}}]}}\n---"
            );
        }
        let policy = |name: &str, spec: &str| {
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: ns{namespace}}}\nspec: {spec}\n---\n"
            )
        };
        text += &policy("deny", "{podSelector: {}, policyTypes: [Ingress]}");
        text += &policy(
            "even",
            "{podSelector: {matchLabels: {parity: even}}, ingress: [{from: [{podSelector: {}}], ports: [{port: 8080}]}]}",
        );
        text += &policy(
            "metrics",
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ns0}}, \
             podSelector: {matchLabels: {app: w0}}}], ports: [{port: metrics}]}]}",
        );
        text += &policy(
            "office",
            "{podSelector: {matchLabels: {app: w0}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 443}]}]}",
        );
    }
    text
}

#[test]
fn a_thousand_workloads_and_two_hundred_policies_are_told_pair_by_pair() {
    let text = cluster();
    let kube = Kube::read(&[("cluster.yaml".into(), text.as_str())], Options::default());
    let connections = kube.connections();
    let inside: Vec<_> =
        connections.iter().filter(|one| one.from.starts_with("ns") && one.to.starts_with("ns")).collect();
    let all = NAMESPACES * WORKLOADS;
    // To the ten even ones from the nineteen others of their namespace, and from the monitor to all but itself.
    let monitored: BTreeSet<(&str, &str)> = inside
        .iter()
        .filter(|one| one.ports.contains("900"))
        .map(|one| (one.from.as_str(), one.to.as_str()))
        .collect();
    assert_eq!(monitored.len(), all - 1);
    assert!(monitored.iter().all(|(from, _)| *from == "ns0/w0[Deployment]"));
    let served = inside.iter().filter(|one| one.ports.contains("8080")).count();
    assert_eq!(served, NAMESPACES * (WORKLOADS / 2) * (WORKLOADS - 1));
    let port_of = |to: &str| connections.iter().find(|one| one.from == "ns0/w0[Deployment]" && one.to == to);
    assert_eq!(port_of("ns7/w4[Deployment]").expect("it").ports, "TCP 9001");
    assert_eq!(port_of("ns0/w4[Deployment]").expect("it").ports, "TCP 8080,9001");
    // Everybody may go out; one network of the three parts of the world comes in to one workload of each namespace.
    let out = connections.iter().filter(|one| one.to.ends_with("[External]")).count();
    assert_eq!(out, all);
    let office: Vec<_> = connections.iter().filter(|one| one.from.starts_with("192.0.2.0-")).collect();
    assert_eq!(office.len(), NAMESPACES);
    assert!(office.iter().all(|one| one.ports == "TCP 443"));
    assert_eq!(connections.len(), monitored.len() + served + out + office.len() - 9);
}

#[test]
fn its_faults_are_told_as_well() {
    let text = cluster();
    let kube = Kube::read(&[("cluster.yaml".into(), text.as_str())], Options::default());
    let found = kube.faults();
    assert!(found.iter().all(|one| one.kind != "unchecked"), "{:?}", found.first());
    assert!(found.iter().all(|one| one.kind != "unused"), "{:?}", found.first());
}
