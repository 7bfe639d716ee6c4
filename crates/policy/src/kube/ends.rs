//! Where the ends of a question are in a cluster.

use super::Kube;
use super::connections::CONTROLLER;
use super::estate::{node_id, service_id};
use super::gates::Blocks;
use super::network::Network;
use crate::estate::End;
use crate::read::{Span, not_internet, number, without};
use crate::space::Family;

/// More blocks that are not of the Internet: what stands in for pods, and of IPv6 all but 2000::/3.
const NOT_INTERNET_EITHER: [&str; 5] = ["198.18.0.0/15", "::/3", "4000::/2", "8000::/1", "2001:db8::/32"];
/// Labels and namespaces by which ingress controllers are known.
const CONTROLLERS: [&str; 10] = [
    "ingress-nginx",
    "nginx-ingress",
    "openshift-ingress",
    "traefik",
    "haproxy-ingress",
    "kong",
    "contour",
    "projectcontour",
    "ambassador",
    "emissary-ingress",
];

/// One end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spot {
    /// A pod, in the network that was asked for.
    Pod(usize, Network),
    Service(usize),
    Node(usize),
    Controller,
    /// Addresses that are none of these.
    Outside(Vec<Span>),
}

impl Spot {
    pub fn of(kube: &Kube, end: &End) -> Spot {
        match end {
            End::Known(id) => known(kube, id).unwrap_or_else(|| Spot::Outside(beyond(kube))),
            End::Addresses(first, last) => {
                let span = Span { last: number(*last), ..Span::one(*first) };
                let single = (first == last).then(|| addressed(kube, span)).flatten();
                single.unwrap_or_else(|| Spot::Outside(vec![span]))
            }
            End::Outside => Spot::Outside(outside(kube)),
            End::OutsideBut(but) => Spot::Outside(without(&outside(kube), but)),
        }
    }
}

/// The addresses of the Internet that are nobody's here.
fn outside(kube: &Kube) -> Vec<Span> {
    without(&beyond(kube), &not_internet(&NOT_INTERNET_EITHER))
}

/// Every address that is no pod's, service's or node's.
pub(super) fn beyond(kube: &Kube) -> Vec<Span> {
    let own =
        kube.endpoints.iter().flat_map(|endpoint| &endpoint.addresses).map(|address| Span::one(*address));
    without(&Span::anywhere(), &own.collect::<Vec<_>>())
}

fn known(kube: &Kube, id: &str) -> Option<Spot> {
    if let Some(at) = kube.by_id.get(id).copied() {
        return Some(Spot::Pod(at, kube.pods.get(at)?.primary.clone()));
    }
    let service = |one: &super::service::Service| service_id(&one.namespace, &one.name) == id;
    if let Some(at) = kube.services.iter().position(service) {
        return Some(Spot::Service(at));
    }
    let node = kube.nodes.iter().position(|node| node_id(&node.name) == id).map(Spot::Node);
    node.or_else(|| (id == CONTROLLER).then_some(Spot::Controller))
}

fn addressed(kube: &Kube, span: Span) -> Option<Spot> {
    for (at, pod) in kube.pods.iter().enumerate() {
        for network in pod.networks() {
            if pod.addresses_in(network).iter().any(|address| Span::one(*address) == span) {
                // A pod with its node's network has the address of the node; whoever asks means the node.
                if !pod.host_network {
                    return Some(Spot::Pod(at, network.clone()));
                }
            }
        }
    }
    let at_service =
        |one: &super::service::Service| one.addresses().any(|address| Span::one(address) == span);
    let service = kube.services.iter().position(at_service).map(Spot::Service);
    let node = || kube.nodes.iter().position(|node| node.addresses.iter().any(|a| Span::one(*a) == span));
    service.or_else(|| node().map(Spot::Node))
}

/// The pods of ingress controllers, as far as names tell.
pub(super) fn controllers(kube: &Kube) -> Vec<usize> {
    let is_known = |word: &str| CONTROLLERS.contains(&word);
    let is_one = |pod: &super::pod::Pod| {
        let label = |key: &str| {
            pod.variants.iter().any(|labels| labels.get(key).is_some_and(|value| is_known(value)))
        };
        is_known(&pod.namespace) || label("app.kubernetes.io/name") || label("app")
    };
    kube.pods.iter().enumerate().filter(|(_, pod)| is_one(pod)).map(|(at, _)| at).collect()
}

/// The addresses of a pod, for packets to or from the other end's. A pod whose addresses are not known may have
/// one of either family.
pub(super) fn spans_beside(kube: &Kube, at: usize, network: &Network, others: &[Span]) -> Vec<Span> {
    let mut spans = kube.spans(at, network, Blocks::Plugin(kube.options.blocks_match_pods));
    let known = kube.pods.get(at).is_some_and(|pod| !pod.addresses_in(network).is_empty());
    if !known && others.iter().any(|other| other.family == Family::V6) {
        let sixth = spans.iter().map(|span| Span { family: Family::V6, ..*span }).collect::<Vec<_>>();
        spans.extend(sixth);
    }
    spans
}
