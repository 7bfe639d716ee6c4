//! The few rtnetlink requests a topology needs, so that no `ip` is needed.
//!
//! A `Netlink` speaks to the network namespace of the thread that opened it. Message formats:
//! rtnetlink(7), linux/if_link.h, linux/rtnetlink.h.

use crate::error::{LabError, Result};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The longest message built here, in bytes.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Messages read while waiting for one acknowledgement.
const REPLIES_COUNT_MAX: usize = 64;
/// How long the kernel may take to answer, in seconds.
const WAIT_S_MAX: i64 = 5;
/// The longest interface name (IFNAMSIZ less its NUL), in bytes.
pub const NAME_BYTES_MAX: usize = 15;

const VETH_INFO_PEER: u16 = 1;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const NLA_F_NESTED: u16 = 0x8000;
const HEADER_BYTES: usize = 16;

/// One end of a veth pair: its name and the namespace it shall live in.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    pub name: &'a str,
    /// A descriptor of the network namespace; `None` is the namespace of this socket.
    pub namespace: Option<RawFd>,
}

/// A socket that configures the network namespace it was opened in.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket in the network namespace of the calling thread.
    pub fn open() -> Result<Netlink> {
        // SAFETY: plain system calls; the descriptor is owned at once.
        let socket = unsafe {
            let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE);
            if fd < 0 {
                return Err(LabError::kernel("a netlink socket")(io::Error::last_os_error()));
            }
            OwnedFd::from_raw_fd(fd)
        };
        let wait = libc::timeval { tv_sec: WAIT_S_MAX, tv_usec: 0 };
        // SAFETY: the pointer and length describe `wait`, which outlives the call.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVTIMEO,
                (&raw const wait).cast(),
                size_of::<libc::timeval>() as u32,
            );
        }
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Makes a veth pair, each end born in its own namespace.
    pub fn veth(&mut self, a: End<'_>, b: End<'_>) -> Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, create_flags());
        message.put(&link_header(0, false));
        message.end(a);
        message.nest(libc::IFLA_LINKINFO, |info| {
            info.attribute(libc::IFLA_INFO_KIND, b"veth");
            info.nest(libc::IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    peer.put(&link_header(0, false));
                    peer.end(b);
                });
            });
        });
        self.call(message, || format!("the pair {} - {}", a.name, b.name))
    }

    /// Makes a bridge that forwards every multicast (neighbour discovery needs it).
    pub fn bridge(&mut self, name: &str) -> Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, create_flags());
        message.put(&link_header(0, false));
        message.name(name);
        message.nest(libc::IFLA_LINKINFO, |info| {
            info.attribute(libc::IFLA_INFO_KIND, b"bridge");
            info.nest(libc::IFLA_INFO_DATA, |data| data.attribute(IFLA_BR_MCAST_SNOOPING, &[0]));
        });
        self.call(message, || format!("the bridge {name}"))
    }

    /// Brings an interface up.
    pub fn up(&mut self, name: &str) -> Result<()> {
        let index = index_of(name)?;
        let mut message = Message::new(libc::RTM_NEWLINK, request_flags());
        message.put(&link_header(index, true));
        self.call(message, || format!("{name} up"))
    }

    /// Puts an interface under a bridge.
    pub fn enslave(&mut self, name: &str, bridge: &str) -> Result<()> {
        let (index, master) = (index_of(name)?, index_of(bridge)?);
        let mut message = Message::new(libc::RTM_NEWLINK, request_flags());
        message.put(&link_header(index, true));
        message.attribute(libc::IFLA_MASTER, &master.to_ne_bytes());
        self.call(message, || format!("{name} in {bridge}"))
    }

    /// Sets the MTU of an interface, in bytes.
    pub fn mtu(&mut self, name: &str, bytes: u32) -> Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, request_flags());
        message.put(&link_header(index_of(name)?, true));
        message.attribute(libc::IFLA_MTU, &bytes.to_ne_bytes());
        self.call(message, || format!("mtu {bytes} on {name}"))
    }

    /// Adds an address, without duplicate address detection.
    pub fn address(&mut self, name: &str, address: IpAddr, prefix: u8) -> Result<()> {
        let index = index_of(name)?;
        let mut message = Message::new(libc::RTM_NEWADDR, create_flags());
        let flags = if address.is_ipv6() { libc::IFA_F_NODAD as u8 } else { 0 };
        let mut header = vec![family(address), prefix, flags, libc::RT_SCOPE_UNIVERSE];
        header.extend(index.to_ne_bytes());
        message.put(&header);
        message.attribute(libc::IFA_LOCAL, &octets(address));
        message.attribute(libc::IFA_ADDRESS, &octets(address));
        self.call(message, || format!("{address}/{prefix} on {name}"))
    }

    /// Adds a route to `target/prefix` via `gateway`; prefix 0 is the default route.
    pub fn route(&mut self, target: IpAddr, prefix: u8, gateway: IpAddr) -> Result<()> {
        let mut message = Message::new(libc::RTM_NEWROUTE, create_flags());
        let header = [
            family(gateway),
            prefix,
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
            0,
            0,
            0,
            0,
        ];
        message.put(&header);
        if prefix > 0 {
            message.attribute(libc::RTA_DST, &octets(target));
        }
        message.attribute(libc::RTA_GATEWAY, &octets(gateway));
        self.call(message, || format!("the route {target}/{prefix} via {gateway}"))
    }

    fn call(&mut self, message: Message, what: impl Fn() -> String) -> Result<()> {
        self.sequence += 1;
        let refused = |source| LabError::Netlink { what: what(), source };
        let bytes = message.finish(self.sequence).map_err(refused)?;
        // SAFETY: the pointer and length describe `bytes`.
        let sent = unsafe { libc::send(self.socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 {
            return Err(refused(io::Error::last_os_error()));
        }
        self.acknowledged().map_err(refused)
    }

    fn acknowledged(&mut self) -> io::Result<()> {
        let mut buffer = [0u8; MESSAGE_BYTES_MAX];
        for _ in 0..REPLIES_COUNT_MAX {
            // SAFETY: the pointer and length describe `buffer`.
            let got =
                unsafe { libc::recv(self.socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            if got < 0 {
                return Err(io::Error::last_os_error());
            }
            match acknowledgement(&buffer[..usize::try_from(got).unwrap_or(0)], self.sequence) {
                Some(0) => return Ok(()),
                Some(code) => return Err(io::Error::from_raw_os_error(-code)),
                None => {}
            }
        }
        Err(io::Error::from(io::ErrorKind::TimedOut))
    }
}

/// The index of an interface in the namespace of the calling thread.
pub fn index_of(name: &str) -> Result<u32> {
    nix::net::if_::if_nametoindex(name)
        .map_err(|errno| LabError::Netlink { what: format!("interface {name}"), source: errno.into() })
}

/// Finds the acknowledgement of `sequence` in a datagram: 0 for success, else the negative errno.
fn acknowledgement(mut datagram: &[u8], sequence: u32) -> Option<i32> {
    while datagram.len() >= HEADER_BYTES {
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| datagram[at + i]));
        let length = word(0) as usize;
        let kind = u16::from_ne_bytes([datagram[4], datagram[5]]);
        if i32::from(kind) == libc::NLMSG_ERROR && word(8) == sequence && datagram.len() >= HEADER_BYTES + 4 {
            return Some(word(HEADER_BYTES) as i32);
        }
        datagram = datagram.get(length.max(HEADER_BYTES).next_multiple_of(4)..)?;
    }
    None
}

fn request_flags() -> u16 {
    (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16
}

fn create_flags() -> u16 {
    request_flags() | (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16
}

fn family(address: IpAddr) -> u8 {
    (if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// `struct ifinfomsg`: family, type, index, flags and the mask of flags to change.
fn link_header(index: u32, up: bool) -> [u8; 16] {
    let mut header = [0u8; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if up {
        let flag = (libc::IFF_UP as u32).to_ne_bytes();
        header[8..12].copy_from_slice(&flag);
        header[12..16].copy_from_slice(&flag);
    }
    header
}

/// A netlink message under construction.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16) -> Message {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        Message(bytes)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        self.align();
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.put(value);
    }

    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) {
        let start = self.0.len();
        self.attribute(kind | NLA_F_NESTED, &[]);
        fill(self);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn name(&mut self, name: &str) {
        let mut text = name.as_bytes().to_vec();
        text.push(0);
        self.attribute(libc::IFLA_IFNAME, &text);
    }

    fn end(&mut self, end: End<'_>) {
        self.name(end.name);
        if let Some(fd) = end.namespace {
            self.attribute(libc::IFLA_NET_NS_FD, &(fd as u32).to_ne_bytes());
        }
    }

    fn align(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn finish(mut self, sequence: u32) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        if self.0.len() > MESSAGE_BYTES_MAX {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        self.0[0..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nests_carry_their_length() {
        let mut message = Message::new(libc::RTM_NEWLINK, create_flags());
        message.nest(libc::IFLA_LINKINFO, |info| info.attribute(libc::IFLA_INFO_KIND, b"veth"));
        let bytes = message.finish(7).unwrap();
        assert_eq!(bytes.len(), 28);
        assert_eq!(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]), 28);
        assert_eq!(u16::from_ne_bytes([bytes[16], bytes[17]]), 12);
        assert_eq!(&bytes[24..28], b"veth");
    }

    #[test]
    fn reads_an_acknowledgement_behind_another_message() {
        let mut datagram = vec![0u8; 20];
        datagram[0..4].copy_from_slice(&18u32.to_ne_bytes());
        let mut error = vec![0u8; 36];
        error[0..4].copy_from_slice(&36u32.to_ne_bytes());
        error[4..6].copy_from_slice(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
        error[8..12].copy_from_slice(&9u32.to_ne_bytes());
        error[16..20].copy_from_slice(&(-libc::EPERM).to_ne_bytes());
        datagram.extend(error);
        assert_eq!(acknowledgement(&datagram, 9), Some(-libc::EPERM));
        assert_eq!(acknowledgement(&datagram, 8), None);
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200), sequence: u32) {
            let _ = acknowledgement(&bytes, sequence);
        }
    }
}
