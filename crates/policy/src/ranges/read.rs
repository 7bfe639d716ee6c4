//! Files of ranges that users give: one prefix a line, or what the vendors publish as JSON.

use crate::doc::{Node, Value, json};
use crate::place::{Place, Unread};
use crate::read::Span;
use std::sync::Arc;

/// How many ranges one file may have.
const RANGE_COUNT_MAX: usize = 100_000;
/// What of AWS's file is meant when nobody says.
const AWS_SERVICE: &str = "CLOUDFRONT_ORIGIN_FACING";
/// Keys by whose value a part of a file is chosen.
const CHOOSING_KEYS: [&str; 6] = ["service", "name", "id", "region", "scope", "systemService"];
/// Keys that say from when a file is.
const DATE_KEYS: [&str; 5] = ["createDate", "creationTime", "last_updated", "updated", "date"];

/// The ranges of a file, each with its place.
#[derive(Debug, Clone, Default)]
pub struct Given {
    pub ranges: Vec<(Span, Place)>,
    /// When the file says it is from.
    pub as_of: Option<String>,
    pub unread: Vec<Unread>,
}

/// Reads a file of ranges. `only` chooses a part of it: a service of AWS, a tag of Azure, a region.
pub fn read(file: &Arc<str>, text: &str, only: Option<&str>) -> Given {
    let mut given = Given::default();
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']) {
        lines(file, text, &mut given);
        return given;
    }
    let read = json(file, text);
    given.unread = read.unread;
    let aws = read
        .documents
        .iter()
        .any(|document| document.each("prefixes").iter().any(|node| node.get("service").is_some()));
    let only = only.or(aws.then_some(AWS_SERVICE));
    for document in &read.documents {
        given.as_of = DATE_KEYS.iter().find_map(|key| document.word(key)).map(str::to_owned);
        collect(document, only, &mut given);
    }
    given.ranges.truncate(RANGE_COUNT_MAX);
    given
}

/// The depth is that of the document, which is limited.
fn collect(node: &Node, only: Option<&str>, given: &mut Given) {
    match &node.value {
        Value::Map(members) => {
            let meant = |wanted: &str| {
                CHOOSING_KEYS
                    .iter()
                    .filter_map(|key| node.word(key))
                    .any(|word| word.eq_ignore_ascii_case(wanted))
            };
            let only = only.filter(|wanted| !meant(wanted));
            members.iter().for_each(|(_, member)| collect(member, only, given));
        }
        Value::List(nodes) => nodes.iter().for_each(|node| collect(node, only, given)),
        Value::Text(text) if only.is_none() => match Span::read(text) {
            Some(range) => given.ranges.push((range, node.place.clone())),
            None if resembles(text) => {
                let (en, zh) = ("this is no prefix", "这不是合法的地址段");
                given.unread.push(Unread::new(node.place.clone(), text, en, zh));
            }
            None => {}
        },
        _ => {}
    }
}

/// One or several a line, with words such as `allow` before and `;` after, comments after `#`.
fn lines(file: &Arc<str>, text: &str, given: &mut Given) {
    for (number, line) in text.lines().enumerate() {
        let words = line.split(['#']).next().unwrap_or_default();
        let place = |word: &str| {
            let column = (word.as_ptr() as usize).saturating_sub(line.as_ptr() as usize) + 1;
            let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            Place::new(file, short(number + 1), short(column))
        };
        for word in words.split([' ', '\t', ',', ';', '"', '\'', '\r']).filter(|word| !word.is_empty()) {
            if given.ranges.len() >= RANGE_COUNT_MAX {
                let (en, zh) = ("more than 100000 ranges", "地址段超过 100000 个");
                given.unread.push(Unread::new(place(word), word, en, zh));
                return;
            }
            match Span::read(word) {
                Some(range) => given.ranges.push((range, place(word))),
                None if resembles(word) => {
                    let (en, zh) = ("this is no prefix", "这不是合法的地址段");
                    given.unread.push(Unread::new(place(word), word, en, zh));
                }
                None => {}
            }
        }
    }
}

/// What was meant as a prefix: `10.0.0.0/33`, `2001:xyz::/32`.
fn resembles(text: &str) -> bool {
    text.split_once('/').is_some_and(|(network, bits)| {
        network.starts_with(|c: char| c.is_ascii_hexdigit())
            && network.contains(['.', ':'])
            && !bits.is_empty()
            && bits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
