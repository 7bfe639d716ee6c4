//! JSON with places. What is broken ends the document there: what was read before stays.

use super::{DEPTH_MAX, Lines, Node, Read, Value};
use crate::place::Unread;
use std::sync::Arc;

/// Reads one JSON value, or several after one another (JSON lines).
pub fn json(file: &Arc<str>, text: &str) -> Read {
    let mut reader = Reader { text, at: 0, lines: Lines::new(file, text), depth: 0, fault: None };
    let mut read = Read::default();
    loop {
        reader.blank();
        if reader.at >= text.len() {
            break;
        }
        let node = reader.value();
        read.documents.extend(node);
        if let Some((at, en, zh)) = reader.fault.take() {
            let rest = text.get(at..).unwrap_or_default();
            read.unread.push(Unread::new(reader.lines.place(at), rest, en, zh));
            break;
        }
    }
    read
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    lines: Lines,
    depth: usize,
    fault: Option<(usize, &'static str, &'static str)>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r'))
            || self.text[self.at..].starts_with('\u{feff}')
        {
            self.at += if self.peek() == Some(0xef) { 3 } else { 1 };
        }
    }

    fn wrong(&mut self, en: &'static str, zh: &'static str) {
        self.fault.get_or_insert((self.at, en, zh));
    }

    /// The value at hand; what of it was read before a fault.
    fn value(&mut self) -> Option<Node> {
        self.blank();
        let place = self.lines.place(self.at);
        let value = match self.peek() {
            Some(b'{' | b'[') if self.depth >= DEPTH_MAX => {
                self.wrong("nested deeper than 128 levels", "嵌套超过 128 层");
                return None;
            }
            Some(b'{') => self.map(),
            Some(b'[') => self.list(),
            Some(b'"') => Value::Text(self.string()?),
            Some(_) => self.word()?,
            None => {
                self.wrong("the file ends in the middle of a value", "文件在值的中间结束");
                return None;
            }
        };
        Some(Node { place, value })
    }

    fn word(&mut self) -> Option<Value> {
        let rest = &self.text[self.at..];
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
        let word = &rest[..end];
        let value = match word {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            number if number.parse::<f64>().is_ok_and(f64::is_finite) => Value::Number(number.to_owned()),
            _ => {
                self.wrong("this is no JSON value", "这不是 JSON 值");
                return None;
            }
        };
        self.at += end;
        Some(value)
    }

    fn list(&mut self) -> Value {
        let mut nodes = Vec::new();
        self.inside(b']', |reader| {
            nodes.extend(reader.value());
        });
        Value::List(nodes)
    }

    fn map(&mut self) -> Value {
        let mut members = Vec::new();
        self.inside(b'}', |reader| {
            if reader.peek() != Some(b'"') {
                reader.wrong("a name in quotes is missing here", "此处缺少带引号的键名");
                return;
            }
            let Some(key) = reader.string() else { return };
            reader.blank();
            if reader.peek() != Some(b':') {
                reader.wrong("a colon is missing here", "此处缺少冒号");
                return;
            }
            reader.at += 1;
            if let Some(node) = reader.value() {
                members.push((key, node));
            }
        });
        Value::Map(members)
    }

    /// What stands between brackets, parted by commas.
    fn inside(&mut self, close: u8, mut one: impl FnMut(&mut Self)) {
        self.at += 1;
        self.depth += 1;
        self.blank();
        if self.peek() == Some(close) {
            self.at += 1;
            self.depth -= 1;
            return;
        }
        loop {
            self.blank();
            one(self);
            if self.fault.is_some() {
                return;
            }
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    self.depth -= 1;
                    return;
                }
                _ => {
                    self.wrong("a comma or a closing bracket is missing here", "此处缺少逗号或右括号");
                    return;
                }
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
                None => {
                    self.wrong("a text begins here and never ends", "字符串从此处开始，没有结束");
                    return None;
                }
            }
        }
        self.at = end + 1;
        let quoted = self.text.get(start..=end)?;
        if !quoted.contains('\\') {
            return quoted.get(1..quoted.len() - 1).map(str::to_owned);
        }
        let text = serde_json::from_str(quoted).ok();
        if text.is_none() {
            self.at = start;
            self.wrong("a text with an escape that JSON does not know", "字符串含有 JSON 不认识的转义");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place_and_a_fault_keeps_what_came_before() {
        let file: Arc<str> = "a.json".into();
        let read = json(&file, "{\"a\": [1, \"x\\ny\"],\n \"b\": {\"c\": true}}");
        let node = &read.documents[0];
        assert_eq!(node.at(&["b", "c"]).and_then(Node::bool), Some(true));
        assert_eq!(node.each("a")[1].text(), Some("x\ny"));
        let place = &node.get("b").expect("b").place;
        assert_eq!((place.line, place.column), (2, 7));
        let read = json(&file, "{\"a\": 1,\n\"b\": [2, 3 4]}");
        assert_eq!(read.documents[0].get("a").and_then(Node::integer), Some(1));
        assert_eq!(read.unread[0].place.to_string(), "a.json:2:12");
        let deep = json(&file, &"[".repeat(100_000));
        assert_eq!(deep.unread.len(), 1);
    }
}
