//! Services, what is behind them, and what leads to them from outside.

use super::object::Object;
use super::pod::{Pod, protocol};
use super::selector::{Labels, Selector};
use crate::doc::Node;
use crate::place::Place;
use crate::read::Span;
use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    ClusterIp,
    Headless,
    NodePort,
    LoadBalancer,
    ExternalName,
}

#[derive(Debug, Clone)]
pub(super) struct Service {
    pub namespace: String,
    pub name: String,
    pub place: Place,
    pub kind: Type,
    /// `None`: its endpoints are made by hand.
    pub selector: Option<Selector>,
    /// A selector that could not be read.
    pub refused: Option<(Place, &'static str, &'static str)>,
    pub ports: Vec<ServicePort>,
    pub cluster_addresses: Vec<IpAddr>,
    pub external_addresses: Vec<(IpAddr, Place)>,
    pub balancer_addresses: Vec<IpAddr>,
    pub external_name: Option<String>,
    /// `externalTrafficPolicy: Local`: the client's address stays, and only nodes with a pod answer.
    pub local: bool,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    pub sticky: bool,
    pub source_ranges: Option<(Vec<Span>, Place)>,
}

#[derive(Debug, Clone)]
pub(super) struct ServicePort {
    pub name: String,
    pub number: u16,
    pub protocol: u8,
    pub target: Target,
    pub node_port: Option<u16>,
    pub place: Place,
}

/// A port of a pod, or of a service, by number or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Number(u16),
    Name(String),
}

impl Target {
    pub fn of(node: &Node) -> Option<Target> {
        match node.integer() {
            Some(number) => number.try_into().ok().map(Target::Number),
            None => node.text().filter(|text| !text.is_empty()).map(|name| Target::Name(name.to_owned())),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Number(number) => write!(to, "{number}"),
            Target::Name(name) => to.write_str(name),
        }
    }
}

impl Service {
    pub fn of(object: &Object<'_>) -> Service {
        let list = |key: &str| object.spec(key).map_or(&[][..], Node::list);
        let word = |key: &str| object.spec(key).and_then(Node::text);
        let address = |node: &Node| node.text()?.parse::<IpAddr>().ok();
        let (mut refused, mut selector) = (None, None);
        // An empty selector is as good as none.
        if let Some(node) = object.spec("selector").filter(|node| !node.members().is_empty()) {
            match Selector::map(node) {
                Ok(read) => selector = Some(read),
                Err((node, en, zh)) => refused = Some((node.place.clone(), en, zh)),
            }
        }
        let mut cluster_addresses: Vec<IpAddr> = list("clusterIPs").iter().filter_map(address).collect();
        if cluster_addresses.is_empty() {
            cluster_addresses.extend(object.spec("clusterIP").and_then(address));
        }
        let balancers = object.node.at(&["status", "loadBalancer", "ingress"]).map_or(&[][..], Node::list);
        let external =
            list("externalIPs").iter().filter_map(|node| Some((address(node)?, node.place.clone())));
        let ranges = object.spec("loadBalancerSourceRanges").filter(|node| !node.list().is_empty());
        let range_of = |node: &Node| Span::read(node.text()?);
        Service {
            namespace: object.namespace.to_owned(),
            name: object.name.to_owned(),
            place: object.place().clone(),
            kind: kind(word("type"), word("clusterIP")),
            selector,
            refused,
            ports: list("ports").iter().filter_map(service_port).collect(),
            cluster_addresses,
            external_addresses: external.collect(),
            balancer_addresses: balancers
                .iter()
                .filter_map(|node| node.get("ip"))
                .chain(object.spec("loadBalancerIP"))
                .filter_map(address)
                .collect(),
            external_name: word("externalName").map(str::to_owned),
            local: word("externalTrafficPolicy") == Some("Local"),
            internal_local: word("internalTrafficPolicy") == Some("Local"),
            sticky: word("sessionAffinity") == Some("ClientIP"),
            source_ranges: ranges
                .map(|node| (node.list().iter().filter_map(range_of).collect(), node.place.clone())),
        }
    }

    /// `default/web`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Every address it is reached by.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let external = self.external_addresses.iter().map(|(address, _)| address);
        self.cluster_addresses.iter().chain(external).chain(&self.balancer_addresses).copied()
    }

    pub fn selects(&self, pod: &Pod) -> bool {
        let chosen =
            |selector: &Selector| pod.variants.iter().any(|labels: &Labels| selector.matches(labels));
        self.namespace == pod.namespace && self.selector.as_ref().is_some_and(chosen)
    }

    /// Its port by number or name.
    pub fn port(&self, wanted: &Target) -> Option<&ServicePort> {
        self.ports.iter().find(|port| match wanted {
            Target::Number(number) => port.number == *number,
            Target::Name(name) => port.name == *name,
        })
    }
}

impl ServicePort {
    /// The port it leads to on one pod; `None` when the pod has no port of that name.
    pub fn on(&self, pod: &Pod) -> Option<u16> {
        match &self.target {
            Target::Number(number) => Some(*number),
            Target::Name(name) => pod.named_port(name, Some(self.protocol)).map(|port| port.number),
        }
    }
}

fn kind(kind: Option<&str>, cluster_ip: Option<&str>) -> Type {
    match kind {
        Some("ExternalName") => Type::ExternalName,
        Some("NodePort") => Type::NodePort,
        Some("LoadBalancer") => Type::LoadBalancer,
        _ if cluster_ip == Some("None") => Type::Headless,
        _ => Type::ClusterIp,
    }
}

fn service_port(node: &Node) -> Option<ServicePort> {
    let small = |key: &str| node.get(key)?.integer()?.try_into().ok();
    let number = small("port")?;
    Some(ServicePort {
        name: node.word("name").unwrap_or_default().to_owned(),
        number,
        protocol: node.word("protocol").map_or(Some(6), protocol)?,
        target: node.get("targetPort").and_then(Target::of).unwrap_or(Target::Number(number)),
        node_port: small("nodePort").filter(|port| *port > 0),
        place: node.place.clone(),
    })
}

/// The addresses of one Endpoints or EndpointSlice object.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub namespace: String,
    pub service: String,
    pub place: Place,
    pub ready: Vec<IpAddr>,
    pub not_ready: Vec<IpAddr>,
}

impl Endpoints {
    pub fn of(object: &Object<'_>) -> Endpoints {
        let node = object.node;
        let label = node.at(&["metadata", "labels", "kubernetes.io/service-name"]).and_then(Node::text);
        let (mut ready, mut not_ready) = (Vec::new(), Vec::new());
        let address = |node: &Node| node.text()?.parse::<IpAddr>().ok();
        for subset in node.each("subsets") {
            ready.extend(subset.each("addresses").iter().filter_map(|a| address(a.get("ip")?)));
            not_ready.extend(subset.each("notReadyAddresses").iter().filter_map(|a| address(a.get("ip")?)));
        }
        for endpoint in node.each("endpoints") {
            // An unknown state counts as ready.
            let is_ready = endpoint.at(&["conditions", "ready"]).and_then(Node::bool).unwrap_or(true);
            let addresses = endpoint.each("addresses").iter().filter_map(address);
            if is_ready { ready.extend(addresses) } else { not_ready.extend(addresses) }
        }
        Endpoints {
            namespace: object.namespace.to_owned(),
            service: label.unwrap_or(object.name).to_owned(),
            place: object.place().clone(),
            ready,
            not_ready,
        }
    }
}

/// An Ingress, a Route of OpenShift, or a route of the Gateway API: what a controller lets in.
#[derive(Debug, Clone)]
pub(super) struct Ingress {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub class: Option<String>,
    pub place: Place,
    pub hosts: Vec<String>,
    pub backends: Vec<Backend>,
    /// Secrets with certificates.
    pub secrets: Vec<(String, Place)>,
}

#[derive(Debug, Clone)]
pub(super) struct Backend {
    pub namespace: String,
    pub service: String,
    /// `None`: every port of the service.
    pub port: Option<Target>,
    /// A Route names the port of the pod.
    pub of_pod: bool,
    pub path: String,
    pub place: Place,
}

impl Ingress {
    pub fn of(object: &Object<'_>) -> Ingress {
        let annotation = object.annotation("kubernetes.io/ingress.class");
        let class = object.spec("ingressClassName").and_then(Node::text).or(annotation);
        let tls = object.spec("tls").map_or(&[][..], Node::list);
        let secret =
            |node: &Node| Some((node.word("secretName")?.to_owned(), node.get("secretName")?.place.clone()));
        let (backends, hosts) = match object.kind {
            "Ingress" => ingress(object),
            "Route" => (
                route(object),
                object.spec("host").and_then(Node::text).map(str::to_owned).into_iter().collect(),
            ),
            _ => gateway_route(object),
        };
        Ingress {
            kind: object.kind.to_owned(),
            namespace: object.namespace.to_owned(),
            name: object.name.to_owned(),
            class: class.map(str::to_owned),
            place: object.place().clone(),
            hosts,
            backends,
            secrets: tls.iter().filter_map(secret).collect(),
        }
    }

    pub fn title(&self) -> String {
        let class = self.class.as_ref().map_or(String::new(), |class| format!(" of class {class}"));
        format!("{} {}/{}{class}", self.kind, self.namespace, self.name)
    }
}

fn ingress(object: &Object<'_>) -> (Vec<Backend>, Vec<String>) {
    let rules = object.spec("rules").map_or(&[][..], Node::list);
    let paths = rules.iter().flat_map(|rule| rule.at(&["http", "paths"]).map_or(&[][..], Node::list));
    let path_backends =
        paths.filter_map(|path| Some((path.word("path").unwrap_or("/"), path.get("backend")?)));
    let default = object.spec("defaultBackend").or_else(|| object.spec("backend")).map(|node| ("*", node));
    let one = |(path, backend): (&str, &Node)| {
        // `serviceName` and `servicePort` are those of the API before 1.19.
        let service = backend.get("service");
        let name = service.and_then(|s| s.get("name")).or_else(|| backend.get("serviceName"))?;
        let port = service.and_then(|s| s.at(&["port", "number"]).or_else(|| s.at(&["port", "name"])));
        Some(Backend {
            namespace: object.namespace.to_owned(),
            service: name.text()?.to_owned(),
            port: port.or_else(|| backend.get("servicePort")).and_then(Target::of),
            of_pod: false,
            path: path.to_owned(),
            place: name.place.clone(),
        })
    };
    let hosts = rules.iter().filter_map(|rule| rule.word("host").map(str::to_owned)).collect();
    (path_backends.chain(default).filter_map(one).collect(), hosts)
}

fn route(object: &Object<'_>) -> Vec<Backend> {
    let others = object.spec("alternateBackends").map_or(&[][..], Node::list);
    let port = object.spec("port").and_then(|port| port.get("targetPort")).and_then(Target::of);
    let one = |node: &Node| {
        let is_service = node.word("kind").is_none_or(|kind| kind == "Service");
        let name = node.get("name").filter(|_| is_service)?;
        Some(Backend {
            namespace: object.namespace.to_owned(),
            service: name.text()?.to_owned(),
            port: port.clone(),
            of_pod: true,
            path: "/".to_owned(),
            place: name.place.clone(),
        })
    };
    object.spec("to").into_iter().chain(others).filter_map(one).collect()
}

fn gateway_route(object: &Object<'_>) -> (Vec<Backend>, Vec<String>) {
    let rules = object.spec("rules").map_or(&[][..], Node::list);
    let one = |node: &Node| {
        let is_service = node.word("kind").is_none_or(|kind| kind == "Service");
        let name = node.get("name").filter(|_| is_service)?;
        Some(Backend {
            namespace: node.word("namespace").unwrap_or(object.namespace).to_owned(),
            service: name.text()?.to_owned(),
            port: node.get("port").and_then(Target::of),
            of_pod: false,
            path: "/".to_owned(),
            place: name.place.clone(),
        })
    };
    let backends = rules.iter().flat_map(|rule| rule.each("backendRefs")).filter_map(one).collect();
    let hosts = object.spec("hostnames").map_or(&[][..], Node::list);
    (backends, hosts.iter().filter_map(|host| host.text().map(str::to_owned)).collect())
}
