//! Which packets of a cube one match lets through.

use super::fields::{Place, Shape, place};
use super::values::{Ranges, before, elements, holds, others, tidy};
use super::{CUBE_COUNT_MAX, Sets};
use crate::netfilter::ast::{Element, Field, Match, Operand, SetUse, Span, Test};
use crate::place::both;
use crate::space::{Cube, Family, Names, Nat, PORT_PROTOCOLS, Protocols, State};
use netwhy_model::Text;

/// What is known where a rule is asked, beside the packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub names: Option<&'a Names>,
    pub sets: &'a Sets<'a>,
    pub mark: Option<u32>,
    /// The mark of the connection: when it is new, when it is not.
    pub ct_marks: [Option<u32>; 2],
    /// No interface it came in by, or goes out by, at this hook.
    pub no_input: bool,
    pub no_output: bool,
    /// Before connection tracking: the state of every packet is invalid.
    pub untracked_yet: bool,
    /// Whether the packet is from this host, and whether it goes to it; `None` is not known.
    pub from_here: Option<bool>,
    pub to_here: Option<bool>,
}

const PORT_LAST: u128 = u16::MAX as u128;

/// The packets of a cube that match; those in neither list do not.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    pub sure: Vec<Cube>,
    /// They match or not, for this reason.
    pub perhaps: Vec<Cube>,
    pub reason: Option<Text>,
}

impl Hits {
    pub fn clear(&mut self) {
        self.sure.clear();
        self.perhaps.clear();
        self.reason = None;
    }

    fn perhaps(&mut self, cube: Option<Cube>, en: &str, zh: &str) {
        if let Some(cube) = cube {
            self.perhaps.push(cube);
            self.reason.get_or_insert_with(|| both(en, zh));
        }
    }
}

/// Adds the packets of the cube that match.
pub(crate) fn hits(view: &View<'_>, cube: &Cube, found: &Match, out: &mut Hits) {
    if let Test::In(SetUse::Named(name)) = &found.test {
        match view.sets.get(name) {
            None => return unsure(cube, found, out, "a set is not in the files", "集合不在文件中"),
            Some(_) if view.sets.filled(name) => {
                return unsure(cube, found, out, "a set is filled at run time", "集合在运行时填充");
            }
            Some(_) => {}
        }
    }
    match found.keys.as_slice() {
        [key] => one_key(view, cube, key, found, out),
        _ => many_keys(view, cube, found, out),
    }
}

fn unsure(cube: &Cube, found: &Match, out: &mut Hits, en: &str, zh: &str) {
    out.perhaps(present(cube, found), en, zh);
}

/// The packets that have every field of a match.
fn present(cube: &Cube, found: &Match) -> Option<Cube> {
    found.keys.iter().try_fold(*cube, |cube, key| with_field(&cube, &place(key.field)))
}

/// The packets that have the field at all.
fn with_field(cube: &Cube, place: &Place) -> Option<Cube> {
    if place.family.is_some_and(|family| family != cube.family) {
        return None;
    }
    let Some(protocols) = &place.protocols else { return Some(*cube) };
    let protocols = cube.protocols.and(protocols);
    (!protocols.is_empty()).then_some(Cube { protocols, ..*cube })
}

fn one_key(view: &View<'_>, cube: &Cube, key: &Operand, found: &Match, out: &mut Hits) {
    let place = place(key.field);
    let Some(present) = with_field(cube, &place) else { return raw_ports(cube, key.field, out) };
    if matches!(found.test, Test::Same(_)) {
        return unsure(cube, found, out, "two fields are compared", "比较了两个字段");
    }
    let last = match place.shape {
        Shape::Source | Shape::Destination => cube.family.last(),
        Shape::SourcePort | Shape::DestinationPort => PORT_LAST,
        _ => return small(view, &present, &place, found, out),
    };
    raw_ports(cube, key.field, out);
    // The most common test of all: one span.
    if let (Test::In(SetUse::Inline(list)), true, false) = (&found.test, key.is_plain(), found.negated)
        && let [Element { spans, excluded: false, .. }] = list.as_slice()
        && let [Span::Numbers(first, last)] = spans.as_slice()
    {
        return out.sure.extend(narrowed(&present, place.shape, (*first, *last)));
    }
    let Some(ranges) = ranges(view.sets, key, found, last) else {
        return unsure(cube, found, out, "this mask is not modelled", "未建模该掩码");
    };
    out.sure.extend(ranges.into_iter().filter_map(|range| narrowed(&present, place.shape, range)));
}

/// `th dport` of a protocol without ports reads whatever bytes are there.
fn raw_ports(cube: &Cube, field: Field, out: &mut Hits) {
    if matches!(field, Field::ThSource | Field::ThDestination) {
        let protocols = cube.protocols.without(&PORT_PROTOCOLS);
        let raw = (!protocols.is_empty()).then_some(Cube { protocols, ..*cube });
        out.perhaps(raw, "ports of a protocol that has none are asked for", "询问了无端口协议的端口");
    }
}

/// The values that match, as tidy ranges.
fn ranges(sets: &Sets<'_>, key: &Operand, found: &Match, last: u128) -> Option<Ranges> {
    let mut ranges = Vec::new();
    match elements(found, sets) {
        Some(elements) if elements.iter().any(|element| element.excluded) => {
            ranges = with_excluded(elements)?;
        }
        Some(elements) => {
            for element in elements {
                let [Span::Numbers(first, end)] = element.spans.as_slice() else { continue };
                ranges.extend(before(key, (*first, *end), last)?);
            }
        }
        None if last <= PORT_LAST => {
            for value in 0..=last {
                if holds(found, sets, value)? != found.negated {
                    ranges.push((value, value));
                }
            }
        }
        None => return None,
    }
    let ranges = tidy(ranges);
    Some(if found.negated { others(&ranges, last) } else { ranges })
}

/// The narrowest network that has an address says whether it is in the set (`nomatch` of ipset).
fn with_excluded(elements: &[Element]) -> Option<Ranges> {
    let mut spans = Vec::with_capacity(elements.len());
    for element in elements {
        let [Span::Numbers(first, last)] = element.spans.as_slice() else { return None };
        spans.push((*first, *last, element.excluded));
    }
    spans.sort_by(|a, b| (b.1 - b.0).cmp(&(a.1 - a.0)));
    let mut ranges: Ranges = Vec::new();
    for (first, last, excluded) in spans {
        if !excluded {
            ranges.push((first, last));
            continue;
        }
        let mut left = Vec::with_capacity(ranges.len() + 1);
        for (from, to) in ranges {
            if to < first || last < from {
                left.push((from, to));
                continue;
            }
            if from < first {
                left.push((from, first - 1));
            }
            if last < to {
                left.push((last + 1, to));
            }
        }
        ranges = left;
    }
    Some(ranges)
}

fn narrowed(cube: &Cube, shape: Shape, (first, last): (u128, u128)) -> Option<Cube> {
    let mut cube = *cube;
    match shape {
        Shape::Source | Shape::Destination => {
            let side = if shape == Shape::Source { &mut cube.source } else { &mut cube.destination };
            *side = (side.0.max(first), side.1.min(last));
            (side.0 <= side.1).then_some(cube)
        }
        _ => {
            let side =
                if shape == Shape::SourcePort { &mut cube.source_ports } else { &mut cube.destination_ports };
            let first = u16::try_from(first).ok()?;
            *side = (side.0.max(first), side.1.min(u16::try_from(last).unwrap_or(u16::MAX)));
            (side.0 <= side.1).then_some(cube)
        }
    }
}

/// Fields with few values: each is asked for.
fn small(view: &View<'_>, cube: &Cube, place: &Place, found: &Match, out: &mut Hits) {
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
                let nat = if tracked { u128::from(source) << 8 | u128::from(destination) << 9 } else { 0 };
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
    let value = u128::from(source) * STATUS_SOURCE | u128::from(destination) * STATUS_DESTINATION;
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

/// A concatenation: a cube for each element.
fn many_keys(view: &View<'_>, cube: &Cube, found: &Match, out: &mut Hits) {
    let Some(list) = elements(found, view.sets) else {
        return unsure(cube, found, out, "this comparison is not modelled", "未建模该比较");
    };
    if list.iter().any(|element| element.excluded) {
        return unsure(cube, found, out, "exceptions of a set of several fields", "多字段集合中的例外");
    }
    let mut inside = Hits::default();
    for element in list.iter().filter(|element| element.spans.len() == found.keys.len()) {
        of_element(view, cube, &found.keys, element, &mut inside);
        if inside.sure.len() + inside.perhaps.len() > CUBE_COUNT_MAX {
            return unsure(cube, found, out, "the set makes too many pieces", "集合产生的分片过多");
        }
    }
    if !found.negated {
        out.sure.append(&mut inside.sure);
        out.perhaps.append(&mut inside.perhaps);
        out.reason = out.reason.take().or(inside.reason);
        return;
    }
    let mut left = Vec::from_iter(present(cube, found));
    for taken in inside.sure.iter().chain(&inside.perhaps) {
        left = crate::space::subtract(&left, taken);
        if left.len() > CUBE_COUNT_MAX {
            return unsure(cube, found, out, "the set makes too many pieces", "集合产生的分片过多");
        }
    }
    out.sure.append(&mut left);
    out.perhaps.append(&mut inside.perhaps);
    out.reason = out.reason.take().or(inside.reason);
}

/// The packets that one element of a concatenation holds.
fn of_element(view: &View<'_>, cube: &Cube, keys: &[Operand], element: &Element, out: &mut Hits) {
    let mut current = Hits { sure: vec![*cube], ..Hits::default() };
    for (key, span) in keys.iter().zip(&element.spans) {
        let mut next = Hits { reason: current.reason.take(), ..Hits::default() };
        for cube in &current.sure {
            narrow(view, cube, key, span, &mut next);
        }
        let sure = std::mem::take(&mut next.sure);
        for cube in &current.perhaps {
            narrow(view, cube, key, span, &mut next);
        }
        next.perhaps.append(&mut next.sure);
        current = Hits { sure, ..next };
    }
    out.sure.append(&mut current.sure);
    out.perhaps.append(&mut current.perhaps);
    out.reason = out.reason.take().or(current.reason);
}

fn narrow(view: &View<'_>, cube: &Cube, key: &Operand, span: &Span, out: &mut Hits) {
    let at = place(key.field);
    if let (Shape::SetPort(source), Span::Numbers(first, last)) = (at.shape, span) {
        return set_port(cube, source, (*first, *last), &mut out.sure);
    }
    if let (
        Shape::Source | Shape::Destination | Shape::SourcePort | Shape::DestinationPort,
        Span::Numbers(first, last),
    ) = (at.shape, span)
        && key.is_plain()
    {
        raw_ports(cube, key.field, out);
        let present = with_field(cube, &at);
        return out.sure.extend(present.and_then(|cube| narrowed(&cube, at.shape, (*first, *last))));
    }
    let test = Test::In(SetUse::Inline(std::sync::Arc::new(vec![Element::of(span.clone())])));
    one_key(view, cube, key, &Match { keys: vec![*key], test, negated: false }, out);
}

/// The protocols whose ports ipset reads.
const SET_PORT_PROTOCOLS: Protocols = Protocols::of(&[6, 17, 132, 136]);
const ICMPS: Protocols = Protocols::of(&[1, 58]);

fn set_port(cube: &Cube, source: bool, (first, last): (u128, u128), out: &mut Vec<Cube>) {
    let of = |protocols: &Protocols| {
        let protocols = cube.protocols.and(protocols);
        (!protocols.is_empty()).then_some(Cube { protocols, ..*cube })
    };
    let shape = if source { Shape::SourcePort } else { Shape::DestinationPort };
    out.extend(of(&SET_PORT_PROTOCOLS).and_then(|cube| narrowed(&cube, shape, (first, last))));
    if let Some(cube) = of(&ICMPS) {
        for kind in first >> 8..=(last >> 8).min(255) {
            let codes = (
                if kind == first >> 8 { first & 255 } else { 0 },
                if kind == last >> 8 { last & 255 } else { 255 },
            );
            let typed = narrowed(&cube, Shape::SourcePort, (kind, kind));
            out.extend(typed.and_then(|cube| narrowed(&cube, Shape::DestinationPort, codes)));
        }
    }
    if first == 0 {
        let others = Protocols::ALL.without(&SET_PORT_PROTOCOLS).without(&ICMPS);
        out.extend(of(&others));
    }
}
