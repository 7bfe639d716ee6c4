//! Policies: those that do nothing, and those that cut off what every pod needs.

use super::finding;
use crate::finding::{Finding, Level};
use crate::gate::Gate;
use crate::kube::Kube;
use crate::kube::ends::beyond;
use crate::kube::gates::{Blocks, Key};
use crate::kube::judge::{judge, lets_some};
use crate::kube::network::Network;
use crate::kube::pod::Pod;
use crate::kube::policy::{Direction, Layer, Peer, Policy, Where};
use crate::kube::selector::Selects;
use crate::kube::way::{Walk, verdict};
use crate::read::Span;
use crate::space::{Cube, Protocols};
use std::collections::HashMap;
use std::sync::Arc;

/// How many pairs of policies are compared.
const PAIR_COUNT_MAX: usize = 20_000;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The port of DNS, on a service and on the pods of OpenShift's behind it.
const DNS_PORTS: [u16; 2] = [53, 5353];

fn selected<'a>(kube: &'a Kube, policy: &'a Policy) -> impl Iterator<Item = usize> + 'a {
    let chosen = |pod: &Pod| {
        let labels = kube.namespace(&pod.namespace).map(|namespace| &namespace.labels);
        policy.subject.select(&pod.namespace, labels, &pod.variants) != Selects::None
    };
    kube.pods.iter().enumerate().filter(move |(_, pod)| chosen(pod)).map(|(at, _)| at)
}

/// Policies that select no pod.
pub(super) fn idle(kube: &Kube) -> Vec<Finding> {
    let idle = |policy: &&Policy| !kube.pods.is_empty() && selected(kube, policy).next().is_none();
    let told = |policy: &Policy| {
        let en = format!("it selects no pod ({})", policy.subject.pods);
        let zh = format!("它没有选中任何 Pod（{}）", policy.subject.pods);
        finding("unused", Level::Warning, &policy.subject.place, &policy.title(), en, zh)
    };
    kube.policies.iter().filter(idle).map(told).collect()
}

/// Peers that are nobody: a namespaceSelector without a namespace, a podSelector without a pod.
pub(super) fn peers(kube: &Kube) -> Vec<Finding> {
    let mut found = Vec::new();
    if kube.pods.is_empty() {
        return found;
    }
    for policy in &kube.policies {
        let rules = [Direction::Ingress, Direction::Egress]
            .into_iter()
            .filter_map(|direction| policy.rules(direction));
        for (rule, peer) in
            rules.flatten().flat_map(|rule| rule.peers.iter().flatten().map(move |peer| (rule, peer)))
        {
            let Peer::Pods(pods) = peer else { continue };
            let namespaces = kube.namespaces.values();
            let (level, en, zh) = match &pods.namespaces {
                Where::Labelled(selector) if !namespaces.clone().any(|one| selector.matches(&one.labels)) => {
                    (
                        Level::Warning,
                        format!("no namespace has the labels {selector}"),
                        format!("没有命名空间带标签 {selector}"),
                    )
                }
                _ if kube.pods.iter().all(|pod| {
                    let labels = kube.namespace(&pod.namespace).map(|namespace| &namespace.labels);
                    pods.select(&pod.namespace, labels, &pod.variants) == Selects::None
                }) =>
                {
                    (
                        Level::Note,
                        format!("no pod fits podSelector {} here", pods.pods),
                        format!("没有 Pod 符合此处的 podSelector {}", pods.pods),
                    )
                }
                _ => continue,
            };
            let mut one = finding("dangling", level, &pods.place, &policy.title(), en, zh);
            one.rule = Some(rule.number);
            found.push(one);
        }
    }
    found
}

/// Administrators' policies of one priority.
pub(super) fn ties(kube: &Kube) -> Vec<Finding> {
    let admin = |policy: &&Policy| matches!(policy.layer, Layer::Admin(_));
    let policies: Vec<&Policy> = kube.policies.iter().filter(admin).collect();
    let tied = policies.windows(2).filter_map(|pair| match pair {
        [one, other] if one.layer == other.layer => Some((one, other)),
        _ => None,
    });
    let told = |(one, other): (&&Policy, &&Policy)| {
        let en = format!("{} has the same priority: which of them comes first is not defined", one.title());
        let zh = format!("{} 的优先级相同：二者先后未定义", one.title());
        finding("conflict", Level::Warning, &other.place, &other.title(), en, zh)
    };
    tied.map(told).collect()
}

/// Policies that add nothing to another one of the same pods, or of all pods.
pub(super) fn covered(kube: &Kube) -> Vec<Finding> {
    let gates: HashMap<String, Arc<Gate>> =
        kube.policy_gates().into_iter().map(|gate| (gate.name.clone(), gate)).collect();
    let comparable = |policy: &&Policy| policy.layer == Layer::Network && policy.networks.is_none();
    let policies: Vec<&Policy> = kube.policies.iter().filter(comparable).collect();
    let pairs = policies.iter().enumerate().flat_map(|(at, one)| {
        policies
            .iter()
            .enumerate()
            .filter(move |(other_at, _)| *other_at != at)
            .map(move |(other_at, other)| (at > other_at, one, other))
    });
    let mut found = Vec::new();
    for (later, one, other) in pairs.take(PAIR_COUNT_MAX) {
        // A policy without rules is there to isolate, whatever others do.
        let rules = one.ingress.iter().chain(&one.egress).flatten().count();
        if rules == 0 || !selects_no_more(one, other) || !allows_no_more(&gates, one, other) {
            continue;
        }
        // Of two that are the same, the later one is too many.
        let twins = selects_no_more(other, one) && allows_no_more(&gates, other, one);
        if !twins || later {
            let en = format!("{} isolates the same pods and allows all of this: it can go", other.title());
            let zh = format!("{} 已隔离同样的 Pod 并放行其全部内容：可删除", other.title());
            let mut told = finding("redundant", Level::Note, &one.place, &one.title(), en, zh);
            told.by_places.push(other.place.clone());
            found.push(told);
        }
    }
    found
}

fn selects_no_more(one: &Policy, other: &Policy) -> bool {
    let (own, wider) = (&one.subject.pods, &other.subject.pods);
    one.namespace == other.namespace && (wider.is_everything() || own.requirements == wider.requirements)
}

fn allows_no_more(gates: &HashMap<String, Arc<Gate>>, one: &Policy, other: &Policy) -> bool {
    [Direction::Ingress, Direction::Egress].into_iter().all(|direction| {
        let gate = |policy: &Policy| gates.get(&format!("{} of {}", direction.word(), policy.title()));
        match (one.rules(direction), other.rules(direction)) {
            (None, _) | (Some([]), Some(_)) => true,
            (Some(_), None) => false,
            (Some(rules), Some(_)) => {
                let (Some(own), Some(wider)) = (gate(one), gate(other)) else { return false };
                // One after the other: most are settled by the first.
                let lets = |cubes: &[Cube]| {
                    cubes.iter().all(|cube| {
                        let judged = judge(wider, std::slice::from_ref(cube));
                        judged.denied.is_empty() && judged.doubtful.is_empty()
                    })
                };
                // A rule for pods that the files do not have is in no gate, and is not known to be covered.
                own.rules.len() == rules.len() && own.rules.iter().all(|rule| lets(&rule.cubes))
            }
        }
    })
}

/// Policies that keep the ingress controller from pods it is to lead to.
pub(super) fn controllers(kube: &Kube) -> Vec<Finding> {
    let mut found = Vec::new();
    for ingress in &kube.ingresses {
        for (at, port) in kube.reached_by(ingress) {
            let Some(pod) = kube.pods.get(at) else { continue };
            let mut walk = Walk { kube, protocol: TCP, steps: Vec::new() };
            walk.controller_asks(at, &pod.primary, Some(port));
            let (level, en, zh) = match verdict(&walk.steps) {
                Some(true) => continue,
                Some(false) => (Level::Error, "do not let the ingress controller in", "不放行入口控制器"),
                None => (
                    Level::Note,
                    "may not let the ingress controller in: it is not in the files",
                    "可能不放行入口控制器（控制器不在文件中）",
                ),
            };
            let en = format!("the policies of {} on port {port} {en}", pod.id);
            let zh = format!("{} 端口 {port} 的策略{zh}", pod.id);
            found.push(finding("blocked-controller", level, &ingress.place, &ingress.title(), en, zh));
        }
    }
    found
}

/// Probes of the kubelet on ports that policies close: most plugins let a pod's own node in all the same.
pub(super) fn probes(kube: &Kube) -> Vec<Finding> {
    let (mut found, outside) = (Vec::new(), beyond(kube));
    for (at, pod) in kube.pods.iter().enumerate().filter(|(_, pod)| !pod.host_network) {
        for probe in &pod.probes {
            let on = (TCP, probe.port);
            let asked = asked(kube, at, Direction::Ingress, &outside, on);
            if asked.is_none_or(|(gate, packets)| judge(&gate, &packets).denied.is_empty()) {
                continue;
            }
            let en = format!(
                "whether the {} of {} on port {} gets through depends on the network plugin: no policy allows nodes, and most plugins let a pod's own node in all the same",
                probe.what, pod.id, probe.port
            );
            let zh = format!(
                "{} 的 {}（端口 {}）能否通过取决于网络插件：没有策略放行节点，多数插件仍放行 Pod 所在节点",
                pod.id, probe.what, probe.port
            );
            found.push(finding("blocked-probe", Level::Note, &probe.place, &pod.id, en, zh));
        }
    }
    found
}

/// Pods under egress isolation that may not ask for names.
pub(super) fn names(kube: &Kube) -> Vec<Finding> {
    let mut found = Vec::new();
    let servers = name_servers(kube);
    for (at, pod) in kube.pods.iter().enumerate().filter(|(_, pod)| !pod.host_network) {
        let targets: Vec<Span> = match servers.as_slice() {
            [] => Span::anywhere(),
            servers => {
                servers.iter().flat_map(|server| kube.spans(*server, &pod.primary, blocks(kube))).collect()
            }
        };
        let may = |protocol, port| {
            let (gate, packets) = asked(kube, at, Direction::Egress, &targets, (protocol, port))?;
            Some(lets_some(&gate, &packets))
        };
        if !DNS_PORTS.iter().all(|port| may(UDP, *port) == Some(false)) || servers.contains(&at) {
            continue;
        }
        let key =
            Key { pod: at, direction: Direction::Egress, network: pod.primary.clone(), blocks: blocks(kube) };
        let policies: Vec<String> = kube.selecting(&key).iter().map(|(policy, _)| policy.title()).collect();
        let Some(gate) = kube.gate(key) else { continue };
        // Who may reach nothing at all is probably meant to.
        let level = if gate.rules.is_empty() { Level::Note } else { Level::Error };
        let list = policies.join(", ");
        let en = format!(
            "{} may not reach port 53 of any name server: {list} isolate it for egress and none allows DNS",
            pod.id
        );
        let zh = format!("{} 无法访问任何域名服务器的 53 端口：{list} 隔离了其出站流量且未放行 DNS", pod.id);
        found.push(finding("blocked-dns", level, &gate.place, &pod.id, en, zh));
    }
    found
}

fn blocks(kube: &Kube) -> Blocks {
    Blocks::Plugin(kube.options.blocks_match_pods)
}

/// The pods that answer for names.
fn name_servers(kube: &Kube) -> Vec<usize> {
    let is_one = |pod: &Pod| {
        let label = |key: &str, value: &str| {
            pod.variants.iter().any(|labels| labels.get(key).is_some_and(|own| own == value))
        };
        label("k8s-app", "kube-dns")
            || label("k8s-app", "coredns")
            || label("dns.operator.openshift.io/daemonset-dns", "default")
    };
    kube.pods.iter().enumerate().filter(|(_, pod)| is_one(pod)).map(|(at, _)| at).collect()
}

/// The gate of a pod and packets on one port; nothing when no policy speaks of the direction.
fn asked(
    kube: &Kube,
    at: usize,
    direction: Direction,
    others: &[Span],
    on: (u8, u16),
) -> Option<(Arc<Gate>, Vec<Cube>)> {
    let (protocol, port) = on;
    let network: Network = kube.pods.get(at)?.primary.clone();
    let key = Key { pod: at, direction, network, blocks: blocks(kube) };
    if kube.selecting(&key).is_empty() {
        return None;
    }
    let packets = others.iter().map(|other| {
        let cube = Cube::all(other.family)
            .protocols(Protocols::of(&[protocol]))
            .destination_ports(port..=port)
            .opening();
        match direction {
            Direction::Ingress => cube.source(other.first, other.last),
            Direction::Egress => cube.destination(other.first, other.last),
        }
    });
    Some((kube.gate(key)?, packets.collect()))
}
