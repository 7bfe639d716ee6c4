//! The box of a rule: what it cannot match outside of, and whether that is all there is to it.

use super::Plain;
use crate::netfilter::ast::{Field, Operand};
use crate::netfilter::eval::compile::{Rule, SetData, Step};
use crate::netfilter::packet::{TCP, UDP};
use crate::points::Bounds;

impl Bounds {
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
