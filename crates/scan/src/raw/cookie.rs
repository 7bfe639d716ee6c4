//! The keyed cookie in a question's sequence number: who answers it must have seen the question.

use ring::rand::{SecureRandom, SystemRandom};
use std::net::IpAddr;

/// A key of one scan (SipHash-1-3; Aumasson, Bernstein 2012).
#[derive(Debug, Clone, Copy)]
pub struct Key {
    first: u64,
    second: u64,
}

impl Key {
    /// A key nobody can guess; `None` when the system has no randomness to give.
    pub fn random() -> Option<Key> {
        let mut bytes = [0_u8; 16];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let word = |at: usize| {
            bytes.get(at..at + 8).and_then(|half| half.try_into().ok()).map_or(0, u64::from_le_bytes)
        };
        Some(Key { first: word(0), second: word(8) })
    }

    /// The sequence number of a question to `host:port` from `source_port`.
    #[inline]
    pub fn cookie(&self, host: IpAddr, port: u16, source_port: u16) -> u32 {
        let ports = u64::from(port) << 16 | u64::from(source_port);
        match host {
            IpAddr::V4(host) => self.hash(&[u64::from(host.to_bits()) << 32 | ports]) as u32,
            IpAddr::V6(host) => {
                let bits = host.to_bits();
                self.hash(&[(bits >> 64) as u64, bits as u64, ports]) as u32
            }
        }
    }

    #[inline]
    fn hash(&self, words: &[u64]) -> u64 {
        let mut state = [
            self.first ^ 0x736f_6d65_7073_6575,
            self.second ^ 0x646f_7261_6e64_6f6d,
            self.first ^ 0x6c79_6765_6e65_7261,
            self.second ^ 0x7465_6462_7974_6573,
        ];
        let length = (words.len() as u64 * 8) << 56;
        for &word in words.iter().chain([&length]) {
            state[3] ^= word;
            round(&mut state);
            state[0] ^= word;
        }
        state[2] ^= 0xff;
        (0..3).for_each(|_| round(&mut state));
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

#[inline]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hasher};

    #[test]
    fn the_hash_is_siphash() {
        // The standard library's default hasher is SipHash-1-3 with a key of zeroes.
        let mut theirs = DefaultHasher::new();
        for word in [1_u64, 2, 3] {
            theirs.write_u64(word);
        }
        assert_eq!(Key { first: 0, second: 0 }.hash(&[1, 2, 3]), theirs.finish());
    }

    #[test]
    fn every_part_changes_the_cookie() {
        let key = Key::random().unwrap();
        let host = |text: &str| text.parse().unwrap();
        let base = key.cookie(host("10.0.0.1"), 80, 40_000);
        assert_ne!(base, key.cookie(host("10.0.0.2"), 80, 40_000));
        assert_ne!(base, key.cookie(host("10.0.0.1"), 81, 40_000));
        assert_ne!(base, key.cookie(host("10.0.0.1"), 80, 40_001));
        assert_ne!(base, Key::random().unwrap().cookie(host("10.0.0.1"), 80, 40_000));
        assert_ne!(key.cookie(host("::1"), 1, 1), key.cookie(host("1::1"), 1, 1));
    }
}
