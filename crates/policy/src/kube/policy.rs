//! Policies of every kind, in one shape.

use super::object::Object;
use super::pod::protocol;
use super::selector::{Labels, Refused, Selector, Selects};
use crate::doc::Node;
use crate::place::{Place, Unread, both};
use crate::read::{Span, without};
use netwhy_model::Text;
use std::collections::BTreeSet;

/// What is asked first, and its priority there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Layer {
    /// AdminNetworkPolicy: the smaller number comes first.
    Admin(i64),
    Network,
    Baseline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    pub fn word(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }
}

#[derive(Debug)]
pub(super) struct Policy {
    pub layer: Layer,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub place: Place,
    /// Where it says whom it is for.
    pub subject: Pods,
    /// Of a MultiNetworkPolicy: namespace and name of the networks it is for.
    pub networks: Option<Vec<(String, String)>>,
    /// The rules of each direction that it speaks of.
    pub ingress: Option<Vec<Rule>>,
    pub egress: Option<Vec<Rule>>,
}

/// Pods by their labels and their namespace's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pods {
    pub place: Place,
    pub namespaces: Where,
    pub pods: Selector,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Where {
    /// In the policy's own namespace.
    Own(String),
    Labelled(Selector),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Allow,
    Deny,
    /// The rules of lower layers decide.
    Pass,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub number: u32,
    pub name: String,
    pub place: Place,
    pub verb: Verb,
    /// `None`: everyone.
    pub peers: Option<Vec<Peer>>,
    /// `None`: every port of every protocol.
    pub ports: Option<Vec<Port>>,
    pub unmodelled: Vec<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peer {
    Pods(Pods),
    Block {
        spans: Vec<Span>,
        text: String,
    },
    /// `networks` of an AdminNetworkPolicy: matches pods, too.
    Network(Span),
    Nodes(Selector),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Port {
    /// Every port of a protocol.
    All(u8),
    Numbers(u8, u16, u16),
    Named(Option<u8>, String),
}

type Parsed<'a, T> = Result<T, Refused<'a>>;

impl Pods {
    pub fn select(
        &self,
        namespace: &str,
        namespace_labels: Option<&Labels>,
        variants: &BTreeSet<Labels>,
    ) -> Selects {
        let in_it = match &self.namespaces {
            Where::Own(own) => own == namespace,
            Where::Labelled(selector) => namespace_labels.is_some_and(|labels| selector.matches(labels)),
        };
        if in_it { self.pods.of_all(variants) } else { Selects::None }
    }
}

impl Policy {
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }

    /// `NetworkPolicy default/deny`.
    pub fn title(&self) -> String {
        match self.layer {
            Layer::Network => format!("{} {}/{}", self.kind, self.namespace, self.name),
            _ => format!("{} {}", self.kind, self.name),
        }
    }

    pub fn read<'a>(object: &Object<'a>, unread: &mut Vec<Unread>) -> Parsed<'a, Policy> {
        let Some(spec) = object.node.get("spec").filter(|spec| !spec.is_null()) else {
            return Err((object.node, "a policy without a spec", "策略缺少 spec"));
        };
        let admin = object.kind.contains("Admin");
        let layer = match object.kind {
            "AdminNetworkPolicy" => Layer::Admin(priority(object.node, spec)?),
            "BaselineAdminNetworkPolicy" => Layer::Baseline,
            _ => Layer::Network,
        };
        let known: &[&str] = if admin {
            &["priority", "subject", "ingress", "egress"]
        } else {
            &["podSelector", "policyTypes", "ingress", "egress"]
        };
        unknown_fields(spec, known, unread);
        let ingress = rules(spec, Direction::Ingress, object, admin, unread)?;
        let egress = rules(spec, Direction::Egress, object, admin, unread)?;
        let types = types(spec, admin)?;
        Ok(Policy {
            layer,
            kind: object.kind.to_owned(),
            namespace: object.namespace.to_owned(),
            name: object.name.to_owned(),
            place: object.place().clone(),
            subject: if admin { subject(spec)? } else { own_subject(spec, object.namespace)? },
            networks: (object.kind == "MultiNetworkPolicy").then(|| targets(object)),
            ingress: types.0.then_some(ingress),
            egress: types.1.then_some(egress),
        })
    }
}

fn priority<'a>(node: &'a Node, spec: &'a Node) -> Parsed<'a, i64> {
    let priority = spec.get("priority").ok_or((node, "no priority", "缺少 priority"))?;
    let number = priority.integer().filter(|number| (0..=1000).contains(number));
    number.ok_or((priority, "priority must be from 0 to 1000", "priority 须在 0 至 1000 之间"))
}

/// Which directions a policy speaks of. Without `policyTypes` always of ingress, and of egress when it has rules.
fn types(spec: &Node, admin: bool) -> Parsed<'_, (bool, bool)> {
    if admin {
        return Ok((!spec.each("ingress").is_empty(), !spec.each("egress").is_empty()));
    }
    let listed = spec.each("policyTypes");
    if listed.is_empty() {
        return Ok((true, !spec.each("egress").is_empty()));
    }
    if let Some(other) = listed.iter().find(|node| !matches!(node.text(), Some("Ingress" | "Egress"))) {
        return Err((other, "a policy type is Ingress or Egress", "policyTypes 只能是 Ingress 或 Egress"));
    }
    let has = |word: &str| listed.iter().any(|node| node.text() == Some(word));
    Ok((has("Ingress"), has("Egress")))
}

fn own_subject<'a>(spec: &'a Node, namespace: &str) -> Parsed<'a, Pods> {
    let namespaces = Where::Own(namespace.to_owned());
    match spec.get("podSelector") {
        Some(node) => Ok(Pods { place: node.place.clone(), namespaces, pods: Selector::read(node)? }),
        // The API server takes an absent selector for an empty one.
        None => Ok(Pods { place: spec.place.clone(), namespaces, pods: Selector::everything(&spec.place) }),
    }
}

/// `namespaces` or `pods` of an AdminNetworkPolicy, as subject and as peer.
fn subject(spec: &Node) -> Parsed<'_, Pods> {
    let subject = spec.get("subject").ok_or((spec, "no subject", "缺少 subject"))?;
    let wrong = (subject, "a subject has either namespaces or pods", "subject 须为 namespaces 或 pods 之一");
    match subject.members() {
        [(name, node)] => pods_of_admin(name, node)?.ok_or(wrong),
        _ => Err(wrong),
    }
}

fn pods_of_admin<'a>(name: &str, node: &'a Node) -> Parsed<'a, Option<Pods>> {
    let place = node.place.clone();
    let selector = |key: &str| node.get(key).map_or(Ok(Selector::everything(&place)), Selector::read);
    Ok(match name {
        "namespaces" => {
            let namespaces = Where::Labelled(Selector::read(node)?);
            Some(Pods { namespaces, pods: Selector::everything(&place), place })
        }
        "pods" => {
            let namespaces = Where::Labelled(selector("namespaceSelector")?);
            Some(Pods { namespaces, pods: selector("podSelector")?, place })
        }
        _ => None,
    })
}

/// The networks a MultiNetworkPolicy names.
fn targets(object: &Object<'_>) -> Vec<(String, String)> {
    let list = object.annotation("k8s.v1.cni.cncf.io/policy-for").unwrap_or_default();
    let one = |path: &str| {
        let (namespace, name) = path.split_once('/').unwrap_or((object.namespace, path));
        (namespace.to_owned(), name.to_owned())
    };
    list.split(',').map(str::trim).filter(|path| !path.is_empty()).map(one).collect()
}

fn rules<'a>(
    spec: &'a Node,
    direction: Direction,
    object: &Object<'a>,
    admin: bool,
    unread: &mut Vec<Unread>,
) -> Parsed<'a, Vec<Rule>> {
    let ends = if direction == Direction::Ingress { "from" } else { "to" };
    let list = spec.each(direction.word());
    let mut rules = Vec::with_capacity(list.len());
    for (number, node) in list.iter().enumerate() {
        let known = [ends, "ports", "name", "action"];
        unknown_fields(node, if admin { &known } else { &known[..2] }, unread);
        let mut unmodelled = Vec::new();
        let peers = node.each(ends);
        let mut read = Vec::with_capacity(peers.len());
        for peer in peers {
            read.extend(if admin {
                admin_peer(peer, &mut unmodelled)?
            } else {
                self_peer(peer, object.namespace)?
            });
        }
        let ports = node.each("ports");
        let ports =
            ports.iter().map(if admin { admin_port } else { port }).collect::<Parsed<'a, Vec<_>>>()?;
        rules.push(Rule {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            name: node.word("name").unwrap_or_default().to_owned(),
            place: node.place.clone(),
            verb: if admin { verb(node)? } else { Verb::Allow },
            peers: (!peers.is_empty()).then_some(read),
            ports: (!ports.is_empty()).then_some(ports),
            unmodelled,
        });
    }
    Ok(rules)
}

fn verb(node: &Node) -> Parsed<'_, Verb> {
    match node.word("action") {
        Some("Allow") => Ok(Verb::Allow),
        Some("Deny") => Ok(Verb::Deny),
        Some("Pass") => Ok(Verb::Pass),
        _ => Err((node, "an action is Allow, Deny or Pass", "action 只能是 Allow、Deny 或 Pass")),
    }
}

fn self_peer<'a>(node: &'a Node, namespace: &str) -> Parsed<'a, Vec<Peer>> {
    let set = |key: &str| node.get(key).filter(|value| !value.is_null());
    let (pods, namespaces, block) = (set("podSelector"), set("namespaceSelector"), set("ipBlock"));
    if let Some(block) = block {
        if pods.is_some() || namespaces.is_some() {
            let en = "ipBlock may not stand beside podSelector or namespaceSelector";
            return Err((node, en, "ipBlock 不能与 podSelector 或 namespaceSelector 同用"));
        }
        return Ok(vec![ip_block(block)?]);
    }
    if pods.is_none() && namespaces.is_none() {
        let en = "a peer needs podSelector, namespaceSelector or ipBlock";
        return Err((node, en, "对端须有 podSelector、namespaceSelector 或 ipBlock"));
    }
    let namespaces = match namespaces {
        Some(selector) => Where::Labelled(Selector::read(selector)?),
        None => Where::Own(namespace.to_owned()),
    };
    let pods = pods.map_or(Ok(Selector::everything(&node.place)), Selector::read)?;
    Ok(vec![Peer::Pods(Pods { place: node.place.clone(), namespaces, pods })])
}

fn ip_block(node: &Node) -> Parsed<'_, Peer> {
    let wrong = |node| (node, "this is no CIDR", "这不是 CIDR");
    let cidr = node.get("cidr").ok_or((node, "an ipBlock without cidr", "ipBlock 缺少 cidr"))?;
    let whole = span(cidr).ok_or(wrong(cidr))?;
    let mut except = Vec::new();
    for one in node.each("except") {
        let inside = span(one).ok_or(wrong(one))?;
        if !whole.contains(&inside) {
            return Err((one, "except must lie within cidr", "except 须在 cidr 之内"));
        }
        except.push(inside);
    }
    let words: Vec<&str> = node.each("except").iter().filter_map(Node::text).collect();
    let except_text = if words.is_empty() { String::new() } else { format!(" except {}", words.join(" ")) };
    let text = format!("{}{except_text}", cidr.text().unwrap_or_default());
    Ok(Peer::Block { spans: without(&[whole], &except), text })
}

/// A prefix; Kubernetes takes no single address for one.
fn span(node: &Node) -> Option<Span> {
    node.text().filter(|text| text.contains('/')).and_then(Span::read)
}

fn admin_peer<'a>(node: &'a Node, unmodelled: &mut Vec<Text>) -> Parsed<'a, Vec<Peer>> {
    let mut peers = Vec::new();
    for (name, member) in node.members() {
        match name.as_str() {
            "networks" => {
                for network in member.list() {
                    peers.push(Peer::Network(span(network).ok_or((
                        network,
                        "this is no CIDR",
                        "这不是 CIDR",
                    ))?));
                }
            }
            "nodes" => peers.push(Peer::Nodes(Selector::read(member)?)),
            _ => match pods_of_admin(name, member)? {
                Some(pods) => peers.push(Peer::Pods(pods)),
                None => unmodelled.push(both(
                    format!("a peer by {name} is not modelled"),
                    format!("按 {name} 指定的对端未建模"),
                )),
            },
        }
    }
    Ok(peers)
}

const PORT_WRONG: (&str, &str) = ("a port is a number from 1 to 65535", "端口须为 1 至 65535 的数字");

fn number<'a>(node: &'a Node, key: &str) -> Parsed<'a, u16> {
    let port = node.get(key).unwrap_or(node);
    let number = port.integer().and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    number.ok_or((port, PORT_WRONG.0, PORT_WRONG.1))
}

fn port_protocol(node: &Node) -> Parsed<'_, u8> {
    let Some(named) = node.get("protocol").filter(|node| !node.is_null()) else { return Ok(6) };
    named.text().and_then(protocol).ok_or((
        named,
        "a protocol is TCP, UDP or SCTP",
        "协议只能是 TCP、UDP 或 SCTP",
    ))
}

fn port(node: &Node) -> Parsed<'_, Port> {
    let protocol = port_protocol(node)?;
    let Some(port) = node.get("port").filter(|port| !port.is_null()) else { return Ok(Port::All(protocol)) };
    if port.integer().is_none() {
        let name = port.text().ok_or((port, PORT_WRONG.0, PORT_WRONG.1))?;
        return Ok(Port::Named(Some(protocol), name.to_owned()));
    }
    let first = number(node, "port")?;
    let last =
        if node.get("endPort").is_some_and(|end| !end.is_null()) { number(node, "endPort")? } else { first };
    if last < first {
        return Err((node, "endPort lies before port", "endPort 小于 port"));
    }
    Ok(Port::Numbers(protocol, first, last))
}

fn admin_port(node: &Node) -> Parsed<'_, Port> {
    let wrong =
        (node, "a port is portNumber, portRange or namedPort", "端口须为 portNumber、portRange 或 namedPort");
    let [(kind, port)] = node.members() else { return Err(wrong) };
    match kind.as_str() {
        "portNumber" => {
            let number = number(port, "port")?;
            Ok(Port::Numbers(port_protocol(port)?, number, number))
        }
        "portRange" => Ok(Port::Numbers(port_protocol(port)?, number(port, "start")?, number(port, "end")?)),
        "namedPort" => Ok(Port::Named(None, port.text().ok_or(wrong)?.to_owned())),
        _ => Err(wrong),
    }
}

/// Fields that Kubernetes does not know: it drops them, and with them what the author meant.
fn unknown_fields(node: &Node, known: &[&str], unread: &mut Vec<Unread>) {
    for (name, member) in node.members() {
        if !known.contains(&name.as_str()) {
            let en = format!("Kubernetes has no field {name} here and ignores it");
            let zh = format!("Kubernetes 此处没有字段 {name}，会忽略它");
            unread.push(Unread::new(member.place.clone(), name, en, zh));
        }
    }
}
