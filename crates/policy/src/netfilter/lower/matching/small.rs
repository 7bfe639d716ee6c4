//! Fields with few values, each of which is asked for: protocols, flags, states, interfaces, types of addresses.

use super::super::Sets;
use super::super::fields::{Place, Shape};
use super::super::values::{elements, holds};
use super::{Hits, View, narrowed, unsure};
use crate::netfilter::ast::{Element, Field, Match, Operand, SetUse, Span, Test};
use crate::place::both;
use crate::space::{Cube, Family, Nat, Protocols, State};
use netwhy_model::Text;

/// Fields with few values: each is asked for.
pub(super) fn small(view: &View<'_>, cube: &Cube, place: &Place, found: &Match, out: &mut Hits) {
    match place.shape {
        Shape::Protocol | Shape::Flags => bytes(view, cube, place.shape, found, out),
        Shape::State | Shape::StateNat if view.untracked_yet => constant(view, cube, found, 1, out),
        Shape::Status | Shape::Direction | Shape::CtMark if view.untracked_yet => {}
        Shape::State | Shape::StateNat | Shape::Status | Shape::Direction => {
            state(view, cube, place.shape, found, out);
        }
        Shape::Input | Shape::Output => interface(view, cube, place.shape, found, out),
        Shape::Families { v4, v6 } => {
            constant(view, cube, found, if cube.family == Family::V4 { v4 } else { v6 }, out);
        }
        Shape::Fixed(value) => constant(view, cube, found, value, out),
        Shape::AddressType(_) | Shape::PacketType => address_type(view, cube, place.shape, found, out),
        Shape::Mark => mark(view, cube, found, view.mark, out),
        Shape::CtMark => {
            let old = State::ESTABLISHED.or(State::RELATED);
            for (states, value) in [State::NEW, old].into_iter().zip(view.ct_marks) {
                let state = cube.state.and(states);
                if !state.is_empty() {
                    mark(view, &Cube { state, ..*cube }, found, value, out);
                }
            }
        }
        _ => {
            out.perhaps.push(*cube);
            out.reason.get_or_insert_with(|| unknown_field(found.keys.first().map(|key| key.field)));
        }
    }
}

/// A field that has the same value in all packets of the cube.
fn constant(view: &View<'_>, cube: &Cube, found: &Match, value: u128, out: &mut Hits) {
    match holds(found, view.sets, value) {
        Some(true) => out.sure.push(*cube),
        Some(false) => {}
        None => unsure(cube, found, out, "this comparison is not modelled", "未建模该比较"),
    }
}

const UNICAST: u128 = 1;
const LOCAL: u128 = 2;
const BROADCAST: u128 = 3;
const MULTICAST: u128 = 5;

/// Addresses whose type needs no routes to be known, sorted; all others are this host's or another's.
fn special(family: Family) -> &'static [(u128, u128, u128)] {
    match family {
        Family::V4 => &[
            (0, 0x00ff_ffff, BROADCAST),
            (0x7f00_0000, 0x7fff_ffff, LOCAL),
            (0xe000_0000, 0xefff_ffff, MULTICAST),
            (0xffff_ffff, 0xffff_ffff, BROADCAST),
        ],
        Family::V6 => &[(1, 1, LOCAL), (0xff << 120, u128::MAX, MULTICAST)],
    }
}

/// The type of an address, and of the packet by that of its destination. Broadcast addresses of single networks
/// are not in the rules: they count as this host's when the packet goes to it.
fn address_type(view: &View<'_>, cube: &Cube, shape: Shape, found: &Match, out: &mut Hits) {
    let of_source = shape == Shape::AddressType(true);
    let side = if of_source { Shape::Source } else { Shape::Destination };
    let of_link = shape == Shape::PacketType;
    let number = |kind| match kind {
        MULTICAST if of_link => 2,
        BROADCAST if of_link => 1,
        _ if of_link => 0,
        kind => kind,
    };
    let mut next = 0;
    for (first, last, kind) in special(cube.family) {
        if let Some(cube) = narrowed(cube, side, (*first, *last)) {
            constant(view, &cube, found, number(*kind), out);
        }
        if let Some(cube) =
            first.checked_sub(1).filter(|end| next <= *end).and_then(|end| narrowed(cube, side, (next, end)))
        {
            usual(view, &cube, (of_source, of_link), found, out);
        }
        next = last.saturating_add(1);
    }
    if next < cube.family.last()
        && let Some(cube) = narrowed(cube, side, (next, cube.family.last()))
    {
        usual(view, &cube, (of_source, of_link), found, out);
    }
}

fn usual(view: &View<'_>, cube: &Cube, (of_source, of_link): (bool, bool), found: &Match, out: &mut Hits) {
    let here = if of_source { view.from_here } else { view.to_here };
    match here {
        Some(_) if of_link && view.from_here == Some(false) => constant(view, cube, found, 0, out),
        Some(true) if !of_link => constant(view, cube, found, LOCAL, out),
        Some(false) if !of_link => constant(view, cube, found, UNICAST, out),
        _ => unsure(cube, found, out, "it depends on the routes of the host", "取决于主机的路由"),
    }
}

fn mark(view: &View<'_>, cube: &Cube, found: &Match, value: Option<u32>, out: &mut Hits) {
    match value {
        Some(mark) => constant(view, cube, found, mark.into(), out),
        None => unsure(cube, found, out, "the mark is not known", "标记未知"),
    }
}

fn unknown_field(field: Option<Field>) -> Text {
    let name = field.map_or(String::new(), |field| format!("{field:?}"));
    both(
        format!("it depends on a field of the packet that is not given: {name}"),
        format!("取决于未给出的报文字段：{name}"),
    )
}

fn bytes(view: &View<'_>, cube: &Cube, shape: Shape, found: &Match, out: &mut Hits) {
    let allowed = match single(found) {
        Some(value) => value.map_or(Protocols::NONE, |value| Protocols::of(&[value])),
        None => {
            let mut bits = [0_u64; 4];
            for value in 0..=255_u8 {
                match holds(found, view.sets, value.into()) {
                    Some(true) => bits[usize::from(value >> 6)] |= 1 << (value & 63),
                    Some(false) => {}
                    None => {
                        return unsure(cube, found, out, "this comparison is not modelled", "未建模该比较");
                    }
                }
            }
            Protocols(bits)
        }
    };
    if shape == Shape::Protocol {
        let protocols = cube.protocols.and(&allowed);
        out.sure.extend((!protocols.is_empty()).then_some(Cube { protocols, ..*cube }));
    } else {
        let flags = Protocols(cube.flags).and(&allowed);
        out.sure.extend((!flags.is_empty()).then_some(Cube { flags: flags.0, ..*cube }));
    }
}

/// The only value of a plain test for one; `Some(None)` when no byte is it.
fn single(found: &Match) -> Option<Option<u8>> {
    let [Operand { mask: None, xor: 0, shift: 0, .. }] = found.keys.as_slice() else { return None };
    let Test::In(SetUse::Inline(list)) = &found.test else { return None };
    match list.as_slice() {
        [Element { spans, excluded: false, .. }] if !found.negated => match spans.as_slice() {
            [Span::Numbers(first, last)] if first == last => Some(u8::try_from(*first).ok()),
            _ => None,
        },
        _ => None,
    }
}

/// The five states as bits of `ct state`, in the order of [`State`].
const STATE_BITS: [u128; 5] = [8, 2, 4, 1, 64];
const NATS: [Nat; 4] = [Nat::None, Nat::Source, Nat::Destination, Nat::Both];
/// Bits of a connection's status: its source, its destination was changed; that the change is done.
const STATUS_SOURCE: u128 = 16;
const STATUS_DESTINATION: u128 = 32;
const STATUS_DONE: [(u128, u128); 2] = [(STATUS_SOURCE, 128), (STATUS_DESTINATION, 256)];

fn state(view: &View<'_>, cube: &Cube, shape: Shape, found: &Match, out: &mut Hits) {
    let (mut sure, mut perhaps) = (0_u32, 0_u32);
    for at in 0..20_usize {
        let bit = 1 << at;
        if cube.state.0 & bit == 0 {
            continue;
        }
        let (state, nat) = (at % 5, NATS[at / 5]);
        let source = matches!(nat, Nat::Source | Nat::Both);
        let destination = matches!(nat, Nat::Destination | Nat::Both);
        let tracked = state < 3;
        let answer = match shape {
            Shape::State => holds(found, view.sets, STATE_BITS[state]),
            Shape::StateNat => {
                let nat =
                    if tracked { (u128::from(source) << 8) | (u128::from(destination) << 9) } else { 0 };
                holds(found, view.sets, STATE_BITS[state] | nat)
            }
            _ if !tracked => Some(false),
            Shape::Direction if state == 0 => holds(found, view.sets, 0),
            Shape::Direction => None,
            _ => status(found, view.sets, source, destination),
        };
        match answer {
            Some(true) => sure |= bit,
            Some(false) => {}
            None => perhaps |= bit,
        }
    }
    let of = |bits: u32| (bits != 0).then_some(Cube { state: State(bits), ..*cube });
    out.sure.extend(of(sure));
    out.perhaps(of(perhaps), "it depends on the state of the connection", "取决于连接的状态");
}

/// What a test of `ct status` says when only the two bits of NAT are known.
fn status(found: &Match, sets: &Sets<'_>, source: bool, destination: bool) -> Option<bool> {
    let known = STATUS_SOURCE | STATUS_DESTINATION;
    let value = (u128::from(source) * STATUS_SOURCE) | (u128::from(destination) * STATUS_DESTINATION);
    let [key] = found.keys.as_slice() else { return None };
    let mask = key.mask.unwrap_or(u128::MAX);
    match &found.test {
        Test::AnyBit(bits) if value & bits & mask != 0 => Some(!found.negated),
        Test::AnyBit(bits) if bits & mask & !known == 0 => Some(found.negated),
        Test::In(_) if mask & !known == 0 => holds(found, sets, value),
        Test::In(_) if key.mask.is_none() => {
            // A change of addresses is always marked as done, so these bits never stand alone.
            let possible = |span: &Span| match span {
                Span::Numbers(first, last) if first == last => {
                    *first & known == value
                        && STATUS_DONE.iter().all(|(bit, done)| first & bit == 0 || first & done != 0)
                }
                _ => true,
            };
            let none = elements(found, sets)?.iter().all(|element| !element.spans.iter().all(possible));
            none.then_some(found.negated)
        }
        _ => None,
    }
}

fn interface(view: &View<'_>, cube: &Cube, shape: Shape, found: &Match, out: &mut Hits) {
    let none = if shape == Shape::Input { view.no_input } else { view.no_output };
    let (Some(names), Some(list)) = (view.names, elements(found, view.sets)) else {
        return unsure(cube, found, out, "too many names of interfaces", "接口名称过多");
    };
    let mut bits = 0;
    for element in list {
        match element.spans.as_slice() {
            [Span::Name { text, prefix }] if none => {
                bits |= if *prefix && text.is_empty() { u64::MAX } else { 0 }
            }
            [Span::Name { text, prefix }] => bits |= names.bits(text, *prefix),
            _ => return unsure(cube, found, out, "interfaces are compared by number", "按编号比较接口"),
        }
    }
    if found.negated {
        bits = !bits;
    }
    let side = if shape == Shape::Input { cube.from } else { cube.to };
    // A packet that has no interface here keeps the one it will have.
    let side = if none { side & if bits == 0 { 0 } else { u64::MAX } } else { side & bits };
    if side != 0 {
        out.sure.push(if shape == Shape::Input {
            Cube { from: side, ..*cube }
        } else {
            Cube { to: side, ..*cube }
        });
    }
}
