//! A zero-trust policy: who may reach what under which conditions, as gates.
//!
//! Networks are modelled exactly. Identity, device, time and other conditions make a rule *perhaps* unless facts
//! about who asks are given. The schema is told in `docs/zero-trust.md`; the words of Cloudflare Access and of
//! Google's access levels and IAM bindings are understood as well.

mod condition;
mod rules;

pub use condition::{Condition, Facts};

use crate::doc::{Node, Value};
use crate::estate::{Ask, End, Endpoint, Estate, Fix, Look, Step, Way};
use crate::gate::{Action, Direction, Gate, Kind, Order, Rule};
use crate::place::{Place, Unread, both};
use crate::read::{Span, address, merge, private, protocol_name, shared, without};
use crate::space::{Cube, Family, Protocols};
use netwhy_model::Text;
use rules::{DESTINATIONS, Effect, Names, Reader, Written, first_of};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many boxes all rules of one document may have together.
const CUBE_COUNT_MAX: usize = 200_000;
/// How many addresses an endpoint has; one with more is a network.
const ADDRESS_COUNT_MAX: usize = 256;
/// How many protocols a rule that is proposed names.
const PROTOCOL_COUNT_MAX: usize = 8;
/// Where rules, applications, networks and levels stand in a document.
const RULES: &[&str] = &["rules", "policies", "access_policies", "bindings", "result"];
const APPLICATIONS: &[&str] = &["applications", "apps", "protected"];
const LEVELS: &[&str] = &["accessLevels", "access_levels"];

/// A policy that was read.
#[derive(Debug, Clone, Default)]
pub struct ZeroTrust {
    gates: Vec<(Arc<Gate>, Vec<Span>)>,
    endpoints: Vec<Endpoint>,
    /// What the names of hosts and networks stand for.
    named: BTreeMap<String, Vec<Span>>,
    unread: Vec<Unread>,
}

/// Whether a document is one of zero trust: it has rules or applications and says who may.
pub fn resembles(document: &Node) -> bool {
    let words = ["include", "decision", "accessLevels", "when", "conditions", "members"];
    let rules = RULES.iter().chain(APPLICATIONS).flat_map(|key| document.each(key));
    let named = document.word("schema").is_some_and(|schema| schema.starts_with("netwhy.zero-trust"));
    named
        || LEVELS.iter().any(|key| document.get(key).is_some())
        || rules
            .into_iter()
            .any(|rule| words.iter().any(|word| rule.get(word).is_some()) || rule.get("policies").is_some())
}

/// Reads the documents of a policy, with what is known of who asks.
pub fn zero_trust(documents: &[Node], facts: &Facts) -> ZeroTrust {
    let mut policy = ZeroTrust::default();
    let mut names = Names::default();
    let mut facts = facts.clone();
    for document in documents {
        policy.names(document, &mut names, &mut facts);
    }
    let levels: Vec<Node> =
        documents.iter().flat_map(|one| first_of(one, LEVELS).map_or(&[][..], Node::list)).cloned().collect();
    rules::levels(&levels, &mut names, &mut policy.unread);
    for document in documents {
        policy.document(document, &names, &facts);
    }
    policy.named = names.networks;
    policy.named.extend(names.hosts);
    policy
}

impl ZeroTrust {
    fn names(&mut self, document: &Node, names: &mut Names, facts: &mut Facts) {
        for (name, node) in document.get("networks").map_or(&[][..], Node::members) {
            let ranges = self.ranges(node);
            names.networks.insert(name.clone(), ranges);
        }
        for (name, node) in document.get("hosts").map_or(&[][..], Node::members) {
            let ranges = self.ranges(node);
            self.endpoints.push(endpoint(name, &ranges, &node.place));
            names.hosts.insert(name.clone(), ranges);
        }
        for (name, node) in document.get("groups").map_or(&[][..], Node::members) {
            let members = one_or_many(node).iter().filter_map(Node::text).map(str::to_lowercase);
            facts.groups.insert(name.to_lowercase(), members.collect());
        }
        for app in first_of(document, APPLICATIONS).map_or(&[][..], Node::list) {
            let (Some(name), Some(node)) =
                (first_of(app, &["domain", "name"]).and_then(Node::text), app.get("addresses"))
            else {
                continue;
            };
            let ranges = self.ranges(node);
            self.endpoints.push(endpoint(name, &ranges, &app.place));
            names.hosts.insert(name.to_owned(), ranges);
        }
    }

    fn ranges(&mut self, node: &Node) -> Vec<Span> {
        let mut ranges = Vec::new();
        for node in one_or_many(node) {
            match node.text().and_then(Span::read) {
                Some(range) => ranges.push(range),
                None => {
                    let text = node.text().unwrap_or_default();
                    let (en, zh) = ("this is no address and no prefix", "这不是地址或地址段");
                    self.unread.push(Unread::new(node.place.clone(), text, en, zh));
                }
            }
        }
        merge(&ranges)
    }

    fn document(&mut self, document: &Node, names: &Names, facts: &Facts) {
        let list = match &document.value {
            // A bare list is one of rules.
            Value::List(nodes) => nodes.as_slice(),
            _ => first_of(document, RULES).map_or(&[][..], Node::list),
        };
        if !list.is_empty() {
            self.gate(document, list, &[], names, facts);
        }
        for app in first_of(document, APPLICATIONS).map_or(&[][..], Node::list) {
            let around = first_of(app, DESTINATIONS).map_or(&[][..], one_or_many);
            let named = first_of(app, &["domain", "name"]).map_or(&[][..], std::slice::from_ref);
            let around = if around.is_empty() { named } else { around };
            let list = first_of(app, &["policies", "rules"]).map_or(&[][..], Node::list);
            self.gate(app, list, around, names, facts);
        }
    }

    fn gate(&mut self, owner: &Node, list: &[Node], around: &[Node], names: &Names, facts: &Facts) {
        let mut reader = Reader { names, unread: &mut self.unread };
        let numbered = list.iter().zip(0_u32..);
        let mut written: Vec<Written> =
            numbered.filter_map(|(node, at)| reader.rule(node, at, around)).collect();
        written.sort_by_key(|rule| (!rule.first, rule.precedence, rule.number));
        let name: Arc<str> =
            first_of(owner, &["name", "domain", "title"]).and_then(Node::text).unwrap_or("zero trust").into();
        let mut rules = Vec::new();
        let mut count = 0;
        for rule in &written {
            let added = rules_of(rule, &name, facts);
            count += added.iter().map(|rule| rule.cubes.len()).sum::<usize>();
            if count > CUBE_COUNT_MAX {
                let (en, zh) = ("the rules come to more than 200000 boxes", "规则展开后超过 200000 个区域");
                self.unread.push(Unread::new(rule.place.clone(), &rule.text, en, zh));
                rules.push(unknown_rule(rule, &name));
                break;
            }
            rules.extend(added);
        }
        let specific = first_of(owner, &["match", "order", "evaluation"]).and_then(Node::text);
        if specific.is_some_and(|word| word.starts_with("most")) {
            rules = most_specific(rules);
        }
        let default = first_of(owner, &["default", "default_action"]).and_then(Node::text);
        let default =
            if matches!(default, Some("allow" | "permit" | "accept")) { Action::Allow } else { Action::Deny };
        let protects = owner.get("protects").map_or(Vec::new(), |node| self.ranges(node));
        let governs = if protects.is_empty() { governed(&written) } else { protects };
        let gate = Gate { rules, default, ..empty(owner, &name) };
        self.gates.push((Arc::new(gate), governs));
    }

    /// The addresses of one end; `None` when nobody here knows them.
    fn addresses(&self, end: &End) -> Option<Vec<Span>> {
        match end {
            End::Addresses(first, last) => Some(Span::between(*first, *last).into_iter().collect()),
            End::Outside => Some(without(&Span::anywhere(), &private())),
            End::OutsideBut(but) => Some(without(&without(&Span::anywhere(), &private()), but)),
            End::Known(id) => self.named.get(id).cloned(),
        }
    }
}

fn empty(owner: &Node, name: &Arc<str>) -> Gate {
    Gate {
        kind: Kind::ZeroTrust,
        direction: Direction::Through,
        name: name.to_string(),
        place: owner.place.clone(),
        order: Order::FirstMatch,
        stateful: true,
        rules: Vec::new(),
        default: Action::Deny,
        default_text: both(
            format!("no rule of the policy {name} matches: what is not allowed is denied"),
            format!("策略 {name} 中没有匹配的规则：未允许的一律拒绝"),
        ),
    }
}

/// A rule for each way in which its conditions hold, for each thing it may do.
fn rules_of(written: &Written, name: &Arc<str>, facts: &Facts) -> Vec<Rule> {
    let actions: &[Action] = match written.effect {
        Effect::Allow => &[Action::Allow],
        Effect::Deny => &[Action::Deny],
        Effect::Unknown(_) => &[Action::Allow, Action::Deny],
    };
    let mut more: Vec<Text> = written
        .unresolved
        .iter()
        .map(|host| both(format!("the destination is {host}, by its name"), format!("目的是域名 {host}")))
        .collect();
    if let Effect::Unknown(word) = &written.effect {
        more.push(both(format!("what the action {word:?} does"), format!("动作 {word:?} 的含义")));
    }
    let mut rules = Vec::new();
    for way in written.condition.alternatives(facts) {
        let cubes = cubes(&way.sources, written);
        let mut unmodelled = way.unmodelled;
        unmodelled.extend(more.iter().cloned());
        for action in actions {
            rules.push(Rule {
                number: written.number,
                part_of: Arc::clone(name),
                place: written.place.clone(),
                text: written.text.clone(),
                action: *action,
                cubes: cubes.clone(),
                unmodelled: unmodelled.clone(),
            });
        }
    }
    rules
}

fn cubes(sources: &[Span], written: &Written) -> Vec<Cube> {
    let mut cubes = Vec::new();
    if written.protocols.is_empty() {
        return cubes;
    }
    for from in sources {
        for to in written.destinations.iter().filter(|to| to.range.family == from.family) {
            let cube = Cube::all(from.family)
                .source(from.first, from.last)
                .destination(to.range.first, to.range.last)
                .protocols(written.protocols)
                .destination_ports(to.ports.0..=to.ports.1);
            cubes.push(cube);
            if cubes.len() > CUBE_COUNT_MAX {
                return cubes;
            }
        }
    }
    cubes
}

/// What stands for rules that were too many: may do anything.
fn unknown_rule(written: &Written, name: &Arc<str>) -> Rule {
    Rule {
        number: written.number,
        part_of: Arc::clone(name),
        place: written.place.clone(),
        text: written.text.clone(),
        action: Action::Allow,
        cubes: [Family::V4, Family::V6].map(Cube::all).to_vec(),
        unmodelled: vec![both("rules that were too many to read", "规则过多，未能全部读取")],
    }
}

/// One rule for each box, the narrowest destination first, then the narrowest source; denying wins ties.
fn most_specific(rules: Vec<Rule>) -> Vec<Rule> {
    let mut single: Vec<Rule> = Vec::new();
    for rule in rules {
        single.extend(rule.cubes.iter().map(|cube| Rule { cubes: vec![*cube], ..rule.clone() }));
    }
    single.sort_by_key(|rule| {
        let width = |cube: &Cube| {
            let ports = cube.destination_ports.1 - cube.destination_ports.0;
            (cube.destination.1 - cube.destination.0, ports, cube.source.1 - cube.source.0)
        };
        (rule.cubes.first().map(width), rule.action == Action::Allow)
    });
    single
}

/// The destinations that rules name: the policy stands before these.
fn governed(written: &[Written]) -> Vec<Span> {
    let named = written.iter().filter(|rule| rule.unresolved.is_empty());
    let ranges: Vec<Span> = named.flat_map(|rule| &rule.destinations).map(|one| one.range).collect();
    if ranges.is_empty() { Span::anywhere() } else { merge(&ranges) }
}

fn endpoint(name: &str, ranges: &[Span], place: &Place) -> Endpoint {
    let numbers =
        ranges.iter().flat_map(|range| (range.first..=range.last).map(|number| (range.family, number)));
    let addresses = numbers.take(ADDRESS_COUNT_MAX).map(|(family, number)| address(family, number)).collect();
    Endpoint { id: name.to_owned(), names: Vec::new(), addresses, place: place.clone() }
}

fn one_or_many(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(nodes) => nodes,
        _ => std::slice::from_ref(node),
    }
}

impl Estate for ZeroTrust {
    fn title(&self) -> Text {
        both("zero-trust policy", "零信任策略")
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn unread(&self) -> &[Unread] {
        &self.unread
    }

    fn gates(&self) -> Vec<Arc<Gate>> {
        self.gates.iter().map(|(gate, _)| Arc::clone(gate)).collect()
    }

    fn way(&self, ask: &Ask) -> Vec<Step> {
        let Some(to) = self.addresses(&ask.to) else { return Vec::new() };
        let from = self.addresses(&ask.from);
        let mut steps = Vec::new();
        for (gate, governs) in &self.gates {
            let to = shared(&to, governs);
            if to.is_empty() {
                continue;
            }
            let what = both(format!("zero-trust policy {}", gate.name), format!("零信任策略 {}", gate.name));
            let look = match &from {
                Some(from) => Look::Gate { gate: Arc::clone(gate), packets: packets(from, &to, ask) },
                None => Look::Depends {
                    on: both(
                        "the addresses of the source, which this policy does not know",
                        "来源的地址，该策略并不知道",
                    ),
                    place: gate.place.clone(),
                },
            };
            steps.push(Step { what, way: Way::There, look });
        }
        steps
    }

    fn allow(&self, gate: &Gate, packets: &[Cube]) -> Vec<Fix> {
        let rules: Vec<serde_json::Value> = packets.iter().map(rule_for).collect();
        let change = serde_json::to_string_pretty(&rules).unwrap_or_default();
        let what = both(
            format!("put these rules before all others of {}", gate.name),
            format!("把这些规则放在 {} 所有规则之前", gate.name),
        );
        vec![Fix { syntax: "zero-trust", what, change }]
    }
}

fn packets(from: &[Span], to: &[Span], ask: &Ask) -> Vec<Cube> {
    let mut cubes = Vec::new();
    for from in from {
        for to in to.iter().filter(|to| to.family == from.family) {
            let mut cube = Cube::all(from.family)
                .source(from.first, from.last)
                .destination(to.first, to.last)
                .protocols(Protocols::of(&[ask.protocol]));
            if let Some(port) = ask.port {
                cube = cube.destination_ports(port..=port);
            }
            cubes.push(cube.opening());
        }
    }
    cubes
}

fn rule_for(cube: &Cube) -> serde_json::Value {
    let text = |(first, last): (u128, u128)| {
        let prefixes = Span { family: cube.family, first, last }.prefixes();
        prefixes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let ports = match cube.destination_ports {
        (first, last) if first == last => serde_json::json!([first]),
        (first, last) => serde_json::json!([format!("{first}-{last}")]),
    };
    let protocols: Vec<String> =
        cube.protocols.numbers().take(PROTOCOL_COUNT_MAX).map(protocol_name).collect();
    serde_json::json!({
        "name": "allow what was asked",
        "action": "allow",
        "from": text(cube.source),
        "to": text(cube.destination),
        "ports": ports,
        "protocols": protocols,
    })
}
