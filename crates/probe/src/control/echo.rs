//! A few echo requests to one address, by a raw socket or, without privilege, a ping socket.

use crate::socket;
use netwhy_model::Source;
use netwhy_wire::{Body, EchoBuild, IcmpKind};
use socket2::{Protocol, SockAddr, Type};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Requests sent to one address.
const ECHO_COUNT: u16 = 3;
/// Pause between two looks at the socket.
const LOOK: Duration = Duration::from_micros(300);
const PAYLOAD: &[u8] = b"netwhy echo payload, 40 bytes in length.";

/// What came back to the echo requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EchoAnswer {
    /// With the reply's TTL where the socket shows it.
    Reply(Option<u8>),
    Unreachable {
        kind: u8,
        code: u8,
    },
    Silent,
    /// Neither kind of socket is allowed here.
    NotAllowed,
}

/// Sends echo requests and waits for the first answer; blocks at most `wait`.
pub(super) fn echo(source: &Source, address: IpAddr, wait: Duration) -> EchoAnswer {
    let remote = SocketAddr::new(address, 0);
    let protocol = if address.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
    let raw = socket::open(source, remote, Type::RAW, protocol);
    let is_raw = raw.is_ok();
    let Ok(socket) = raw.or_else(|_| socket::open(source, remote, Type::DGRAM, protocol)) else {
        return EchoAnswer::NotAllowed;
    };
    let _ = socket::keep_errors(&socket, address.is_ipv6());
    if let Err(error) = socket.connect(&SockAddr::from(remote)) {
        return local_refusal(&error);
    }
    let own = socket.local_addr().ok().and_then(|a| a.as_socket()).map_or(address, |a| a.ip());
    let ident = (crate::tap::now_ns() / 1_000) as u16;
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < wait {
        if sent < ECHO_COUNT && began.elapsed() >= wait / 4 * u32::from(sent) {
            let message = EchoBuild { ident, sequence: sent, data: PAYLOAD }.bytes(own, address);
            sent += 1;
            if let Err(error) = socket.send(&message)
                && error.kind() != std::io::ErrorKind::ConnectionRefused
            {
                return local_refusal(&error);
            }
        }
        let mut bytes = [0_u8; 1_500];
        match (&socket).read(&mut bytes) {
            Ok(length) => {
                let bytes = bytes.get(..length).unwrap_or_default();
                if let Some(ttl) = reply(bytes, is_raw, address, ident) {
                    return EchoAnswer::Reply(ttl);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(LOOK);
            }
            Err(_) => {}
        }
        // A raw socket hears of every ping to this address, those of a trace beside it too.
        let ours =
            |e: &socket::QueuedError| !is_raw || u16::from_be_bytes([e.quoted[4], e.quoted[5]]) == ident;
        if let Some(error) = socket::queued_errors(&socket).into_iter().find(|e| e.from.is_some() && ours(e))
        {
            return EchoAnswer::Unreachable { kind: error.kind, code: error.code };
        }
    }
    EchoAnswer::Silent
}

fn local_refusal(error: &std::io::Error) -> EchoAnswer {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => EchoAnswer::NotAllowed,
        _ => EchoAnswer::Silent,
    }
}

/// The TTL of a reply of ours; raw IPv4 sockets show it, others do not.
fn reply(bytes: &[u8], is_raw: bool, address: IpAddr, ident: u16) -> Option<Option<u8>> {
    if address.is_ipv4() && is_raw {
        let packet = netwhy_wire::parse(bytes).ok()?;
        let Body::Icmp(icmp) = packet.body else { return None };
        let ours = matches!(icmp.message, IcmpKind::EchoReply { ident: got, .. } if got == ident);
        return (ours && packet.ip.source == address).then_some(Some(packet.ip.ttl));
    }
    let (kind, got) = (*bytes.first()?, u16::from_be_bytes([*bytes.get(4)?, *bytes.get(5)?]));
    // A ping socket puts its own identifier in and hands over its own replies only.
    let is_reply = kind == if address.is_ipv4() { 0 } else { 129 };
    (is_reply && (!is_raw || got == ident)).then_some(None)
}
