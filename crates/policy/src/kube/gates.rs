//! From the policies that select a pod to one gate for each direction.
//!
//! Pods stand in a gate by their addresses. Those whose addresses are not in the files get one of the reserved
//! block 240.0.0.0/4, which nothing outside has.

use super::Kube;
use super::network::Network;
use super::pod::{Namespace, Pod};
use super::policy::{Direction, Layer, Peer, Pods, Policy, Port, Rule, Verb};
use super::ranges::{self, EVERYWHERE, Range};
use super::selector::Selects;
use crate::gate::{Action, Gate, Kind, Order};
use crate::place::{Place, both};
use crate::space::{Cube, Family, Protocols, subtract};
use netwhy_model::Text;
use std::sync::Arc;

/// The first address that stands for pods without one.
const STAND_IN_FIRST: u128 = 0xf000_0000;
/// Where an ingress controller stands that is not among the pods.
pub(super) const CONTROLLER: Range = (Family::V4, STAND_IN_FIRST - 1, STAND_IN_FIRST - 1);
/// The namespace such a controller is thought to be in; its labels nobody knows.
const CONTROLLER_NAMESPACE: &str = "ingress-controller-ns";
/// How many cubes the rules of one gate may have.
const CUBE_COUNT_MAX: usize = 200_000;

/// How ranges of addresses and pods go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Blocks {
    /// Never: a pod is known by its labels alone, as the API's text recommends to think of it.
    Apart,
    /// As the network plugin does it.
    Plugin(Option<bool>),
}

/// What a gate is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    direction: Direction,
    network: Network,
    blocks: Blocks,
    /// Those that speak of this direction, by their position.
    policies: Vec<usize>,
    /// The pod, where its own ports or labels matter.
    pod: Option<usize>,
}

/// The addresses of the other end that a rule means, and those it may mean.
#[derive(Default)]
struct Others {
    certain: Vec<Range>,
    doubtful: Vec<(Vec<Range>, Text)>,
}

pub(super) struct Compiler<'a> {
    pub kube: &'a Kube,
    pub network: &'a Network,
    pub blocks: Blocks,
    pub direction: Direction,
    /// All pods in the network.
    pods: Vec<Range>,
}

impl Kube {
    /// The addresses of a pod in a network, as gates see them.
    pub(super) fn ranges_of(&self, pod: usize, network: &Network, blocks: Blocks) -> Vec<Range> {
        let known = self.pods.get(pod).map_or(&[][..], |pod| pod.addresses_in(network));
        // Connections between labels alone must not care for addresses that pods happen to have.
        if known.is_empty() || (blocks == Blocks::Apart && !matches!(network, Network::Secondary { .. })) {
            let number = STAND_IN_FIRST + pod as u128;
            return vec![(Family::V4, number, number)];
        }
        ranges::merge(known.iter().map(|address| ranges::single(*address)).collect())
    }

    /// The policies that select a pod in one direction, with whether all of its pods are.
    pub(super) fn selecting(
        &self,
        at: usize,
        direction: Direction,
        network: &Network,
    ) -> Vec<(usize, Selects)> {
        let Some(pod) = self.pods.get(at) else { return Vec::new() };
        let labels = self.namespace(&pod.namespace).map(|namespace| &namespace.labels);
        let one = |(number, policy): (usize, &Policy)| {
            let speaks = policy.rules(direction).is_some() && self.is_for(policy, network);
            let selects = policy.subject.select(&pod.namespace, labels, &pod.variants);
            (speaks && selects != Selects::None).then_some((number, selects))
        };
        self.policies.iter().enumerate().filter_map(one).collect()
    }

    fn is_for(&self, policy: &Policy, network: &Network) -> bool {
        match (&policy.networks, network) {
            (None, Network::Secondary { .. })
            | (Some(_), Network::Pod | Network::Udn { .. } | Network::Cudn { .. }) => false,
            (None, _) => true,
            (Some(targets), Network::Secondary { name }) => targets
                .iter()
                .any(|(namespace, target)| target == name && self.networks.has(namespace, target)),
        }
    }

    /// The gate of a pod in one direction; `None` when no policy speaks of it.
    pub(super) fn gate(
        &self,
        at: usize,
        direction: Direction,
        network: &Network,
        blocks: Blocks,
    ) -> Option<Arc<Gate>> {
        let pod = self.pods.get(at)?;
        let selecting = self.selecting(at, direction, network);
        if selecting.is_empty() {
            return None;
        }
        let policies: Vec<usize> = selecting.iter().map(|(number, _)| *number).collect();
        let in_part = selecting.iter().any(|(_, selects)| *selects == Selects::Some);
        let names_ports = policies.iter().filter_map(|number| self.policies.get(*number)).any(|policy| {
            let ports = |rule: &Rule| rule.ports.iter().flatten().any(|port| matches!(port, Port::Named(..)));
            direction == Direction::Ingress && policy.rules(direction).unwrap_or_default().iter().any(ports)
        });
        let of_pod = (in_part || names_ports).then_some(at);
        let key = Key { direction, network: network.clone(), blocks, policies, pod: of_pod };
        let mut built = self.built.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(gate) = built.get(&key) {
            return Some(Arc::clone(gate));
        }
        let compiler = Compiler::new(self, network, blocks, direction);
        let (gate, isolating) = compiler.compile(pod, &selecting);
        let mut names = self.isolating.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        names.insert(gate.name.clone(), isolating);
        let gate = Arc::new(gate);
        built.insert(key, Arc::clone(&gate));
        Some(gate)
    }
}

impl<'a> Compiler<'a> {
    pub fn new(kube: &'a Kube, network: &'a Network, blocks: Blocks, direction: Direction) -> Compiler<'a> {
        let all = (0..kube.pods.len()).flat_map(|pod| kube.ranges_of(pod, network, blocks));
        let pods = ranges::merge(all.chain([CONTROLLER]).collect());
        Compiler { kube, network, blocks, direction, pods }
    }

    fn compile(&self, pod: &Pod, selecting: &[(usize, Selects)]) -> (Gate, Vec<(Place, String)>) {
        let mut stack = Stack::default();
        let (mut isolating, mut titles, mut place) = (Vec::new(), Vec::new(), pod.place.clone());
        let of_layer = |layer: fn(Layer) -> bool| {
            let known = selecting
                .iter()
                .filter_map(|(number, selects)| Some((self.kube.policies.get(*number)?, *selects)));
            known.filter(move |(policy, _)| layer(policy.layer)).collect::<Vec<_>>()
        };
        let network = of_layer(|layer| layer == Layer::Network);
        let admin = of_layer(|layer| matches!(layer, Layer::Admin(_)));
        // A pod that a NetworkPolicy selects is none of the baseline's business.
        let baseline =
            if network.is_empty() { of_layer(|layer| layer == Layer::Baseline) } else { Vec::new() };
        if let Some((first, _)) = network.iter().chain(&admin).chain(&baseline).next() {
            place = first.subject.place.clone();
        }
        for (policy, selects) in admin.iter().chain(&network).chain(&baseline) {
            titles.push(policy.title());
            match policy.layer {
                Layer::Admin(_) => {}
                Layer::Network => {
                    stack.next_layer();
                    isolating.push((policy.subject.place.clone(), policy.title()));
                }
                Layer::Baseline => stack.next_layer(),
            }
            for rule in policy.rules(self.direction).unwrap_or_default() {
                self.rule(pod, policy, *selects, rule, &mut stack);
            }
        }
        let gate = Gate {
            kind: Kind::KubernetesNetworkPolicy,
            direction: match self.direction {
                Direction::Ingress => crate::gate::Direction::Inbound,
                Direction::Egress => crate::gate::Direction::Outbound,
            },
            name: format!("{} of pods selected by {}", self.direction.word(), titles.join(", ")),
            place,
            order: if stack.rules.iter().all(|rule| rule.action == Action::Allow)
                && admin.is_empty()
                && baseline.is_empty()
            {
                Order::AllowOnly
            } else {
                Order::FirstMatch
            },
            stateful: true,
            rules: stack.rules,
            default: if isolating.is_empty() { Action::Allow } else { Action::Deny },
            default_text: default_text(self.direction, &isolating),
        };
        (gate, isolating)
    }

    fn rule(&self, pod: &Pod, policy: &Policy, selects: Selects, rule: &Rule, stack: &mut Stack) {
        let others = self.others(rule);
        let mut doubts = rule.unmodelled.clone();
        if selects == Selects::Some {
            doubts.push(both(
                format!("{} selects some of the pods of {} and not others", policy.title(), pod.id),
                format!("{} 只选中 {} 的部分 Pod", policy.title(), pod.id),
            ));
        }
        let certain = self.cubes(pod, rule, &others.certain);
        stack.push(self.entry(policy, rule, certain, doubts.clone()), rule.verb);
        for (ranges, doubt) in others.doubtful {
            let cubes = self.cubes(pod, rule, &ranges);
            let doubts = doubts.iter().cloned().chain([doubt]).collect();
            stack.push(self.entry(policy, rule, cubes, doubts), rule.verb);
        }
    }

    fn entry(
        &self,
        policy: &Policy,
        rule: &Rule,
        cubes: Vec<Cube>,
        unmodelled: Vec<Text>,
    ) -> crate::gate::Rule {
        crate::gate::Rule {
            number: rule.number,
            part_of: policy.title().into(),
            place: rule.place.clone(),
            text: describe(policy, rule, self.direction),
            action: if rule.verb == Verb::Deny { Action::Deny } else { Action::Allow },
            cubes,
            unmodelled,
        }
    }

    /// Whom the peers of a rule mean.
    fn others(&self, rule: &Rule) -> Others {
        let mut others = Others::default();
        let Some(peers) = &rule.peers else {
            others.certain.extend(EVERYWHERE);
            return others;
        };
        for peer in peers {
            match peer {
                Peer::Pods(pods) => self.pods_of(pods, &mut others),
                Peer::Block { ranges, text } => self.block(ranges, text, &mut others),
                Peer::Network(range) if self.blocks == Blocks::Apart => {
                    others.certain.extend(ranges::minus(&[*range], &self.pods));
                }
                Peer::Network(range) => others.certain.push(*range),
                Peer::Nodes(_) if self.blocks == Blocks::Apart => {}
                Peer::Nodes(selector) => self.nodes_of(selector, &mut others),
            }
        }
        others.certain = ranges::merge(std::mem::take(&mut others.certain));
        others
    }

    fn pods_of(&self, pods: &Pods, others: &mut Others) {
        let namespace = Namespace::implied(CONTROLLER_NAMESPACE);
        if pods.select(CONTROLLER_NAMESPACE, Some(&namespace.labels), &[Default::default()]) == Selects::All {
            others.certain.push(CONTROLLER);
        }
        for (at, pod) in self.kube.pods.iter().enumerate() {
            let labels = self.kube.namespace(&pod.namespace).map(|namespace| &namespace.labels);
            let selects = pods.select(&pod.namespace, labels, &pod.variants);
            if selects == Selects::None || !pod.is_in(self.network) {
                continue;
            }
            let ranges = self.kube.ranges_of(at, self.network, self.blocks);
            if selects == Selects::All && !pod.host_network {
                others.certain.extend(ranges);
                continue;
            }
            let (en, zh) = if pod.host_network {
                (
                    "has the network of its node: most plugins do not know its packets by its labels",
                    "使用主机网络，多数插件无法按标签识别其流量",
                )
            } else {
                ("has pods whose labels fit and others whose do not", "的 Pod 标签有的符合、有的不符合")
            };
            others.doubtful.push((ranges, both(format!("{} {en}", pod.id), format!("{} {zh}", pod.id))));
        }
    }

    fn block(&self, block: &[Range], text: &str, others: &mut Others) {
        others.certain.extend(ranges::minus(block, &self.pods));
        let pods = ranges::and(block, &self.pods);
        match self.blocks {
            _ if pods.is_empty() => {}
            Blocks::Apart if matches!(self.network, Network::Secondary { .. }) => others.certain.extend(pods),
            Blocks::Plugin(Some(true)) => others.certain.extend(pods),
            Blocks::Apart | Blocks::Plugin(Some(false)) => {}
            Blocks::Plugin(None) => others.doubtful.push((
                pods,
                both(
                    format!("whether ipBlock {text} matches pods, too, depends on the network plugin (Calico: yes, Cilium: no)"),
                    format!("ipBlock {text} 是否也匹配 Pod 取决于网络插件（Calico 是，Cilium 否）"),
                ),
            )),
        }
    }

    fn nodes_of(&self, selector: &super::selector::Selector, others: &mut Others) {
        let chosen = self.kube.nodes.iter().filter(|node| selector.matches(&node.labels));
        let addresses: Vec<Range> =
            chosen.flat_map(|node| &node.addresses).map(|a| ranges::single(*a)).collect();
        if self.kube.nodes.is_empty() {
            let doubt = both("which addresses nodes have is not in the files", "文件中没有节点的地址");
            others.doubtful.push((ranges::minus(&EVERYWHERE, &self.pods), doubt));
        }
        others.certain.extend(addresses);
    }

    /// The packets to or from these addresses on the ports of a rule.
    fn cubes(&self, pod: &Pod, rule: &Rule, ranges: &[Range]) -> Vec<Cube> {
        let mut cubes = Vec::new();
        let Some(ports) = &rule.ports else {
            cubes.extend(ranges.iter().map(|range| self.cube(range)));
            return cubes;
        };
        for port in ports {
            let (named, protocol, first, last) = match port {
                Port::All(protocol) => (None, *protocol, 0, u16::MAX),
                Port::Numbers(protocol, first, last) => (None, *protocol, *first, *last),
                Port::Named(protocol, name) => (Some((name, *protocol)), 0, 0, 0),
            };
            let Some((name, protocol)) = named else {
                let of = |range| {
                    self.cube(range).protocols(Protocols::of(&[protocol])).destination_ports(first..=last)
                };
                cubes.extend(ranges.iter().map(of));
                continue;
            };
            let mut on = |pod: &Pod, ranges: &[Range]| {
                let Some(port) = pod.named_port(name, protocol) else { return };
                let protocols = Protocols::of(&[port.protocol]);
                let of = |range| {
                    self.cube(range).protocols(protocols).destination_ports(port.number..=port.number)
                };
                cubes.extend(ranges.iter().map(of));
            };
            if self.direction == Direction::Ingress {
                on(pod, ranges);
                continue;
            }
            // A name means what the pod that is reached calls so; outside nothing has names.
            for (at, other) in self.kube.pods.iter().enumerate() {
                let own = self.kube.ranges_of(at, self.network, self.blocks);
                on(other, &ranges::and(&own, ranges));
            }
        }
        cubes
    }

    fn cube(&self, range: &Range) -> Cube {
        let cube = Cube::all(range.0);
        match self.direction {
            Direction::Ingress => cube.source(range.1, range.2),
            Direction::Egress => cube.destination(range.1, range.2),
        }
    }
}

/// The rules of a gate as they pile up.
#[derive(Default)]
struct Stack {
    rules: Vec<crate::gate::Rule>,
    /// What a rule of this layer has passed to the next one.
    passed: Vec<Cube>,
    passed_in_doubt: Vec<(Vec<Cube>, Text)>,
}

impl Stack {
    fn push(&mut self, mut rule: crate::gate::Rule, verb: Verb) {
        for passed in &self.passed {
            rule.cubes = subtract(&rule.cubes, passed);
            if rule.cubes.len() > CUBE_COUNT_MAX {
                break;
            }
        }
        if rule.cubes.len() > CUBE_COUNT_MAX {
            rule.cubes = vec![Cube::all(Family::V4), Cube::all(Family::V6)];
            rule.unmodelled.push(both(
                format!("the rule needs more than {CUBE_COUNT_MAX} boxes"),
                format!("该规则展开后超过 {CUBE_COUNT_MAX} 个区间"),
            ));
        }
        for (passed, doubt) in &self.passed_in_doubt {
            if rule.cubes.iter().any(|cube| passed.iter().any(|other| cube.meets(other))) {
                rule.unmodelled.push(doubt.clone());
            }
        }
        match (verb, rule.unmodelled.first()) {
            (Verb::Pass, None) => self.passed.extend(rule.cubes),
            (Verb::Pass, Some(doubt)) => self.passed_in_doubt.push((rule.cubes, doubt.clone())),
            _ => self.rules.push(rule),
        }
    }

    /// What was passed, was passed to here.
    fn next_layer(&mut self) {
        self.passed.clear();
        self.passed_in_doubt.clear();
    }
}

fn default_text(direction: Direction, isolating: &[(Place, String)]) -> Text {
    let (en, zh) = match direction {
        Direction::Ingress => ("ingress", "入站"),
        Direction::Egress => ("egress", "出站"),
    };
    if isolating.is_empty() {
        return both(
            format!("no policy isolates the pod for {en}, so what no rule denies is allowed"),
            format!("没有策略隔离该 Pod 的{zh}流量，未被拒绝的即放行"),
        );
    }
    let list: Vec<String> = isolating.iter().map(|(place, title)| format!("{title} ({place})")).collect();
    both(
        format!(
            "the pod is isolated for {en}, being selected by {}, and no rule of theirs allows it",
            list.join(", ")
        ),
        format!("该 Pod 的{zh}流量被隔离（选中它的策略：{}），且没有规则放行", list.join("、")),
    )
}

fn describe(policy: &Policy, rule: &Rule, direction: Direction) -> String {
    let verb = match rule.verb {
        Verb::Allow => "allow",
        Verb::Deny => "deny",
        Verb::Pass => "pass",
    };
    let name = if rule.name.is_empty() { String::new() } else { format!(" {}", rule.name) };
    let peers = rule
        .peers
        .as_ref()
        .map_or("everyone".to_owned(), |peers| peers.iter().map(peer_words).collect::<Vec<_>>().join(" or "));
    let ports = rule
        .ports
        .as_ref()
        .map_or("every port".to_owned(), |ports| ports.iter().map(port_words).collect::<Vec<_>>().join(", "));
    let ends = if direction == Direction::Ingress { "from" } else { "to" };
    format!(
        "{} {}[{}]{name}: {verb} {ends} {peers} on {ports}",
        policy.title(),
        direction.word(),
        rule.number
    )
}

fn peer_words(peer: &Peer) -> String {
    match peer {
        Peer::Pods(Pods { namespaces: super::policy::Where::Own(namespace), pods, .. }) => {
            format!("pods {pods} of namespace {namespace}")
        }
        Peer::Pods(Pods { namespaces: super::policy::Where::Labelled(selector), pods, .. }) => {
            format!("pods {pods} of namespaces {selector}")
        }
        Peer::Block { text, .. } => text.clone(),
        Peer::Network((family, first, last)) => {
            format!("{}-{}", ranges::address(*family, *first), ranges::address(*family, *last))
        }
        Peer::Nodes(selector) => format!("nodes {selector}"),
    }
}

fn port_words(port: &Port) -> String {
    let name = super::connections::protocol_name;
    match port {
        Port::All(protocol) => name(*protocol).to_owned(),
        Port::Numbers(protocol, first, last) if first == last => format!("{} {first}", name(*protocol)),
        Port::Numbers(protocol, first, last) => format!("{} {first}-{last}", name(*protocol)),
        Port::Named(Some(protocol), port) => format!("{} {port}", name(*protocol)),
        Port::Named(None, port) => port.clone(),
    }
}
