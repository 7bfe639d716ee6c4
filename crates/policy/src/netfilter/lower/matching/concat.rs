//! Concatenations: a cube for each element.

use super::super::CUBE_COUNT_MAX;
use super::super::fields::{Shape, place};
use super::super::values::elements;
use super::{Hits, View, narrowed, one_key, present, raw_ports, unsure, with_field};
use crate::netfilter::ast::{Element, Match, Operand, SetUse, Span, Test};
use crate::space::{Cube, Protocols};

/// A concatenation: a cube for each element.
pub(super) fn many_keys(view: &View<'_>, cube: &Cube, found: &Match, out: &mut Hits) {
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
