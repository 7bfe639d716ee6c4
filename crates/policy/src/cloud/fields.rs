//! Members of nodes as vendors spell them: camelCase or snake_case, bare or under `properties`.

use crate::doc::{Node, Value};
use crate::read::Span;
use std::net::IpAddr;

/// A member that is not null, in any of its spellings, also one level down in `properties`.
pub(crate) fn field<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let bare = |node: &'a Node| {
        let found = node.get(name).or_else(|| node.get(&snake(name))).or_else(|| folded(node, name));
        found.filter(|found| !found.is_null())
    };
    bare(node).or_else(|| node.get("properties").and_then(bare))
}

/// The text of a member.
pub(crate) fn word<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    field(node, name)?.text()
}

/// The elements of a member that is a list; a single map counts as one.
pub(crate) fn each<'a>(node: &'a Node, name: &str) -> &'a [Node] {
    field(node, name).map_or(&[], many)
}

/// A list's elements, or the thing itself.
pub(crate) fn many(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(nodes) => nodes,
        Value::Null => &[],
        _ => std::slice::from_ref(node),
    }
}

/// The texts of a member that is a text or a list of them; empty ones are none.
pub(crate) fn words<'a>(node: &'a Node, name: &str) -> Vec<&'a str> {
    each(node, name).iter().filter_map(Node::text).filter(|text| !text.is_empty()).collect()
}

/// The `id` of a member: `networkSecurityGroup: {id: …}`, or the member's own text.
pub(crate) fn reference<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    let member = field(node, name)?;
    member.text().or_else(|| word(member, "id")).filter(|id| !id.is_empty())
}

pub(crate) fn flag(node: &Node, name: &str) -> Option<bool> {
    field(node, name)?.bool()
}

pub(crate) fn integer(node: &Node, name: &str) -> Option<i64> {
    field(node, name)?.integer()
}

/// Addresses of the members of these names, each a text or a list of them.
pub(crate) fn addresses(node: &Node, names: &[&str]) -> Vec<IpAddr> {
    let texts = names.iter().flat_map(|name| words(node, name));
    let mut addresses: Vec<IpAddr> = texts.filter_map(|text| text.parse().ok()).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// Prefixes of the members of these names.
pub(crate) fn spans(node: &Node, names: &[&str]) -> Vec<Span> {
    names.iter().flat_map(|name| words(node, name)).filter_map(Span::read).collect()
}

/// The last part of a path: the name in a long id or a link.
pub(crate) fn last(id: &str) -> &str {
    id.trim_end_matches('/').rsplit('/').next().unwrap_or(id)
}

fn folded<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    node.members().iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, node)| node)
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
