//! One handshake by the kernel, and how it ended.

use crate::socket::{self, QueuedError, TcpInfo};
use crate::tap::{ms_between, now_ns};
use netwhy_model::Source;
use socket2::{Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::Instant;

/// How to make the attempt.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub source: Arc<Source>,
    /// Connect from this source port instead of one the kernel picks.
    pub port: Option<u16>,
    /// Close with a RST, so that the source port is free again at once.
    pub abort: bool,
    /// Type of service or traffic class of the packets sent, where not the usual 0.
    pub traffic_class: Option<u8>,
}

impl Plan {
    /// From a port the kernel picks, closed politely unless ports are few.
    pub(crate) fn new(source: &Arc<Source>) -> Plan {
        Plan { source: Arc::clone(source), port: None, abort: crate::local::few_ports(), traffic_class: None }
    }
}

/// How an attempt ended, by the socket alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Open,
    /// A RST: connection refused without an ICMP error behind it.
    Refused,
    /// An ICMP error of somebody else.
    Rejected(QueuedError),
    Silent,
    /// This host's own stack said no.
    Local(i32),
}

/// One attempt, with its socket while it is held.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub remote: SocketAddr,
    pub local: Option<SocketAddr>,
    pub started_ns: u64,
    pub ended_ns: u64,
    pub ended: Ended,
    pub info: Option<TcpInfo>,
    pub socket: Option<AsyncFd<Socket>>,
}

impl Attempt {
    pub(crate) fn is_open(&self) -> bool {
        self.ended == Ended::Open
    }

    /// From connect() to its end, in milliseconds.
    pub(crate) fn elapsed_ms(&self) -> f64 {
        ms_between(self.started_ns, self.ended_ns)
    }

    /// SYNs sent again, as the kernel counts them.
    pub(crate) fn retries(&self) -> u32 {
        self.info.map_or(0, |info| info.total_retrans)
    }

    /// Lets go of the connection.
    pub(crate) fn close(&mut self) {
        self.socket = None;
    }
}

/// Connects and waits for the end, at most `wait`.
pub(crate) async fn attempt(plan: &Plan, remote: SocketAddr, wait: Duration) -> Attempt {
    match start(plan, remote) {
        Ok(started) => finish(started, wait).await,
        Err(failed) => *failed,
    }
}

/// A connect() on its way.
#[derive(Debug)]
pub(crate) struct Started {
    remote: SocketAddr,
    local: Option<SocketAddr>,
    started_ns: u64,
    socket: AsyncFd<Socket>,
}

/// Sends the SYN and does not wait.
pub(crate) fn start(plan: &Plan, remote: SocketAddr) -> Result<Started, Box<Attempt>> {
    let started_ns = now_ns();
    let failed = |error: &io::Error| {
        Box::new(Attempt {
            remote,
            local: None,
            started_ns,
            ended_ns: now_ns(),
            ended: Ended::Local(error.raw_os_error().unwrap_or(libc::EIO)),
            info: None,
            socket: None,
        })
    };
    let socket = socket::open_from(&plan.source, remote, Type::STREAM, Protocol::TCP, plan.port)
        .map_err(|error| failed(&error))?;
    // Without it an error's sender is lost; the attempt is still worth making.
    let _ = socket::keep_errors(&socket, remote.is_ipv6());
    if plan.abort {
        let _ = socket.set_linger(Some(Duration::ZERO));
    }
    if let Some(class) = plan.traffic_class {
        socket::set_traffic_class(&socket, remote.is_ipv6(), class).map_err(|error| failed(&error))?;
    }
    match socket.connect(&SockAddr::from(remote)) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(failed(&error)),
    }
    let local = socket::local_address(&socket);
    let socket = socket::watched(socket).map_err(|error| failed(&error))?;
    Ok(Started { remote, local, started_ns, socket })
}

/// Waits for a started handshake, at most `wait` from now.
pub(crate) async fn finish(started: Started, wait: Duration) -> Attempt {
    let ready = tokio::time::timeout(wait, started.socket.writable()).await.is_ok();
    conclude(started, ready)
}

/// Waits for a started handshake until a deadline that may still move.
pub(crate) async fn finish_by(started: Started, mut deadline: watch::Receiver<Instant>) -> Attempt {
    loop {
        let until = *deadline.borrow_and_update();
        tokio::select! {
            _ = started.socket.writable() => return conclude(started, true),
            () = tokio::time::sleep_until(until) => return conclude(started, false),
            moved = deadline.changed() => if moved.is_err() {
                let ready = tokio::time::timeout_at(until, started.socket.writable()).await.is_ok();
                return conclude(started, ready);
            },
        }
    }
}

fn conclude(started: Started, ready: bool) -> Attempt {
    let Started { remote, local, started_ns, socket } = started;
    let ended_ns = now_ns();
    let info = socket::tcp_info(socket.get_ref());
    let ended = if ready { verdict(socket.get_ref(), local.map(|l| l.ip())) } else { Ended::Silent };
    let keep = ended == Ended::Open;
    Attempt { remote, local, started_ns, ended_ns, ended, info, socket: keep.then_some(socket) }
}

fn verdict(socket: &Socket, own: Option<IpAddr>) -> Ended {
    let errno = match socket.take_error() {
        Ok(None) => return Ended::Open,
        Ok(Some(error)) | Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
    };
    match socket::queued_errors(socket).into_iter().find(|e| e.errno == errno) {
        Some(error) if error.from.is_some() && error.from != own => Ended::Rejected(error),
        Some(_) => Ended::Local(errno),
        // A SYN refused by RST is ECONNREFUSED; this RST came after the handshake, from whoever accepted.
        None if errno == libc::ECONNRESET => Ended::Open,
        None if errno == libc::ECONNREFUSED => Ended::Refused,
        // Not every kernel queues an error for a socket that never got through.
        None => Ended::Local(errno),
    }
}
