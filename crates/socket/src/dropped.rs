//! What a packet socket lost.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// How many packets the kernel had no room for since the last call, or since the socket was opened (packet(7),
/// PACKET_STATISTICS).
pub fn packets_dropped(socket: &impl AsFd) -> io::Result<u64> {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the pointers are to `statistics` and `length`, which outlive the call, and the length is that of the first.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    if done == 0 { Ok(statistics.tp_drops.into()) } else { Err(io::Error::last_os_error()) }
}
