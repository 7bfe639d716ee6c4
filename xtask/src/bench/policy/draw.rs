//! Draws lists of rules as ClassBench does, the same for the same seed, and plants rules among them that never match.

use std::collections::HashSet;
use std::net::Ipv4Addr;

pub const ALL_PORTS: (u16, u16) = (0, u16::MAX);
/// Draws in a row that give no new rule before a list is left shorter than asked.
const MISS_COUNT_MAX: usize = 100_000;
const PORTS: [u16; 36] = [
    22, 25, 53, 80, 110, 123, 143, 161, 179, 389, 443, 445, 465, 514, 587, 636, 873, 993, 995, 1433, 1521,
    2049, 2379, 3306, 3389, 5432, 5672, 6379, 6443, 8080, 8443, 9000, 9092, 9200, 11211, 27017,
];
const PORT_RANGES: [(u16, u16); 7] =
    [(1024, 65535), (0, 1023), (30000, 32767), (49152, 65535), (8000, 8999), (5000, 5999), (33434, 33534)];
/// Networks for private use and for benchmarks: first address, length, weight.
const BASES: [(u32, u8, u32); 5] = [
    (0x0a00_0000, 8, 65),
    (0xac10_0000, 12, 15),
    (0xc0a8_0000, 16, 6),
    (0x6440_0000, 10, 8),
    (0xc612_0000, 15, 6),
];

/// How often a list has what: percents and weights.
#[derive(Debug)]
pub struct Profile {
    pub name: &'static str,
    any_source: u32,
    any_destination: u32,
    source_bits: &'static [(u8, u32)],
    destination_bits: &'static [(u8, u32)],
    protocols: &'static [(u8, u32)],
    /// Of destination ports: one, a range, all.
    ports: [(u8, u32); 3],
    deny: u32,
}

const PAIR_BITS: &[(u8, u32)] = &[(16, 2), (24, 4), (26, 1), (32, 9)];
const WIDE_BITS: &[(u8, u32)] = &[(8, 1), (16, 3), (24, 4), (32, 6)];

/// Access lists, firewalls, chains of hosts.
pub const PROFILES: [Profile; 3] = [
    Profile {
        name: "acl",
        any_source: 12,
        any_destination: 2,
        source_bits: &[(16, 2), (20, 1), (24, 5), (28, 2), (32, 8)],
        destination_bits: &[(24, 3), (27, 1), (28, 2), (30, 1), (32, 10)],
        protocols: &[(6, 75), (17, 15), (1, 4), (0, 6)],
        ports: [(0, 72), (1, 14), (2, 14)],
        deny: 18,
    },
    Profile {
        name: "fw",
        any_source: 45,
        any_destination: 25,
        source_bits: WIDE_BITS,
        destination_bits: WIDE_BITS,
        protocols: &[(6, 60), (17, 25), (1, 5), (0, 10)],
        ports: [(0, 55), (1, 25), (2, 20)],
        deny: 30,
    },
    Profile {
        name: "ipc",
        any_source: 25,
        any_destination: 20,
        source_bits: PAIR_BITS,
        destination_bits: PAIR_BITS,
        protocols: &[(6, 65), (17, 20), (1, 5), (0, 10)],
        ports: [(0, 60), (1, 15), (2, 25)],
        deny: 25,
    },
];

/// A network; of no bits it is every address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Net {
    pub first: u32,
    pub bits: u8,
}

impl Net {
    fn around(address: u32, bits: u8) -> Net {
        Net { first: address & !Net::host_mask(bits), bits }
    }

    fn host_mask(bits: u8) -> u32 {
        u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0)
    }

    pub fn last(self) -> u32 {
        self.first | Net::host_mask(self.bits)
    }

    pub fn text(self) -> String {
        format!("{}/{}", Ipv4Addr::from_bits(self.first), self.bits)
    }
}

/// What a rule matches; protocol 0 is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Match {
    pub source: Net,
    pub destination: Net,
    pub protocol: u8,
    pub source_ports: (u16, u16),
    pub destination_ports: (u16, u16),
}

#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Stays with it wherever it moves.
    id: usize,
    pub allow: bool,
    pub of: Match,
}

/// A rule that never matches.
#[derive(Debug, Clone, Copy)]
pub struct Planted {
    /// Its number in the list; while planting, its id.
    pub rule: usize,
    /// Two rules take its packets only together.
    pub by_union: bool,
}

/// One packet: source, destination, protocol, ports.
pub type Packet = (u32, u32, u8, u16, u16);

/// A list, what was planted in it, packets that meet its rules.
#[derive(Debug)]
pub struct Drawn {
    pub rules: Vec<Rule>,
    pub planted: Vec<Planted>,
    pub packets: Vec<Packet>,
}

/// Draws so many rules, of which every planted one takes one to three.
pub fn draw(profile: &Profile, rule_count: usize, planted_count: usize, packet_count: usize) -> Drawn {
    let mut draw = Draw::new(profile, rule_count);
    let extra: usize = (0..planted_count).map(|at| if at % 4 < 2 { 1 } else { 3 }).sum();
    draw.fill(rule_count.saturating_sub(extra));
    for at in 0..planted_count {
        draw.plant(at % 4);
    }
    let packets = (0..packet_count).map(|_| draw.packet()).collect();
    let mut place = vec![0; draw.rules.len()];
    for (at, rule) in draw.rules.iter().enumerate() {
        place[rule.id] = at;
    }
    let planted = draw.planted.iter().map(|one| Planted { rule: place[one.rule], ..*one }).collect();
    Drawn { rules: draw.rules, planted, packets }
}

/// SplitMix64: small, and the same everywhere.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ number >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn percent(&mut self, share: u32) -> bool {
        self.below(100) < share as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn weighted(&mut self, of: &[(u8, u32)]) -> u8 {
        let sum: u32 = of.iter().map(|one| one.1).sum();
        let mut left = self.below(sum as usize) as u32;
        for (what, weight) in of {
            if left < *weight {
                return *what;
            }
            left -= weight;
        }
        0
    }
}

#[derive(Debug)]
struct Draw<'a> {
    random: Random,
    profile: &'a Profile,
    sites: Vec<u32>,
    networks: Vec<u32>,
    hosts: Vec<u32>,
    rules: Vec<Rule>,
    planted: Vec<Planted>,
}

impl Draw<'_> {
    fn new(profile: &Profile, rule_count: usize) -> Draw<'_> {
        let mut random = Random(rule_count as u64 ^ u64::from(profile.name.as_bytes()[0]) << 32);
        let weights: Vec<(u8, u32)> = BASES.iter().enumerate().map(|(at, base)| (at as u8, base.2)).collect();
        let site = |random: &mut Random| {
            let (first, bits, _) = BASES[usize::from(random.weighted(&weights))];
            (first | random.next() as u32 & Net::host_mask(bits)) & 0xffff_0000
        };
        let sites: Vec<u32> = (0..(rule_count / 400).max(4)).map(|_| site(&mut random)).collect();
        let networks: Vec<u32> = (0..(rule_count / 25).max(8))
            .map(|_| random.one(&sites) | (random.below(256) as u32) << 8)
            .collect();
        let hosts =
            (0..(rule_count / 4).max(16)).map(|_| random.one(&networks) | random.below(256) as u32).collect();
        Draw { random, profile, sites, networks, hosts, rules: Vec::new(), planted: Vec::new() }
    }

    fn net(&mut self, any: u32, bits: &[(u8, u32)]) -> Net {
        if self.random.percent(any) {
            return Net { first: 0, bits: 0 };
        }
        let bits = self.random.weighted(bits);
        let from = match bits {
            25.. => &self.hosts,
            17..25 => &self.networks,
            _ => &self.sites,
        };
        Net::around(self.random.one(from), bits)
    }

    fn ports(&mut self, protocol: u8) -> (u16, u16) {
        if !has_ports(protocol) {
            return ALL_PORTS;
        }
        let kind = self.random.weighted(&self.profile.ports);
        let port = match kind {
            0 if self.random.percent(80) => self.random.one(&PORTS),
            0 => 1 + self.random.below(usize::from(u16::MAX)) as u16,
            1 => return self.random.one(&PORT_RANGES),
            _ => return ALL_PORTS,
        };
        (port, port)
    }

    fn fill(&mut self, count: usize) {
        let mut seen = HashSet::new();
        let mut misses = 0;
        while self.rules.len() < count && misses < MISS_COUNT_MAX {
            misses += 1;
            let profile = self.profile;
            let protocol = self.random.weighted(profile.protocols);
            let of = Match {
                source: self.net(profile.any_source, profile.source_bits),
                destination: self.net(profile.any_destination, profile.destination_bits),
                protocol,
                source_ports: if has_ports(protocol) && self.random.percent(4) {
                    (1024, u16::MAX)
                } else {
                    ALL_PORTS
                },
                destination_ports: self.ports(protocol),
            };
            // Wide rules stay rare, else most later ones never match; one of all packets never comes.
            let wide_bits = if self.random.percent(1) { 50 } else { 36 };
            let is_all = of.source.bits == 0 && of.destination.bits == 0 && of.destination_ports == ALL_PORTS;
            if is_all || size_bits(&of) > wide_bits || !seen.insert(of) {
                continue;
            }
            misses = 0;
            let allow = !self.random.percent(profile.deny);
            self.insert(self.rules.len(), Rule { id: 0, allow, of });
        }
    }

    /// Returns the id the rule got.
    fn insert(&mut self, at: usize, rule: Rule) -> usize {
        let id = self.rules.len();
        self.rules.insert(at, Rule { id, ..rule });
        id
    }

    /// Kinds: behind one rule, of the other action or of the same; behind two that only together cover it.
    fn plant(&mut self, kind: usize) {
        let same = kind % 2 == 1;
        let (place, rule) = if kind < 2 { self.behind_one(same) } else { self.behind_two(same) };
        let at = place + self.random.below(self.rules.len() + 1 - place);
        let rule = self.insert(at, rule);
        self.planted.push(Planted { rule, by_union: kind >= 2 });
    }

    fn behind_one(&mut self, same: bool) -> (usize, Rule) {
        let fits = |rule: &Rule| (8..=24).contains(&rule.of.destination.bits);
        let start = self.random.below(self.rules.len());
        let at = (start..self.rules.len()).chain(0..start).find(|at| fits(&self.rules[*at])).unwrap_or(start);
        let before = self.rules[at];
        let within = before.of.destination;
        let host = within.first | self.random.next() as u32 & Net::host_mask(within.bits);
        let of = Match { destination: Net { first: host, bits: 32 }, ..before.of };
        (at + 1, Rule { id: 0, allow: before.allow == same, of })
    }

    fn behind_two(&mut self, same: bool) -> (usize, Rule) {
        let port = self.random.one(&PORTS);
        let of = Match {
            source: Net::around(self.random.one(&self.networks), 24),
            destination: Net::around(self.random.one(&self.networks), 24),
            protocol: 6,
            source_ports: ALL_PORTS,
            destination_ports: (port, port),
        };
        let allow = self.random.percent(50);
        let mut place = 0;
        for half in [0, 128] {
            let destination = Net { first: of.destination.first | half, bits: 25 };
            let at = place + self.random.below(self.rules.len() + 1 - place);
            self.insert(at, Rule { id: 0, allow, of: Match { destination, ..of } });
            place = at + 1;
        }
        (place, Rule { id: 0, allow: allow == same, of })
    }

    /// Seven of ten meet a rule (or one before it).
    fn packet(&mut self) -> Packet {
        if !self.random.percent(70) {
            let (source, destination) = (self.random.one(&self.hosts), self.random.one(&self.hosts));
            let port = self.random.one(&PORTS);
            return (source, destination, self.random.one(&[6, 17]), self.ephemeral(), port);
        }
        let of = self.rules[self.random.below(self.rules.len())].of;
        let protocol = if of.protocol == 0 { self.random.one(&[6, 17]) } else { of.protocol };
        let (source, destination) = (self.address(of.source), self.address(of.destination));
        if !has_ports(protocol) {
            return (source, destination, protocol, 0, 0);
        }
        let (first, last) = of.destination_ports;
        let port = first + self.random.below(usize::from(last - first) + 1) as u16;
        (source, destination, protocol, self.ephemeral(), port)
    }

    fn address(&mut self, of: Net) -> u32 {
        if of.bits == 0 {
            return self.random.one(&self.hosts);
        }
        of.first | self.random.next() as u32 & Net::host_mask(of.bits)
    }

    fn ephemeral(&mut self) -> u16 {
        32_768 + self.random.below(28_000) as u16
    }
}

pub fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17)
}

/// About how many packets a rule matches, as a power of two.
fn size_bits(of: &Match) -> u32 {
    let width = |ports: (u16, u16)| (u32::from(ports.1 - ports.0) + 1).ilog2();
    let ports = if has_ports(of.protocol) { width(of.destination_ports) } else { 12 };
    64 - u32::from(of.source.bits) - u32::from(of.destination.bits)
        + ports
        + if of.protocol == 0 { 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(outer: &Match, inner: &Match) -> bool {
        let net = |outer: Net, inner: Net| outer.first <= inner.first && inner.last() <= outer.last();
        net(outer.source, inner.source)
            && net(outer.destination, inner.destination)
            && (outer.protocol == inner.protocol || outer.protocol == 0)
            && outer.destination_ports.0 <= inner.destination_ports.0
            && inner.destination_ports.1 <= outer.destination_ports.1
    }

    #[test]
    fn what_is_planted_stands_behind_what_covers_it() {
        for profile in &PROFILES {
            let drawn = draw(profile, 1_000, 20, 50);
            assert_eq!((drawn.rules.len(), drawn.planted.len(), drawn.packets.len()), (1_000, 20, 50));
            for planted in &drawn.planted {
                let rule = drawn.rules[planted.rule].of;
                let before = &drawn.rules[..planted.rule];
                if planted.by_union {
                    let half = |half: u32| {
                        let first = rule.destination.first | half;
                        Match { destination: Net { first, bits: 25 }, ..rule }
                    };
                    assert!([0, 128].iter().all(|at| before.iter().any(|one| one.of == half(*at))));
                } else {
                    assert!(before.iter().any(|one| holds(&one.of, &rule)), "{rule:?}");
                }
            }
        }
    }

    #[test]
    fn a_list_is_the_same_each_time() {
        let text = || format!("{:?}", draw(&PROFILES[1], 500, 8, 10));
        assert_eq!(text(), text());
    }
}
