//! The order in which pairs of host and port are asked: a seeded permutation, computed and not stored.
//!
//! A Feistel network over the bits of the position permutes a power of two; walking its cycle until the result lies
//! within permutes any count (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002).

use crate::Shard;
use crate::input::{InputError, InputFault};

/// Rounds of the network, even so that both halves return to their sides. Four make it pseudo-random (Luby, Rackoff).
const ROUND_COUNT: usize = 4;
/// Parts a scan can be cut into.
const SHARD_COUNT_MAX: u32 = 1 << 20;

/// Visits every pair of host and port exactly once, in an order only the seed knows.
#[derive(Debug, Clone)]
pub struct Order {
    hosts: u64,
    /// Pairs of the ports asked first, then of the rest; the second is empty where all are mixed.
    parts: [Permutation; 2],
    /// Ports of the first part: `0..first_ports`.
    first_ports: u32,
    ports: u32,
    shard: Shard,
    /// Pairs of this shard.
    count: u64,
}

impl Order {
    /// All pairs mixed. `shard` takes every `of`-th of them.
    pub fn new(hosts: u64, ports: u32, seed: u64, shard: Shard) -> Self {
        Self::common_first(hosts, ports, ports, seed, shard)
    }

    /// The pairs of the first `common` ports, mixed, then those of the rest, mixed. See [`crate::Ports::common_len`].
    pub fn common_first(hosts: u64, ports: u32, common: u32, seed: u64, shard: Shard) -> Self {
        /// Hosts an order can number, so that pairs fit their 64 bits.
        const HOST_COUNT_MAX: u64 = 1 << 40;
        let hosts = hosts.min(HOST_COUNT_MAX);
        let ports = ports.min(u32::from(u16::MAX));
        let first_ports = common.min(ports);
        let parts = [
            Permutation::new(hosts * u64::from(first_ports), seed),
            Permutation::new(hosts * u64::from(ports - first_ports), mix(!seed)),
        ];
        let of = shard.of.max(1);
        let shard = Shard { index: shard.index.min(of - 1), of };
        let total = hosts * u64::from(ports);
        let count = total.saturating_sub(u64::from(shard.index)).div_ceil(u64::from(of));
        Self { hosts, parts, first_ports, ports, shard, count }
    }

    /// How many pairs this shard asks.
    pub fn len(&self) -> u64 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of host and port at a position below [`Self::len`]; positions beyond repeat the last.
    #[inline]
    pub fn at(&self, position: u64) -> (u64, u32) {
        let position = position.min(self.count.saturating_sub(1));
        let place = position * u64::from(self.shard.of) + u64::from(self.shard.index);
        let (pair, port_base) = match place.checked_sub(self.parts[0].count) {
            None => (self.parts[0].forward(place), 0),
            Some(rest) if rest < self.parts[1].count => (self.parts[1].forward(rest), self.first_ports),
            Some(_) => return (0, 0),
        };
        // Ports of a part are below 65,536.
        (pair % self.hosts, port_base + (pair / self.hosts) as u32)
    }

    /// The position of a pair; `None` where there is no such pair, or another shard has it.
    #[inline]
    pub fn index_of(&self, host: u64, port: u32) -> Option<u64> {
        if host >= self.hosts || port >= self.ports {
            return None;
        }
        let place = match port.checked_sub(self.first_ports) {
            None => self.parts[0].backward(u64::from(port) * self.hosts + host),
            Some(rest) => self.parts[0].count + self.parts[1].backward(u64::from(rest) * self.hosts + host),
        };
        let within = place.checked_sub(u64::from(self.shard.index))?;
        let of = u64::from(self.shard.of);
        within.is_multiple_of(of).then_some(within / of)
    }
}

/// A keyed permutation of `0..count`.
#[derive(Debug, Clone)]
struct Permutation {
    count: u64,
    keys: [u64; ROUND_COUNT],
    low_bits: u32,
    low_mask: u64,
    high_mask: u64,
}

impl Permutation {
    fn new(count: u64, seed: u64) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        let low_bits = bits.div_ceil(2);
        let mut key = seed;
        let keys = std::array::from_fn(|_| {
            key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(key)
        });
        let (low_mask, high_mask) = ((1 << low_bits) - 1, (1 << (bits - low_bits)) - 1);
        Self { count, keys, low_bits, low_mask, high_mask }
    }

    /// Walks the cycle of `place` to the next member below `count`. It ends, since `place` itself is one, and takes
    /// fewer than two steps on average, since the network permutes fewer than `2 * count` numbers.
    #[inline]
    fn forward(&self, place: u64) -> u64 {
        let mut at = place;
        loop {
            at = self.network(at);
            if at < self.count {
                return at;
            }
        }
    }

    /// The inverse of [`Self::forward`], which ends for the same reason.
    #[inline]
    fn backward(&self, place: u64) -> u64 {
        let mut at = place;
        loop {
            at = self.network_back(at);
            if at < self.count {
                return at;
            }
        }
    }

    #[inline]
    fn network(&self, value: u64) -> u64 {
        let (mut low, mut high) = (value & self.low_mask, value >> self.low_bits);
        for pair in self.keys.chunks_exact(2) {
            low ^= mix(high ^ pair[0]) & self.low_mask;
            high ^= mix(low ^ pair[1]) & self.high_mask;
        }
        high << self.low_bits | low
    }

    #[inline]
    fn network_back(&self, value: u64) -> u64 {
        let (mut low, mut high) = (value & self.low_mask, value >> self.low_bits);
        for pair in self.keys.rchunks_exact(2) {
            high ^= mix(low ^ pair[1]) & self.high_mask;
            low ^= mix(high ^ pair[0]) & self.low_mask;
        }
        high << self.low_bits | low
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit depends on every other.
#[inline]
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Shard {
    /// The whole scan.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Reads `I/N`, counted from 1 as people do.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let number = |text: &str| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u32>().ok().filter(|&n| digits && (1..=SHARD_COUNT_MAX).contains(&n))
        };
        let parts = text.trim().split_once('/').and_then(|(index, of)| Some((number(index)?, number(of)?)));
        match parts.filter(|(index, of)| index <= of) {
            Some((index, of)) => Ok(Self { index: index - 1, of }),
            None => Err(InputError::new(text, InputFault::NotAShard)),
        }
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_seed_fixes_the_order_and_another_changes_it() {
        let walk = |seed| {
            let order = Order::new(3, 1000, seed, Shard::WHOLE);
            (0..order.len()).map(|i| order.at(i)).collect::<Vec<_>>()
        };
        assert_eq!(walk(1), walk(1));
        assert_ne!(walk(1), walk(2));
        let sorted = walk(1).windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((1350..1650).contains(&sorted), "{sorted} of 2999 steps go up");
    }

    #[test]
    fn neighbours_in_time_are_spread_over_hosts() {
        let order = Order::new(256, 100, 7, Shard::WHOLE);
        let seen: HashSet<u64> = (0..256).map(|i| order.at(i).0).collect();
        assert!(seen.len() > 140, "{} hosts among the first 256", seen.len());
    }

    #[test]
    fn common_ports_come_first() {
        let order = Order::common_first(4, 100, 10, 3, Shard::WHOLE);
        assert!((0..40).all(|i| order.at(i).1 < 10));
        assert!((40..400).all(|i| order.at(i).1 >= 10));
    }

    #[test]
    fn the_largest_scan_fits() {
        let order = Order::new(1 << 33, 65_535, 5, Shard { index: 1, of: 3 });
        for i in [0, 1, order.len() / 2, order.len() - 1] {
            let (host, port) = order.at(i);
            assert_eq!(order.index_of(host, port), Some(i));
        }
        assert_eq!(Order::new(0, 10, 0, Shard::WHOLE).len(), 0);
        assert_eq!(Order::new(0, 10, 0, Shard::WHOLE).at(0), (0, 0));
    }

    #[test]
    fn shards_are_read() {
        assert_eq!(Shard::parse("2/4"), Ok(Shard { index: 1, of: 4 }));
        for text in ["0/4", "5/4", "1/0", "1", "", "/", "+1/2", "1/99999999999", "1/2/3"] {
            assert_eq!(Shard::parse(text).unwrap_err().fault, InputFault::NotAShard, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_pair_once(
            hosts in 0u64..40, ports in 0u32..60, common in 0u32..70, seed: u64, of in 1u32..6,
        ) {
            let mut seen = HashSet::new();
            for index in 0..of {
                let order = Order::common_first(hosts, ports, common, seed, Shard { index, of });
                for i in 0..order.len() {
                    let (host, port) = order.at(i);
                    prop_assert!(host < hosts && port < ports);
                    prop_assert!(seen.insert((host, port)));
                    prop_assert_eq!(order.index_of(host, port), Some(i));
                }
            }
            prop_assert_eq!(seen.len() as u64, hosts * u64::from(ports));
        }

        #[test]
        fn any_shard_is_read_or_refused(text in any::<String>()) {
            let _ = Shard::parse(&text);
        }
    }
}
