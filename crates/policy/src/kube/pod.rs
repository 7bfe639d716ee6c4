//! Pods, by the workload that owns them, with the namespaces and nodes they live in.

use super::network::{Attachment, Network};
use super::object::{Object, labels};
use super::selector::Labels;
use crate::doc::Node;
use crate::place::Place;
use crate::read::Span;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// The label every namespace has without being asked.
pub(super) const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

#[derive(Debug, Clone)]
pub(super) struct Namespace {
    pub labels: Labels,
    /// Where it is defined; nowhere when only pods speak of it, and its labels are then not known.
    pub place: Option<Place>,
}

impl Namespace {
    pub fn of(object: &Object<'_>) -> Namespace {
        let mut own = labels(object.node);
        own.insert(NAMESPACE_LABEL.to_owned(), object.name.to_owned());
        Namespace { labels: own, place: Some(object.place().clone()) }
    }

    pub fn implied(name: &str) -> Namespace {
        Namespace { labels: [(NAMESPACE_LABEL.to_owned(), name.to_owned())].into(), place: None }
    }
}

#[derive(Debug, Clone)]
pub(super) struct KubeNode {
    pub name: String,
    pub labels: Labels,
    pub addresses: Vec<IpAddr>,
    /// The addresses its pods get.
    pub pod_spans: Vec<Span>,
    pub place: Place,
}

impl KubeNode {
    pub fn of(object: &Object<'_>) -> KubeNode {
        let addresses = object.node.at(&["status", "addresses"]).map_or(&[][..], Node::list);
        let pod_spans = object.spec("podCIDRs").map_or(&[][..], Node::list);
        KubeNode {
            name: object.name.to_owned(),
            labels: labels(object.node),
            addresses: addresses.iter().filter_map(|a| a.word("address")?.parse().ok()).collect(),
            pod_spans: pod_spans.iter().filter_map(|range| Span::read(range.text()?)).collect(),
            place: object.place().clone(),
        }
    }
}

/// The pods of one workload: they are alike, but for what their labels may differ in.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    /// `default/web[Deployment]`.
    pub id: String,
    pub namespace: String,
    pub name: String,
    pub kind: String,
    pub place: Place,
    /// The different sets of labels its pods have; one at least.
    pub variants: BTreeSet<Labels>,
    pub ports: Vec<ContainerPort>,
    pub probes: Vec<Probe>,
    pub addresses: Vec<IpAddr>,
    pub pod_names: Vec<String>,
    /// The nodes it runs on, as far as is known.
    pub nodes: Vec<String>,
    pub host_network: bool,
    /// What its annotation or machine says of further networks.
    pub wants: Vec<Attachment>,
    pub primary: Network,
    pub secondary: Vec<(Network, Vec<IpAddr>)>,
    /// Known from pods that run, not from a template.
    real: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ContainerPort {
    pub name: String,
    pub number: u16,
    pub protocol: u8,
}

/// What the kubelet asks, from the pod's node.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub what: &'static str,
    pub port: u16,
    pub place: Place,
}

impl Pod {
    /// The number of a port by its name, for one protocol or for whichever has it.
    pub fn named_port(&self, name: &str, protocol: Option<u8>) -> Option<&ContainerPort> {
        let fits = |port: &&ContainerPort| port.name == name && protocol.is_none_or(|p| p == port.protocol);
        self.ports.iter().find(fits)
    }

    /// `default/web`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Its addresses in one network.
    pub fn addresses_in(&self, network: &Network) -> &[IpAddr] {
        if *network == self.primary {
            return &self.addresses;
        }
        self.secondary.iter().find(|(own, _)| own == network).map_or(&[], |(_, addresses)| addresses)
    }

    /// Its primary network, and the others.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        std::iter::once(&self.primary).chain(self.secondary.iter().map(|(network, _)| network))
    }

    pub fn is_in(&self, network: &Network) -> bool {
        self.networks().any(|own| own == network)
    }

    fn of(object: &Object<'_>, name: &str, kind: &str, template: &Node, real: bool) -> Pod {
        let spec = template.get("spec");
        let containers = || {
            spec.into_iter().flat_map(|spec| {
                let sidecars =
                    spec.each("initContainers").iter().filter(|c| c.word("restartPolicy") == Some("Always"));
                spec.each("containers").iter().chain(sidecars)
            })
        };
        let ports: Vec<ContainerPort> =
            containers().flat_map(|c| c.each("ports")).filter_map(container_port).collect();
        let probes = containers().flat_map(|container| probes(container, &ports)).collect();
        let status = object.node.get("status").filter(|_| real);
        let listed = status.map_or(&[][..], |status| status.each("podIPs"));
        let mut addresses: Vec<IpAddr> = listed.iter().filter_map(|ip| ip.word("ip")?.parse().ok()).collect();
        if addresses.is_empty() {
            addresses.extend(status.and_then(|status| status.word("podIP")?.parse::<IpAddr>().ok()));
        }
        Pod {
            id: format!("{}/{name}[{kind}]", object.namespace),
            namespace: object.namespace.to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            place: object.place().clone(),
            variants: BTreeSet::from([labels(template)]),
            ports,
            probes,
            addresses,
            pod_names: if real { vec![object.name.to_owned()] } else { Vec::new() },
            nodes: spec.and_then(|spec| spec.word("nodeName")).map(str::to_owned).into_iter().collect(),
            host_network: spec.and_then(|spec| spec.get("hostNetwork")?.bool()).unwrap_or(false),
            wants: Attachment::all(object, template),
            primary: Network::Pod,
            secondary: Vec::new(),
            real,
        }
    }

    /// Adds another pod of the same workload, or what its template says.
    fn join(&mut self, other: Pod) {
        if self.real && !other.real {
            return;
        }
        if other.real && !self.real {
            self.variants.clear();
            self.real = true;
        }
        self.variants.extend(other.variants);
        let add_ports = other.ports.into_iter().filter(|port| !self.ports.contains(port)).collect::<Vec<_>>();
        self.ports.extend(add_ports);
        self.addresses.extend(other.addresses);
        self.pod_names.extend(other.pod_names);
        self.nodes.extend(other.nodes);
        self.host_network |= other.host_network;
        for want in other.wants {
            match self.wants.iter_mut().find(|own| own.name == want.name && own.namespace == want.namespace) {
                Some(own) => own.addresses.extend(want.addresses),
                None => self.wants.push(want),
            }
        }
    }
}

fn container_port(node: &Node) -> Option<ContainerPort> {
    Some(ContainerPort {
        name: node.word("name").unwrap_or_default().to_owned(),
        number: node.get("containerPort")?.integer()?.try_into().ok()?,
        protocol: node.word("protocol").map_or(Some(6), protocol)?,
    })
}

/// The number of a protocol that policies and services may name.
pub(super) fn protocol(name: &str) -> Option<u8> {
    match name {
        "TCP" => Some(6),
        "UDP" => Some(17),
        "SCTP" => Some(132),
        _ => None,
    }
}

fn probes(container: &Node, ports: &[ContainerPort]) -> Vec<Probe> {
    let mut probes = Vec::new();
    for what in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for handler in ["httpGet", "tcpSocket", "grpc"] {
            let Some(port) = container.at(&[what, handler, "port"]) else { continue };
            let named =
                || ports.iter().find(|own| Some(own.name.as_str()) == port.text()).map(|own| own.number);
            let number = port.integer().and_then(|number| number.try_into().ok()).or_else(named);
            probes.extend(number.map(|number| Probe { what, port: number, place: port.place.clone() }));
        }
    }
    probes
}

/// Pods and workloads as they are read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pods: Vec<Pod>,
    known: HashMap<String, usize>,
}

impl Gathered {
    /// Adds what has pods; anything else is passed over.
    pub fn add(&mut self, object: &Object<'_>) {
        let node = object.node;
        let template = match object.kind {
            "Pod" | "VirtualMachineInstance" => Some(node),
            "Deployment"
            | "StatefulSet"
            | "DaemonSet"
            | "ReplicaSet"
            | "Job"
            | "ReplicationController"
            | "DeploymentConfig"
            | "VirtualMachine" => node.at(&["spec", "template"]),
            "CronJob" => node.at(&["spec", "jobTemplate", "spec", "template"]),
            _ => None,
        };
        let Some(template) = template else { return };
        let owner = node.at(&["metadata", "ownerReferences"]).map_or(&[][..], Node::list);
        let owner = owner.iter().find(|owner| owner.get("controller").and_then(Node::bool) == Some(true));
        let pod = match (object.kind, owner) {
            ("Pod", Some(owner)) if owner.word("kind") != Some("Node") => {
                let kind = match owner.word("kind") {
                    None | Some("") => "Pod",
                    Some("VirtualMachineInstance") => "VirtualMachine",
                    Some(kind) => kind,
                };
                Pod::of(object, owner.word("name").unwrap_or(object.name), kind, template, true)
            }
            ("VirtualMachineInstance", _) => Pod::of(object, object.name, "VirtualMachine", template, false),
            (kind, _) => Pod::of(object, object.name, kind, template, kind == "Pod"),
        };
        match self.known.get(&pod.id) {
            Some(at) => {
                if let Some(known) = self.pods.get_mut(*at) {
                    known.join(pod);
                }
            }
            None => {
                self.known.insert(pod.id.clone(), self.pods.len());
                self.pods.push(pod);
            }
        }
    }

    pub fn finish(self) -> Vec<Pod> {
        let mut pods = self.pods;
        pods.sort_by(|a, b| a.id.cmp(&b.id));
        for pod in &mut pods {
            pod.addresses.sort_unstable();
            pod.addresses.dedup();
            pod.nodes.sort_unstable();
            pod.nodes.dedup();
        }
        pods
    }
}
