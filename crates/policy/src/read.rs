//! What the files of all clouds share: addresses, ports and protocols as they write them, and the cubes these make.

mod span;

pub use crate::space::{address, number};
pub use span::{Span, merge, not_internet, private, shared, without};

use crate::space::{Cube, Family, PORT_PROTOCOLS, Protocols};

/// How many cubes the rules of one collection may become together.
pub const CUBE_COUNT_MAX: usize = 1 << 21;
/// How many cubes one rule may become; a rule of more is kept as the box around it.
const RULE_CUBE_COUNT_MAX: usize = 1 << 16;
/// The ports clients take for themselves: those of Linux, of Windows and of address translation lie in it.
pub const EPHEMERAL_PORTS: (u16, u16) = (1024, u16::MAX);
pub const ALL_PORTS: (u16, u16) = (0, u16::MAX);

/// Names of protocols as clouds write them, the one to write them with first.
const PROTOCOLS: [(&str, u8); 15] = [
    ("tcp", 6),
    ("udp", 17),
    ("icmp", 1),
    ("icmpv6", 58),
    ("ipv6-icmp", 58),
    ("icmp6", 58),
    ("icmp_v6", 58),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("sctp", 132),
    ("ipip", 94),
    ("igmp", 2),
    ("dccp", 33),
    ("udplite", 136),
];

/// A protocol's name or number; `all`, `any`, `*` and `-1` are every one.
pub fn protocols(text: &str) -> Option<Protocols> {
    let word = text.trim().to_ascii_lowercase();
    if matches!(word.as_str(), "all" | "any" | "*" | "-1") {
        return Some(Protocols::ALL);
    }
    let named = PROTOCOLS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
    named.or_else(|| word.parse().ok()).map(|number| Protocols::of(&[number]))
}

/// The name of a protocol, else its number.
pub fn protocol_name(number: u8) -> String {
    let named = PROTOCOLS.iter().find(|(_, known)| *known == number);
    named.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

/// One port or a range of them: `80`, `80-90`, `80/90`, `80:90`; `*`, `all`, `-1/-1` and nothing are all.
pub fn ports(text: &str) -> Option<(u16, u16)> {
    let word = text.trim();
    if matches!(word.to_ascii_lowercase().as_str(), "" | "*" | "all" | "any" | "-1" | "-1/-1") {
        return Some(ALL_PORTS);
    }
    let (first, last) = word.split_once(['-', '/', ':']).unwrap_or((word, word));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

/// A range of ports as most clouds write it: `80`, `80-90`.
pub fn ports_text(ports: (u16, u16), between: char) -> String {
    match ports {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}{between}{last}"),
    }
}

/// What one rule matches: one of the sources, one of the destinations, one of the protocols, one of the ports.
///
/// An empty list matches nothing. For ICMP alone the types stand in `source_ports`, the codes in
/// `destination_ports`; for other protocols a restricted port means the protocols that have ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub sources: Vec<Span>,
    pub destinations: Vec<Span>,
    pub protocols: Protocols,
    pub source_ports: Vec<(u16, u16)>,
    pub destination_ports: Vec<(u16, u16)>,
}

/// The cubes of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cubes {
    pub cubes: Vec<Cube>,
    /// False where there were too many, and `cubes` is the boxes around them.
    pub exact: bool,
}

impl Match {
    /// Every packet of both families.
    pub fn everything() -> Match {
        Match {
            sources: Span::anywhere(),
            destinations: Span::anywhere(),
            protocols: Protocols::ALL,
            source_ports: vec![ALL_PORTS],
            destination_ports: vec![ALL_PORTS],
        }
    }

    /// The packets as cubes that do not overlap; `budget` is how many more the collection may have.
    pub fn cubes(&self, budget: &mut usize) -> Cubes {
        let (sources, destinations) = (merge(&self.sources), merge(&self.destinations));
        let (from, to) = (merge_ports(&self.source_ports), merge_ports(&self.destination_ports));
        let protocols = self.protocols_with(&from, &to);
        if protocols.is_empty() {
            return Cubes { cubes: Vec::new(), exact: true };
        }
        let count = [sources.len(), destinations.len(), from.len(), to.len()]
            .iter()
            .fold(1_usize, |product, factor| product.saturating_mul(*factor));
        let exact = count <= RULE_CUBE_COUNT_MAX && count <= *budget;
        let cubes = match exact {
            true => product(&sources, &destinations, protocols, &from, &to),
            false => {
                let around = (hull(&sources), hull(&destinations));
                product(&around.0, &around.1, protocols, &hull_ports(&from), &hull_ports(&to))
            }
        };
        *budget = budget.saturating_sub(cubes.len());
        Cubes { cubes, exact }
    }

    fn protocols_with(&self, from: &[(u16, u16)], to: &[(u16, u16)]) -> Protocols {
        let restricted = from != [ALL_PORTS] || to != [ALL_PORTS];
        let echo = Protocols::ICMP.or(&Protocols::ICMPV6);
        match restricted && !self.protocols.without(&echo).is_empty() {
            true => self.protocols.and(&PORT_PROTOCOLS),
            false => self.protocols,
        }
    }
}

fn product(
    sources: &[Span],
    destinations: &[Span],
    protocols: Protocols,
    from: &[(u16, u16)],
    to: &[(u16, u16)],
) -> Vec<Cube> {
    let mut cubes = Vec::new();
    for source in sources {
        for destination in destinations.iter().filter(|span| span.family == source.family) {
            let pair = Cube::all(source.family)
                .source(source.first, source.last)
                .destination(destination.first, destination.last)
                .protocols(protocols);
            for from in from {
                cubes.extend(
                    to.iter().map(|to| pair.source_ports(from.0..=from.1).destination_ports(to.0..=to.1)),
                );
            }
        }
    }
    cubes
}

fn hull(spans: &[Span]) -> Vec<Span> {
    let around = |family| {
        let of = || spans.iter().filter(move |span| span.family == family);
        let (first, last) = (of().map(|span| span.first).min()?, of().map(|span| span.last).max()?);
        Some(Span { family, first, last })
    };
    [Family::V4, Family::V6].into_iter().filter_map(around).collect()
}

fn hull_ports(ports: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let first = ports.iter().map(|ports| ports.0).min();
    let last = ports.iter().map(|ports| ports.1).max();
    first.zip(last).into_iter().collect()
}

/// The same ports as the fewest ranges.
pub fn merge_ports(ports: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(sorted.len());
    for next in sorted {
        match merged.last_mut() {
            Some(last) if next.0 <= last.1.saturating_add(1) => last.1 = last.1.max(next.1),
            _ => merged.push(next),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_any_protocol_means_the_protocols_that_have_ports() {
        let rule = Match { destination_ports: vec![(80, 80), (81, 90)], ..Match::everything() };
        let made = rule.cubes(&mut 10);
        assert!(made.exact && made.cubes.len() == 2);
        assert!(made.cubes[0].protocols.has(6) && !made.cubes[0].protocols.has(1));
        assert_eq!(made.cubes[0].destination_ports, (80, 90));
    }

    #[test]
    fn a_rule_of_too_many_cubes_is_kept_as_the_box_around_it() {
        let sources = (0..1000).map(|at| Span { family: Family::V4, first: at * 4, last: at * 4 }).collect();
        let made = Match { sources, ..Match::everything() }.cubes(&mut 10);
        assert!(!made.exact);
        assert_eq!(made.cubes.len(), 1);
        assert_eq!(made.cubes[0].source, (0, 3996));
    }

    #[test]
    fn words_for_ports_and_protocols_are_those_of_every_cloud() {
        assert_eq!(ports("-1/-1"), Some(ALL_PORTS));
        assert_eq!(ports("22-23"), Some((22, 23)));
        assert_eq!(ports("22/22"), Some((22, 22)));
        assert_eq!((ports("23-22"), ports("ssh"), ports("70000")), (None, None, None));
        assert_eq!(protocols("Tcp"), Some(Protocols::TCP));
        assert_eq!(protocols("-1"), Some(Protocols::ALL));
        assert_eq!(protocols("256"), None);
    }
}
