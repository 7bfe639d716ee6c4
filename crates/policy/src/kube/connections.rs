//! Who may connect to whom, all of it, in the words of np-guard's lists.

mod rows;

use super::Kube;
use super::gates::{self, Blocks, Key};
use super::judge::judge;
use super::network::Network;
use super::pod::{ContainerPort, Pod};
use super::policy::{Direction, Peer};
use super::selector::Selects;
use super::service::{Ingress, Service, Target};
use crate::gate::Gate;
use crate::read::{Span, merge_ports};
use crate::space::{Cube, Family, Protocols, address};
use rows::Sets;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How many ends a list may have; more connections than the square of this nobody reads.
const END_COUNT_MAX: usize = 4_000;
/// The ports a connection may have.
const PORTS: (u16, u16) = (1, u16::MAX);
pub(super) const CONTROLLER: &str = "{ingress-controller}";
const PROTOCOLS: [(u8, &str); 3] = [(132, "SCTP"), (6, "TCP"), (17, "UDP")];

/// What one end may open to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    pub network: Network,
    /// `default/web[Deployment]`, `0.0.0.0-255.255.255.255[External]`, `{ingress-controller}`.
    pub from: String,
    pub to: String,
    /// `All Connections`, or `TCP 80,443,UDP 53`.
    pub ports: String,
}

/// Ranges of ports by protocol.
type Ports = BTreeMap<&'static str, Vec<(u16, u16)>>;

/// What pods with one gate have in common: the policies that select them, and the ports that rules may name.
type Alike<'a> = (Vec<(usize, Selects)>, &'a [ContainerPort]);

/// One end of a connection: its name, where it stands, and its gate.
struct Side {
    name: String,
    span: Span,
    pod: Option<usize>,
    /// The same for all pods that the same policies select alike.
    gate: Option<Arc<Gate>>,
}

impl Side {
    /// Which gate it has: one number for all that share it.
    fn class(&self) -> Option<usize> {
        self.gate.as_ref().map(|gate| Arc::as_ptr(gate).addr())
    }
}

impl Kube {
    /// All connections that policies allow between workloads and with the outside, and from an ingress controller.
    /// Ranges of addresses and pods are apart here: a block means what is outside.
    pub fn connections(&self) -> Vec<Connection> {
        let mut networks: BTreeSet<Network> = self.pods.iter().map(|pod| pod.primary.clone()).collect();
        networks.extend(
            self.pods.iter().flat_map(|pod| pod.secondary.iter().map(|(network, _)| network.clone())),
        );
        let mut connections = Vec::new();
        for network in networks {
            self.in_network(&network, &mut connections);
        }
        connections.extend(self.controllers_ask());
        connections.sort();
        connections
    }

    fn in_network(&self, network: &Network, connections: &mut Vec<Connection>) {
        let (from, to) = (self.sides(network, Direction::Egress), self.sides(network, Direction::Ingress));
        let (from, to) = (first(&from), first(&to));
        let mut sets = Sets::default();
        let everything = sets.everything();
        // What the gates of sources open to each target, and those of targets to each source.
        let opened = rows(&mut sets, from, Direction::Egress, to);
        let taken = rows(&mut sets, to, Direction::Ingress, from);
        let mut told: HashMap<usize, String> = HashMap::new();
        for (source_at, source) in from.iter().enumerate() {
            let opens = source.class().and_then(|class| opened.get(&class));
            for (target_at, target) in to.iter().enumerate() {
                if source.name == target.name || (source.pod.is_none() && target.pod.is_none()) {
                    continue;
                }
                let takes = target.class().and_then(|class| taken.get(&class));
                let of = |row: Option<&Vec<usize>>, at: usize| row.and_then(|row| row.get(at)).copied();
                let one = of(opens, target_at).unwrap_or(everything);
                let shared = sets.and(one, of(takes, source_at).unwrap_or(everything));
                let Some(ports) = sets.get(shared).filter(|ports| !ports.is_empty()) else { continue };
                let ports = told.entry(shared).or_insert_with(|| words(ports)).clone();
                let (from, to) = (source.name.clone(), target.name.clone());
                connections.push(Connection { network: network.clone(), from, to, ports });
            }
        }
    }

    /// The gates of pods in one direction, one for all that the same policies select alike.
    fn shared_gates(&self, network: &Network, direction: Direction) -> Vec<Option<Arc<Gate>>> {
        let mut known: HashMap<Alike<'_>, Arc<Gate>> = HashMap::new();
        let pods = self.pods.iter().enumerate();
        pods.map(|(at, pod)| {
            let key = Key { pod: at, direction, network: network.clone(), blocks: Blocks::Apart };
            if !pod.is_in(network) {
                return None;
            }
            // A rule may name ports as the pod does.
            let like = (self.selecting_by_number(&key), pod.ports.as_slice());
            if let Some(gate) = known.get(&like) {
                return Some(Arc::clone(gate));
            }
            let gate = self.gate(key)?;
            known.insert(like, Arc::clone(&gate));
            Some(gate)
        })
        .collect()
    }

    /// The pods of a network with their gates in one direction, and the outside as they part it.
    fn sides(&self, network: &Network, direction: Direction) -> Vec<Side> {
        let gates = self.shared_gates(network, direction);
        let pods = self.pods.iter().zip(gates).enumerate().filter(|(_, (pod, _))| pod.is_in(network));
        let mut sides: Vec<Side> = pods
            .filter_map(|(at, (pod, gate))| {
                let span = *self.spans(at, network, Blocks::Apart).first()?;
                Some(Side { name: name(pod, network), span, pod: Some(at), gate })
            })
            .collect();
        if !matches!(network, Network::Secondary { .. }) {
            // What opens to pods stands where egress gates stand, and is parted by ingress rules.
            let cut_by = if direction == Direction::Egress { Direction::Ingress } else { Direction::Egress };
            sides.extend(self.outside(cut_by).into_iter().map(|span| {
                let (first, last) = (address(span.family, span.first), address(span.family, span.last));
                Side { name: format!("{first}-{last}[External]"), span, pod: None, gate: None }
            }));
        }
        sides
    }

    /// The IPv4 addresses, parted where a rule makes a difference.
    fn outside(&self, direction: Direction) -> Vec<Span> {
        let mut starts = BTreeSet::from([0]);
        let rules = self.policies.iter().flat_map(|policy| policy.rules(direction).unwrap_or_default());
        for peer in rules.flat_map(|rule| rule.peers.iter().flatten()) {
            let spans = match peer {
                Peer::Block { spans, .. } => spans.as_slice(),
                Peer::Network(span) => std::slice::from_ref(span),
                Peer::Pods(_) | Peer::Nodes(_) => &[],
            };
            for span in spans.iter().filter(|span| span.family == Family::V4) {
                starts.extend([span.first, span.last + 1]);
            }
        }
        let starts: Vec<u128> = starts.into_iter().filter(|start| *start <= Family::V4.last()).collect();
        let ends = starts.iter().skip(1).map(|next| next - 1).chain([Family::V4.last()]);
        starts
            .iter()
            .zip(ends)
            .map(|(first, last)| Span { family: Family::V4, first: *first, last })
            .collect()
    }

    fn controllers_ask(&self) -> Vec<Connection> {
        let mut found: BTreeMap<usize, BTreeSet<u16>> = BTreeMap::new();
        for ingress in &self.ingresses {
            // The list has the ports that containers declare, and no others.
            let declares = |(at, port): &(usize, u16)| {
                self.pods.get(*at).is_some_and(|pod| pod.ports.iter().any(|own| own.number == *port))
            };
            for (at, port) in self.reached_by(ingress).into_iter().filter(declares) {
                found.entry(at).or_default().insert(port);
            }
        }
        let mut connections = Vec::new();
        for (at, numbers) in found {
            let Some(pod) = self.pods.get(at) else { continue };
            let network = &pod.primary;
            let Some(span) = self.spans(at, network, Blocks::Apart).first().copied() else { continue };
            let (direction, blocks) = (Direction::Ingress, Blocks::Apart);
            let gate = self.gate(Key { pod: at, direction, network: network.clone(), blocks });
            let source = Side { name: CONTROLLER.to_owned(), span: gates::CONTROLLER, pod: None, gate: None };
            let target = Side { name: name(pod, network), span, pod: Some(at), gate };
            let mut ports = between(&source, &target);
            ports.retain(|protocol, _| *protocol == "TCP");
            let allowed =
                |number: &u16| ports.values().flatten().any(|(first, last)| (first..=last).contains(&number));
            let numbers: Vec<(u16, u16)> = numbers.iter().filter(|n| allowed(n)).map(|n| (*n, *n)).collect();
            if !numbers.is_empty() {
                let ports = words(&Ports::from([("TCP", merge_ports(&numbers))]));
                connections.push(Connection {
                    network: network.clone(),
                    from: source.name,
                    to: target.name,
                    ports,
                });
            }
        }
        connections
    }

    /// The pods an Ingress leads to, with their ports.
    pub(super) fn reached_by(&self, ingress: &Ingress) -> Vec<(usize, u16)> {
        let mut reached = Vec::new();
        for backend in &ingress.backends {
            let is_it = |service: &&Service| {
                service.namespace == backend.namespace && service.name == backend.service
            };
            let Some(service) = self.services.iter().find(is_it) else { continue };
            let wanted = |port: &&super::service::ServicePort| match &backend.port {
                None => true,
                Some(target) if backend.of_pod && port.target == *target => true,
                Some(Target::Number(number)) => port.number == *number,
                Some(Target::Name(name)) => port.name == *name,
            };
            let ports: Vec<_> = service.ports.iter().filter(wanted).collect();
            for (at, pod) in self.pods.iter().enumerate().filter(|(_, pod)| service.selects(pod)) {
                reached.extend(ports.iter().filter_map(|port| port.on(pod)).map(|port| (at, port)));
            }
        }
        reached
    }
}

fn first(sides: &[Side]) -> &[Side] {
    sides.get(..END_COUNT_MAX).unwrap_or(sides)
}

/// What each gate of some sides lets through to each of the other sides.
fn rows(
    sets: &mut Sets,
    sides: &[Side],
    direction: Direction,
    others: &[Side],
) -> HashMap<usize, Vec<usize>> {
    let mut rows = HashMap::new();
    for side in sides {
        if let (Some(gate), Some(class)) = (&side.gate, side.class()) {
            rows.entry(class).or_insert_with(|| sets.row(gate, direction, others));
        }
    }
    rows
}

fn name(pod: &Pod, network: &Network) -> String {
    match network {
        Network::Udn { namespace } => format!("{namespace}[udn]/{}[{}]", pod.name, pod.kind),
        _ => pod.id.clone(),
    }
}

fn between(source: &Side, target: &Side) -> Ports {
    // The first address of a range speaks for all of it: no rule parts it.
    let cube = Cube::all(target.span.family)
        .source(source.span.first, source.span.first)
        .destination(target.span.first, target.span.first)
        .protocols(Protocols::of(&PROTOCOLS.map(|(protocol, _)| protocol)))
        .destination_ports(PORTS.0..=PORTS.1);
    let mut packets = vec![cube];
    for gate in source.gate.iter().chain(&target.gate) {
        packets = judge(gate, &packets).allowed;
    }
    let mut ports = Ports::new();
    for (protocol, name) in PROTOCOLS {
        let own = packets.iter().filter(|cube| cube.protocols.has(protocol));
        let own: Vec<_> = own.map(|cube| cube.destination_ports).collect();
        if !own.is_empty() {
            ports.insert(name, merge_ports(&own));
        }
    }
    ports
}

fn words(ports: &Ports) -> String {
    if ports.len() == PROTOCOLS.len() && ports.values().all(|ranges| ranges == &[PORTS]) {
        return "All Connections".to_owned();
    }
    let range = |(first, last): &(u16, u16)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    let one = |(name, ranges): (&&str, &Vec<(u16, u16)>)| {
        format!("{name} {}", ranges.iter().map(range).collect::<Vec<_>>().join(","))
    };
    ports.iter().map(one).collect::<Vec<_>>().join(",")
}
