//! A document of JSON, YAML, TOML or HCL as one tree in which everything knows its place.

mod hcl;
mod json;
mod toml;
mod yaml;

pub use hcl::hcl;
pub use json::json;
pub use toml::toml;
pub use yaml::yaml;

use crate::place::{Place, Unread};
use std::sync::Arc;

/// How deep lists and maps may be nested.
pub const DEPTH_MAX: usize = 128;
/// The largest file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 28;

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; of a key that stands twice the last counts.
    Map(Vec<(String, Node)>),
    /// An expression that only its own program can work out (HCL): as written.
    Expression(String),
}

impl Node {
    /// A member of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(members) => members.iter().rev().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// A member of a member: `at(&["spec", "podSelector"])`.
    pub fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The elements of a list; none for anything else.
    pub fn list(&self) -> &[Node] {
        match &self.value {
            Value::List(nodes) => nodes,
            _ => &[],
        }
    }

    /// The elements of the list under a key; none when there is none.
    pub fn each(&self, key: &str) -> &[Node] {
        self.get(key).map_or(&[], Node::list)
    }

    /// The members of a map; none for anything else.
    pub fn members(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Map(members) => members,
            _ => &[],
        }
    }

    /// A text or a number, as written.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text),
            _ => None,
        }
    }

    /// The text under a key.
    pub fn word(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// A whole number, also when it is written as a text.
    pub fn integer(&self) -> Option<i64> {
        self.text()?.trim().parse().ok()
    }

    /// True and false, also as a text in any case.
    pub fn bool(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(bool) => Some(*bool),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The same with a space for every control character in its texts and keys: names go to terminals.
    #[must_use]
    pub fn printable(self) -> Node {
        self.printable_but(&[])
    }

    /// The same, but what stands under a key of `documents` is left as it is: it is read as a document of its own.
    #[must_use]
    pub fn printable_but(self, documents: &[&str]) -> Node {
        let value = match self.value {
            Value::Text(text) => Value::Text(printable(text)),
            Value::Expression(text) => Value::Expression(printable(text)),
            Value::List(nodes) => {
                Value::List(nodes.into_iter().map(|node| node.printable_but(documents)).collect())
            }
            Value::Map(members) => {
                let member = |(key, node): (String, Node)| match documents.contains(&key.as_str()) {
                    true => (key, node),
                    false => (printable(key), node.printable_but(documents)),
                };
                Value::Map(members.into_iter().map(member).collect())
            }
            other => other,
        };
        Node { place: self.place, value }
    }
}

/// A text with a space for every control character.
pub fn printable(text: String) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, " ") } else { text }
}

/// What a text held, and what of it could not be read.
#[derive(Debug, Clone, Default)]
pub struct Read {
    /// One for each document of the text.
    pub documents: Vec<Node>,
    pub unread: Vec<Unread>,
}

/// Turns an offset into a text into a line and a column, quickly for offsets that grow.
#[derive(Debug, Clone)]
pub struct Lines {
    file: Arc<str>,
    starts: Vec<usize>,
}

impl Lines {
    pub fn new(file: &Arc<str>, text: &str) -> Lines {
        let starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1));
        Lines { file: Arc::clone(file), starts: starts.collect() }
    }

    /// The place of a byte. Columns count bytes.
    pub fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|at| self.starts.get(at)).copied().unwrap_or(0);
        let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place::new(&self.file, short(line), short(offset - start + 1))
    }
}
