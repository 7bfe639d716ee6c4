//! The raw way: whole packets out, and everything that concerns the target heard in front of local filters.

use super::packet::{Heard, Key, What, build, key, pieces, read};
use super::{Answer, Packet, Probe, Protocol, Reply, Route, filter, system};
use nix::poll::PollFlags;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

/// Room for packets that wait for us, in bytes.
const RECEIVE_BUFFER_BYTES: i32 = 2 << 20;

/// Probes remembered until they are answered; the oldest is forgotten first.
const PENDING_COUNT_MAX: usize = 4_096;

/// Source ports held at a time; the first is given back when there are more.
const PORTS_COUNT_MAX: usize = 512;

/// Packets taken at one look at the socket.
const READ_COUNT_MAX: usize = 256;

/// A SYN-ACK this much later than the quickest is one sent again: the first, or our SYN, was lost (RFC 6298, 2.1).
const SENT_AGAIN: Duration = Duration::from_millis(900);

/// A probe that waits, or has been answered.
#[derive(Debug, Clone, Copy)]
struct Pending {
    index: usize,
    sent: SystemTime,
    /// The interface of the first answer: on a bridge the same packet is heard once for each port too.
    interface: Option<usize>,
}

/// A packet heard.
#[derive(Debug, Clone, Copy)]
struct Arrived {
    heard: Heard,
    at: SystemTime,
    interface: usize,
}

/// Raw sockets towards one target.
#[derive(Debug)]
pub struct RawLink {
    route: Route,
    out: Socket,
    heard: Socket,
    ident: u16,
    pending: HashMap<Key, Pending>,
    order: VecDeque<Key>,
    /// Bound and never connected, so that the kernel gives their ports to nobody else.
    ports: VecDeque<Socket>,
    ready: VecDeque<Arrived>,
    /// The quickest SYN-ACK so far.
    quickest: Option<Duration>,
    buffer: Vec<u8>,
}

impl RawLink {
    /// Opens both sockets; permission denied without CAP_NET_RAW.
    pub fn open(route: &Route) -> io::Result<RawLink> {
        let domain = Domain::for_address(route.target);
        let out = Socket::new(domain, Type::RAW, Some(libc::IPPROTO_RAW.into()))?;
        route.bind(&out, 0)?;
        let ethernet = if route.target.is_ipv6() { libc::ETH_P_IPV6 } else { libc::ETH_P_IP };
        // Protocol 0 hears nothing until the filter stands and the socket is bound.
        let heard = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        heard.attach_filter(&filter::target_and_icmp(route.target.ip()))?;
        if system::set_option(&heard, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES).is_err() {
            // Without CAP_NET_ADMIN the ordinary limit holds, which is enough for the pace used here.
            let _ = system::set_option(&heard, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER_BYTES);
        }
        setsockopt(&heard, sockopt::ReceiveTimestampns, &true)?;
        heard.set_nonblocking(true)?;
        system::bind_packet(&heard, u16::try_from(ethernet).unwrap_or(0x0800))?;
        Ok(RawLink {
            route: route.clone(),
            out,
            heard,
            ident: identifier(),
            pending: HashMap::new(),
            order: VecDeque::new(),
            ports: VecDeque::new(),
            ready: VecDeque::new(),
            quickest: None,
            buffer: vec![0; 65_536],
        })
    }

    /// Sends one probe under an index.
    pub fn send(&mut self, index: usize, probe: &Probe) -> io::Result<SystemTime> {
        let bytes = build(probe, &self.route, self.ident).map_err(io::Error::other)?;
        let key = key(probe, bytes.len());
        if self.order.len() >= PENDING_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.pending.remove(&oldest);
        }
        let mut target = self.route.target;
        target.set_port(0);
        let at = SystemTime::now();
        let pending = Pending { index, sent: at, interface: None };
        self.pending.insert(key, pending);
        self.order.push_back(key);
        if let Packet::Datagram { source_port, .. } = probe.packet {
            self.pending.insert(Key::Port(source_port), pending);
            self.order.push_back(Key::Port(source_port));
        }
        if probe.cut == 0 {
            self.out.send_to(&bytes, &SockAddr::from(target))?;
        } else {
            // Every packet in pieces has an identification of its own, or a lost piece spoils the next packet.
            let ident = self.ident.wrapping_add((index as u16).wrapping_mul(7));
            for piece in pieces(&bytes, probe.cut, ident) {
                self.out.send_to(&piece, &SockAddr::from(target))?;
            }
        }
        Ok(at)
    }

    /// Waits for the next answer to a probe.
    pub fn receive(&mut self, until: Instant) -> io::Result<Option<(usize, Reply)>> {
        while let Some(Arrived { heard, at, interface }) = self.next(until)? {
            let What::Answer(answer, Some(key)) = heard.what else { continue };
            let Some(pending) = self.pending.get_mut(&key) else { continue };
            if *pending.interface.get_or_insert(interface) == interface {
                let rtt = at.duration_since(pending.sent).unwrap_or(Duration::ZERO);
                let (from, ttl, mss) = (heard.from, Some(heard.ttl), heard.mss);
                let index = pending.index;
                let retried = answer == Answer::SynAck && self.sent_again(rtt);
                return Ok(Some((index, Reply { answer, from, ttl, rtt, mss, retried })));
            }
        }
        Ok(None)
    }

    fn sent_again(&mut self, rtt: Duration) -> bool {
        let quickest = self.quickest.map_or(rtt, |quickest| quickest.min(rtt));
        self.quickest = Some(quickest);
        rtt >= quickest + SENT_AGAIN
    }

    /// Waits for the next packet that concerns the target, an answer or not.
    pub fn hear(&mut self, until: Instant) -> io::Result<Option<Heard>> {
        Ok(self.next(until)?.map(|arrived| arrived.heard))
    }

    fn next(&mut self, until: Instant) -> io::Result<Option<Arrived>> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Ok(Some(next));
            }
            self.drain()?;
            if !self.ready.is_empty() {
                continue;
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            system::wait_any(&[(self.heard.as_fd(), PollFlags::POLLIN)], until)?;
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        for _ in 0..READ_COUNT_MAX {
            let Some(received) = system::receive(&self.heard, false, &mut self.buffer)? else { break };
            let bytes = self.buffer.get(..received.length).unwrap_or_default();
            if let Some(heard) = read(bytes, self.route.target.ip(), self.ident) {
                self.ready.push_back(Arrived { heard, at: received.at, interface: received.interface });
            }
        }
        Ok(())
    }

    /// Holds a source port that no program of this host gets meanwhile.
    pub fn reserve_port(&mut self, protocol: Protocol) -> io::Result<u16> {
        let kind = if protocol == Protocol::Udp { Type::DGRAM } else { Type::STREAM };
        let socket = Socket::new(Domain::for_address(self.route.target), kind, None)?;
        self.route.bind(&socket, 0)?;
        let port = socket.local_addr()?.as_socket().map_or(0, |a: SocketAddr| a.port());
        if self.ports.len() >= PORTS_COUNT_MAX {
            self.ports.pop_front();
        }
        self.ports.push_back(socket);
        Ok(port)
    }

    /// True when the kernel had to drop packets meant for us.
    pub fn overflowed(&self) -> bool {
        system::packets_dropped(&self.heard).is_ok_and(|dropped| dropped > 0)
    }

    /// The route in use.
    pub const fn route(&self) -> &Route {
        &self.route
    }
}

/// An echo identifier other links of this and other processes hardly share.
fn identifier() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = (std::process::id() as u16).wrapping_mul(251);
    spread.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))
}
