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

/// A text or a number; of an expression that nothing worked out its own words, so that it is seen, not lost.
pub(crate) fn spelt(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Expression(text) => Some(text),
        _ => node.text(),
    }
}

/// The text of a member.
pub(crate) fn word<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    spelt(field(node, name)?)
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
    each(node, name).iter().filter_map(spelt).filter(|text| !text.is_empty()).collect()
}

/// The `id` of a member: `networkSecurityGroup: {id: …}`, or the member's own text.
pub(crate) fn reference<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    let member = field(node, name)?;
    spelt(member).or_else(|| word(member, "id")).filter(|id| !id.is_empty())
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

/// `privateIPAddress` as `private_ip_address`.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let begins = before.is_some_and(|before| !before.is_ascii_uppercase())
            || letters.get(at + 1).is_some_and(|after| after.is_ascii_lowercase());
        if letter.is_ascii_uppercase() && before.is_some() && begins {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_members_are_found_in_both_spellings() {
        assert_eq!(snake("privateIPAddress"), "private_ip_address");
        assert_eq!(snake("sourceAddressPrefix"), "source_address_prefix");
        assert_eq!(snake("networkIP"), "network_ip");
        assert_eq!(snake("VpcId"), "vpc_id");
    }
}
