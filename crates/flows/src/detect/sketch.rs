//! Bounded memory: tables with a limit, and sets that count exactly while small and by HyperLogLog when large.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};

/// Up to this many members a set is exact.
pub const EXACT_COUNT_MAX: usize = 1024;
/// Registers of a large set: its count is right within 2.3 % (one standard deviation, 1.04 / sqrt(2048)).
const REGISTER_COUNT: usize = 2048;
/// How many of the smallest hashes are kept to tell whether two sets are the same.
const SMALLEST_COUNT: usize = 16;
/// An odd number with well-mixed bits (2^64 divided by the golden ratio).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes a number so that every bit of it reaches every bit of the result (the finalizer of MurmurHash3).
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let number = (number ^ (number >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

/// Mixes an address.
pub fn mix_address(address: crate::Address) -> u64 {
    mix(address.0 as u64 ^ mix((address.0 >> 64) as u64 ^ GOLDEN))
}

/// Builds fast hashers whose start is drawn once per run, so that nobody can choose colliding keys beforehand.
#[derive(Debug, Clone)]
pub struct Seed(u64);

impl Default for Seed {
    fn default() -> Seed {
        Seed(RandomState::new().hash_one(GOLDEN))
    }
}

impl BuildHasher for Seed {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold(self.0)
    }
}

/// Multiplies and folds: enough for keys of a few numbers.
#[derive(Debug)]
pub struct Fold(u64);

impl Fold {
    fn add(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word).wrapping_mul(u128::from(GOLDEN));
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        mix(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.add(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.add(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.add(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_u128(&mut self, number: u128) {
        self.add(number as u64);
        self.add((number >> 64) as u64);
    }
}

/// A table that never holds more than `limit` entries: the least telling ones go first, and are counted.
#[derive(Debug)]
pub struct Table<K, V> {
    pub map: HashMap<K, V, Seed>,
    limit: usize,
    pub forgotten: u64,
}

impl<K: Hash + Eq, V> Table<K, V> {
    pub fn new(limit: usize) -> Table<K, V> {
        Table { map: HashMap::with_hasher(Seed::default()), limit, forgotten: 0 }
    }

    /// The entry of a key, made when it is new and room can be found by dropping entries of the lowest `weight`.
    ///
    /// A full table is swept: what weighs no more than the median of a sample goes, at least a part of the limit,
    /// so that the sweeps together cost no more than the insertions between them.
    pub fn entry(&mut self, key: K, make: impl FnOnce() -> V, weight: impl Fn(&V) -> u64) -> &mut V {
        if self.map.len() >= self.limit && !self.map.contains_key(&key) {
            self.sweep(weight);
        }
        self.map.entry(key).or_insert_with(make)
    }

    fn sweep(&mut self, weight: impl Fn(&V) -> u64) {
        let mut sample: Vec<u64> = self.map.values().map(&weight).collect();
        let middle = sample.len() / 2;
        let (_, &mut median, _) = sample.select_nth_unstable(middle);
        let (before, mut room) = (self.map.len(), self.limit / 2);
        // Of those exactly at the median only as many go as are needed.
        self.map.retain(|_, value| {
            let keep = weight(value) > median || room == 0;
            room -= usize::from(!keep);
            keep
        });
        self.forgotten += (before - self.map.len()) as u64;
    }

    pub fn clear(&mut self) {
        self.map.clear();
    }
}

/// A set that is only counted and compared.
#[derive(Debug, Clone, Default)]
pub struct Distinct {
    /// Open addressing; zero is empty. Grows by doubling while exact.
    exact: Vec<u64>,
    count: u32,
    registers: Option<Box<[u8; REGISTER_COUNT]>>,
    smallest: Vec<u64>,
}

impl Distinct {
    /// Adds a mixed hash; returns whether it may be new (always true once the set is estimated).
    pub fn insert(&mut self, hash: u64) -> bool {
        let hash = hash | 1;
        if let Some(registers) = &mut self.registers {
            raise(registers, hash);
            self.keep_smallest(hash);
            return true;
        }
        if (self.count as usize + 1) * 2 > self.exact.len() {
            self.grow();
        }
        if !place(&mut self.exact, hash) {
            return false;
        }
        self.count += 1;
        self.keep_smallest(hash);
        if self.count as usize >= EXACT_COUNT_MAX {
            let mut registers = Box::new([0; REGISTER_COUNT]);
            for member in self.exact.iter().filter(|member| **member != 0) {
                raise(&mut registers, *member);
            }
            self.registers = Some(registers);
            self.exact = Vec::new();
        }
        true
    }

    /// How many different hashes came, exact or within 2.3 %.
    pub fn count(&self) -> u64 {
        let Some(registers) = &self.registers else { return self.count.into() };
        let count = REGISTER_COUNT as f64;
        let sum: f64 = registers.iter().map(|rank| 1.0 / (1u64 << rank.min(&63)) as f64).sum();
        let empty = registers.iter().filter(|rank| **rank == 0).count() as f64;
        let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        // Small range correction of the paper: linear counting while registers are empty.
        let estimate = if raw < 2.5 * count && empty > 0.0 { count * (count / empty).ln() } else { raw };
        estimate.round() as u64
    }

    /// The count while exact, else what it was when the set became too large; costs nothing.
    pub fn at_least(&self) -> u64 {
        self.count.into()
    }

    pub fn is_estimated(&self) -> bool {
        self.registers.is_some()
    }

    /// The share of the smaller sample that the two sets have in common.
    pub fn overlap(&self, other: &Distinct) -> f64 {
        let common = self.smallest.iter().filter(|hash| other.smallest.contains(hash)).count();
        let size = self.smallest.len().min(other.smallest.len());
        if size == 0 { 0.0 } else { common as f64 / size as f64 }
    }

    fn keep_smallest(&mut self, hash: u64) {
        let full = self.smallest.len() == SMALLEST_COUNT;
        if full && self.smallest.last().is_some_and(|largest| hash >= *largest) {
            return;
        }
        if let Err(place) = self.smallest.binary_search(&hash) {
            if full {
                self.smallest.pop();
            }
            self.smallest.insert(place, hash);
        }
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.exact);
        self.exact = vec![0; (old.len() * 2).max(8)];
        for member in old.into_iter().filter(|member| *member != 0) {
            place(&mut self.exact, member);
        }
    }
}

/// Puts a hash into a table that has room; returns whether it was not there.
fn place(table: &mut [u64], hash: u64) -> bool {
    let mask = table.len() - 1;
    let mut at = (hash >> 7) as usize & mask;
    // The table is at most half full, so an empty place comes.
    for _ in 0..table.len() {
        match table[at] {
            0 => {
                table[at] = hash;
                return true;
            }
            member if member == hash => return false,
            _ => at = (at + 1) & mask,
        }
    }
    false
}

fn raise(registers: &mut [u8; REGISTER_COUNT], hash: u64) {
    let register = &mut registers[(hash >> 53) as usize];
    *register = (*register).max((hash << 11).leading_zeros() as u8 + 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_counts_exactly_then_within_its_error() {
        let mut set = Distinct::default();
        for number in 0..100_000u64 {
            set.insert(mix(number % 50_000));
            if number == 999 {
                assert_eq!(set.count(), 1000);
            }
        }
        assert!(set.is_estimated());
        assert!((set.count() as f64 / 50_000.0 - 1.0).abs() < 0.07, "{}", set.count());
    }

    #[test]
    fn the_same_members_overlap_and_others_do_not() {
        let set = |from: u64| {
            let mut set = Distinct::default();
            (from..from + 3000).for_each(|number| _ = set.insert(mix(number)));
            set
        };
        assert!(set(0).overlap(&set(0)) > 0.99);
        assert!(set(0).overlap(&set(10_000)) < 0.2);
    }

    #[test]
    fn a_full_table_forgets_the_lightest() {
        let mut table: Table<u32, u64> = Table::new(100);
        for key in 0..1000 {
            *table.entry(key, || 0, |weight| *weight) += if key == 7 { 1_000 } else { 1 };
        }
        assert!(table.map.len() <= 100 && table.map.contains_key(&7));
        assert!(table.forgotten >= 900);
    }
}
