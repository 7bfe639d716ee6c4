//! When what was sent, kept by batches: an answer's position and sweep give its round trip exactly. Pure.

use super::clock::Nanos;
use std::collections::VecDeque;

/// Batches remembered of one sweep; with 64 questions each these are four million.
const BATCH_COUNT_MAX: usize = 65_536;

/// One batch of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Position of its first question.
    pub first: u64,
    pub at: Nanos,
    /// Packets sent before it, of all kinds.
    pub sent_before: u64,
}

/// The batches of one sweep; positions ascend.
#[derive(Debug, Clone, Default)]
pub struct SweepLog {
    batches: VecDeque<Batch>,
}

impl SweepLog {
    pub fn push(&mut self, batch: Batch) {
        if self.batches.len() == BATCH_COUNT_MAX {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }

    /// The batch a position was sent with; `None` when it is not remembered.
    pub fn find(&self, position: u64) -> Option<Batch> {
        let after = self.batches.partition_point(|batch| batch.first <= position);
        after.checked_sub(1).and_then(|at| self.batches.get(at).copied())
    }

    /// First position sent at or after a time; `None` when nothing was.
    pub fn first_since(&self, at: Nanos) -> Option<u64> {
        let index = self.batches.partition_point(|batch| batch.at < at);
        self.batches.get(index).map(|batch| batch.first)
    }

    pub fn clear(&mut self) {
        self.batches.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_finds_its_batch() {
        let mut log = SweepLog::default();
        for number in 0..BATCH_COUNT_MAX as u64 + 10 {
            log.push(Batch { first: number * 64, at: number * 100, sent_before: number * 65 });
        }
        assert_eq!(log.find(5), None);
        assert_eq!(log.find(10 * 64 + 63).unwrap().at, 1_000);
        assert_eq!(log.find(11 * 64).unwrap().sent_before, 11 * 65);
        assert_eq!(log.first_since(1_050), Some(11 * 64));
        assert_eq!(log.first_since(u64::MAX), None);
    }
}
