//! Question "udp": a real request of the UDP service.

use crate::socket;
use netwhy_model::{Case, Evidence, Link, Stamp};
use netwhy_wire::ErrorClass;
use socket2::{Protocol, SockAddr, Socket, Type};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

const COLLECTOR: &str = "udp.answer";
/// Requests go out at these times, in milliseconds: a lost one is no silence.
const ASK_MS: [u64; 4] = [0, 300, 800, 1_500];
/// After the last request this much more is waited, in milliseconds.
const WAIT_MS: u64 = 2_500;
/// QUIC servers ignore shorter first datagrams (RFC 9000 14.1), in bytes.
const QUIC_BYTES: usize = 1_200;

/// Sends the service's own request until something comes back; at most 2.5 s.
pub async fn udp(case: &Case, address: SocketAddr) -> Vec<Evidence> {
    let at = Stamp::from(SystemTime::now());
    let (kind, request) = request(address.port());
    let fact = |value: &str, text: String| {
        Evidence::seen("udp.answer", value, Link::Service, at, COLLECTOR, text).about(address.to_string())
    };
    let ended = match open(case, address) {
        Ok(socket) => ask(&socket, &request).await,
        Err(error) => Ended::Local(error.raw_os_error().unwrap_or(libc::EIO)),
    };
    match ended {
        Ended::Answer(bytes, ms) => {
            vec![fact("answered", format!("{kind} request to {address}: {bytes} bytes after {ms:.1} ms"))]
        }
        Ended::Icmp { from, kind: icmp, code, errno } => {
            let class = ErrorClass::of(address.is_ipv6(), icmp, code);
            let refused =
                class == Some(ErrorClass::PortUnreachable) || from.is_none() && errno == libc::ECONNREFUSED;
            let sender = from.map_or("?".to_owned(), |from| from.to_string());
            let text = format!("{kind} request to {address}: ICMP {icmp}/{code} from {sender}");
            // The host itself says that nobody listens; a box on the way only says no.
            let by_target = from.is_none_or(|from| from == address.ip());
            vec![fact(if refused && by_target { "port_unreachable" } else { "rejected" }, text)]
        }
        Ended::Silent => {
            let text =
                format!("{kind} request to {address}: {} sent, silence for {WAIT_MS} ms", ASK_MS.len());
            vec![fact("silent", text).unanswered()]
        }
        Ended::Local(errno) => {
            let text = format!("{kind} request to {address}: {} from this host", socket::errno_name(errno));
            let mut facts = vec![Evidence::unread("udp.answer", Link::Service, at, COLLECTOR, text.as_str())];
            if errno == libc::EPERM {
                facts.push(Evidence::seen(
                    "source.egress",
                    "refused_locally",
                    Link::SourceHost,
                    at,
                    COLLECTOR,
                    text,
                ));
            }
            facts
        }
    }
}

enum Ended {
    Answer(usize, f64),
    Icmp { from: Option<IpAddr>, kind: u8, code: u8, errno: i32 },
    Silent,
    Local(i32),
}

fn open(case: &Case, address: SocketAddr) -> std::io::Result<AsyncFd<Socket>> {
    let socket = socket::open(&case.source, address, Type::DGRAM, Protocol::UDP)?;
    socket::keep_errors(&socket, address.is_ipv6())?;
    socket.connect(&SockAddr::from(address))?;
    socket::watched(socket)
}

async fn ask(socket: &AsyncFd<Socket>, request: &[u8]) -> Ended {
    let began = Instant::now();
    for (index, _) in ASK_MS.iter().enumerate() {
        match socket.get_ref().send(request) {
            Ok(_) => {}
            Err(error) => match icmp(socket.get_ref()) {
                Some(ended) => return ended,
                None if error.kind() == std::io::ErrorKind::WouldBlock => {}
                None => return Ended::Local(error.raw_os_error().unwrap_or(libc::EIO)),
            },
        }
        let until = began + Duration::from_millis(ASK_MS.get(index + 1).copied().unwrap_or(WAIT_MS));
        if let Some(ended) = listen(socket, until, began).await {
            return ended;
        }
    }
    Ended::Silent
}

async fn listen(socket: &AsyncFd<Socket>, until: Instant, began: Instant) -> Option<Ended> {
    loop {
        // An ICMP error alone makes a socket ready for its error queue, not for reading.
        let wanted = Interest::READABLE | Interest::ERROR;
        let mut guard = tokio::time::timeout_at(until.into(), socket.ready(wanted)).await.ok()?.ok()?;
        let mut bytes = [0_u8; 2_048];
        match guard.try_io(|inner| inner.get_ref().read(&mut bytes)) {
            Ok(Ok(length)) => return Some(Ended::Answer(length, began.elapsed().as_secs_f64() * 1e3)),
            Ok(Err(error)) => {
                return Some(icmp(socket.get_ref()).unwrap_or(Ended::Icmp {
                    from: None,
                    kind: 0,
                    code: 0,
                    errno: error.raw_os_error().unwrap_or(libc::EIO),
                }));
            }
            // Readable for its error queue alone.
            Err(_would_block) => {
                if let Some(ended) = icmp(socket.get_ref()) {
                    return Some(ended);
                }
            }
        }
    }
}

fn icmp(socket: &Socket) -> Option<Ended> {
    let error = socket::queued_errors(socket).into_iter().find(|e| e.from.is_some())?;
    let target = socket.peer_addr().ok().and_then(|peer| peer.as_socket()).map(|peer| peer.ip());
    // From this host, and this host is not itself the target.
    if error.from != target && error.from == socket::local_address(socket).map(|local| local.ip()) {
        return Some(Ended::Local(error.errno));
    }
    Some(Ended::Icmp { from: error.from, kind: error.kind, code: error.code, errno: error.errno })
}

/// The request a port's usual service answers, with its name.
fn request(port: u16) -> (&'static str, Vec<u8>) {
    match port {
        53 | 5353 => ("DNS", crate::payload::speak::dns_query()),
        123 => {
            // Mode 3 (client), version 4 (RFC 5905 7.3).
            let mut ask = vec![0x23];
            ask.resize(48, 0);
            ("NTP", ask)
        }
        443 | 8443 | 4433 => ("QUIC", quic()),
        161 => ("SNMP", snmp()),
        3478 | 5349 => {
            // A binding request (RFC 8489 5).
            let mut ask = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
            ask.extend([0x4e; 12]);
            ("STUN", ask)
        }
        _ => ("plain", b"\r\n\r\n".to_vec()),
    }
}

/// A long header of a version nobody speaks: every QUIC server answers with those it does (RFC 9000 6).
fn quic() -> Vec<u8> {
    let mut ask = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1];
    ask.resize(QUIC_BYTES, 0);
    ask
}

/// GET of sysUpTime.0 for community "public" (RFC 1157 4.1.2).
fn snmp() -> Vec<u8> {
    let mut ask = vec![0x30, 0x29, 2, 1, 1, 4, 6];
    ask.extend(b"public");
    ask.extend([0xa0, 0x1c, 2, 4, 0x4e, 0x57, 0x48, 0x59, 2, 1, 0, 2, 1, 0, 0x30, 0x0e, 0x30, 0x0c]);
    ask.extend([6, 8, 0x2b, 6, 1, 2, 1, 1, 3, 0, 5, 0]);
    ask
}
