//! Lets a child begin in a network namespace that `ip netns` knows by name (ip-netns(8)).

use crate::error::EndError;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use tokio::process::Command;

/// Where the names are.
const NAMES: &str = "/run/netns";
/// Where files stand that replace those of /etc inside a namespace.
const OWN_ETC: &str = "/etc/netns";
/// Such files followed at most.
const OWN_ETC_COUNT_MAX: usize = 64;

/// Moves the command into the namespace just before its program starts.
pub(super) fn enter(command: &mut Command, name: &str) -> Result<(), EndError> {
    let failed = |source| EndError::Netns { name: name.to_owned(), source: Arc::new(source) };
    let namespace = File::open(Path::new(NAMES).join(name)).map_err(failed)?;
    let own_etc = own_etc(name);
    let move_in = move || {
        // SAFETY: setns(2) takes an open descriptor, which the closure owns.
        check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })?;
        if own_etc.is_empty() { Ok(()) } else { cover_etc(&own_etc) }
    };
    // SAFETY: the closure makes system calls with values prepared before the fork, and allocates nothing.
    unsafe { command.pre_exec(move_in) };
    Ok(())
}

/// Pairs of a file below /etc/netns/NAME and the file of /etc it stands for.
fn own_etc(name: &str) -> Vec<(CString, CString)> {
    let Ok(entries) = std::fs::read_dir(Path::new(OWN_ETC).join(name)) else { return Vec::new() };
    let pair = |entry: std::fs::DirEntry| {
        let target = Path::new("/etc").join(entry.file_name());
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).ok();
        Some((text(&entry.path())?, text(&target)?))
    };
    entries.flatten().take(OWN_ETC_COUNT_MAX).filter_map(pair).collect()
}

/// Lays them over /etc in a mount namespace of the child's own, as `ip netns exec` does.
fn cover_etc(pairs: &[(CString, CString)]) -> io::Result<()> {
    let none = std::ptr::null();
    // SAFETY: unshare(2) takes a number.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    // SAFETY: the path is a C string; a change of propagation reads no other argument.
    check(unsafe { libc::mount(none, c"/".as_ptr(), none, libc::MS_SLAVE | libc::MS_REC, none.cast()) })?;
    for (from, to) in pairs {
        // SAFETY: both are C strings that outlive the call. A file that /etc lacks is passed over, as there.
        unsafe { libc::mount(from.as_ptr(), to.as_ptr(), none, libc::MS_BIND, none.cast()) };
    }
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
