//! Rules of a policy from the tree of its document, under the names that several products use.

mod conditions;
mod destinations;

use super::condition::{Condition, canonical};
use crate::doc::{Node, Value};
use crate::place::{Place, Unread, both};
use crate::read::Span;
use crate::space::Protocols;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// How deep access levels may ask for each other.
const LEVEL_DEPTH_MAX: usize = 16;
/// How many conditions may be taken over from access levels in one document.
const COPY_COUNT_MAX: usize = 200_000;

const NAME: &[&str] = &["name", "title", "id", "description", "role"];
const ACTION: &[&str] = &["action", "decision", "effect"];
const SOURCES: &[&str] = &["from", "source", "sources", "src"];
pub const DESTINATIONS: &[&str] = &[
    "to",
    "destination",
    "destinations",
    "dst",
    "resource",
    "resources",
    "target",
    "targets",
    "domain",
    "addresses",
];
const PORTS: &[&str] = &["port", "ports"];
const PROTOCOLS: &[&str] = &["protocol", "protocols"];
const CONDITIONS: &[&str] = &["when", "condition", "conditions"];
/// Keys that say nothing about who may pass.
const ASIDE: &[&str] = &[
    "precedence",
    "priority",
    "uid",
    "created_at",
    "updated_at",
    "session_duration",
    "enabled",
    "disabled",
    "reusable",
    "approval_groups",
    "purpose_justification_required",
    "tags",
    "etag",
    "version",
    "comment",
    "type",
    "kind",
];

/// What a rule may name: lists of addresses by name, and access levels.
#[derive(Debug, Default)]
pub struct Names {
    pub networks: BTreeMap<String, Vec<Span>>,
    pub hosts: BTreeMap<String, Vec<Span>>,
    pub levels: BTreeMap<String, Condition>,
    /// How many conditions were copied from levels.
    copied: Cell<usize>,
}

impl Names {
    /// The condition of a level; not known when there is none, or when so much was copied that it must end.
    fn level(&self, name: &str) -> Condition {
        let found = self.levels.get(last(name)).filter(|level| {
            self.copied.set(self.copied.get().saturating_add(level.count()));
            self.copied.get() <= COPY_COUNT_MAX
        });
        found.cloned().unwrap_or_else(|| unknown("access_level", name))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Allow,
    Deny,
    /// Not understood: may do either.
    Unknown(String),
}

#[derive(Debug, Clone)]
pub struct Written {
    pub name: String,
    pub number: u32,
    pub place: Place,
    pub text: String,
    pub effect: Effect,
    /// Cloudflare asks `bypass` and `non_identity` before all others.
    pub first: bool,
    pub precedence: i64,
    pub condition: Condition,
    pub destinations: Vec<Destination>,
    /// A destination is a name whose addresses are not in the policy.
    pub unresolved: Vec<String>,
    pub protocols: Protocols,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    pub range: Span,
    pub ports: (u16, u16),
}

pub struct Reader<'a> {
    pub names: &'a Names,
    pub unread: &'a mut Vec<Unread>,
}

impl Reader<'_> {
    fn wrong(&mut self, node: &Node, text: &str, en: &str, zh: &str) {
        self.unread.push(Unread::new(node.place.clone(), text, en, zh));
    }

    /// One rule; `around` is what the application it stands in protects.
    pub fn rule(&mut self, node: &Node, number: u32, around: &[Node]) -> Option<Written> {
        if node.members().is_empty() {
            self.wrong(node, node.text().unwrap_or_default(), "a rule is an object", "规则应为对象");
            return None;
        }
        if node.get("enabled").and_then(Node::bool) == Some(false)
            || node.get("disabled").and_then(Node::bool) == Some(true)
        {
            return None;
        }
        let (effect, first, extra) = effect(node);
        let condition = self.whole(node, extra);
        let mut written = Written {
            name: first_of(node, NAME).and_then(Node::text).unwrap_or_default().to_owned(),
            number,
            place: node.place.clone(),
            text: String::new(),
            effect,
            first,
            precedence: first_of(node, &["precedence", "priority"])
                .and_then(Node::integer)
                .unwrap_or_default(),
            condition,
            destinations: Vec::new(),
            unresolved: Vec::new(),
            protocols: Protocols::ALL,
        };
        self.destinations(node, around, &mut written);
        let action = first_of(node, ACTION).and_then(Node::text).unwrap_or("allow");
        written.text = format!("{} {}", action, written.name).trim().to_owned();
        Some(written)
    }
}

/// What a rule does; whether it is asked before the others; what more it wants.
fn effect(node: &Node) -> (Effect, bool, Option<Condition>) {
    let Some(word) = first_of(node, ACTION).and_then(Node::text) else {
        // A binding of IAM or a policy without a word grants.
        return (Effect::Allow, false, None);
    };
    match word.to_ascii_lowercase().as_str() {
        "allow" | "permit" | "accept" | "grant" => (Effect::Allow, false, None),
        "deny" | "block" | "drop" | "reject" => (Effect::Deny, false, None),
        "bypass" => (Effect::Allow, true, None),
        "non_identity" | "service_auth" => (Effect::Allow, true, None),
        "isolate" | "isolated" => (Effect::Allow, false, Some(unknown("isolation", "browser"))),
        other => (Effect::Unknown(other.to_owned()), false, None),
    }
}

fn unknown(key: &str, value: &str) -> Condition {
    Condition::Unknown(both(format!("{key} {value}"), format!("{key} {value}")))
}

pub fn first_of<'a>(node: &'a Node, keys: &[&str]) -> Option<&'a Node> {
    keys.iter().find_map(|key| node.get(key)).filter(|node| !node.is_null())
}

/// Every text in a value, however deep; true and false too.
fn texts(node: &Node) -> Vec<&str> {
    match &node.value {
        Value::Text(text) | Value::Number(text) | Value::Expression(text) => vec![text],
        Value::Bool(true) => vec!["true"],
        Value::Bool(false) => vec!["false"],
        Value::List(nodes) => nodes.iter().flat_map(texts).collect(),
        Value::Map(members) => members.iter().flat_map(|(_, node)| texts(node)).collect(),
        Value::Null => Vec::new(),
    }
}

fn values(node: &Node) -> Vec<String> {
    let words: Vec<String> = texts(node).into_iter().map(str::to_lowercase).collect();
    if words.is_empty() { vec!["true".to_owned()] } else { words }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Levels may stand in any order and ask for each other: each is read once those it asks for are.
pub fn levels(nodes: &[Node], names: &mut Names, unread: &mut Vec<Unread>) {
    let name_of = |node: &Node| {
        let name = first_of(node, &["name", "title"]).and_then(Node::text).unwrap_or_default();
        last(name).to_owned()
    };
    let all: BTreeSet<String> = nodes.iter().map(name_of).collect();
    let mut pending: Vec<&Node> = nodes.iter().collect();
    for _ in 0..LEVEL_DEPTH_MAX {
        let before = names.levels.clone();
        let known = |wanted: &&str| before.contains_key(last(wanted)) || !all.contains(last(wanted));
        let (ready, rest): (Vec<&Node>, Vec<&Node>) =
            pending.into_iter().partition(|node| asked_levels(node).iter().all(known));
        pending = rest;
        for node in ready {
            let name = name_of(node);
            let level = match node.get("basic") {
                Some(basic) => Reader { names, unread }.level(basic),
                None => unknown("access_level", &name),
            };
            names.levels.insert(name, level);
        }
    }
    for node in pending {
        let (en, zh) = ("access levels ask for each other without end", "访问级别相互引用，没有终点");
        let name = name_of(node);
        unread.push(Unread::new(node.place.clone(), &name, en, zh));
        names.levels.insert(name.clone(), unknown("access_level", &name));
    }
}

/// The levels that one asks for.
fn asked_levels(node: &Node) -> Vec<&str> {
    match &node.value {
        Value::Map(members) => {
            let each = |(key, value)| {
                if canonical(key) == "access_level" { texts(value) } else { asked_levels(value) }
            };
            members.iter().map(|(key, value)| (key.as_str(), value)).flat_map(each).collect()
        }
        Value::List(nodes) => nodes.iter().flat_map(asked_levels).collect(),
        _ => Vec::new(),
    }
}
