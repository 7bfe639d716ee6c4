//! The networks pods are in: the pod network, user-defined ones in its place, and secondary ones beside it.

use super::object::Object;
use super::pod::{Namespace, Pod};
use super::selector::Selector;
use crate::doc::{Node, json, yaml};
use crate::place::{Place, Unread};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::net::IpAddr;

/// Without this label of its namespace a pod stays in the pod network.
const PRIMARY_LABEL: &str = "k8s.ovn.org/primary-user-defined-network";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The one every cluster has.
    Pod,
    /// The primary network of one namespace (UserDefinedNetwork).
    Udn { namespace: String },
    /// The primary network of several namespaces (ClusterUserDefinedNetwork).
    Cudn { name: String },
    /// A further interface (NetworkAttachmentDefinition). Definitions of one name in several namespaces are one
    /// network.
    Secondary { name: String },
}

impl Network {
    pub(super) fn is_secondary(&self) -> bool {
        matches!(self, Network::Secondary { .. })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::Pod => to.write_str("Pod network"),
            Network::Udn { namespace } => write!(to, "primary UDN {namespace}"),
            Network::Cudn { name } => write!(to, "primary CUDN {name}"),
            Network::Secondary { name } => write!(to, "secondary NAD {name}"),
        }
    }
}

/// What a pod says of one further network.
#[derive(Debug, Clone)]
pub(super) struct Attachment {
    pub namespace: String,
    pub name: String,
    pub addresses: Vec<IpAddr>,
    pub place: Place,
}

impl Attachment {
    /// From the annotation of pods and the `networks` of machines.
    pub fn all(object: &Object<'_>, template: &Node) -> Vec<Attachment> {
        let annotations = template.at(&["metadata", "annotations"]);
        let annotation = annotations.and_then(|all| all.get("k8s.v1.cni.cncf.io/networks"));
        let mut all = annotation.map_or_else(Vec::new, |node| from_annotation(node, object.namespace));
        let networks = template.at(&["spec", "networks"]).map_or(&[][..], Node::list);
        for network in networks {
            let Some(name) = network.at(&["multus", "networkName"]) else { continue };
            let (namespace, name) = split(name.text().unwrap_or_default(), object.namespace);
            let addresses = machine_addresses(template);
            all.push(Attachment { namespace, name, addresses, place: network.place.clone() });
        }
        all
    }
}

/// `namespace/name@interface` parted by commas, or a list of objects as JSON.
fn from_annotation(node: &Node, namespace: &str) -> Vec<Attachment> {
    let text = node.text().unwrap_or_default();
    if text.trim_start().starts_with('[') {
        let read = json(&node.place.file, text);
        let one = |entry: &Node| {
            let ips = entry.each("ips").iter();
            Some(Attachment {
                namespace: entry.word("namespace").unwrap_or(namespace).to_owned(),
                name: entry.word("name")?.to_owned(),
                addresses: ips.filter_map(|ip| address(ip.text()?)).collect(),
                place: node.place.clone(),
            })
        };
        return read.documents.iter().flat_map(Node::list).filter_map(one).collect();
    }
    let one = |entry: &str| {
        let (namespace, name) = split(entry.split('@').next().unwrap_or_default(), namespace);
        Attachment { namespace, name, addresses: Vec::new(), place: node.place.clone() }
    };
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(one).collect()
}

fn split(path: &str, namespace: &str) -> (String, String) {
    let (namespace, name) = path.trim().split_once('/').unwrap_or((namespace, path.trim()));
    (namespace.to_owned(), name.to_owned())
}

fn address(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.parse().ok()
}

/// The addresses that cloud-init gives a machine's interfaces. Which of them is in which network it does not say.
fn machine_addresses(template: &Node) -> Vec<IpAddr> {
    let volumes = template.at(&["spec", "volumes"]).map_or(&[][..], Node::list);
    let mut addresses = Vec::new();
    for volume in volumes {
        let data = ["cloudInitNoCloud", "cloudInitConfigDrive"]
            .into_iter()
            .find_map(|kind| volume.get(kind)?.word("networkData"));
        let Some(data) = data else { continue };
        for document in yaml(&volume.place.file, data).documents {
            let interfaces = document.get("ethernets").map_or(&[][..], Node::members);
            let all = interfaces.iter().flat_map(|(_, interface)| interface.each("addresses"));
            addresses.extend(all.filter_map(|node| address(node.text()?)));
        }
    }
    addresses
}

/// The networks that are defined.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// Namespaces with a primary network of their own.
    own: Vec<String>,
    shared: Vec<(String, Selector)>,
    /// Namespace and name of each attachment definition.
    attachments: HashSet<(String, String)>,
    /// What pods ask for and nobody defines.
    pub missing: Vec<(String, Place)>,
}

impl Networks {
    pub fn add(&mut self, object: &Object<'_>, unread: &mut Vec<Unread>) {
        let primary = |spec: Option<&Node>| {
            let role =
                |layer: &str| spec.and_then(|spec| spec.at(&[layer, "role"])?.text().map(|r| r == "Primary"));
            role("layer2").or_else(|| role("layer3")).unwrap_or(false)
        };
        let path = (object.namespace.to_owned(), object.name.to_owned());
        match object.kind {
            "UserDefinedNetwork" if primary(object.node.get("spec")) => self.own.push(path.0),
            "ClusterUserDefinedNetwork" if primary(object.spec("network")) => {
                let Some(selector) = object.spec("namespaceSelector") else { return };
                match Selector::read(selector) {
                    Ok(selector) => self.shared.push((path.1, selector)),
                    Err((node, en, zh)) => unread.push(Unread::new(node.place.clone(), object.name, en, zh)),
                }
            }
            // A secondary network of these kinds makes an attachment definition of its name in its namespaces.
            "ClusterUserDefinedNetwork" => {}
            _ => {
                self.attachments.insert(path);
            }
        }
    }

    /// Gives every pod its networks.
    pub fn attach(&mut self, pods: &mut [Pod], namespaces: &BTreeMap<String, Namespace>) {
        for pod in pods {
            pod.primary = self.primary(&pod.namespace, namespaces);
            for want in std::mem::take(&mut pod.wants) {
                if !self.attachments.contains(&(want.namespace.clone(), want.name.clone())) {
                    self.missing.push((format!("{}/{}", want.namespace, want.name), want.place));
                    continue;
                }
                pod.secondary.push((Network::Secondary { name: want.name }, want.addresses));
            }
        }
    }

    fn primary(&self, namespace: &str, namespaces: &BTreeMap<String, Namespace>) -> Network {
        let Some(labels) = namespaces.get(namespace).map(|namespace| &namespace.labels) else {
            return Network::Pod;
        };
        if !labels.contains_key(PRIMARY_LABEL) {
            return Network::Pod;
        }
        if self.own.iter().any(|own| own == namespace) {
            return Network::Udn { namespace: namespace.to_owned() };
        }
        let shared = self.shared.iter().find(|(_, selector)| selector.matches(labels));
        shared.map_or(Network::Pod, |(name, _)| Network::Cudn { name: name.clone() })
    }

    /// Whether an attachment definition of this name is in that namespace.
    pub fn has(&self, namespace: &str, name: &str) -> bool {
        self.attachments.contains(&(namespace.to_owned(), name.to_owned()))
    }
}
