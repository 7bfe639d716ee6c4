//! What is kept of each attempt: the socket's end joined with what the tap saw.

use super::ask::Asked;
use super::attempt::{Attempt, Ended};
use crate::tap::{FlowError, FlowView, Seen, flow, ms_between};
use netwhy_wire::ErrorClass;
use std::net::{IpAddr, SocketAddr};

/// How one address took the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectOutcome {
    /// Every attempt completed.
    Open,
    /// A RST came back.
    Refused,
    /// An ICMP error came back, of this type and code.
    Rejected { kind: u8, code: u8 },
    /// Nothing came back within the wait.
    Silent,
    /// The same address now answers, now does not.
    Intermittent,
    /// This host itself refused, with this errno; 0 when its firewall answered in the target's name.
    Local(i32),
}

impl ConnectOutcome {
    /// The word the fact `tcp.connect` uses for it.
    pub const fn name(self) -> &'static str {
        match self {
            ConnectOutcome::Open => "open",
            ConnectOutcome::Refused => "refused",
            ConnectOutcome::Rejected { .. } => "rejected",
            ConnectOutcome::Silent => "silent",
            ConnectOutcome::Intermittent => "intermittent",
            ConnectOutcome::Local(_) => "local",
        }
    }
}

/// An ICMP error that ended an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IcmpSeen {
    pub from: IpAddr,
    pub kind: u8,
    pub code: u8,
    pub class: ErrorClass,
    /// TTL on arrival; only with CAP_NET_RAW.
    pub ttl: Option<u8>,
    /// Since the packet it quotes, in milliseconds.
    pub delay_ms: Option<f64>,
}

/// One attempt on one address.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    pub local: Option<SocketAddr>,
    pub outcome: ConnectOutcome,
    pub elapsed_ms: f64,
    /// SYN to SYN-ACK or RST, in milliseconds.
    pub rtt_ms: Option<f64>,
    /// When each SYN left, since connect(), in milliseconds; `None` without CAP_NET_RAW.
    pub syn_ms: Option<Vec<f64>>,
    /// SYNs sent again before the end.
    pub retries: u32,
    pub syn_ack_ttl: Option<u8>,
    pub syn_ack_mss: Option<u16>,
    pub rst_ttl: Option<u8>,
    /// The server repeated its SYN-ACK after our ACK.
    pub syn_ack_again: bool,
    /// A good answer was on the wire and the socket never had it.
    pub answer_dropped: bool,
    pub icmp: Option<IcmpSeen>,
}

/// One address and how it took the handshakes.
#[derive(Debug, Clone, PartialEq)]
pub struct AddressResult {
    pub address: SocketAddr,
    pub outcome: ConnectOutcome,
    /// The shortest SYN to SYN-ACK or RST, in milliseconds.
    pub rtt_ms: Option<f64>,
    pub attempts: Vec<AttemptRecord>,
    /// An unrelated port of the host answered while this one was silent.
    pub alive: bool,
}

impl AddressResult {
    /// The first ICMP error any attempt met.
    pub fn icmp(&self) -> Option<&IcmpSeen> {
        self.attempts.iter().find_map(|a| a.icmp.as_ref())
    }

    /// TTL of the first RST that refused a handshake.
    pub fn rst_ttl(&self) -> Option<u8> {
        self.attempts.iter().find_map(|a| a.rst_ttl)
    }

    /// TTL of the first SYN-ACK.
    pub fn syn_ack_ttl(&self) -> Option<u8> {
        self.attempts.iter().find_map(|a| a.syn_ack_ttl)
    }

    /// SYNs seen to leave over all attempts; `None` without CAP_NET_RAW.
    pub fn syn_count(&self) -> Option<usize> {
        self.attempts.iter().map(|a| a.syn_ms.as_ref().map(Vec::len)).sum()
    }
}

/// Joins one address' attempts with the tap's record.
pub(super) fn result(asked: Asked, seen: Option<&[Seen]>) -> AddressResult {
    let attempts: Vec<AttemptRecord> = asked.attempts.iter().map(|attempt| record(attempt, seen)).collect();
    let rtt_ms = attempts.iter().filter_map(|a| a.rtt_ms).reduce(f64::min);
    AddressResult {
        address: asked.address,
        outcome: overall(&attempts),
        rtt_ms,
        attempts,
        alive: asked.alive,
    }
}

/// Joins one attempt with the tap's record.
pub(crate) fn record(attempt: &Attempt, seen: Option<&[Seen]>) -> AttemptRecord {
    let view = match (seen, attempt.local) {
        (Some(seen), Some(local)) => Some(flow(seen, local, attempt.remote, attempt.started_ns)),
        _ => None,
    };
    let own = attempt.local.map(|l| l.ip());
    let icmp = icmp_of(attempt, view.as_ref());
    let outcome = outcome(attempt, view.as_ref(), icmp.as_ref(), own);
    let answered = matches!(outcome, ConnectOutcome::Open | ConnectOutcome::Refused);
    let syn_ns = view.as_ref().map(|v| v.syn_ns.as_slice());
    let retries = match syn_ns {
        Some(times) => u32::try_from(times.len().saturating_sub(1)).unwrap_or(0),
        None => attempt.retries(),
    };
    AttemptRecord {
        local: attempt.local,
        outcome,
        elapsed_ms: attempt.elapsed_ms(),
        rtt_ms: if answered { rtt(attempt, view.as_ref(), retries) } else { None },
        syn_ms: syn_ns.map(|t| t.iter().map(|at| ms_between(attempt.started_ns, *at)).collect()),
        retries,
        syn_ack_ttl: view.as_ref().and_then(|v| v.syn_acks.first()).map(|a| a.segment.ttl),
        syn_ack_mss: view.as_ref().and_then(|v| v.syn_acks.first()).and_then(|a| a.segment.mss),
        rst_ttl: refusing_rst(attempt, view.as_ref()),
        syn_ack_again: view.as_ref().is_some_and(FlowView::syn_ack_again),
        answer_dropped: view.as_ref().is_some_and(|v| dropped(attempt, v)),
        icmp,
    }
}

fn icmp_of(attempt: &Attempt, view: Option<&FlowView>) -> Option<IcmpSeen> {
    let ended_by_icmp = matches!(attempt.ended, Ended::Rejected(_) | Ended::Local(_));
    let unsent = view.is_some_and(|v| v.syn_ns.is_empty());
    // A silent socket beside an ICMP error on the wire: the kernel took it for a passing one.
    let wire = |e: &FlowError| IcmpSeen {
        from: e.from,
        kind: e.kind,
        code: e.code,
        class: e.class,
        ttl: Some(e.ttl),
        // Of a SYN that never left, as while this host waited for ARP, the whole wait counts.
        delay_ms: e.delay_ms.or(unsent.then(|| ms_between(attempt.started_ns, e.at_ns))),
    };
    if (ended_by_icmp || attempt.ended == Ended::Silent)
        && let Some(error) = view.and_then(|v| v.errors.first())
    {
        return Some(wire(error));
    }
    let Ended::Rejected(error) = attempt.ended else { return None };
    Some(IcmpSeen {
        from: error.from?,
        kind: error.kind,
        code: error.code,
        class: ErrorClass::of(attempt.remote.is_ipv6(), error.kind, error.code)?,
        ttl: None,
        delay_ms: Some(attempt.elapsed_ms()),
    })
}

fn outcome(
    attempt: &Attempt,
    view: Option<&FlowView>,
    icmp: Option<&IcmpSeen>,
    own: Option<IpAddr>,
) -> ConnectOutcome {
    let to_self = own == Some(attempt.remote.ip()) || attempt.remote.ip().is_loopback();
    // An answer although no SYN left: our own firewall speaks in the target's name.
    let nothing_left = view.is_some_and(|v| v.syn_ns.is_empty()) && !to_self;
    match attempt.ended {
        Ended::Open => ConnectOutcome::Open,
        Ended::Refused if nothing_left => ConnectOutcome::Local(0),
        Ended::Refused => ConnectOutcome::Refused,
        Ended::Local(errno) => match icmp {
            Some(icmp) if Some(icmp.from) != own || to_self => {
                ConnectOutcome::Rejected { kind: icmp.kind, code: icmp.code }
            }
            _ => ConnectOutcome::Local(errno),
        },
        Ended::Rejected(error) => ConnectOutcome::Rejected { kind: error.kind, code: error.code },
        Ended::Silent => match icmp {
            Some(icmp) if Some(icmp.from) != own => {
                ConnectOutcome::Rejected { kind: icmp.kind, code: icmp.code }
            }
            _ => ConnectOutcome::Silent,
        },
    }
}

/// No wire is shorter: a smaller figure means that the kernel had not begun to stamp packets, in milliseconds.
const RTT_MS_MIN: f64 = 0.004;

/// The kernel's own figure first, then the tap's, then the time the socket waited.
fn rtt(attempt: &Attempt, view: Option<&FlowView>, retries: u32) -> Option<f64> {
    if !matches!(attempt.ended, Ended::Open | Ended::Refused) || retries > 0 {
        return None;
    }
    if let Some(info) = attempt.info.filter(|info| attempt.is_open() && info.rtt_us > 0) {
        return Some(f64::from(info.rtt_us) / 1e3);
    }
    let elapsed = attempt.elapsed_ms();
    Some(view.and_then(FlowView::rtt_ms).filter(|ms| (RTT_MS_MIN..=elapsed).contains(ms)).unwrap_or(elapsed))
}

fn refusing_rst(attempt: &Attempt, view: Option<&FlowView>) -> Option<u8> {
    let view = view?;
    (attempt.ended != Ended::Open).then(|| view.resets.first().map(|r| r.segment.ttl)).flatten()
}

/// Long enough before we gave up that the kernel must have handed it over, in nanoseconds.
const DELIVERY_NS: u64 = 50_000_000;

fn dropped(attempt: &Attempt, view: &FlowView) -> bool {
    if attempt.ended != Ended::Silent {
        return false;
    }
    let in_time = |at_ns: u64| at_ns.saturating_add(DELIVERY_NS) <= attempt.ended_ns;
    let good_syn_ack = view.syn_ack_valid() && view.syn_acks.iter().any(|a| in_time(a.at_ns));
    good_syn_ack || view.resets.iter().any(|r| in_time(r.at_ns) && view.reset_valid(&r.segment))
}

/// One word for all attempts on an address.
fn overall(attempts: &[AttemptRecord]) -> ConnectOutcome {
    let opened = attempts.iter().filter(|a| a.outcome == ConnectOutcome::Open).count();
    if opened > 0 {
        return if opened == attempts.len() { ConnectOutcome::Open } else { ConnectOutcome::Intermittent };
    }
    // ICMP errors and RSTs are rate-limited by who sends them: silence beside them says nothing else.
    let spoken = attempts.iter().find(|a| a.outcome != ConnectOutcome::Silent).or(attempts.first());
    spoken.map_or(ConnectOutcome::Silent, |a| a.outcome)
}
