//! How long the threads of the watched service wait for a processor, from one look to the next.

use crate::files::text_or_empty;
use netwhy_model::host::Process;
use std::collections::BTreeMap;
use std::time::Instant;

/// Threads looked at of one process.
const THREAD_COUNT_MAX: usize = 128;
/// Threads remembered of all.
const KNOWN_COUNT_MAX: usize = 4_096;

/// A thread that waited for less than one in so many parts of the time was not held up.
const SHARE_OF_TIME_MIN: u64 = 4;

/// Nanoseconds by process and thread.
type Waited = BTreeMap<(u32, u32), u64>;

/// What the threads had waited by the last look, and the longest wait seen of each process.
#[derive(Debug, Default)]
pub(super) struct Waits {
    before: Option<(Instant, Waited)>,
    longest: BTreeMap<u32, u64>,
}

impl Waits {
    /// Reads the threads of these processes and notes the longest wait of each.
    ///
    /// A thread that was not there at the look before has done all its waiting since; one that ended in between is
    /// not seen. At the first look nothing is known of when it waited.
    pub(super) fn look(&mut self, processes: &mut [Process]) {
        let mut now = BTreeMap::new();
        for process in processes.iter() {
            for (thread, waited) in threads(process.pid) {
                if now.len() < KNOWN_COUNT_MAX {
                    now.insert((process.pid, thread), waited);
                }
            }
        }
        if let Some((when, before)) = &self.before {
            let between = u64::try_from(when.elapsed().as_nanos()).unwrap_or(u64::MAX);
            for (key, waited) in &now {
                let since = waited.saturating_sub(before.get(key).copied().unwrap_or(0));
                if since.saturating_mul(SHARE_OF_TIME_MIN) < between {
                    continue;
                }
                let longest = self.longest.entry(key.0).or_insert(0);
                *longest = since.max(*longest);
            }
        }
        self.before = Some((Instant::now(), now));
        for process in processes {
            let longest = self.longest.get(&process.pid).copied();
            process.waited_ms = longest.map(|ns| u32::try_from(ns / 1_000_000).unwrap_or(u32::MAX));
        }
    }
}

/// The threads of a process and the nanoseconds each has waited for a processor (second number of schedstat).
fn threads(pid: u32) -> Vec<(u32, u64)> {
    let Ok(folder) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let ids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.take(THREAD_COUNT_MAX)
        .filter_map(|thread: u32| {
            let text = text_or_empty(format!("/proc/{pid}/task/{thread}/schedstat"));
            Some((thread, text.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_says_nothing_and_later_ones_what_came_since() {
        let mut waits = Waits::default();
        let mut own = [Process { pid: std::process::id(), ..Process::default() }];
        waits.look(&mut own);
        assert_eq!(own[0].waited_ms, None);
        waits.look(&mut own);
        assert!(own[0].waited_ms.is_none_or(|ms| ms < 60_000));
    }
}
