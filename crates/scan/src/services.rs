//! Well-known ports: their names, and which are worth asking first. The table is netwhy's own, in `services/`.

use crate::Protocol;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Ports of one protocol, `0` left out.
pub const PORT_COUNT_MAX: u32 = 65_535;

/// One protocol's table, the likeliest port first.
struct Table {
    ranked: Vec<u16>,
    /// The usual name of each port that has one.
    rows: HashMap<u16, &'static str>,
    /// Every name, aliases included.
    ports: HashMap<&'static str, u16>,
}

static TCP: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("../services/tcp.txt")));
static UDP: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("../services/udp.txt")));

/// The usual name of a port.
pub fn name(port: u16, protocol: Protocol) -> Option<&'static str> {
    table(protocol).rows.get(&port).copied()
}

/// The port of a name or alias, upper or lower case.
pub fn port(name: &str, protocol: Protocol) -> Option<u16> {
    table(protocol).ports.get(name.to_ascii_lowercase().as_str()).copied()
}

/// Every name and alias, in no order; for suggestions.
pub fn names(protocol: Protocol) -> impl Iterator<Item = &'static str> {
    table(protocol).ports.keys().copied()
}

/// The named and common ports, the likeliest to be open first.
pub fn common(protocol: Protocol) -> &'static [u16] {
    &table(protocol).ranked
}

/// The `count` ports likeliest to be open: the common ones, then the lowest others.
pub fn top(count: u32, protocol: Protocol) -> Vec<u16> {
    let common = common(protocol);
    let mut is_common = vec![false; usize::from(u16::MAX) + 1];
    for &port in common {
        is_common[usize::from(port)] = true;
    }
    let rest = (1..=u16::MAX).filter(|&port| !is_common[usize::from(port)]);
    common.iter().copied().chain(rest).take(count as usize).collect()
}

fn table(protocol: Protocol) -> &'static Table {
    match protocol {
        Protocol::Tcp => &TCP,
        Protocol::Udp => &UDP,
    }
}

impl Table {
    /// Reads lines of `PORT NAME ALIAS...`; a port without names is common all the same.
    fn read(text: &'static str) -> Self {
        let mut table = Self { ranked: Vec::new(), rows: HashMap::new(), ports: HashMap::new() };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let Some(port) = words.next().and_then(|word| word.parse().ok()) else { continue };
            table.ranked.push(port);
            for name in words {
                table.rows.entry(port).or_insert(name);
                table.ports.entry(name).or_insert(port);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_ports_match() {
        assert_eq!(name(443, Protocol::Tcp), Some("https"));
        assert_eq!(port("HTTPS", Protocol::Tcp), Some(443));
        assert_eq!(port("dns", Protocol::Udp), Some(53));
        assert_eq!(name(47_123, Protocol::Tcp), None);
        assert_eq!(port("no-such", Protocol::Tcp), None);
    }

    #[test]
    fn every_row_is_one_port_and_its_names() {
        for (text, protocol) in [
            (include_str!("../services/tcp.txt"), Protocol::Tcp),
            (include_str!("../services/udp.txt"), Protocol::Udp),
        ] {
            let distinct: HashSet<u16> = common(protocol).iter().copied().collect();
            assert_eq!(distinct.len(), text.lines().count(), "a port twice, or a row that is none");
            assert!(!distinct.contains(&0));
            let words = text.lines().map(|line| line.split(' ').count() - 1).sum::<usize>();
            assert_eq!(names(protocol).count(), words, "a name twice");
            assert!(names(protocol).all(|name| name.starts_with(|c: char| c.is_ascii_lowercase())));
        }
    }

    #[test]
    fn top_counts_up_to_every_port() {
        assert_eq!(top(3, Protocol::Tcp), [80, 443, 22]);
        assert_eq!(top(1000, Protocol::Udp).len(), 1000);
        let all: HashSet<u16> = top(PORT_COUNT_MAX, Protocol::Tcp).into_iter().collect();
        assert_eq!(all.len(), 65_535);
        assert_eq!(top(u32::MAX, Protocol::Tcp).len(), 65_535);
    }
}
