//! This host's TCP conversations by the packets that open and end them, whoever sends them and however short they are.
//!
//! Sockets are looked at twice a second and connection tracking is often off; a scanner that writes its own packets has no
//! socket at all. A packet socket sees what leaves the host and what comes, and a kernel filter passes only SYN, FIN and RST,
//! so that a busy host pays for its connections, not for their data.

mod talks;

use super::conntrack::{ADDRESSES_TICKS, own_addresses};
use super::{LiveError, TICK_MS, now_ms};
use crate::names::{Names, Symbol};
use crate::record::Flow;
use netwhy_wire::{Body, parse};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use talks::{Segment, Talks};

/// Room for a burst, in bytes: about ten thousand packets as the kernel counts them.
const BUFFER_BYTES: i32 = 8 << 20;
/// So much of a packet is handed over, in bytes: all headers with all options.
const SNAP_BYTES: usize = 160;

/// The socket that sees them.
#[derive(Debug)]
pub struct Handshakes {
    socket: Socket,
    interface: Symbol,
}

impl Handshakes {
    /// Begins to look. Needs CAP_NET_RAW.
    pub fn open(names: &Names) -> Result<Handshakes, LiveError> {
        let socket = open().map_err(LiveError::Handshakes)?;
        Ok(Handshakes { socket, interface: names.symbol("handshakes") })
    }

    /// Shows TCP conversations that fail or end within a few seconds, until `stop` is set.
    ///
    /// A SYN that nobody answers is a flow of as many packets as were sent, told after [`talks::WAIT_MS`]. What was said is
    /// the distance of sequence numbers; how many packets it took is estimated from that. Longer conversations are for
    /// [`super::sockets`]. `each` comes at least every [`TICK_MS`]. Returns how many packets the kernel had no room for.
    pub fn run(mut self, stop: &AtomicBool, each: &mut dyn FnMut(&[Flow])) -> Result<u64, LiveError> {
        let mut talks = Talks::new(own_addresses(), self.interface);
        let mut bytes = [0; SNAP_BYTES];
        let (mut lost, mut ticks) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            let end = Instant::now() + Duration::from_millis(TICK_MS);
            while Instant::now() < end
                && take(&mut self.socket, &mut bytes, &mut talks).map_err(LiveError::Handshakes)?
            {
            }
            each(&talks.told(now_ms()));
            lost += netwhy_socket::packets_dropped(&self.socket).unwrap_or(0);
            ticks += 1;
            if ticks % ADDRESSES_TICKS == 0 {
                talks.own = own_addresses();
            }
        }
        Ok(lost)
    }
}

/// Takes the next packet, which is waited for; false where none came for a tick.
fn take(socket: &mut Socket, bytes: &mut [u8], talks: &mut Talks) -> io::Result<bool> {
    match socket.read(bytes) {
        Ok(length) => {
            if let Some(segment) = segment(&bytes[..length], now_ms()) {
                talks.take(&segment);
            }
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            return Ok(false);
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        // An interface that goes down says so once; the others go on.
        Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
        Err(error) => return Err(error),
    }
    Ok(true)
}

fn segment(bytes: &[u8], at_ms: i64) -> Option<Segment> {
    let packet = parse(bytes).ok()?;
    let Body::Tcp(tcp) = packet.body else { return None };
    Some(Segment {
        at_ms,
        from: (packet.ip.source, tcp.source_port),
        to: (packet.ip.destination, tcp.destination_port),
        flags: tcp.flags,
        sequence: tcp.sequence,
        acknowledgment: tcp.acknowledgment,
    })
}

fn open() -> io::Result<Socket> {
    let all = Protocol::from(i32::from((libc::ETH_P_ALL as u16).to_be()));
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(all))?;
    socket.attach_filter(&filter())?;
    socket.set_read_timeout(Some(Duration::from_millis(TICK_MS)))?;
    // A smaller buffer loses more under a burst, which is counted.
    let _ = netwhy_socket::set_integer(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER_BYTES);
    Ok(socket)
}

/// Passes SYN, FIN and RST of IPv4 and IPv6 (classic BPF, packet(7)); the data starts at the IP header.
fn filter() -> [SockFilter; 17] {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE_BEHIND_HEADER: u16 = 0x50;
    const LOAD_HEADER_LENGTH: u16 = 0xb1;
    const AND: u16 = 0x54;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const TCP: u32 = libc::IPPROTO_TCP as u32;
    const OPENS_OR_ENDS: u32 = 0x07;
    let step = SockFilter::new;
    [
        step(LOAD_BYTE, 0, 0, 0),
        step(AND, 0, 0, 0xf0),
        step(JUMP_EQUAL, 8, 0, 0x60),
        step(JUMP_EQUAL, 0, 11, 0x40),
        step(LOAD_BYTE, 0, 0, 9),
        step(JUMP_EQUAL, 0, 9, TCP),
        // A later fragment has no TCP header.
        step(LOAD_HALF, 0, 0, 6),
        step(JUMP_SET, 7, 0, 0x1fff),
        step(LOAD_HEADER_LENGTH, 0, 0, 0),
        step(LOAD_BYTE_BEHIND_HEADER, 0, 0, 13),
        step(JUMP_SET, 5, 4, OPENS_OR_ENDS),
        // IPv6.
        step(LOAD_BYTE, 0, 0, 6),
        step(JUMP_EQUAL, 0, 2, TCP),
        step(LOAD_BYTE, 0, 0, 40 + 13),
        step(JUMP_SET, 1, 0, OPENS_OR_ENDS),
        step(RETURN, 0, 0, 0),
        step(RETURN, 0, 0, SNAP_BYTES as u32),
    ]
}
