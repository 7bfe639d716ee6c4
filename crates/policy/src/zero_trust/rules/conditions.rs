//! The conditions of a rule, under the keys that several products use.

use super::{
    ACTION, ASIDE, CONDITIONS, DESTINATIONS, NAME, PORTS, PROTOCOLS, Reader, SOURCES, first_of, texts,
    unknown, values,
};
use crate::doc::{Node, Value};
use crate::place::both;
use crate::read::Span;
use crate::zero_trust::condition::{Condition, canonical};

impl Reader<'_> {
    /// Everything of a rule that must hold for it to match.
    pub(super) fn whole(&mut self, node: &Node, extra: Option<Condition>) -> Condition {
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
}
