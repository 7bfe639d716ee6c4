//! rtnetlink(7): links, addresses, neighbours, policy rules, routes, queueing disciplines and filters.
//!
//! Every function opens a socket of the calling thread's network namespace, reads, and closes it. Names the
//! kernel gives are made printable.

mod address;
mod filter;
mod get;
mod link;
mod neighbour;
mod qdisc;
mod rule;
mod table;

pub use address::{Address, addresses, parse_address};
pub use filter::{Filter, FilterAction, filters, parse_filter};
pub use get::{Route, RouteAnswer, RouteQuery, parse_route, route_get};
pub use link::{Link, LinkCounters, Xdp, XdpMode, links, parse_link};
pub use neighbour::{
    Neighbour, neighbour, neighbour_state, neighbour_state_name, neighbours, parse_neighbour,
};
pub use qdisc::{Qdisc, parse_qdisc, qdiscs};
pub use rule::{PolicyRule, RuleAction, parse_rule, rules};
pub use table::{NextHop, RouteEntry, RouteKind, parse_route_entry, routes};

use crate::attribute::text;
use crate::connection::{Connection, NetlinkError, Protocol};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

const V4: u8 = libc::AF_INET as u8;
const V6: u8 = libc::AF_INET6 as u8;

/// What a dump gave, and whether that is all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    pub items: Vec<T>,
    /// False past the limit of the list, or when the table changed while it was read.
    pub complete: bool,
}

impl<T> std::ops::Deref for Listed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> IntoIterator for Listed<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

/// Dumps one kind of object; stops at the limit.
fn list<T>(
    kind: u16,
    body: &[u8],
    count_max: usize,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<Listed<T>, NetlinkError> {
    let mut items = Vec::new();
    let connection = Connection::open(Protocol::Route)?;
    let complete = connection.dump_some(kind, body, |_, message| {
        let Some(item) = parse(message) else { return true };
        let room = items.len() < count_max;
        if room {
            items.push(item);
        }
        room
    })?;
    Ok(Listed { items, complete })
}

/// The names of interfaces by index.
#[derive(Debug, Default)]
struct Names(HashMap<u32, String>);

impl Names {
    fn read() -> Result<Names, NetlinkError> {
        Ok(Names(links()?.into_iter().map(|link| (link.index, link.name)).collect()))
    }

    /// The name, or `if7` where the interface is gone or in another namespace.
    fn of(&self, index: u32) -> String {
        self.0.get(&index).cloned().unwrap_or_else(|| format!("if{index}"))
    }
}

/// Reads a zero-terminated name; control characters become question marks.
fn name(value: &[u8]) -> String {
    text(value).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The name of a routing table as `ip route` writes it.
pub fn table_name(table: u32) -> String {
    match table {
        253 => "default".to_owned(),
        254 => "main".to_owned(),
        255 => "local".to_owned(),
        other => other.to_string(),
    }
}

/// An address range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

impl Prefix {
    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u128::from(own.to_bits()), u128::from(other.to_bits()), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let ignored = u32::from(u8::saturating_sub(width, self.length));
        (own ^ other).checked_shr(ignored).unwrap_or(0) == 0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        match self.length {
            0 if self.address.is_unspecified() => f.write_str("default"),
            length if length >= width => write!(f, "{}", self.address),
            length => write!(f, "{}/{length}", self.address),
        }
    }
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { V4 } else { V6 }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let plain = |text: String| !text.chars().any(char::is_control);
            prop_assert_eq!(parse_link(&bytes).is_some(), bytes.len() >= 16);
            prop_assert_eq!(parse_route(&bytes).is_some(), bytes.len() >= 12);
            prop_assert!(parse_rule(&bytes).is_none_or(|rule| plain(rule.to_string())));
            prop_assert!(parse_route_entry(&bytes).is_none_or(|entry| plain(entry.to_string())));
            prop_assert!(parse_filter(&bytes).is_none_or(|filter| plain(filter.to_string())));
            let _ = (parse_address(&bytes), parse_neighbour(&bytes), parse_qdisc(&bytes));
        }
    }

    #[test]
    fn a_prefix_holds_its_addresses() {
        let prefix = |text: &str, length| Prefix { address: text.parse().unwrap(), length };
        assert!(prefix("10.1.0.0", 16).contains("10.1.2.3".parse().unwrap()));
        assert!(!prefix("10.1.0.0", 16).contains("10.2.2.3".parse().unwrap()));
        assert!(prefix("0.0.0.0", 0).contains("10.2.2.3".parse().unwrap()));
        assert!(!prefix("0.0.0.0", 0).contains("::1".parse().unwrap()));
        assert!(prefix("::", 0).contains("2001:db8::1".parse().unwrap()));
        assert!(!prefix("2001:db8::1", 128).contains("2001:db8::2".parse().unwrap()));
        assert!(prefix("2001:db8::1", 255).contains("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn names_are_printable() {
        assert_eq!(name(b"eth\x1b[0\0junk"), "eth?[0");
    }
}
