//! The walls of the lab: namespaces that vanish with the process that made them.
//!
//! Three processes stand in a row. The *keeper* lives outside, waits and watches the pipe to whoever
//! asked for the lab; the *init* is process 1 of a pid namespace and only reaps; the *builder* does the
//! work. When the asker dies, in whatever way, its end of the pipe closes, the keeper kills the init,
//! and the kernel removes every process, interface and mount of the lab. Nothing needs tidying up.

use crate::error::{LabError, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Where the lab keeps its files, on a tmpfs of its own.
pub const LAB_DIRECTORY: &str = "/run/lab";
/// Exit status of a lab that could not be walled off: the asker maps it to `NeedsRoot`.
pub const EXIT_FORBIDDEN: u8 = 77;

/// Directories daemons write to; each becomes an empty tmpfs, the rest of the disk is read-only.
const SCRATCH: [&str; 13] = [
    "/run",
    "/tmp",
    "/var/tmp",
    "/var/log",
    "/var/lib/nginx",
    "/var/lib/haproxy",
    "/var/lib/knot",
    "/var/lib/unbound",
    "/var/lib/bind",
    "/var/lib/misc",
    "/var/cache/bind",
    "/dev/shm",
    "/mnt",
];
const MOUNT_ATTR_RDONLY: u64 = 1;
const AT_RECURSIVE: libc::c_uint = 0x8000;

/// Which of the processes the caller has become.
#[derive(Debug)]
pub enum Became {
    /// The process outside; the lab is over and this is its exit status.
    Keeper(u8),
    /// The process inside; build and run.
    Builder,
}

/// Walls off the calling process. Must be called before any thread exists.
///
/// Standard input must be a pipe whose other end the asker holds for as long as the lab shall live.
pub fn enter() -> Result<Became> {
    let root = nix::unistd::geteuid().is_root();
    let _ = nix::unistd::setsid();
    wall_off(root)?;
    // SAFETY: no thread exists yet, so the child may go on using the allocator.
    match unsafe { fork() }.map_err(|errno| LabError::kernel("a fork")(errno.into()))? {
        ForkResult::Parent { child } => Ok(Became::Keeper(keep(child))),
        ForkResult::Child => {
            let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
            furnish()?;
            // SAFETY: as above.
            match unsafe { fork() }.map_err(|errno| LabError::kernel("a fork")(errno.into()))? {
                ForkResult::Parent { child } => Ok(Became::Keeper(reap(child))),
                ForkResult::Child => Ok(Became::Builder),
            }
        }
    }
}

fn wall_off(root: bool) -> Result<()> {
    let flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    // Root without CAP_SYS_ADMIN, as in most containers, fares as any user does.
    if root && unshare(flags).is_ok() {
        return Ok(());
    }
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let _ = nix::sys::prctl::set_dumpable(true);
    unshare(flags | CloneFlags::CLONE_NEWUSER)
        .map_err(|errno| LabError::NeedsRoot(errno.desc().to_lowercase()))?;
    let write = |path: &str, text: String| {
        fs::write(path, text).map_err(|error| LabError::NeedsRoot(error.to_string().to_lowercase()))
    };
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/uid_map", format!("0 {user} 1"))?;
    write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// Waits until the init is gone, or kills it when the asker has gone. Returns the exit status.
fn keep(init: Pid) -> u8 {
    // SAFETY: pidfd_open returns a new descriptor or -1.
    let watched = unsafe { libc::syscall(libc::SYS_pidfd_open, init.as_raw(), 0) };
    if let Ok(fd) = i32::try_from(watched)
        && fd >= 0
    {
        // SAFETY: the descriptor was just opened and belongs to nobody else.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd) };
        let watch = |fd, events| libc::pollfd { fd, events, revents: 0 };
        let mut both = [watch(0, 0), watch(pidfd.as_raw_fd(), libc::POLLIN)];
        // SAFETY: the pointer and count describe `both`.
        unsafe { libc::poll(both.as_mut_ptr(), 2, -1) };
        if both[1].revents == 0 {
            let _ = nix::sys::signal::kill(init, nix::sys::signal::Signal::SIGKILL);
        }
    }
    status_of(waitpid(init, None))
}

/// Process 1: reaps whatever is orphaned until the builder ends; then everything else is killed.
fn reap(builder: Pid) -> u8 {
    loop {
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::empty())) {
            Ok(status) if status.pid() == Some(builder) => return status_of(Ok(status)),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return 1,
        }
    }
}

fn status_of(status: nix::Result<WaitStatus>) -> u8 {
    match status {
        Ok(WaitStatus::Exited(_, code)) => u8::try_from(code).unwrap_or(1),
        _ => 1,
    }
}

/// Makes the file system of the lab: the disk read-only, /proc of this pid namespace, scratch on tmpfs.
fn furnish() -> Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|errno| LabError::kernel("private mounts")(errno.into()))?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // Inside a container /proc may be masked and a fresh one refused; the old one then has to do.
    let fresh_proc = mount(Some("proc"), "/proc", Some("proc"), quiet, none).is_ok();
    if read_only("/", true).is_ok() {
        let _ = read_write("/proc");
    } else if !fresh_proc {
        return Err(LabError::kernel("a read-only view of the disk")(io::ErrorKind::PermissionDenied.into()));
    }
    for directory in SCRATCH.iter().filter(|directory| Path::new(directory).is_dir()) {
        // World-writable, as /tmp is: daemons that drop to another user write here too.
        mount(
            Some("tmpfs"),
            *directory,
            Some("tmpfs"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some("mode=1777"),
        )
        .map_err(|errno| LabError::kernel("a tmpfs")(errno.into()))?;
    }
    fs::create_dir_all(LAB_DIRECTORY).map_err(LabError::file(LAB_DIRECTORY))?;
    let base = format!("{LAB_DIRECTORY}/.etc");
    fs::create_dir_all(&base).map_err(LabError::file(&base))?;
    mount(Some("/etc"), base.as_str(), none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
        .map_err(|errno| LabError::kernel("a bind mount of /etc")(errno.into()))
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

fn read_only(path: &str, recursive: bool) -> io::Result<()> {
    set_attributes(
        path,
        recursive,
        MountAttributes { set: MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, user_namespace: 0 },
    )
}

fn read_write(path: &str) -> io::Result<()> {
    set_attributes(
        path,
        false,
        MountAttributes { set: 0, clear: MOUNT_ATTR_RDONLY, propagation: 0, user_namespace: 0 },
    )
}

fn set_attributes(path: &str, recursive: bool, attributes: MountAttributes) -> io::Result<()> {
    let path = std::ffi::CString::new(path)?;
    let flags = if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is NUL-terminated and the attributes outlive the call, with their true size.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
