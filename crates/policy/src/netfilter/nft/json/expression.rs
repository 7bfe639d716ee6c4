//! Expressions, as JSON.

use super::{clean, words};
use crate::doc::{Node, Value};
use crate::netfilter::ast::{Field, Opaque, Verdict};
use crate::netfilter::nft::draft::{NO_FIELD, NO_VALUE, Outcome, Why};
use crate::netfilter::nft::expression::{Expression, Item, Operator};
use crate::netfilter::nft::field::{self, Key};
use crate::netfilter::nft::kind::{self, Kind};

const TOO_DEEP: Why = Why("nested deeper than 32 levels", "嵌套超过 32 层");
/// How deep expressions may be nested.
const NESTING_MAX: usize = 32;

pub(super) fn expression(node: &Node) -> Outcome<Expression<'_>> {
    nested(node, 0)
}

fn nested(node: &Node, depth: usize) -> Outcome<Expression<'_>> {
    if depth > NESTING_MAX {
        return Err(TOO_DEEP);
    }
    match &node.value {
        Value::Text(text) if text.contains(char::is_control) => Err(NO_VALUE),
        Value::Text(text) => Ok(match text.strip_prefix('@') {
            Some(name) => Expression::Named(name),
            None if text == "*" => Expression::Any,
            None => Expression::Word(text),
        }),
        Value::Number(number) => Ok(Expression::Word(number)),
        Value::Bool(bool) => Ok(Expression::Number(u128::from(*bool))),
        Value::List(nodes) => {
            let each = nodes.iter().map(|node| nested(node, depth + 1));
            Ok(Expression::List(each.collect::<Outcome<_>>()?))
        }
        Value::Map(members) => {
            let Some((word, inside)) = members.first() else { return Err(NO_VALUE) };
            object(word, inside, depth + 1)
        }
        _ => Err(NO_VALUE),
    }
}

fn object<'a>(word: &str, inside: &'a Node, depth: usize) -> Outcome<Expression<'a>> {
    let each = || inside.list().iter().map(|node| nested(node, depth)).collect::<Outcome<Vec<_>>>();
    let of = |key| inside.get(key).ok_or(NO_VALUE).and_then(|node| nested(node, depth));
    match word {
        "concat" => Ok(Expression::Chain(each()?)),
        "set" => Ok(Expression::Set(items_nested(inside, depth)?)),
        "map" => Ok(Expression::Map(Box::new((of("key")?, of("data")?)))),
        "prefix" => {
            let length = inside.get("len").and_then(Node::integer);
            let length = length.and_then(|length| u32::try_from(length).ok()).ok_or(NO_VALUE)?;
            Ok(Expression::Prefix(Box::new(of("addr")?), length))
        }
        "range" => match inside.list() {
            [first, last] => Ok(Expression::range(nested(first, depth)?, nested(last, depth)?)),
            _ => Err(NO_VALUE),
        },
        "elem" => of("val"),
        "|" => binary(Operator::Or, inside, depth),
        "&" => binary(Operator::And, inside, depth),
        "^" => binary(Operator::Xor, inside, depth),
        "<<" => binary(Operator::Left, inside, depth),
        ">>" => binary(Operator::Right, inside, depth),
        _ => match verdict(word, inside) {
            Some(verdict) => Ok(Expression::Verdict(verdict)),
            None => field(word, inside).map(Expression::Field).ok_or(NO_FIELD),
        },
    }
}

/// Two sides, or more from left to right.
fn binary<'a>(operator: Operator, inside: &'a Node, depth: usize) -> Outcome<Expression<'a>> {
    let mut sides = inside.list().iter().take(NESTING_MAX).map(|node| nested(node, depth));
    let mut left = sides.next().ok_or(NO_VALUE)??;
    for right in sides {
        left = Expression::Binary(operator, Box::new((left, right?)));
    }
    Ok(left)
}

pub(super) fn verdict(word: &str, inside: &Node) -> Option<Verdict> {
    let target = || clean(inside, "target").map(str::to_owned);
    Some(match word {
        "accept" => Verdict::Accept,
        "drop" => Verdict::Drop,
        "continue" => Verdict::Continue,
        "return" => Verdict::Return,
        "jump" => Verdict::Jump(target()?),
        "goto" => Verdict::Goto(target()?),
        _ => return None,
    })
}

/// The elements of a set; one alone need not stand in a list.
pub(super) fn items(list: &Node) -> Outcome<Vec<Item<'_>>> {
    items_nested(list, 0)
}

fn items_nested(list: &Node, depth: usize) -> Outcome<Vec<Item<'_>>> {
    if depth > NESTING_MAX {
        return Err(TOO_DEEP);
    }
    match &list.value {
        Value::List(nodes) => nodes.iter().map(|node| item(node, depth)).collect(),
        _ => Ok(vec![item(list, depth)?]),
    }
}

/// `value`, `[key, data]`, or either with `{"elem": {"val": …, "timeout": …}}` around the key.
fn item(node: &Node, depth: usize) -> Outcome<Item<'_>> {
    let (key, data) = match node.list() {
        [key, data] => (key, Some(nested(data, depth + 1)?)),
        [] => (node, None),
        _ => return Err(NO_VALUE),
    };
    let mut item = Item {
        key: nested(key, depth + 1)?,
        data,
        timeout_s: None,
        decides: false,
        line: key.place.line,
    };
    if let Some(inside) = key.get("elem") {
        item.timeout_s = inside.word("timeout").and_then(kind::seconds);
        item.decides = ["limit", "quota", "ct count"].iter().any(|word| inside.get(word).is_some());
    }
    Ok(item)
}

/// A field of the packet, connection or machine.
fn field(word: &str, inside: &Node) -> Option<Key> {
    let text = |key| inside.word(key).unwrap_or_default();
    match word {
        "payload" => payload(inside),
        "meta" => field::meta(inside.text().unwrap_or_else(|| text("key"))),
        "ct" => {
            let key = text("key");
            let (family, way) = (inside.word("family"), inside.word("dir"));
            let name = family.map_or_else(|| key.to_owned(), |family| format!("{family} {key}"));
            field::connection(way, &name)
        }
        "rt" => {
            let name = match inside.word("family") {
                Some("ip6") => format!("ip6 {}", text("key")),
                _ => text("key").to_owned(),
            };
            field::routing(&name)
        }
        "socket" => field::socket(text("key")),
        "fib" => {
            let mut flags = inside.get("flags").map(words).unwrap_or_default();
            flags.sort_unstable();
            field::fib(&flags, text("result"))
        }
        "exthdr" => match inside.word("field") {
            Some(name) => field::header(text("name"), name),
            None => field::extension_presence(text("name")),
        },
        "tcp option" => match (inside.get("base").and_then(Node::integer), inside.word("name")) {
            (Some(base), _) => {
                let number = |key| inside.get(key).and_then(Node::integer).and_then(|n| u64::try_from(n).ok());
                field::tcp_option_raw(u64::try_from(base).ok()?, number("offset")?, number("len")?)
            }
            (None, Some(name)) => field::tcp_option(name, text("field")),
            _ => None,
        },
        "ip option" => Some(opaque(Opaque::IpOption, inside, Kind::Integer)),
        "sctp chunk" => Some(opaque(Opaque::SctpChunk, inside, Kind::Integer)),
        "dccp option" => Some(Key::opaque(Opaque::DccpOption, Kind::Boolean)),
        "osf" => Some(Key::opaque(Opaque::OperatingSystem, Kind::Name)),
        "ipsec" => {
            let kind = match inside.word("family") {
                Some("ip") => Kind::Ip4,
                Some("ip6") => Kind::Ip6,
                _ => Kind::Integer,
            };
            Some(Key::opaque(Opaque::Ipsec, kind))
        }
        "numgen" | "jhash" | "symhash" => Some(Key::new(Field::Random, Kind::Integer, 32)),
        _ => None,
    }
}

/// With a field of its own a value is asked for, else whether it is there.
fn opaque(what: Opaque, inside: &Node, kind: Kind) -> Key {
    Key::opaque(what, if inside.get("field").is_some() { kind } else { Kind::Boolean })
}

fn payload(inside: &Node) -> Option<Key> {
    if let Some(base) = inside.word("base") {
        let number = |key| inside.get(key).and_then(Node::integer).and_then(|value| u16::try_from(value).ok());
        return Key::raw(base, number("offset")?, number("len")?);
    }
    let (protocol, name) = (inside.word("protocol")?, inside.word("field")?);
    match inside.word("tunnel") {
        Some(tunnel) => field::header(tunnel, &format!("{protocol} {name}")),
        None => field::header(protocol, name),
    }
}
