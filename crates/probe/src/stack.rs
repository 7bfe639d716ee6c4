//! Question "stack": how the target host's own TCP stack treats packets a client seldom sends.
//!
//! A refused port is asked with an unusual type of service: the kernel's RST repeats it, a firewall's does
//! not. A silent port gets a bare ACK: a listener that cannot take a SYN answers it, a dropping firewall does
//! not. Nothing is asked of a port that opens. Needs CAP_NET_RAW.

mod acks;
mod judge;
mod service;

use crate::connect::{AddressResult, ConnectOutcome, Connected, NEEDS_RAW};
use netwhy_model::{Case, Evidence, Link, Stamp};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const COLLECTOR: &str = "tcp.stack";
/// Ports hardly anyone serves, asked beside the target's.
const CONTROL_COUNT: usize = 4;
/// Waits for an answer: so many round trips, within these bounds.
const WAIT_RTT_COUNT: f64 = 6.0;
const WAIT_MIN_MS: f64 = 150.0;
const WAIT_MAX_MS: f64 = 500.0;

/// Asks a refused port with an unusual type of service, and a silent one with bare ACKs. At most 0.8 s.
///
/// A fact that says nothing of this port is left out: the type of service unless it refuses, the ACK unless it
/// is silent.
pub async fn stack(case: &Case, address: SocketAddr, connected: &Connected) -> Vec<Evidence> {
    let Some(result) = connected.result(address) else { return Vec::new() };
    let at = Stamp::from(SystemTime::now());
    let source = Arc::new(case.source.clone());
    if result.outcome == ConnectOutcome::Refused {
        let found = match service::ask(&source, address, wait(connected.rtt_ms)).await {
            Ok(resets) => judge::service(address.port(), &resets),
            Err(error) => return unread(&error, "tcp.rst_tos", Link::Path, at),
        };
        return vec![Evidence::seen("tcp.rst_tos", found.value, Link::Path, at, COLLECTOR, found.text)];
    }
    if !swallows(result) {
        return Vec::new();
    }
    let found = match acks::ask(&source, address, connected.rtt_ms).await {
        Ok(seen) => judge::acks(&seen),
        Err(error) => return unread(&error, "tcp.ack_probe", Link::OriginHost, at),
    };
    let fact =
        |f: judge::Found| Evidence::seen("tcp.ack_probe", f.value, Link::OriginHost, at, COLLECTOR, f.text);
    found.map(|f| if f.value == "silent" { fact(f).unanswered() } else { fact(f) }).into_iter().collect()
}

fn unread(error: &io::Error, fact: &str, link: Link, at: Stamp) -> Vec<Evidence> {
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => NEEDS_RAW.to_owned(),
        _ => format!("this host did not let it be sent: {error}"),
    };
    vec![Evidence::unread(fact, link, at, COLLECTOR, why)]
}

/// True when some SYN left and nothing at all came back for it.
fn swallows(result: &AddressResult) -> bool {
    matches!(result.outcome, ConnectOutcome::Silent | ConnectOutcome::Intermittent)
        && result.attempts.iter().any(|a| {
            a.outcome == ConnectOutcome::Silent
                && a.syn_ack_ttl.is_none()
                && a.rst_ttl.is_none()
                && a.syn_ms.as_ref().is_none_or(|left| !left.is_empty())
        })
}

/// How long an answer may take where the round trip is this.
fn wait(rtt_ms: Option<f64>) -> Duration {
    let ms = rtt_ms.map_or(WAIT_MAX_MS, |rtt| (rtt * WAIT_RTT_COUNT).clamp(WAIT_MIN_MS, WAIT_MAX_MS));
    Duration::from_micros((ms * 1e3) as u64)
}
