//! Why the kernel freed packets: the tracepoint skb:kfree_skb through perf_event_open(2).
//!
//! The tracepoint is system-wide and names no namespace, so what it counts is a hint and never the proof. The
//! events vanish with their descriptors, however the process ends.

use super::tracefs::{self, Tracepoint};
use crate::files;
use libc::{c_int, c_ulong, c_void};
use netwhy_model::host::DropSeen;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Processors watched; one buffer each.
const CPU_COUNT_MAX: u32 = 256;
/// The data part of each buffer, in pages; must be a power of two.
const DATA_PAGES: usize = 4;
/// Records taken of one buffer at a time.
const RECORD_COUNT_MAX: usize = 4_096;
/// Reasons that say nothing of a lost connection: ordinary ends, other protocols, our own tap.
const IGNORED: [&str; 7] = [
    "NOT_SPECIFIED",
    "CONSUMED",
    "SKB_CONSUMED",
    "UNIX_DISCONNECT",
    "UNIX_SKIP_OOB",
    "QUEUE_PURGE",
    "PACKET_SOCK_ERROR",
];

const TYPE_TRACEPOINT: u32 = 2;
const SAMPLE_RAW: u64 = 1 << 10;
const FLAG_DISABLED: u64 = 1;
const OPEN_CLOEXEC: c_ulong = 8;
const IOCTL_ENABLE: c_ulong = 0x2400;
/// _IOW('$', 6, char *): the pointer's size is part of the number.
const IOCTL_SET_FILTER: c_ulong = 0x4000_2406 | ((size_of::<*const c_void>() as c_ulong) << 16);
const RECORD_SAMPLE: u32 = 9;
/// Where struct perf_event_mmap_page keeps data_head and data_tail.
const HEAD_AT: usize = 1024;
const TAIL_AT: usize = 1032;

/// struct perf_event_attr, its first published size.
#[repr(C)]
#[derive(Debug, Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

/// The running count of drop reasons.
#[derive(Debug)]
pub(super) struct Drops {
    tracepoint: Tracepoint,
    buffers: Vec<Buffer>,
    counts: BTreeMap<u32, u64>,
}

impl Drops {
    /// Begins to count on every processor.
    ///
    /// # Errors
    /// EPERM or EACCES without CAP_PERFMON and CAP_SYS_ADMIN of the first user namespace.
    pub(super) fn start() -> io::Result<Drops> {
        let tracepoint = tracefs::kfree_skb()?;
        let ignored: Vec<String> = tracepoint
            .reasons
            .iter()
            .filter(|(_, name)| IGNORED.contains(&name.as_str()))
            .map(|(number, _)| format!("reason != {number}"))
            .collect();
        let filter = std::ffi::CString::new(ignored.join(" && "))?;
        let cpus = parse_cpus(&files::text("/sys/devices/system/cpu/online")?);
        let buffers: io::Result<Vec<Buffer>> =
            cpus.into_iter().map(|cpu| Buffer::open(tracepoint.id, cpu, &filter)).collect();
        Ok(Drops { tracepoint, buffers: buffers?, counts: BTreeMap::new() })
    }

    /// Counts what the buffers hold.
    pub(super) fn drain(&mut self) {
        let (at, counts) = (self.tracepoint.reason_at, &mut self.counts);
        for buffer in &mut self.buffers {
            buffer.take(|sample| {
                if let Some(reason) = reason(sample, at) {
                    *counts.entry(reason).or_default() += 1;
                }
            });
        }
    }

    /// The reasons so far, most often first.
    pub(super) fn seen(&self) -> Vec<DropSeen> {
        let mut seen: Vec<DropSeen> = self
            .counts
            .iter()
            .filter_map(|(number, count)| {
                let reason = self.tracepoint.reasons.get(number)?.clone();
                (!IGNORED.contains(&reason.as_str())).then_some(DropSeen { reason, count: *count })
            })
            .collect();
        seen.sort_by_key(|seen| std::cmp::Reverse(seen.count));
        seen
    }
}

/// One processor's event with its ring.
#[derive(Debug)]
struct Buffer {
    memory: NonNull<u8>,
    bytes: usize,
    page_bytes: usize,
    _event: OwnedFd,
}

// SAFETY: the mapping belongs to this value alone and is reached only through `&mut self`.
unsafe impl Send for Buffer {}

impl Buffer {
    fn open(id: u64, cpu: u32, filter: &std::ffi::CStr) -> io::Result<Buffer> {
        let attributes = Attributes {
            kind: TYPE_TRACEPOINT,
            size: size_of::<Attributes>() as u32,
            config: id,
            sample_period: 1,
            sample_type: SAMPLE_RAW,
            flags: FLAG_DISABLED,
            // Nobody sleeps on the buffers; they are looked at now and then.
            wakeup_events: u32::MAX,
            ..Attributes::default()
        };
        let (everyone, no_group): (c_int, c_int) = (-1, -1);
        // SAFETY: the attributes are a live value of the size they state; the descriptor is owned from here on.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attributes,
                everyone,
                cpu as c_int,
                no_group,
                OPEN_CLOEXEC,
            )
        };
        let fd = c_int::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let event = unsafe { OwnedFd::from_raw_fd(fd) };
        let page_bytes = usize::try_from(crate::processes::page_bytes()).unwrap_or(4_096);
        let bytes = page_bytes * (1 + DATA_PAGES);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping of the event just opened; no address is asked for.
        let memory = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, event.as_raw_fd(), 0)
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory =
            NonNull::new(memory.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let buffer = Buffer { memory, bytes, page_bytes, _event: event };
        buffer.enable(filter)?;
        Ok(buffer)
    }

    fn enable(&self, filter: &std::ffi::CStr) -> io::Result<()> {
        let fd = self._event.as_raw_fd();
        if !filter.is_empty() {
            // A kernel without event filters only costs more; ignored reasons are left out later all the same.
            // SAFETY: the pointer is to a live zero-terminated string.
            unsafe { libc::ioctl(fd, IOCTL_SET_FILTER as _, filter.as_ptr()) };
        }
        // SAFETY: this request takes no pointer.
        let done = unsafe { libc::ioctl(fd, IOCTL_ENABLE as _, 0) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Gives the raw part of every sample to `each`.
    fn take(&mut self, mut each: impl FnMut(&[u8])) {
        let data_bytes = self.page_bytes * DATA_PAGES;
        // SAFETY: both words lie in the mapping's first page, eight-byte aligned; head is written by the kernel
        // and tail by us.
        let (head, tail) = unsafe {
            (
                AtomicU64::from_ptr(self.memory.as_ptr().add(HEAD_AT).cast()),
                AtomicU64::from_ptr(self.memory.as_ptr().add(TAIL_AT).cast()),
            )
        };
        // SAFETY: the data area lies in the mapping; the kernel writes only outside [tail, head), and only that
        // part is read.
        let data =
            unsafe { std::slice::from_raw_parts(self.memory.as_ptr().add(self.page_bytes), data_bytes) };
        let end = head.load(Ordering::Acquire);
        let mut at = tail.load(Ordering::Relaxed);
        for _ in 0..RECORD_COUNT_MAX {
            let held = usize::try_from(end.wrapping_sub(at)).unwrap_or(0).min(data_bytes);
            let Some((kind, record)) = record(data, at as usize % data_bytes, held) else { break };
            if kind == RECORD_SAMPLE {
                each(record.get(12..).unwrap_or_default());
            }
            at = at.wrapping_add(record.len() as u64);
        }
        tail.store(at, Ordering::Release);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `open` with this length and nothing points into it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.bytes) };
    }
}

/// Copies the record at `at` out of a ring of which `held` bytes are filled: its type, and all of it.
pub(super) fn record(ring: &[u8], at: usize, held: usize) -> Option<(u32, Vec<u8>)> {
    let copy = |length: usize| -> Vec<u8> { (0..length).map(|n| ring[(at + n) % ring.len()]).collect() };
    if held < 8 || ring.is_empty() {
        return None;
    }
    let head = copy(8);
    let kind = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
    let length = usize::from(u16::from_ne_bytes([head[6], head[7]]));
    (8..=held).contains(&length).then(|| (kind, copy(length)))
}

/// The drop reason of one raw sample.
fn reason(sample: &[u8], at: usize) -> Option<u32> {
    sample.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes)
}

/// Reads a list such as `0-3,8`.
fn parse_cpus(text: &str) -> Vec<u32> {
    let range = |part: &str| -> Option<(u32, u32)> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    text.trim()
        .split(',')
        .filter_map(range)
        .flat_map(|(first, last)| first..=last.min(first.saturating_add(CPU_COUNT_MAX)))
        .take(CPU_COUNT_MAX as usize)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn processors_are_listed() {
        assert_eq!(parse_cpus("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(parse_cpus("0-4294967295").len(), CPU_COUNT_MAX as usize);
        assert!(parse_cpus("x").is_empty());
    }

    #[test]
    fn a_record_may_wrap_around() {
        let mut ring = vec![0_u8; 32];
        ring[28..32].copy_from_slice(&RECORD_SAMPLE.to_ne_bytes());
        ring[2..4].copy_from_slice(&16_u16.to_ne_bytes());
        assert_eq!(record(&ring, 28, 16).map(|(kind, bytes)| (kind, bytes.len())), Some((RECORD_SAMPLE, 16)));
        assert_eq!(record(&ring, 28, 12), None);
    }

    proptest! {
        #[test]
        fn any_ring_is_read(ring in proptest::collection::vec(any::<u8>(), 0..64), at in 0_usize..64, held in 0_usize..64) {
            record(&ring, at, held.min(ring.len()));
        }
    }

    #[test]
    fn a_closed_port_is_a_reason() {
        let mut drops = match Drops::start() {
            Ok(drops) => drops,
            Err(error) => {
                println!("SKIPPED: drop reasons need CAP_PERFMON and tracefs: {error}");
                return;
            }
        };
        // Nobody listens there once the listener is gone.
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(std::net::TcpStream::connect(gone).is_err());
        drops.drain();
        assert!(drops.seen().iter().any(|seen| seen.reason == "NO_SOCKET"), "{:?}", drops.seen());
    }
}
