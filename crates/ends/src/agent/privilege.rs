//! What an agent gives up before it listens: every capability reading does not need, and every writable mount.

use std::ffi::CStr;
use std::io;

/// Capabilities that reading needs (capabilities(7)), with their numbers.
const READING: [(&str, u32); 5] = [
    // The ring that sees packets.
    ("CAP_NET_RAW", 13),
    // Rules, counters and connection tracking are only told to those who may also change them.
    ("CAP_NET_ADMIN", 12),
    // Logs and /proc files of other users.
    ("CAP_DAC_READ_SEARCH", 2),
    // Which process holds which socket.
    ("CAP_SYS_PTRACE", 19),
    // The kernel's log.
    ("CAP_SYSLOG", 34),
];
/// What tracing needs besides.
const TRACING: [(&str, u32); 2] = [("CAP_PERFMON", 38), ("CAP_SYS_ADMIN", 21)];
/// Numbers beyond the last capability any kernel has.
const CAPABILITY_COUNT_MAX: u32 = 64;
/// Where the kernel's tracing is set up.
const TRACEFS: [&CStr; 2] = [c"/sys/kernel/tracing", c"/sys/kernel/debug/tracing"];

/// What is left to the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privileges {
    /// Capabilities it has and keeps.
    pub kept: Vec<&'static str>,
    /// Every mounted file system is read-only for it.
    pub read_only: bool,
}

/// Gives up what reading does not need, for this thread and those it starts from now on.
///
/// Call it before any other thread exists. `tracing` keeps what tracing of drops needs.
pub fn drop_privileges(tracing: bool) -> io::Result<Privileges> {
    let read_only = mounts_read_only(tracing).is_ok();
    let mut wanted = READING.to_vec();
    if tracing {
        wanted.extend(TRACING);
    }
    let keep = wanted.iter().fold(0u64, |mask, (_, number)| mask | 1 << number);
    // SAFETY: prctl(2) with these operations reads only the numbers given.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    for number in (0..CAPABILITY_COUNT_MAX).filter(|number| keep & (1 << number) == 0) {
        // Refused without CAP_SETPCAP, when there is little to lose, and for numbers this kernel lacks.
        // SAFETY: as above.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) };
    }
    // SAFETY: as above.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let kept = permitted()? & keep;
    set(kept)?;
    let names = wanted.iter().filter(|(_, number)| kept & (1 << number) != 0).map(|(name, _)| *name);
    Ok(Privileges { kept: names.collect(), read_only })
}

/// Makes every mount read-only in a mount namespace of our own (mount_setattr(2), Linux 5.12).
fn mounts_read_only(tracing: bool) -> io::Result<()> {
    let none = std::ptr::null();
    // SAFETY: unshare(2) takes a number.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    // Nothing of this reaches the host; what it mounts later still reaches us.
    // SAFETY: the path is a C string; a change of propagation reads no other argument.
    check(unsafe { libc::mount(none, c"/".as_ptr(), none, libc::MS_SLAVE | libc::MS_REC, none.cast()) })?;
    set_read_only(c"/", libc::AT_RECURSIVE, true)?;
    if tracing {
        // One of the two is usually not there.
        TRACEFS.iter().for_each(|path| drop(set_read_only(path, 0, false)));
    }
    Ok(())
}

fn set_read_only(path: &CStr, flags: libc::c_int, read_only: bool) -> io::Result<()> {
    let bit = libc::MOUNT_ATTR_RDONLY;
    let (attr_set, attr_clr) = if read_only { (bit, 0) } else { (0, bit) };
    let attributes = libc::mount_attr { attr_set, attr_clr, propagation: 0, userns_fd: 0 };
    let size = size_of::<libc::mount_attr>();
    // SAFETY: path and attributes outlive the call, and the size is that of the attributes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The version of the structures below: 64 capabilities in two halves (linux/capability.h).
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    /// 0 is the calling thread.
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn permitted() -> io::Result<u64> {
    let (mut header, mut halves) = (Header { version: VERSION_3, pid: 0 }, [Half::default(); 2]);
    // SAFETY: version 3 has two halves, which the kernel fills.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
    match result {
        0 => Ok(u64::from(halves[0].permitted) | u64::from(halves[1].permitted) << 32),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set(mask: u64) -> io::Result<()> {
    let half = |bits: u64| {
        let bits = (bits & u64::from(u32::MAX)) as u32;
        Half { effective: bits, permitted: bits, inheritable: 0 }
    };
    let (mut header, halves) = (Header { version: VERSION_3, pid: 0 }, [half(mask), half(mask >> 32)]);
    // SAFETY: version 3 reads two halves.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs in a thread of its own: what it gives up is its own.
    fn alone<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(work).join().unwrap()
    }

    #[test]
    fn what_reading_does_not_need_is_gone_for_good() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: needs root to have something to give up");
            return;
        }
        let (left, status, write, tracing) = alone(|| {
            let left = drop_privileges(false).unwrap();
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let write = std::fs::write(std::env::temp_dir().join("netwhy-must-not-exist"), "x");
            (left, status, write, drop_privileges(true).unwrap())
        });
        assert!(!left.kept.contains(&"CAP_SYS_ADMIN"));
        let mask = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        let allowed = READING.iter().fold(0u64, |mask, (_, number)| mask | 1 << number);
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(mask(set) & !allowed, 0, "{set}");
        }
        assert_eq!((mask("CapInh"), mask("CapAmb")), (0, 0));
        assert!(status.contains("NoNewPrivs:\t1"));
        if left.read_only {
            assert_eq!(write.unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
        }
        assert!(!tracing.kept.contains(&"CAP_SYS_ADMIN"), "what is gone does not come back");
        assert!(std::fs::write("/proc/self/comm", "netwhy-test").is_ok(), "the other threads keep theirs");
    }
}
