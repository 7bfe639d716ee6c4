//! The quick look at an open port (`-s`): TLS or not, HTTP, SSH or another banner, and whether the certificate matches.
//!
//! Listens first, since servers that greet say what they are by themselves; then greets as TLS, then as HTTP. What a
//! server says is bounded, and no control character of it is kept.

mod banner;
pub(crate) mod desk;
mod tls;
mod wire;

use crate::{Look, LookFor};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use wire::Wire;

/// Looks at a time, each with a thread of its own.
const LOOK_COUNT_MAX: usize = 32;
/// Stack of such a thread: a handshake needs no more.
const STACK_BYTES: usize = 256 << 10;
/// How long a server may take to greet before it is spoken to.
const GREETING_WAIT: Duration = Duration::from_millis(400);
/// A port where TLS is spoken first is listened to only so long before.
const GREETING_WAIT_TLS: Duration = Duration::from_millis(60);
/// How long one connection may take to open.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// Looks at one open port until `deadline`. What cannot be told is `silent`.
pub fn look(address: SocketAddr, wanted: &LookFor, deadline: Instant) -> Look {
    let Some(mut wire) = Wire::open(address, wanted, deadline.min(Instant::now() + CONNECT_WAIT)) else {
        return named("unreachable");
    };
    let wait = if is_tls_port(address.port()) { GREETING_WAIT_TLS } else { GREETING_WAIT };
    let greeting = wire.read_until(deadline.min(Instant::now() + wait));
    if !greeting.is_empty() {
        return banner::greeted(&greeting);
    }
    let first = [speak_tls, speak_plain];
    let second = [speak_plain, speak_tls];
    let order = if is_plain_port(address.port()) { second } else { first };
    let mut wire = Some(wire).filter(|wire| !wire.is_closed());
    // The first way of speaking gets half the time, so that some is left for the other.
    let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
    for (speak, until) in order.into_iter().zip([half, deadline]) {
        let Some(open) = wire.take().or_else(|| Wire::open(address, wanted, until)) else { break };
        if let Some(look) = speak(open, address, wanted, until) {
            return look;
        }
    }
    named("silent")
}

/// Looks at many open ports at once, a bounded number at a time; the answers are in the order of the addresses.
pub fn look_all(addresses: &[SocketAddr], wanted: &LookFor, deadline: Instant) -> Vec<Look> {
    let next = Mutex::new(0usize);
    let looks: Mutex<Vec<Option<Look>>> = Mutex::new(vec![None; addresses.len()]);
    let work = || {
        // Ends when every address was taken.
        loop {
            let index = {
                let Ok(mut next) = next.lock() else { return };
                *next += 1;
                *next - 1
            };
            let Some(address) = addresses.get(index) else { return };
            let seen = look(*address, wanted, deadline);
            let Ok(mut looks) = looks.lock() else { return };
            looks[index] = Some(seen);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..LOOK_COUNT_MAX.min(addresses.len()) {
            // Fewer threads than wished for only make it slower; with none this one does the work.
            let spawned = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
            if spawned.is_err() {
                break;
            }
        }
        work();
    });
    let looks = looks.into_inner().unwrap_or_default();
    looks.into_iter().map(|look| look.unwrap_or_else(|| named("silent"))).collect()
}

fn speak_tls(wire: Wire, address: SocketAddr, wanted: &LookFor, deadline: Instant) -> Option<Look> {
    tls::shake(wire, address, wanted, deadline)
}

fn speak_plain(mut wire: Wire, address: SocketAddr, wanted: &LookFor, deadline: Instant) -> Option<Look> {
    wire.write(&http_question(address, wanted), deadline).then_some(())?;
    let answer = wire.read_until(deadline);
    (!answer.is_empty()).then(|| banner::answered(&answer))
}

/// The head of the front page; GET, since some servers answer HEAD with nothing.
fn http_question(address: SocketAddr, wanted: &LookFor) -> Vec<u8> {
    let host = wanted.name.clone().unwrap_or_else(|| address.to_string());
    let host: String = host.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: netwhy\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    .into()
}

fn named(service: &str) -> Look {
    Look { service: service.into(), banner: None, names: Vec::new(), matches: None }
}

/// Ports where the client speaks first, by TLS.
fn is_tls_port(port: u16) -> bool {
    matches!(
        port,
        443 | 465 | 636 | 853 | 989 | 990 | 993 | 995 | 5_061 | 5_671 | 6_443 | 8_443 | 9_443 | 10_250
    )
}

/// Ports where plain HTTP is likelier than TLS.
fn is_plain_port(port: u16) -> bool {
    matches!(
        port,
        80 | 81 | 591 | 3_000 | 3_128 | 5_000 | 5_601 | 6_379 | 8_000 | 8_008 | 8_080..=8_090 | 9_090 | 9_200
    )
}

#[cfg(test)]
mod tests;
