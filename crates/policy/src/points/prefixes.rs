//! Prefixes of numbers, each with a list of boxes: the lists along the way down to one number.

use super::entry::{Entry, Number};
use super::lists::{Lists, NONE, Node};

/// Prefixes either hold one another or are apart: so the narrowest that holds a number, and those that hold that
/// one, are all that do.
#[derive(Debug)]
pub struct Prefixes<K> {
    /// Where a run of numbers begins whose narrowest prefix is the same, and what is listed there.
    runs: Vec<K>,
    narrowest: Vec<Node>,
}

/// The boxes under one prefix: its first number and its length.
type Listed<N> = ((u128, u8), Vec<Entry<N>>);

impl<K: Number> Prefixes<K> {
    /// From the boxes under their prefixes, which go into `lists`; `bits` is the length of a number.
    pub fn new<N: Number>(mut sorted: Vec<Listed<N>>, bits: u32, lists: &mut Lists<N>) -> Prefixes<K> {
        sorted.sort_unstable_by_key(|((first, length), _)| (*first, *length));
        let mut prefixes = Prefixes { runs: vec![K::of(0)], narrowest: vec![Node::NOTHING] };
        // The prefixes that hold one another around the last one: their last numbers and their lists.
        let mut open: Vec<(u128, u32)> = Vec::new();
        for ((first, length), boxes) in sorted {
            let width = bits - u32::from(length);
            let last = if width >= 128 { u128::MAX } else { first | ((1 << width) - 1) };
            prefixes.leave(&mut open, Some(first), lists);
            let node = lists.add(boxes, open.last().map_or(NONE, |(_, above)| *above));
            prefixes.run(first, lists.node(node));
            open.push((last, node));
        }
        prefixes.leave(&mut open, None, lists);
        prefixes
    }

    /// Leaves the prefixes that end before `until`.
    fn leave<N: Number>(&mut self, open: &mut Vec<(u128, u32)>, until: Option<u128>, lists: &Lists<N>) {
        while let Some((last, _)) = open.pop_if(|(last, _)| until.is_none_or(|until| *last < until)) {
            // Behind the last number there is none to find.
            if let Some(next) = last.checked_add(1).filter(|next| K::of(*next) > K::of(last)) {
                self.run(next, lists.node(open.last().map_or(NONE, |(_, above)| *above)));
            }
        }
    }

    fn run(&mut self, first: u128, node: Node) {
        let first = K::of(first);
        if self.runs.last() == Some(&first) {
            self.runs.pop();
            self.narrowest.pop();
        }
        self.runs.push(first);
        self.narrowest.push(node);
    }

    /// What is listed under the narrowest prefix that holds a number.
    #[inline]
    pub fn narrowest(&self, number: K) -> Node {
        let after = self.runs.partition_point(|first| *first <= number);
        after.checked_sub(1).and_then(|run| self.narrowest.get(run)).copied().unwrap_or(Node::NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::Bounds;
    use std::collections::BTreeMap;

    proptest::proptest! {
        #[test]
        fn the_way_down_passes_every_prefix_that_holds_the_address(
            prefixes in proptest::collection::vec((0_u128..256, 1_u8..=8), 0..40), address in 0_u32..256,
        ) {
            let mut lists: BTreeMap<(u128, u8), Vec<Entry<u32>>> = BTreeMap::new();
            for (at, (first, length)) in prefixes.iter().enumerate() {
                let low = (1_u128 << (8 - length)) - 1;
                lists.entry((first & !low, *length)).or_default().push(Entry::new(at as u32, &Bounds::ALL));
            }
            let mut expected: Vec<u32> = prefixes
                .iter()
                .enumerate()
                .filter(|(_, (first, length))| first >> (8 - length) == u128::from(address) >> (8 - length))
                .map(|(at, _)| at as u32)
                .collect();
            let mut all = Lists::default();
            let prefixes = Prefixes::<u32>::new(lists.into_iter().collect(), 8, &mut all);
            let mut found: Vec<u32> = all.numbers(prefixes.narrowest(address)).collect();
            found.sort_unstable();
            expected.sort_unstable();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
