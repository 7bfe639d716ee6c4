//! Sets and maps made fast to look into.

use super::value::{Bits, name_span};
use crate::netfilter::ast::{Element, Span};
use std::collections::HashMap;

/// How many elements that are ranges in several fields are looked through for one packet.
const RANGED_LOOKS_MAX: usize = 1 << 20;

/// What a look into a set found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    No,
    /// It may be in it.
    Maybe,
    /// The element's number.
    At(usize),
}

/// The elements of one set, by their keys alone.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    /// For sets of one field: first, last, element; sorted, disjoint.
    spans: Vec<(u128, u128, u32)>,
    /// For sets of several fields, the elements that are one point.
    points: HashMap<Box<[u128]>, u32>,
    /// The elements of several fields that are not one point, the narrowest first.
    ranged: Vec<u32>,
    /// Every element as ranges.
    ranges: Vec<Box<[(u128, u128)]>>,
    excluded: Vec<bool>,
    /// For each field, from the first number of any element to the last.
    covers: Vec<(u128, u128)>,
}

impl Lookup {
    pub fn new(elements: &[Element]) -> Lookup {
        let ranges: Vec<Box<[(u128, u128)]>> =
            elements.iter().map(|element| element.spans.iter().map(range).collect()).collect();
        let mut lookup = Lookup {
            excluded: elements.iter().map(|element| element.excluded).collect(),
            ..Lookup::default()
        };
        if ranges.iter().all(|ranges| ranges.len() == 1) {
            lookup.spans = disjoint(&ranges);
        } else {
            lookup.several(&ranges);
        }
        for fields in &ranges {
            for (at, (first, last)) in fields.iter().enumerate() {
                match lookup.covers.get_mut(at) {
                    Some(cover) => *cover = (cover.0.min(*first), cover.1.max(*last)),
                    None => lookup.covers.push((*first, *last)),
                }
            }
        }
        lookup.ranges = ranges;
        lookup
    }

    fn several(&mut self, ranges: &[Box<[(u128, u128)]>]) {
        for (at, fields) in ranges.iter().enumerate() {
            if fields.iter().all(|(first, last)| first == last) {
                let point = fields.iter().map(|(first, _)| *first).collect();
                self.points.entry(point).or_insert(at as u32);
            } else {
                self.ranged.push(at as u32);
            }
        }
        let width =
            |at: &u32| ranges[*at as usize].iter().map(|(first, last)| last - first).collect::<Vec<_>>();
        self.ranged.sort_by_cached_key(width);
    }

    /// Looks for a key; fields of it may be unknown.
    pub fn find(&self, keys: &[Bits]) -> Found {
        if keys.iter().any(|key| key.unknown != 0) {
            return self.find_unknown(keys);
        }
        let found = match keys {
            [key] => self.find_one(key.bits),
            keys => self.find_several(keys),
        };
        match found {
            Some(at) if !self.excluded[at] => Found::At(at),
            _ => Found::No,
        }
    }

    fn find_one(&self, key: u128) -> Option<usize> {
        if let [(first, last, at)] = self.spans.as_slice() {
            return (*first <= key && key <= *last).then_some(*at as usize);
        }
        let after = self.spans.partition_point(|(first, _, _)| *first <= key);
        let (_, last, at) = self.spans.get(after.checked_sub(1)?)?;
        (key <= *last).then_some(*at as usize)
    }

    fn find_several(&self, keys: &[Bits]) -> Option<usize> {
        if !self.points.is_empty() {
            let point: Vec<u128> = keys.iter().map(|key| key.bits).collect();
            if let Some(at) = self.points.get(point.as_slice()) {
                return Some(*at as usize);
            }
        }
        let holds = |at: &&u32| {
            let ranges = &self.ranges[**at as usize];
            ranges.len() == keys.len()
                && ranges.iter().zip(keys).all(|((first, last), key)| (*first..=*last).contains(&key.bits))
        };
        self.ranged.iter().take(RANGED_LOOKS_MAX).find(holds).map(|at| *at as usize)
    }

    /// With unknown fields: certain only when every value would find the same, or none could be found.
    fn find_unknown(&self, keys: &[Bits]) -> Found {
        let mut found = Found::No;
        for (at, ranges) in self.ranges.iter().enumerate().take(RANGED_LOOKS_MAX) {
            if ranges.len() != keys.len() {
                continue;
            }
            let pairs = || ranges.iter().zip(keys);
            if !pairs().all(|((first, last), key)| reaches(*key, *first, *last)) {
                continue;
            }
            let whole =
                pairs().all(|((first, last), key)| *first <= key.bits && key.bits | key.unknown <= *last);
            if whole && !self.excluded[at] && !self.excluded.contains(&true) && found == Found::No {
                return Found::At(at);
            }
            found = Found::Maybe;
        }
        found
    }

    /// Whether it is one range of one field.
    pub fn is_one_span(&self) -> bool {
        matches!(self.ranges.as_slice(), [only] if only.len() == 1 && !self.excluded[0])
    }

    /// From the first number of any element in one field to the last; `None` for no elements.
    pub fn cover(&self, field: usize) -> Option<(u128, u128)> {
        self.covers.get(field).copied()
    }
}

/// Whether some value of the key can lie within a range. Says yes too often rather than too seldom.
fn reaches(key: Bits, first: u128, last: u128) -> bool {
    if key.unknown == 0 {
        return first <= key.bits && key.bits <= last;
    }
    if first == last {
        return (first ^ key.bits) & !key.unknown == 0;
    }
    key.bits <= last && key.bits | key.unknown >= first
}

pub fn range(span: &Span) -> (u128, u128) {
    match span {
        Span::Numbers(first, last) => (*first, *last),
        Span::Name { text, prefix } => name_span(text, *prefix),
    }
}

/// Ranges of one field without overlap: where several hold, the narrowest counts, as in ipset's longest prefix.
fn disjoint(ranges: &[Box<[(u128, u128)]>]) -> Vec<(u128, u128, u32)> {
    let mut sorted: Vec<(u128, u128, u32)> =
        ranges.iter().enumerate().map(|(at, range)| (range[0].0, range[0].1, at as u32)).collect();
    sorted.sort_by_key(|(first, last, at)| (*first, std::cmp::Reverse(*last), *at));
    let mut cut: Vec<(u128, u128, u32)> = Vec::with_capacity(sorted.len());
    let mut open: Vec<(u128, u128, u32)> = Vec::new();
    let mut from = 0;
    for next in sorted {
        close(&mut open, &mut cut, &mut from, Some(next.0));
        if let Some((_, _, at)) = open.last()
            && from < next.0
        {
            cut.push((from, next.0 - 1, *at));
        }
        from = next.0;
        // A range that is the same as the one already open adds nothing: the first counts.
        if open.last().is_none_or(|(first, last, _)| (*first, *last) != (next.0, next.1)) {
            open.push(next);
        }
    }
    close(&mut open, &mut cut, &mut from, None);
    cut
}

/// Ends the ranges that are over before `until`.
fn close(
    open: &mut Vec<(u128, u128, u32)>,
    cut: &mut Vec<(u128, u128, u32)>,
    from: &mut u128,
    until: Option<u128>,
) {
    while let Some((_, last, at)) = open.last().copied() {
        if until.is_some_and(|until| last >= until) {
            break;
        }
        if *from <= last {
            cut.push((*from, last, at));
            match last.checked_add(1) {
                Some(next) => *from = next,
                None => open.clear(),
            }
        }
        open.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(spans: &[(u128, u128)], excluded: bool) -> Element {
        let spans = spans.iter().map(|(first, last)| Span::Numbers(*first, *last)).collect();
        Element { spans, data: None, excluded, timeout_s: None, line: 0 }
    }

    fn at(lookup: &Lookup, keys: &[u128]) -> Found {
        lookup.find(&keys.iter().map(|key| Bits::of(*key)).collect::<Vec<_>>())
    }

    #[test]
    fn the_narrowest_range_counts_and_what_is_excluded_is_not_found() {
        let set =
            Lookup::new(&[element(&[(0, 255)], false), element(&[(8, 11)], true), element(&[(9, 9)], false)]);
        assert_eq!((at(&set, &[7]), at(&set, &[8])), (Found::At(0), Found::No));
        assert_eq!((at(&set, &[9]), at(&set, &[10])), (Found::At(2), Found::No));
        assert_eq!((at(&set, &[12]), at(&set, &[256])), (Found::At(0), Found::No));
    }

    #[test]
    fn an_unknown_field_may_be_found_only_where_the_known_ones_are() {
        let set =
            Lookup::new(&[element(&[(1, 1), (80, 90)], false), element(&[(2, 2), (0, u128::MAX)], false)]);
        assert_eq!((at(&set, &[1, 85]), at(&set, &[1, 91])), (Found::At(0), Found::No));
        assert_eq!(set.find(&[Bits::of(1), Bits::UNKNOWN]), Found::Maybe);
        assert_eq!(set.find(&[Bits::of(2), Bits::UNKNOWN]), Found::At(1));
        assert_eq!(set.find(&[Bits::of(3), Bits::UNKNOWN]), Found::No);
    }

    proptest::proptest! {
        #[test]
        fn cut_ranges_find_what_a_scan_finds(spans in proptest::collection::vec((0_u128..40, 0_u128..20), 0..12), key in 0_u128..64) {
            let spans: Vec<_> = spans.into_iter().map(|(first, width)| element(&[(first, first + width)], false)).collect();
            let inside = spans.iter().any(|element| { let (first, last) = range(&element.spans[0]); first <= key && key <= last });
            proptest::prop_assert_eq!(at(&Lookup::new(&spans), &[key]) != Found::No, inside);
        }
    }
}
