//! The estate that manifests are: endpoints, gates, ways.

use super::Kube;
use super::gates::{Blocks, Key};
use super::policy::Direction;
use crate::estate::{Ask, Because, Endpoint, Estate, Fix, Step};
use crate::gate::Gate;
use crate::place::{Place, Unread, both};
use crate::space::Cube;
use netwhy_model::Text;
use std::sync::Arc;

impl Estate for Kube {
    fn title(&self) -> Text {
        let (pods, policies) = (self.pods.len(), self.policies.len());
        both(
            format!("Kubernetes: {pods} workloads, {policies} policies"),
            format!("Kubernetes：{pods} 个工作负载，{policies} 条策略"),
        )
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn unread(&self) -> &[Unread] {
        &self.unread
    }

    fn gates(&self) -> Vec<Arc<Gate>> {
        let blocks = Blocks::Plugin(self.options.blocks_match_pods);
        let mut gates = Vec::new();
        for (at, pod) in self.pods.iter().enumerate() {
            for network in pod.networks() {
                for direction in [Direction::Ingress, Direction::Egress] {
                    gates.extend(self.gate(Key { pod: at, direction, network: network.clone(), blocks }));
                }
            }
        }
        gates
    }

    fn lint_gates(&self) -> Vec<Arc<Gate>> {
        self.policy_gates()
    }

    fn defaults(&self, gate: &Gate) -> Vec<Because> {
        self.isolating(gate)
    }

    fn way(&self, ask: &Ask) -> Vec<Step> {
        super::way::way(self, ask)
    }

    fn allow(&self, gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
        super::allow::allow(self, gate, packets)
    }
}

/// The endpoint of a service: `default/web[Service]`.
pub(super) fn service_id(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}[Service]")
}

/// The endpoint of a node: `worker-1[Node]`.
pub(super) fn node_id(name: &str) -> String {
    format!("{name}[Node]")
}

/// Pods, services, nodes, and the ingress controller where something is let in.
pub(super) fn endpoints(kube: &Kube) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for pod in &kube.pods {
        let mut names = vec![pod.path(), pod.name.clone()];
        names.extend(
            pod.pod_names
                .iter()
                .filter(|name| **name != pod.name)
                .map(|name| format!("{}/{name}", pod.namespace)),
        );
        let secondary = pod.secondary.iter().flat_map(|(_, addresses)| addresses);
        let addresses = pod.addresses.iter().chain(secondary).copied().collect();
        endpoints.push(Endpoint { id: pod.id.clone(), names, addresses, place: pod.place.clone() });
    }
    for service in &kube.services {
        let dns = format!("{}.{}", service.name, service.namespace);
        endpoints.push(Endpoint {
            id: service_id(&service.namespace, &service.name),
            names: vec![format!("{dns}.svc"), format!("{dns}.svc.cluster.local"), dns],
            addresses: service.addresses().collect(),
            place: service.place.clone(),
        });
    }
    for node in &kube.nodes {
        let (id, names, addresses) = (node_id(&node.name), vec![node.name.clone()], node.addresses.clone());
        endpoints.push(Endpoint { id, names, addresses, place: node.place.clone() });
    }
    if let Some(first) = kube.ingresses.first() {
        let names = kube.ingresses.iter().flat_map(|ingress| ingress.hosts.clone()).collect();
        let id = super::connections::CONTROLLER.to_owned();
        endpoints.push(Endpoint { id, names, addresses: Vec::new(), place: Place::whole(&first.place.file) });
    }
    endpoints
}
