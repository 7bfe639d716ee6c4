//! The system calls of a packet socket: binding it and taking packets with their control messages.

use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// linux/if_packet.h; not in the libc crate for every target.
pub(crate) const PACKET_AUXDATA: libc::c_int = 8;
/// The checksum is still to be finished by the sender's hardware: over veth it never will be.
const STATUS_CHECKSUM_NOT_READY: u32 = 1 << 3;
pub(crate) const ETHERTYPE_ARP: u16 = libc::ETH_P_ARP as u16;
/// Longest packet taken whole, in bytes; of a longer one the checksum is not judged.
const PACKET_BYTES_MAX: usize = 2_048;

/// One packet as the kernel hands it over, from its network header on.
#[derive(Debug)]
pub(super) struct Raw {
    pub at_ns: u64,
    pub outgoing: bool,
    pub interface: u32,
    pub mac: Option<[u8; 6]>,
    pub ethertype: u16,
    pub checksum_unfinished: bool,
    pub bytes: Vec<u8>,
}

/// Sets the receive buffer past the system's limit; needs CAP_NET_ADMIN.
pub(super) fn force_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    let size = bytes as libc::c_int;
    // SAFETY: the pointer and length describe a live c_int for the duration of the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Binds to every interface and every protocol.
pub(super) fn bind_all(socket: RawFd) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain data, and all zeroes is a valid value of it.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: the pointer and length describe a live sockaddr_ll.
    let done = unsafe {
        libc::bind(socket, (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as libc::socklen_t)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes the next packet that is ours, sent or received; `None` when none waits.
pub(super) fn next(socket: RawFd) -> Option<Raw> {
    let mut bytes = vec![0_u8; PACKET_BYTES_MAX];
    // Aligned for cmsghdr.
    let mut control = [0_u64; 32];
    // SAFETY: sockaddr_ll and msghdr are plain data, all zeroes is valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: as above.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut address).cast();
    message.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer in `message` is to a live local of the stated size.
    let length = unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_DONTWAIT | libc::MSG_TRUNC) };
    let length = usize::try_from(length).ok()?;
    bytes.truncate(length.min(PACKET_BYTES_MAX));
    let (at_ns, status) = control_values(&message);
    let mac = (address.sll_halen == 6).then(|| {
        let a = address.sll_addr;
        [a[0], a[1], a[2], a[3], a[4], a[5]]
    });
    Some(Raw {
        at_ns: at_ns.unwrap_or_else(super::now_ns),
        outgoing: address.sll_pkttype == libc::PACKET_OUTGOING,
        interface: u32::try_from(address.sll_ifindex).unwrap_or(0),
        mac,
        ethertype: u16::from_be(address.sll_protocol),
        checksum_unfinished: status & STATUS_CHECKSUM_NOT_READY != 0 || length > PACKET_BYTES_MAX,
        bytes,
    })
}

/// Reads the kernel's timestamp, in nanoseconds since the epoch, and the packet's status bits.
fn control_values(message: &libc::msghdr) -> (Option<u64>, u32) {
    let (mut at_ns, mut status) = (None, 0);
    // SAFETY: `message` was filled by recvmsg; the CMSG macros stay inside its control buffer, and data is
    // read unaligned and only when the header says it is long enough.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            let length = (*header).cmsg_len as usize - (data as usize - header as usize);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) if length >= size_of::<libc::timespec>() => {
                    let time = data.cast::<libc::timespec>().read_unaligned();
                    let (seconds, nanos) = (time.tv_sec.max(0) as u64, time.tv_nsec.max(0) as u64);
                    at_ns = Some(seconds.saturating_mul(1_000_000_000).saturating_add(nanos));
                }
                (libc::SOL_PACKET, PACKET_AUXDATA) if length >= 4 => {
                    status = data.cast::<u32>().read_unaligned();
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    (at_ns, status)
}

/// Sends one packet without its link-layer header to a station on an interface; needs CAP_NET_RAW.
pub(crate) fn send_link(interface: u32, ethertype: u16, to: [u8; 6], bytes: &[u8]) -> io::Result<()> {
    let socket =
        Socket::new(socket2::Domain::PACKET, socket2::Type::DGRAM, Some(socket2::Protocol::from(0)))?;
    // SAFETY: sockaddr_ll is plain data, and all zeroes is a valid value of it.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = interface as libc::c_int;
    address.sll_halen = 6;
    address.sll_addr[..6].copy_from_slice(&to);
    // SAFETY: both pointers are to live values of the stated lengths.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
