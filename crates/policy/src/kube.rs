//! Kubernetes manifests as an estate: pods, the policies that select them, the services that lead to them.
//!
//! Policies: NetworkPolicy, AdminNetworkPolicy and BaselineAdminNetworkPolicy, MultiNetworkPolicy on secondary
//! networks. What other network policies a plugin knows is not modelled and makes a verdict depend.

mod allow;
mod connections;
mod ends;
mod estate;
pub mod faults;
mod gates;
mod judge;
mod network;
mod object;
mod peers;
mod pod;
mod policy;
mod selector;
mod service;
mod translate;
mod way;
mod words;

pub use connections::Connection;
pub use network::Network;

use crate::doc::{Node, Read, json, yaml};
use crate::estate::Endpoint;
use crate::place::Unread;
use crate::read::Span;
use network::Networks;
use object::Reading;
use pod::{KubeNode, Namespace, Pod};
use policy::Policy;
use service::{Endpoints, Ingress, Service};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

/// Keys whose text is a document of its own: a machine's networks, as cloud-init takes them.
const DOCUMENTS: [&str; 1] = ["networkData"];

/// Documents without control characters, but for what stands in them as documents of their own.
pub(crate) fn printable(read: Read) -> Read {
    let documents = read.documents.into_iter().map(|document| document.printable_but(&DOCUMENTS));
    Read { documents: documents.collect(), ..read }
}

/// What Kubernetes leaves to a cluster's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether an `ipBlock` matches the addresses of pods: the network plugin decides (Calico yes, Cilium no).
    pub blocks_match_pods: Option<bool>,
    /// `--service-node-port-range` of the API server.
    pub node_ports: (u16, u16),
}

impl Default for Options {
    fn default() -> Options {
        Options { blocks_match_pods: None, node_ports: (30_000, 32_767) }
    }
}

/// The objects of a cluster, from manifests or `kubectl get -o yaml`.
#[derive(Debug)]
pub struct Kube {
    options: Options,
    namespaces: BTreeMap<String, Namespace>,
    pods: Vec<Pod>,
    by_id: HashMap<String, usize>,
    nodes: Vec<KubeNode>,
    policies: Vec<Policy>,
    services: Vec<Service>,
    slices: Vec<Endpoints>,
    ingresses: Vec<Ingress>,
    /// The names of Secrets; `None` when the files have none, so that a missing one means nothing.
    secrets: Option<Vec<(String, String)>>,
    networks: Networks,
    /// Policies of a kind that is not modelled, and the namespace they act in (`None`: everywhere).
    foreign: Vec<object::Foreign>,
    twice: Vec<object::Twice>,
    endpoints: Vec<Endpoint>,
    unread: Vec<Unread>,
    /// What stands in a gate for each pod whose addresses are not known.
    stand_ins: Vec<Span>,
    built: Mutex<gates::Built>,
}

impl Kube {
    /// Reads manifests, YAML or JSON, each with the name of its file.
    pub fn read(files: &[(Arc<str>, &str)], options: Options) -> Kube {
        let one = |(file, text): &(Arc<str>, &str)| {
            if text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']) {
                let read = json(file, text);
                // A flow collection of YAML begins like JSON.
                return if read.unread.is_empty() { read } else { fewer_faults(read, yaml(file, text)) };
            }
            yaml(file, text)
        };
        Kube::of(files.iter().map(|file| printable(one(file))).collect(), options)
    }

    /// The same from documents that have been read and are without control characters.
    pub fn of(reads: Vec<Read>, options: Options) -> Kube {
        let mut reading = Reading::default();
        for read in reads {
            reading.unread.extend(read.unread);
            read.documents.iter().for_each(|document| reading.document(document));
        }
        reading.finish(options)
    }

    /// Whether a document is an object, or a list of objects, of Kubernetes.
    pub fn is(document: &Node) -> bool {
        document.word("kind").is_some() && document.word("apiVersion").is_some()
    }

    fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }
}

fn fewer_faults(one: Read, other: Read) -> Read {
    if other.unread.len() < one.unread.len() { other } else { one }
}
