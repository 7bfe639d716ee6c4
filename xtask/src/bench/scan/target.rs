//! The targets: what is open, how the rest behaves, and what the way to them does.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// The scanner's own address, its router's, and the single target's.
pub const SCANNER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
pub const SINGLE: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 2);
/// Hardware address of the router on the scanner's side, and the scanner's: some peers must be told.
pub const ROUTER_MAC: &str = "02:00:00:00:01:02";
pub const SCANNER_MAC: &str = "02:00:00:00:01:01";
/// Where the hosts of T4 begin, and how many there are.
const MANY: u32 = u32::from_be_bytes([10, 78, 0, 0]);
pub const MANY_COUNT: u32 = 4_096;
/// Of four neighbouring addresses, the one with this remainder is alive.
const ALIVE: u32 = 1;
const FIRST_OF_MANY: u16 = 8_000;
const MANY_PORTS: u16 = 100;
/// A scanner that asks one port a run is given as many addresses: `TWIN + port`, or `MANY_TWIN + nth port × 4,096 + host`.
pub const TWIN: u32 = u32::from_be_bytes([10, 80, 0, 0]);
pub const MANY_TWIN: u32 = u32::from_be_bytes([10, 96, 0, 0]);
pub const TWIN_PORT: u16 = 80;
/// Ports of a service that no scan misses for being rare.
const USUAL: [u16; 12] = [22, 25, 53, 80, 110, 143, 443, 465, 587, 631, 993, 995];

/// What is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Resets,
    Dropped,
    /// Resets, but at most this many a second.
    ResetsLimited(u32),
}

/// What the way does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Clear,
    /// Loses this many percent in each direction.
    Loses(u32),
    /// Bans a source for good above this many new connections a second.
    Bans(u32),
    /// A SYN proxy on the router, that far away in milliseconds of round trip.
    Proxied(u32),
    /// A bottleneck of so many Mbit/s behind 40 ms of round trip, losing one percent in each direction.
    Narrow(u32),
}

/// Whom to ask, and the truth about it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub rest: Rest,
    pub way: Way,
    pub many: bool,
    /// Ports 1 to this are asked; of many hosts, a hundred others.
    pub last_port: u16,
    pub open_count: usize,
}

const fn single(name: &'static str, rest: Rest, way: Way) -> Target {
    Target { name, rest, way, many: false, last_port: 65_535, open_count: 40 }
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    single("T1", Rest::Resets, Way::Clear),
    single("T2", Rest::Dropped, Way::Clear),
    single("T3", Rest::ResetsLimited(200), Way::Clear),
    Target { many: true, open_count: 12, ..single("T4", Rest::Resets, Way::Clear) },
    single("T5", Rest::Resets, Way::Loses(2)),
    Target { last_port: 1_000, open_count: 12, ..single("T6", Rest::Resets, Way::Bans(100)) },
    single("T7", Rest::Resets, Way::Proxied(0)),
    Target { last_port: 1_000, open_count: 3, ..single("T7far", Rest::Resets, Way::Proxied(40)) },
    single("T8", Rest::Resets, Way::Narrow(10)),
    single("T9", Rest::Dropped, Way::Narrow(10)),
];

impl Target {
    pub fn named(name: &str) -> Option<Target> {
        TARGETS.into_iter().find(|target| target.name.eq_ignore_ascii_case(name))
    }

    /// The hosts as every scanner reads them.
    pub fn hosts(&self) -> String {
        if self.many { format!("{}/20", Ipv4Addr::from(MANY)) } else { SINGLE.to_string() }
    }

    /// The ports as every scanner reads them.
    pub fn ports(&self) -> String {
        if self.many {
            format!("{FIRST_OF_MANY}-{}", FIRST_OF_MANY + MANY_PORTS - 1)
        } else {
            format!("1-{}", self.last_port)
        }
    }

    /// How many pairs of host and port are asked.
    pub fn pairs(&self) -> u64 {
        if self.many { u64::from(MANY_COUNT) * u64::from(MANY_PORTS) } else { self.last_port.into() }
    }

    /// The open ports of each host that lives.
    pub fn open_ports(&self) -> BTreeSet<u16> {
        if !self.many && self.open_count <= USUAL.len() {
            // The three that matter, or all.
            let few = [22, 80, 443];
            return if self.open_count <= few.len() { few.into() } else { USUAL.into() };
        }
        let (first, count) = if self.many { (FIRST_OF_MANY, MANY_PORTS) } else { (1, self.last_port) };
        let mut ports = BTreeSet::new();
        if !self.many {
            ports.extend([22, 80, 443, 65_535]);
        }
        // Scattered, and the same in every run.
        let mut state = 0x9E37_79B9_u64;
        while ports.len() < self.open_count {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ports.insert(first + ((state >> 33) % u64::from(count)) as u16);
        }
        ports
    }

    /// Hosts that live.
    fn hosts_alive(&self) -> Vec<u32> {
        if self.many {
            (0..MANY_COUNT).filter(|host| host % 4 == ALIVE).map(|host| MANY + host).collect()
        } else {
            vec![SINGLE.into()]
        }
    }

    /// Every pair that is open.
    pub fn truth(&self) -> BTreeSet<(Ipv4Addr, u16)> {
        let ports = self.open_ports();
        let pairs =
            |host: u32| ports.iter().map(move |port| (Ipv4Addr::from(host), *port)).collect::<Vec<_>>();
        self.hosts_alive().into_iter().flat_map(pairs).collect()
    }

    /// The address that stands for a pair where a scanner asks one port a run.
    fn twin_of(&self, host: Ipv4Addr, port: u16) -> u32 {
        if self.many {
            MANY_TWIN + u32::from(port - FIRST_OF_MANY) * MANY_COUNT + (u32::from(host) - MANY)
        } else {
            TWIN + u32::from(port)
        }
    }

    /// The pair an address stands for.
    pub fn pair_of_twin(&self, address: Ipv4Addr) -> (Ipv4Addr, u16) {
        let address = u32::from(address);
        if self.many {
            let index = address.wrapping_sub(MANY_TWIN);
            let port = FIRST_OF_MANY.saturating_add((index / MANY_COUNT).min(u32::from(u16::MAX)) as u16);
            (Ipv4Addr::from(MANY + index % MANY_COUNT), port)
        } else {
            (SINGLE, address.wrapping_sub(TWIN).min(u32::from(u16::MAX)) as u16)
        }
    }

    /// All addresses that stand for pairs, as networks.
    pub fn twin_networks(&self) -> String {
        if self.many {
            // 64, 32 and 4 ports.
            return "10.96.0.0/14\n10.100.0.0/15\n10.102.0.0/18\n".to_owned();
        }
        let mut text = String::new();
        let (mut first, end) = (TWIN + 1, TWIN + u32::from(self.last_port) + 1);
        while first < end {
            let fits = (31 - (end - first).leading_zeros()).min(first.trailing_zeros());
            let _ = writeln!(text, "{}/{}", Ipv4Addr::from(first), 32 - fits);
            first += 1 << fits;
        }
        text
    }

    /// What the target's process listens on: address and port, one a line.
    pub fn listeners(&self) -> String {
        let mut text = String::new();
        for port in self.open_ports() {
            let _ = writeln!(text, "{} {port}", if self.many { Ipv4Addr::UNSPECIFIED } else { SINGLE });
        }
        for (host, port) in self.truth() {
            let _ = writeln!(text, "{} {TWIN_PORT}", Ipv4Addr::from(self.twin_of(host, port)));
        }
        text
    }

    /// nft rules of the target's host.
    pub fn rules_of_target(&self) -> String {
        let mut chain = String::new();
        if self.many {
            chain += "ip daddr 10.78.0.0/20 ip daddr & 0.0.0.3 != 0.0.0.1 drop\n\
                      ip daddr 10.96.0.0/13 ip daddr & 0.0.0.3 != 0.0.0.1 drop\n";
        }
        if self.rest == Rest::Dropped {
            chain +=
                "ip daddr 10.77.2.2 tcp dport != @open drop\nip daddr 10.80.0.0/16 ip daddr != @twins drop\n";
        }
        if let Way::Bans(per_s) = self.way {
            let _ = writeln!(
                chain,
                "ip saddr @banned drop\ntcp flags & (syn | ack) == syn update @counted \
                 {{ ip saddr limit rate over {per_s}/second burst 10 packets }} add @banned {{ ip saddr }} drop"
            );
        }
        let ports: Vec<String> = self.open_ports().iter().map(u16::to_string).collect();
        let twins: Vec<String> = if self.many {
            vec!["10.96.0.1".to_owned()]
        } else {
            self.truth()
                .iter()
                .map(|(host, port)| Ipv4Addr::from(self.twin_of(*host, *port)).to_string())
                .collect()
        };
        let limited = match self.rest {
            Rest::ResetsLimited(per_s) => {
                format!("tcp flags rst limit rate over {per_s}/second burst 5 packets drop\n")
            }
            _ => String::new(),
        };
        format!(
            "table ip bench {{\n\
             set open {{ type inet_service; elements = {{ {} }} }}\n\
             set twins {{ type ipv4_addr; elements = {{ {} }} }}\n\
             set banned {{ type ipv4_addr; flags dynamic,timeout; size 1000; timeout 10m; }}\n\
             set counted {{ type ipv4_addr; flags dynamic,timeout; size 1000; timeout 1m; }}\n\
             chain first {{ type filter hook prerouting priority raw;\n{chain}}}\n\
             chain out {{ type filter hook output priority filter;\n{limited}}}\n}}\n",
            ports.join(", "),
            twins.join(", ")
        )
    }

    /// nft rules of the router.
    pub fn rules_of_router(&self) -> String {
        match self.way {
            Way::Clear | Way::Bans(_) => String::new(),
            Way::Loses(percent) => lossy(percent),
            Way::Narrow(_) => lossy(1),
            Way::Proxied(_) => "table ip bench {\n\
                 chain first { type filter hook prerouting priority raw;\n\
                 iifname near tcp flags & (fin | syn | rst | ack) == syn notrack\n}\n\
                 chain way { type filter hook forward priority filter;\n\
                 iifname near meta l4proto tcp ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm\n\
                 ct state invalid drop\n}\n}\n"
                .to_owned(),
        }
    }
}

fn lossy(percent: u32) -> String {
    format!(
        "table ip bench {{\nchain way {{ type filter hook forward priority filter;\n\
         numgen random mod 100 < {percent} drop\n}}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_is_as_large_as_said() {
        for target in TARGETS {
            let hosts = if target.many { 1_024 } else { 1 };
            assert_eq!(target.truth().len(), target.open_count * hosts, "{}", target.name);
        }
    }

    #[test]
    fn a_pair_and_its_twin_are_the_same() {
        for target in TARGETS {
            for (host, port) in target.truth() {
                assert_eq!(target.pair_of_twin(target.twin_of(host, port).into()), (host, port));
            }
        }
    }

    #[test]
    fn the_networks_hold_one_address_a_pair() {
        for target in TARGETS {
            let sizes = target.twin_networks();
            let sizes = sizes
                .lines()
                .map(|line| 1u64 << (32 - line.split_once('/').unwrap().1.parse::<u32>().unwrap()));
            assert_eq!(sizes.sum::<u64>(), target.pairs(), "{}", target.name);
        }
    }
}
