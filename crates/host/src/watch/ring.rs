//! A packet socket with its ring in shared memory (packet(7), PACKET_MMAP): no system call for each packet.
//!
//! Needs CAP_NET_RAW in the network namespace. The kernel frees everything with the descriptor, however the
//! process ends.

use libc::{c_int, c_uint, sock_filter};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Room for one packet with its header, in bytes.
const FRAME_BYTES: usize = 256;
/// Packets the kernel holds until they are taken: 4 MiB in all.
const FRAME_COUNT: usize = 16_384;
const BLOCK_BYTES: usize = 64 << 10;
const RING_BYTES: usize = FRAME_BYTES * FRAME_COUNT;
/// How much of a packet is kept from its network header on, in bytes: an ICMPv6 error with the IPv6 and TCP
/// header it quotes is 128.
pub(super) const SNAP_BYTES: u32 = 160;

/// Where the link-layer address stands in a frame: behind the aligned header.
const ADDRESS_AT: usize = size_of::<libc::tpacket2_hdr>().next_multiple_of(16);

/// One packet as the kernel hands it over, from its network header on; cut at [`SNAP_BYTES`].
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// Nanoseconds since the epoch, by the kernel.
    pub at_ns: u64,
    pub outgoing: bool,
    /// The frame was for another station (PACKET_OTHERHOST).
    pub other_station: bool,
    pub interface: u32,
    pub mac: Option<[u8; 6]>,
    pub bytes: &'a [u8],
}

/// The socket with its ring.
#[derive(Debug)]
pub(super) struct Ring {
    memory: NonNull<u8>,
    socket: OwnedFd,
    next: usize,
}

// SAFETY: the mapping belongs to this value alone and is reached only through `&mut self`.
unsafe impl Send for Ring {}

impl Ring {
    /// Opens the tap of the calling thread's network namespace: every interface, every protocol.
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW.
    pub(super) fn open(filter: &[sock_filter]) -> io::Result<Ring> {
        // Protocol 0 hears nothing until it is bound, so no packet slips in before the filter.
        // SAFETY: plain system call; the descriptor is owned from here on.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        set(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V2 as c_int))?;
        let request = libc::tpacket_req {
            tp_block_size: BLOCK_BYTES as c_uint,
            tp_block_nr: (RING_BYTES / BLOCK_BYTES) as c_uint,
            tp_frame_size: FRAME_BYTES as c_uint,
            tp_frame_nr: FRAME_COUNT as c_uint,
        };
        set(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        attach(&socket, filter)?;
        let memory = map(&socket)?;
        let ring = Ring { memory, socket, next: 0 };
        ring.bind_all()?;
        Ok(ring)
    }

    /// Replaces the filter; packets already held stay.
    pub(super) fn filter(&self, filter: &[sock_filter]) -> io::Result<()> {
        attach(&self.socket, filter)
    }

    /// Gives the waiting packets to `each`, at most `count_max`; returns how many there were.
    pub(super) fn take(&mut self, count_max: usize, mut each: impl FnMut(&Frame<'_>)) -> usize {
        for taken in 0..count_max.min(FRAME_COUNT) {
            let at = self.next * FRAME_BYTES;
            // SAFETY: `at` is the start of a frame inside the mapping, which is page-aligned and whose first
            // word is the status that kernel and process hand to each other.
            let status = unsafe { AtomicU32::from_ptr(self.memory.as_ptr().add(at).cast()) };
            if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return taken;
            }
            // SAFETY: the whole frame lies in the mapping, and the kernel leaves it alone until the status is
            // handed back below.
            let frame =
                unsafe { std::slice::from_raw_parts(self.memory.as_ptr().add(at + 4), FRAME_BYTES - 4) };
            if let Some(frame) = read(frame) {
                each(&frame);
            }
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % FRAME_COUNT;
        }
        count_max.min(FRAME_COUNT)
    }

    /// Packets that passed the filter and found no room, since the last call.
    pub(super) fn dropped(&self) -> u64 {
        let mut stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = size_of_val(&stats) as libc::socklen_t;
        // SAFETY: both pointers are to live values of the stated size.
        let done = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut length,
            )
        };
        if done == 0 { u64::from(stats.tp_drops) } else { 0 }
    }

    /// The descriptor to wait on for the next packet.
    pub(super) fn descriptor(&self) -> c_int {
        self.socket.as_raw_fd()
    }

    fn bind_all(&self) -> io::Result<()> {
        // SAFETY: sockaddr_ll is plain data, and all zeroes is a valid value of it.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the pointer and length describe a live sockaddr_ll.
        let done = unsafe { libc::bind(self.socket.as_raw_fd(), (&raw const address).cast(), length) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `open` with this length and nothing points into it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), RING_BYTES) };
    }
}

/// Waits until one of the descriptors is readable; false when none was in time.
pub(super) fn wait(descriptors: &[c_int], time: Duration) -> bool {
    let mut polled: Vec<libc::pollfd> =
        descriptors.iter().map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 }).collect();
    let time_ms = c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the pointer and count describe a live vector.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, time_ms) > 0 }
}

fn map(socket: &OwnedFd) -> io::Result<NonNull<u8>> {
    // SAFETY: a fresh mapping of the ring that was just set up with this length; no address is asked for.
    let memory = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            RING_BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            socket.as_raw_fd(),
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(memory.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}

fn attach(socket: &OwnedFd, filter: &[sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        // The kernel only reads it.
        filter: filter.as_ptr().cast_mut(),
    };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

fn set<T>(socket: &OwnedFd, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer and length describe a live value for the duration of the call.
    let done = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads one frame past its status word (struct tpacket2_hdr, then struct sockaddr_ll).
fn read(frame: &[u8]) -> Option<Frame<'_>> {
    // Offsets are from the frame's start; its first word is not in the slice.
    let bytes = |at: usize, length: usize| frame.get(at - 4..at - 4 + length);
    let word = |at: usize| bytes(at, 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes);
    let half = |at: usize| bytes(at, 2).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes);
    let (snap_len, network) = (word(8)? as usize, usize::from(half(14)?));
    let (seconds, nanos) = (u64::from(word(16)?), u64::from(word(20)?));
    // sll_family, sll_protocol, sll_ifindex, sll_hatype, sll_pkttype, sll_halen, sll_addr.
    let interface = word(ADDRESS_AT + 4)?;
    let [kind, address_len] = *bytes(ADDRESS_AT + 10, 2)? else { return None };
    let address: [u8; 6] = bytes(ADDRESS_AT + 12, 6)?.try_into().ok()?;
    if network < ADDRESS_AT {
        return None;
    }
    Some(Frame {
        at_ns: seconds.saturating_mul(1_000_000_000).saturating_add(nanos),
        outgoing: kind == libc::PACKET_OUTGOING,
        other_station: kind == libc::PACKET_OTHERHOST,
        interface,
        mac: (address_len == 6).then_some(address),
        bytes: bytes(network, snap_len.min(FRAME_BYTES - network.min(FRAME_BYTES)))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_frame_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), FRAME_BYTES - 4)) {
            if let Some(frame) = read(&bytes) {
                prop_assert!(frame.bytes.len() <= FRAME_BYTES);
            }
        }
    }
}
