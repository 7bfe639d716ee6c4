//! Rules of a policy from the tree of its document, under the names that several products use.

use super::condition::{Condition, canonical};
use crate::doc::{Node, Value};
use crate::place::{Place, Unread, both};
use crate::read::Span;
use crate::space::{PORT_PROTOCOLS, Protocols};
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

    /// Everything of a rule that must hold for it to match.
    fn whole(&mut self, node: &Node, extra: Option<Condition>) -> Condition {
        let mut parts: Vec<Condition> = extra.into_iter().collect();
        for (key, value) in node.members() {
            let name = key.as_str();
            let known =
                [NAME, ACTION, DESTINATIONS, PORTS, PROTOCOLS, ASIDE].iter().any(|keys| keys.contains(&name));
            match name {
                _ if SOURCES.contains(&name) => parts.push(Condition::Any(self.each(value))),
                _ if CONDITIONS.contains(&name) => parts.push(Condition::All(self.each(value))),
                _ if known || value.is_null() => {}
                _ => parts.extend(self.keyed(key, value)),
            }
        }
        Condition::All(parts)
    }

    /// A condition by its key; `None` for an empty list, which asks nothing.
    fn keyed(&mut self, key: &str, value: &Node) -> Option<Condition> {
        let empty = matches!(&value.value, Value::List(nodes) if nodes.is_empty());
        match key {
            _ if empty && !matches!(key, "include" | "any") => None,
            "include" | "any" | "or" | "anyOf" => Some(Condition::Any(self.each(value))),
            "require" | "all" | "and" | "allOf" => Some(Condition::All(self.each(value))),
            "exclude" | "not" | "except" => Some(Condition::Not(Box::new(Condition::Any(self.each(value))))),
            "everyone" | "anyone" => Some(Condition::All(Vec::new())),
            "basic" | "conditions"
                if value.get("combiningFunction").is_some() || value.get("conditions").is_some() =>
            {
                Some(self.level(value))
            }
            "negate" | "combiningFunction" => None,
            _ => Some(self.fact(key, value)),
        }
    }

    /// Conditions of a list, or those of a map together as one.
    fn each(&mut self, node: &Node) -> Vec<Condition> {
        match &node.value {
            Value::List(nodes) => nodes.iter().map(|node| self.one(node)).collect(),
            _ => vec![self.one(node)],
        }
    }

    fn one(&mut self, node: &Node) -> Condition {
        if let Some(word) = node.text() {
            return self.source(node, word);
        }
        let members = node.members();
        if members.is_empty() {
            return Condition::Unknown(both("a condition that says nothing", "空条件"));
        }
        // `{"expression": "…"}` of IAM conditions.
        if let Some(expression) = first_of(node, &["expression", "expr"]).and_then(Node::text) {
            return self.expression(expression);
        }
        let parts: Vec<Condition> =
            members.iter().filter_map(|(key, value)| self.keyed(key, value)).collect();
        let negated = node.get("negate").and_then(Node::bool) == Some(true);
        let whole = Condition::All(parts);
        if negated { Condition::Not(Box::new(whole)) } else { whole }
    }

    /// A word among the sources: addresses, a named network, `group:staff`, `user:a@x`, anyone.
    fn source(&mut self, node: &Node, word: &str) -> Condition {
        let fact = |key: &str, value: &str| Condition::Fact {
            key: key.to_owned(),
            values: vec![value.to_lowercase()],
        };
        if matches!(word, "any" | "*" | "all" | "everyone" | "allUsers" | "anyone") {
            return Condition::All(Vec::new());
        }
        if let Some(ranges) = self.names.networks.get(word).or_else(|| self.names.hosts.get(word)) {
            return Condition::Networks(ranges.clone());
        }
        if let Some(range) = Span::read(word) {
            return Condition::Networks(vec![range]);
        }
        match word.split_once(':') {
            Some(("user" | "serviceAccount" | "identity" | "email", who)) => fact("identity", who),
            Some(("group", who)) => fact("group", who),
            Some(("domain", who)) => fact("email_domain", who),
            Some(("network", _)) => {
                self.wrong(node, word, "no network of that name", "没有这个名字的网络");
                Condition::Unknown(both(word, word))
            }
            _ if word.contains('@') => fact("identity", word),
            _ => fact("group", word),
        }
    }

    fn fact(&mut self, key: &str, value: &Node) -> Condition {
        let name = canonical(key);
        match name.as_str() {
            "network" => self.networks(value),
            "access_level" => {
                Condition::All(texts(value).into_iter().map(|name| self.names.level(name)).collect())
            }
            "identity" if value.list().iter().any(|node| node.text().is_some()) => {
                Condition::Any(self.each(value))
            }
            "device" if !value.members().is_empty() => {
                let each = |(key, value): &(String, Node)| Condition::Fact {
                    key: format!("device.{}", canonical(key)),
                    values: values(value),
                };
                Condition::All(value.members().iter().map(each).collect())
            }
            _ => Condition::Fact { key: name, values: values(value) },
        }
    }

    fn networks(&mut self, value: &Node) -> Condition {
        let mut parts = Vec::new();
        for word in texts(value) {
            match (Span::read(word), self.names.networks.get(word)) {
                (Some(range), _) => parts.push(Condition::Networks(vec![range])),
                (_, Some(ranges)) => parts.push(Condition::Networks(ranges.clone())),
                _ => {
                    self.wrong(
                        value,
                        word,
                        "no addresses and no network of that name",
                        "不是地址，也没有这个名字的网络",
                    );
                    parts.push(unknown("network", word));
                }
            }
        }
        Condition::Any(parts)
    }

    /// An access level of Google: conditions under AND or OR.
    pub fn level(&mut self, basic: &Node) -> Condition {
        let parts: Vec<Condition> = basic.each("conditions").iter().map(|node| self.one(node)).collect();
        if basic.word("combiningFunction") == Some("OR") {
            Condition::Any(parts)
        } else {
            Condition::All(parts)
        }
    }

    /// An expression of IAM: only the access levels it names joined by `&&` are understood.
    fn expression(&self, text: &str) -> Condition {
        let parts = text.split("&&").map(|part| {
            let part = part.trim().trim_matches(['(', ')']);
            let named = part.split_once("accessLevels/").map(|(_, rest)| rest);
            let simple = part.starts_with('"') && part.ends_with("in request.auth.access_levels");
            let name = named.and_then(|rest| rest.split(['"', '\'']).next()).filter(|_| simple);
            name.map_or_else(|| unknown("expression", part), |name| self.names.level(name))
        });
        Condition::All(parts.collect())
    }

    fn destinations(&mut self, node: &Node, around: &[Node], written: &mut Written) {
        let ports: Vec<(u16, u16)> = first_of(node, PORTS).map_or(Vec::new(), |node| self.ports(node));
        let asked = first_of(node, PORTS).is_some();
        let own = first_of(node, DESTINATIONS);
        let words = match own {
            Some(Node { value: Value::List(nodes), .. }) => nodes.as_slice(),
            Some(node) => std::slice::from_ref(node),
            None => around,
        };
        if words.is_empty() {
            let all = Span::anywhere();
            let each = |range: &Span| spread(*range, &ports, asked, None);
            written.destinations = all.iter().flat_map(each).collect();
        }
        for node in words {
            let word = node
                .text()
                .or_else(|| first_of(node, &["cidr", "ip", "host", "domain", "uri", "address"])?.text());
            let (name, port) = split(word.unwrap_or_default());
            let own =
                node.get("port").or_else(|| node.get("ports")).map_or(Vec::new(), |node| self.ports(node));
            let ports = if own.is_empty() { &ports } else { &own };
            let ranges = match Span::read(name) {
                Some(range) => vec![range],
                None if matches!(name, "any" | "*" | "all") => Span::anywhere(),
                None => match self.names.hosts.get(name).or_else(|| self.names.networks.get(name)) {
                    Some(ranges) => ranges.clone(),
                    None => {
                        written.unresolved.push(name.to_owned());
                        Span::anywhere()
                    }
                },
            };
            written.destinations.extend(ranges.iter().flat_map(|range| spread(*range, ports, asked, port)));
        }
        written.protocols =
            self.protocols(node, written.destinations.iter().any(|one| one.ports != (0, u16::MAX)));
    }

    fn ports(&mut self, node: &Node) -> Vec<(u16, u16)> {
        let mut ports = Vec::new();
        for word in texts(node) {
            match port_range(word) {
                Some(range) => ports.push(range),
                None => {
                    self.wrong(node, word, "this is no port and no range of ports", "这不是端口或端口范围")
                }
            }
        }
        ports
    }

    fn protocols(&mut self, node: &Node, with_ports: bool) -> Protocols {
        let Some(written) = first_of(node, PROTOCOLS) else {
            return if with_ports { PORT_PROTOCOLS } else { Protocols::ALL };
        };
        let mut protocols = Protocols::NONE;
        for word in texts(written) {
            let found = match word.to_ascii_lowercase().as_str() {
                "any" | "all" | "*" => Protocols::ALL,
                "tcp" | "http" | "https" | "ssh" | "rdp" => Protocols::TCP,
                "udp" | "quic" => Protocols::UDP,
                "icmp" => Protocols::ICMP.or(&Protocols::ICMPV6),
                number => match number.parse() {
                    Ok(number) => Protocols::of(&[number]),
                    Err(_) => {
                        self.wrong(written, word, "no protocol of that name", "没有这个协议");
                        Protocols::NONE
                    }
                },
            };
            protocols = protocols.or(&found);
        }
        protocols
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

/// `name:443`, `https://name/path`, `[::1]:443`, `10.0.0.0/8:80-90` as name and ports.
fn split(word: &str) -> (&str, Option<(u16, u16)>) {
    if let Some((_, rest)) = word.split_once("://") {
        let host = rest.split('/').next().unwrap_or(rest);
        return split(host);
    }
    if let Some((address, rest)) = word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(port_range));
    }
    if Span::read(word).is_some() {
        return (word, None);
    }
    match word.rsplit_once(':').map(|(name, port)| (name, port_range(port))) {
        Some((name, Some(port))) => (name, Some(port)),
        // An application of Cloudflare may be a part of a site.
        _ => (word.split('/').next().unwrap_or(word), None),
    }
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

/// A range with each of the ports. A list of ports of which none could be read is none.
fn spread(range: Span, ports: &[(u16, u16)], asked: bool, own: Option<(u16, u16)>) -> Vec<Destination> {
    let each = |ports: (u16, u16)| Destination { range, ports };
    match (own, ports) {
        (Some(own), _) => vec![each(own)],
        (None, []) if !asked => vec![each((0, u16::MAX))],
        (None, ports) => ports.iter().copied().map(each).collect(),
    }
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
