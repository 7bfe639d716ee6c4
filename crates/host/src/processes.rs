//! Processes as /proc shows them: what they are, and which sockets and files they hold.

mod cgroup;
mod descriptors;
mod parse;

pub use cgroup::{Membership, parse_cgroup};
pub(crate) use descriptors::{Descriptor, Held, logs_of, survey};
pub use parse::{Stat, parse_limits_open_files, parse_stat};

use crate::files::{Gaps, text, text_or_empty};
use crate::text::{command_line, printable};
use netwhy_model::host::{Process, Unread};
use std::collections::{BTreeMap, BTreeSet};
use std::os::linux::fs::MetadataExt;

/// Descriptors counted one by one where the kernel does not say how many (before Linux 6.2).
const FILES_COUNTED_MAX: usize = 1_000_000;
/// A program's path is cut past this.
const PATH_BYTES_MAX: usize = 200;

/// Reads one process; `None` when it is gone.
pub fn process(pid: u32) -> Option<Process> {
    let stat = parse_stat(&text(format!("/proc/{pid}/stat")).ok()?)?;
    let age_s = age_s(&stat);
    let membership = parse_cgroup(&text_or_empty(format!("/proc/{pid}/cgroup")));
    let command = command_line(&text_or_empty(format!("/proc/{pid}/cmdline")));
    let name = printable(&stat.name, 64);
    Some(Process {
        pid,
        parent: stat.parent,
        command: if command.is_empty() { format!("[{name}]") } else { command },
        name,
        user: std::fs::metadata(format!("/proc/{pid}")).map_or(0, |meta| meta.st_uid()),
        state: stat.state.to_string(),
        age_s: age_s.round() as u64,
        files_open: files_open(pid),
        files_max: parse_limits_open_files(&text_or_empty(format!("/proc/{pid}/limits"))),
        threads: stat.threads,
        // A process of a few milliseconds has no share worth telling.
        cpu: (age_s > 0.1)
            .then(|| (stat.cpu_ticks as f64 / ticks_per_second() / age_s * 1_000.0).round() / 1_000.0),
        waited_ms: None,
        memory_bytes: stat.memory_pages.saturating_mul(page_bytes()),
        unit: membership.unit,
        container: membership.container,
        executable: std::fs::read_link(format!("/proc/{pid}/exe"))
            .ok()
            .map(|path| printable(&path.to_string_lossy(), PATH_BYTES_MAX)),
    })
}

/// Finds which processes hold each of these sockets, smallest pid first.
///
/// One pass over /proc/*/fd, bounded in time and number. See [`owners_noted`] for what could not be read.
pub fn owners(inodes: &BTreeSet<u64>) -> BTreeMap<u64, Vec<u32>> {
    owners_noted(inodes).0
}

/// Like [`owners`], with what could not be read.
pub fn owners_noted(inodes: &BTreeSet<u64>) -> (BTreeMap<u64, Vec<u32>>, Vec<Unread>) {
    let mut gaps = Gaps::default();
    let held = survey(inodes, &mut gaps);
    (held.owners, gaps.into_unread())
}

/// The processes that hold raw or packet sockets, which write packets of their own.
pub fn raw_owners() -> BTreeSet<u32> {
    owners(&crate::sections::hooks::raw_inodes()).into_values().flatten().collect()
}

/// The processor time of a process so far, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = parse_stat(&text(format!("/proc/{pid}/stat")).ok()?)?;
    Some(stat.cpu_ticks as f64 / ticks_per_second())
}

/// How many descriptors a process has open; `None` when that may not be read.
pub(crate) fn files_open(pid: u32) -> Option<u64> {
    let path = format!("/proc/{pid}/fd");
    // Since Linux 6.2 the folder's size is the count (fs/proc/fd.c); 0 before, and for who may not look.
    let size = std::fs::metadata(&path).ok()?.st_size();
    if size > 0 {
        return Some(size);
    }
    let entries = std::fs::read_dir(&path).ok()?;
    Some(entries.take(FILES_COUNTED_MAX).count() as u64)
}

/// Seconds since the machine started, by its own clock.
pub(crate) fn uptime_s() -> f64 {
    text_or_empty("/proc/uptime").split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

fn age_s(stat: &Stat) -> f64 {
    (uptime_s() - stat.start_ticks as f64 / ticks_per_second()).max(0.0)
}

fn ticks_per_second() -> f64 {
    // SAFETY: plain library call without pointers.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

pub(crate) fn page_bytes() -> u64 {
    // SAFETY: plain library call without pointers.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4_096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn this_process_knows_itself() {
        let own = process(std::process::id()).unwrap();
        assert!(!own.name.is_empty() && !own.command.is_empty());
        assert!(own.files_open.unwrap() >= 3);
        assert!(own.files_max.unwrap() >= own.files_open.unwrap());
        assert!(own.memory_bytes > 100_000 && own.threads >= 1);
        assert!(own.executable.unwrap().contains("host"));
        assert!(process(u32::MAX).is_none());
    }

    #[test]
    fn a_socket_finds_its_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&listener);
        let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        let inode: u64 = link.to_string_lossy().trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        let found = owners(&BTreeSet::from([inode, u64::MAX]));
        assert_eq!(found.get(&inode), Some(&vec![std::process::id()]));
        assert!(!found.contains_key(&u64::MAX));
    }
}
