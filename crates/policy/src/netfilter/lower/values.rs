//! Numbers a field may have: what a test says of one value, and which values a test lets through.

use super::Sets;
use crate::netfilter::ast::{Element, Match, Operand, SetUse, Span, Test};

/// Ranges of values, sorted and apart from one another.
pub(crate) type Ranges = Vec<(u128, u128)>;

/// How many ranges a mask with holes may make.
const HOLE_COUNT_MAX: u32 = 12;

/// The elements a match of one field compares with.
pub(crate) fn elements<'a>(found: &'a Match, sets: &Sets<'a>) -> Option<&'a [Element]> {
    match &found.test {
        Test::In(SetUse::Inline(elements)) => Some(elements),
        Test::In(SetUse::Named(name)) => sets.get(name).map(|set| set.elements.as_slice()),
        _ => None,
    }
}

/// `((value & mask) ^ xor) << shift`, in a field of so many bits.
pub(crate) fn seen(key: &Operand, value: u128) -> u128 {
    let value = (value & key.mask.unwrap_or(u128::MAX)) ^ key.xor;
    match key.shift {
        0 => value,
        left @ 1.. => value.checked_shl(left.unsigned_abs().into()).unwrap_or(0),
        right => value.checked_shr(right.unsigned_abs().into()).unwrap_or(0),
    }
}

/// What the match says of one value of its only field, negation included. `None`: cannot be told.
pub(crate) fn holds(found: &Match, sets: &Sets<'_>, value: u128) -> Option<bool> {
    let [key] = found.keys.as_slice() else { return None };
    let value = seen(key, value);
    let inside = match &found.test {
        Test::AnyBit(bits) => value & bits != 0,
        Test::Same(_) => return None,
        Test::In(_) => {
            let elements = elements(found, sets)?;
            let has = |element: &Element| matches!(element.spans.as_slice(), [Span::Numbers(first, last)] if (*first..=*last).contains(&value));
            if elements.iter().any(|element| element.excluded) {
                return None;
            }
            elements.iter().any(has)
        }
    };
    Some(inside != found.negated)
}

/// The values of a field whose operand falls into a span, when they are few ranges.
pub(crate) fn before(key: &Operand, (first, last): (u128, u128), last_value: u128) -> Option<Ranges> {
    if key.shift != 0 || key.xor & !last_value != 0 {
        return None;
    }
    let mask = key.mask.unwrap_or(last_value) & last_value;
    let free = last_value & !mask;
    if key.xor == 0 && free & free.wrapping_add(1) == 0 {
        // Values that the mask leaves stand for a block each.
        let start = first.checked_add(free)? & !free;
        let end = last & !free;
        return Some(if start <= end && start <= last_value {
            vec![(start, (end | free).min(last_value))]
        } else {
            Vec::new()
        });
    }
    if first != last {
        return None;
    }
    let wanted = first ^ key.xor;
    if wanted & !mask != 0 {
        return Some(Vec::new());
    }
    with_holes(wanted, free)
}

/// Every value that has these bits, whatever stands in the free ones.
fn with_holes(wanted: u128, free: u128) -> Option<Ranges> {
    let low = free.trailing_ones();
    let tail = if low >= 128 { u128::MAX } else { (1 << low) - 1 };
    let holes = free & !tail;
    if holes.count_ones() > HOLE_COUNT_MAX {
        return None;
    }
    let mut ranges = Vec::with_capacity(1 << holes.count_ones());
    let mut part = 0_u128;
    loop {
        ranges.push((wanted | part, wanted | part | tail));
        // Counts through the bits of the holes alone.
        part = part.wrapping_sub(holes) & holes;
        if part == 0 {
            return Some(ranges);
        }
    }
}

/// Sorts ranges and joins those that touch.
pub(crate) fn tidy(mut ranges: Ranges) -> Ranges {
    if ranges.len() < 2 {
        return ranges;
    }
    ranges.sort_unstable();
    let mut out: Ranges = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match out.last_mut() {
            Some(before) if before.1 == u128::MAX || first <= before.1 + 1 => before.1 = before.1.max(last),
            _ => out.push((first, last)),
        }
    }
    out
}

/// What tidy ranges leave of `0..=last`.
pub(crate) fn others(ranges: &Ranges, last: u128) -> Ranges {
    let mut out = Vec::with_capacity(ranges.len() + 1);
    let mut next = 0;
    for (from, to) in ranges {
        if next < *from {
            out.push((next, from - 1));
        }
        match to.checked_add(1) {
            Some(after) => next = after,
            None => return out,
        }
    }
    if next <= last {
        out.push((next, last));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netfilter::ast::Field;

    #[test]
    fn masks_become_ranges_with_and_without_holes() {
        let key = |mask| Operand { mask: Some(mask), ..Operand::plain(Field::Ip4Source) };
        assert_eq!(before(&key(0xff00), (0x1200, 0x1300), 0xffff), Some(vec![(0x1200, 0x13ff)]));
        assert_eq!(before(&key(0xff00), (0x1201, 0x1201), 0xffff), Some(Vec::new()));
        let holes = before(&key(0xf0f0), (0x1020, 0x1020), 0xffff).expect("few");
        assert_eq!(holes.len(), 16);
        assert_eq!(holes[1], (0x1120, 0x112f));
        for value in 0..0x1_0000 {
            let inside = holes.iter().any(|(first, last)| (*first..=*last).contains(&value));
            assert_eq!(inside, value & 0xf0f0 == 0x1020);
        }
        assert_eq!(others(&tidy(vec![(5, 9), (0, 1), (2, 3)]), 20), [(4, 4), (10, 20)]);
    }
}
