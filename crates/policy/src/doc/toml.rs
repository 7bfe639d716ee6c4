//! TOML with places: a member of a table has the place of its key, an element of a list its own.

use super::{Lines, Node, Read, Value};
use crate::place::{Place, Unread};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How many faults of one file are said.
const FAULT_COUNT_MAX: usize = 100;

/// Reads one TOML document; what is broken in it is said and the rest kept. The library limits the depth.
pub fn toml(file: &Arc<str>, text: &str) -> Read {
    let lines = Lines::new(file, text);
    let (table, faults) = DeTable::parse_recoverable(text);
    let unread = faults.iter().take(FAULT_COUNT_MAX).map(|fault| {
        let at = fault.span().map_or(0, |span| span.start);
        let rest = text.get(at..).unwrap_or_default().lines().next().unwrap_or_default();
        Unread::new(lines.place(at), rest, fault.message(), format!("TOML 语法有误：{}", fault.message()))
    });
    let unread = unread.collect();
    let mut members = members(table.get_ref(), &lines);
    members.sort_by(|a, b| a.1.place.cmp(&b.1.place));
    let document = Node { place: Place::whole(file), value: Value::Map(members) };
    Read { documents: vec![document], unread }
}

fn members(table: &DeTable<'_>, lines: &Lines) -> Vec<(String, Node)> {
    let member = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        let place = lines.place(key.span().start);
        (key.get_ref().to_string(), Node { place, ..node(value, lines) })
    };
    table.iter().map(member).collect()
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines) -> Node {
    let place = lines.place(value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Number(number.to_string()),
        DeValue::Float(number) => Value::Number(number.to_string()),
        DeValue::Boolean(yes) => Value::Bool(*yes),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(list) => Value::List(list.iter().map(|one| node(one, lines)).collect()),
        DeValue::Table(table) => Value::Map(members(table, lines)),
    };
    Node { place, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_elements_know_their_places_and_faults_leave_the_rest() {
        let read = toml(&"a.toml".into(), "x = 1\n[[intent]]\nname = \"é\"\nto = [\"a\",\n \"b\"]\n");
        assert!(read.unread.is_empty(), "{:?}", read.unread);
        let intent = &read.documents[0].each("intent")[0];
        assert_eq!(intent.get("name").map(|node| node.place.to_string()), Some("a.toml:3:1".to_owned()));
        assert_eq!(intent.each("to")[1].place.to_string(), "a.toml:5:2");
        let read = toml(&"a.toml".into(), "x = \ny = 2\n");
        assert_eq!(read.documents[0].get("y").and_then(Node::integer), Some(2));
        assert_eq!(read.unread[0].place.line, 1);
    }
}
