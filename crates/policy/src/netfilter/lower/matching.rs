//! Which packets of a cube one match lets through.

mod concat;
mod small;

use super::Sets;
use super::fields::{Place, Shape, place};
use super::values::{Ranges, before, elements, holds, others, tidy};
use crate::netfilter::ast::{Element, Field, Match, Operand, SetUse, Span, Test};
use crate::place::both;
use crate::space::{Cube, Names, PORT_PROTOCOLS};
use concat::many_keys;
use netwhy_model::Text;
use small::small;

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
    spans.sort_by_key(|span| std::cmp::Reverse(span.1 - span.0));
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
