//! One pass over every process' open descriptors: whose a socket is, and which logs it writes.

use crate::files::Gaps;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Processes looked at.
const PROCESS_COUNT_MAX: usize = 65_536;
/// Descriptors looked at over all processes.
const DESCRIPTOR_COUNT_MAX: u64 = 4_000_000;
/// How long the pass may take, in milliseconds.
const PASS_MS_MAX: u64 = 1_500;
/// Threads that share the work.
const THREAD_COUNT_MAX: usize = 4;
/// Holders named of one socket.
const HOLDER_COUNT_MAX: usize = 64;
/// Log files noted.
const FILE_COUNT_MAX: usize = 512;
/// The longest link target read.
const LINK_BYTES_MAX: usize = 512;
/// One getdents64 call fills at most this.
const ENTRIES_BYTES: usize = 32 << 10;

/// A regular file that looks like a log, open in a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Descriptor {
    pub(crate) pid: u32,
    pub(crate) number: u32,
    pub(crate) path: String,
}

/// What the pass found.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Holders by socket inode, smallest pid first.
    pub(crate) owners: BTreeMap<u64, Vec<u32>>,
    pub(crate) logs: Vec<Descriptor>,
}

/// Looks through every readable process for these sockets and for logs.
pub(crate) fn survey(inodes: &BTreeSet<u64>, gaps: &mut Gaps) -> Held {
    let pids = pids(gaps);
    let wanted: HashSet<u64> = inodes.iter().copied().collect();
    let until = Instant::now() + Duration::from_millis(PASS_MS_MAX);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(THREAD_COUNT_MAX);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let parts: Vec<Part> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let mut part = Part::default();
                    // One process may hold nearly everything, so work is handed out one by one.
                    while let Some(pid) = pids.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                        part.look(*pid, &wanted, until);
                    }
                    part
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    merge(parts, gaps)
}

/// Looks at one process for logs alone, at its first descriptors.
pub(crate) fn logs_of(pid: u32) -> Vec<Descriptor> {
    let mut part = Part { left: 2_048, ..Part::default() };
    part.look(pid, &HashSet::new(), Instant::now() + Duration::from_millis(PASS_MS_MAX));
    part.logs
}

fn merge(parts: Vec<Part>, gaps: &mut Gaps) -> Held {
    let mut held = Held::default();
    let (mut refused, mut cut) = (0, false);
    for part in parts {
        refused += part.refused;
        cut |= part.cut;
        held.logs.extend(part.logs);
        for (inode, pids) in part.owners {
            held.owners.entry(inode).or_default().extend(pids);
        }
    }
    for pids in held.owners.values_mut() {
        pids.sort_unstable();
        pids.dedup();
        pids.truncate(HOLDER_COUNT_MAX);
    }
    held.logs.sort();
    held.logs.truncate(FILE_COUNT_MAX);
    if refused > 0 {
        gaps.note("/proc/*/fd", format!("descriptors of {refused} processes may not be read"), true);
    }
    if cut {
        gaps.note(
            "/proc/*/fd",
            format!("stopped after {PASS_MS_MAX} ms or {DESCRIPTOR_COUNT_MAX} descriptors"),
            false,
        );
    }
    held
}

fn pids(gaps: &mut Gaps) -> Vec<u32> {
    match std::fs::read_dir("/proc") {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .take(PROCESS_COUNT_MAX)
            .collect(),
        Err(error) => {
            gaps.failed("/proc", &error);
            Vec::new()
        }
    }
}

/// What one thread found.
struct Part {
    owners: HashMap<u64, Vec<u32>>,
    logs: Vec<Descriptor>,
    refused: u64,
    cut: bool,
    left: u64,
    entries: Vec<u8>,
}

impl Default for Part {
    fn default() -> Part {
        Part {
            owners: HashMap::new(),
            logs: Vec::new(),
            refused: 0,
            cut: false,
            left: DESCRIPTOR_COUNT_MAX,
            entries: vec![0; ENTRIES_BYTES],
        }
    }
}

impl Part {
    fn look(&mut self, pid: u32, wanted: &HashSet<u64>, until: Instant) {
        let folder = match open_folder(&format!("/proc/{pid}/fd")) {
            Ok(folder) => folder,
            Err(libc::EACCES | libc::EPERM) => {
                self.refused += 1;
                return;
            }
            // It ended meanwhile.
            Err(_) => return,
        };
        loop {
            if self.left == 0 || Instant::now() > until {
                self.cut = true;
                return;
            }
            let mut entries = std::mem::take(&mut self.entries);
            let length = read_entries(folder.as_raw_fd(), &mut entries);
            let mut readable = true;
            for name in names(entries.get(..length).unwrap_or_default()) {
                self.left = self.left.saturating_sub(1);
                readable = self.take(pid, folder.as_raw_fd(), name, wanted);
                if !readable {
                    break;
                }
            }
            self.entries = entries;
            if !readable {
                // The folder may be listed, and yet its links belong to a process with more privilege than ours.
                self.refused += 1;
                return;
            }
            if length == 0 {
                return;
            }
        }
    }

    /// Notes what one descriptor is; false when this process' descriptors may not be read.
    fn take(&mut self, pid: u32, folder: RawFd, name: &CStr, wanted: &HashSet<u64>) -> bool {
        let mut buffer = [0_u8; LINK_BYTES_MAX];
        let target = match read_link(folder, name, &mut buffer) {
            Ok(target) => target,
            Err(errno) => return errno != libc::EACCES && errno != libc::EPERM,
        };
        if let Some(inode) = socket_inode(target) {
            if wanted.contains(&inode) {
                self.owners.entry(inode).or_default().push(pid);
            }
        } else if self.logs.len() < FILE_COUNT_MAX
            && let Some(path) = log_path(target)
        {
            let number = name.to_str().ok().and_then(|digits| digits.parse().ok()).unwrap_or(0);
            self.logs.push(Descriptor { pid, number, path });
        }
        true
    }
}

/// The inode in `socket:[123]`.
fn socket_inode(target: &[u8]) -> Option<u64> {
    let digits = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A path that by its name is a log.
fn log_path(target: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(target).ok()?;
    let name = path.rsplit('/').next()?;
    let by_name = [".log", ".err", "error_log", "access_log", ".out"].iter().any(|end| name.ends_with(end));
    let is_binary = path.starts_with("/var/log/journal") || name.ends_with(".journal");
    (path.starts_with('/') && !is_binary && (by_name || path.starts_with("/var/log/")))
        .then(|| path.to_owned())
}

fn open_folder(path: &str) -> Result<OwnedFd, i32> {
    let path = CString::new(path).map_err(|_| libc::EINVAL)?;
    // SAFETY: the path is a live zero-terminated string.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO));
    }
    // SAFETY: `fd` was just opened and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Fills the buffer with the next entries of a folder; 0 at the end or on an error.
fn read_entries(folder: RawFd, buffer: &mut [u8]) -> usize {
    // SAFETY: the pointer and length describe the live buffer.
    let got = unsafe { libc::syscall(libc::SYS_getdents64, folder, buffer.as_mut_ptr(), buffer.len()) };
    usize::try_from(got).unwrap_or(0)
}

/// Walks struct linux_dirent64 for names that are numbers.
fn names(bytes: &[u8]) -> impl Iterator<Item = &CStr> {
    const LENGTH_AT: usize = 16;
    const NAME_AT: usize = 19;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let length =
                rest.get(LENGTH_AT..)?.first_chunk().map(|bytes| usize::from(u16::from_ne_bytes(*bytes)))?;
            let name = CStr::from_bytes_until_nul(rest.get(NAME_AT..length)?).ok()?;
            rest = rest.get(length..)?;
            if name.to_bytes().first().is_some_and(u8::is_ascii_digit) {
                return Some(name);
            }
        }
    })
}

fn read_link<'a>(folder: RawFd, name: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], i32> {
    // SAFETY: the name is zero-terminated, the pointer and length describe the live buffer.
    let got = unsafe { libc::readlinkat(folder, name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    match usize::try_from(got) {
        Ok(length) => Ok(buffer.get(..length).unwrap_or_default()),
        Err(_) => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn logs_are_known_by_their_names() {
        assert!(log_path(b"/srv/app/error.log").is_some());
        assert!(log_path(b"/var/log/syslog").is_some());
        assert!(log_path(b"/srv/app/data.db").is_none());
        assert!(log_path(b"/var/log/journal/x/system.journal").is_none());
        assert!(log_path(b"pipe:[3]").is_none());
        assert_eq!(socket_inode(b"socket:[77]"), Some(77));
    }

    #[test]
    fn an_open_log_of_this_process_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let _file = std::fs::File::create(&path).unwrap();
        assert!(logs_of(std::process::id()).iter().any(|log| log.path == path.to_string_lossy()));
    }

    proptest! {
        #[test]
        fn any_entries_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(names(&bytes).count() <= bytes.len());
        }
    }
}
