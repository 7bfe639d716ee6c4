//! One question to one server: UDP with a repeat and an ear for a second answer, or TCP.
//!
//! Sockets are connected and have IP_RECVERR set, as glibc does, so that ICMP errors reach us
//! without privilege.

use crate::message::{self, Decoded, Flags, answers_to, read_reply};
use crate::report::{Ending, Exchange, Reply, Via};
use hickory_proto::rr::RecordType;
use netwhy_model::Source;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::{Instant, sleep_until, timeout_at};

/// When a UDP question is sent again, counted from its start; a second loss in a row is rare.
pub const REPEAT_MS: u64 = 700;
/// How soon a refusal by ICMP is confirmed by asking again.
const CONFIRM_MS: u64 = 30;
/// How long an answer is still waited for after an ICMP error; hosts send such errors about once a second,
/// so that the second one may never come.
const REFUSED_MS: u64 = 400;
/// Datagrams looked at in one exchange; a flood of strays ends it.
const DATAGRAMS_COUNT_MAX: usize = 64;
/// Packets sent in one exchange.
const TRIES_COUNT_MAX: u8 = 4;
/// Largest UDP payload read, in bytes.
const DATAGRAM_BYTES_MAX: usize = 4_096;

/// How long to wait in one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    pub total_ms: u64,
    /// After the first answer, listen on for another one.
    pub linger_ms: u64,
}

impl Patience {
    /// So long, and no ear for a second answer.
    pub const fn of(total_ms: u64) -> Patience {
        Patience { total_ms, linger_ms: 0 }
    }
}

/// One question to one server.
#[derive(Debug, Clone)]
pub struct Question {
    pub server: SocketAddr,
    pub via: Via,
    pub name: String,
    pub kind: RecordType,
    pub flags: Flags,
    pub patience: Patience,
}

/// What came back, and its records in typed form when there were any.
#[derive(Debug, Clone)]
pub struct Asked {
    pub exchange: Exchange,
    pub decoded: Option<Decoded>,
}

impl Asked {
    /// The reply, when there was one.
    pub fn reply(&self) -> Option<&Reply> {
        self.exchange.reply.as_ref()
    }
}

/// The data of `Exchange` for a question that got nothing.
pub fn unanswered(question: &Question, ending: Ending, elapsed_ms: f64) -> Exchange {
    Exchange {
        server: question.server,
        via: question.via,
        name: question.name.clone(),
        kind: question.kind.to_string(),
        ending,
        elapsed_ms,
        tries: 0,
        reply: None,
        second: None,
        hop_limit: None,
        error: None,
    }
}

/// Asks once, within the question's patience. A truncated UDP answer is returned as it is.
pub async fn ask(source: &Source, question: Question) -> Asked {
    let started = Instant::now();
    let heard = match message::question(&question.name, question.kind, question.flags) {
        None => {
            Err(Failure { ending: Ending::LocalError, tries: 0, error: Some("name has no wire form".into()) })
        }
        Some((id, bytes)) => match question.via {
            Via::Udp => udp(source, &question, id, &bytes, started).await,
            Via::Tcp => tcp(source, &question, id, &bytes, started).await,
        },
    };
    let mut exchange = unanswered(&question, Ending::Silent, elapsed_ms(started));
    match heard {
        Ok(heard) => {
            exchange.ending = Ending::Answered;
            exchange.elapsed_ms = heard.elapsed_ms;
            exchange.tries = heard.tries;
            exchange.hop_limit = heard.hop_limit;
            exchange.second = heard.second.map(Box::new);
            exchange.reply = Some(heard.decoded.reply.clone());
            Asked { exchange, decoded: Some(heard.decoded) }
        }
        Err(failure) => {
            exchange.ending = failure.ending;
            exchange.tries = failure.tries;
            exchange.error = failure.error;
            Asked { exchange, decoded: None }
        }
    }
}

/// UDP first, and TCP when the answer is truncated or unreadable. Gives both exchanges.
pub async fn ask_whole(source: &Source, question: Question) -> (Asked, Option<Asked>) {
    let first = ask(source, question.clone()).await;
    let cut = question.via == Via::Udp && first.reply().is_some_and(|r| r.truncated || !r.readable);
    if !cut {
        return (first, None);
    }
    let again = ask(source, Question { via: Via::Tcp, ..question }).await;
    (first, Some(again))
}

struct Heard {
    decoded: Decoded,
    elapsed_ms: f64,
    tries: u8,
    hop_limit: Option<u8>,
    second: Option<Reply>,
}

struct Failure {
    ending: Ending,
    tries: u8,
    error: Option<String>,
}

impl Failure {
    fn from_error(error: &io::Error, tries: u8) -> Failure {
        Failure { ending: ending_of(error), tries, error: Some(error.to_string()) }
    }

    /// What came back after our packet had left: "network unreachable" is then a router's word, not this host's.
    fn from_network(error: &io::Error, tries: u8) -> Failure {
        let failure = Failure::from_error(error, tries);
        let routers = error.raw_os_error() == Some(Errno::ENETUNREACH as i32);
        Failure { ending: if routers { Ending::HostUnreachable } else { failure.ending }, ..failure }
    }
}

/// What a socket error says of the other side.
fn ending_of(error: &io::Error) -> Ending {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ECONNREFUSED | Errno::ECONNRESET | Errno::EPIPE) => Ending::PortUnreachable,
        Some(Errno::EHOSTUNREACH | Errno::EHOSTDOWN | Errno::EPROTO | Errno::ENOPROTOOPT) => {
            Ending::HostUnreachable
        }
        Some(Errno::ETIMEDOUT) => Ending::Silent,
        _ => Ending::LocalError,
    }
}

fn elapsed_ms(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

async fn udp(
    source: &Source,
    question: &Question,
    id: u16,
    bytes: &[u8],
    started: Instant,
) -> Result<Heard, Failure> {
    let socket = udp_socket(source, question.server).map_err(|e| Failure::from_error(&e, 0))?;
    let mut until = started + Duration::from_millis(question.patience.total_ms);
    let mut repeat = started + Duration::from_millis(REPEAT_MS);
    let mut tries = 0u8;
    send(&socket, bytes, &mut tries).map_err(|e| Failure::from_error(&e, 1))?;
    let mut refused: Option<io::Error> = None;
    for _ in 0..DATAGRAMS_COUNT_MAX {
        let next = if tries < TRIES_COUNT_MAX { repeat.min(until) } else { until };
        match timeout_at(next, receive(&socket)).await {
            Ok(Ok((datagram, hop_limit))) => {
                if !answers_to(&datagram, id, &question.name, question.kind) {
                    continue;
                }
                let Some(decoded) = read_reply(&datagram) else { continue };
                let elapsed_ms = elapsed_ms(started);
                let second = linger(&socket, question, id, &decoded.reply, tries).await;
                return Ok(Heard { decoded, elapsed_ms, tries, hop_limit, second });
            }
            Ok(Err(error)) => {
                // An ICMP error counts when it comes again: the first may be a leftover of the path.
                if refused.is_some() || tries >= TRIES_COUNT_MAX {
                    return Err(Failure::from_network(&error, tries));
                }
                refused = Some(error);
                until = until.min(Instant::now() + Duration::from_millis(REFUSED_MS));
                sleep_until((Instant::now() + Duration::from_millis(CONFIRM_MS)).min(until)).await;
                let _ = send(&socket, bytes, &mut tries);
            }
            Err(_) if Instant::now() >= until => break,
            Err(_) => {
                let _ = send(&socket, bytes, &mut tries);
                repeat = Instant::now() + Duration::from_millis(REPEAT_MS);
            }
        }
    }
    match refused {
        Some(error) => Err(Failure::from_network(&error, tries)),
        None => Err(Failure { ending: Ending::Silent, tries, error: None }),
    }
}

fn send(socket: &UdpSocket, bytes: &[u8], tries: &mut u8) -> io::Result<()> {
    *tries += 1;
    // A pending ICMP error is handed to the next call, here the send: `receive` then reads the rest.
    match socket.try_send(bytes) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            nix::sys::socket::send(socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT)
                .map(|_| ())
                .map_err(io::Error::from)
        }
        Err(error) => Err(error),
    }
}

/// After the first answer: another one, from the same server to the same packet, that differs.
async fn linger(socket: &UdpSocket, question: &Question, id: u16, first: &Reply, tries: u8) -> Option<Reply> {
    // A question sent twice may rightly be answered twice, and a rotating zone answers otherwise then.
    if question.patience.linger_ms == 0 || tries != 1 {
        return None;
    }
    let until = Instant::now() + Duration::from_millis(question.patience.linger_ms);
    for _ in 0..DATAGRAMS_COUNT_MAX {
        let (datagram, _) = timeout_at(until, receive(socket)).await.ok()?.ok()?;
        if !answers_to(&datagram, id, &question.name, question.kind) {
            continue;
        }
        let other = read_reply(&datagram)?.reply;
        if says(&other) != says(first) {
            return Some(other);
        }
    }
    None
}

/// What a reply says, whatever the order and the TTLs.
fn says(reply: &Reply) -> (u16, Vec<(&str, &str, &str)>) {
    let mut records: Vec<_> =
        reply.answers.iter().map(|r| (r.name.as_str(), r.kind.as_str(), r.data.as_str())).collect();
    records.sort_unstable();
    (reply.rcode, records)
}

async fn receive(socket: &UdpSocket) -> io::Result<(Vec<u8>, Option<u8>)> {
    // An ICMP error alone raises no readiness to read.
    socket.async_io(Interest::READABLE | Interest::ERROR, || receive_now(socket.as_raw_fd())).await
}

fn receive_now(fd: i32) -> io::Result<(Vec<u8>, Option<u8>)> {
    let mut buffer = vec![0u8; DATAGRAM_BYTES_MAX];
    let mut control = nix::cmsg_space!(i32, i32);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let len = message.bytes;
    let hop_limit = message.cmsgs().ok().and_then(|mut all| {
        all.find_map(|one| match one {
            ControlMessageOwned::Ipv4Ttl(ttl) => u8::try_from(ttl).ok(),
            ControlMessageOwned::Ipv6HopLimit(limit) => u8::try_from(limit).ok(),
            _ => None,
        })
    });
    buffer.truncate(len);
    Ok((buffer, hop_limit))
}

fn udp_socket(source: &Source, server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    bind(&socket, source, server)?;
    // Both are extras: without them the exchange still works.
    if server.is_ipv4() {
        let _ = setsockopt(&socket, sockopt::Ipv4RecvErr, &true);
        let _ = setsockopt(&socket, sockopt::Ipv4RecvTtl, &true);
    } else {
        let _ = setsockopt(&socket, sockopt::Ipv6RecvErr, &true);
        let _ = setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true);
    }
    socket.connect(&server.into())?;
    UdpSocket::from_std(socket.into())
}

/// Applies the case's interface and source address; a resolver on this very host needs neither.
fn bind(socket: &Socket, source: &Source, server: SocketAddr) -> io::Result<()> {
    if server.ip().is_loopback() {
        return Ok(());
    }
    if let Some(interface) = &source.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    match source.address {
        Some(address) if address.is_ipv4() == server.is_ipv4() => {
            socket.bind(&SocketAddr::new(address, 0).into())
        }
        _ => Ok(()),
    }
}

async fn tcp(
    source: &Source,
    question: &Question,
    id: u16,
    bytes: &[u8],
    started: Instant,
) -> Result<Heard, Failure> {
    let until = started + Duration::from_millis(question.patience.total_ms);
    match timeout_at(until, tcp_exchange(source, question, bytes)).await {
        Err(_) => Err(Failure { ending: Ending::Silent, tries: 1, error: None }),
        Ok(Err(error)) => Err(Failure::from_error(&error, 1)),
        Ok(Ok(answer)) => {
            let decoded = answers_to(&answer, id, &question.name, question.kind).then(|| read_reply(&answer));
            match decoded.flatten() {
                Some(decoded) => Ok(Heard {
                    decoded,
                    elapsed_ms: elapsed_ms(started),
                    tries: 1,
                    hop_limit: None,
                    second: None,
                }),
                None => {
                    Err(Failure { ending: Ending::Silent, tries: 1, error: Some("not a DNS reply".into()) })
                }
            }
        }
    }
}

async fn tcp_exchange(source: &Source, question: &Question, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let socket = Socket::new(Domain::for_address(question.server), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    bind(&socket, source, question.server)?;
    let mut stream = TcpSocket::from_std_stream(socket.into()).connect(question.server).await?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await?;
    let mut head = [0u8; 2];
    read_exact(&mut stream, &mut head).await?;
    let mut answer = vec![0u8; usize::from(u16::from_be_bytes(head))];
    read_exact(&mut stream, &mut answer).await?;
    Ok(answer)
}

/// A close before the answer is a refusal: the server is there and will not speak.
async fn read_exact(stream: &mut tokio::net::TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    match stream.read_exact(buffer).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(io::Error::from_raw_os_error(Errno::ECONNRESET as i32))
        }
        Err(error) => Err(error),
    }
}

/// The local address this host would send from towards `address`; None when it has no route.
pub fn source_towards(address: IpAddr) -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind((unspecified(address), 0)).ok()?;
    socket.connect((address, 53)).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
