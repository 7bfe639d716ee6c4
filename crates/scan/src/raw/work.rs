//! Which pairs are settled, and which are asked next. Pure.

/// The settled bitmap of a block and the walk of one sweep over what is left.
#[derive(Debug, Clone)]
pub struct Work {
    settled: Vec<u64>,
    count: u64,
    settled_count: u64,
    /// Ranges of positions of this sweep, and where it stands.
    ranges: Vec<(u64, u64)>,
    range: usize,
    position: u64,
}

impl Work {
    pub fn new(count: u64) -> Work {
        let words = count.div_ceil(64) as usize;
        let mut work = Work {
            settled: vec![0; words],
            count,
            settled_count: 0,
            ranges: Vec::new(),
            range: 0,
            position: 0,
        };
        work.begin(vec![(0, count)]);
        work
    }

    pub fn len(&self) -> u64 {
        self.count
    }

    pub fn left(&self) -> u64 {
        self.count - self.settled_count
    }

    pub fn is_settled(&self, position: u64) -> bool {
        let word = self.settled.get((position / 64) as usize).copied().unwrap_or(u64::MAX);
        word >> (position % 64) & 1 == 1
    }

    /// Marks a position; false when it was marked before.
    pub fn settle(&mut self, position: u64) -> bool {
        if position >= self.count || self.is_settled(position) {
            return false;
        }
        if let Some(word) = self.settled.get_mut((position / 64) as usize) {
            *word |= 1 << (position % 64);
            self.settled_count += 1;
        }
        true
    }

    /// Asks a position again.
    pub fn unsettle(&mut self, position: u64) {
        if position < self.count
            && self.is_settled(position)
            && let Some(word) = self.settled.get_mut((position / 64) as usize)
        {
            *word &= !(1 << (position % 64));
            self.settled_count -= 1;
        }
    }

    /// Begins a sweep over ranges of positions, ascending.
    pub fn begin(&mut self, ranges: Vec<(u64, u64)>) {
        self.position = ranges.first().map_or(self.count, |range| range.0);
        self.ranges = ranges;
        self.range = 0;
    }

    /// Whether this sweep is over everything.
    pub fn is_whole_sweep(&self) -> bool {
        self.ranges == [(0, self.count)]
    }

    /// Where the sweep stands.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Steps to the next unsettled position of the sweep.
    #[inline]
    pub fn next(&mut self) -> Option<u64> {
        while let Some(&(_, end)) = self.ranges.get(self.range) {
            let end = end.min(self.count);
            if let Some(found) = self.unsettled_from(self.position, end) {
                self.position = found + 1;
                return Some(found);
            }
            self.range += 1;
            self.position = self.ranges.get(self.range).map_or(end, |range| range.0);
        }
        None
    }

    /// The first unsettled position from one on.
    pub fn unsettled_since(&self, from: u64) -> Option<u64> {
        self.unsettled_from(from, self.count)
    }

    #[inline]
    fn unsettled_from(&self, from: u64, end: u64) -> Option<u64> {
        let mut at = from;
        while at < end {
            let word = !self.settled.get((at / 64) as usize)? >> (at % 64);
            if word == 0 {
                at = (at / 64 + 1) * 64;
                continue;
            }
            let found = at + u64::from(word.trailing_zeros());
            return (found < end).then_some(found);
        }
        None
    }

    /// The bitmap, for a checkpoint.
    pub fn words(&self) -> &[u64] {
        &self.settled
    }

    /// Takes a bitmap of a checkpoint; one of another length is refused.
    pub fn restore(&mut self, words: &[u64]) -> bool {
        if words.len() != self.settled.len() {
            return false;
        }
        self.settled.copy_from_slice(words);
        // Bits past the end count for nothing.
        if let (Some(last), rest @ 1..) = (self.settled.last_mut(), self.count % 64) {
            *last &= (1 << rest) - 1;
        }
        self.settled_count = self.settled.iter().map(|word| u64::from(word.count_ones())).sum();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_sweep_visits_what_is_left(
            count in 0u64..300,
            settled in proptest::collection::vec(0u64..320, 0..200),
            ranges in proptest::collection::vec((0u64..300, 0u64..40), 0..4),
        ) {
            let mut work = Work::new(count);
            settled.iter().for_each(|&position| { work.settle(position); });
            let mut at = 0;
            let ranges: Vec<(u64, u64)> = ranges.iter().map(|&(gap, length)| {
                let from = at + gap;
                at = from + length;
                (from, at)
            }).collect();
            let expected: Vec<u64> = (0..count)
                .filter(|position| !settled.contains(position))
                .filter(|position| ranges.iter().any(|range| (range.0..range.1).contains(position)))
                .collect();
            work.begin(ranges);
            let visited: Vec<u64> = std::iter::from_fn(|| work.next()).collect();
            prop_assert_eq!(visited, expected);
            let mut from = 0;
            let unsettled = std::iter::from_fn(|| {
                let found = work.unsettled_since(from)?;
                from = found + 1;
                Some(found)
            });
            prop_assert_eq!(unsettled.count() as u64, work.left());
            let mut copy = Work::new(count);
            prop_assert!(copy.restore(work.words()));
            prop_assert_eq!(copy.left(), work.left());
        }
    }

    #[test]
    fn settling_is_counted_once() {
        let mut work = Work::new(70);
        assert!(work.settle(69) && !work.settle(69) && !work.settle(70));
        work.unsettle(69);
        work.unsettle(5);
        assert_eq!(work.left(), 70);
    }
}
