//! JSON documents cut into their records without holding a document, and values that are text or numbers.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Members of a top object whose array holds the records: Azure, CloudWatch, subscriptions, other exports.
const LISTS: [&[u8]; 7] = [b"records", b"Records", b"events", b"logEvents", b"entries", b"value", b"results"];

/// Finds the objects that are records: each top object, the elements of a top array, or of such a list in a top object.
#[derive(Debug, Default)]
pub struct Cutter {
    place: Place,
}

/// Where a document stands between two records.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Place {
    #[default]
    Top,
    /// In a top array.
    Array,
    /// In the list of a top object.
    List,
    /// In a top object, behind a list.
    Behind,
}

/// What a look at one value found.
enum Found {
    /// It ends before this byte.
    End(usize),
    /// It is a top object with a list that begins at this byte.
    List(usize),
    /// More must be read.
    More,
}

impl Cutter {
    /// Notes the whole records in `bytes[from..to]` and returns where the last of what was understood ends.
    ///
    /// `last` says that nothing follows: what is left over is a record then, a broken one.
    pub fn cut(
        &mut self,
        bytes: &[u8],
        from: usize,
        to: usize,
        last: bool,
        objects: &mut Vec<(u32, u32)>,
    ) -> usize {
        let mut at = from;
        while at < to {
            let byte = bytes[at];
            match (self.place, byte) {
                (_, b' ' | b'\t' | b'\r' | b'\n' | b',' | 0xef | 0xbb | 0xbf) => at += 1,
                (Place::Top, b'[') => (self.place, at) = (Place::Array, at + 1),
                (Place::Array, b']') => (self.place, at) = (Place::Top, at + 1),
                (Place::List, b']') => (self.place, at) = (Place::Behind, at + 1),
                (Place::Behind, b'}') => (self.place, at) = (Place::Top, at + 1),
                (Place::Behind, _) => match value(bytes, at, to, Depth::Inside) {
                    Found::End(end) => at = end,
                    Found::List(begin) => (self.place, at) = (Place::List, begin),
                    Found::More if last => at = to,
                    Found::More => break,
                },
                (place, _) => {
                    let depth = if place == Place::Top { Depth::Top } else { Depth::Element };
                    match value(bytes, at, to, depth) {
                        Found::End(end) => {
                            objects.push((at as u32, end as u32));
                            at = end;
                        }
                        Found::List(begin) => (self.place, at) = (Place::List, begin),
                        Found::More if last => {
                            objects.push((at as u32, to as u32));
                            at = to;
                        }
                        Found::More => break,
                    }
                }
            }
        }
        at
    }

    /// Forgets where it stands, after a record that was too long was thrown away.
    pub fn forget(&mut self) {
        self.place = if self.place == Place::Behind { Place::Top } else { self.place };
    }
}

/// What a value lies in.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    Top,
    Element,
    /// Among the members of a top object: it ends where that ends.
    Inside,
}

/// Looks for the end of a value, or for the list in a top object.
fn value(bytes: &[u8], from: usize, to: usize, depth: Depth) -> Found {
    let (mut open, mut at) = (u64::from(depth == Depth::Inside), from);
    // The last string at the depth of members, which is a key where a colon follows.
    let mut word: Option<(usize, usize)> = None;
    while at < to {
        match bytes[at] {
            b'"' => match string_end(bytes, at + 1, to) {
                Ok(end) => {
                    word = (open == 1).then_some((at + 1, end));
                    at = end + 1;
                    if open == 0 {
                        return Found::End(at);
                    }
                    continue;
                }
                // No string has a line feed in it: what began here is broken, and a new record may follow.
                Err(Some(feed)) => return Found::End(feed),
                Err(None) => return Found::More,
            },
            b'{' => open += 1,
            b'[' => {
                let is_list = word.is_some_and(|(from, to)| LISTS.contains(&&bytes[from..to]));
                if open == 1 && depth != Depth::Element && is_list {
                    return Found::List(at + 1);
                }
                open += 1;
            }
            b'}' | b']' => {
                open = open.saturating_sub(1);
                if open == 0 {
                    let is_outer = depth == Depth::Inside && bytes[at] == b'}';
                    return Found::End(if is_outer { at } else { at + 1 });
                }
            }
            b',' => word = None,
            // Something that is no object: up to the end of its line.
            b'\n' if open == 0 => return Found::End(at),
            _ => {}
        }
        at += 1;
    }
    Found::More
}

/// The place of the closing quote; of a line feed where one comes first.
fn string_end(bytes: &[u8], from: usize, to: usize) -> Result<usize, Option<usize>> {
    let mut at = from;
    while at < to {
        match bytes[at] {
            b'"' => return Ok(at),
            b'\\' => at += 2,
            b'\n' => return Err(Some(at)),
            _ => at += 1,
        }
    }
    Err(None)
}

/// A value that some writers quote and others do not; what is neither text nor a whole number counts as not told.
#[derive(Debug, Default, Clone, PartialEq)]
pub enum Loose<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Number(u64),
}

impl Loose<'_> {
    /// The number; an error where there is something else.
    pub fn number(&self) -> Result<Option<u64>, ()> {
        match self {
            Loose::Nothing => Ok(None),
            Loose::Number(number) => Ok(Some(*number)),
            Loose::Text(text) => match text.trim() {
                "" | "-" => Ok(None),
                word => super::number::decimal(word.as_bytes(), 0, word.len()).map(Some).ok_or(()),
            },
        }
    }

    /// The words, as they would stand on a line.
    pub fn words(&self) -> Cow<'_, str> {
        match self {
            Loose::Nothing => Cow::Borrowed("-"),
            Loose::Text(text) => Cow::Borrowed(text.trim()),
            Loose::Number(number) => Cow::Owned(number.to_string()),
        }
    }

    /// The text, where it is one and not empty.
    pub fn text(&self) -> Option<&str> {
        match self {
            Loose::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Loose<'a>, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text or a number")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Loose<'de>, E> {
        Ok(Loose::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Loose<'de>, E> {
        Ok(Loose::Text(Cow::Owned(text.into())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Loose<'de>, E> {
        Ok(Loose::Number(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Loose<'de>, E> {
        Ok(Loose::Text(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Loose<'de>, E> {
        // BigQuery writes whole numbers as floating ones.
        let whole = number.fract() == 0.0 && (0.0..9e15).contains(&number);
        Ok(if whole { Loose::Number(number as u64) } else { Loose::Text(Cow::Owned(number.to_string())) })
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Loose<'de>, E> {
        Ok(Loose::Nothing)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Loose<'de>, E> {
        Ok(Loose::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose<'de>, A::Error> {
        while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
        Ok(Loose::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Loose<'de>, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Loose::Nothing)
    }
}

/// The time of an RFC 3339 text or of seconds since 1970, in milliseconds.
pub fn time_ms(value: &Loose) -> Option<i64> {
    use time::format_description::well_known::Rfc3339;
    match value {
        Loose::Nothing => None,
        Loose::Number(number) => seconds_or_more(*number),
        Loose::Text(text) => match text.parse() {
            Ok(number) => seconds_or_more(number),
            Err(_) => {
                let moment = time::OffsetDateTime::parse(text, &Rfc3339).ok()?;
                i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
            }
        },
    }
}

/// Tells seconds from milliseconds by how large the number is: the year 5138 in seconds is 1973 in milliseconds.
pub fn seconds_or_more(number: u64) -> Option<i64> {
    let milliseconds = if number < 100_000_000_000 { number * 1000 } else { number };
    if milliseconds < 100_000_000_000_000 { Some(milliseconds as i64) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(document: &str, split: usize) -> Vec<String> {
        let (bytes, mut cutter, mut found) = (document.as_bytes(), Cutter::default(), Vec::new());
        let (mut objects, split) = (Vec::new(), split.min(bytes.len()));
        let begin = cutter.cut(bytes, 0, split, false, &mut objects);
        cutter.cut(bytes, begin, bytes.len(), true, &mut objects);
        found.extend(objects.iter().map(|(from, to)| document[*from as usize..*to as usize].to_string()));
        found
    }

    #[test]
    fn records_are_found_in_every_kind_of_document() {
        for document in [
            r#"{"a":1}{"b":"}"}"#,
            "{\"a\":1}\n{\"b\":\"}\"}\n",
            r#"[{"a":1}, {"b":"}"}]"#,
            r#"{"x":{"records":[1]},"records":[{"a":1},{"b":"}"}],"y":[1,{"z":2}],"w":3}"#,
            r#"{"events":[{"a":1}],"logEvents":[{"b":"}"}]}"#,
            r#"{"records":[{"a":1}]}{"records":[{"b":"}"}]}"#,
        ] {
            for split in 0..=document.len() {
                assert_eq!(records(document, split), [r#"{"a":1}"#, r#"{"b":"}"}"#], "{document} at {split}");
            }
        }
        let inner = r#"{"properties":{"records":[{"a":1}]},"flowRecords":{"flows":[]}}"#;
        assert_eq!(records(inner, 9), [inner]);
    }

    #[test]
    fn what_is_broken_ends_with_its_line() {
        assert_eq!(records("{\"a\":\"b\n{\"c\":1}\n", 3), ["{\"a\":\"b", "{\"c\":1}"]);
        assert_eq!(records("oops\n{\"c\":1}\n", 2), ["oops", "{\"c\":1}"]);
        assert_eq!(records(r#"[{"a":1},{"b":"#, 5), [r#"{"a":1}"#, r#"{"b":"#]);
    }

    proptest! {
        #[test]
        fn cutting_anywhere_gives_the_same(document in "[\\[\\]{}\",:a\\\\\n 1]{0,60}|\\{\"records\":\\[[{}\",a]{0,40}", split in 0usize..60) {
            prop_assert_eq!(records(&document, split), records(&document, 0));
        }
    }
}
