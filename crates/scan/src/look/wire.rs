//! One connection that reads no more than a look needs, and never waits past a deadline.

use crate::LookFor;
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Bytes read of one answer.
const ANSWER_BYTES_MAX: usize = 4_096;
/// After the first bytes, others belong to the same answer if they follow within this.
const PAUSE_MAX: Duration = Duration::from_millis(30);

pub(crate) struct Wire {
    stream: TcpStream,
    closed: bool,
}

impl Wire {
    pub fn open(address: SocketAddr, wanted: &LookFor, deadline: Instant) -> Option<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).ok()?;
        if let Some(interface) = &wanted.interface {
            socket.bind_device(Some(interface.as_bytes())).ok()?;
        }
        if let Some(source) = wanted.source.filter(|source| source.is_ipv4() == address.is_ipv4()) {
            socket.bind(&SocketAddr::new(source, 0).into()).ok()?;
        }
        socket.connect_timeout(&address.into(), left(deadline)?).ok()?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).ok()?;
        Some(Self { stream, closed: false })
    }

    /// The other side has closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether all of it left before the deadline.
    pub fn write(&mut self, bytes: &[u8], deadline: Instant) -> bool {
        let Some(time) = left(deadline) else { return false };
        self.stream.set_write_timeout(Some(time)).is_ok() && self.stream.write_all(bytes).is_ok()
    }

    /// What comes until the deadline, a pause after the first bytes, the end, or 4 KiB.
    pub fn read_until(&mut self, deadline: Instant) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut until = deadline;
        // Bounded by the bytes kept: every turn adds some or ends.
        while bytes.len() < ANSWER_BYTES_MAX {
            let mut part = [0; 1_024];
            let most = part.len().min(ANSWER_BYTES_MAX - bytes.len());
            match self.read_some(&mut part[..most], until) {
                Ok(0) => {
                    self.closed = true;
                    break;
                }
                Ok(count) => bytes.extend_from_slice(&part[..count]),
                Err(error) => {
                    self.closed |= !is_timeout(&error);
                    break;
                }
            }
            until = deadline.min(Instant::now() + PAUSE_MAX);
        }
        bytes
    }

    /// One read that waits until a deadline at most.
    pub fn read_some(&mut self, into: &mut [u8], deadline: Instant) -> io::Result<usize> {
        let Some(time) = left(deadline) else { return Err(io::ErrorKind::TimedOut.into()) };
        self.stream.set_read_timeout(Some(time))?;
        self.stream.read(into)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// Time until a deadline; `None` when it is over, since a timeout of 0 would wait for ever.
fn left(deadline: Instant) -> Option<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    (left >= Duration::from_millis(1)).then_some(left)
}
