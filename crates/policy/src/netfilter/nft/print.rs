//! A statement of nft's JSON in nft's words, so that whoever reads of a rule knows it again.

use crate::doc::{Node, Value};

/// The longest text that is made, in bytes.
const TEXT_BYTES_MAX: usize = 1000;
/// How deep it goes.
const NESTING_MAX: usize = 32;

/// Adds a node as text.
pub(super) fn print(node: &Node, text: &mut String) {
    nested(node, text, 0);
}

fn nested(node: &Node, text: &mut String, depth: usize) {
    if text.len() > TEXT_BYTES_MAX || depth > NESTING_MAX {
        return;
    }
    match &node.value {
        Value::Text(word) | Value::Number(word) | Value::Expression(word) => text.push_str(word),
        Value::Bool(true) => text.push_str("exists"),
        Value::Bool(false) => text.push_str("missing"),
        Value::Null => {}
        Value::List(nodes) => joined(nodes, ", ", text, depth),
        Value::Map(members) => {
            if let Some((word, inside)) = members.first() {
                object(word, inside, text, depth + 1);
            }
        }
    }
}

fn joined(nodes: &[Node], by: &str, text: &mut String, depth: usize) {
    for (at, node) in nodes.iter().enumerate() {
        if text.len() > TEXT_BYTES_MAX {
            return;
        }
        if at > 0 {
            text.push_str(by);
        }
        nested(node, text, depth + 1);
    }
}

fn object(word: &str, inside: &Node, text: &mut String, depth: usize) {
    match word {
        "match" => {
            member(inside, "left", text, depth);
            text.push(' ');
            if let Some(operator) = inside.word("op").filter(|operator| !matches!(*operator, "==" | "in")) {
                text.push_str(operator);
                text.push(' ');
            }
            member(inside, "right", text, depth);
        }
        "payload" | "meta" | "ct" | "rt" | "socket" => field(word, inside, text, depth),
        "exthdr" => each_member(inside, text, depth),
        "prefix" => pair(inside, "addr", "/", "len", text, depth),
        "range" => joined(inside.list(), "-", text, depth),
        "concat" => joined(inside.list(), " . ", text, depth),
        "|" | "&" | "^" | "<<" | ">>" => joined(inside.list(), &format!(" {word} "), text, depth),
        "set" if !matches!(inside.value, Value::Map(_)) => braces(inside, text, depth),
        "elem" => member(inside, "val", text, depth),
        "vmap" => pair(inside, "key", " vmap ", "data", text, depth),
        "map" if inside.get("key").is_some() => pair(inside, "key", " map ", "data", text, depth),
        "mangle" => pair(inside, "key", " set ", "value", text, depth),
        "counter" if inside.text().is_none() => text.push_str(word),
        "snat" | "dnat" | "masquerade" | "redirect" | "tproxy" => translation(word, inside, text, depth),
        "set" | "map" => {
            text.push_str(inside.word("op").unwrap_or("add"));
            text.push(' ');
            member(inside, word, text, depth);
            text.push_str(" { ");
            member(inside, "elem", text, depth);
            text.push_str(" }");
        }
        _ => {
            text.push_str(word);
            text.push(' ');
            match &inside.value {
                Value::Map(_) => each_member(inside, text, depth),
                Value::Null => drop(text.pop()),
                _ => nested(inside, text, depth),
            }
        }
    }
}

fn member(inside: &Node, key: &str, text: &mut String, depth: usize) {
    if let Some(node) = inside.get(key) {
        nested(node, text, depth);
    }
}

fn pair(inside: &Node, first: &str, by: &str, second: &str, text: &mut String, depth: usize) {
    member(inside, first, text, depth);
    text.push_str(by);
    member(inside, second, text, depth);
}

fn each_member(inside: &Node, text: &mut String, depth: usize) {
    for (at, (_, node)) in inside.members().iter().enumerate() {
        if at > 0 {
            text.push(' ');
        }
        nested(node, text, depth);
    }
}

fn field(word: &str, inside: &Node, text: &mut String, depth: usize) {
    if word != "payload" {
        text.push_str(word);
        for key in ["dir", "family"] {
            if let Some(part) = inside.word(key) {
                text.push(' ');
                text.push_str(part);
            }
        }
        text.push(' ');
        return member(inside, "key", text, depth);
    }
    match (inside.word("base"), inside.word("offset"), inside.word("len")) {
        (Some(base), Some(offset), Some(length)) => text.push_str(&format!("@{base},{offset},{length}")),
        _ => pair(inside, "protocol", " ", "field", text, depth),
    }
}

fn braces(inside: &Node, text: &mut String, depth: usize) {
    text.push_str("{ ");
    for (at, node) in inside.list().iter().enumerate() {
        if text.len() > TEXT_BYTES_MAX {
            break;
        }
        if at > 0 {
            text.push_str(", ");
        }
        match node.list() {
            [key, data] => {
                nested(key, text, depth + 1);
                text.push_str(" : ");
                nested(data, text, depth + 1);
            }
            _ => nested(node, text, depth + 1),
        }
    }
    text.push_str(" }");
}

fn translation(word: &str, inside: &Node, text: &mut String, depth: usize) {
    text.push_str(word);
    if let Some(family) = inside.word("family") {
        text.push(' ');
        text.push_str(family);
    }
    if inside.get("addr").is_some() || inside.get("port").is_some() {
        text.push_str(" to ");
        member(inside, "addr", text, depth);
    }
    if inside.get("port").is_some() {
        text.push(':');
        member(inside, "port", text, depth);
    }
}
