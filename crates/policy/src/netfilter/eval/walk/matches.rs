//! Whether a packet matches one part of a rule.

use super::Walk;
use crate::netfilter::ast::{Field, Operand};
use crate::netfilter::eval::compile::{Chain, SetId, Step};
use crate::netfilter::eval::memory::Member;
use crate::netfilter::eval::sets::Found;
use crate::netfilter::eval::value::{Bits, Truth};
use crate::netfilter::eval::work::Work;

/// How many fields a key may be made of.
const KEY_FIELDS_MAX: usize = 16;

/// The values of a key's fields, without an allocation.
pub struct Keys {
    values: [Bits; KEY_FIELDS_MAX],
    len: usize,
}

impl Keys {
    /// `None` when the packet lacks one of the fields.
    pub fn of(work: &Work<'_>, operands: &[Operand]) -> Option<Keys> {
        let mut keys =
            Keys { values: [Bits::UNKNOWN; KEY_FIELDS_MAX], len: operands.len().min(KEY_FIELDS_MAX) };
        for (value, operand) in keys.values.iter_mut().zip(operands) {
            *value = work.value(operand.field)?.under(operand);
        }
        Some(keys)
    }

    pub fn values(&self) -> &[Bits] {
        &self.values[..self.len]
    }

    /// The key as numbers; `None` when something of it is unknown.
    pub fn known(&self) -> Option<Box<[u128]>> {
        self.values().iter().map(|bits| bits.known()).collect()
    }
}

impl Walk<'_, '_> {
    /// Holds the packet to one part; parts that act do so, unless some of the packets it stands for may have
    /// failed before.
    pub(super) fn step(&mut self, step: &Step, chain: &Chain, before: Truth) -> Truth {
        match step {
            Step::Match { keys, set, negated } => {
                self.is_in(keys, *set).map_or(Truth::No, |t| t.negated(*negated))
            }
            Step::AnyBit { key, bits, negated } => {
                self.any_bit(key, *bits).map_or(Truth::No, |t| t.negated(*negated))
            }
            Step::Same { key, other, negated } => {
                self.same(key, other).map_or(Truth::No, |t| t.negated(*negated))
            }
            step => self.act(step, chain, before),
        }
    }

    fn is_in(&self, keys: &[Operand], set: SetId) -> Option<Truth> {
        if let [key] = keys {
            let value = self.work.value(key.field)?.under(key);
            return Some(truth(self.look(&[value], set)));
        }
        let keys = Keys::of(self.work, keys)?;
        Some(truth(self.look(keys.values(), set)))
    }

    fn any_bit(&self, key: &Operand, bits: u128) -> Option<Truth> {
        let value = self.work.value(key.field)?.under(key);
        Some(match (value.bits & bits != 0, value.unknown & bits != 0) {
            (true, _) => Truth::Yes,
            (false, true) => Truth::Maybe,
            (false, false) => Truth::No,
        })
    }

    fn same(&self, key: &Operand, other: &Operand) -> Option<Truth> {
        let (one, two) = (self.work.value(key.field)?.under(key), self.work.value(other.field)?.under(other));
        let unknown = one.unknown | two.unknown;
        Some(match ((one.bits ^ two.bits) & !unknown, unknown) {
            (0, 0) => Truth::Yes,
            (0, _) => Truth::Maybe,
            _ => Truth::No,
        })
    }

    /// Looks for a key in a set or map; not found when the packet lacks a field of it.
    pub(super) fn find(&self, keys: &[Operand], set: SetId) -> Found {
        match Keys::of(self.work, keys) {
            Some(keys) => self.look(keys.values(), set),
            None => Found::No,
        }
    }

    fn look(&self, keys: &[Bits], set: SetId) -> Found {
        let data = &self.program.sets[set];
        if data.missing {
            return Found::Maybe;
        }
        if !data.members.is_empty() {
            return self.look_in_members(keys, &data.members);
        }
        match self.memory.added.get(&set) {
            None => data.lookup.find(keys),
            Some(added) => {
                let known: Option<Box<[u128]>> = keys.iter().map(|bits| bits.known()).collect();
                match known.map(|known| added.get(&known).copied()) {
                    Some(Some(Member::Yes)) => Found::At(usize::MAX),
                    Some(Some(Member::No)) => Found::No,
                    Some(Some(Member::Maybe)) | None => Found::Maybe,
                    Some(None) => data.lookup.find(keys),
                }
            }
        }
    }

    /// In a list of sets: in one of them. A list in a list is not followed, as in the kernel.
    fn look_in_members(&self, keys: &[Bits], members: &[SetId]) -> Found {
        let mut found = Found::No;
        for member in members {
            let data = &self.program.sets[*member];
            match if data.members.is_empty() { self.look(keys, *member) } else { Found::Maybe } {
                Found::At(at) => return Found::At(at),
                Found::Maybe => found = Found::Maybe,
                Found::No => {}
            }
        }
        found
    }
}

fn truth(found: Found) -> Truth {
    match found {
        Found::No => Truth::No,
        Found::Maybe => Truth::Maybe,
        Found::At(_) => Truth::Yes,
    }
}

/// What of a packet a part looks at that is not known.
pub fn unknown_of(work: &Work<'_>, step: &Step) -> Option<String> {
    let of = |keys: &[Operand]| {
        let unknown =
            |key: &&Operand| work.value(key.field).is_some_and(|value| value.under(key).unknown != 0);
        keys.iter().find(unknown).map(|key| name(key.field))
    };
    match step {
        Step::Match { keys, .. } | Step::VerdictMap { keys, .. } | Step::Update { keys, .. } => of(keys),
        Step::AnyBit { key, .. } => of(&[*key]),
        Step::Same { key, other, .. } => of(&[*key, *other]),
        Step::Quota { .. } => Some("length".to_owned()),
        Step::Limit { .. } | Step::Connections { .. } => Some("count".to_owned()),
        _ => None,
    }
}

/// A field in the words of a question, where it has one.
fn name(field: Field) -> String {
    let word = match field {
        Field::InputInterface => "in",
        Field::OutputInterface => "out",
        Field::CtState => "state",
        Field::Length | Field::Ip4Length => "length",
        Field::Ip4Ttl | Field::Ip6HopLimit => "ttl",
        Field::Ip4Dscp | Field::Ip6Dscp => "dscp",
        Field::EtherSource => "mac",
        Field::SocketUser => "user",
        Field::SocketGroup => "group",
        Field::TcpSource | Field::UdpSource | Field::ThSource => "sport",
        Field::TcpDestination | Field::UdpDestination | Field::ThDestination => "dport",
        other => return format!("{other:?}"),
    };
    word.to_owned()
}
