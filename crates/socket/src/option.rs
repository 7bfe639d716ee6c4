//! Options whose value is an integer.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Sets an integer option to 1.
pub fn set_flag(socket: &impl AsFd, level: i32, name: i32) -> io::Result<()> {
    set_integer(socket, level, name, 1)
}

/// Sets an integer option (setsockopt(2)).
pub fn set_integer(socket: &impl AsFd, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer and length describe a live c_int for the duration of the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
