//! The box of a rule: what it cannot match outside of, and whether that is all there is to it.

use super::{Key, Plain};
use crate::netfilter::ast::{Field, Operand};
use crate::netfilter::eval::compile::{Rule, SetData, Step};
use crate::netfilter::packet::{TCP, UDP};

/// An address as the index keeps it.
pub trait Number: Copy + Ord + std::fmt::Debug {
    /// Of numbers too large the largest there is.
    fn of(number: u128) -> Self;
}

impl Number for u32 {
    fn of(number: u128) -> u32 {
        u32::try_from(number).unwrap_or(u32::MAX)
    }
}

impl Number for u128 {
    fn of(number: u128) -> u128 {
        number
    }
}

/// A box in a list of the index, with its rule.
#[derive(Debug, Clone, Copy)]
pub struct Entry<N> {
    pub rule: u32,
    pub destination: (N, N),
    pub source: (N, N),
    destination_port: (u16, u16),
    source_port: (u16, u16),
    protocol: (u8, u8),
}

impl<N: Number> Entry<N> {
    /// The box of one packet.
    pub fn point(key: &Key) -> Entry<N> {
        let (source, destination) = (N::of(key.source), N::of(key.destination));
        Entry {
            rule: 0,
            destination: (destination, destination),
            source: (source, source),
            destination_port: (key.destination_port, key.destination_port),
            source_port: (key.source_port, key.source_port),
            protocol: (key.protocol, key.protocol),
        }
    }

    /// Whether a packet's point is in it.
    #[inline]
    pub fn holds(&self, point: &Entry<N>) -> bool {
        self.destination.0 <= point.destination.0
            && point.destination.0 <= self.destination.1
            && self.source.0 <= point.source.0
            && point.source.0 <= self.source.1
            && self.destination_port.0 <= point.destination_port.0
            && point.destination_port.0 <= self.destination_port.1
            && self.source_port.0 <= point.source_port.0
            && point.source_port.0 <= self.source_port.1
            && self.protocol.0 <= point.protocol.0
            && point.protocol.0 <= self.protocol.1
    }
}

/// A rule matches no packet outside of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub source: (u128, u128),
    pub destination: (u128, u128),
    source_port: (u16, u16),
    pub destination_port: (u16, u16),
    /// First and last protocol.
    protocol: (u8, u8),
}

impl Bounds {
    pub const ALL: Bounds = Bounds {
        source: (0, u128::MAX),
        destination: (0, u128::MAX),
        source_port: (0, u16::MAX),
        destination_port: (0, u16::MAX),
        protocol: (0, u8::MAX),
    };
    /// Matches nothing.
    const NONE: Bounds = Bounds { protocol: (1, 0), ..Bounds::ALL };

    pub fn is_empty(&self) -> bool {
        self.protocol.0 > self.protocol.1
    }

    pub fn entry<N: Number>(&self, rule: u32) -> Entry<N> {
        let pair = |(first, last): (u128, u128)| (N::of(first), N::of(last));
        Entry {
            rule,
            destination: pair(self.destination),
            source: pair(self.source),
            destination_port: self.destination_port,
            source_port: self.source_port,
            protocol: self.protocol,
        }
    }

    /// The box of a rule, and what the rule does when the box is all it asks.
    pub fn of(rule: &Rule, sets: &[SetData], six: bool) -> (Bounds, Option<Plain>) {
        let mut bounds = Bounds::ALL;
        let mut exact = true;
        for (at, step) in rule.steps.iter().enumerate() {
            match step {
                Step::Match { keys, set, negated: false } => {
                    exact &= keys.len() == 1 && sets[*set].is_one_span();
                    for (field, key) in keys.iter().enumerate() {
                        exact &= match sets[*set].cover(field) {
                            Some(range) => bounds.narrow(key, range, six),
                            None => false,
                        };
                    }
                }
                Step::Match { .. } | Step::AnyBit { .. } | Step::Same { .. } => exact = false,
                Step::Verdict(act) if exact && at + 1 == rule.steps.len() => {
                    return (bounds, Some(Plain::Act(*act)));
                }
                // What comes after a step that acts by itself no longer narrows whom it acts upon.
                _ => return (bounds, None),
            }
        }
        (bounds, exact.then_some(Plain::Nothing))
    }

    /// Whether the box now says all that the match does.
    fn narrow(&mut self, key: &Operand, range: (u128, u128), six: bool) -> bool {
        if !key.is_plain() {
            return false;
        }
        let both = |a: (u128, u128)| (a.0.max(range.0), a.1.min(range.1));
        let short = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
        let port = |old: (u16, u16)| (old.0.max(short(range.0)), old.1.min(short(range.1)));
        match key.field {
            Field::Ip4Source if !six => self.source = both(self.source),
            Field::Ip6Source if six => self.source = both(self.source),
            Field::Ip4Destination if !six => self.destination = both(self.destination),
            Field::Ip6Destination if six => self.destination = both(self.destination),
            Field::Ip4Protocol if !six => self.of_protocol(range),
            Field::Ip4Source
            | Field::Ip6Source
            | Field::Ip4Destination
            | Field::Ip6Destination
            | Field::Ip4Protocol => *self = Bounds::NONE,
            Field::Protocol => self.of_protocol(range),
            Field::TcpSource | Field::UdpSource => self.source_port = port(self.source_port),
            Field::TcpDestination | Field::UdpDestination => {
                self.destination_port = port(self.destination_port);
            }
            _ => return false,
        }
        match key.field {
            Field::TcpSource | Field::TcpDestination => self.of_protocol((TCP.into(), TCP.into())),
            Field::UdpSource | Field::UdpDestination => self.of_protocol((UDP.into(), UDP.into())),
            _ => {}
        }
        true
    }

    fn of_protocol(&mut self, range: (u128, u128)) {
        let byte = |number: u128| u8::try_from(number).unwrap_or(u8::MAX);
        self.protocol = (self.protocol.0.max(byte(range.0)), self.protocol.1.min(byte(range.1)));
    }
}
