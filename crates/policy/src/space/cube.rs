//! A box of packets in five dimensions, and bitmaps for what has few values.

use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The address families: their addresses are apart, as are their packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// The last address.
    pub const fn last(self) -> u128 {
        match self {
            Family::V4 => u32::MAX as u128,
            Family::V6 => u128::MAX,
        }
    }

    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// A set of the 256 transport protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocols(pub [u64; 4]);

/// TCP, UDP, DCCP, SCTP and UDP-Lite: the protocols whose ports a rule may name.
pub const PORT_PROTOCOLS: Protocols = Protocols::of(&[6, 17, 33, 132, 136]);

impl Protocols {
    pub const ALL: Protocols = Protocols([u64::MAX; 4]);
    pub const NONE: Protocols = Protocols([0; 4]);
    pub const TCP: Protocols = Protocols::of(&[6]);
    pub const UDP: Protocols = Protocols::of(&[17]);
    pub const ICMP: Protocols = Protocols::of(&[1]);
    pub const ICMPV6: Protocols = Protocols::of(&[58]);

    pub const fn of(numbers: &[u8]) -> Protocols {
        let mut bits = [0; 4];
        let mut at = 0;
        while at < numbers.len() {
            bits[(numbers[at] >> 6) as usize] |= 1 << (numbers[at] & 63);
            at += 1;
        }
        Protocols(bits)
    }

    pub const fn has(&self, number: u8) -> bool {
        self.0[(number >> 6) as usize] >> (number & 63) & 1 == 1
    }

    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    #[must_use]
    pub fn and(&self, other: &Protocols) -> Protocols {
        Protocols(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    #[must_use]
    pub fn or(&self, other: &Protocols) -> Protocols {
        Protocols(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    #[must_use]
    pub fn without(&self, other: &Protocols) -> Protocols {
        Protocols(std::array::from_fn(|at| self.0[at] & !other.0[at]))
    }

    /// The protocols in it, smallest first.
    pub fn numbers(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=255).filter(|number| self.has(*number))
    }
}

/// States of connection tracking, each with what NAT made of the connection: a set of the twenty combinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State(pub u32);

/// What NAT did to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Nat {
    None,
    Source,
    Destination,
    Both,
}

impl State {
    pub const ALL: State = State((1 << 20) - 1);
    pub const NEW: State = State::each(0);
    pub const ESTABLISHED: State = State::each(1);
    pub const RELATED: State = State::each(2);
    pub const INVALID: State = State::each(3);
    pub const UNTRACKED: State = State::each(4);

    const fn each(state: u32) -> State {
        State(0b00001_00001_00001_00001 << state)
    }

    /// Every state with this of NAT.
    pub const fn nat(nat: Nat) -> State {
        State(0b11111 << (nat as u32 * 5))
    }

    #[must_use]
    pub const fn and(self, other: State) -> State {
        State(self.0 & other.0)
    }

    #[must_use]
    pub const fn or(self, other: State) -> State {
        State(self.0 | other.0)
    }

    #[must_use]
    pub const fn without(self, other: State) -> State {
        State(self.0 & !other.0)
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A box of packets. Both ends of every range are included; none of the fields is ever empty.
///
/// For ICMP the type stands in `source_ports` and the code in `destination_ports`. Protocols without ports have
/// all of both. `flags` has one bit for each of the 256 values of TCP's flags byte, and all of them for other
/// protocols; `from` and `to` one bit for each interface of a [`super::Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cube {
    pub family: Family,
    pub source: (u128, u128),
    pub destination: (u128, u128),
    pub source_ports: (u16, u16),
    pub destination_ports: (u16, u16),
    pub protocols: Protocols,
    pub flags: [u64; 4],
    pub state: State,
    pub from: u64,
    pub to: u64,
}

const ALL_PORTS: (u16, u16) = (0, u16::MAX);
/// The flags a first packet of TCP has: SYN alone, and with the two bits of ECN.
const SYN_FLAGS: [u8; 4] = [0x02, 0x42, 0x82, 0xc2];

impl Cube {
    /// Every packet of a family.
    pub const fn all(family: Family) -> Cube {
        Cube {
            family,
            source: (0, family.last()),
            destination: (0, family.last()),
            source_ports: ALL_PORTS,
            destination_ports: ALL_PORTS,
            protocols: Protocols::ALL,
            flags: [u64::MAX; 4],
            state: State::ALL,
            from: u64::MAX,
            to: u64::MAX,
        }
    }

    #[must_use]
    pub fn source(mut self, first: u128, last: u128) -> Cube {
        self.source = (first, last);
        self
    }

    #[must_use]
    pub fn destination(mut self, first: u128, last: u128) -> Cube {
        self.destination = (first, last);
        self
    }

    #[must_use]
    pub fn protocols(mut self, protocols: Protocols) -> Cube {
        self.protocols = protocols;
        self
    }

    #[must_use]
    pub fn source_ports(mut self, ports: RangeInclusive<u16>) -> Cube {
        self.source_ports = (*ports.start(), *ports.end());
        self
    }

    #[must_use]
    pub fn destination_ports(mut self, ports: RangeInclusive<u16>) -> Cube {
        self.destination_ports = (*ports.start(), *ports.end());
        self
    }

    #[must_use]
    pub fn state(mut self, state: State) -> Cube {
        self.state = state;
        self
    }

    /// Only the first packet of a connection: new, and for TCP a SYN.
    #[must_use]
    pub fn opening(mut self) -> Cube {
        self.state = self.state.and(State::NEW);
        if self.protocols == Protocols::TCP {
            self.flags = Protocols::of(&SYN_FLAGS).0;
        }
        self
    }

    /// What both have.
    pub fn and(&self, other: &Cube) -> Option<Cube> {
        if !self.meets(other) {
            return None;
        }
        let words = |a: [u64; 4], b: [u64; 4]| std::array::from_fn(|at| a[at] & b[at]);
        Some(Cube {
            family: self.family,
            source: (self.source.0.max(other.source.0), self.source.1.min(other.source.1)),
            destination: (
                self.destination.0.max(other.destination.0),
                self.destination.1.min(other.destination.1),
            ),
            source_ports: (
                self.source_ports.0.max(other.source_ports.0),
                self.source_ports.1.min(other.source_ports.1),
            ),
            destination_ports: (
                self.destination_ports.0.max(other.destination_ports.0),
                self.destination_ports.1.min(other.destination_ports.1),
            ),
            protocols: self.protocols.and(&other.protocols),
            flags: words(self.flags, other.flags),
            state: self.state.and(other.state),
            from: self.from & other.from,
            to: self.to & other.to,
        })
    }

    /// Whether they share a packet.
    #[inline]
    pub fn meets(&self, other: &Cube) -> bool {
        let words =
            |a: &[u64; 4], b: &[u64; 4]| (a[0] & b[0]) | (a[1] & b[1]) | (a[2] & b[2]) | (a[3] & b[3]) != 0;
        self.family == other.family
            && self.destination.0 <= other.destination.1
            && other.destination.0 <= self.destination.1
            && self.source.0 <= other.source.1
            && other.source.0 <= self.source.1
            && self.destination_ports.0 <= other.destination_ports.1
            && other.destination_ports.0 <= self.destination_ports.1
            && self.source_ports.0 <= other.source_ports.1
            && other.source_ports.0 <= self.source_ports.1
            && words(&self.protocols.0, &other.protocols.0)
            && words(&self.flags, &other.flags)
            && self.state.0 & other.state.0 != 0
            && self.from & other.from != 0
            && self.to & other.to != 0
    }

    /// Whether every packet of the other is in this one.
    pub fn contains(&self, other: &Cube) -> bool {
        let words = |a: &[u64; 4], b: &[u64; 4]| (0..4).all(|at| b[at] & !a[at] == 0);
        self.family == other.family
            && self.destination.0 <= other.destination.0
            && other.destination.1 <= self.destination.1
            && self.source.0 <= other.source.0
            && other.source.1 <= self.source.1
            && self.destination_ports.0 <= other.destination_ports.0
            && other.destination_ports.1 <= self.destination_ports.1
            && self.source_ports.0 <= other.source_ports.0
            && other.source_ports.1 <= self.source_ports.1
            && words(&self.protocols.0, &other.protocols.0)
            && words(&self.flags, &other.flags)
            && other.state.0 & !self.state.0 == 0
            && other.from & !self.from == 0
            && other.to & !self.to == 0
    }

    /// Adds to `left` the cubes, at most fifteen and disjoint, that together are this one without the other.
    pub fn minus(&self, other: &Cube, left: &mut Vec<Cube>) {
        let Some(shared) = self.and(other) else {
            left.push(*self);
            return;
        };
        let mut rest = *self;
        macro_rules! cut_range {
            ($field:ident) => {
                if rest.$field.0 < shared.$field.0 {
                    left.push(Cube { $field: (rest.$field.0, shared.$field.0 - 1), ..rest });
                }
                if shared.$field.1 < rest.$field.1 {
                    left.push(Cube { $field: (shared.$field.1 + 1, rest.$field.1), ..rest });
                }
                rest.$field = shared.$field;
            };
        }
        cut_range!(destination);
        cut_range!(source);
        cut_range!(destination_ports);
        cut_range!(source_ports);
        let protocols = rest.protocols.without(&shared.protocols);
        if !protocols.is_empty() {
            left.push(Cube { protocols, ..rest });
            rest.protocols = shared.protocols;
        }
        let flags: [u64; 4] = std::array::from_fn(|at| rest.flags[at] & !shared.flags[at]);
        if flags != [0; 4] {
            left.push(Cube { flags, ..rest });
            rest.flags = shared.flags;
        }
        let state = rest.state.without(shared.state);
        if !state.is_empty() {
            left.push(Cube { state, ..rest });
            rest.state = shared.state;
        }
        if rest.from & !shared.from != 0 {
            left.push(Cube { from: rest.from & !shared.from, ..rest });
            rest.from = shared.from;
        }
        if rest.to & !shared.to != 0 {
            left.push(Cube { to: rest.to & !shared.to, ..rest });
        }
    }
}
