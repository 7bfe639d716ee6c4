//! From documents to objects: lists are unfolded, kinds told apart.

use super::network::Networks;
use super::pod::{Gathered, KubeNode, Namespace};
use super::policy::Policy;
use super::selector::Labels;
use super::service::{Endpoints, Ingress, Service};
use super::{Kube, Options};
use crate::doc::Node;
use crate::place::{Place, Unread};
use std::collections::BTreeMap;

/// How deep lists of objects may contain lists of objects.
const LIST_DEPTH_MAX: usize = 4;
/// The kinds of policies that plugins and meshes have besides Kubernetes' own.
const FOREIGN_KINDS: [&str; 8] = [
    "CiliumNetworkPolicy",
    "CiliumClusterwideNetworkPolicy",
    "GlobalNetworkPolicy",
    "StagedNetworkPolicy",
    "ClusterNetworkPolicy",
    "AuthorizationPolicy",
    "EgressFirewall",
    "EgressNetworkPolicy",
];

/// One object, with what all objects have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object<'a> {
    pub kind: &'a str,
    pub name: &'a str,
    pub namespace: &'a str,
    pub node: &'a Node,
}

/// A policy that is not modelled.
#[derive(Debug, Clone)]
pub(super) struct Foreign {
    pub what: String,
    /// Where it acts; everywhere when there is none.
    pub namespace: Option<String>,
    pub place: Place,
}

/// A policy that is defined twice: its title, where first, where then.
pub(super) type Twice = (String, Place, Place);

impl<'a> Object<'a> {
    fn of(node: &'a Node, kind: Option<&'a str>) -> Option<Object<'a>> {
        let kind = node.word("kind").or(kind)?;
        let name = node.at(&["metadata", "name"]).or_else(|| node.at(&["metadata", "generateName"]));
        let namespace =
            node.at(&["metadata", "namespace"]).and_then(Node::text).filter(|name| !name.is_empty());
        let name = name.and_then(Node::text).unwrap_or_default();
        Some(Object { kind, name, namespace: namespace.unwrap_or("default"), node })
    }

    pub fn place(&self) -> &'a Place {
        &self.node.place
    }

    pub fn spec(&self, key: &str) -> Option<&'a Node> {
        self.node.at(&["spec", key]).filter(|node| !node.is_null())
    }

    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.node.at(&["metadata", "annotations", key])?.text()
    }

    /// `default/web`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// The labels under `metadata` of an object or a template.
pub(super) fn labels(node: &Node) -> Labels {
    let members = node.at(&["metadata", "labels"]).map_or(&[][..], Node::members);
    members.iter().filter_map(|(key, value)| Some((key.clone(), value.text()?.to_owned()))).collect()
}

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub unread: Vec<Unread>,
    namespaces: BTreeMap<String, Namespace>,
    pods: Gathered,
    nodes: Vec<KubeNode>,
    /// By their titles.
    policies: BTreeMap<String, Policy>,
    services: Vec<Service>,
    slices: Vec<Endpoints>,
    ingresses: Vec<Ingress>,
    secrets: Option<Vec<(String, String)>>,
    networks: Networks,
    foreign: Vec<Foreign>,
    twice: Vec<Twice>,
}

impl Reading {
    pub fn document(&mut self, node: &Node) {
        self.unfold(node, None, 0);
    }

    /// Takes a list apart. The items of a `PodList` need not say that they are pods.
    fn unfold(&mut self, node: &Node, kind: Option<&str>, depth: usize) {
        let list_of = node.word("kind").map_or(Some(""), |kind| kind.strip_suffix("List"));
        let items = if node.get("items").is_some() { node.each("items") } else { node.list() };
        match list_of {
            Some(_) if !items.is_empty() && depth >= LIST_DEPTH_MAX => {
                self.cannot(node, "lists of lists of objects", "对象列表嵌套过深");
            }
            Some(of) if !items.is_empty() => {
                let of = Some(of).filter(|of| !of.is_empty());
                items.iter().for_each(|item| self.unfold(item, of, depth + 1));
            }
            _ => {
                if let Some(object) = Object::of(node, kind) {
                    self.object(&object);
                }
            }
        }
    }

    fn object(&mut self, object: &Object<'_>) {
        let group = object.node.word("apiVersion").unwrap_or_default().split('/').next().unwrap_or_default();
        match object.kind {
            "Namespace" => {
                self.namespaces.insert(object.name.to_owned(), Namespace::of(object));
            }
            "Node" => self.nodes.push(KubeNode::of(object)),
            "NetworkPolicy" if !matches!(group, "networking.k8s.io" | "extensions" | "") => {
                self.foreign(object)
            }
            kind if FOREIGN_KINDS.contains(&kind) => self.foreign(object),
            "NetworkPolicy" | "MultiNetworkPolicy" | "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy" => {
                self.policy(object);
            }
            "Service" => self.services.push(Service::of(object)),
            "Endpoints" | "EndpointSlice" => self.slices.push(Endpoints::of(object)),
            "Ingress" | "Route" | "HTTPRoute" | "GRPCRoute" => self.ingresses.push(Ingress::of(object)),
            "Secret" => {
                let name = (object.namespace.to_owned(), object.name.to_owned());
                self.secrets.get_or_insert_default().push(name);
            }
            "UserDefinedNetwork" | "ClusterUserDefinedNetwork" | "NetworkAttachmentDefinition" => {
                self.networks.add(object, &mut self.unread);
            }
            _ => self.pods.add(object),
        }
    }

    fn policy(&mut self, object: &Object<'_>) {
        match Policy::read(object, &mut self.unread) {
            Ok(policy) => {
                let (title, place) = (policy.title(), policy.place.clone());
                // Applied one after the other, the later takes the place of the earlier.
                if let Some(before) = self.policies.insert(title.clone(), policy) {
                    self.twice.push((title, before.place, place));
                }
            }
            Err((node, en, zh)) => {
                self.cannot(node, en, zh);
                self.foreign(object);
            }
        }
    }

    fn foreign(&mut self, object: &Object<'_>) {
        let wide = object.kind.contains("Global")
            || object.kind.contains("Cluster")
            || object.kind.contains("Admin");
        self.foreign.push(Foreign {
            what: format!("{} {}", object.kind, if wide { object.name.to_owned() } else { object.path() }),
            namespace: (!wide).then(|| object.namespace.to_owned()),
            place: object.place().clone(),
        });
    }

    fn cannot(&mut self, node: &Node, en: &str, zh: &str) {
        let text = node.text().unwrap_or_default();
        self.unread.push(Unread::new(node.place.clone(), text, en, zh));
    }

    /// Joins what belongs together.
    pub fn finish(mut self, options: Options) -> Kube {
        let mut pods = self.pods.finish();
        for pod in &pods {
            let missing = || Namespace::implied(&pod.namespace);
            self.namespaces.entry(pod.namespace.clone()).or_insert_with(missing);
        }
        self.networks.attach(&mut pods, &self.namespaces);
        // Among equals the order is not defined; that of their names keeps answers the same.
        let mut policies: Vec<Policy> = self.policies.into_values().collect();
        policies.sort_by_key(|policy| policy.layer);
        let mut kube = Kube {
            options,
            namespaces: self.namespaces,
            stand_ins: super::gates::stand_ins(&pods),
            by_id: pods.iter().enumerate().map(|(at, pod)| (pod.id.clone(), at)).collect(),
            pods,
            nodes: self.nodes,
            policies,
            services: self.services,
            slices: self.slices,
            ingresses: self.ingresses,
            secrets: self.secrets,
            networks: self.networks,
            foreign: self.foreign,
            twice: self.twice,
            endpoints: Vec::new(),
            unread: self.unread,
            built: Default::default(),
        };
        kube.endpoints = super::estate::endpoints(&kube);
        kube
    }
}
