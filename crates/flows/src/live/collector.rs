//! Listens for exports on a UDP socket: many datagrams a system call, a large kernel buffer, losses counted.

use super::{LiveError, TICK_MS, now_ms};
use crate::export::{self, Arrival, Decoder};
use crate::names::{Names, Symbol};
use crate::record::Flow;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Datagrams taken with one system call.
const DATAGRAM_COUNT_MAX: usize = 64;
/// The longest datagram there is, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// What the kernel is asked to hold for us, in bytes: two thirds of a second of 200,000 records/s.
const RECEIVE_BUFFER_BYTES: usize = 64 << 20;
/// Flows handed over at once, about.
const BATCH_FLOWS: usize = 4096;
/// How long a batch may wait while datagrams keep coming.
const BATCH_WAIT: Duration = Duration::from_millis(TICK_MS);

/// What came in and what was lost on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    pub export: export::Counts,
    /// Datagrams the kernel threw away because they were not taken in time.
    pub dropped_by_kernel: u64,
    /// What the kernel granted for waiting datagrams, in bytes.
    pub receive_buffer_bytes: usize,
}

/// Listens for NetFlow, IPFIX and sFlow on one UDP address.
#[derive(Debug)]
pub struct Collector {
    socket: UdpSocket,
    address: SocketAddr,
    decoder: Decoder,
    received: Received,
    /// The kernel's own count, which wraps.
    drops_told: u32,
    datagram_number: u64,
    buffers: Vec<Vec<u8>>,
}

impl Collector {
    /// Takes the address; as root also a receive buffer beyond the system's limit.
    pub fn bind(address: SocketAddr, names: Arc<Names>) -> Result<Collector, LiveError> {
        let bind = || -> io::Result<(UdpSocket, usize, SocketAddr)> {
            let socket = UdpSocket::bind(address)?;
            if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
                setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES)?;
            }
            setsockopt(&socket, sockopt::RxqOvfl, &1)?;
            let granted = nix::sys::socket::getsockopt(&socket, sockopt::RcvBuf)?;
            let own = socket.local_addr()?;
            Ok((socket, granted, own))
        };
        let (socket, granted, own) = bind().map_err(|source| LiveError::Bind { address, source })?;
        Ok(Collector {
            socket,
            address: own,
            decoder: Decoder::new(names),
            received: Received { receive_buffer_bytes: granted, ..Received::default() },
            drops_told: 0,
            datagram_number: 0,
            buffers: vec![vec![0; DATAGRAM_BYTES_MAX]; DATAGRAM_COUNT_MAX],
        })
    }

    /// The address it listens on; the port is the kernel's where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn received(&self) -> Received {
        Received { export: self.decoder.counts(), ..self.received }
    }

    /// Receives until `stop` is set; returns within [`TICK_MS`] then. Call again to go on.
    ///
    /// `each` gets the flows of some datagrams, at least every [`TICK_MS`], then perhaps none.
    pub fn run(
        &mut self,
        stop: &AtomicBool,
        each: &mut dyn FnMut(&[Flow], &Received),
    ) -> Result<Received, LiveError> {
        let mut flows = Vec::with_capacity(2 * BATCH_FLOWS);
        let mut handed_over = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let taken = self.take(&mut flows)?;
            let late = handed_over.elapsed() >= BATCH_WAIT;
            if flows.len() >= BATCH_FLOWS || late || (taken == 0 && !flows.is_empty()) {
                each(&flows, &self.received());
                flows.clear();
                handed_over = Instant::now();
            }
            if taken == 0 {
                let left = BATCH_WAIT.saturating_sub(handed_over.elapsed());
                self.wait(left)?;
            }
        }
        each(&flows, &self.received());
        Ok(self.received())
    }

    fn wait(&self, time: Duration) -> Result<(), LiveError> {
        let timeout = PollTimeout::try_from(time.as_millis() as u64 + 1).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(LiveError::Socket(error.into())),
        }
    }

    /// Takes what waits, without waiting itself; returns how many datagrams.
    fn take(&mut self, flows: &mut Vec<Flow>) -> Result<usize, LiveError> {
        // Made anew each time: the kernel shortens the room for control messages in place, and nix leaves it so.
        let space = nix::cmsg_space!(u32);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(self.buffers.len(), Some(space));
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let fd = self.socket.as_raw_fd();
        let messages = match recvmmsg(fd, &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => messages,
            // ECONNREFUSED and the like are errors of packets, not of the socket.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => return Ok(0),
            Err(error) => return Err(LiveError::Socket(error.into())),
        };
        let at_ms = now_ms();
        let mut count = 0;
        for message in messages {
            count += 1;
            self.datagram_number += 1;
            for control in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::RxqOvfl(drops) = control {
                    self.received.dropped_by_kernel += u64::from(drops.wrapping_sub(self.drops_told));
                    self.drops_told = drops;
                }
            }
            let Some(exporter) = message.address.as_ref().and_then(address) else { continue };
            let arrival =
                Arrival { exporter, at_ms, file: Symbol::NONE, offset: self.datagram_number };
            for bytes in message.iovs() {
                // What was not understood is counted by the decoder.
                let _ = self.decoder.datagram(&arrival, bytes, &mut |flow| flows.push(*flow));
            }
        }
        Ok(count)
    }
}

/// The sender, as it is on the wire: an IPv4 one also where the socket takes both families.
fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::from(SocketAddrV4::from(*v4)));
    let address =
        v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::from(SocketAddrV6::from(*v6))))?;
    let ip: IpAddr = address.ip().to_canonical();
    Some(SocketAddr::new(ip, address.port()))
}
