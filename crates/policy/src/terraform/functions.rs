//! The functions of Terraform that configurations of networks use.

use super::value::{self, entries, is_known, word};
use crate::doc::{Node, Value};
use crate::place::Place;
use crate::read::{Span, address};
use crate::space::Family;

/// The longest text a function makes, beside what it was given, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 24;
/// The longest list `range` makes.
const RANGE_MAX: i64 = 10_000;

/// Calls a function; `None` when it is another one or an argument is not known well enough.
pub fn call(name: &str, arguments: &[Node], place: &Place) -> Option<Node> {
    let text = of_texts(name, arguments).map(|text| value::text(place, text));
    let text = text.or_else(|| of_numbers(name, arguments).map(|made| value::node(place, made)));
    let list = || of_lists(name, arguments, place).map(|nodes| value::list(place, nodes));
    text.or_else(list).or_else(|| of_values(name, arguments, place))
}

/// Functions that give a text.
fn of_texts(name: &str, arguments: &[Node]) -> Option<String> {
    let first = arguments.first()?;
    match name {
        "tostring" => word(first),
        "lower" => Some(first.text()?.to_lowercase()),
        "upper" => Some(first.text()?.to_uppercase()),
        "trimspace" => Some(first.text()?.trim().to_owned()),
        "format" => format(first.text()?, arguments.get(1..)?),
        "join" => join(first.text()?, &words(arguments.get(1)?)?),
        "replace" => replace(arguments),
        "cidrsubnet" => cidr_subnet(arguments),
        "cidrhost" => cidr_host(arguments),
        _ => None,
    }
}

/// Functions that give a number or a truth.
fn of_numbers(name: &str, arguments: &[Node]) -> Option<Value> {
    let first = arguments.first()?;
    let number = |number: i64| Some(Value::Number(number.to_string()));
    match name {
        "length" => match &first.value {
            Value::Text(text) => number(i64::try_from(text.chars().count()).ok()?),
            _ => number(i64::try_from(entries(first)?.len()).ok()?),
        },
        "min" => number(integers(arguments)?.into_iter().min()?),
        "max" => number(integers(arguments)?.into_iter().max()?),
        "tobool" => Some(Value::Bool(first.bool()?)),
        "contains" => Some(Value::Bool(words(first)?.contains(&word(arguments.get(1)?)?))),
        _ => None,
    }
}

/// Functions that give a list.
fn of_lists(name: &str, arguments: &[Node], place: &Place) -> Option<Vec<Node>> {
    let first = arguments.first()?;
    match name {
        "split" => {
            let parts = arguments.get(1)?.text()?.split(first.text()?);
            Some(parts.map(|part| value::text(place, part)).collect())
        }
        "concat" => Some(lists(arguments)?.concat()),
        "flatten" => {
            let mut flat = Vec::new();
            flatten(first, &mut flat)?;
            Some(flat)
        }
        "distinct" | "sort" | "compact" | "reverse" | "setunion" => reordered(name, arguments),
        "keys" => Some(known_map(first)?.iter().map(|(key, _)| value::text(place, key.as_str())).collect()),
        "values" => Some(known_map(first)?.iter().map(|(_, value)| value.clone()).collect()),
        "slice" => {
            let bound = |at: usize| usize::try_from(arguments.get(at)?.integer()?).ok();
            Some(first.list().get(bound(1)?..bound(2)?)?.to_vec())
        }
        "range" => {
            Some(range(arguments)?.map(|at| value::node(place, Value::Number(at.to_string()))).collect())
        }
        _ => None,
    }
}

/// Functions that give what they were given, or a part of it.
fn of_values(name: &str, arguments: &[Node], place: &Place) -> Option<Node> {
    let first = arguments.first()?;
    match name {
        "tolist" | "tomap" | "toset" | "tonumber" | "nonsensitive" | "sensitive" => Some(first.clone()),
        "merge" => {
            let mut merged: Vec<(String, Node)> = Vec::new();
            for argument in arguments {
                merged.extend(known_map(argument)?.iter().cloned());
            }
            Some(value::node(place, Value::Map(merged)))
        }
        "lookup" => {
            known_map(first)?;
            first.get(arguments.get(1)?.text()?).or_else(|| arguments.get(2)).cloned()
        }
        "element" => {
            let nodes = first.list();
            let length = i64::try_from(nodes.len()).ok().filter(|length| *length > 0)?;
            nodes.get(usize::try_from(arguments.get(1)?.integer()?.rem_euclid(length)).ok()?).cloned()
        }
        "coalesce" => {
            let given = arguments.iter().find(|node| !node.is_null() && node.text() != Some(""));
            given.filter(|node| is_known(node)).cloned()
        }
        "try" => arguments.iter().find(|node| is_known(node)).cloned(),
        "one" => match first.list() {
            [only] => Some(only.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// A text that would be longer than the limit is left unknown.
fn join(between: &str, words: &[String]) -> Option<String> {
    let length = words.len().saturating_mul(between.len());
    (length <= TEXT_BYTES_MAX).then(|| words.join(between))
}

fn integers(nodes: &[Node]) -> Option<Vec<i64>> {
    nodes.iter().map(Node::integer).collect()
}

fn words(node: &Node) -> Option<Vec<String>> {
    match &node.value {
        Value::List(nodes) => nodes.iter().map(word).collect(),
        _ => None,
    }
}

fn lists(nodes: &[Node]) -> Option<Vec<&[Node]>> {
    nodes.iter().map(|node| matches!(node.value, Value::List(_)).then(|| node.list())).collect()
}

fn known_map(node: &Node) -> Option<&[(String, Node)]> {
    matches!(node.value, Value::Map(_)).then(|| node.members())
}

fn flatten(node: &Node, into: &mut Vec<Node>) -> Option<()> {
    for each in node.list() {
        match each.value {
            Value::List(_) => flatten(each, into)?,
            Value::Expression(_) => return None,
            _ => into.push(each.clone()),
        }
    }
    Some(())
}

fn reordered(name: &str, arguments: &[Node]) -> Option<Vec<Node>> {
    let mut nodes = lists(arguments)?.concat();
    if name == "reverse" {
        nodes.reverse();
        return Some(nodes);
    }
    let keyed = nodes.into_iter().map(|node| Some((word(&node), node))).collect::<Option<Vec<_>>>()?;
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<(Option<String>, Node)> = match name {
        "compact" => keyed.into_iter().filter(|(word, _)| word.as_deref() != Some("")).collect(),
        "sort" => keyed,
        _ => keyed.into_iter().filter(|(word, _)| word.is_none() || seen.insert(word.clone())).collect(),
    };
    if name == "sort" {
        kept.sort_by(|left, right| left.0.cmp(&right.0));
    }
    Some(kept.into_iter().map(|(_, node)| node).collect())
}

/// `%s`, `%d`, `%v` and `%%`; other verbs are left unknown.
fn format(pattern: &str, arguments: &[Node]) -> Option<String> {
    let mut made = String::new();
    let mut arguments = arguments.iter();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            made.push(letter);
            continue;
        }
        match letters.next()? {
            '%' => made.push('%'),
            's' | 'd' | 'v' => made.push_str(&word(arguments.next()?)?),
            _ => return None,
        }
    }
    Some(made)
}

fn replace(arguments: &[Node]) -> Option<String> {
    let [text, from, to] = arguments else { return None };
    let (text, from, to) = (text.text()?, from.text()?, to.text()?);
    let is_pattern = from.len() > 1 && from.starts_with('/') && from.ends_with('/');
    let length = text.matches(from).count().saturating_mul(to.len());
    (!is_pattern && !from.is_empty() && length <= TEXT_BYTES_MAX).then(|| text.replace(from, to))
}

fn range(arguments: &[Node]) -> Option<std::ops::Range<i64>> {
    let (from, to) = match integers(arguments)?.as_slice() {
        [to] => (0, *to),
        [from, to] => (*from, *to),
        _ => return None,
    };
    (to.checked_sub(from)? <= RANGE_MAX).then_some(from..to)
}

/// A prefix, its first address as a number, and how many of its bits are those of hosts.
fn network(node: &Node) -> Option<(Span, u32)> {
    let span = Span::read(node.text()?).filter(|_| node.text().is_some_and(|text| text.contains('/')))?;
    let bits = if span.family == Family::V4 { 32 } else { 128 };
    Some((span, bits - span.prefix_length()?))
}

fn cidr_subnet(arguments: &[Node]) -> Option<String> {
    let (span, hosts) = network(arguments.first()?)?;
    let more = u32::try_from(arguments.get(1)?.integer()?).ok()?;
    let which = u128::try_from(arguments.get(2)?.integer()?).ok()?;
    let hosts = hosts.checked_sub(more)?;
    (more >= 64 || which < 1 << more).then_some(())?;
    let first = span.first | which.checked_shl(hosts).unwrap_or(0);
    let last = first | 1u128.checked_shl(hosts).map_or(u128::MAX, |size| size - 1);
    Some(Span { first, last, ..span }.to_string())
}

fn cidr_host(arguments: &[Node]) -> Option<String> {
    let (span, hosts) = network(arguments.first()?)?;
    let host = arguments.get(1)?.integer()?;
    let size = 1u128.checked_shl(hosts);
    let host = match u128::try_from(host) {
        Ok(host) => host,
        Err(_) => size?.checked_sub(u128::from(host.unsigned_abs()))?,
    };
    size.is_none_or(|size| host < size).then(|| address(span.family, span.first | host).to_string())
}
