//! Bare ACKs of no connection, to the target's port and to a closed one, and the RSTs that answer.

use super::{CONTROL_COUNT, wait};
use crate::connect::attempt::{Ended, Plan, finish, start};
use crate::connect::unlikely_ports;
use crate::socket;
use crate::tap::{Seen, Tap, flow, ms_between, now_ns};
use netwhy_model::Source;
use netwhy_wire::{TcpBuild, TcpFlags};
use socket2::{Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// ACKs to the target's port, each from a source port of its own so that no flow hash sends them all one way.
const TRY_COUNT: usize = 3;
/// Between one try and the next.
const PACE: Duration = Duration::from_millis(100);
/// Between one look at the tap and the next.
const LOOK: Duration = Duration::from_millis(10);
/// Looks at the tap before the question ends whatever comes.
const LOOK_COUNT_MAX: usize = 100;
/// An established connection's usual window.
const WINDOW: u16 = 502;

/// What came back for one port's ACKs.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tries {
    pub port: u16,
    /// ACKs seen to leave.
    pub left: usize,
    /// RSTs whose sequence is our acknowledgment, each with its delay in milliseconds.
    pub resets_ms: Vec<f64>,
    /// Other answers: ICMP errors and segments that fit no ACK of ours.
    pub others: usize,
}

/// Both ports' answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Acks {
    pub target: Tries,
    /// A port that refuses SYNs, where one was found.
    pub control: Option<Tries>,
}

/// Sends the ACKs while control ports are asked by SYN; at most 0.8 s.
///
/// # Errors
/// EPERM without CAP_NET_RAW; what this host says when a socket cannot be made.
pub(super) async fn ask(source: &Arc<Source>, address: SocketAddr, rtt_ms: Option<f64>) -> io::Result<Acks> {
    let mut tap = Tap::open(&[address.ip()])?;
    let sender = Sender::open(source, address)?;
    let ports = unlikely_ports(address.port(), CONTROL_COUNT);
    let mut syns = syns(source, address, &ports);
    let mut probes: Vec<Probe> = Vec::new();
    let mut refusing: Vec<u16> = Vec::new();
    let began = Instant::now();
    let mut sent_count = 0;
    for _ in 0..LOOK_COUNT_MAX {
        if sent_count < TRY_COUNT && began.elapsed() >= PACE * sent_count as u32 {
            // The control ports are several, so once is enough for each.
            let controls = if sent_count == 0 { ports.as_slice() } else { &[] };
            for port in std::iter::once(address.port()).chain(controls.iter().copied()) {
                // This host's own refusal shows in what the tap sees leave.
                probes.extend(sender.send(port));
            }
            sent_count += 1;
        }
        tokio::time::sleep(LOOK).await;
        while let Some(done) = syns.try_join_next() {
            refusing.extend(done.ok().flatten());
        }
        let seen = tap.drain();
        let acks = collect(seen, address.port(), &probes, &refusing);
        if ends(&acks, began.elapsed(), sent_count, rtt_ms) {
            return Ok(acks);
        }
    }
    Ok(collect(tap.drain(), address.port(), &probes, &refusing))
}

/// One answer is enough; silence needs every try, and the time an answer takes here.
fn ends(acks: &Acks, elapsed: Duration, sent_count: usize, rtt_ms: Option<f64>) -> bool {
    if !acks.target.resets_ms.is_empty() {
        return true;
    }
    let known = acks.control.as_ref().and_then(|c| c.resets_ms.iter().copied().reduce(f64::max));
    let patience = wait(known.or(rtt_ms));
    sent_count == TRY_COUNT && elapsed >= PACE * (TRY_COUNT as u32 - 1) + patience
}

/// SYNs to the control ports; each task gives its port back when it was refused.
fn syns(source: &Arc<Source>, address: SocketAddr, ports: &[u16]) -> JoinSet<Option<u16>> {
    let plan = Plan::new(source);
    let mut tasks = JoinSet::new();
    for port in ports.iter().copied() {
        let mut remote = address;
        remote.set_port(port);
        if let Ok(started) = start(&plan, remote) {
            tasks.spawn(async move {
                let done = finish(started, wait(None)).await;
                (done.ended == Ended::Refused).then_some(port)
            });
        }
    }
    tasks
}

/// One ACK sent.
#[derive(Debug)]
struct Probe {
    remote: SocketAddr,
    local: SocketAddr,
    acknowledgment: u32,
    sent_ns: u64,
    /// Bound and never connected, so that the kernel gives its port to nobody and hears nothing on it.
    _port: Socket,
}

/// A raw socket beside the ports it speaks from; the kernel writes the IP header, its TTL and all.
struct Sender {
    raw: Socket,
    source: Arc<Source>,
    local: IpAddr,
    address: SocketAddr,
}

impl Sender {
    fn open(source: &Arc<Source>, address: SocketAddr) -> io::Result<Sender> {
        let raw = socket::open(source, address, Type::RAW, Protocol::TCP)?;
        let mut to = address;
        // IPv6 raw sockets take no port.
        to.set_port(0);
        raw.connect(&SockAddr::from(to))?;
        let any = || match address {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let local = raw.local_addr()?.as_socket().map_or_else(any, |a| a.ip());
        Ok(Sender { raw, source: Arc::clone(source), local, address })
    }

    /// Sends one bare ACK to a port, from a port of its own.
    fn send(&self, port: u16) -> io::Result<Probe> {
        let mut remote = self.address;
        remote.set_port(port);
        let (held, local) = self.reserve(remote)?;
        let sent_ns = now_ns();
        // Any numbers will do: a stack without the connection compares them with nothing.
        let sequence = (sent_ns >> 6) as u32 | 1;
        let acknowledgment = sequence.rotate_left(13) ^ u32::from(local.port());
        let segment = TcpBuild {
            source_port: local.port(),
            destination_port: port,
            sequence,
            acknowledgment,
            flags: TcpFlags::ACK,
            window: WINDOW,
            options: &[],
            payload: &[],
        };
        self.raw.send(&segment.bytes(self.local, remote.ip()))?;
        Ok(Probe { remote, local, acknowledgment, sent_ns, _port: held })
    }

    fn reserve(&self, remote: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
        let held = Socket::new(socket2::Domain::for_address(remote), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(interface) = &self.source.interface {
            held.bind_device(Some(interface.as_bytes()))?;
        }
        let mut local = SocketAddr::new(self.local, 0);
        if let (SocketAddr::V6(local), SocketAddr::V6(remote)) = (&mut local, remote) {
            local.set_scope_id(remote.scope_id());
        }
        held.bind(&SockAddr::from(local))?;
        let bound = socket::local_address(&held).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok((held, bound))
    }
}

fn collect(seen: &[Seen], target: u16, probes: &[Probe], refusing: &[u16]) -> Acks {
    let of = |port: u16| {
        let mut tries = Tries { port, ..Tries::default() };
        for probe in probes.iter().filter(|p| p.remote.port() == port) {
            add(&mut tries, seen, probe);
        }
        tries
    };
    let controls = refusing.iter().map(|port| of(*port));
    Acks { target: of(target), control: controls.max_by_key(|tries| tries.resets_ms.len()) }
}

fn add(tries: &mut Tries, seen: &[Seen], probe: &Probe) {
    let view = flow(seen, probe.local, probe.remote, probe.sent_ns);
    tries.left += usize::from(view.ack_ns.is_some());
    tries.others += view.errors.len() + view.syn_acks.len() + view.acks_in.len();
    for reset in &view.resets {
        if reset.segment.sequence == probe.acknowledgment {
            tries.resets_ms.push(ms_between(probe.sent_ns, reset.at_ns));
        } else {
            tries.others += 1;
        }
    }
}
