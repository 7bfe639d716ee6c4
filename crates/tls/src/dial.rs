//! Opens one TCP connection as the case says: source address, interface; and reads its kernel record.

use netwhy_model::Case;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::mem::size_of_val;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};

/// Longest wait for one TCP handshake: long enough for the kernel's first two SYN retries, in milliseconds.
pub(crate) const CONNECT_MS_MAX: u64 = 3_200;

/// An open connection and how long the handshake took.
pub(crate) struct Dialed {
    pub stream: TcpStream,
    pub connect: Duration,
}

/// Connects, honouring `Case.source`.
pub(crate) async fn dial(case: &Case, address: SocketAddr, wait: Duration) -> io::Result<Dialed> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(interface) = &case.source.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if let Some(source) = case.source.address.filter(|source| source.is_ipv4() == address.is_ipv4()) {
        socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
    }
    let started = Instant::now();
    let socket = TcpSocket::from_std_stream(socket.into());
    let stream = tokio::time::timeout(wait, socket.connect(address))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(Dialed { stream, connect: started.elapsed() })
}

/// What the kernel counted on one connection (`struct tcp_info`, include/uapi/linux/tcp.h).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TcpFacts {
    /// Segments of ours nobody acknowledged yet.
    pub unacked: u32,
    pub retransmitted: u32,
    pub rtt_us: u32,
    pub bytes_received: u64,
    /// Segments with payload that arrived, in order or not (kernel 4.6 and newer).
    pub data_segments_in: u32,
}

impl TcpFacts {
    /// What we sent was repeated, and nobody ever acknowledged any of it.
    pub fn is_unheard(&self) -> bool {
        self.unacked > 0 && self.retransmitted >= 2 && self.data_segments_in == 0
    }

    /// Data arrived, yet a part before it is missing: the program never saw any of it.
    pub fn has_hole(&self) -> bool {
        self.bytes_received == 0 && self.data_segments_in > 0
    }
}

/// Reads the kernel's record; all zero when it gives none.
pub(crate) fn tcp_facts(stream: &TcpStream) -> TcpFacts {
    let Some(raw) = raw_tcp_info(stream.as_raw_fd()) else { return TcpFacts::default() };
    let word = |at: usize| raw.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes);
    let long = |at: usize| raw.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes);
    TcpFacts {
        unacked: word(24),
        rtt_us: word(68),
        retransmitted: word(100),
        bytes_received: long(128),
        data_segments_in: word(152),
    }
}

fn raw_tcp_info(descriptor: RawFd) -> Option<[u8; 232]> {
    let mut raw = [0u8; 232];
    let mut length = libc::socklen_t::try_from(size_of_val(&raw)).ok()?;
    // SAFETY: the pointer and the length describe `raw`, which outlives the call; the kernel writes at most `length`.
    let code = unsafe {
        libc::getsockopt(
            descriptor,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            raw.as_mut_ptr().cast::<libc::c_void>(),
            &raw mut length,
        )
    };
    (code == 0).then_some(raw)
}

/// Milliseconds with a fraction.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
