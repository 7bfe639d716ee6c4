//! Counting different things in a few words of memory.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A number of a value, the same within one run.
pub fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A set of which only the size is known, by linear counting (Whang, Vander-Zanden, Taylor 1990): one bit per hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Default for Bits<WORDS> {
    fn default() -> Self {
        Bits([0; WORDS])
    }
}

impl<const WORDS: usize> Bits<WORDS> {
    /// Adds a hash; returns whether its bit is new.
    pub fn add(&mut self, hash: u64) -> bool {
        let is_new = !self.has(hash);
        self.0[(hash >> 8) as usize % WORDS] |= 1 << (hash % 64);
        is_new
    }

    /// Whether a hash may be in it; certain where it is not.
    pub fn has(&self, hash: u64) -> bool {
        self.0[(hash >> 8) as usize % WORDS] & 1 << (hash % 64) != 0
    }

    /// About how many different hashes were added; exact for zero and one.
    pub fn count(&self) -> u32 {
        let set = self.at_least();
        let size = (WORDS * 64) as f64;
        let empty = (size - f64::from(set)).max(1.0);
        ((size * (size / empty).ln()).round() as u32).max(set)
    }

    /// How many bits are set: so many different hashes at least.
    pub fn at_least(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_things_are_counted_about_right() {
        let mut bits = Bits::<8>::default();
        for number in 0..300u32 {
            bits.add(hash(number));
            bits.add(hash(number));
            let (count, right) = (bits.count(), number + 1);
            assert!(count.abs_diff(right) <= 2 + right / 6, "{count} of {right}");
        }
    }
}
