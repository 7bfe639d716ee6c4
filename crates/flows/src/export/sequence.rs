//! Sequence numbers: what was sent and never came.

/// A step forward that is larger is a new start and not a gap, in sequence numbers.
const GAP_MAX: u32 = 1 << 20;
/// A step back that is smaller is a datagram that was overtaken, in sequence numbers.
const LATE_MAX: u32 = 4096;

/// How far one exporter has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sequence {
    expected: Option<u32>,
    /// Missing by the numbers so far; those that come late are taken off again.
    missing: u64,
}

impl Sequence {
    /// Takes the number of a datagram and how far the datagram counts.
    ///
    /// Returns how many numbers are missing before it; less than zero when it is one that was missing.
    /// Without `count` the next number is not known.
    pub fn take(&mut self, number: u32, count: Option<u32>) -> i64 {
        let next = count.map(|count| number.wrapping_add(count));
        let Some(expected) = self.expected else {
            self.expected = next;
            return 0;
        };
        let ahead = number.wrapping_sub(expected);
        let behind = expected.wrapping_sub(number);
        if ahead > 0 && behind <= LATE_MAX {
            let late = u64::from(count.unwrap_or(0)).min(self.missing);
            self.missing -= late;
            return -(late as i64);
        }
        self.expected = next;
        if ahead >= GAP_MAX {
            return 0;
        }
        self.missing += u64::from(ahead);
        i64::from(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_counted_and_what_comes_late_is_taken_off() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.take(u32::MAX - 9, Some(10)), 0);
        assert_eq!(sequence.take(20, Some(10)), 20);
        assert_eq!(sequence.take(10, Some(10)), -10);
        assert_eq!(sequence.take(30, Some(10)), 0);
        assert_eq!(sequence.take(1_000_000_000, Some(10)), 0, "a new start");
        assert_eq!(sequence.take(1_000_000_010, None), 0);
        assert_eq!(sequence.take(7, Some(1)), 0, "unknown how far");
    }

    #[test]
    fn a_duplicate_is_no_gain() {
        let mut sequence = Sequence::default();
        sequence.take(0, Some(5));
        assert_eq!(sequence.take(0, Some(5)), 0);
        assert_eq!(sequence.take(5, Some(5)), 0);
    }
}
