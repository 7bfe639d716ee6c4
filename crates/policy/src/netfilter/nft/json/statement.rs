//! Statements of a rule, as JSON.

use super::expression::{expression, verdict};
use super::set::stateful;
use super::{MISSING, NOT_KNOWN, clean};
use crate::doc::Node;
use crate::netfilter::ast::{Field, NatKind, Opaque, Part, UpdateKind, Verdict, Written};
use crate::netfilter::nft::draft::{Draft, NatText, Outcome, Rate, Why, bytes_of};
use crate::netfilter::nft::expression::{Comparison, Expression};
use crate::netfilter::nft::print;

/// Adds what a statement means.
pub(super) fn statement(draft: &mut Draft, node: &Node) -> Outcome {
    if let Some(word) = node.text() {
        return by_word(draft, word);
    }
    let (word, inside) = node.members().first().ok_or(NOT_KNOWN)?;
    if let Some(verdict) = verdict(word, inside) {
        draft.parts.push(Part::Verdict(verdict));
        return Ok(());
    }
    match word.as_str() {
        "match" => matching(draft, inside),
        "vmap" => draft.verdict_map(&side(inside, "key")?, &side(inside, "data")?),
        "mangle" => match side(inside, "key")? {
            Expression::Field(key) => draft.write(key, &side(inside, "value")?),
            _ => Err(NOT_KNOWN),
        },
        "counter" | "synproxy" | "limit" | "quota" | "ct helper" | "ct timeout" | "ct expectation" => {
            stating(draft, word, inside)
        }
        "ct count" => {
            draft.parts.push(connections(inside)?);
            Ok(())
        }
        "snat" => nat(draft, NatKind::Source, inside),
        "dnat" => nat(draft, NatKind::Destination, inside),
        "masquerade" => nat(draft, NatKind::Masquerade, inside),
        "redirect" => nat(draft, NatKind::Redirect, inside),
        "reject" => {
            let code = inside.get("expr").map(expression).transpose()?;
            draft.reject(inside.word("type").unwrap_or_default(), code.as_ref())
        }
        "set" | "map" => update(draft, inside, word),
        "meter" => {
            let also = inside.get("stmt").map(stateful).transpose()?.flatten().into_iter().collect();
            let name = clean(inside, "name").unwrap_or_default();
            draft.update(name, UpdateKind::Add, &side(inside, "key")?, also)
        }
        "queue" => {
            let bypass = inside.get("flags").is_some_and(|flags| super::words(flags).contains(&"bypass"));
            draft.parts.push(Part::Verdict(Verdict::Queue { bypass }));
            Ok(())
        }
        "tproxy" => {
            match inside.word("family") {
                Some("ip") => draft.require_family(4),
                Some("ip6") => draft.require_family(6),
                _ => {}
            }
            by_word(draft, "tproxy")
        }
        "xt" => draft.foreign(clean(inside, "name").unwrap_or_default()),
        word => by_word(draft, word),
    }
}

/// Statements that need no more than their word.
fn by_word(draft: &mut Draft, word: &str) -> Outcome {
    draft.parts.push(match word {
        // A counter decides nothing and stands in most rules: it takes no part of its own.
        "counter" => return Ok(()),
        "notrack" => Part::Notrack,
        "secmark" => Part::Write { field: Field::Opaque(Opaque::SecurityMark), value: Written::Unknown },
        "log" | "last" | "dup" | "flow" | "reset" | "ct helper" | "ct timeout" | "ct expectation" => Part::Aside,
        "tproxy" | "synproxy" | "fwd" => Part::Verdict(Verdict::Stolen(word.to_owned())),
        "masquerade" | "redirect" => {
            let kind = if word == "redirect" { NatKind::Redirect } else { NatKind::Masquerade };
            return draft.nat(&NatText { kind, family: None, address: None, port: None, prefix: false });
        }
        "reject" => return draft.reject("", None),
        "accept" => Part::Verdict(Verdict::Accept),
        "drop" => Part::Verdict(Verdict::Drop),
        "continue" => Part::Verdict(Verdict::Continue),
        "return" => Part::Verdict(Verdict::Return),
        "queue" => Part::Verdict(Verdict::Queue { bypass: false }),
        _ => return Err(Why("a statement of this name is not known", "未知的语句")),
    });
    Ok(())
}

fn side<'a>(inside: &'a Node, key: &str) -> Outcome<Expression<'a>> {
    expression(inside.get(key).ok_or(MISSING)?)
}

fn matching(draft: &mut Draft, inside: &Node) -> Outcome {
    let how = match inside.word("op").unwrap_or("==") {
        "in" => Comparison::Implied,
        "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "!" => Comparison::NoBit,
        "<" => Comparison::Less,
        "<=" => Comparison::LessEqual,
        ">" => Comparison::More,
        ">=" => Comparison::MoreEqual,
        _ => return Err(NOT_KNOWN),
    };
    draft.compare(&side(inside, "left")?, how, &side(inside, "right")?)
}

/// What is given itself, by its name, or by a map.
fn stating(draft: &mut Draft, word: &str, inside: &Node) -> Outcome {
    if inside.get("map").is_some() {
        let Expression::Map(map) = expression(inside)? else { return Err(NOT_KNOWN) };
        draft.only_entries(&map.0, &map.1)?;
        return match word {
            "limit" | "quota" => Err(Why("a limit from a map is not modelled", "未建模：来自映射的限制")),
            word => by_word(draft, word),
        };
    }
    match (word, inside.text().filter(|name| !name.contains(char::is_control))) {
        ("limit" | "quota", Some(name)) => draft.object(word, name),
        ("limit", None) => draft.parts.push(limit(inside)?),
        ("quota", None) => draft.parts.push(quota(inside)?),
        ("synproxy", name) => {
            if name.is_none() {
                draft.require_transport(6);
            }
            return by_word(draft, word);
        }
        _ => return by_word(draft, word),
    }
    Ok(())
}

fn integer(node: &Node, key: &str) -> Option<u64> {
    node.get(key).and_then(Node::integer).and_then(|value| u64::try_from(value).ok())
}

fn inverted(node: &Node) -> bool {
    node.get("inv").and_then(Node::bool).unwrap_or(false)
}

pub(super) fn limit(node: &Node) -> Outcome<Part> {
    let unit = |key| node.word(key).unwrap_or_default();
    let rate = Rate {
        count: integer(node, "rate").ok_or(MISSING)?,
        unit: unit("rate_unit"),
        per: node.word("per").unwrap_or("second"),
        burst: integer(node, "burst").map(|count| (count, unit("burst_unit"))),
        over: inverted(node),
    };
    Ok(Part::Limit(rate.limit()?))
}

pub(super) fn quota(node: &Node) -> Outcome<Part> {
    let (value, unit) = match node.get("val") {
        Some(_) => ("val", "val_unit"),
        None => ("bytes", ""),
    };
    let count = integer(node, value).ok_or(MISSING)?;
    let bytes = count.saturating_mul(bytes_of(node.word(unit).unwrap_or("bytes"))?);
    Ok(Part::Quota { bytes, over: inverted(node) })
}

pub(super) fn connections(node: &Node) -> Outcome<Part> {
    Ok(Part::Connections { count: integer(node, "val").ok_or(MISSING)?, over: inverted(node) })
}

fn nat(draft: &mut Draft, kind: NatKind, inside: &Node) -> Outcome {
    let family = match inside.word("family") {
        Some("ip") => Some(4),
        Some("ip6") => Some(6),
        _ => None,
    };
    let prefix = inside.get("type_flags").is_some_and(|flags| super::words(flags).contains(&"prefix"));
    let address = inside.get("addr").map(expression).transpose()?;
    let port = inside.get("port").map(expression).transpose()?;
    draft.nat(&NatText { kind, family, address, port, prefix })
}

fn update(draft: &mut Draft, inside: &Node, set: &str) -> Outcome {
    let kind = match inside.word("op") {
        Some("update") => UpdateKind::Update,
        Some("delete") => UpdateKind::Delete,
        _ => UpdateKind::Add,
    };
    let name = clean(inside, set).ok_or(MISSING)?;
    let mut also = Vec::new();
    for node in inside.each("stmt") {
        also.extend(stateful(node)?);
    }
    draft.update(name.trim_start_matches('@'), kind, &side(inside, "elem")?, also)
}

/// A statement in few words, as the text of a rule.
pub(super) fn print(node: &Node) -> String {
    let mut text = String::new();
    print::print(node, &mut text);
    text
}
