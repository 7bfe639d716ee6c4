//! TCP_INFO: the kernel's account of a connection (tcp(7)).

use std::os::fd::{AsFd, AsRawFd};

/// `tcpi_state` while the connection stands (net/tcp_states.h).
const TCP_ESTABLISHED: u8 = 1;
/// The other side has closed, this one not yet.
const TCP_CLOSE_WAIT: u8 = 8;

/// The parts of `struct tcp_info` (linux/tcp.h) that netwhy reads; 0 where an old kernel ends earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpInfo {
    pub state: u8,
    pub unacked: u32,
    pub rtt_us: u32,
    pub total_retrans: u32,
    pub bytes_acked: u64,
    pub bytes_received: u64,
    /// Segments that came out of order: something before them is missing.
    pub out_of_order: u32,
    /// The peer's window in bytes; `None` on kernels that do not say.
    pub peer_window: Option<u32>,
}

impl TcpInfo {
    /// The connection stands, though the other side may have closed its half.
    pub fn stands(&self) -> bool {
        matches!(self.state, TCP_ESTABLISHED | TCP_CLOSE_WAIT)
    }
}

/// Reads TCP_INFO; `None` when the socket has none.
pub fn tcp_info(socket: &impl AsFd) -> Option<TcpInfo> {
    let mut raw = [0_u8; 256];
    let mut length = raw.len() as libc::socklen_t;
    // SAFETY: the buffer lives through the call and `length` states its size.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            raw.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if done != 0 {
        return None;
    }
    let word = |at: usize| u32::from_ne_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    Some(TcpInfo {
        state: raw[0],
        unacked: word(24),
        rtt_us: word(68),
        total_retrans: word(100),
        bytes_acked: long(120),
        bytes_received: long(128),
        out_of_order: word(224),
        peer_window: (length >= 232).then(|| word(228)),
    })
}
