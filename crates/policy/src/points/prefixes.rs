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

/// A prefix, by its first number and its length, with the number of a box under it.
pub type Handle<K> = (K, u8, u32);

impl<K: Number> Prefixes<K> {
    /// From sorted handles; the boxes go into `lists`.
    pub fn new<N: Number>(
        handles: &[Handle<K>],
        entry: impl Fn(u32) -> Entry<N>,
        lists: &mut Lists<N>,
    ) -> Prefixes<K> {
        let mut prefixes = Prefixes { runs: vec![K::of(0)], narrowest: vec![Node::NOTHING] };
        // The prefixes that hold one another around the last one: their last numbers and their lists.
        let mut open: Vec<(u128, u32)> = Vec::new();
        for group in handles.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let (first, width) = (group[0].0.wide(), K::BITS.saturating_sub(group[0].1.into()));
            let last = if width >= 128 { u128::MAX } else { first | ((1 << width) - 1) };
            prefixes.leave(&mut open, Some(first), lists);
            let list = group.iter().map(|(_, _, number)| entry(*number));
            let node = lists.add(list, open.last().map_or(NONE, |(_, above)| *above));
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

    proptest::proptest! {
        #[test]
        fn the_way_down_passes_every_prefix_that_holds_the_address(
            prefixes in proptest::collection::vec((0_u8..=255, 1_u8..=8), 0..40), address in 0_u8..=255,
        ) {
            let mut handles: Vec<Handle<u8>> = (0..)
                .zip(&prefixes)
                .map(|(at, (first, length))| (first >> (8 - length) << (8 - length), *length, at))
                .collect();
            handles.sort_unstable();
            let holds = |(first, length): &(u8, u8)| first >> (8 - length) == address >> (8 - length);
            let expected: Vec<u32> = (0..).zip(&prefixes).filter(|(_, one)| holds(one)).map(|(at, _)| at).collect();
            let mut lists = Lists::<u32>::default();
            let prefixes = Prefixes::new(&handles, |at| Entry::new(at, &Bounds::ALL), &mut lists);
            let mut found: Vec<u32> = lists.numbers(prefixes.narrowest(address)).collect();
            found.sort_unstable();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
