//! Lists of rules under prefixes of addresses, found along the way down to one address.

use std::collections::HashMap;

/// No prefix above.
const NONE: u32 = u32::MAX;

/// Prefixes either hold one another or are apart: so the narrowest that holds an address, and those that hold
/// that one, are all that do.
#[derive(Debug, Default)]
pub struct Prefixes {
    /// Where a run of addresses begins whose narrowest prefix is the same, and which that is.
    runs: Vec<u128>,
    narrowest: Vec<u32>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    above: u32,
    rules: Vec<u32>,
    last: u128,
}

impl Prefixes {
    /// From the lists under (first address, length); `bits` is the length of an address.
    pub fn new(lists: HashMap<(u128, u8), Vec<u32>>, bits: u32) -> Prefixes {
        let mut sorted: Vec<_> = lists.into_iter().collect();
        sorted.sort_unstable_by_key(|((first, length), _)| (*first, *length));
        let mut prefixes = Prefixes { runs: vec![0], narrowest: vec![NONE], nodes: Vec::new() };
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
            if let Some(next) = last.checked_add(1) {
                self.run(next, above);
            }
            open = above;
        }
        open
    }

    fn run(&mut self, first: u128, node: u32) {
        if self.runs.last() == Some(&first) {
            self.runs.pop();
            self.narrowest.pop();
        }
        self.runs.push(first);
        self.narrowest.push(node);
    }

    /// Gives every list whose prefix holds the address.
    #[inline]
    pub fn along<'a>(&'a self, address: u128, mut give: impl FnMut(&'a [u32])) {
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

    proptest::proptest! {
        #[test]
        fn the_way_down_passes_every_prefix_that_holds_the_address(
            prefixes in proptest::collection::vec((0_u128..256, 1_u8..=8), 0..40), address in 0_u128..256,
        ) {
            let mut lists: HashMap<(u128, u8), Vec<u32>> = HashMap::new();
            for (at, (first, length)) in prefixes.iter().enumerate() {
                let low = (1_u128 << (8 - length)) - 1;
                lists.entry((first & !low, *length)).or_default().push(at as u32);
            }
            let mut expected: Vec<u32> = prefixes
                .iter()
                .enumerate()
                .filter(|(_, (first, length))| first >> (8 - length) == address >> (8 - length))
                .map(|(at, _)| at as u32)
                .collect();
            let mut found = Vec::new();
            Prefixes::new(lists, 8).along(address, |list| found.extend_from_slice(list));
            found.sort_unstable();
            expected.sort_unstable();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
