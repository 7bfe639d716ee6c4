//! Thin, safe wrappers around the socket calls this module needs.

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use nix::sys::time::{TimeSpec, TimeValLike};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant, SystemTime};

/// Room for control messages, in bytes: a timestamp, a TTL and one extended error with its sender.
const CONTROL_BYTES: usize = 512;

/// What one receive call gave.
#[derive(Debug)]
pub struct Received {
    pub length: usize,
    pub at: SystemTime,
    pub ttl: Option<u8>,
    /// The interface it came by, of a packet socket; 0 otherwise.
    pub interface: usize,
    pub error: Option<ExtendedError>,
}

/// One entry of a socket's error queue (`sock_extended_err`, ip(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedError {
    /// True when an ICMP message caused it, false when this host did.
    pub icmp: bool,
    pub kind: u8,
    pub code: u8,
    /// The MTU, with a message that names one.
    pub info: u32,
    pub offender: Option<IpAddr>,
}

/// Receives once without waiting; `None` when nothing is there.
pub fn receive(socket: &impl AsFd, errors: bool, buffer: &mut [u8]) -> io::Result<Option<Received>> {
    let mut control = [0u8; CONTROL_BYTES];
    let mut slices = [IoSliceMut::new(buffer)];
    let mut flags = MsgFlags::MSG_DONTWAIT;
    if errors {
        flags |= MsgFlags::MSG_ERRQUEUE;
    }
    let fd = socket.as_fd().as_raw_fd();
    let message = match recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), flags) {
        Ok(message) => message,
        Err(nix::errno::Errno::EAGAIN) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let link = message.address.as_ref().and_then(|address| address.as_link_addr());
    let interface = link.map_or(0, |link| link.ifindex());
    let (length, at) = (message.bytes, SystemTime::now());
    let mut received = Received { length, at, ttl: None, interface, error: None };
    for part in message.cmsgs()? {
        match part {
            ControlMessageOwned::ScmTimestampns(time) => received.at = moment(&time),
            ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => {
                received.ttl = u8::try_from(ttl).ok();
            }
            ControlMessageOwned::Ipv4RecvErr(error, from) => {
                let offender = from.map(|a| Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr)).into());
                received.error = Some(extended(&error, offender));
            }
            ControlMessageOwned::Ipv6RecvErr(error, from) => {
                let offender = from.map(|a| Ipv6Addr::from(a.sin6_addr.s6_addr).into());
                received.error = Some(extended(&error, offender));
            }
            _ => {}
        }
    }
    Ok(Some(received))
}

fn extended(error: &libc::sock_extended_err, offender: Option<IpAddr>) -> ExtendedError {
    ExtendedError {
        icmp: matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6),
        kind: error.ee_type,
        code: error.ee_code,
        info: error.ee_info,
        offender,
    }
}

fn moment(time: &TimeSpec) -> SystemTime {
    let nanos = u64::try_from(time.num_nanoseconds()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

/// Waits until one of the sockets has something, or the moment has come; says which have.
pub fn wait_any(sockets: &[(BorrowedFd<'_>, PollFlags)], until: Instant) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> = sockets.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)).collect();
    let left = until.saturating_duration_since(Instant::now());
    let wait = TimeSpec::nanoseconds(i64::try_from(left.as_nanos()).unwrap_or(i64::MAX));
    match ppoll(&mut polled, Some(wait), None) {
        Ok(_) => Ok(polled.iter().map(|p| p.any().unwrap_or(false)).collect()),
        Err(nix::errno::Errno::EINTR) => Ok(vec![false; sockets.len()]),
        Err(error) => Err(error.into()),
    }
}

/// Sets one integer option of a socket.
pub fn set_option(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: the descriptor is open for the call, and the value outlives it with the length given.
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads one integer option of a socket.
pub fn option(socket: &impl AsFd, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: both pointers are to locals that outlive the call, and the length is that of the value.
    let result = unsafe {
        libc::getsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length)
    };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// What the kernel knows of a TCP connection (`TCP_INFO`); zeroes where the kernel knows less.
pub fn tcp_info(socket: &impl AsFd) -> io::Result<libc::tcp_info> {
    // SAFETY: all-zero is a valid value of this plain structure of integers.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).unwrap_or(0);
    // SAFETY: the pointer is to a local of the length given; the kernel writes at most that.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(info) } else { Err(io::Error::last_os_error()) }
}

/// The MTU of an interface, in bytes.
pub fn interface_mtu(socket: &impl AsFd, name: &str) -> io::Result<u32> {
    // SAFETY: all-zero is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte.cast_signed();
    }
    // SAFETY: the request is a local with a zero-terminated name; SIOCGIFMTU writes its union only.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the kernel has filled this member.
    Ok(u32::try_from(unsafe { request.ifr_ifru.ifru_mtu }).unwrap_or(0))
}

/// Packets a packet socket had to drop for want of room, since this was last asked.
pub fn packets_dropped(socket: &impl AsFd) -> io::Result<u32> {
    /// `getsockopt` name and answer of packet(7); libc has neither.
    const PACKET_STATISTICS: libc::c_int = 6;
    let mut statistics = [0u32; 2];
    let mut length = libc::socklen_t::try_from(size_of_val(&statistics)).unwrap_or(8);
    // SAFETY: both pointers are to locals, and the length is that of `struct tpacket_stats`, two integers.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_STATISTICS,
            statistics.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(statistics[1]) } else { Err(io::Error::last_os_error()) }
}

/// Binds a packet socket to one protocol (`ETH_P_IP`, `ETH_P_IPV6`) on all interfaces.
pub fn bind_packet(socket: &impl AsFd, protocol: u16) -> io::Result<()> {
    // SAFETY: all-zero is a valid link-layer address of no interface.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(17);
    address.sll_protocol = protocol.to_be();
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or(20);
    // SAFETY: the address is a local of the length given.
    let result = unsafe { libc::bind(socket.as_fd().as_raw_fd(), (&raw const address).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
