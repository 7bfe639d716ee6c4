//! Whole Ethernet frames between interfaces of the calling thread's namespace: what a cable of software needs.

use crate::option::set_integer;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

/// Opens a nonblocking packet socket bound to one interface, deaf to what this host sends.
///
/// The receive buffer, in bytes, is as large as the privilege allows. Needs CAP_NET_RAW.
pub fn open(interface: &str, buffer_bytes: libc::c_int) -> io::Result<OwnedFd> {
    let index = nix::net::if_::if_nametoindex(interface)?;
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: plain system call.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, libc::c_int::from(protocol)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // A smaller buffer loses more under a burst, and a socket that hears itself is slower: neither is wrong.
    let _ = set_integer(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, buffer_bytes);
    let _ = set_integer(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1);
    // SAFETY: an address is plain numbers, for which zero is valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index as i32;
    // SAFETY: the pointer and length describe `address`.
    let done = unsafe { libc::bind(fd, (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as u32) };
    if done == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// Waits for a frame on either socket, until `due` at most; for ever without.
pub fn wait(sockets: &[OwnedFd; 2], due: Option<Instant>) -> io::Result<()> {
    let watch = |socket: &OwnedFd| libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut both = [watch(&sockets[0]), watch(&sockets[1])];
    let timeout = due.map(|due| {
        let left = due.saturating_duration_since(Instant::now());
        libc::timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
    });
    let pointer = timeout.as_ref().map_or(std::ptr::null(), |timeout| &raw const *timeout);
    // SAFETY: the pointers describe `both` and `timeout`, which outlive the call.
    let done = unsafe { libc::ppoll(both.as_mut_ptr(), 2, pointer, std::ptr::null()) };
    match done {
        -1 if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted => {
            Err(io::Error::last_os_error())
        }
        _ => Ok(()),
    }
}

/// Takes one frame; `None` when none waits.
pub fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: the pointer and length describe `buffer`.
    let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    usize::try_from(got).ok()
}

/// Sends one frame; one that cannot be sent is a lost frame, as on a wire.
pub fn send(socket: &OwnedFd, frame: &[u8]) {
    // SAFETY: the pointer and length describe `frame`.
    unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
}

/// Switches segmentation and checksum offload of an interface off (ethtool ioctl, linux/ethtool.h).
///
/// Settings a driver lacks are passed over.
pub fn switch_offload_off(interface: &str) -> io::Result<()> {
    const SETTINGS: [u32; 5] = [0x17, 0x1f, 0x24, 0x2c, 0x15]; // STXCSUM, STSO, SGSO, SGRO, SRXCSUM
    #[repr(C)]
    struct EthtoolValue {
        command: u32,
        data: u32,
    }
    // SAFETY: plain system call.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    for command in SETTINGS {
        let mut value = EthtoolValue { command, data: 0 };
        // SAFETY: a request is plain bytes, for which zero is valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (slot, byte) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *slot = byte as libc::c_char;
        }
        request.ifr_ifru.ifru_data = (&raw mut value).cast();
        // SAFETY: the request and the value it points at outlive the call.
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    }
    Ok(())
}
