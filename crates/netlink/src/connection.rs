//! One netlink socket: requests, dumps, and what the kernel multicasts.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};
use thiserror::Error;

const HEADER_LEN: usize = 16;
const MESSAGE_ERROR: u16 = 2;
const MESSAGE_DONE: u16 = 3;
const FLAG_REQUEST: u16 = 1;
const FLAG_MULTI: u16 = 2;
const FLAG_ACK: u16 = 4;
const FLAG_DUMP_INTERRUPTED: u16 = 0x10;
const FLAG_DUMP: u16 = 0x300;
/// One datagram of a dump; the kernel fills up to this much at once.
const DATAGRAM_BYTES_MAX: usize = 256 << 10;
/// Datagrams of one dump: with 32 KiB each this is 64 GiB, far past any table.
const DATAGRAM_COUNT_MAX: usize = 2_000_000;
/// How long the kernel may take for one datagram, in milliseconds.
const WAIT_MS_MAX: u64 = 2_000;
/// What the kernel holds for us of multicast messages, in bytes.
const EVENT_BUFFER_BYTES: i32 = 4 << 20;

/// Which part of the kernel is spoken to (linux/netlink.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Route = 0,
    SockDiag = 4,
    Xfrm = 6,
    Netfilter = 12,
}

/// Why the kernel did not answer as hoped.
#[derive(Debug, Error)]
pub enum NetlinkError {
    #[error("a netlink socket failed")]
    Socket(#[source] io::Error),
    #[error("the kernel refused the request")]
    Refused(#[source] io::Error),
    #[error("the kernel gave no answer within {WAIT_MS_MAX} ms")]
    Silent,
}

impl NetlinkError {
    /// The kernel's errno, when it gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            NetlinkError::Socket(error) | NetlinkError::Refused(error) => error.raw_os_error(),
            NetlinkError::Silent => None,
        }
    }
}

/// One netlink socket.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens a socket of the calling thread's network namespace.
    pub fn open(protocol: Protocol) -> Result<Connection, NetlinkError> {
        // SAFETY: plain system call; the descriptor is owned from here on.
        let fd = unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol as libc::c_int)
        };
        if fd < 0 {
            return Err(NetlinkError::Socket(io::Error::last_os_error()));
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let connection = Connection { socket, sequence: 0, buffer: vec![0; DATAGRAM_BYTES_MAX] };
        connection.bind()?;
        connection.wait_at_most(Duration::from_millis(WAIT_MS_MAX))?;
        Ok(connection)
    }

    /// Takes an address of its own: one without hears nothing of what the kernel multicasts.
    fn bind(&self) -> Result<(), NetlinkError> {
        // SAFETY: all zeroes is a valid address; the kernel chooses the port.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        // SAFETY: the pointer and length describe the live address for the duration of the call.
        let done = unsafe {
            libc::bind(
                self.socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_nl>() as libc::socklen_t,
            )
        };
        if done == 0 { Ok(()) } else { Err(NetlinkError::Socket(io::Error::last_os_error())) }
    }

    /// Hears what the kernel multicasts to a group (`NFNLGRP_*`, `RTNLGRP_*`).
    pub fn join(&self, group: u32) -> Result<(), NetlinkError> {
        // The privileged form passes rmem_max; where it is refused the default is good enough.
        let _ = self.option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, EVENT_BUFFER_BYTES);
        self.option(libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group as libc::c_int)
    }

    /// Sets a netlink option such as NETLINK_EXT_ACK or NETLINK_NO_ENOBUFS.
    pub fn set(&self, option: libc::c_int, value: i32) -> Result<(), NetlinkError> {
        self.option(libc::SOL_NETLINK, option, value)
    }

    /// Asks for a dump; every message's type and body go to `each`, in order, as they come.
    ///
    /// Returns false when the kernel says the table changed while it was dumped.
    pub fn dump(
        &mut self,
        kind: u16,
        body: &[u8],
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<bool, NetlinkError> {
        self.walk(kind, body, |kind, body| {
            each(kind, body);
            true
        })
    }

    /// Asks for a dump and stops it when `each` returns false; what is left unread goes with the connection.
    ///
    /// Returns false when it was stopped, or when the table changed while it was dumped.
    pub fn dump_some(
        mut self,
        kind: u16,
        body: &[u8],
        each: impl FnMut(u16, &[u8]) -> bool,
    ) -> Result<bool, NetlinkError> {
        self.walk(kind, body, each)
    }

    fn walk(
        &mut self,
        kind: u16,
        body: &[u8],
        mut each: impl FnMut(u16, &[u8]) -> bool,
    ) -> Result<bool, NetlinkError> {
        self.send(kind, FLAG_REQUEST | FLAG_DUMP, body)?;
        let mut consistent = true;
        for _ in 0..DATAGRAM_COUNT_MAX {
            let length = self.receive()?;
            let datagram = self.buffer.get(..length).unwrap_or_default();
            for (head, body) in messages(datagram).filter(|(head, _)| head.sequence == self.sequence) {
                consistent &= head.flags & FLAG_DUMP_INTERRUPTED == 0;
                match head.kind {
                    // A dump may also end with an errno.
                    MESSAGE_DONE => return refused(body).map(|()| consistent),
                    MESSAGE_ERROR => return refused(body).map(|()| consistent),
                    kind if !each(kind, body) => return Ok(false),
                    _ => {}
                }
            }
        }
        Err(NetlinkError::Silent)
    }

    /// Asks one question with at most one answer: its type and body.
    pub fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
    ) -> Result<Option<(u16, Vec<u8>)>, NetlinkError> {
        self.send(kind, FLAG_REQUEST | FLAG_ACK | flags, body)?;
        let mut answer = None;
        for _ in 0..DATAGRAM_COUNT_MAX {
            let length = self.receive()?;
            let datagram = self.buffer.get(..length).unwrap_or_default();
            for (head, body) in messages(datagram).filter(|(head, _)| head.sequence == self.sequence) {
                match head.kind {
                    MESSAGE_DONE => return Ok(answer),
                    MESSAGE_ERROR => return refused(body).map(|()| answer),
                    kind if answer.is_none() => answer = Some((kind, body.to_vec())),
                    _ => {}
                }
            }
        }
        Err(NetlinkError::Silent)
    }

    /// Sends several messages as one datagram, such as an nf_tables batch, and waits for every acknowledgement.
    ///
    /// `messages` are (type, flags, body); those with NLM_F_ACK are waited for, the first refusal is returned.
    pub fn batch(&mut self, parts: &[(u16, u16, Vec<u8>)]) -> Result<(), NetlinkError> {
        let mut bytes = Vec::new();
        let mut waiting = Vec::new();
        for (kind, flags, body) in parts {
            self.sequence = self.sequence.wrapping_add(1);
            if flags & FLAG_ACK != 0 {
                waiting.push(self.sequence);
            }
            write_message(&mut bytes, *kind, FLAG_REQUEST | flags, self.sequence, body);
        }
        self.send_bytes(&bytes)?;
        while !waiting.is_empty() {
            let length = self.receive()?;
            for (head, body) in messages(self.buffer.get(..length).unwrap_or_default()) {
                if head.kind == MESSAGE_ERROR {
                    refused(body)?;
                    waiting.retain(|sequence| *sequence != head.sequence);
                }
            }
        }
        Ok(())
    }

    /// Takes multicast messages until the deadline or until `each` returns false.
    ///
    /// Returns false when the kernel had to throw messages away (ENOBUFS).
    pub fn events(
        &mut self,
        until: Instant,
        mut each: impl FnMut(u16, &[u8]) -> bool,
    ) -> Result<bool, NetlinkError> {
        let mut complete = true;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // A timeout of zero would mean for ever.
            self.wait_at_most(left.max(Duration::from_millis(1)))?;
            match self.receive() {
                Ok(length) => {
                    for (head, body) in messages(self.buffer.get(..length).unwrap_or_default()) {
                        if !each(head.kind, body) {
                            return Ok(complete);
                        }
                    }
                }
                Err(NetlinkError::Silent) => {}
                Err(error) if error.errno() == Some(libc::ENOBUFS) => complete = false,
                Err(error) => return Err(error),
            }
            if left.is_zero() {
                return Ok(complete);
            }
        }
    }

    fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
        write_message(&mut bytes, kind, flags, self.sequence, body);
        self.send_bytes(&bytes)
    }

    fn send_bytes(&self, bytes: &[u8]) -> Result<(), NetlinkError> {
        // SAFETY: the pointer and length describe a live slice.
        let sent = unsafe { libc::send(self.socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(NetlinkError::Socket(io::Error::last_os_error())) } else { Ok(()) }
    }

    fn receive(&mut self) -> Result<usize, NetlinkError> {
        loop {
            // SAFETY: the pointer and length describe the live buffer.
            let got = unsafe {
                libc::recv(self.socket.as_raw_fd(), self.buffer.as_mut_ptr().cast(), self.buffer.len(), 0)
            };
            if let Ok(length) = usize::try_from(got) {
                return Ok(length);
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Err(NetlinkError::Silent),
                _ => return Err(NetlinkError::Socket(error)),
            }
        }
    }

    fn wait_at_most(&self, time: Duration) -> Result<(), NetlinkError> {
        let value = libc::timeval {
            tv_sec: time.as_secs() as libc::time_t,
            tv_usec: time.subsec_micros() as libc::suseconds_t,
        };
        self.option(libc::SOL_SOCKET, libc::SO_RCVTIMEO, value)
    }

    fn option<T>(&self, level: libc::c_int, name: libc::c_int, value: T) -> Result<(), NetlinkError> {
        // SAFETY: the pointer and length describe a live value for the duration of the call.
        let done = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                level,
                name,
                (&raw const value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        if done == 0 { Ok(()) } else { Err(NetlinkError::Socket(io::Error::last_os_error())) }
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}

/// The header of one message (struct nlmsghdr).
struct Head {
    kind: u16,
    flags: u16,
    sequence: u32,
}

/// Cuts one datagram into messages; ends at the first that does not fit.
fn messages(bytes: &[u8]) -> impl Iterator<Item = (Head, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let head = rest.first_chunk::<HEADER_LEN>()?;
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let body = rest.get(HEADER_LEN..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let head = Head {
            kind: u16::from_ne_bytes([head[4], head[5]]),
            flags: u16::from_ne_bytes([head[6], head[7]]),
            sequence: u32::from_ne_bytes([head[8], head[9], head[10], head[11]]),
        };
        Some((head, body))
    })
}

fn write_message(bytes: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, body: &[u8]) {
    bytes.extend(((HEADER_LEN + body.len()) as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags & !FLAG_MULTI).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// The outcome an NLMSG_ERROR carries: 0 is an acknowledgement.
fn refused(body: &[u8]) -> Result<(), NetlinkError> {
    match body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code)) {
        0 => Ok(()),
        code => Err(NetlinkError::Refused(io::Error::from_raw_os_error(code.saturating_neg()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_among_the_links() {
        const GET_LINK: u16 = 18;
        let mut connection = Connection::open(Protocol::Route).unwrap();
        let mut count = 0;
        connection.dump(GET_LINK, &[0; 16], |_, _| count += 1).unwrap();
        assert!(count >= 1);
    }

    #[test]
    fn a_refusal_carries_its_errno() {
        const GET_ROUTE: u16 = 26;
        let mut connection = Connection::open(Protocol::Route).unwrap();
        // A family that does not exist.
        let error = connection.ask(GET_ROUTE, 0, &[200; 12]).unwrap_err();
        assert!(error.errno().is_some());
    }
}
