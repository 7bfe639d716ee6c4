//! Services on the way: what kube-proxy makes of an address and a port.

use super::ends::{Spot, beyond};
use super::network::Network;
use super::policy::Direction;
use super::service::{Endpoints, Service, ServicePort, Type};
use super::way::{Walk, verdict};
use crate::estate::{Look, Step, Way};
use crate::gate::{self, Action, Gate, Kind, Order};
use crate::place::both;
use crate::read::{Span, protocol_name};
use crate::space::{Cube, Protocols};
use netwhy_model::Text;
use std::sync::Arc;

/// How many pods behind a service are asked one by one.
const BACKEND_COUNT_MAX: usize = 64;

/// How a packet comes to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// From within, by its cluster address or name.
    Cluster,
    /// From outside, by a node (which one, where it is known) or a balancer.
    Outside(Option<usize>),
}

impl Walk<'_> {
    pub fn reach_service(&mut self, from: &Spot, at: usize, port: Option<u16>) {
        let Some(service) = self.kube.services.get(at) else { return };
        let what = service_words(service);
        if service.kind == Type::ExternalName {
            let name = service.external_name.clone().unwrap_or_default();
            let on = both(
                format!("where {name} leads: the service is but a name for it"),
                format!("{name} 指向何处：该 Service 只是其别名"),
            );
            return self.depends(what, on, &service.place);
        }
        let entry = match from {
            Spot::Outside(_) => Entry::Outside(None),
            _ => Entry::Cluster,
        };
        let is_open = matches!(service.kind, Type::NodePort | Type::LoadBalancer)
            || !service.external_addresses.is_empty();
        if entry != Entry::Cluster && !is_open {
            let why = both(
                "the service has a cluster address only, which nothing outside can reach",
                "该 Service 只有集群内地址，集群外无法访问",
            );
            return self.ends(what, why, &service.place);
        }
        if let (Entry::Outside(None), Spot::Outside(sources)) = (entry, from) {
            self.source_ranges(service, sources, port);
        }
        self.through(from, service, port, entry);
    }

    pub fn reach_node(&mut self, from: &Spot, at: usize, port: Option<u16>) {
        let Some(node) = self.kube.nodes.get(at) else { return };
        let targets: Vec<Span> = node.addresses.iter().map(|address| Span::one(*address)).collect();
        if let Spot::Pod(own, network) = from {
            let sources = super::ends::spans_beside(self.kube, *own, network, &targets);
            self.guard(*own, Direction::Egress, network, &sources, &targets, port);
        }
        let kube = self.kube;
        let opens = |service: &&Service| {
            service.ports.iter().any(|one| one.node_port == port && one.protocol == self.protocol)
        };
        if let Some(service) = kube.services.iter().find(|service| port.is_some() && opens(service)) {
            return self.through(from, service, port, Entry::Outside(Some(at)));
        }
        let what = both(format!("node {}", node.name), format!("节点 {}", node.name));
        let on = both(
            "no service has this node port; what else listens on the node the files do not say",
            "没有 Service 使用该节点端口；节点上还有什么在监听，文件未说明",
        );
        self.depends(what, on, &node.place);
    }

    /// Every pod behind something that lets in from outside.
    pub fn reach_controller(&mut self, from: &Spot) {
        let kube = self.kube;
        let before = self.steps.len();
        let mut ways = Vec::new();
        for ingress in &kube.ingresses {
            for (at, port) in kube.reached_by(ingress) {
                let Some(pod) = kube.pods.get(at) else { continue };
                let why = both(
                    format!("{} leads to port {port} of {}", ingress.title(), pod.id),
                    format!("{} 通向 {} 的端口 {port}", ingress.title(), pod.id),
                );
                self.passes(both(ingress.title(), ingress.title()), why, &ingress.place);
                self.controller_asks(at, &pod.primary, Some(port));
                ways.push(self.steps.split_off(before));
            }
        }
        let Some(first) = kube.ingresses.first() else { return };
        if let Spot::Pod(own, _) = from {
            let pod = kube.pods.get(*own).map_or("", |pod| &pod.id);
            let on = both(
                "the address of the ingress controller is not in the files",
                "文件中没有入口控制器的地址",
            );
            self.depends(
                both(format!("from {pod} to the controller"), format!("从 {pod} 到控制器")),
                on,
                &first.place,
            );
        }
        let what = both("what the ingress controller lets in", "入口控制器放入的流量");
        self.one_of(ways, what, &first.place);
    }

    /// Through a service to the pods behind it.
    fn through(&mut self, from: &Spot, service: &Service, port: Option<u16>, entry: Entry) {
        if !self.is_ready(service) {
            return;
        }
        let what = service_words(service);
        let by_node = matches!(entry, Entry::Outside(Some(_)));
        let fits = |one: &&ServicePort| {
            let asked = |port| {
                (!by_node && one.number == port) || (entry != Entry::Cluster && one.node_port == Some(port))
            };
            one.protocol == self.protocol && port.is_none_or(asked)
        };
        if service.kind == Type::Headless {
            // Its name gives the addresses of the pods, and nothing changes the port.
            let why = both(
                "a headless service: its name gives the pods' own addresses, and the port stays",
                "无头服务：域名直接解析为 Pod 地址，端口不变",
            );
            self.passes(what.clone(), why, &service.place);
            let ways = self
                .backends(service)
                .into_iter()
                .map(|at| self.aside(from, at, port, service, entry))
                .collect();
            return self.one_of(ways, what, &service.place);
        }
        let ports: Vec<&ServicePort> = service.ports.iter().filter(fits).collect();
        if ports.is_empty() {
            return self.no_port(service, port);
        }
        let mut ways = Vec::new();
        for one in ports {
            for at in self.backends(service) {
                let Some(pod) = self.kube.pods.get(at) else { continue };
                let Some(target) = one.on(pod) else {
                    let why = both(
                        format!("{} has no port named {}", pod.id, one.target),
                        format!("{} 没有名为 {} 的端口", pod.id, one.target),
                    );
                    let look = Look::Ends { why, place: one.place.clone(), fix: Vec::new() };
                    ways.push(vec![Step { what: what.clone(), way: Way::There, look }]);
                    continue;
                };
                let mut way = self.aside(from, at, Some(target), service, entry);
                let why = leads(service, one, &pod.id, target);
                let look = Look::Passes { why, place: one.place.clone() };
                way.insert(0, Step { what: what.clone(), way: Way::There, look });
                ways.push(way);
            }
        }
        self.one_of(ways, what, &service.place);
    }

    fn no_port(&mut self, service: &Service, port: Option<u16>) {
        let of = |one: &ServicePort| format!("{}/{}", one.number, protocol_name(one.protocol).to_uppercase());
        let has = service.ports.iter().map(of).collect::<Vec<_>>().join(", ");
        let asked = format!("{}/{}", port.unwrap_or(0), protocol_name(self.protocol).to_uppercase());
        let why = both(
            format!("the service has no port {asked}; it has {has}"),
            format!("该 Service 没有端口 {asked}，只有 {has}"),
        );
        self.ends(service_words(service), why, &service.place);
    }

    /// The steps to one pod behind a service, by themselves.
    fn aside(&self, from: &Spot, at: usize, port: Option<u16>, service: &Service, entry: Entry) -> Vec<Step> {
        let mut walk = Walk { kube: self.kube, protocol: self.protocol, steps: Vec::new() };
        let Some(pod) = self.kube.pods.get(at) else { return Vec::new() };
        let network = pod.primary.clone();
        match entry {
            Entry::Cluster => {
                walk.same_node(from, at, service);
                walk.reach_pod(from, at, &network, port);
            }
            Entry::Outside(node) if service.local => walk.at_local(from, at, &network, port, (service, node)),
            Entry::Outside(_) => {
                // The node that takes the packet puts its own address in place of the client's.
                let nodes: Vec<Span> = self
                    .kube
                    .nodes
                    .iter()
                    .flat_map(|node| &node.addresses)
                    .map(|address| Span::one(*address))
                    .collect();
                let sources = if nodes.is_empty() { beyond(self.kube) } else { nodes };
                walk.enter(&sources, at, &network, port);
            }
        }
        walk.steps
    }

    /// `internalTrafficPolicy: Local`: only pods on the caller's own node are used.
    fn same_node(&mut self, from: &Spot, at: usize, service: &Service) {
        let Spot::Pod(own, _) = from else { return };
        let (Some(one), Some(other)) = (self.kube.pods.get(*own), self.kube.pods.get(at)) else { return };
        if service.internal_local && !one.nodes.iter().any(|node| other.nodes.contains(node)) {
            let on = both(
                format!(
                    "whether {} runs on the node of {}: internalTrafficPolicy is Local",
                    other.id, one.id
                ),
                format!("{} 是否与 {} 同节点：internalTrafficPolicy 为 Local", other.id, one.id),
            );
            self.depends(service_words(service), on, &service.place);
        }
    }

    /// `externalTrafficPolicy: Local`: the client's address stays, and a node without a pod drops.
    fn at_local(
        &mut self,
        from: &Spot,
        at: usize,
        network: &Network,
        port: Option<u16>,
        by: (&Service, Option<usize>),
    ) {
        let (service, node) = by;
        let (Some(pod), node) = (self.kube.pods.get(at), node.and_then(|node| self.kube.nodes.get(node)))
        else {
            return;
        };
        if let Some(node) = node.filter(|node| !pod.nodes.contains(&node.name)) {
            let what = service_words(service);
            if pod.nodes.is_empty() {
                let on = both(
                    format!("whether a pod runs on {}: externalTrafficPolicy is Local", node.name),
                    format!("{} 上是否有该 Pod：externalTrafficPolicy 为 Local", node.name),
                );
                return self.depends(what, on, &service.place);
            }
            let why = both(
                format!("no pod of the service runs on {}, and externalTrafficPolicy is Local", node.name),
                format!("{} 上没有该 Service 的 Pod，而 externalTrafficPolicy 为 Local", node.name),
            );
            return self.ends(what, why, &service.place);
        }
        match from {
            Spot::Pod(own, own_network) => {
                let sources = super::ends::spans_beside(self.kube, *own, own_network, &[]);
                self.enter(&sources, at, network, port);
            }
            _ => self.reach_pod(from, at, network, port),
        }
    }

    /// Whether something answers for a service, as far as its endpoints tell.
    fn is_ready(&mut self, service: &Service) -> bool {
        let kube = self.kube;
        let is_it = |one: &&Endpoints| one.namespace == service.namespace && one.service == service.name;
        let mut slices = kube.slices.iter().filter(is_it).peekable();
        let Some(first) = slices.peek().map(|one| one.place.clone()) else { return true };
        let ready: Vec<String> = slices.flat_map(|one| &one.ready).map(ToString::to_string).collect();
        if ready.is_empty() {
            let why = both("none of its endpoints is ready", "没有就绪的端点");
            self.ends(service_words(service), why, &first);
            return false;
        }
        if service.selector.is_none() && self.backends(service).is_empty() {
            let list = ready.join(", ");
            let on = both(
                format!("what answers at {list}: its endpoints are no pods of these files"),
                format!("{list} 处由谁应答：其端点不是这些文件中的 Pod"),
            );
            self.depends(service_words(service), on, &first);
            return false;
        }
        true
    }

    /// The pods behind a service.
    fn backends(&self, service: &Service) -> Vec<usize> {
        let slices = self
            .kube
            .slices
            .iter()
            .filter(|one| one.namespace == service.namespace && one.service == service.name);
        let ready: Vec<_> = slices.flat_map(|one| &one.ready).collect();
        let pods = self.kube.pods.iter().enumerate();
        let behind = pods.filter(|(_, pod)| match &service.selector {
            Some(_) => service.selects(pod),
            None => pod.addresses.iter().any(|address| ready.contains(&address)),
        });
        behind.map(|(at, _)| at).take(BACKEND_COUNT_MAX).collect()
    }

    /// One of several ways is taken, and which is not known: they must agree.
    fn one_of(&mut self, ways: Vec<Vec<Step>>, what: Text, place: &crate::Place) {
        let verdicts: Vec<Option<bool>> = ways.iter().map(|way| verdict(way)).collect();
        if ways.is_empty() {
            let why = both("no pod is behind it", "其后没有 Pod");
            return self.ends(what, why, place);
        }
        let agree = verdicts.windows(2).all(|pair| pair.first() == pair.last());
        if !agree {
            let lets = verdicts.iter().filter(|verdict| **verdict == Some(true)).count();
            let on = both(
                format!("which of {} pods is chosen: {lets} of them may be reached", ways.len()),
                format!("{} 个 Pod 中选到哪一个：其中 {lets} 个可达", ways.len()),
            );
            self.depends(what, on, place);
            return;
        }
        for step in ways.into_iter().flatten() {
            self.steps.push(step);
        }
    }

    /// Who may use the balancer of a service.
    fn source_ranges(&mut self, service: &Service, sources: &[Span], port: Option<u16>) {
        let Some((spans, place)) =
            service.source_ranges.as_ref().filter(|_| service.kind == Type::LoadBalancer)
        else {
            return;
        };
        let number = port.unwrap_or(1);
        let cube = |span: &Span| Cube::all(span.family).source(span.first, span.last);
        let name = format!("loadBalancerSourceRanges of Service {}", service.path());
        let rule = |(at, span): (usize, &Span)| gate::Rule {
            number: u32::try_from(at).unwrap_or(u32::MAX),
            part_of: name.as_str().into(),
            place: place.clone(),
            text: span.to_string(),
            action: Action::Allow,
            cubes: vec![cube(span)],
            unmodelled: Vec::new(),
        };
        let rules = spans.iter().enumerate().map(rule).collect();
        let gate = Gate {
            kind: Kind::KubernetesNetworkPolicy,
            direction: gate::Direction::Inbound,
            name: name.clone(),
            place: place.clone(),
            order: Order::AllowOnly,
            stateful: true,
            rules,
            default: Action::Deny,
            default_text: both(
                "no range of loadBalancerSourceRanges has this source",
                "来源不在 loadBalancerSourceRanges 之内",
            ),
        };
        let packets = sources.iter().map(|span| {
            let last = port.unwrap_or(u16::MAX);
            cube(span).protocols(Protocols::of(&[self.protocol])).destination_ports(number..=last).opening()
        });
        let packets = packets.collect();
        self.step(both(name.clone(), name), Look::Gate { gate: Arc::new(gate), packets });
    }
}

fn service_words(service: &Service) -> Text {
    both(format!("Service {}", service.path()), format!("Service {}", service.path()))
}

fn leads(service: &Service, port: &ServicePort, pod: &str, target: u16) -> Text {
    let (sticky_en, sticky_zh) = if service.sticky {
        (", the same pod for each client", "，同一客户端固定到同一 Pod")
    } else {
        ("", "")
    };
    both(
        format!("port {} leads to port {target} of {pod}{sticky_en}", port.number),
        format!("端口 {} 通向 {pod} 的端口 {target}{sticky_zh}", port.number),
    )
}
