//! An established connection of our own, to send bytes again on: loss and size without touching the service.

use super::packet::What;
use super::{Answer, RawLink, Route, system};
use nix::poll::PollFlags;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use thiserror::Error;

/// The numbers of an established connection, as our side would send them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    pub source_port: u16,
    pub port: u16,
    /// The next sequence number we would use: one past the SYN, since nothing was sent.
    pub next: u32,
    pub acknowledgment: u32,
}

/// A flow with the kernel socket that keeps it open.
#[derive(Debug)]
pub struct OpenFlow {
    pub flow: Flow,
    pub socket: Socket,
    /// Largest segment the peer takes, from its SYN-ACK.
    pub peer_mss: Option<u16>,
    /// SYNs sent again before one was answered.
    pub retries: u32,
}

/// Why no flow could be opened.
#[derive(Debug, Error)]
pub enum FlowError {
    #[error("the connection was not established: {0}")]
    Connect(io::Error),
    #[error("the connection was established, but its SYN-ACK was not heard")]
    Unheard,
    #[error("the sockets failed: {0}")]
    Socket(#[from] io::Error),
}

/// How long a heard SYN-ACK may lag behind the kernel's own view.
const LAG_MS: u64 = 50;

/// How long to look at a new connection for a server that closes at once.
const SETTLE_MS: u64 = 2;

impl OpenFlow {
    /// Connects through the kernel and learns the numbers from the SYN-ACK heard.
    pub fn open(link: &mut RawLink, wait: Duration) -> Result<OpenFlow, FlowError> {
        let route = link.route().clone();
        let socket = Socket::new(Domain::for_address(route.target), Type::STREAM, None)?;
        route.bind(&socket, 0)?;
        socket.set_nonblocking(true)?;
        let source_port = socket.local_addr()?.as_socket().map_or(0, |a| a.port());
        match socket.connect(&SockAddr::from(route.target)) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(FlowError::Connect(error)),
        }
        system::wait_any(&[(socket.as_fd(), PollFlags::POLLOUT)], Instant::now() + wait)?;
        if let Some(error) = socket.take_error()? {
            return Err(FlowError::Connect(error));
        }
        if socket.peer_addr().is_err() {
            return Err(FlowError::Connect(io::ErrorKind::TimedOut.into()));
        }
        let until = Instant::now() + Duration::from_millis(LAG_MS);
        while let Some(heard) = link.hear(until)? {
            let ours = heard.ports == (route.target.port(), source_port);
            if ours && matches!(heard.what, What::Answer(Answer::SynAck, _)) {
                let flow = Flow {
                    source_port,
                    port: route.target.port(),
                    next: heard.numbers.1,
                    acknowledgment: heard.numbers.0.wrapping_add(1),
                };
                let retries = system::tcp_info(&socket).map_or(0, |i| i.tcpi_total_retrans);
                return Ok(OpenFlow { flow, socket, peer_mss: heard.mss, retries });
            }
        }
        Err(FlowError::Unheard)
    }

    /// True while neither side has ended the connection.
    pub fn alive(&self) -> bool {
        const ESTABLISHED: u8 = 1;
        system::tcp_info(&self.socket).is_ok_and(|info| info.tcpi_state == ESTABLISHED)
    }

    /// Waits a moment, so that a server that closes at once is seen to.
    pub fn settles(&self, rtt: Duration) -> bool {
        std::thread::sleep(rtt + Duration::from_millis(SETTLE_MS));
        self.alive()
    }
}

/// Largest IP packet this host's TCP would send on a connection, in bytes; `None` when the kernel does not say.
pub fn tcp_packet_max(socket: &Socket, route: &Route) -> Option<u32> {
    /// `tcpi_options`: timestamps are in use, which take twelve bytes of each header.
    const OPTION_TIMESTAMPS: u8 = 1;
    let info = system::tcp_info(socket).ok().filter(|info| info.tcpi_snd_mss > 0)?;
    let stamps = if info.tcpi_options & OPTION_TIMESTAMPS != 0 { 12 } else { 0 };
    Some(info.tcpi_snd_mss + u32::from(route.header_bytes()) + 20 + stamps)
}
