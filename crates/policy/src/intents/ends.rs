//! Ends as they are written in intents: groups, addresses, endpoints, ports.

use super::Exception;
use crate::doc::Node;
use crate::estate::{Ask, End};
use crate::place::Unread;
use crate::read::{Span, address, number, without};
use crate::space::Family;
use std::collections::BTreeMap;

/// How deep groups may name groups.
const DEPTH_MAX: usize = 16;
/// How many ends one name may stand for.
const END_COUNT_MAX: usize = 4_096;
/// How many ports one range may have.
const PORT_COUNT_MAX: usize = 1_024;

/// Why an end could not be read, in English and Chinese.
type Fault = (String, String);

/// Named lists of ends.
#[derive(Debug, Clone, Default)]
pub struct Groups(BTreeMap<String, Vec<String>>);

/// Where to, with a port where one is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub end: End,
    pub port: Option<u16>,
}

impl Groups {
    pub fn read(node: &Node, unread: &mut Vec<Unread>) -> Groups {
        let mut groups = BTreeMap::new();
        for (name, node) in node.members() {
            let words = super::one_or_many(node).iter().map(Node::text);
            match words.map(|word| word.map(str::to_owned)).collect::<Option<Vec<String>>>() {
                Some(words) => drop(groups.insert(name.clone(), words)),
                None => unread.push(Unread::new(
                    node.place.clone(),
                    name,
                    "a group is a list of names and addresses",
                    "组应为名称和地址的列表",
                )),
            }
        }
        let groups = Groups(groups);
        for (name, node) in node.members() {
            if let Err((en, zh)) = groups.ends(name) {
                unread.push(Unread::new(node.place.clone(), name, en, zh));
            }
        }
        groups
    }

    /// What a word stands for.
    pub fn ends(&self, word: &str) -> Result<Vec<End>, Fault> {
        let mut ends = Vec::new();
        self.collect(word.trim(), 0, &mut ends)?;
        Ok(ends)
    }

    fn collect(&self, word: &str, depth: usize, ends: &mut Vec<End>) -> Result<(), Fault> {
        if depth > DEPTH_MAX || ends.len() > END_COUNT_MAX {
            return Err((
                format!("group {word:?} names itself, or stands for too much"),
                format!("组 {word:?} 引用了自身，或包含过多"),
            ));
        }
        if let Some(words) = self.0.get(word) {
            // A group may have the name of the endpoint it holds.
            let itself = words.iter().filter(|inner| inner.as_str() == word && words.len() == 1);
            if itself.count() == 1 {
                ends.push(End::Known(word.to_owned()));
                return Ok(());
            }
            return words.iter().try_for_each(|inner| self.collect(inner.trim(), depth + 1, ends));
        }
        match word {
            "" => return Err(("a name or an address is missing".to_owned(), "缺少名称或地址".to_owned())),
            "outside" | "internet" => ends.push(End::Outside),
            "any" | "*" => ends.extend([Family::V4, Family::V6].map(|family| addresses(Span::all(family)))),
            _ => ends.push(match Span::read(word) {
                Some(range) => addresses(range),
                None if looks_like_prefix(word) => {
                    return Err((format!("{word:?} is no prefix"), format!("{word:?} 不是合法的地址段")));
                }
                None => End::Known(word.to_owned()),
            }),
        }
        Ok(())
    }

    /// `origin:443`, `[2001:db8::1]:443`, `10.0.0.0/24:80,443`, or without ports: those given beside it, else all.
    pub fn targets(&self, word: &str, listed: &[u16]) -> Result<Vec<Target>, Fault> {
        let word = word.trim();
        let (name, own) = split(word);
        let own = match own {
            Some(text) => ports(text).ok_or_else(|| {
                (
                    format!("{text:?} is no port and no range of up to 1024"),
                    format!("{text:?} 不是端口，也不是 1024 个以内的端口范围"),
                )
            })?,
            None => Vec::new(),
        };
        let ports: Vec<Option<u16>> = match (own.as_slice(), listed) {
            ([], []) => vec![None],
            ([], listed) => listed.iter().copied().map(Some).collect(),
            (own, _) => own.iter().copied().map(Some).collect(),
        };
        let ends = self.ends(name)?;
        if ends.len().saturating_mul(ports.len()) > END_COUNT_MAX {
            return Err((format!("{word:?} stands for too much"), format!("{word:?} 包含过多")));
        }
        let each =
            |end: &End| ports.iter().map(|port| Target { end: end.clone(), port: *port }).collect::<Vec<_>>();
        Ok(ends.iter().flat_map(each).collect())
    }
}

/// What would be a prefix if it were right: it must not pass for the name of an endpoint.
fn looks_like_prefix(word: &str) -> bool {
    word.split_once('/').is_some_and(|(before, bits)| {
        !bits.is_empty()
            && bits.bytes().all(|b| b.is_ascii_digit())
            && before.parse::<std::net::IpAddr>().is_ok()
    }) || word.split('.').count() == 4 && word.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// The name and the text of the ports.
fn split(word: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    if Span::read(word).is_some() {
        return (word, None);
    }
    match word.rsplit_once(':') {
        Some((name, text)) if text.starts_with(|c: char| c.is_ascii_digit()) => (name, Some(text)),
        _ => (word, None),
    }
}

/// `443`, `80,443`, `8000-8010`.
pub fn ports(text: &str) -> Option<Vec<u16>> {
    let mut ports: Vec<u16> = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || usize::from(last - first) >= PORT_COUNT_MAX.saturating_sub(ports.len()) {
            return None;
        }
        ports.extend(first..=last);
    }
    Some(ports)
}

fn addresses(range: Span) -> End {
    End::Addresses(address(range.family, range.first), address(range.family, range.last))
}

fn range(end: &End) -> Option<Span> {
    match end {
        End::Addresses(first, last) => {
            Some(Span { family: Family::of(*first), first: number(*first), last: number(*last) })
        }
        _ => None,
    }
}

pub fn same_family(a: &End, b: &End) -> bool {
    range(a).map(|range| range.family) == range(b).map(|range| range.family)
}

/// Leaves out of the questions what an exception covers on one side while it covers the whole of the other.
pub fn take_out(asks: &mut Vec<Ask>, exceptions: &[Exception]) {
    for exception in exceptions {
        let mut left = Vec::with_capacity(asks.len());
        for ask in asks.drain(..) {
            match (covers(&exception.from, &ask.from), covers(&exception.to, &ask.to)) {
                (true, true) => {}
                (false, true) => {
                    left.extend(
                        cut(&ask.from, &exception.from).into_iter().map(|from| Ask { from, ..ask.clone() }),
                    );
                }
                (true, false) => {
                    left.extend(cut(&ask.to, &exception.to).into_iter().map(|to| Ask { to, ..ask.clone() }));
                }
                (false, false) => left.push(ask),
            }
        }
        *asks = left;
    }
}

fn covers(ends: &[End], one: &End) -> bool {
    let ranges: Vec<Span> = ends.iter().filter_map(range).collect();
    let within = range(one).is_some_and(|range| without(&[range], &ranges).is_empty());
    ends.is_empty() || ends.contains(one) || within
}

fn cut(one: &End, taken: &[End]) -> Vec<End> {
    let ranges: Vec<Span> = taken.iter().filter_map(range).collect();
    match range(one) {
        Some(range) => without(&[range], &ranges).into_iter().map(addresses).collect(),
        None => vec![one.clone()],
    }
}
