//! Cubes in words: `tcp 10.0.0.0/8 → 192.0.2.7:443 new`.

use super::{Cube, Family, Nat, Protocols, State};
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Protocols with a name of their own in a sentence.
const NAMES: [(u8, &str); 9] = [
    (1, "icmp"),
    (6, "tcp"),
    (17, "udp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "icmpv6"),
    (132, "sctp"),
    (136, "udplite"),
];
/// Protocols named one by one; of more the count is told.
const NAMED_COUNT_MAX: usize = 4;

/// An address of a family.
pub fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(number as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

/// An address as a number of its family.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// A range of addresses: one address, a prefix, or first and last.
pub fn range(family: Family, (first, last): (u128, u128)) -> String {
    let bits = if family == Family::V4 { 32 } else { 128 };
    let size = (first ^ last).checked_add(1);
    let start = address(family, first);
    match size {
        Some(1) => start.to_string(),
        // A power of two that starts at a multiple of itself.
        Some(size) if size.is_power_of_two() && first & (size - 1) == 0 && last - first == size - 1 => {
            format!("{start}/{}", bits - size.trailing_zeros())
        }
        None if first == 0 => format!("{start}/0"),
        _ => format!("{start}-{}", address(family, last)),
    }
}

fn ports((first, last): (u16, u16)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

impl Protocols {
    /// `tcp`, `tcp,udp`, `all but icmp`, `all`, `17 protocols`.
    pub fn words(&self) -> String {
        let name = |number: u8| {
            let known = NAMES.iter().find(|(own, _)| *own == number);
            known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
        };
        let list = |set: &Protocols| set.numbers().map(name).collect::<Vec<_>>().join(",");
        let missing = Protocols::ALL.without(self);
        match (self.numbers().count(), missing.numbers().count()) {
            (_, 0) => "all".to_owned(),
            (count, _) if count <= NAMED_COUNT_MAX => list(self),
            (_, count) if count <= NAMED_COUNT_MAX => format!("all but {}", list(&missing)),
            (count, _) => format!("{count} protocols"),
        }
    }
}

impl State {
    /// `new,established`, with what NAT did where that matters; empty for every state.
    pub fn words(self) -> String {
        const NAMES: [(State, &str); 5] = [
            (State::NEW, "new"),
            (State::ESTABLISHED, "established"),
            (State::RELATED, "related"),
            (State::INVALID, "invalid"),
            (State::UNTRACKED, "untracked"),
        ];
        const NAT: [(Nat, &str); 4] = [
            (Nat::None, "not translated"),
            (Nat::Source, "snat"),
            (Nat::Destination, "dnat"),
            (Nat::Both, "snat+dnat"),
        ];
        if self == State::ALL {
            return String::new();
        }
        let of = |names: &[(State, &'static str)]| -> Vec<&'static str> {
            let own = names.iter().filter(|(state, _)| !self.and(*state).is_empty()).map(|(_, name)| *name);
            own.collect()
        };
        let states = of(&NAMES).join(",");
        let nat = of(&NAT.map(|(nat, name)| (State::nat(nat), name)));
        if nat.len() == NAT.len() { states } else { format!("{states} {}", nat.join(",")) }
    }
}

/// TCP flags that every combination in a set has, and that none has; `None` when it is not such a set.
fn flags(set: &[u64; 4]) -> Option<String> {
    const NAMES: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];
    if *set == [u64::MAX; 4] {
        return Some(String::new());
    }
    let members: Vec<u8> = Protocols(*set).numbers().collect();
    let all = members.iter().fold(u8::MAX, |bits, one| bits & one);
    let any = members.iter().fold(0, |bits, one| bits | one);
    let free = (any & !all).count_ones();
    if members.len() != 1 << free {
        return None;
    }
    let name = |bits: u8, sign: &'static str| {
        (0..8).filter(move |at| bits >> at & 1 == 1).map(move |at| format!("{sign}{}", NAMES[at]))
    };
    Some(name(all, "").chain(name(!any, "!")).collect::<Vec<_>>().join(","))
}

impl fmt::Display for Cube {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let icmp = self.protocols == Protocols::ICMP || self.protocols == Protocols::ICMPV6;
        let all = (0, u16::MAX);
        let end = |addresses, own: (u16, u16)| {
            let addresses = range(self.family, addresses);
            match (own == all || icmp, self.family) {
                (true, _) => addresses,
                (_, Family::V4) => format!("{addresses}:{}", ports(own)),
                (_, Family::V6) => format!("[{addresses}]:{}", ports(own)),
            }
        };
        let (from, into) =
            (end(self.source, self.source_ports), end(self.destination, self.destination_ports));
        write!(to, "{} {from} → {into}", self.protocols.words())?;
        if icmp && self.source_ports != all {
            write!(to, " type {}", ports(self.source_ports))?;
        }
        if icmp && self.destination_ports != all {
            write!(to, " code {}", ports(self.destination_ports))?;
        }
        match flags(&self.flags) {
            Some(words) if words.is_empty() => {}
            Some(words) => write!(to, " flags {words}")?,
            None => write!(to, " flags {} combinations", Protocols(self.flags).numbers().count())?,
        }
        let state = self.state.words();
        if !state.is_empty() {
            write!(to, " {state}")?;
        }
        Ok(())
    }
}

impl Serialize for Cube {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("family", &if self.family == Family::V4 { 4 } else { 6 })?;
        map.serialize_entry("protocol", &self.protocols.words())?;
        map.serialize_entry("source", &range(self.family, self.source))?;
        map.serialize_entry("source_ports", &ports(self.source_ports))?;
        map.serialize_entry("destination", &range(self.family, self.destination))?;
        map.serialize_entry("destination_ports", &ports(self.destination_ports))?;
        if let Some(words) = flags(&self.flags).filter(|words| !words.is_empty()) {
            map.serialize_entry("flags", &words)?;
        }
        if self.state != State::ALL {
            map.serialize_entry("state", &self.state.words())?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubes_read_as_people_write_them() {
        let cube =
            Cube::all(Family::V4).source(0x0a00_0000, 0x0aff_ffff).destination(0xc000_0207, 0xc000_0207);
        let tcp = cube.protocols(Protocols::TCP).destination_ports(443..=443).opening();
        assert_eq!(tcp.to_string(), "tcp 10.0.0.0/8 → 192.0.2.7:443 flags syn,!fin,!rst,!psh,!ack,!urg new");
        assert_eq!(Cube::all(Family::V6).to_string(), "all ::/0 → ::/0");
        assert_eq!(range(Family::V4, (1, 2)), "0.0.0.1-0.0.0.2");
        assert_eq!(range(Family::V4, (2, 3)), "0.0.0.2/31");
        let ping = Cube::all(Family::V4).protocols(Protocols::ICMP).source_ports(8..=8);
        assert_eq!(ping.to_string(), "icmp 0.0.0.0/0 → 0.0.0.0/0 type 8");
    }
}
