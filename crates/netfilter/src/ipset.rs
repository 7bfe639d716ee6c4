//! ipset(8)'s sets, which xtables rules look packets up in.
//!
//! Read only when a rule refers to one, so that reading never loads the subsystem.

use crate::fields::Fields;
use crate::nft::{protocol_name, split};
use crate::xt::NamedSet;
use netwhy_model::host::RulesetSet;
use netwhy_netlink::{Builder, Connection, NetlinkError, Protocol, attributes, be16};
use std::collections::HashMap;

/// NFNL_SUBSYS_IPSET.
const SUBSYSTEM: u16 = 6 << 8;
const LIST: u16 = SUBSYSTEM | 7;
const GET_BY_NAME: u16 = SUBSYSTEM | 14;
const ATTRIBUTE_PROTOCOL: u16 = 1;
const ATTRIBUTE_NAME: u16 = 2;
/// The version that can tell an index by name.
const PROTOCOL_VERSION: u8 = 7;
/// The kernel allows 65,534; a host has a few.
const SET_COUNT_MAX: usize = 4096;
/// Elements kept of one set; the others are counted.
const ELEMENT_COUNT_MAX: usize = 1024;

/// Every set of the namespace, by name and by index.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    sets: Vec<Ipset>,
    by_index: HashMap<u16, NamedSet>,
}

#[derive(Debug, Default)]
struct Ipset {
    name: String,
    dynamic: bool,
    has_ranges: bool,
    count: u64,
    elements: Vec<String>,
}

impl Sets {
    /// Reads the calling thread's namespace.
    pub(crate) fn read() -> Result<Sets, NetlinkError> {
        let mut connection = Connection::open(Protocol::Netfilter)?;
        let start =
            || Builder::new(&[libc::AF_INET as u8, 0, 0, 0]).put(ATTRIBUTE_PROTOCOL, &[PROTOCOL_VERSION]);
        let mut sets = Sets::default();
        connection.dump(LIST, start().bytes(), |_, body| sets.add(split(body).1))?;
        for set in &sets.sets {
            let body = start().put_text(ATTRIBUTE_NAME, &set.name);
            if let Ok(Some((_, answer))) = connection.ask(GET_BY_NAME, 0, body.bytes()) {
                let index = Fields::of(split(&answer).1).be16(11);
                let has_ranges = set.has_ranges && !set.dynamic;
                sets.by_index.insert(index, NamedSet { name: set.name.clone(), has_ranges });
            }
        }
        Ok(sets)
    }

    /// Takes one message of the list: a set's head, or more of its elements.
    fn add(&mut self, message: &[u8]) {
        const TIMEOUT: usize = 6;
        let fields = Fields::of(message);
        let name = fields.text(2);
        let known = self.sets.iter().position(|set| set.name == name);
        if known.is_none() && self.sets.len() < SET_COUNT_MAX {
            self.sets.push(Ipset { name, ..Ipset::default() });
        }
        let place = known.unwrap_or(self.sets.len().saturating_sub(1));
        let Some(set) = self.sets.get_mut(place) else { return };
        if fields.has(7) {
            set.dynamic |= fields.inside(7).has(TIMEOUT);
        }
        for (_, element) in attributes(fields.get(8)) {
            let fields = Fields::of(element);
            set.count += 1;
            set.has_ranges |= is_range(&fields);
            if set.elements.len() < ELEMENT_COUNT_MAX {
                set.elements.push(element_text(&fields));
            }
        }
    }

    pub(crate) fn by_index(&self, index: u16) -> Option<NamedSet> {
        self.by_index.get(&index).cloned()
    }

    /// The sets for a ruleset, as of the family `ipset`.
    pub(crate) fn into_ruleset_sets(self) -> Vec<RulesetSet> {
        let convert = |set: Ipset| RulesetSet {
            family: "ipset".to_owned(),
            table: String::new(),
            name: set.name,
            count: set.count,
            elements: set.elements,
            dynamic: set.dynamic,
        };
        self.sets.into_iter().map(convert).collect()
    }
}

fn address(nest: &Fields<'_>) -> Option<std::net::IpAddr> {
    netwhy_netlink::address(nest.find(1).or_else(|| nest.find(2))?)
}

fn is_range(fields: &Fields<'_>) -> bool {
    let width = if fields.inside(1).has(2) { 128 } else { 32 };
    fields.has(2) || fields.find(3).is_some_and(|_| fields.byte(3) < width)
}

/// `10.0.0.0/8,tcp:80`, as ipset writes it.
fn element_text(fields: &Fields<'_>) -> String {
    let mut parts = Vec::new();
    for (at, to, prefix) in [(1, Some(2), 3), (20, None, 21)] {
        if let Some(first) = address(&fields.inside(at)) {
            let last = to.and_then(|to| address(&fields.inside(to)));
            let width = if first.is_ipv4() { 32 } else { 128 };
            parts.push(match (last, fields.find(prefix).map(|_| fields.byte(prefix))) {
                (Some(last), _) => format!("{first}-{last}"),
                (None, Some(length)) if length < width => format!("{first}/{length}"),
                _ => first.to_string(),
            });
            if at == 1 {
                parts.extend(port_text(fields));
                if fields.has(10) {
                    parts.push(format!("{:#010x}", fields.be32(10)));
                }
            }
        }
    }
    if parts.is_empty() {
        parts.extend(port_text(fields));
    }
    if let Some(mac) = fields.find(17) {
        parts.push(mac.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"));
    }
    for name in [18, 23] {
        if fields.has(name) {
            parts.push(fields.text(name));
        }
    }
    parts.join(",")
}

fn port_text(fields: &Fields<'_>) -> Option<String> {
    let port = be16(fields.find(4)?);
    let port = fields.find(5).map_or_else(|| port.to_string(), |last| format!("{port}-{}", be16(last)));
    match fields.find(7) {
        Some(_) => Some(format!("{}:{port}", protocol_name(fields.byte(7).into()))),
        None => Some(port),
    }
}

/// Takes one message apart: for fuzzing.
pub(crate) fn take_apart(body: &[u8]) -> String {
    let mut sets = Sets::default();
    sets.add(split(body).1);
    sets.into_ruleset_sets().into_iter().map(|set| set.name + &set.elements.concat()).collect()
}
