//! JSON objects of any cloud into records; those whose members are named like the fields of a line are read here.

use super::blocks::Text;
use super::json::Loose;
use super::layout::{Layout, Writer, field};
use super::lines::Lines;
use super::sniff::without_mark;
use super::{Format, Parsed};
use crate::{Flow, Symbol, Unread};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Members of one object that are looked at; Simple Log Service writes about thirty.
const MEMBER_COUNT_MAX: usize = 256;
/// Members that must be fields of a flow for an object to be one.
const FIELD_COUNT_MIN: usize = 2;
/// The member that holds a whole line: CloudWatch's events, and the answers of its Insights.
const MESSAGES: [&str; 2] = ["message", "@message"];

/// Parses the objects of one block after another.
#[derive(Debug)]
pub struct Objects {
    lines: Lines,
    format: Format,
    /// Whether the block is cut at line ends, an object a line.
    by_line: bool,
}

/// What reading one object needs: where it is, and where its records go.
pub struct Object<'a> {
    lines: &'a mut Lines,
    into: &'a mut Parsed,
    offset: u64,
}

impl Objects {
    pub fn new(lines: Lines, format: Format, by_line: bool) -> Objects {
        Objects { lines, format, by_line }
    }

    /// Parses a block; `layout` is the order of fields in messages that are lines.
    pub fn parse(&mut self, text: &Text, layout: &Arc<Layout>, into: &mut Parsed) {
        if self.by_line {
            let mut from = text.from;
            for line in text.bytes[text.from..text.to].split_inclusive(|byte| *byte == b'\n') {
                self.read(text, from, from + line.len(), layout, into);
                from += line.len();
            }
        } else {
            for (from, to) in &text.objects {
                self.read(text, *from as usize, *to as usize, layout, into);
            }
        }
        self.lines.leave_out(into);
    }

    fn read(&mut self, text: &Text, from: usize, to: usize, layout: &Arc<Layout>, into: &mut Parsed) {
        let json = without_mark(text.bytes[from..to].trim_ascii());
        into.lines += 1;
        if json.is_empty() {
            return;
        }
        let offset = text.offset + (from - text.from) as u64;
        let mut object = Object { lines: &mut self.lines, into, offset };
        match self.format {
            Format::AzureJson => super::azure::read(json, &mut object),
            Format::GcpJson => super::gcp::read(json, &mut object),
            _ => named(json, layout, &mut object),
        }
    }
}

impl Object<'_> {
    /// The record that has only its place.
    pub fn begin(&self) -> Flow {
        self.lines.begin(self.offset)
    }

    pub fn symbol(&mut self, word: &str) -> Symbol {
        if word.is_empty() { Symbol::NONE } else { self.lines.words.symbol(word.as_bytes()) }
    }

    pub fn push(&mut self, flow: Flow) {
        self.into.flows.push(self.lines.only_wanted(flow));
    }

    pub fn unread(&mut self, bytes: &[u8], en: impl Into<String>, zh: impl Into<String>) {
        let unread = Unread::new(&self.lines.file, self.into.lines, self.offset, bytes, en, zh);
        self.into.unread.push(unread);
    }

    pub fn unread_json(&mut self, bytes: &[u8], error: &serde_json::Error) {
        let what: String =
            error.to_string().chars().filter(|letter| !letter.is_control()).take(200).collect();
        self.unread(bytes, format!("the object cannot be read: {what}"), format!("无法读取该对象：{what}"));
    }
}

/// Reads an object whose members are named like the fields of a line, or that holds a line as a message.
fn named(json: &[u8], layout: &Arc<Layout>, object: &mut Object) {
    let members = match serde_json::from_slice::<Members>(json) {
        Ok(Members(members)) => members,
        Err(error) => return object.unread_json(json, &error),
    };
    let message =
        members.iter().find(|(name, _)| MESSAGES.contains(&&**name)).and_then(|(_, value)| value.text());
    if let Some(message) = message {
        return object.lines.parse_message(message.as_bytes(), object.offset, layout, object.into);
    }
    let known: Vec<_> =
        members.iter().filter_map(|(name, value)| Some((field(name)?, value.words()))).collect();
    if known.len() < FIELD_COUNT_MIN {
        return object.unread(json, "the object has no fields of a flow", "该对象没有流的字段");
    }
    // Only Aliyun's logs are kept as such objects by their own service.
    match object.lines.flow_of_fields(object.offset, &known, Writer::Other) {
        Ok(flow) => object.into.flows.push(flow),
        Err((en, zh)) => object.unread(json, en, zh),
    }
}

/// The members of one object, in order.
struct Members<'a>(Vec<(Cow<'a, str>, Loose<'a>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((Loose::Text(name), value)) = map.next_entry()? {
            if members.len() < MEMBER_COUNT_MAX {
                members.push((name, value));
            }
        }
        Ok(Members(members))
    }
}
