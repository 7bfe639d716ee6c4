//! Whom the rules of policies mean, as addresses and boxes of packets.

use super::Kube;
use super::gates::{Blocks, CONTROLLER};
use super::network::Network;
use super::pod::{NAMESPACE_LABEL, Namespace, Pod};
use super::policy::{Direction, Peer, Pods, Port, Rule, Where};
use super::selector::{Selector, Selects};
use crate::place::both;
use crate::read::{Span, merge, without};
use crate::space::{Cube, Protocols};
use netwhy_model::Text;

/// The namespace a controller that is not among the pods is thought to be in; its labels nobody knows.
const CONTROLLER_NAMESPACE: &str = "ingress-controller-ns";

/// The addresses of the other end that a rule means, and those it may mean.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub certain: Vec<Span>,
    pub doubtful: Vec<(Vec<Span>, Text)>,
}

pub(super) struct Compiler<'a> {
    kube: &'a Kube,
    network: &'a Network,
    blocks: Blocks,
    pub direction: Direction,
    /// All pods in the network, and the controller.
    pods: Vec<Span>,
}

/// What two lists of ranges share; those of the second are sorted and do not overlap.
fn shared(some: &[Span], others: &[Span]) -> Vec<Span> {
    let of = |one: &Span| {
        let before = |other: &Span| (other.family, other.last) < (one.family, one.first);
        let (one, from) = (*one, others.partition_point(before));
        others.iter().skip(from).map_while(move |other| one.and(other))
    };
    some.iter().flat_map(of).collect()
}

impl<'a> Compiler<'a> {
    pub fn new(kube: &'a Kube, network: &'a Network, blocks: Blocks, direction: Direction) -> Compiler<'a> {
        let all = (0..kube.pods.len()).flat_map(|pod| kube.spans(pod, network, blocks));
        let pods = merge(&all.chain([CONTROLLER]).collect::<Vec<_>>());
        Compiler { kube, network, blocks, direction, pods }
    }

    /// Whom the peers of a rule mean.
    pub fn others(&self, rule: &Rule) -> Others {
        let mut others = Others::default();
        let Some(peers) = &rule.peers else {
            return Others { certain: Span::anywhere(), ..others };
        };
        for peer in peers {
            match peer {
                Peer::Pods(pods) => self.pods_of(pods, &mut others),
                Peer::Block { spans, text } => self.block(spans, text, &mut others),
                Peer::Network(span) if self.blocks == Blocks::Apart => {
                    others.certain.extend(without(&[*span], &self.pods));
                }
                Peer::Network(span) => others.certain.push(*span),
                Peer::Nodes(_) if self.blocks == Blocks::Apart => {}
                Peer::Nodes(selector) => self.nodes_of(selector, &mut others),
            }
        }
        others.certain = merge(&others.certain);
        others
    }

    fn pods_of(&self, pods: &Pods, others: &mut Others) {
        let namespace = Namespace::implied(CONTROLLER_NAMESPACE);
        if pods.select(CONTROLLER_NAMESPACE, Some(&namespace.labels), &[Default::default()].into())
            == Selects::All
        {
            others.certain.push(CONTROLLER);
        }
        for (at, pod) in self.kube.pods.iter().enumerate() {
            let labels = self.kube.namespace(&pod.namespace).map(|namespace| &namespace.labels);
            let selects = pods.select(&pod.namespace, labels, &pod.variants);
            if !pod.is_in(self.network) {
                continue;
            }
            let spans = self.kube.spans(at, self.network, self.blocks);
            if selects == Selects::None {
                if self.blocks != Blocks::Apart && self.may_fit(pods, pod) {
                    let (en, zh) = ("which labels namespace", "命名空间");
                    let namespace = &pod.namespace;
                    let doubt = both(
                        format!("{en} {namespace} has is not in the files"),
                        format!("文件中没有{zh} {namespace} 的标签"),
                    );
                    others.doubtful.push((spans, doubt));
                }
                continue;
            }
            let by_node = pod.host_network && self.blocks != Blocks::Apart;
            let (en, zh) = match selects {
                _ if by_node => (
                    "has the network of its node: most plugins do not know its packets by its labels",
                    "使用主机网络，多数插件无法按标签识别其流量",
                ),
                Selects::All => {
                    others.certain.extend(spans);
                    continue;
                }
                _ => ("has pods whose labels fit and others whose do not", "的 Pod 标签有的符合、有的不符合"),
            };
            others.doubtful.push((spans, both(format!("{} {en}", pod.id), format!("{} {zh}", pod.id))));
        }
    }

    /// Whether it hangs on labels of a namespace that only pods speak of.
    fn may_fit(&self, pods: &Pods, pod: &Pod) -> bool {
        let unknown = self.kube.namespace(&pod.namespace).is_none_or(|namespace| namespace.place.is_none());
        let Where::Labelled(selector) = &pods.namespaces else { return false };
        unknown && selector.asks_beyond(NAMESPACE_LABEL) && pods.pods.of_all(&pod.variants) != Selects::None
    }

    fn block(&self, block: &[Span], text: &str, others: &mut Others) {
        others.certain.extend(without(block, &self.pods));
        let mut pods = shared(block, &self.pods);
        let pod_spans: Vec<Span> = self.kube.nodes.iter().flat_map(|node| node.pod_spans.clone()).collect();
        if self.blocks != Blocks::Apart && !shared(block, &merge(&pod_spans)).is_empty() {
            // Pods whose addresses are not known get them from there.
            pods.extend(
                self.kube.stand_ins.iter().filter(|one| self.pods.iter().any(|pod| pod.contains(one))),
            );
        }
        match self.blocks {
            // Of a secondary network nothing but its pods is known, so blocks are there for them.
            Blocks::Apart if self.network.is_secondary() => others.certain.extend(pods),
            Blocks::Plugin(Some(true)) => others.certain.extend(pods),
            Blocks::Plugin(None) if !pods.is_empty() => {
                let en = "matches pods, too, depends on the network plugin (Calico: yes, Cilium: no)";
                let zh = "是否也匹配 Pod 取决于网络插件（Calico 是，Cilium 否）";
                let doubt = both(format!("whether ipBlock {text} {en}"), format!("ipBlock {text} {zh}"));
                others.doubtful.push((pods, doubt));
            }
            _ => {}
        }
    }

    fn nodes_of(&self, selector: &Selector, others: &mut Others) {
        let chosen = self.kube.nodes.iter().filter(|node| selector.matches(&node.labels));
        others.certain.extend(chosen.flat_map(|node| &node.addresses).map(|address| Span::one(*address)));
        if self.kube.nodes.is_empty() {
            let doubt = both("which addresses nodes have is not in the files", "文件中没有节点的地址");
            others.doubtful.push((without(&Span::anywhere(), &self.pods), doubt));
        }
    }

    /// The packets to or from these addresses on the ports of a rule; `pod` is the one whose gate this is.
    pub fn cubes(&self, pod: Option<&Pod>, rule: &Rule, spans: &[Span]) -> Vec<Cube> {
        let Some(ports) = &rule.ports else {
            return spans.iter().map(|span| self.cube(span)).collect();
        };
        let mut cubes = Vec::new();
        for port in ports {
            match port {
                Port::All(protocol) => self.on(spans, *protocol, (0, u16::MAX), &mut cubes),
                Port::Numbers(protocol, first, last) => {
                    self.on(spans, *protocol, (*first, *last), &mut cubes)
                }
                Port::Named(protocol, name) => self.on_named(pod, spans, *protocol, name, &mut cubes),
            }
        }
        cubes
    }

    fn on(&self, spans: &[Span], protocol: u8, ports: (u16, u16), cubes: &mut Vec<Cube>) {
        let protocols = Protocols::of(&[protocol]);
        let one = |span| self.cube(span).protocols(protocols).destination_ports(ports.0..=ports.1);
        cubes.extend(spans.iter().map(one));
    }

    /// A name means what the pod that is reached calls so; outside nothing has names.
    fn on_named(
        &self,
        pod: Option<&Pod>,
        spans: &[Span],
        protocol: Option<u8>,
        name: &str,
        cubes: &mut Vec<Cube>,
    ) {
        if self.direction == Direction::Ingress {
            if let Some(port) = pod.and_then(|pod| pod.named_port(name, protocol)) {
                self.on(spans, port.protocol, (port.number, port.number), cubes);
            }
            return;
        }
        for (at, other) in self.kube.pods.iter().enumerate() {
            if let Some(port) = other.named_port(name, protocol) {
                let own = self.kube.spans(at, self.network, self.blocks);
                self.on(&shared(&own, spans), port.protocol, (port.number, port.number), cubes);
            }
        }
    }

    fn cube(&self, span: &Span) -> Cube {
        let cube = Cube::all(span.family);
        match self.direction {
            Direction::Ingress => cube.source(span.first, span.last),
            Direction::Egress => cube.destination(span.first, span.last),
        }
    }
}
