//! What `ipset save` and `ipset list` print.
//!
//! A set's key is its type and its family (`["hash:ip,port", "inet"]`). An element has one span for each dimension,
//! and two for a port: the protocol and the port.

use super::build::{Fault, element};
use super::names;
use super::words::{Word, split};
use super::{UNREAD_COUNT_MAX, address, hardware_address, too_large};
use crate::netfilter::ast::{Element, Ruleset, Set, Span};
use crate::place::{Place, Unread};
use std::collections::HashMap;
use std::sync::Arc;

/// How many elements all sets of a file may have.
const ELEMENT_COUNT_MAX: usize = 1 << 22;

/// Reads sets; they come as [`Ruleset::ipsets`].
pub fn read_ipset(file: &Arc<str>, text: &str) -> Ruleset {
    if let Some(unread) = too_large(file, text) {
        return Ruleset { unread: vec![unread], ..Ruleset::default() };
    }
    let mut reader = Reader {
        file,
        sets: Vec::new(),
        by_name: HashMap::new(),
        unread: Vec::new(),
        listed: None,
        left: ELEMENT_COUNT_MAX,
    };
    let mut words = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        split(line, &mut words);
        if let Err(fault) = reader.line(&words, number)
            && reader.unread.len() < UNREAD_COUNT_MAX
        {
            let place = reader.place(number, fault.offset);
            reader.unread.push(Unread { place, text: fault.text, why: fault.why });
        }
    }
    Ruleset {
        tables: Vec::new(),
        ipsets: reader.sets.into_iter().map(Filling::finish).collect(),
        unread: reader.unread,
    }
}

struct Reader<'a> {
    file: &'a Arc<str>,
    sets: Vec<Filling>,
    by_name: HashMap<String, usize>,
    unread: Vec<Unread>,
    /// The set whose members are listed (`Members:`), and whether they have begun.
    listed: Option<(usize, bool)>,
    left: usize,
}

struct Filling {
    set: Set,
    elements: Vec<Element>,
    v6: bool,
    /// Addresses are cut to so many bits (`netmask 24`) before they are looked for.
    netmask: Option<u32>,
}

impl Filling {
    fn finish(mut self) -> Set {
        self.set.elements = Arc::new(self.elements);
        self.set
    }
}

impl Reader<'_> {
    fn place(&self, line: u32, offset: usize) -> Place {
        Place::new(self.file, line, u32::try_from(offset + 1).unwrap_or(u32::MAX))
    }

    fn line(&mut self, words: &[Word<'_>], number: u32) -> Result<(), Fault> {
        let words = match words.first() {
            Some(first) if first.text == "ipset" || first.text.ends_with("/ipset") => &words[1..],
            _ => words,
        };
        let after = |count: usize| words.get(count..).unwrap_or(&[]);
        let text = |at: usize| words.get(at).map_or("", |word| word.text.as_ref());
        match text(0) {
            "" => Ok(()),
            "create" | "-N" | "-n" | "--create" if words.len() > 2 => {
                self.create(&words[1], text(2), number);
                self.options(after(3))
            }
            "add" | "-A" | "--add" if words.len() > 2 => {
                let set = self.by_name.get(text(1)).copied();
                let set = set.ok_or_else(|| {
                    Fault::of(&words[1], "no set of this name was created", "没有创建该名称的集合")
                })?;
                self.add(set, after(2), number)
            }
            "Name:" if words.len() > 1 => {
                let name = words[1].text.clone().into_owned();
                self.create(&Word { text: name.into(), ..words[1] }, "", number);
                self.listed = Some((self.sets.len() - 1, false));
                Ok(())
            }
            _ => self.listed_line(words, number),
        }
    }

    fn listed_line(&mut self, words: &[Word<'_>], number: u32) -> Result<(), Fault> {
        let first = &words[0];
        match (self.listed, first.text.as_ref()) {
            (Some((set, true)), _) => self.add(set, words, number),
            (Some((set, false)), "Members:") => {
                self.listed = Some((set, true));
                Ok(())
            }
            (Some((set, false)), "Type:") => {
                self.sets[set].set.key[0] =
                    words.get(1).map_or(String::new(), |word| word.text.clone().into_owned());
                Ok(())
            }
            (Some(_), "Header:") => self.options(&words[1..]),
            (Some(_), text) if text.ends_with(':') || text == "Size" || text == "Number" => Ok(()),
            (
                None,
                "COMMIT" | "flush" | "destroy" | "swap" | "rename" | "-F" | "-X" | "-q" | "-exist" | "-!",
            ) => Ok(()),
            _ => Err(Fault::of(first, "this belongs to no set", "该行不属于任何集合")),
        }
    }

    fn create(&mut self, name: &Word<'_>, kind: &str, line: u32) {
        let set = Set {
            name: name.text.clone().into_owned(),
            key: vec![kind.to_owned(), "inet".to_owned()],
            data: Vec::new(),
            is_map: false,
            dynamic: false,
            elements: Arc::default(),
            members: Vec::new(),
            place: self.place(line, name.offset),
        };
        self.listed = None;
        self.by_name.insert(set.name.clone(), self.sets.len());
        self.sets.push(Filling { set, elements: Vec::new(), v6: false, netmask: None });
    }

    /// Options of the set made last: `family inet6 netmask 24`.
    fn options(&mut self, words: &[Word<'_>]) -> Result<(), Fault> {
        let at = self.listed.map_or(self.sets.len().wrapping_sub(1), |(at, _)| at);
        let Some(filling) = self.sets.get_mut(at) else { return Ok(()) };
        for pair in words.windows(2) {
            match pair[0].text.as_ref() {
                "family" => {
                    filling.v6 = pair[1].text == "inet6";
                    filling.set.key[1] = pair[1].text.clone().into_owned();
                }
                "netmask" | "bitmask" => match pair[1].text.parse() {
                    Ok(bits) => filling.netmask = Some(bits),
                    Err(_) => {
                        return Err(Fault::of(
                            &pair[1],
                            "only prefixes are modelled here",
                            "此处仅支持前缀掩码",
                        ));
                    }
                },
                _ => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, at: usize, words: &[Word<'_>], line: u32) -> Result<(), Fault> {
        let Some(first) = words.first() else { return Ok(()) };
        let filling = &mut self.sets[at];
        let kind = filling.set.key[0].as_str();
        if kind == "list:set" {
            filling.set.members.push(first.text.clone().into_owned());
            return Ok(());
        }
        let all = read_element(kind, &first.text, filling.v6, filling.netmask)
            .ok_or_else(|| Fault::of(first, "this is no element of this set", "这不是该集合的元素"))?;
        let excluded = words.iter().any(|word| !word.quoted && word.text == "nomatch");
        let timeout = words.windows(2).find(|pair| pair[0].text == "timeout");
        let timeout_s = timeout.and_then(|pair| pair[1].text.parse().ok()).filter(|seconds| *seconds != 0);
        if all.len() > self.left {
            return Err(Fault::of(
                first,
                "the file has more than four million elements",
                "文件中的元素超过四百万个",
            ));
        }
        self.left -= all.len();
        let made = all.into_iter().map(|spans| Element { excluded, timeout_s, line, ..element(spans) });
        filling.elements.extend(made);
        Ok(())
    }
}

/// The spans of one element; of `bitmap:port`, which asks TCP and UDP, two.
fn read_element(kind: &str, text: &str, v6: bool, netmask: Option<u32>) -> Option<Vec<Vec<Span>>> {
    let (storage, dimensions) = kind.split_once(':')?;
    if kind == "bitmap:port" {
        let (protocol, ports) =
            text.split_once(':').map_or((None, text), |(name, ports)| (Some(name), ports));
        let protocols = match protocol {
            Some(name) => vec![names::protocol(name)?],
            None => vec![6, 17],
        };
        let ports = port_span(ports)?;
        return Some(protocols.into_iter().map(|number| vec![one(number.into()), ports.clone()]).collect());
    }
    let mut spans = Vec::new();
    let mut parts = text.split(',');
    for dimension in dimensions.split(',') {
        match (dimension, parts.next()) {
            ("ip" | "net", Some(part)) => spans.push(addresses(part, v6, netmask)?),
            ("port", Some(part)) => spans.extend(port(part)?),
            ("mac", Some(part)) => spans.push(one(hardware_address(part)?)),
            ("mac", None) if storage == "bitmap" => spans.push(Span::Numbers(0, (1 << 48) - 1)),
            ("iface", Some(part)) => {
                let name = part.strip_prefix("physdev:").map_or(Some(part), |_| None)?;
                let prefix = name.ends_with('+');
                spans.push(Span::Name { text: name.trim_end_matches('+').to_owned(), prefix });
            }
            ("mark", Some(part)) => spans.push(one(super::extension::whole(part)?.into())),
            _ => return None,
        }
    }
    parts.next().is_none().then(|| vec![spans])
}

fn one(value: u128) -> Span {
    Span::Numbers(value, value)
}

fn addresses(text: &str, v6: bool, netmask: Option<u32>) -> Option<Span> {
    if let Some(bits) = netmask
        && !text.contains(['/', '-'])
    {
        return addresses(&format!("{text}/{bits}"), v6, None);
    }
    match address::read(text, v6) {
        Some(address::Address::Range(first, last)) => Some(Span::Numbers(first, last)),
        Some(address::Address::Masked { .. }) => None,
        None => address::span(text, v6).map(|(first, last)| Span::Numbers(first, last)),
    }
}

/// `tcp:80`, `udp:53-60`, `icmp:8/0`, `icmp:echo-request`, `80` (of TCP), `vrrp:0`.
fn port(text: &str) -> Option<[Span; 2]> {
    let (protocol, ports) = text.split_once(':').unwrap_or(("tcp", text));
    let protocol = names::protocol(&protocol.to_ascii_lowercase())?;
    let message = |v6| {
        let (kind, code) = match ports.split_once('/') {
            Some((kind, code)) => (kind.parse::<u8>().ok()?, code.parse::<u8>().ok()?),
            None => names::icmp(ports, v6).map(|(kind, code)| (kind, code.unwrap_or(0)))?,
        };
        Some(one(u128::from(kind) << 8 | u128::from(code)))
    };
    let ports = match protocol {
        1 => message(false).or_else(|| port_span(ports))?,
        58 => message(true).or_else(|| port_span(ports))?,
        _ => port_span(ports)?,
    };
    Some([one(protocol.into()), ports])
}

fn port_span(text: &str) -> Option<Span> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = match names::port(text) {
        Some(port) => (port, port),
        None => (names::port(first)?, names::port(last)?),
    };
    (first <= last).then_some(Span::Numbers(first.into(), last.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_and_listed_sets_are_the_same() {
        let file: Arc<str> = "sets".into();
        let saved = "create s hash:net family inet hashsize 1024 maxelem 65536\nadd s 10.0.0.0/24\nadd s 10.0.0.8/30 nomatch\n\
                     create p hash:ip,port family inet6\nadd p 2001:db8::1,udp:53-54 timeout 5 comment \"a b\"\n\
                     create l list:set size 8\nadd l s\nadd x 1.1.1.1\n";
        let listed = "Name: s\nType: hash:net\nRevision: 7\nHeader: family inet hashsize 1024 maxelem 65536 bucketsize 12\n\
                      Size in memory: 504\nReferences: 0\nNumber of entries: 2\nMembers:\n10.0.0.0/24\n10.0.0.8/30 nomatch\n\n\
                      Name: p\nType: hash:ip,port\nHeader: family inet6\nMembers:\n2001:db8::1,udp:53-54 timeout 5\n\n\
                      Name: l\nType: list:set\nHeader: size 8\nMembers:\ns\n";
        let (saved, listed) = (read_ipset(&file, saved), read_ipset(&file, listed));
        assert_eq!(saved.unread.len(), 1);
        assert!(listed.unread.is_empty(), "{:?}", listed.unread);
        type Seen = (Vec<Span>, bool, Option<u64>);
        let spans = |ruleset: &Ruleset| -> Vec<Vec<Seen>> {
            let each = |set: &Set| {
                set.elements.iter().map(|one| (one.spans.clone(), one.excluded, one.timeout_s)).collect()
            };
            ruleset.ipsets.iter().map(each).collect()
        };
        assert_eq!(spans(&saved), spans(&listed));
        assert_eq!(saved.ipsets[1].elements[0].spans.len(), 3);
        assert_eq!(saved.ipsets[2].members, ["s"]);
    }
}
