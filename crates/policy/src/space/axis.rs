//! Sets of numbers as sorted ranges that neither overlap nor touch.

/// A set of numbers: ranges with both ends included, sorted, apart from one another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    pub fn new(ranges: impl IntoIterator<Item = (u128, u128)>) -> Ranges {
        let mut all: Vec<(u128, u128)> = ranges.into_iter().filter(|range| range.0 <= range.1).collect();
        all.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(all.len());
        for range in all {
            match merged.last_mut() {
                Some(last) if range.0 <= last.1.saturating_add(1) => last.1 = last.1.max(range.1),
                _ => merged.push(range),
            }
        }
        Ranges(merged)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u128, u128)> + '_ {
        self.0.iter().copied()
    }

    /// What is in either.
    #[must_use]
    pub fn or(&self, other: &Ranges) -> Ranges {
        Ranges::new(self.iter().chain(other.iter()))
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Ranges) -> Ranges {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut shared = Vec::new();
        while let (Some(one), Some(two)) = (a.peek(), b.peek()) {
            let range = (one.0.max(two.0), one.1.min(two.1));
            if range.0 <= range.1 {
                shared.push(range);
            }
            if one.1 <= two.1 {
                a.next()
            } else {
                b.next()
            };
        }
        Ranges(shared)
    }

    /// What is in this one alone.
    #[must_use]
    pub fn without(&self, other: &Ranges) -> Ranges {
        let mut left = Vec::new();
        for (first, last) in self.iter() {
            let mut from = Some(first);
            let start = other.0.partition_point(|range| range.1 < first);
            for cut in other.0[start..].iter().take_while(|cut| cut.0 <= last) {
                if let Some(begin) = from.filter(|begin| *begin < cut.0) {
                    left.push((begin, cut.0 - 1));
                }
                from = cut.1.checked_add(1);
            }
            left.extend(from.filter(|begin| *begin <= last).map(|begin| (begin, last)));
        }
        Ranges(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = Vec<(u128, u128)>> {
        proptest::collection::vec(
            (0_u128..40, 0_u128..8).prop_map(|(first, length)| (first, first + length)),
            0..6,
        )
    }

    proptest! {
        #[test]
        fn sets_of_ranges_are_sets_of_numbers(a in ranges(), b in ranges()) {
            let set = |ranges: &[(u128, u128)]| {
                (0..64).filter(|n| ranges.iter().any(|r| r.0 <= *n && *n <= r.1)).collect::<Vec<u128>>()
            };
            let (one, two) = (Ranges::new(a.clone()), Ranges::new(b.clone()));
            let (plain_one, plain_two) = (set(&a), set(&b));
            let keep = |f: &dyn Fn(&u128) -> bool| (0..64).filter(|n| f(n)).collect::<Vec<u128>>();
            prop_assert_eq!(set(&one.or(&two).0), keep(&|n| plain_one.contains(n) || plain_two.contains(n)));
            prop_assert_eq!(set(&one.and(&two).0), keep(&|n| plain_one.contains(n) && plain_two.contains(n)));
            prop_assert_eq!(set(&one.without(&two).0), keep(&|n| plain_one.contains(n) && !plain_two.contains(n)));
        }
    }
}
