//! The smallest change that lets packets through: one more policy, or one more rule where administrators deny.

use super::Kube;
use super::gates::{CONTROLLER, Key};
use super::judge::judge;
use super::pod::{NAMESPACE_LABEL, Pod};
use super::policy::{Direction, Layer, Policy};
use super::selector::Labels;
use crate::estate::Fix;
use crate::gate::{Action, Gate};
use crate::place::both;
use crate::read::{Span, merge, merge_ports, protocol_name};
use crate::space::Cube;
use std::fmt::Write;

/// Labels that controllers give, and that the next version will not have.
const PASSING_LABELS: [&str; 7] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
];
/// How many prefixes one rule lists before it says "everywhere".
const PREFIX_COUNT_MAX: usize = 16;
const NAME_CHARS_MAX: usize = 60;

/// Whom a new rule is to mean.
enum Peer {
    Pod { namespace: String, labels: Labels, name: String },
    Controller,
    Block(String),
}

/// One protocol and a range of ports; all of them without.
type Ports = (u8, Option<(u16, u16)>);

pub(super) fn allow(kube: &Kube, gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
    let Some(key) = kube.key_of(gate) else { return source_ranges(gate, packets) };
    let Some(pod) = kube.pods.get(key.pod) else { return Vec::new() };
    let (peers, ports) = (peers(kube, &key, packets), ports(packets));
    let denying = denying(gate, packets);
    let selecting = kube.selecting(&key);
    let admin = selecting.iter().map(|(policy, _)| *policy).find(|policy| {
        policy.layer != Layer::Network && denying.is_some_and(|rule| *rule.part_of == policy.title())
    });
    match (admin, denying) {
        (Some(policy), Some(rule)) => vec![patch(policy, rule.number, key.direction, &peers, &ports)],
        _ => {
            let network = selecting.iter().find(|(policy, _)| policy.networks.is_some());
            let new =
                New { pod, direction: key.direction, peers, ports, of: network.map(|(policy, _)| *policy) };
            new.fixes()
        }
    }
}

/// The rule that denies the first of these packets; none when the default does.
fn denying<'a>(gate: &'a Gate, packets: &[Cube]) -> Option<&'a crate::gate::Rule> {
    let denied = judge(gate, packets).denied;
    let first = denied.first()?;
    gate.rules
        .iter()
        .find(|rule| rule.action != Action::Allow && rule.cubes.iter().any(|cube| cube.meets(first)))
}

fn peers(kube: &Kube, key: &Key, packets: &[Cube]) -> Vec<Peer> {
    let span = |cube: &Cube| {
        let (first, last) = if key.direction == Direction::Ingress { cube.source } else { cube.destination };
        Span { family: cube.family, first, last }
    };
    let mut left = merge(&packets.iter().map(span).collect::<Vec<_>>());
    let mut peers = Vec::new();
    for (at, pod) in kube.pods.iter().enumerate() {
        let own = kube.spans(at, &key.network, key.blocks);
        if own
            .iter()
            .any(|one| left.iter().any(|span| span == one || span.contains(one) && span.first == span.last))
        {
            left.retain(|span| !own.contains(span));
            let labels = lasting(pod);
            peers.push(Peer::Pod { namespace: pod.namespace.clone(), labels, name: pod.name.clone() });
        }
    }
    if left.contains(&CONTROLLER) {
        left.retain(|span| *span != CONTROLLER);
        peers.push(Peer::Controller);
    }
    let prefixes: Vec<Span> = left.iter().flat_map(Span::prefixes).collect();
    if prefixes.len() > PREFIX_COUNT_MAX {
        peers.push(Peer::Block("0.0.0.0/0".to_owned()));
    } else {
        peers.extend(prefixes.iter().map(|prefix| Peer::Block(prefix.to_string())));
    }
    peers
}

fn ports(packets: &[Cube]) -> Vec<Ports> {
    let mut ports: Vec<Ports> = Vec::new();
    for protocol in [6, 17, 132] {
        let own =
            packets.iter().filter(|cube| cube.protocols.has(protocol)).map(|cube| cube.destination_ports);
        for (first, last) in merge_ports(&own.collect::<Vec<_>>()) {
            let all = first <= 1 && last == u16::MAX;
            ports.push((protocol, (!all).then_some((first, last))));
        }
    }
    ports
}

fn lasting(pod: &Pod) -> Labels {
    let mut labels = pod.variants.first().cloned().unwrap_or_default();
    labels.retain(|key, _| !PASSING_LABELS.contains(&key.as_str()));
    labels
}

/// A new NetworkPolicy for one pod: it is isolated already, so this takes nothing from it.
struct New<'a> {
    pod: &'a Pod,
    direction: Direction,
    peers: Vec<Peer>,
    ports: Vec<Ports>,
    /// A MultiNetworkPolicy that isolates it, whose kind and networks the new one must have.
    of: Option<&'a Policy>,
}

impl New<'_> {
    fn fixes(&self) -> Vec<Fix> {
        let (word, pod) = (self.direction.word(), &self.pod.id);
        let what = || {
            both(
                format!(
                    "one more policy that allows this {word} of {pod}; it isolates nothing that is not isolated already"
                ),
                format!("再加一条策略，放行 {pod} 的这部分流量；不会额外隔离任何东西"),
            )
        };
        let manifest = Fix { syntax: "kubectl", what: what(), change: self.yaml() };
        let terraform = Fix { syntax: "terraform", what: what(), change: self.terraform() };
        if self.of.is_some() { vec![manifest] } else { vec![manifest, terraform] }
    }

    fn name(&self) -> String {
        let other = match self.peers.first() {
            Some(Peer::Pod { name, .. }) => name.clone(),
            Some(Peer::Controller) => "ingress-controller".to_owned(),
            Some(Peer::Block(block)) => block.clone(),
            None => "all".to_owned(),
        };
        let port = self
            .ports
            .first()
            .and_then(|(_, ports)| *ports)
            .map_or(String::new(), |(first, _)| format!("-{first}"));
        let words = if self.direction == Direction::Ingress { "from" } else { "to" };
        let name = format!("allow-{}-{words}-{other}{port}", self.pod.name).to_lowercase();
        let clean = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        name.chars().take(NAME_CHARS_MAX).map(clean).collect::<String>().trim_end_matches('-').to_owned()
    }

    fn yaml(&self) -> String {
        let (version, kind) = match self.of {
            Some(_) => ("k8s.cni.cncf.io/v1beta1", "MultiNetworkPolicy"),
            None => ("networking.k8s.io/v1", "NetworkPolicy"),
        };
        let mut text = format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {}\n  namespace: {}\n",
            self.name(),
            quoted(&self.pod.namespace)
        );
        if let Some(networks) = self.of.and_then(|policy| policy.networks.as_ref()) {
            let list: Vec<String> =
                networks.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect();
            let _ = writeln!(
                text,
                "  annotations:\n    k8s.v1.cni.cncf.io/policy-for: {}",
                quoted(&list.join(","))
            );
        }
        let (word, ends) = self.words();
        let _ = writeln!(text, "spec:\n  podSelector:\n{}", selector(&lasting(self.pod), 4));
        let _ = writeln!(text, "  policyTypes: [{}]\n  {}:", capital(word), word);
        let mut lines = Vec::new();
        for (at, peer) in self.peers.iter().enumerate() {
            if at == 0 {
                lines.push(format!("{ends}:"));
            }
            lines.extend(peer_lines(peer, &self.pod.namespace));
        }
        if !self.ports.is_empty() {
            lines.push("ports:".to_owned());
            lines.extend(self.ports.iter().map(port_line));
        }
        for (at, line) in lines.iter().enumerate() {
            let _ = writeln!(text, "  {} {line}", if at == 0 { "-" } else { " " });
        }
        text
    }

    fn words(&self) -> (&'static str, &'static str) {
        (self.direction.word(), if self.direction == Direction::Ingress { "from" } else { "to" })
    }

    fn terraform(&self) -> String {
        let (word, ends) = self.words();
        let name = self.name();
        let mut text = format!("resource \"kubernetes_network_policy\" \"{}\" {{\n", name.replace('-', "_"));
        let _ = writeln!(
            text,
            "  metadata {{\n    name      = {}\n    namespace = {}\n  }}",
            hcl(&name),
            hcl(&self.pod.namespace)
        );
        let _ =
            writeln!(text, "  spec {{\n    pod_selector {{\n{}    }}", match_labels(&lasting(self.pod), 6));
        let _ = writeln!(text, "    policy_types = [{}]\n    {word} {{", hcl(&capital(word)));
        for peer in &self.peers {
            let _ = write!(text, "      {ends} {{\n{}      }}\n", peer_blocks(peer, &self.pod.namespace));
        }
        for (protocol, ports) in &self.ports {
            let _ = writeln!(text, "      ports {{\n        protocol = {}", hcl(&upper(*protocol)));
            if let Some((first, last)) = ports {
                let _ = writeln!(text, "        port     = {first}");
                if first != last {
                    let _ = writeln!(text, "        end_port = {last}");
                }
            }
            text.push_str("      }\n");
        }
        text.push_str("    }\n  }\n}\n");
        text
    }
}

fn upper(protocol: u8) -> String {
    protocol_name(protocol).to_uppercase()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// A text that both YAML and JSON read as this text.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text of HCL, in which `${` and `%{` begin an expression.
fn hcl(text: &str) -> String {
    quoted(text).replace("${", "$${").replace("%{", "%%{")
}

fn selector(labels: &Labels, indent: usize) -> String {
    let space = " ".repeat(indent);
    if labels.is_empty() {
        return format!("{space}matchLabels: {{}}");
    }
    let lines = labels.iter().map(|(key, value)| format!("\n{space}  {}: {}", quoted(key), quoted(value)));
    format!("{space}matchLabels:{}", lines.collect::<String>())
}

fn inline(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(key, value)| format!("{}: {}", quoted(key), quoted(value))).collect();
    format!("{{matchLabels: {{{}}}}}", pairs.join(", "))
}

fn namespace_labels(namespace: &str) -> Labels {
    [(NAMESPACE_LABEL.to_owned(), namespace.to_owned())].into()
}

/// The namespace of the ingress controller is a guess that the reader has to check.
const CONTROLLER_NAMESPACE: &str = "ingress-nginx";

fn peer_lines(peer: &Peer, own: &str) -> Vec<String> {
    match peer {
        Peer::Block(block) => vec![format!("  - ipBlock: {{cidr: {}}}", quoted(block))],
        Peer::Controller => vec![format!(
            "  - namespaceSelector: {} # where the ingress controller runs",
            inline(&namespace_labels(CONTROLLER_NAMESPACE))
        )],
        Peer::Pod { namespace, labels, .. } if namespace == own => {
            vec![format!("  - podSelector: {}", inline(labels))]
        }
        Peer::Pod { namespace, labels, .. } => vec![
            format!("  - namespaceSelector: {}", inline(&namespace_labels(namespace))),
            format!("    podSelector: {}", inline(labels)),
        ],
    }
}

fn port_line((protocol, ports): &Ports) -> String {
    let protocol = upper(*protocol);
    match ports {
        None => format!("  - {{protocol: {protocol}}}"),
        Some((first, last)) if first == last => format!("  - {{protocol: {protocol}, port: {first}}}"),
        Some((first, last)) => format!("  - {{protocol: {protocol}, port: {first}, endPort: {last}}}"),
    }
}

fn match_labels(labels: &Labels, indent: usize) -> String {
    let space = " ".repeat(indent);
    if labels.is_empty() {
        return String::new();
    }
    let lines = labels.iter().map(|(key, value)| format!("{space}  {} = {}\n", hcl(key), hcl(value)));
    format!("{space}match_labels = {{\n{}{space}}}\n", lines.collect::<String>())
}

fn peer_blocks(peer: &Peer, own: &str) -> String {
    let block =
        |name: &str, labels: &Labels| format!("        {name} {{\n{}        }}\n", match_labels(labels, 10));
    match peer {
        Peer::Block(cidr) => format!("        ip_block {{\n          cidr = {}\n        }}\n", hcl(cidr)),
        Peer::Controller => block("namespace_selector", &namespace_labels(CONTROLLER_NAMESPACE)),
        Peer::Pod { namespace, labels, .. } if namespace == own => block("pod_selector", labels),
        Peer::Pod { namespace, labels, .. } => {
            block("namespace_selector", &namespace_labels(namespace)) + &block("pod_selector", labels)
        }
    }
}

/// A rule before the one that denies, in an administrator's policy.
fn patch(policy: &Policy, before: u32, direction: Direction, peers: &[Peer], ports: &[Ports]) -> Fix {
    let peer = |peer: &Peer| match peer {
        Peer::Block(block) => serde_json::json!({ "networks": [block] }),
        Peer::Controller => {
            serde_json::json!({ "namespaces": { "matchLabels": namespace_labels(CONTROLLER_NAMESPACE) } })
        }
        Peer::Pod { namespace, labels, .. } => serde_json::json!({ "pods": {
            "namespaceSelector": { "matchLabels": namespace_labels(namespace) },
            "podSelector": { "matchLabels": labels },
        } }),
    };
    let port = |(protocol, ports): &Ports| {
        let (first, last) = ports.unwrap_or((1, u16::MAX));
        if first == last {
            return serde_json::json!({ "portNumber": { "protocol": upper(*protocol), "port": first } });
        }
        serde_json::json!({ "portRange": { "protocol": upper(*protocol), "start": first, "end": last } })
    };
    let ends = if direction == Direction::Ingress { "from" } else { "to" };
    let mut value =
        serde_json::json!({ "action": "Allow", ends: peers.iter().map(peer).collect::<Vec<_>>() });
    if let (Some(members), false) = (value.as_object_mut(), ports.is_empty()) {
        members.insert("ports".to_owned(), ports.iter().map(port).collect());
    }
    let path = format!("/spec/{}/{before}", direction.word());
    let change = serde_json::json!([{ "op": "add", "path": path, "value": value }]);
    let kind = policy.kind.to_lowercase();
    Fix {
        syntax: "kubectl",
        what: both(
            format!(
                "a rule before the one of {} that denies: no NetworkPolicy can overrule it",
                policy.title()
            ),
            format!("在 {} 的拒绝规则之前加一条规则：NetworkPolicy 无法推翻它", policy.title()),
        ),
        change: format!(
            "kubectl patch {kind} {} --type=json -p '{}'",
            policy.name,
            change.to_string().replace('\'', r"'\''")
        ),
    }
}

fn source_ranges(gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
    let Some(path) = gate.name.strip_prefix("loadBalancerSourceRanges of Service ") else {
        return Vec::new();
    };
    let (namespace, name) = path.split_once('/').unwrap_or(("default", path));
    let span = |cube: &Cube| Span { family: cube.family, first: cube.source.0, last: cube.source.1 };
    let sources = merge(&packets.iter().map(span).collect::<Vec<_>>());
    let prefixes = sources.iter().flat_map(Span::prefixes).take(PREFIX_COUNT_MAX);
    let add = |prefix: Span| serde_json::json!({ "op": "add", "path": "/spec/loadBalancerSourceRanges/-", "value": prefix.to_string() });
    let change = serde_json::Value::from(prefixes.map(add).collect::<Vec<_>>());
    vec![Fix {
        syntax: "kubectl",
        what: both(
            format!("add the source to the ranges of Service {path}"),
            format!("把来源加入 Service {path} 的范围"),
        ),
        change: format!("kubectl -n {namespace} patch service {name} --type=json -p '{change}'"),
    }]
}
