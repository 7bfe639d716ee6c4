//! YAML with places, as Kubernetes reads it: booleans and numbers of YAML 1.1, merge keys, several documents.
//!
//! A document with a fault is left out as a whole, since half a policy means something else; the others stay.

use super::{DEPTH_MAX, Node, Read, Value};
use crate::place::{Place, Unread};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::collections::HashMap;
use std::sync::Arc;

/// How many nodes one document may have, those that aliases repeat included.
const DOCUMENT_NODE_COUNT_MAX: usize = 4_000_000;
/// How many nodes aliases may repeat in one document ("billion laughs").
const ALIASED_NODE_COUNT_MAX: usize = 200_000;
/// How many quoted texts of one document are indented anew.
const REPAIR_COUNT_MAX: usize = 64;
/// How the parser says that a line of a quoted text stands too far left.
const QUOTED_INDENTATION: &str = "indentation in quoted scalar";

/// Reads the documents of a text.
pub fn yaml(file: &Arc<str>, text: &str) -> Read {
    let mut read = Read::default();
    for (first_line, part) in documents(text) {
        match document(file, first_line, part) {
            Ok(nodes) => read.documents.extend(nodes),
            Err(Fault { place, en, zh, .. }) => {
                let line = part.lines().nth((place.line as usize).saturating_sub(first_line + 1));
                read.unread.push(Unread::new(place, line.unwrap_or_default(), en, zh));
            }
        }
    }
    read
}

fn document(file: &Arc<str>, first_line: usize, part: &str) -> Result<Vec<Node>, Fault> {
    let mut result = Reader::new(file, first_line, part).document();
    let mut indented = String::new();
    for _ in 0..REPAIR_COUNT_MAX {
        let Err(Fault { quoted: Some(at), .. }) = &result else { break };
        let now = if indented.is_empty() { part } else { &indented };
        let Some(repaired) = indent_quoted(now, *at) else { break };
        indented = repaired;
        result = Reader::new(file, first_line, &indented).document();
    }
    result
}

/// Indents the further lines of a quoted text. Kubernetes' parser lets them stand as far left as the key, which YAML
/// forbids; what they begin with is no part of the text.
fn indent_quoted(part: &str, (line, column): (usize, usize)) -> Option<String> {
    let start = part.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum::<usize>();
    let quote = start + part.get(start..)?.char_indices().nth(column)?.0;
    let mark = part.get(quote..)?.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let rest = part.get(quote + 1..)?;
    let mut characters = rest.char_indices().peekable();
    let end = loop {
        match characters.next()? {
            (_, '\\') if mark == '"' => {
                characters.next();
            }
            // Two single quotes are one of the text.
            (_, '\'') if mark == '\'' && characters.next_if(|(_, c)| *c == '\'').is_some() => {}
            (at, c) if c == mark => break at,
            _ => {}
        }
    };
    let indent = " ".repeat(column + 1);
    let inside = rest.get(..end)?.replace('\n', &format!("\n{indent}"));
    Some(format!("{}{inside}{}", part.get(..=quote)?, rest.get(end..)?))
}

/// The parts between lines of `---`, each with how many lines stand before it. Such a line ends whatever is open,
/// so a fault in one part cannot reach another.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut parts, mut start, mut start_line, mut offset) = (Vec::new(), 0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let marks = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.trim().is_empty() || rest.starts_with([' ', '\t']));
        if marks {
            parts.push((start_line, &text[start..offset]));
            (start, start_line) = (offset, number);
        }
        offset += line.len();
    }
    parts.push((start_line, &text[start..]));
    let says_something = |part: &str| {
        part.lines().any(|line| {
            let line = line.strip_prefix("---").unwrap_or(line).trim();
            !(line.is_empty() || line.starts_with(['#', '%']) || line == "...")
        })
    };
    parts.retain(|(_, part)| says_something(part));
    parts
}

struct Fault {
    place: Place,
    en: String,
    zh: String,
    /// Line and column, in the document, of a quoted text whose further lines stand too far left.
    quoted: Option<(usize, usize)>,
}

impl Fault {
    fn new(place: Place, en: impl Into<String>, zh: impl Into<String>) -> Fault {
        Fault { place, en: en.into(), zh: zh.into(), quoted: None }
    }
}

/// A node that is finished, and what it costs to repeat it.
#[derive(Clone)]
struct Done {
    node: Node,
    node_count: usize,
    depth: usize,
}

/// A list or a map whose end has not come.
struct Open {
    place: Place,
    anchor: usize,
    items: Vec<Node>,
    /// Of a map: the keys that have been read, one more than the values while a value is awaited.
    keys: Option<Vec<Key>>,
    node_count: usize,
    depth: usize,
}

struct Key {
    name: String,
    merges: bool,
}

struct Reader<'a> {
    file: &'a Arc<str>,
    first_line: usize,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Done>,
    node_count: usize,
    aliased_node_count: usize,
}

impl<'a> Reader<'a> {
    fn new(file: &'a Arc<str>, first_line: usize, part: &'a str) -> Reader<'a> {
        Reader {
            file,
            first_line,
            parser: Parser::new_from_str(part),
            open: Vec::new(),
            anchors: HashMap::new(),
            node_count: 0,
            aliased_node_count: 0,
        }
    }

    fn place(&self, marker: Marker) -> Place {
        let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place::new(self.file, short(self.first_line + marker.line().max(1)), short(marker.col() + 1))
    }

    fn document(mut self) -> Result<Vec<Node>, Fault> {
        let mut nodes = Vec::new();
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event.map_err(|error| {
                let (what, at) = (error.info(), *error.marker());
                let (en, zh) = (format!("this is no YAML: {what}"), format!("这不是合法的 YAML：{what}"));
                let quoted = what.contains(QUOTED_INDENTATION).then_some((at.line(), at.col()));
                Fault { quoted, ..Fault::new(self.place(at), en, zh) }
            })?;
            let place = self.place(span.start);
            nodes.extend(self.event(event, place)?.map(|done| done.node));
        }
        Ok(nodes)
    }

    /// What an event finishes at the top level, if it does.
    fn event(&mut self, event: Event<'_>, place: Place) -> Result<Option<Done>, Fault> {
        let (done, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = match tag {
                    Some(tag) => tagged(&text, &tag),
                    None if style == ScalarStyle::Plain => plain(&text),
                    None => Value::Text(text.into_owned()),
                };
                (Done { node: Node { place, value }, node_count: 1, depth: 1 }, anchor)
            }
            Event::Alias(anchor) => (self.alias(anchor, place)?, 0),
            Event::SequenceStart(anchor, _) => return self.begin(place, anchor, None),
            Event::MappingStart(anchor, _) => return self.begin(place, anchor, Some(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let anchor = open.anchor;
                    (open.close(), anchor)
                }
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        if anchor > 0 {
            self.node_count += done.node_count;
            self.anchors.insert(anchor, done.clone());
        }
        self.put(done)
    }

    fn begin(&mut self, place: Place, anchor: usize, keys: Option<Vec<Key>>) -> Result<Option<Done>, Fault> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(place));
        }
        self.open.push(Open { place, anchor, items: Vec::new(), keys, node_count: 1, depth: 1 });
        Ok(None)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Done, Fault> {
        let Some(done) = self.anchors.get(&anchor) else {
            let (en, zh) = ("an alias of something that it is part of", "别名指向包含它自身的内容");
            return Err(Fault::new(place, en, zh));
        };
        self.aliased_node_count += done.node_count;
        if self.aliased_node_count > ALIASED_NODE_COUNT_MAX {
            let en = format!("aliases repeat more than {ALIASED_NODE_COUNT_MAX} values");
            let zh = format!("别名展开后超过 {ALIASED_NODE_COUNT_MAX} 个值");
            return Err(Fault::new(place, en, zh));
        }
        if self.open.len() + done.depth > DEPTH_MAX {
            return Err(too_deep(place));
        }
        Ok(done.clone())
    }

    /// Puts a finished node where it belongs; gives it back when nothing is open.
    fn put(&mut self, done: Done) -> Result<Option<Done>, Fault> {
        self.node_count += 1;
        if self.node_count > DOCUMENT_NODE_COUNT_MAX {
            let en = format!("a document of more than {DOCUMENT_NODE_COUNT_MAX} values");
            let zh = format!("文档的值超过 {DOCUMENT_NODE_COUNT_MAX} 个");
            return Err(Fault::new(done.node.place, en, zh));
        }
        let Some(open) = self.open.last_mut() else { return Ok(Some(done)) };
        open.node_count += done.node_count;
        open.depth = open.depth.max(done.depth + 1);
        match &mut open.keys {
            Some(keys) if keys.len() == open.items.len() => keys.push(Key::of(&done.node)),
            _ => open.items.push(done.node),
        }
        Ok(None)
    }
}

fn too_deep(place: Place) -> Fault {
    let en = format!("nested deeper than {DEPTH_MAX} levels");
    let zh = format!("嵌套超过 {DEPTH_MAX} 层");
    Fault::new(place, en, zh)
}

impl Key {
    fn of(node: &Node) -> Key {
        let name = match &node.value {
            Value::Text(text) | Value::Number(text) | Value::Expression(text) => text.clone(),
            Value::Bool(bool) => bool.to_string(),
            Value::Null => "null".to_owned(),
            Value::List(_) | Value::Map(_) => "?".to_owned(),
        };
        Key { merges: name == "<<", name }
    }
}

impl Open {
    fn close(self) -> Done {
        let value = match self.keys {
            None => Value::List(self.items),
            Some(keys) => Value::Map(members(keys, self.items)),
        };
        Done { node: Node { place: self.place, value }, node_count: self.node_count, depth: self.depth }
    }
}

/// The members of a map. What `<<` brings stands first, so that what the map says itself counts.
fn members(keys: Vec<Key>, values: Vec<Node>) -> Vec<(String, Node)> {
    let (mut merged, mut own) = (Vec::new(), Vec::with_capacity(keys.len()));
    for (key, node) in keys.into_iter().zip(values) {
        match node.value {
            Value::Map(members) if key.merges => merged.extend(members),
            // Of several the first counts, and of two members with one name the last.
            Value::List(maps) if key.merges => {
                merged.extend(maps.into_iter().rev().flat_map(|map| match map.value {
                    Value::Map(members) => members,
                    _ => Vec::new(),
                }));
            }
            _ => own.push((key.name, node)),
        }
    }
    merged.extend(own);
    merged
}

fn tagged(text: &str, tag: &Tag) -> Value {
    match tag.suffix.as_str() {
        "null" => Value::Null,
        "bool" | "int" | "float" => plain(text),
        _ => Value::Text(text.to_owned()),
    }
}

/// A scalar without quotes. Kubernetes reads YAML 1.1: `on` and `yes` are true, `010` is eight.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        _ => number(text).map_or_else(|| Value::Text(text.to_owned()), Value::Number),
    }
}

/// A number, whole ones in decimal.
fn number(text: &str) -> Option<String> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    let digits = text.replace('_', "");
    let (sign, magnitude) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let radix = [("0x", 16), ("0b", 2), ("0o", 8), ("0", 8)];
    let whole = magnitude.parse::<u64>().ok().filter(|_| magnitude == "0" || !magnitude.starts_with('0'));
    let other = || {
        let (prefix, radix) = radix.iter().find(|(prefix, _)| magnitude.starts_with(prefix))?;
        u64::from_str_radix(magnitude.get(prefix.len()..)?, *radix).ok()
    };
    if let Some(whole) = whole.or_else(other) {
        return Some(format!("{sign}{whole}"));
    }
    let has_digit = magnitude.starts_with(|c: char| c.is_ascii_digit())
        || magnitude.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    (has_digit && digits.parse::<f64>().is_ok_and(f64::is_finite)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Read {
        yaml(&"a.yaml".into(), text)
    }

    #[test]
    fn every_value_knows_its_place_and_a_bad_document_leaves_the_others() {
        let read = of("%YAML 1.1\n# c\n---\na:\n  b: [1, x]\n---\nbroken: [\n---\n\nc: {d: \"y\"}\n");
        assert_eq!(read.documents.len(), 2);
        let place = &read.documents[0].at(&["a", "b"]).expect("b").list()[1].place;
        assert_eq!(place.to_string(), "a.yaml:5:10");
        let d = read.documents[1].at(&["c", "d"]).expect("d");
        assert_eq!((d.text(), d.place.line), (Some("y"), 10));
        assert_eq!(read.unread.len(), 1, "{:?}", read.unread);
        assert!((7..=8).contains(&read.unread[0].place.line), "{:?}", read.unread);
    }

    #[test]
    fn scalars_are_what_kubernetes_takes_them_for() {
        let read =
            of("[on, 'on', y, No, 010, 0x1F, 1_000, 1.5, ~, 10.0.0.0/8, 1:30, !!str 80, !!int '8', x, 09]");
        let list = read.documents[0].list();
        let values: Vec<String> = list.iter().map(|n| format!("{:?}", n.value)).collect();
        let wanted = "Bool(true) Text(\"on\") Bool(true) Bool(false) Number(\"8\") Number(\"31\") Number(\"1000\") \
            Number(\"1.5\") Null Text(\"10.0.0.0/8\") Text(\"1:30\") Text(\"80\") Number(\"8\") Text(\"x\") \
            Number(\"09\")";
        assert_eq!(values.join(" "), wanted);
    }

    #[test]
    fn aliases_and_merges_are_followed_and_a_billion_laughs_is_refused() {
        let read = of("base: &b {x: 1, y_: 2}\none: {<<: *b, x: 3}\ntwo: *b\n");
        let root = &read.documents[0];
        assert_eq!(root.at(&["one", "x"]).and_then(Node::integer), Some(3));
        assert_eq!(root.at(&["one", "y_"]).and_then(Node::integer), Some(2));
        assert_eq!(root.at(&["two", "x"]).and_then(Node::integer), Some(1));
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for at in 1..12 {
            let before = format!("*a{},", at - 1).repeat(9);
            bomb += &format!("a{at}: &a{at} [{before}]\n");
        }
        let read = of(&bomb);
        assert!(read.documents.is_empty() && read.unread[0].why.en.contains("aliases"), "{:?}", read.unread);
        let read = of("a: &a [*a]\n");
        assert!(read.documents.is_empty() && read.unread.len() == 1);
    }

    #[test]
    fn a_quoted_text_may_end_as_far_left_as_its_key() {
        let read = of("spec:\n  config: '{\n    \"a\": \"it''s\"\n  }'\n  other: \"x\n  y\"\nz: 1\n");
        assert_eq!(read.unread, []);
        let root = &read.documents[0];
        assert_eq!(root.at(&["spec", "config"]).and_then(Node::text), Some("{ \"a\": \"it's\" }"));
        assert_eq!(root.at(&["spec", "other"]).and_then(Node::text), Some("x y"));
        assert_eq!(root.get("z").expect("z").place.to_string(), "a.yaml:7:4");
    }

    #[test]
    fn a_deep_document_ends_with_its_place() {
        let flow = of(&"[".repeat(100_000));
        assert_eq!((flow.documents.len(), flow.unread.len()), (0, 1));
        let mut block = String::new();
        for level in 0..1000 {
            block += &format!("{}a:\n", " ".repeat(level));
        }
        let read = of(&block);
        assert_eq!((read.documents.len(), read.unread.len()), (0, 1));
        assert!(read.unread[0].why.en.contains("deeper"), "{:?}", read.unread);
    }
}
