//! Kernel counters that rose with our packets, and the queues of the port.

use super::Sides;
use super::join::{Answer, Join};
use netwhy_model::host::{Listener, Record, Transport};
use netwhy_model::{Evidence, Link, Vantage};

/// An accept queue of so few places is small by anybody's measure.
const PLACES_SMALL: u32 = 16;
/// Half-open connections of one port from here on are a crowd.
const HALF_OPEN_CROWD: u32 = 64;
/// Share of the table from which on it counts as full, in percent.
const CONNTRACK_FULL_PERCENT: u64 = 98;
/// Counters, most telling first: (name ends so, value of `host.kernel_drop`).
const COUNTERS: &[(&str, &str)] = &[
    ("TCPMD5NotFound", "md5"),
    ("TCPMD5Unexpected", "md5"),
    ("TCPMD5Failure", "md5"),
    ("IPReversePathFilter", "rp_filter"),
    ("XfrmInNoPols", "ipsec"),
    ("XfrmInPolBlock", "ipsec"),
    ("XfrmOutPolBlock", "ipsec"),
    ("XfrmInTmplMismatch", "ipsec"),
    ("XfrmOutNoStates", "ipsec"),
    ("XfrmFwdHdrError", "ipsec"),
    ("InCsumErrors", "checksum"),
    ("TCPAbortOnMemory", "memory"),
    ("TCPMemoryPressures", "memory"),
    ("OutNoRoutes", "no_route"),
    ("TCPReqQFullDrop", "syn_queue"),
    ("early_drop", "conntrack"),
    ("Conntrack.drop", "conntrack"),
    ("insert_failed", "conntrack"),
    ("PAWSActive", "paws"),
    ("PAWSEstab", "paws"),
    ("TSEcrRejected", "paws"),
    ("TCPBacklogDrop", "backlog"),
    ("TCPRcvQDrop", "memory"),
    ("PFMemallocDrop", "memory"),
    ("InHdrErrors", "ttl"),
    ("InAddrErrors", "not_ours"),
    ("Softnet.dropped", "softnet"),
];

pub(super) fn facts(sides: &Sides<'_>, far: &Record, join: &Join) -> Vec<Evidence> {
    let mut all = Vec::new();
    if !join.concerns(sides, far) {
        return all;
    }
    let port = join.port(far);
    let queue = queue(far, port);
    let drop = dropped(far, join, queue.as_ref().is_some_and(|(value, _)| *value != "room"));
    if !far.counters.is_empty() {
        let (value, text) = drop.unwrap_or(("none", "no counter of lost connections rose there".into()));
        all.push(sides.seen("host.kernel_drop", value, Link::OriginHost, text));
    }
    if let Some((value, text)) = queue {
        all.push(sides.seen("host.accept_queue", value, Link::Socket, text));
    }
    all.extend(half_open(sides, far, port));
    all.extend(conntrack(sides, far));
    all
}

/// The same at the end that asks.
pub(super) fn source_facts(sides: &Sides<'_>, source: &Record, join: &Join) -> Option<Evidence> {
    if source.counters.is_empty() {
        return None;
    }
    let known = ["rp_filter", "no_route", "ipsec", "checksum", "conntrack"];
    let lost =
        join.settled().any(|h| h.answer != Answer::SynAck || !h.answer_came) || join.handshakes.is_empty();
    let found = risen(source)
        .find(|(value, _)| known.contains(value) && (lost || matches!(*value, "checksum" | "ipsec")))
        // What a host sends to itself has its checksum filled in by nobody.
        .filter(|(value, _)| *value != "checksum" || !sides.is_to_itself());
    let (value, text) = found.unwrap_or(("none", "no counter of lost connections rose here".into()));
    let mut evidence = sides.seen("source.kernel_drop", value, Link::SourceHost, text);
    evidence.vantage = source.vantage.unwrap_or(Vantage::Source);
    evidence.subject = Some(source.name.clone());
    Some(evidence)
}

/// Counters that rose, most telling first.
pub(super) fn risen(record: &Record) -> impl Iterator<Item = (&'static str, String)> {
    COUNTERS.iter().filter_map(move |(name, value)| {
        let counter = record.counters.iter().find(|c| c.name.ends_with(name) && c.rose() > 0)?;
        Some((
            *value,
            format!("{} rose by {} on {} ({})", counter.name, counter.rose(), record.name, counter.from),
        ))
    })
}

/// Whether an accept queue overflowed, or SYNs were dropped at a listener.
pub(super) fn overflowed(record: &Record) -> bool {
    rose(record, "ListenOverflows") + rose(record, "ListenDrops") > 0
}

fn rose(record: &Record, name: &str) -> u64 {
    record.counters.iter().find(|c| c.name.ends_with(name)).map_or(0, netwhy_model::host::CounterDelta::rose)
}

fn dropped(far: &Record, join: &Join, queue_full: bool) -> Option<(&'static str, String)> {
    let overflows = rose(far, "ListenOverflows");
    if overflows > 0 && queue_full {
        return Some(("accept_queue", format!("TcpExt.ListenOverflows rose by {overflows} on {}", far.name)));
    }
    let (crowd, _) = half_open_peak(far, join.port(far));
    let drops = rose(far, "ListenDrops");
    let troubled = join.troubled();
    // A counter is shared by all of a host's connections: it speaks only while ours fail.
    let specific = risen(far).find(|(value, _)| troubled || *value == "checksum");
    if let Some((value, _)) = &specific
        && *value != "conntrack"
    {
        return specific;
    }
    let silent = join.settled().any(|h| h.got.is_some() && h.answer == Answer::Nothing);
    if drops > 0 && overflows == 0 && silent {
        let value = if crowd >= HALF_OPEN_CROWD { "syn_queue" } else { "listen_drop" };
        return Some((
            value,
            format!("TcpExt.ListenDrops rose by {drops} without ListenOverflows, {crowd} half-open"),
        ));
    }
    specific
}

/// The listeners of the watched port, at their worst and as they are now.
fn ours(list: &[Listener], port: u16) -> Option<&Listener> {
    let of_port = list.iter().filter(|l| l.transport == Transport::Tcp && l.address.port() == port);
    of_port.max_by_key(|l| l.queue)
}

fn queue(far: &Record, port: u16) -> Option<(&'static str, String)> {
    let now = ours(&far.listeners, port)?;
    let peak = ours(&far.queue_peaks, port).filter(|p| p.queue >= now.queue).unwrap_or(now);
    // The kernel takes one more than the limit before it calls the queue full (sk_acceptq_is_full).
    let full = |l: &Listener| l.queue > l.queue_max;
    let value = match (full(peak), full(now), peak.queue_max <= PLACES_SMALL) {
        (false, ..) => "room",
        (true, true, true) => "full_small",
        (true, true, false) => "full",
        (true, false, true) => "full_small",
        (true, false, false) => "burst",
    };
    let text = format!(
        "{}: {} of {} places at most, {} now (sock_diag)",
        now.address, peak.queue, peak.queue_max, now.queue
    );
    Some((value, text))
}

fn half_open_peak(far: &Record, port: u16) -> (u32, u32) {
    let all = far.listeners.iter().chain(&far.queue_peaks).filter(|l| l.address.port() == port);
    let peak = all.map(|l| l.half_open).max().unwrap_or(0);
    let limit = far.readings.iter().find(|r| r.name.ends_with("tcp_max_syn_backlog"));
    (peak, limit.and_then(|r| r.value.parse().ok()).unwrap_or(0))
}

fn half_open(sides: &Sides<'_>, far: &Record, port: u16) -> Option<Evidence> {
    ours(&far.listeners, port)?;
    let (peak, limit) = half_open_peak(far, port);
    let value = if peak >= HALF_OPEN_CROWD || limit > 0 && peak >= limit { "crowd" } else { "few" };
    let text = format!("{peak} half-open connections at most, tcp_max_syn_backlog {limit}");
    Some(sides.seen("host.half_open", value, Link::Socket, text))
}

fn conntrack(sides: &Sides<'_>, far: &Record) -> Option<Evidence> {
    let table = far.conntrack.as_ref().filter(|c| c.max > 0)?;
    let full = table.count.saturating_mul(100) >= table.max.saturating_mul(CONNTRACK_FULL_PERCENT);
    let text = format!("{} of {} entries ({})", table.count, table.max, table.from);
    Some(sides.seen("host.conntrack", if full { "full" } else { "room" }, Link::OriginHost, text))
}
