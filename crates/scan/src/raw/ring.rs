//! Receiving: a ring of our own shared with the kernel (TPACKET_V2), or plain reads where memory for it is refused.

use super::clock::{Clock, Nanos};
use super::filter::KEPT_BYTES_MAX;
use super::sys;
use crate::ScanError;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// One packet with its header, in bytes: 80 of header and padding, then what the filter keeps.
const FRAME_BYTES: usize = 256;
const BLOCK_BYTES: usize = 64 << 10;
/// Sizes asked for, in bytes, until one is granted: the largest holds 16,384 answers.
const RING_BYTES: [usize; 3] = [4 << 20, 1 << 20, 256 << 10];
/// What the kernel may hold for plain reads, in bytes.
const RECEIVE_BUFFER_BYTES: i32 = 8 << 20;

/// A packet socket of one family that hears answers only.
#[derive(Debug)]
pub struct Ring {
    socket: OwnedFd,
    memory: Option<Memory>,
    next: usize,
    buffer: Box<[u8]>,
}

/// What is mapped of the kernel's.
#[derive(Debug)]
struct Memory {
    base: *mut u8,
    bytes: usize,
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: exactly what mmap gave, unmapped once.
        unsafe { libc::munmap(self.base.cast(), self.bytes) };
    }
}

impl Ring {
    /// Hears packets of an EtherType on every interface that pass the filter.
    pub fn open(protocol: u16, program: &[libc::sock_filter]) -> Result<Ring, ScanError> {
        Self::open_with(protocol, program, &RING_BYTES)
    }

    fn open_with(protocol: u16, program: &[libc::sock_filter], sizes: &[usize]) -> Result<Ring, ScanError> {
        let doing = "opening a receive ring";
        // Not bound to a protocol yet, so that nothing arrives before the filter stands.
        let socket = sys::socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0, doing)?;
        sys::attach_filter(&socket, program).map_err(|error| sys::system(doing, error))?;
        let memory = sizes.iter().find_map(|&bytes| map(&socket, bytes).ok());
        if memory.is_none() {
            let _ = sys::option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &RECEIVE_BUFFER_BYTES);
        }
        sys::bind(&socket, &sys::link_address(0, protocol)).map_err(|error| sys::system(doing, error))?;
        let buffer = vec![0; KEPT_BYTES_MAX as usize].into_boxed_slice();
        Ok(Ring { socket, memory, next: 0, buffer })
    }

    /// True where the kernel refused memory for a ring.
    pub fn is_plain(&self) -> bool {
        self.memory.is_none()
    }

    /// Takes what has arrived, at most `count_max` packets; returns how many. Packets begin with their IP header.
    pub fn drain(&mut self, clock: &Clock, count_max: usize, mut each: impl FnMut(&[u8], Nanos)) -> usize {
        match &self.memory {
            Some(memory) => {
                let mut count = 0;
                while count < count_max {
                    let Some(frame) = memory.frame(self.next) else { break };
                    each(frame.packet, clock.place(frame.seconds, frame.nanoseconds));
                    memory.release(self.next);
                    self.next = (self.next + 1) % memory.frame_count();
                    count += 1;
                }
                count
            }
            None => self.read(clock, count_max, each),
        }
    }

    fn read(&mut self, clock: &Clock, count_max: usize, mut each: impl FnMut(&[u8], Nanos)) -> usize {
        for count in 0..count_max {
            let (pointer, room) = (self.buffer.as_mut_ptr(), self.buffer.len());
            // SAFETY: the pointer and length describe the live buffer.
            let got =
                unsafe { libc::recv(self.socket.as_raw_fd(), pointer.cast(), room, libc::MSG_DONTWAIT) };
            let Ok(length) = usize::try_from(got) else { return count };
            each(self.buffer.get(..length).unwrap_or_default(), clock.now());
        }
        count_max
    }

    /// Waits until something arrives, at most `wait_ns`.
    pub fn wait(&self, wait_ns: Nanos) {
        sys::wait_readable(&self.socket, wait_ns);
    }

    /// Answers the kernel had no room for since the last call.
    pub fn dropped(&self) -> u64 {
        // struct tpacket_stats: packets, drops; reading resets both.
        let mut counts = [0_u32; 2];
        let mut length = size_of_val(&counts) as libc::socklen_t;
        // SAFETY: the pointer and length describe the live array.
        let done = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                counts.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if done == 0 { u64::from(counts[1]) } else { 0 }
    }
}

/// One frame the kernel has handed over.
struct Frame<'a> {
    packet: &'a [u8],
    seconds: u32,
    nanoseconds: u32,
}

impl Memory {
    fn frame_count(&self) -> usize {
        self.bytes / FRAME_BYTES
    }

    fn status(&self, at: usize) -> &AtomicU32 {
        // SAFETY: `at` is below the frame count; each frame starts with its status word, aligned to 256 bytes, which
        // the kernel and this process both change, hence atomic.
        unsafe { AtomicU32::from_ptr(self.base.add(at * FRAME_BYTES).cast()) }
    }

    fn frame(&self, at: usize) -> Option<Frame<'_>> {
        if self.status(at).load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the frame is ours until its status is cleared; it lies within the mapping.
        let bytes = unsafe { std::slice::from_raw_parts(self.base.add(at * FRAME_BYTES), FRAME_BYTES) };
        // struct tpacket2_hdr: status, len, snaplen (32 bit each), mac, net (16 bit each), sec, nsec (32 bit each).
        let word = |from: usize| {
            bytes.get(from..from + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes)
        };
        let net = usize::from(u16::from_ne_bytes([bytes[14], bytes[15]]));
        let end = (net + word(8) as usize).min(FRAME_BYTES);
        let packet = bytes.get(net..end).unwrap_or_default();
        Some(Frame { packet, seconds: word(16), nanoseconds: word(20) })
    }

    fn release(&self, at: usize) {
        self.status(at).store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }
}

fn map(socket: &OwnedFd, bytes: usize) -> io::Result<Memory> {
    const VERSION_2: i32 = 1;
    sys::option(socket, libc::SOL_PACKET, libc::PACKET_VERSION, &VERSION_2)?;
    let request = libc::tpacket_req {
        tp_block_size: BLOCK_BYTES as u32,
        tp_block_nr: (bytes / BLOCK_BYTES) as u32,
        tp_frame_size: FRAME_BYTES as u32,
        tp_frame_nr: (bytes / FRAME_BYTES) as u32,
    };
    sys::option(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh shared mapping of the socket's ring, owned by Memory from here on.
    let base = unsafe {
        libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, socket.as_raw_fd(), 0)
    };
    if base == libc::MAP_FAILED {
        let refused = io::Error::last_os_error();
        // A ring that nobody reads would swallow every answer: plain reads hear only without one.
        // SAFETY: a request is plain numbers, for which zero is valid; all zero frees the ring.
        let none: libc::tpacket_req = unsafe { std::mem::zeroed() };
        sys::option(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &none)?;
        return Err(refused);
    }
    Ok(Memory { base: base.cast(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::filter;
    use crate::raw::frame::ETHERTYPE_IPV4;
    use std::time::{Duration, Instant};

    /// Packets to a port of our own on the loopback are heard, with and without a ring.
    #[test]
    fn a_ring_hears_what_passes_its_filter() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let clock = Clock::start();
        for sizes in [&RING_BYTES[2..], &[]] {
            let program = filter::answers_v4(port, 1);
            let mut ring = match Ring::open_with(ETHERTYPE_IPV4, &program, sizes) {
                Err(ScanError::Privilege { .. }) => return eprintln!("SKIPPED: needs CAP_NET_RAW"),
                ring => ring.unwrap(),
            };
            assert_eq!(ring.is_plain(), sizes.is_empty());
            let _client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut heard, begin) = (Vec::new(), Instant::now());
            while heard.is_empty() && begin.elapsed() < Duration::from_secs(2) {
                ring.wait(10_000_000);
                ring.drain(&clock, 100, |packet, at| heard.push((packet.to_vec(), at)));
            }
            let (packet, at) = &heard[0];
            assert_eq!(u16::from_be_bytes([packet[22], packet[23]]), port);
            assert!(clock.now().abs_diff(*at) < 2_000_000_000);
            assert_eq!(ring.dropped(), 0);
        }
    }
}
