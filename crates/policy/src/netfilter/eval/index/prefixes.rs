//! Lists of rules under prefixes of addresses, found along the way down to one address.

use super::bounds::{Entry, Number};

/// No prefix above.
const NONE: u32 = u32::MAX;

/// Prefixes either hold one another or are apart: so the narrowest that holds an address, and those that hold
/// that one, are all that do.
#[derive(Debug)]
pub struct Prefixes<N> {
    /// Where a run of addresses begins whose narrowest prefix is the same, and which that is.
    runs: Vec<N>,
    narrowest: Vec<u32>,
    nodes: Vec<Node<N>>,
}

#[derive(Debug)]
struct Node<N> {
    above: u32,
    rules: Vec<Entry<N>>,
    last: u128,
}

/// The rules under one prefix: its first address and its length.
type Listed<N> = ((u128, u8), Vec<Entry<N>>);

impl<N: Number> Prefixes<N> {
    /// From the lists under their prefixes; `bits` is the length of an address.
    pub fn new(mut sorted: Vec<Listed<N>>, bits: u32) -> Prefixes<N> {
        sorted.sort_unstable_by_key(|((first, length), _)| (*first, *length));
        let mut prefixes = Prefixes { runs: vec![N::of(0)], narrowest: vec![NONE], nodes: Vec::new() };
        let mut open = NONE;
        for ((first, length), rules) in sorted {
            let width = bits - u32::from(length);
            let last = if width >= 128 { u128::MAX } else { first | ((1 << width) - 1) };
            open = prefixes.leave(open, Some(first));
            let node = u32::try_from(prefixes.nodes.len()).unwrap_or(NONE);
            prefixes.nodes.push(Node { above: open, rules, last });
            prefixes.run(first, node);
            open = node;
        }
        prefixes.leave(open, None);
        prefixes
    }

    /// Leaves the prefixes that end before `until`, and gives the one that then holds.
    fn leave(&mut self, mut open: u32, until: Option<u128>) -> u32 {
        while let Some(node) = self.nodes.get(open as usize) {
            let (last, above) = (node.last, node.above);
            if until.is_some_and(|until| last >= until) {
                break;
            }
            // Behind the last address there is none to find.
            if let Some(next) = last.checked_add(1).filter(|next| self.fits(*next)) {
                self.run(next, above);
            }
            open = above;
        }
        open
    }

    fn fits(&self, number: u128) -> bool {
        N::of(number) > N::of(number - 1)
    }

    fn run(&mut self, first: u128, node: u32) {
        let first = N::of(first);
        if self.runs.last() == Some(&first) {
            self.runs.pop();
            self.narrowest.pop();
        }
        self.runs.push(first);
        self.narrowest.push(node);
    }

    /// Gives every list whose prefix holds the address.
    #[inline]
    pub fn along<'a>(&'a self, address: N, mut give: impl FnMut(&'a [Entry<N>])) {
        let after = self.runs.partition_point(|first| *first <= address);
        let mut at = after.checked_sub(1).map_or(NONE, |run| self.narrowest[run]);
        while let Some(node) = self.nodes.get(at as usize) {
            give(&node.rules);
            at = node.above;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netfilter::eval::index::bounds::Bounds;
    use std::collections::BTreeMap;

    proptest::proptest! {
        #[test]
        fn the_way_down_passes_every_prefix_that_holds_the_address(
            prefixes in proptest::collection::vec((0_u128..256, 1_u8..=8), 0..40), address in 0_u32..256,
        ) {
            let mut lists: BTreeMap<(u128, u8), Vec<Entry<u32>>> = BTreeMap::new();
            for (at, (first, length)) in prefixes.iter().enumerate() {
                let low = (1_u128 << (8 - length)) - 1;
                lists.entry((first & !low, *length)).or_default().push(Bounds::ALL.entry(at as u32));
            }
            let mut expected: Vec<u32> = prefixes
                .iter()
                .enumerate()
                .filter(|(_, (first, length))| first >> (8 - length) == u128::from(address) >> (8 - length))
                .map(|(at, _)| at as u32)
                .collect();
            let mut found = Vec::new();
            let prefixes = Prefixes::new(lists.into_iter().collect(), 8);
            prefixes.along(address, |list| found.extend(list.iter().map(|entry| entry.rule)));
            found.sort_unstable();
            expected.sort_unstable();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
