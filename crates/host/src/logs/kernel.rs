//! The kernel's own log, from /dev/kmsg.

use super::scan::Tally;
use crate::files::Gaps;
use netwhy_model::Stamp;
use nix::time::{ClockId, clock_gettime};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

const PATH: &str = "/dev/kmsg";
/// Records read; the ring seldom holds more than 10,000.
const RECORD_COUNT_MAX: usize = 50_000;
/// The kernel writes no longer record (CONSOLE_EXT_LOG_MAX).
const RECORD_BYTES_MAX: usize = 8_192;

/// One record of the kernel's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelLine<'a> {
    /// 0 for the kernel itself; programs may write here too.
    pub facility: u32,
    /// Since the machine started.
    pub micros: u64,
    pub message: &'a str,
}

/// Reads `6,339,5140900,-;message` (Documentation/ABI/testing/dev-kmsg).
pub fn parse_kernel_record(record: &str) -> Option<KernelLine<'_>> {
    let (head, rest) = record.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    let micros = fields.nth(1)?.parse().ok()?;
    // Lines that begin with a space hold the device and subsystem.
    let message = rest.lines().next().unwrap_or_default();
    Some(KernelLine { facility: priority >> 3, micros, message })
}

/// Adds what the kernel logged since then.
pub(super) fn read(since: Stamp, now: Stamp, tally: &mut Tally, gaps: &mut Gaps) {
    let mut file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(PATH) {
        Ok(file) => file,
        Err(error) => return gaps.failed(PATH, &error),
    };
    let started_ms = now.millis().saturating_sub(monotonic_ms());
    let mut buffer = vec![0; RECORD_BYTES_MAX];
    for _ in 0..RECORD_COUNT_MAX {
        let length = match file.read(&mut buffer) {
            Ok(length) if length > 0 => length,
            // EPIPE: the record was overwritten before it was read; the next read goes on behind it.
            Err(error) if error.kind() == ErrorKind::BrokenPipe || error.kind() == ErrorKind::Interrupted => {
                continue;
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => return gaps.failed(PATH, &error),
            _ => return,
        };
        let record = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        if let Some(line) = parse_kernel_record(&record).filter(|line| line.facility == 0) {
            let at = Stamp::from_millis(started_ms.saturating_add(line.micros / 1_000));
            if at >= since {
                tally.add(line.message, at, PATH);
            }
        }
    }
}

/// The kernel stamps its log with a clock that stands still while the machine sleeps.
fn monotonic_ms() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| u64::try_from(time.tv_sec() * 1_000 + time.tv_nsec() / 1_000_000).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_read() {
        let line = parse_kernel_record("6,339,5140900,-;nf_conntrack: table full\n SUBSYSTEM=net\n").unwrap();
        assert_eq!(line, KernelLine { facility: 0, micros: 5_140_900, message: "nf_conntrack: table full" });
        assert_eq!(parse_kernel_record("30,1,2,-;daemon").unwrap().facility, 3);
    }

    #[test]
    fn the_log_ends() {
        let mut gaps = Gaps::default();
        read(Stamp::default(), Stamp::from_millis(u64::MAX / 2), &mut Tally::default(), &mut gaps);
    }

    proptest! {
        #[test]
        fn any_record_is_read(record in "([0-9,;-]{0,30}|(?s).{0,80})") {
            let _ = parse_kernel_record(&record);
        }
    }
}
