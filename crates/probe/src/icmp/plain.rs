//! The plain way: one kernel socket for each probe, and the error queue for what routers say. No privilege.

use super::system::{self, ExtendedError, Received};
use super::{Answer, Packet, Probe, Reply, Route};
use netwhy_wire::ErrorClass;
use nix::poll::PollFlags;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

/// Sockets open at a time; the oldest is closed first, well below the usual limit of 1,024 descriptors.
const SOCKETS_COUNT_MAX: usize = 256;

/// Bytes of payload looked at.
const READ_BYTES_MAX: usize = 65_536;

#[derive(Debug)]
struct Waiting {
    index: usize,
    socket: Socket,
    packet: Packet,
    sent: SystemTime,
}

/// Kernel sockets towards one target.
#[derive(Debug)]
pub struct PlainLink {
    route: Route,
    waiting: VecDeque<Waiting>,
    buffer: Vec<u8>,
}

impl PlainLink {
    /// Makes a link; nothing is opened yet.
    pub fn new(route: &Route) -> PlainLink {
        PlainLink { route: route.clone(), waiting: VecDeque::new(), buffer: vec![0; READ_BYTES_MAX] }
    }

    /// Sends one probe under an index; echo needs a group inside `net.ipv4.ping_group_range`.
    pub fn send(&mut self, index: usize, probe: &Probe) -> io::Result<SystemTime> {
        let domain = Domain::for_address(self.route.target);
        let echo = if self.route.target.is_ipv6() { libc::IPPROTO_ICMPV6 } else { libc::IPPROTO_ICMP };
        let (kind, protocol, port) = match probe.packet {
            Packet::Echo { .. } => (Type::DGRAM, Some(echo.into()), 0),
            Packet::Syn { port, .. } => (Type::STREAM, None, port),
            Packet::Datagram { port, .. } => (Type::DGRAM, None, port),
            Packet::Again { .. } => return Err(io::ErrorKind::PermissionDenied.into()),
        };
        let socket = Socket::new(domain, kind, protocol)?;
        self.prepare(&socket, probe)?;
        let mut target = self.route.target;
        target.set_port(port);
        let sent = SystemTime::now();
        match socket.connect(&SockAddr::from(target)) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            // The kernel may answer for a port of this very host before connect returns.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
        if let Some(payload) = self.payload(probe) {
            socket.send(&payload)?;
        }
        if self.waiting.len() >= SOCKETS_COUNT_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { index, socket, packet: probe.packet, sent });
        Ok(sent)
    }

    fn prepare(&self, socket: &Socket, probe: &Probe) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        self.route.bind(socket, 0)?;
        let ttl = u32::from(probe.ttl);
        // PROBE sets DF and ignores what the kernel believes of the path; DONT lets routers cut.
        let cut = if probe.whole { libc::IP_PMTUDISC_PROBE } else { libc::IP_PMTUDISC_DONT };
        if self.route.target.is_ipv6() {
            socket.set_unicast_hops_v6(ttl)?;
            setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
            setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?;
            system::set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, cut)?;
        } else {
            socket.set_ttl_v4(ttl)?;
            setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
            setsockopt(socket, sockopt::Ipv4RecvTtl, &true)?;
            system::set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, cut)?;
        }
        setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
        Ok(())
    }

    fn payload(&self, probe: &Probe) -> Option<Vec<u8>> {
        let room = usize::from(probe.bytes.saturating_sub(self.route.header_bytes() + 8));
        match probe.packet {
            Packet::Echo { sequence } => {
                let kind = if self.route.target.is_ipv6() { 128 } else { 8 };
                // Identifier and checksum are the kernel's to fill.
                let mut message = vec![kind, 0, 0, 0, 0, 0];
                message.extend(sequence.to_be_bytes());
                message.extend(std::iter::repeat_n(0, room));
                Some(message)
            }
            Packet::Datagram { .. } => Some(vec![0; room]),
            _ => None,
        }
    }

    /// Waits for the next answer to a probe.
    pub fn receive(&mut self, until: Instant) -> io::Result<Option<(usize, Reply)>> {
        loop {
            let polled: Vec<_> =
                self.waiting.iter().map(|w| (w.socket.as_fd(), interest(w.packet))).collect();
            let ready = system::wait_any(&polled, until)?;
            drop(polled);
            for place in (0..ready.len()).filter(|place| ready[*place]) {
                if let Some(found) = self.look(place) {
                    return Ok(Some(found));
                }
            }
            if Instant::now() >= until {
                return Ok(None);
            }
        }
    }

    /// Reads one socket that has something to say; one that is through is closed.
    fn look(&mut self, place: usize) -> Option<(usize, Reply)> {
        let waiting = self.waiting.get(place)?;
        let (index, sent) = (waiting.index, waiting.sent);
        let reply = match system::receive(&waiting.socket, true, &mut self.buffer) {
            Ok(Some(received)) => error_reply(&received, self.route.target.is_ipv6(), sent),
            _ => answer_reply(waiting, &self.route, &mut self.buffer),
        };
        let through = matches!(waiting.packet, Packet::Syn { .. }) || reply.is_some();
        if through {
            self.waiting.remove(place);
        }
        reply.map(|reply| (index, reply))
    }
}

fn interest(packet: Packet) -> PollFlags {
    if matches!(packet, Packet::Syn { .. }) { PollFlags::POLLOUT } else { PollFlags::POLLIN }
}

fn error_reply(received: &Received, ipv6: bool, sent: SystemTime) -> Option<Reply> {
    let error: ExtendedError = received.error.filter(|error| error.icmp)?;
    let class = ErrorClass::of(ipv6, error.kind, error.code)?;
    let answer = Answer::from_error(class, Some(error.info).filter(|mtu| *mtu != 0))?;
    let rtt = received.at.duration_since(sent).unwrap_or(Duration::ZERO);
    Some(Reply { answer, from: error.offender?, ttl: received.ttl, rtt, mss: None, retried: false })
}

fn answer_reply(waiting: &Waiting, route: &Route, buffer: &mut [u8]) -> Option<Reply> {
    let from = route.target.ip();
    let reply = |answer, rtt, ttl| Some(Reply { answer, from, ttl, rtt, mss: None, retried: false });
    let since = |at: SystemTime| at.duration_since(waiting.sent).unwrap_or(Duration::ZERO);
    match waiting.packet {
        Packet::Syn { .. } => match waiting.socket.take_error() {
            Ok(None) => {
                // The kernel's own measure leaves our waiting in the run queue out.
                let info = system::tcp_info(&waiting.socket).ok()?;
                let measured = Duration::from_micros(info.tcpi_rtt.into());
                let retried = info.tcpi_total_retrans > 0;
                let rtt = if retried { since(SystemTime::now()) } else { measured };
                reply(Answer::SynAck, rtt, None).map(|reply| Reply { retried, ..reply })
            }
            Ok(Some(error)) if error.raw_os_error() == Some(libc::ECONNREFUSED) => {
                reply(Answer::Reset, since(SystemTime::now()), None)
            }
            _ => None,
        },
        Packet::Echo { .. } | Packet::Datagram { .. } => {
            let received = system::receive(&waiting.socket, false, buffer).ok()??;
            let echo = matches!(waiting.packet, Packet::Echo { .. });
            let answer = if echo { Answer::Echo } else { Answer::Datagram };
            reply(answer, since(received.at), received.ttl)
        }
        Packet::Again { .. } => None,
    }
}
