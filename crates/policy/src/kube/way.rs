//! The way of a packet through a cluster: out of one pod, over services, into another.
//!
//! Policies remember connections, so the answers need no step of their own.

use super::Kube;
use super::ends::{Spot, controllers, spans_beside};
use super::gates::{self, Blocks, Key};
use super::judge::judge;
use super::network::Network;
use super::policy::{Direction, Layer, Peer, Where};
use super::selector::Selects;
use super::words;
use crate::estate::{Ask, Look, Step, Way};
use crate::place::{Place, both};
use crate::read::Span;
use crate::space::{Cube, Protocols};
use netwhy_model::Text;

/// How many boxes of packets one step may ask about.
const PACKET_COUNT_MAX: usize = 4_096;
/// The protocols that policies speak of: TCP, UDP, SCTP.
const PROTOCOLS: [u8; 3] = [6, 17, 132];

pub(super) fn way(kube: &Kube, ask: &Ask) -> Vec<Step> {
    let (from, to) = (Spot::of(kube, &ask.from), Spot::of(kube, &ask.to));
    let mut walk = Walk { kube, protocol: ask.protocol, steps: Vec::new() };
    match (&from, &to) {
        (Spot::Outside(_), Spot::Outside(_)) => return Vec::new(),
        (Spot::Service(at), _) => walk.service_asks(*at),
        (_, Spot::Pod(at, network)) => walk.reach_pod(&from, *at, network, ask.port),
        (_, Spot::Service(at)) => walk.reach_service(&from, *at, ask.port),
        (_, Spot::Node(at)) => walk.reach_node(&from, *at, ask.port),
        (_, Spot::Controller) => walk.reach_controller(&from),
        (_, Spot::Outside(spans)) => walk.leave(&from, spans, ask.port),
    }
    walk.foreign(&from, &to);
    walk.steps
}

pub(super) struct Walk<'a> {
    pub kube: &'a Kube,
    pub protocol: u8,
    pub steps: Vec<Step>,
}

impl Walk<'_> {
    pub fn step(&mut self, what: Text, look: Look) {
        self.steps.push(Step { what, way: Way::There, look });
    }

    pub fn passes(&mut self, what: Text, why: Text, place: &Place) {
        self.step(what, Look::Passes { why, place: place.clone() });
    }

    pub fn ends(&mut self, what: Text, why: Text, place: &Place) {
        self.step(what, Look::Ends { why, place: place.clone(), fix: Vec::new() });
    }

    pub fn depends(&mut self, what: Text, on: Text, place: &Place) {
        self.step(what, Look::Depends { on, place: place.clone() });
    }

    fn service_asks(&mut self, at: usize) {
        let Some(service) = self.kube.services.get(at) else { return };
        let what = both(format!("Service {}", service.path()), format!("Service {}", service.path()));
        let why =
            both("a service opens no connections: its pods do", "Service 不会主动发起连接，发起者是其 Pod");
        self.ends(what, why, &service.place);
    }

    pub fn reach_pod(&mut self, from: &Spot, at: usize, network: &Network, port: Option<u16>) {
        match from {
            Spot::Pod(own, _) if *own == at && self.is_one(at) => {
                let Some(pod) = self.kube.pods.get(at) else { return };
                let why = both("a pod always reaches itself", "Pod 总能访问自身");
                self.passes(both(pod.id.clone(), pod.id.clone()), why, &pod.place);
            }
            Spot::Pod(own, own_network) => {
                let Some(network) = self.common(*own, own_network, at, network) else { return };
                let (sources, targets) = (self.spans(*own, &network, &[]), self.spans(at, &network, &[]));
                self.guard(*own, Direction::Egress, &network, &sources, &targets, port);
                self.guard(at, Direction::Ingress, &network, &sources, &targets, port);
            }
            Spot::Outside(spans) => self.enter(spans, at, network, port),
            Spot::Node(node) => self.node_asks(*node, at, network, port),
            Spot::Controller => self.controller_asks(at, network, port),
            Spot::Service(service) => self.service_asks(*service),
        }
    }

    /// Whether a workload is a single pod.
    fn is_one(&self, at: usize) -> bool {
        self.kube.pods.get(at).is_some_and(|pod| pod.pod_names.len() == 1)
    }

    /// Into a pod from addresses that are no pod's.
    pub fn enter(&mut self, sources: &[Span], at: usize, network: &Network, port: Option<u16>) {
        let targets = self.spans(at, network, sources);
        self.guard(at, Direction::Ingress, network, sources, &targets, port);
    }

    fn spans(&self, at: usize, network: &Network, others: &[Span]) -> Vec<Span> {
        spans_beside(self.kube, at, network, others)
    }

    /// The network two pods have in common.
    fn common(&mut self, own: usize, own_network: &Network, at: usize, network: &Network) -> Option<Network> {
        let (one, other) = (self.kube.pods.get(own)?, self.kube.pods.get(at)?);
        if one.is_in(network) {
            return Some(network.clone());
        }
        if other.is_in(own_network) {
            return Some(own_network.clone());
        }
        let shared = one.networks().find(|network| other.is_in(network)).cloned();
        let what = both(
            format!("networks of {} and {}", one.id, other.id),
            format!("{} 与 {} 的网络", one.id, other.id),
        );
        match &shared {
            Some(network) => {
                let why = both(
                    format!("their primary networks are apart; both are in {network}"),
                    format!("二者的主网络相互隔离，但都接入 {network}"),
                );
                self.passes(what, why, &other.place);
            }
            None => {
                let why = both(
                    format!(
                        "{} is in {}, {} in {}: user-defined networks are isolated",
                        one.id, one.primary, other.id, other.primary
                    ),
                    format!(
                        "{} 位于 {}，{} 位于 {}：用户自定义网络相互隔离",
                        one.id, one.primary, other.id, other.primary
                    ),
                );
                self.ends(what, why, &other.place);
            }
        }
        shared
    }

    fn node_asks(&mut self, node: usize, at: usize, network: &Network, port: Option<u16>) {
        let (Some(node), Some(pod)) = (self.kube.nodes.get(node), self.kube.pods.get(at)) else { return };
        let what = both(
            format!("from node {} to {}", node.name, pod.id),
            format!("从节点 {} 到 {}", node.name, pod.id),
        );
        let is_own = pod.nodes.contains(&node.name);
        if is_own && pod.nodes.len() == 1 {
            let why = both("a pod's own node always reaches it", "Pod 所在节点总能访问该 Pod");
            return self.passes(what, why, &pod.place);
        }
        let key = self.key(at, Direction::Ingress, network);
        if (is_own || pod.nodes.is_empty()) && !self.kube.selecting(&key).is_empty() {
            let on = both(
                "which node the pod runs on: its own node always reaches it, policies or not",
                "取决于 Pod 运行在哪个节点：所在节点总能访问它，不受策略限制",
            );
            return self.depends(what, on, &pod.place);
        }
        let sources: Vec<Span> = node.addresses.iter().map(|address| Span::one(*address)).collect();
        self.enter(&sources, at, network, port);
    }

    /// From an ingress controller, whose pods may not be in the files.
    pub fn controller_asks(&mut self, at: usize, network: &Network, port: Option<u16>) {
        let own = controllers(self.kube).into_iter().find(|own| *own != at);
        if let Some(pod) =
            own.and_then(|own| self.kube.pods.get(own).map(|pod| Spot::Pod(own, pod.primary.clone())))
        {
            return self.reach_pod(&pod, at, network, port);
        }
        let key = self.key(at, Direction::Ingress, network);
        let selecting = self.kube.selecting(&key);
        let rules =
            selecting.iter().flat_map(|(policy, _)| policy.rules(Direction::Ingress).unwrap_or_default());
        let by_namespace =
            |peer: &Peer| matches!(peer, Peer::Pods(pods) if matches!(pods.namespaces, Where::Labelled(_)));
        let may_mean_it = rules.flat_map(|rule| rule.peers.iter().flatten()).any(by_namespace);
        let before = self.steps.len();
        self.enter(&[gates::CONTROLLER], at, network, port);
        let (Some(pod), Some(gate)) = (self.kube.pods.get(at), self.kube.gate(key)) else { return };
        if may_mean_it && verdict(self.steps.get(before..).unwrap_or_default()) != Some(true) {
            self.steps.truncate(before);
            let on = both(
                "the ingress controller is not in the files: whether its namespace and labels fit a rule",
                "文件中没有入口控制器：其命名空间与标签是否符合某条规则",
            );
            let (en, zh) = (format!("ingress policies of {}", pod.id), format!("{} 的入站策略", pod.id));
            self.depends(both(en, zh), on, &gate.place);
        }
    }

    fn leave(&mut self, from: &Spot, targets: &[Span], port: Option<u16>) {
        let Spot::Pod(own, network) = from else {
            return;
        };
        let sources = self.spans(*own, network, targets);
        self.guard(*own, Direction::Egress, network, &sources, targets, port);
    }

    fn key(&self, pod: usize, direction: Direction, network: &Network) -> Key {
        Key {
            pod,
            direction,
            network: network.clone(),
            blocks: Blocks::Plugin(self.kube.options.blocks_match_pods),
        }
    }

    /// The policies of one pod in one direction.
    pub fn guard(
        &mut self,
        at: usize,
        direction: Direction,
        network: &Network,
        sources: &[Span],
        targets: &[Span],
        port: Option<u16>,
    ) {
        let key = self.key(at, direction, network);
        let (Some(pod), selecting) = (self.kube.pods.get(at), self.kube.selecting(&key)) else { return };
        let (en, zh) = words::direction(direction);
        let what = || both(format!("{en} policies of {}", pod.id), format!("{} 的{zh}策略", pod.id));
        if selecting.is_empty() {
            let why = both(format!("no policy speaks of its {en}"), format!("没有策略涉及其{zh}流量"));
            return self.passes(what(), why, &pod.place);
        }
        let Some(gate) = self.kube.gate(key) else { return };
        if pod.host_network {
            let on = both(
                "the pod has its node's network, where most plugins enforce no policies",
                "该 Pod 使用主机网络，多数网络插件对其不执行策略",
            );
            return self.depends(what(), on, &gate.place);
        }
        let packets = packets(self.protocol, sources, targets, port);
        if packets.is_empty() {
            let on = both("the ends have no addresses of one family", "两端没有同一协议族的地址");
            return self.depends(what(), on, &pod.place);
        }
        let judged = judge(&gate, &packets);
        let certain = judged.denied.is_empty() && judged.doubtful.is_empty();
        if !certain && !PROTOCOLS.contains(&self.protocol) {
            let on = both(
                "policies speak of TCP, UDP and SCTP only; what becomes of other protocols is the plugin's choice",
                "策略只涉及 TCP、UDP 与 SCTP，其他协议由网络插件决定",
            );
            return self.depends(what(), on, &gate.place);
        }
        let in_part = selecting
            .iter()
            .find(|(policy, selects)| policy.layer == Layer::Network && *selects == Selects::Some);
        if let Some((policy, _)) = in_part.filter(|_| !judged.denied.is_empty()) {
            let on = both(
                format!("{} selects some of its pods and not others", policy.title()),
                format!("{} 只选中其部分 Pod", policy.title()),
            );
            return self.depends(what(), on, &policy.subject.place);
        }
        self.step(what(), Look::Gate { gate, packets });
    }

    /// Policies that are not modelled, where they may matter.
    fn foreign(&mut self, from: &Spot, to: &Spot) {
        let mut namespaces = Vec::new();
        for spot in [from, to] {
            match spot {
                Spot::Pod(at, _) => {
                    namespaces.extend(self.kube.pods.get(*at).map(|pod| pod.namespace.as_str()))
                }
                Spot::Service(at) => {
                    namespaces.extend(self.kube.services.get(*at).map(|s| s.namespace.as_str()))
                }
                Spot::Controller => {
                    namespaces.extend(self.kube.ingresses.iter().map(|one| one.namespace.as_str()))
                }
                Spot::Node(_) | Spot::Outside(_) => {}
            }
        }
        let kube = self.kube;
        for foreign in &kube.foreign {
            let here = |namespace: &String| namespaces.contains(&namespace.as_str());
            if foreign.namespace.as_ref().is_none_or(here) {
                let what = both(foreign.what.clone(), foreign.what.clone());
                let on = both("a policy that is not modelled may decide", "未建模的策略可能起决定作用");
                self.depends(what, on, &foreign.place);
            }
        }
    }
}

/// Whether steps let everything through or stop everything; `None` when neither is certain.
pub(super) fn verdict(steps: &[Step]) -> Option<bool> {
    let mut open = false;
    for step in steps {
        match &step.look {
            Look::Gate { gate, packets } => {
                let judged = judge(gate, packets);
                if judged.allowed.is_empty() && judged.doubtful.is_empty() {
                    return Some(false);
                }
                open |= !(judged.denied.is_empty() && judged.doubtful.is_empty());
            }
            Look::Ends { .. } => return Some(false),
            Look::Depends { .. } | Look::Decided { .. } => open = true,
            Look::Passes { .. } => {}
        }
    }
    (!open).then_some(true)
}

fn packets(protocol: u8, sources: &[Span], targets: &[Span], port: Option<u16>) -> Vec<Cube> {
    let mut packets = Vec::new();
    for source in sources {
        for target in targets.iter().filter(|target| target.family == source.family) {
            let mut cube = Cube::all(source.family)
                .source(source.first, source.last)
                .destination(target.first, target.last)
                .protocols(Protocols::of(&[protocol]));
            if PROTOCOLS.contains(&protocol) {
                cube = cube.destination_ports(port.unwrap_or(1)..=port.unwrap_or(u16::MAX));
            }
            packets.push(cube.opening());
        }
    }
    packets.truncate(PACKET_COUNT_MAX);
    packets
}
