//! The few system calls the raw engine makes, with their errors named.

use crate::ScanError;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Opens a socket, closed on exec.
pub fn socket(domain: i32, kind: i32, protocol: i32, doing: &str) -> Result<OwnedFd, ScanError> {
    // SAFETY: plain system call; the descriptor is owned from here on.
    let fd = unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(refused(doing));
    }
    // SAFETY: `fd` was just opened and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets an option of a socket.
pub fn option<T>(socket: &OwnedFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer and length describe a live value for the duration of the call.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const *value).cast(), length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Binds a socket to an address of any family.
pub fn bind<T>(socket: &OwnedFd, address: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer and length describe a live address for the duration of the call.
    let done = unsafe { libc::bind(socket.as_raw_fd(), (&raw const *address).cast(), length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// An address of the link layer: interface (0 is all of them) and EtherType.
pub fn link_address(interface: u32, protocol: u16) -> libc::sockaddr_ll {
    // SAFETY: all zeroes is a valid address.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = interface as i32;
    address
}

/// Attaches a classic BPF program: packets for which it returns 0 never reach the socket.
pub fn attach_filter(socket: &OwnedFd, program: &[libc::sock_filter]) -> io::Result<()> {
    let fprog = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &fprog)
}

/// Waits until a socket can be read, at most `wait_ns`.
pub fn wait_readable(socket: &OwnedFd, wait_ns: u64) {
    /// Longest single wait, in nanoseconds, so that a stop is noticed.
    const WAIT_NS_MAX: u64 = 50_000_000;
    let wait_ns = wait_ns.min(WAIT_NS_MAX);
    let time = libc::timespec { tv_sec: 0, tv_nsec: wait_ns as libc::c_long };
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd and a live timespec; no signal mask.
    unsafe { libc::ppoll(&raw mut poll, 1, &raw const time, std::ptr::null()) };
}

/// The last errno as a scan error.
pub fn refused(doing: &str) -> ScanError {
    system(doing, io::Error::last_os_error())
}

/// An I/O error as a scan error; a lack of privilege is named as such.
pub fn system(doing: &str, source: io::Error) -> ScanError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            ScanError::Privilege { what: "the raw engine", privilege: "CAP_NET_RAW" }
        }
        _ => ScanError::System { doing: doing.to_owned(), source },
    }
}
