//! Sets, maps and their elements, as JSON.

use super::{MISSING, NOT_KNOWN, NOT_THERE, Reader, clean, expression, words};
use crate::doc::Node;
use crate::netfilter::ast::{Part, Set};
use crate::netfilter::nft::draft::{LIMITED, Types, Why};
use crate::netfilter::nft::expression::Expression;
use crate::netfilter::nft::kind::Kind;
use std::sync::Arc;

impl Reader {
    pub(super) fn set(&mut self, thing: &Node, is_map: bool) -> Result<(), Why> {
        let table = self.table_of(thing, "table", true)?;
        let name = clean(thing, "name").ok_or(MISSING)?.to_owned();
        let key = types(thing.get("type").ok_or(MISSING)?)?;
        let data = thing.get("map").map(types).transpose()?.unwrap_or_default();
        let flags = thing.get("flags").map(words).unwrap_or_default();
        let timed = flags.iter().any(|flag| matches!(*flag, "dynamic" | "timeout"));
        let mut set = Set {
            name,
            key: names(&key),
            data: names(&data),
            is_map,
            dynamic: timed || thing.get("timeout").is_some(),
            elements: Arc::default(),
            members: Vec::new(),
            place: thing.place.clone(),
        };
        let outcome = match thing.get("elem") {
            Some(list) => expression::items(list).and_then(|items| {
                let elements = self.builder.interner.elements(&Expression::Set(items), &key, &data)?;
                set.elements = Arc::new(elements);
                let limited = self.builder.interner.limited && !set.dynamic;
                if limited { Err(LIMITED) } else { Ok(()) }
            }),
            None => Ok(()),
        };
        set.dynamic |= outcome.is_err();
        self.builder.set(table, set);
        outcome
    }

    /// `{"element": {"table": …, "name": …, "elem": […]}}`.
    pub(super) fn elements(&mut self, thing: &Node, add: bool) -> Result<(), Why> {
        let table = self.table_of(thing, "table", false)?;
        let name = clean(thing, "name").ok_or(MISSING)?;
        let items = expression::items(thing.get("elem").ok_or(MISSING)?)?;
        let set = self.builder.find_set(table, name).ok_or(NOT_THERE)?;
        let key = Types::named(&set.key);
        let data = if add { Types::named(&set.data) } else { Types::none() };
        let elements = self.builder.interner.elements(&Expression::Set(items), &key, &data)?;
        if add {
            self.builder.add_elements(table, name, elements);
        } else {
            self.builder.delete_elements(table, name, &elements);
        }
        Ok(())
    }
}

fn names(types: &Types) -> Vec<String> {
    types.fields.iter().map(|(kind, _)| kind.name().to_owned()).collect()
}

/// `"ipv4_addr"`, a list of such, or `{"typeof": …}` with a field or a concatenation.
fn types(node: &Node) -> Result<Types, Why> {
    if let Some(example) = node.get("typeof") {
        let fields = match example.get("concat") {
            Some(parts) => parts.list().iter().map(example_type).collect::<Result<Vec<_>, Why>>()?,
            None => vec![example_type(example)?],
        };
        return Ok(Types { fields });
    }
    let objects =
        ["counter", "quota", "limit", "secmark", "synproxy", "ct helper", "ct timeout", "ct expectation"];
    let mut types = Types::none();
    for word in words(node) {
        let kind = match Kind::of_name(word) {
            Some(kind) => kind,
            None if objects.contains(&word) => Kind::Name,
            None => return Err(NOT_KNOWN),
        };
        types.fields.push((kind, if kind == Kind::Verdict { 0 } else { kind.bits() }));
    }
    Ok(types)
}

fn example_type(node: &Node) -> Result<(Kind, u16), Why> {
    let mut expression = expression::expression(node)?;
    while let Expression::Binary(_, both) = expression {
        expression = both.0;
    }
    match expression {
        Expression::Field(key) => Ok((key.kind, key.bits)),
        _ => Err(NOT_KNOWN),
    }
}

/// A limit that stands beside an element.
pub(super) fn stateful(node: &Node) -> Result<Option<Part>, Why> {
    match node.members().first() {
        Some((word, inside)) => match word.as_str() {
            "limit" => super::statement::limit(inside).map(Some),
            "quota" => super::statement::quota(inside).map(Some),
            "ct count" => Ok(Some(super::statement::connections(inside)?)),
            _ => Ok(None),
        },
        None => Ok(None),
    }
}
