//! Somebody on the way who answers SYNs as it likes.

use super::Namespace;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Waits for a packet so long before looking whether the test is over, in milliseconds.
const LOOK_MS: i32 = 20;
const ETHERNET_BYTES: usize = 14;

/// A SYN as it was seen: everything an answer needs.
#[derive(Debug, Clone)]
pub struct Syn {
    ethernet: [u8; ETHERNET_BYTES],
    from: [u8; 4],
    to: [u8; 4],
    source_port: u16,
    pub port: u16,
    pub sequence: u32,
}

/// What a forged segment says.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    pub flags: u8,
    pub sequence: u32,
    pub acknowledges: u32,
    pub window: u16,
}

pub const SYN_ACK: u8 = 0x12;
pub const RST_ACK: u8 = 0x14;

/// Answers until dropped.
pub struct Forger {
    stop: Arc<AtomicBool>,
    pub answered: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Forger {
    /// Stands on an interface of a namespace; what `answer` gives for a SYN is sent back as whole frames.
    pub fn start(
        at: &Namespace,
        interface: &'static str,
        answer: impl Fn(&Syn) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Forger {
        let socket = at.within(move || packet_socket(interface));
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0u8; 2_048];
            while !ended.load(Ordering::Relaxed) {
                let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                // SAFETY: the pointer describes one live value.
                unsafe { libc::poll(&raw mut poll, 1, LOOK_MS) };
                // SAFETY: the pointer and length describe `buffer`.
                let got = unsafe {
                    libc::recv(
                        socket.as_raw_fd(),
                        buffer.as_mut_ptr().cast(),
                        buffer.len(),
                        libc::MSG_DONTWAIT,
                    )
                };
                let Some(syn) = usize::try_from(got).ok().and_then(|length| Syn::read(&buffer[..length]))
                else {
                    continue;
                };
                for frame in answer(&syn) {
                    // SAFETY: the pointer and length describe `frame`.
                    unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Forger { stop, answered, thread: Some(thread) }
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Syn {
    fn read(frame: &[u8]) -> Option<Syn> {
        let ip = frame.get(ETHERNET_BYTES..)?;
        let tcp = ip.get(20..40)?;
        let is_syn =
            frame.get(12..14)? == [0x08, 0x00] && ip[0] == 0x45 && ip[9] == 6 && tcp[13] & 0x17 == 0x02;
        is_syn.then_some(())?;
        Some(Syn {
            ethernet: frame[..ETHERNET_BYTES].try_into().ok()?,
            from: ip[12..16].try_into().ok()?,
            to: ip[16..20].try_into().ok()?,
            source_port: u16::from_be_bytes([tcp[0], tcp[1]]),
            port: u16::from_be_bytes([tcp[2], tcp[3]]),
            sequence: u32::from_be_bytes(tcp[4..8].try_into().ok()?),
        })
    }

    /// A segment from where the SYN was going.
    pub fn answer(&self, segment: Segment) -> Vec<u8> {
        let mut tcp = Vec::new();
        tcp.extend(self.port.to_be_bytes());
        tcp.extend(self.source_port.to_be_bytes());
        tcp.extend(segment.sequence.to_be_bytes());
        tcp.extend(segment.acknowledges.to_be_bytes());
        tcp.extend([0x50, segment.flags]);
        tcp.extend(segment.window.to_be_bytes());
        tcp.extend([0, 0, 0, 0]);
        let mut pseudo: Vec<u8> = [self.to, self.from].concat();
        pseudo.extend([0, 6, 0, tcp.len() as u8]);
        pseudo.extend(&tcp);
        let sum = checksum(&pseudo);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        self.packet(&tcp)
    }

    /// An ICMP "administratively prohibited" from whoever, quoting a question that may never have been asked.
    pub fn prohibits(&self, from: [u8; 4], quoted_sequence: u32) -> Vec<u8> {
        let mut quoted = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
        quoted.extend(self.from);
        quoted.extend(self.to);
        let sum = checksum(&quoted);
        quoted[10..12].copy_from_slice(&sum.to_be_bytes());
        quoted.extend(self.source_port.to_be_bytes());
        quoted.extend(self.port.to_be_bytes());
        quoted.extend(quoted_sequence.to_be_bytes());
        let mut icmp = vec![3, 13, 0, 0, 0, 0, 0, 0];
        icmp.extend(quoted);
        let sum = checksum(&icmp);
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut frame = self.packet(&icmp);
        let ip = ETHERNET_BYTES;
        frame[ip + 9] = 1;
        frame[ip + 12..ip + 16].copy_from_slice(&from);
        frame[ip + 10..ip + 12].fill(0);
        let sum = checksum(&frame[ip..ip + 20]);
        frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    /// An IPv4 packet of TCP back to the asker, whatever its payload.
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let mut ip = vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 0, 0x40, 0, 64, 6, 0, 0];
        ip.extend(self.to);
        ip.extend(self.from);
        let sum = checksum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        let mut frame = self.ethernet[6..12].to_vec();
        frame.extend(&self.ethernet[..6]);
        frame.extend([0x08, 0x00]);
        frame.extend(ip);
        frame.extend(payload);
        frame
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    let pairs =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = pairs.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn packet_socket(interface: &str) -> OwnedFd {
    let index = nix::net::if_::if_nametoindex(interface).expect("the interface");
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: plain system calls; every pointer and length describes a value that outlives its call.
    unsafe {
        let fd =
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::c_int::from(protocol));
        assert!(fd >= 0, "a packet socket");
        let one: libc::c_int = 1;
        libc::setsockopt(fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, (&raw const one).cast(), 4);
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = index as i32;
        let length = size_of::<libc::sockaddr_ll>() as u32;
        assert_eq!(libc::bind(fd, (&raw const address).cast(), length), 0);
        OwnedFd::from_raw_fd(fd)
    }
}
