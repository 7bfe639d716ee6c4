//! One way out of the machine: frames in batches, past the queueing discipline where there is Ethernet.

use super::frame::{FRAME_BYTES_MAX, Slot};
use super::sys;
use crate::ScanError;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// Frames handed over with one system call.
pub const BATCH_FRAME_COUNT: usize = 64;
/// How often a full queue of the device is waited for before frames count as not sent.
const FULL_COUNT_MAX: u32 = 200;
/// How long each of these waits is, in microseconds.
const FULL_WAIT_US: u64 = 100;
/// What the kernel may hold of us, in bytes.
const SEND_BUFFER_BYTES: i32 = 4 << 20;

/// What came of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Refused by this very machine: its own firewall, no route.
    pub refused: u32,
    /// The last errno of a refusal.
    pub errno: i32,
    /// The interface is down or gone.
    pub down: bool,
}

/// A socket with its batch.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
    /// Raw IP sockets need the destination beside the packet.
    by_address: bool,
    frames: Box<[Slot]>,
    lengths: [usize; BATCH_FRAME_COUNT],
    addresses: Box<[libc::sockaddr_in6]>,
    /// The pair each frame asks, where it is a question of a sweep.
    positions: [Option<u64>; BATCH_FRAME_COUNT],
    count: usize,
}

impl Sender {
    /// Frames with an Ethernet header of their own, straight to the driver.
    pub fn ethernet(interface: u32) -> Result<Sender, ScanError> {
        let doing = "opening a packet socket";
        // Protocol 0: it hears nothing.
        let socket = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0, doing)?;
        sys::bind(&socket, &sys::link_address(interface, 0)).map_err(|error| sys::system(doing, error))?;
        // Refused by kernels before 3.14; the queueing discipline is then passed, nothing worse.
        let _ = sys::option(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &1_i32);
        Ok(Sender::over(socket, false))
    }

    /// IP packets that the kernel routes: loopback, tunnels, links without Ethernet.
    pub fn routed(v6: bool, interface: Option<&str>) -> Result<Sender, ScanError> {
        let doing = "opening a raw IP socket";
        let domain = if v6 { libc::AF_INET6 } else { libc::AF_INET };
        let socket = sys::socket(domain, libc::SOCK_RAW, libc::IPPROTO_RAW, doing)?;
        if let Some(name) = interface {
            socket2::SockRef::from(&socket)
                .bind_device(Some(name.as_bytes()))
                .map_err(|error| sys::system("binding to the interface", error))?;
        }
        Ok(Sender::over(socket, true))
    }

    fn over(socket: OwnedFd, by_address: bool) -> Sender {
        let _ = sys::option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &SEND_BUFFER_BYTES);
        // SAFETY: all zeroes is a valid address.
        let address: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
        Sender {
            socket,
            by_address,
            frames: vec![[0; FRAME_BYTES_MAX]; BATCH_FRAME_COUNT].into_boxed_slice(),
            lengths: [0; BATCH_FRAME_COUNT],
            addresses: vec![address; BATCH_FRAME_COUNT].into_boxed_slice(),
            positions: [None; BATCH_FRAME_COUNT],
            count: 0,
        }
    }

    pub fn is_full(&self) -> bool {
        self.count == BATCH_FRAME_COUNT
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts one frame into the batch; what does not fit any more is let go, so ask [`Self::is_full`] first.
    #[inline]
    pub fn push(&mut self, to: IpAddr, position: Option<u64>, write: impl FnOnce(&mut Slot) -> usize) {
        let Some(slot) = self.frames.get_mut(self.count) else { return };
        self.lengths[self.count] = write(slot).min(FRAME_BYTES_MAX);
        self.positions[self.count] = position;
        if self.by_address {
            self.addresses[self.count] = socket_address(to);
        }
        self.count += 1;
    }

    /// Hands the batch over; questions this machine refused for good are told with their errno.
    pub fn flush(&mut self, mut refused: impl FnMut(u64, i32)) -> Sent {
        let mut sent = Sent::default();
        let (mut done, mut full_count) = (0, 0);
        // SAFETY: all zeroes is a valid header and vector.
        let mut vectors: [libc::iovec; BATCH_FRAME_COUNT] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH_FRAME_COUNT] = unsafe { std::mem::zeroed() };
        for at in 0..self.count {
            vectors[at].iov_base = self.frames[at].as_mut_ptr().cast();
            vectors[at].iov_len = self.lengths[at];
            headers[at].msg_hdr.msg_iov = &raw mut vectors[at];
            headers[at].msg_hdr.msg_iovlen = 1;
            if self.by_address {
                headers[at].msg_hdr.msg_name = (&raw mut self.addresses[at]).cast();
                headers[at].msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as u32;
            }
        }
        while done < self.count {
            let left = (self.count - done) as u32;
            // SAFETY: `left` headers from `done` on are live, as is what they point to.
            let got = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    headers[done..].as_mut_ptr(),
                    left,
                    libc::MSG_DONTWAIT,
                )
            };
            if let Ok(count) = usize::try_from(got) {
                done += count;
                continue;
            }
            let errno = io::Error::last_os_error().raw_os_error().unwrap_or_default();
            match errno {
                libc::EINTR => {}
                libc::ENOBUFS | libc::EAGAIN if full_count < FULL_COUNT_MAX => {
                    full_count += 1;
                    std::thread::sleep(Duration::from_micros(FULL_WAIT_US));
                }
                libc::ENETDOWN | libc::ENXIO | libc::ENODEV => {
                    sent.down = true;
                    break;
                }
                _ => {
                    sent.refused += 1;
                    sent.errno = errno;
                    // A full queue is no refusal: the question was lost on the way.
                    if let Some(position) = self.positions[done]
                        && !matches!(errno, libc::ENOBUFS | libc::EAGAIN)
                    {
                        refused(position, errno);
                    }
                    done += 1;
                }
            }
        }
        self.count = 0;
        sent
    }
}

/// Both families in the larger of their structures; the kernel looks at the family first.
fn socket_address(to: IpAddr) -> libc::sockaddr_in6 {
    // SAFETY: all zeroes is a valid address.
    let mut address: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    match to {
        IpAddr::V4(to) => {
            address.sin6_family = libc::AF_INET as u16;
            // struct sockaddr_in has its address where sockaddr_in6 has the flow label.
            address.sin6_flowinfo = u32::from_ne_bytes(to.octets());
        }
        IpAddr::V6(to) => {
            address.sin6_family = libc::AF_INET6 as u16;
            address.sin6_addr.s6_addr = to.octets();
        }
    }
    address
}
