//! HCL with places. A block that cannot be read is emptied and said; the others stay.
//!
//! Blocks of one name are a list under that name; the labels of a block are maps around it, so that
//! `resource "aws_vpc" "a" {}` is `resource: [{ aws_vpc: { a: {} } }]`, as in Terraform's own JSON syntax.

mod pieces;

use super::{Lines, Node, Read, Value};
use crate::place::Unread;
use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey, UnaryOperator};
use hcl_edit::structure::{Body, Structure};
use hcl_edit::template::Element;
use pieces::{Piece, empty_block, pieces};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The largest text that is read, in bytes: its syntax tree takes many times as much memory.
const HCL_BYTES_MAX: usize = 1 << 25;
/// How many faults in one top-level block are stepped over before it is dropped as a whole.
const FAULTS_PER_PIECE_MAX: usize = 16;
/// How many faults of a file are told.
const FAULTS_PER_FILE_MAX: usize = 1_000;

/// Reads a text of HCL as one document.
pub fn hcl(file: &Arc<str>, text: &str) -> Read {
    let lines = Lines::new(file, text);
    let mut read = Read::default();
    if text.len() > HCL_BYTES_MAX {
        let why = ("larger than 32 MiB of HCL", "HCL 超过 32 MiB");
        read.unread.push(Unread::new(lines.place(0), text, why.0, why.1));
        return read;
    }
    let mut map = MapBuilder::default();
    match hcl_edit::parser::parse_body(text) {
        Ok(body) => Source { text, base: 0, lines: &lines }.body(&body, &mut map),
        Err(_) => {
            for piece in pieces(text) {
                if read.unread.len() >= FAULTS_PER_FILE_MAX {
                    break;
                }
                read_piece(text, &piece, &lines, &mut map, &mut read.unread);
            }
        }
    }
    read.documents.push(Node { place: lines.place(0), value: Value::Map(map.members) });
    read
}

/// Reads one top-level block; what of it cannot be parsed is emptied, from the inside out.
fn read_piece(text: &str, piece: &Piece, lines: &Lines, map: &mut MapBuilder, unread: &mut Vec<Unread>) {
    let Some(mut part) = text.get(piece.range.clone()).map(str::to_owned) else { return };
    for _ in 0..FAULTS_PER_PIECE_MAX {
        let fault = match hcl_edit::parser::parse_body(&part) {
            Ok(body) => return Source { text: &part, base: piece.range.start, lines }.body(&body, map),
            Err(fault) => fault,
        };
        let at = fault.location().offset().min(part.len());
        let en = format!("this HCL cannot be read: {}", fault.message().replace('\n', "; "));
        unread.push(Unread::new(
            lines.place(piece.range.start + at),
            fault.line(),
            en,
            "此处的 HCL 无法读取",
        ));
        match empty_block(&part, at) {
            Some(emptied) if emptied != part => part = emptied,
            _ => return,
        }
    }
}

/// Members in their order, with blocks of one name gathered in a list.
#[derive(Default)]
struct MapBuilder {
    members: Vec<(String, Node)>,
    blocks: HashMap<String, usize>,
}

impl MapBuilder {
    fn block(&mut self, name: &str, node: Node) {
        let at = *self.blocks.entry(name.to_owned()).or_insert_with(|| {
            let list = Node { place: node.place.clone(), value: Value::List(Vec::new()) };
            self.members.push((name.to_owned(), list));
            self.members.len() - 1
        });
        if let Some((_, Node { value: Value::List(list), .. })) = self.members.get_mut(at) {
            list.push(node);
        }
    }
}

/// The text that spans point into, and where it stands in its file.
struct Source<'a> {
    text: &'a str,
    base: usize,
    lines: &'a Lines,
}

impl Source<'_> {
    fn body(&self, body: &Body, map: &mut MapBuilder) {
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => {
                    let node = self.node(&attribute.value);
                    map.members.push((attribute.key.as_str().to_owned(), node));
                }
                Structure::Block(block) => {
                    let mut inner = MapBuilder::default();
                    self.body(&block.body, &mut inner);
                    let place = self.lines.place(self.base + block.ident.span().map_or(0, |span| span.start));
                    let mut node = Node { place: place.clone(), value: Value::Map(inner.members) };
                    for label in block.labels.iter().rev() {
                        let value = Value::Map(vec![(label.as_str().to_owned(), node)]);
                        node = Node { place: place.clone(), value };
                    }
                    map.block(block.ident.as_str(), node);
                }
            }
        }
    }

    fn node(&self, expression: &Expression) -> Node {
        let span = expression.span().unwrap_or(0..0);
        let place = self.lines.place(self.base + span.start);
        let value = self.value(expression).unwrap_or_else(|| self.written(span));
        Node { place, value }
    }

    fn written(&self, span: Range<usize>) -> Value {
        Value::Expression(self.text.get(span).unwrap_or_default().to_owned())
    }

    /// The value of what is written out; `None` for what must be worked out.
    fn value(&self, expression: &Expression) -> Option<Value> {
        Some(match expression {
            Expression::Null(_) => Value::Null,
            Expression::Bool(bool) => Value::Bool(*bool.value()),
            Expression::Number(number) => Value::Number(number.value().to_string()),
            Expression::String(text) => Value::Text(text.value().clone()),
            Expression::Array(array) => Value::List(array.iter().map(|each| self.node(each)).collect()),
            Expression::Object(object) => {
                let member = |(key, value): (&ObjectKey, &hcl_edit::expr::ObjectValue)| {
                    Some((literal_key(key)?, self.node(value.expr())))
                };
                Value::Map(object.iter().map(member).collect::<Option<_>>()?)
            }
            Expression::Parenthesis(inner) => self.value(inner.inner())?,
            Expression::UnaryOp(operation) if *operation.operator.value() == UnaryOperator::Neg => {
                Value::Number(format!("-{}", operation.expr.as_number()?))
            }
            Expression::HeredocTemplate(heredoc) => {
                let mut heredoc = heredoc.clone();
                heredoc.dedent();
                let texts = heredoc.template.iter().map(Element::as_literal);
                Value::Text(texts.map(|text| text.map(|t| t.value().as_str())).collect::<Option<String>>()?)
            }
            _ => return None,
        })
    }
}

fn literal_key(key: &ObjectKey) -> Option<String> {
    match key {
        ObjectKey::Ident(name) => Some(name.as_str().to_owned()),
        ObjectKey::Expression(Expression::String(text)) => Some(text.value().clone()),
        ObjectKey::Expression(Expression::Number(number)) => Some(number.value().to_string()),
        ObjectKey::Expression(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "resource \"aws_security_group\" \"web\" {\n  vpc_id = aws_vpc.a.id\n  ingress {\n    \
                         from_port = 80\n    protocol = -1\n  }\n  ingress {\n    BROKEN BROKEN\n  }\n}\n\
                         variable \"x\" { default = [\"a\", \"${b}\"] }\n";

    #[test]
    fn blocks_are_lists_and_a_broken_one_is_emptied_and_said() {
        let read = hcl(&"a.tf".into(), GROUP);
        assert_eq!(read.unread.len(), 1);
        assert_eq!(read.unread[0].place.line, 8);
        let root = &read.documents[0];
        let group = root.each("resource")[0].at(&["aws_security_group", "web"]).expect("group");
        assert_eq!(group.get("vpc_id").expect("vpc").value, Value::Expression("aws_vpc.a.id".to_owned()));
        assert_eq!(group.each("ingress").len(), 2);
        let first = &group.each("ingress")[0];
        assert_eq!((first.place.line, first.place.column), (3, 3));
        assert_eq!(first.get("protocol").and_then(Node::integer), Some(-1));
        assert!(group.each("ingress")[1].members().is_empty());
        let default = root.each("variable")[0].at(&["x", "default"]).expect("default");
        assert_eq!(default.list()[1].value, Value::Expression("\"${b}\"".to_owned()));
    }

    #[test]
    fn a_block_that_is_never_closed_does_not_swallow_the_next() {
        let read =
            hcl(&"a.tf".into(), "resource \"a\" \"b\" {\n  x = {\n\nresource \"c\" \"d\" {\n  y = 1\n}\n");
        assert!(!read.unread.is_empty());
        let kept: Vec<_> = read.documents[0].each("resource").iter().filter_map(|r| r.get("c")).collect();
        assert_eq!(kept.len(), 1);
    }
}
