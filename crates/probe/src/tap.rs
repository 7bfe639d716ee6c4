//! An observer on the wire beside the kernel's own sockets; needs CAP_NET_RAW.
//!
//! The kernel does the talking, the tap gives the facts: which packets left, which came, when, with which
//! TTL. It is opened before the first packet and closed on drop; the kernel holds packets until they are
//! drained, in a bounded buffer.

mod filter;
mod flow;
mod receive;

pub(crate) use flow::{FlowError, FlowView, flow};
pub(crate) use receive::send_link;

use netwhy_wire::{Arp, ArpOperation, Body, IcmpError, IcmpKind, TcpFlags};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Packets the kernel holds for us until drained, in bytes.
const BUFFER_BYTES: usize = 4 << 20;
/// Most packets taken out of one tap.
const PACKET_COUNT_MAX: usize = 20_000;

/// One packet as the tap saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Nanoseconds since the epoch, by the kernel.
    pub at_ns: u64,
    /// True when this host sent it.
    pub outgoing: bool,
    pub interface: u32,
    /// The link-layer sender, when it has six bytes.
    pub mac: Option<[u8; 6]>,
    pub what: What,
}

/// What the packet was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Tcp(Segment),
    Echo {
        reply: bool,
        source: IpAddr,
        destination: IpAddr,
        ttl: u8,
        ident: u16,
        sequence: u16,
    },
    IcmpError {
        from: IpAddr,
        ttl: u8,
        kind: u8,
        code: u8,
        error: IcmpError,
    },
    Arp(Arp),
    Solicit {
        target: Ipv6Addr,
    },
    Advert {
        target: Ipv6Addr,
        mac: Option<[u8; 6]>,
    },
    Udp {
        source: SocketAddr,
        destination: SocketAddr,
        ttl: u8,
    },
    /// A transport checksum was wrong, whatever was in it.
    Damaged {
        source: IpAddr,
    },
}

/// One TCP segment's fields that the facts need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub flags: TcpFlags,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub window: u16,
    pub mss: Option<u16>,
    pub timestamp: Option<u32>,
    pub ttl: u8,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    pub ident: u32,
    pub payload_len: usize,
}

/// The observer.
#[derive(Debug)]
pub(crate) struct Tap {
    /// Taken only on drop.
    socket: Option<Socket>,
    seen: Vec<Seen>,
}

impl Tap {
    /// Starts to watch traffic with these peers, all ICMP errors and neighbour discovery.
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW.
    pub(crate) fn open(peers: &[IpAddr]) -> io::Result<Tap> {
        stamp_packets();
        // Protocol 0 hears nothing until it is bound, so no packet slips in before the filter.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0)))?;
        socket.set_nonblocking(true)?;
        // The privileged form passes rmem_max; the plain one is good enough where it is refused.
        if crate::tap::receive::force_buffer(&socket, BUFFER_BYTES).is_err() {
            socket.set_recv_buffer_size(BUFFER_BYTES)?;
        }
        crate::socket::set_flag(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
        crate::socket::set_flag(&socket, libc::SOL_PACKET, receive::PACKET_AUXDATA)?;
        let steps: Vec<SockFilter> =
            filter::program(peers).iter().map(|s| SockFilter::new(s.code, s.jt, s.jf, s.k)).collect();
        socket.attach_filter(&steps)?;
        receive::bind_all(socket.as_raw_fd())?;
        Ok(Tap { socket: Some(socket), seen: Vec::new() })
    }

    /// Takes what came since, and gives all that was seen so far, in order.
    pub(crate) fn drain(&mut self) -> &[Seen] {
        let Some(socket) = &self.socket else { return &self.seen };
        while self.seen.len() < PACKET_COUNT_MAX {
            let Some(raw) = receive::next(socket.as_raw_fd()) else { break };
            if let Some(seen) = read(&raw) {
                self.seen.push(seen);
            }
        }
        &self.seen
    }
}

impl Drop for Tap {
    /// Closing a packet socket waits for an RCU grace period, tens of milliseconds: a thread of its own does.
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            drop(std::thread::Builder::new().spawn(move || drop(socket)));
        }
    }
}

/// Time the kernel's work queue needs to start stamping packets.
const STAMPING_STARTS: Duration = Duration::from_millis(2);

/// Makes the kernel stamp packets as they pass, for the life of the process.
///
/// Without a socket that wants stamps the kernel stamps a packet only when it is read, which is too late.
fn stamp_packets() {
    static WANTS_STAMPS: OnceLock<Option<Socket>> = OnceLock::new();
    WANTS_STAMPS.get_or_init(|| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).ok()?;
        crate::socket::set_flag(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS).ok()?;
        std::thread::sleep(STAMPING_STARTS);
        Some(socket)
    });
}

/// Now, in nanoseconds since the epoch, on the clock of the kernel's timestamps.
pub(crate) fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

/// Milliseconds from one moment to a later one, both in nanoseconds.
pub(crate) fn ms_between(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / 1e6
}

fn read(raw: &receive::Raw) -> Option<Seen> {
    let seen = |what| {
        Some(Seen { at_ns: raw.at_ns, outgoing: raw.outgoing, interface: raw.interface, mac: raw.mac, what })
    };
    if raw.ethertype == receive::ETHERTYPE_ARP {
        return seen(What::Arp(Arp::parse(&raw.bytes).ok()?));
    }
    let packet = netwhy_wire::parse(&raw.bytes).ok()?;
    let ip = &packet.ip;
    if !raw.outgoing && !raw.checksum_unfinished && packet.transport_checksum_ok() == Some(false) {
        return seen(What::Damaged { source: ip.source });
    }
    match packet.body {
        Body::Tcp(tcp) => seen(What::Tcp(Segment {
            source: SocketAddr::new(ip.source, tcp.source_port),
            destination: SocketAddr::new(ip.destination, tcp.destination_port),
            flags: tcp.flags,
            sequence: tcp.sequence,
            acknowledgment: tcp.acknowledgment,
            window: tcp.window,
            mss: tcp.mss(),
            timestamp: tcp.timestamp(),
            ttl: ip.ttl,
            traffic_class: ip.traffic_class,
            ident: ip.ident,
            payload_len: tcp.payload.len(),
        })),
        Body::Udp(udp) => seen(What::Udp {
            source: SocketAddr::new(ip.source, udp.source_port),
            destination: SocketAddr::new(ip.destination, udp.destination_port),
            ttl: ip.ttl,
        }),
        Body::Icmp(icmp) => {
            let echo = |reply, ident, sequence| What::Echo {
                reply,
                source: ip.source,
                destination: ip.destination,
                ttl: ip.ttl,
                ident,
                sequence,
            };
            match icmp.message {
                IcmpKind::EchoRequest { ident, sequence, .. } => seen(echo(false, ident, sequence)),
                IcmpKind::EchoReply { ident, sequence, .. } => seen(echo(true, ident, sequence)),
                IcmpKind::Error(error) => seen(What::IcmpError {
                    from: ip.source,
                    ttl: ip.ttl,
                    kind: icmp.kind,
                    code: icmp.code,
                    error,
                }),
                IcmpKind::NeighbourSolicit { target } => seen(What::Solicit { target }),
                IcmpKind::NeighbourAdvert { target, mac, .. } => seen(What::Advert { target, mac }),
                IcmpKind::Other => None,
            }
        }
        Body::Other => None,
    }
}

/// The fact `source.bad_checksums`, where the wire and the kernel's counters agree on it.
///
/// Either alone may be another flow's packet, or one that the kernel need not check.
pub(crate) fn bad_checksums(
    seen: Option<&[Seen]>,
    peers: &[IpAddr],
    counted: u64,
) -> Option<(&'static str, String)> {
    let damaged = seen.map_or(0, |seen| {
        seen.iter().filter(|s| matches!(&s.what, What::Damaged { source } if peers.contains(source))).count()
    });
    let text = format!("{damaged} damaged packets captured, the kernel counted {counted}");
    match (damaged, counted) {
        (0, 0) => Some(("none", text)),
        (1.., 1..) => Some(("seen", text)),
        _ => None,
    }
}

/// True when this host asked for a neighbour since `since_ns` and nobody answered.
pub(crate) fn neighbour_unanswered(seen: &[Seen], since_ns: u64) -> bool {
    let recent = || seen.iter().filter(move |s| s.at_ns >= since_ns);
    recent().any(|ask| match &ask.what {
        What::Arp(arp) if ask.outgoing && arp.operation == ArpOperation::Request => !recent().any(
            |answer| matches!(&answer.what, What::Arp(reply) if !answer.outgoing && reply.sender == arp.target),
        ),
        What::Solicit { target } if ask.outgoing => !recent().any(|answer| {
            matches!(&answer.what, What::Advert { target: got, .. } if !answer.outgoing && got == target)
        }),
        _ => false,
    })
}
