//! Values that Terraform computes with: their budget, their texts, their truth.

use crate::doc::{Node, Value};
use crate::place::Place;

/// How much may be worked out for a set of files, in nodes and bytes of text: a value that doubles itself forty
/// times ends here.
const WORK_MAX: usize = 1 << 26;

/// What is left to spend.
pub struct Budget {
    left: usize,
}

impl Budget {
    pub fn new() -> Budget {
        Budget { left: WORK_MAX }
    }

    /// False once everything is spent.
    pub fn spend(&mut self, cost: usize) -> bool {
        self.left = self.left.saturating_sub(cost);
        self.left > 0
    }
}

/// How much memory a value takes, in nodes and bytes of text.
pub fn size(node: &Node) -> usize {
    /// About what one node takes, in bytes.
    const NODE_BYTES: usize = 64;
    NODE_BYTES
        + match &node.value {
            Value::Text(text) | Value::Number(text) | Value::Expression(text) => text.len(),
            Value::List(nodes) => nodes.iter().map(size).sum(),
            Value::Map(members) => members.iter().map(|(key, value)| key.len() + size(value)).sum(),
            Value::Null | Value::Bool(_) => 0,
        }
}

pub fn node(place: &Place, value: Value) -> Node {
    Node { place: place.clone(), value }
}

pub fn text(place: &Place, text: impl Into<String>) -> Node {
    node(place, Value::Text(text.into()))
}

pub fn list(place: &Place, nodes: Vec<Node>) -> Node {
    node(place, Value::List(nodes))
}

/// Whether anything in a value is not known.
pub fn is_known(node: &Node) -> bool {
    match &node.value {
        Value::Expression(_) => false,
        Value::List(nodes) => nodes.iter().all(is_known),
        Value::Map(members) => members.iter().all(|(_, value)| is_known(value)),
        _ => true,
    }
}

/// What a value is in a template or as a key.
pub fn word(node: &Node) -> Option<String> {
    match &node.value {
        Value::Bool(bool) => Some(bool.to_string()),
        _ => node.text().map(str::to_owned),
    }
}

/// The elements of a list or the values of a map, with the keys `for` and `for_each` give them.
pub fn entries(node: &Node) -> Option<Vec<(Node, Node)>> {
    match &node.value {
        Value::List(nodes) => Some(
            nodes
                .iter()
                .enumerate()
                .map(|(at, each)| (self::node(&each.place, Value::Number(at.to_string())), each.clone()))
                .collect(),
        ),
        Value::Map(members) => Some(
            members.iter().map(|(key, value)| (text(&value.place, key.as_str()), value.clone())).collect(),
        ),
        _ => None,
    }
}
