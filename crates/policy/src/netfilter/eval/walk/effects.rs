//! Parts of a rule that act: translation, marks, sets that rules fill, limits.

use super::Walk;
use crate::netfilter::ast::{Field, Limit, Operand, UpdateKind};
use crate::netfilter::eval::compile::{Chain, Given, NatLook, NatStep, SetId, Step, Value};
use crate::netfilter::eval::memory::{ADDED_ELEMENTS_MAX, Member};
use crate::netfilter::eval::nat::{self, Choice};
use crate::netfilter::eval::sets::Found;
use crate::netfilter::eval::value::{Bits, Truth};
use crate::netfilter::eval::walk::matches::Keys;
use crate::netfilter::eval::work::UNTRACKED;

/// The shortest and the longest packet, in bytes.
const PACKET_BYTES: (u64, u64) = (20, 65_575);

impl Walk<'_, '_> {
    pub(super) fn act(&mut self, step: &Step, chain: &Chain, before: Truth) -> Truth {
        let sure = before == Truth::Yes && !self.work.optional;
        match step {
            Step::Write { field, value, lenient } => match self.write(*field, value, sure) {
                Truth::No if *lenient => Truth::Yes,
                truth => truth,
            },
            Step::Notrack => {
                if self.work.connection.is_none() && self.work.entry.is_none() {
                    let untracked = Bits::of(UNTRACKED);
                    self.work.state = if sure { untracked } else { untracked.or(self.work.state) };
                }
                Truth::Yes
            }
            Step::Update { set, kind, keys, also } => self.update(*set, *kind, keys, also, chain, before),
            Step::Limit { slot, limit } => self.limit((*slot, Box::default()), limit, sure),
            Step::Quota { slot, bytes, over } => {
                let under = self.spend((*slot, Box::default()), self.bytes(), *bytes, sure);
                under.negated(*over)
            }
            Step::Connections { slot, count, over, by_source } => {
                let key =
                    if *by_source { self.work.source.known().into_iter().collect() } else { Box::default() };
                self.connections((*slot, key), *count, sure).negated(*over)
            }
            _ => Truth::Yes,
        }
    }

    fn bytes(&self) -> (u64, u64) {
        self.work.packet.length.map_or(PACKET_BYTES, |length| (length.into(), length.into()))
    }

    /// No time passes between packets, so what is used up stays so.
    fn limit(&mut self, slot: (usize, Box<[u128]>), limit: &Limit, sure: bool) -> Truth {
        if limit.keyed {
            return Truth::Maybe;
        }
        let under = if limit.bytes {
            let all = limit.rate.saturating_add(limit.burst);
            self.spend(slot, self.bytes(), all.saturating_add(1), sure)
        } else {
            self.spend(slot, (1, 1), limit.burst.max(1).saturating_add(1), sure)
        };
        under.negated(limit.over)
    }

    /// Takes from what there is; whether the sum stays below `all`. What was refused is not taken.
    fn spend(&mut self, slot: (usize, Box<[u128]>), take: (u64, u64), all: u64, sure: bool) -> Truth {
        let used = self.memory.used.entry(slot).or_default();
        let (least, most) = (used.least.saturating_add(take.0), used.most.saturating_add(take.1));
        let truth = match (most < all, least < all) {
            (true, _) => Truth::Yes,
            (false, true) => Truth::Maybe,
            (false, false) => Truth::No,
        };
        if truth != Truth::No {
            used.most = most.min(all.saturating_sub(1).max(used.most));
            if sure && truth == Truth::Yes {
                used.least = least;
            }
        }
        truth
    }

    /// Whether the connections counted here, with this one, are no more than `count`.
    fn connections(&mut self, slot: (usize, Box<[u128]>), count: u64, sure: bool) -> Truth {
        let Some(connection) = &self.work.connection else { return Truth::Maybe };
        let tuple = connection.original;
        let memory = &mut *self.memory;
        let mut counted = memory.counted.remove(&slot).unwrap_or_default();
        counted.retain(|one| *one == tuple || memory.find(one).is_some());
        if !counted.contains(&tuple) {
            counted.push(tuple);
        }
        let number = counted.len() as u64;
        memory.counted.insert(slot, counted);
        match (number <= count, sure) {
            (true, true) => Truth::Yes,
            (false, true) => Truth::No,
            _ => Truth::Maybe,
        }
    }

    fn update(
        &mut self,
        set: SetId,
        kind: UpdateKind,
        keys: &[Operand],
        also: &[Step],
        chain: &Chain,
        before: Truth,
    ) -> Truth {
        let Some(keys) = Keys::of(self.work, keys) else { return Truth::No };
        let sure = before == Truth::Yes && !self.work.optional;
        let Some(key) = keys.known() else { return Truth::Maybe };
        let member = match (kind, sure) {
            (_, false) => Member::Maybe,
            (UpdateKind::Delete, true) => Member::No,
            (_, true) => Member::Yes,
        };
        let added = self.memory.added.entry(set).or_default();
        if added.len() >= ADDED_ELEMENTS_MAX {
            return Truth::Maybe;
        }
        added.insert(key.clone(), member);
        let mut all = Truth::Yes;
        for step in also {
            let truth = match step {
                Step::Limit { slot, limit } => {
                    self.limit((*slot, key.clone()), &Limit { keyed: false, ..*limit }, sure)
                }
                Step::Quota { slot, bytes, over } => {
                    self.spend((*slot, key.clone()), self.bytes(), *bytes, sure).negated(*over)
                }
                Step::Connections { slot, count, over, .. } => {
                    self.connections((*slot, key.clone()), *count, sure).negated(*over)
                }
                step => self.step(step, chain, before),
            };
            match truth {
                Truth::No => return Truth::No,
                Truth::Maybe => all = Truth::Maybe,
                Truth::Yes => {}
            }
        }
        all
    }

    fn write(&mut self, field: Field, value: &Value, sure: bool) -> Truth {
        let old = self.work.value(field);
        let new = match value {
            Value::Number(number) => Some(Bits::of(*number)),
            Value::Masked { and, xor } => old.map(|old| {
                let unknown = old.unknown & and;
                Bits { bits: ((old.bits & and) ^ xor) & !unknown, unknown }
            }),
            Value::Of(operand) => self.work.value(operand.field).map(|bits| bits.under(operand)),
            Value::Map { keys, set } => match self.given(keys, *set) {
                Mapped::Nothing => None,
                Mapped::Spans(spans) => Some(spans.first().map_or(Bits::UNKNOWN, |span| one(*span))),
                Mapped::Unknown => Some(Bits::UNKNOWN),
            },
            Value::Unknown => Some(Bits::UNKNOWN),
        };
        let Some(new) = new else { return Truth::No };
        let new = if sure { new } else { old.map_or(Bits::UNKNOWN, |old| old.or(new)) };
        self.store(field, new);
        Truth::Yes
    }

    fn store(&mut self, field: Field, new: Bits) {
        let work = &mut *self.work;
        match field {
            Field::Mark => work.mark = new,
            Field::Ip4Dscp | Field::Ip6Dscp => work.dscp = new,
            Field::Ip4Ecn => work.ecn = new,
            Field::Ip4Ttl | Field::Ip6HopLimit => work.ttl = new,
            Field::Priority => work.priority = new,
            Field::Ip4Source | Field::Ip6Source => work.source = new,
            Field::Ip4Destination | Field::Ip6Destination => work.destination = new,
            Field::TcpSource | Field::UdpSource | Field::ThSource => work.source_port = Some(new),
            Field::TcpDestination | Field::UdpDestination | Field::ThDestination => {
                work.destination_port = Some(new);
            }
            Field::CtMark => {
                if let Some(connection) = &mut work.connection {
                    connection.mark = new;
                }
                if let Some(kept) = work.entry.and_then(|entry| self.memory.get_mut(entry)) {
                    kept.mark = new;
                }
            }
            // A zone of its own has its own connections, which are not modelled.
            Field::CtZone => work.state = Bits::UNKNOWN,
            _ => {}
        }
    }

    /// What a nat statement does; what some packets may go round leaves the addresses unknown.
    pub(super) fn nat(&mut self, step: &NatStep, before: Truth) -> Truth {
        if step.family.is_some_and(|family| (family == 6) != self.work.six) || self.work.connection.is_none()
        {
            return Truth::No;
        }
        let mapped = match &step.map {
            None => None,
            Some(map) => match self.mapped(map) {
                Some(choice) => Some(choice),
                None => return Truth::No,
            },
        };
        let sure = before == Truth::Yes && !self.work.optional;
        let choice = if sure { nat::choice(self.work, step, mapped) } else { Choice::UNKNOWN };
        nat::settle(self.work, self.memory, choice);
        Truth::Yes
    }

    fn mapped(&self, map: &NatLook) -> Option<Choice> {
        let spans = match self.given(&map.keys, map.set) {
            Mapped::Nothing => return None,
            Mapped::Unknown => return Some(Choice::UNKNOWN),
            Mapped::Spans(spans) => spans,
        };
        let mut spans = spans.iter();
        let address = if map.gives_address { spans.next().map(|span| one(*span)) } else { None };
        let short = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
        let ports =
            spans.next().filter(|_| map.gives_port).map(|(first, last)| (short(*first), short(*last)));
        Some(Choice { address, ports, any_port: false })
    }

    fn given(&self, keys: &[Operand], set: SetId) -> Mapped<'_> {
        match self.find(keys, set) {
            Found::No => Mapped::Nothing,
            Found::Maybe => Mapped::Unknown,
            Found::At(at) => match self.program.sets[set].data.get(at) {
                Some(Given::Spans(spans)) => Mapped::Spans(spans),
                _ => Mapped::Unknown,
            },
        }
    }
}

enum Mapped<'a> {
    Nothing,
    Unknown,
    Spans(&'a [(u128, u128)]),
}

fn one((first, last): (u128, u128)) -> Bits {
    if first == last { Bits::of(first) } else { Bits::UNKNOWN }
}
