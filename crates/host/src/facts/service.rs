//! The service behind the port: its process, its files, and what became of our request.

use super::Sides;
use super::join::Join;
use netwhy_model::host::{PacketKind, Process, Record, TupleSocket};
use netwhy_model::{Evidence, Link};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A request that has waited so long was not overlooked for a moment, in milliseconds.
const WAITS_MS: u32 = 600;
/// An answer that takes so long was waited for, in nanoseconds.
const SLOW_NS: u64 = 150_000_000;
/// Share of a processor from which on a process counts as busy.
const BUSY_SHARE: f64 = 0.8;
/// SYNs of others from here on are a flood, when hardly any completes.
const FLOOD_SYN_COUNT: usize = 100;
/// Addresses they come from at least: one peer in a hurry is no flood.
const FLOOD_PEER_COUNT: usize = 30;
/// Open connections of others that were never answered from here on hold the service.
const IDLE_COUNT: usize = 12;
/// Requests of ours that may wait at once.
const OWN_PARALLEL_COUNT: usize = 6;
/// Requests of others behind our address, such as a node's other users, from here on are a queue.
const BESIDE_COUNT: usize = 5;
/// Open connections of others from here on are many.
const OPEN_COUNT: usize = 30;
/// Connections others completed during the watch from here on are a crowd.
const CROWD_COUNT: usize = 60;

pub(super) fn facts(sides: &Sides<'_>, far: &Record, join: &Join) -> Vec<Evidence> {
    let mut all = Vec::new();
    if !join.concerns(sides, far) {
        all.extend(from_findings(sides, far, false));
        return all;
    }
    let behind = behind_port(far, join.port(far));
    if !behind.is_empty() {
        all.push(process(sides, far, &behind));
        all.extend(files(sides, &behind));
    }
    let request = request(sides, far, join);
    let waits = request.as_ref().is_some_and(|e| e.value != "answered");
    all.extend(request);
    all.push(crowd(sides, far, join, waits || join.troubled()));
    let slow_ns = slow_answer_ns(far, join);
    let mut judged = from_findings(sides, far, starved(far, join, slow_ns));
    let out_of_memory = judged.iter().any(|e| e.fact == "host.load" && e.value == "oom");
    if let Some(text) = starving(far, join, slow_ns)
        && !out_of_memory
    {
        judged.retain(|e| e.fact != "host.load");
        judged.push(sides.seen("host.load", "cpu", Link::OriginHost, text));
    }
    all.extend(judged);
    all
}

/// What says that the service waited for a processor for most of the time its answer took.
fn starving(far: &Record, join: &Join, slow_ns: Option<u64>) -> Option<String> {
    /// Of the time an answer took, in percent.
    const WAITED_PERCENT_MIN: u64 = 40;
    // A node waits for its origin, whatever its processors do.
    if far.vantage == Some(netwhy_model::Vantage::Edge) {
        return None;
    }
    let longest = |process: &&Process| process.waited_ms.unwrap_or(0);
    let process = behind_port(far, join.port(far)).into_iter().max_by_key(longest)?;
    let (waited, slow) = (u64::from(process.waited_ms?), slow_ns? / 1_000_000);
    (waited * 100 >= slow * WAITED_PERCENT_MIN).then(|| {
        format!(
            "a thread of {} (pid {}) waited {waited} ms for a processor, slow answers took {slow} ms \
             (/proc/{}/task/*/schedstat)",
            process.name, process.pid, process.pid
        )
    })
}

/// Whether the process works on an answer, and takes long for it, while processors are short.
fn starved(far: &Record, join: &Join, slow_ns: Option<u64>) -> bool {
    /// A process below this share of a processor sleeps rather than works.
    const WORKS_SHARE: f64 = 0.05;
    // A node waits for its origin, whatever its processors do.
    if far.vantage == Some(netwhy_model::Vantage::Edge) {
        return false;
    }
    let works = behind_port(far, join.port(far))
        .iter()
        .any(|p| p.state == "R" || p.cpu.is_some_and(|cpu| cpu >= WORKS_SHARE));
    slow_ns.is_some() && works
}

/// How long the slow ones among the answers to our segments took to begin, the median, in nanoseconds; `None` without any.
///
/// Of those that were asked at once the last wait for the others: the slowest would say nothing of one request.
fn slow_answer_ns(far: &Record, join: &Join) -> Option<u64> {
    let clients: BTreeSet<_> = join.got().into_iter().map(|(client, _)| client).collect();
    let mut asked: BTreeMap<std::net::SocketAddr, u64> = BTreeMap::new();
    let mut slow = Vec::new();
    for packet in far.packets.iter().filter(|p| p.kind == PacketKind::Data) {
        if !packet.outgoing && clients.contains(&packet.from) {
            asked.insert(packet.from, packet.at_ns);
        } else if let Some(at) = asked.remove(&packet.to) {
            slow.extend(Some(packet.at_ns.saturating_sub(at)).filter(|took| *took >= SLOW_NS));
        }
    }
    slow.sort_unstable();
    slow.get(slow.len() / 2).copied()
}

fn behind_port(far: &Record, port: u16) -> Vec<&Process> {
    let pids: BTreeSet<u32> = far
        .listeners
        .iter()
        .filter(|l| l.address.port() == port)
        .flat_map(|l| l.pids.iter().copied())
        .collect();
    far.processes.iter().filter(|p| pids.contains(&p.pid)).collect()
}

fn process(sides: &Sides<'_>, far: &Record, behind: &[&Process]) -> Evidence {
    let watched_s = far.ended.millis().saturating_sub(far.started.millis()) / 1_000;
    // A master only keeps the workers that serve: what they do counts.
    let is_parent = |p: &Process| behind.iter().any(|other| other.parent == p.pid);
    let serve: Vec<&&Process> = behind.iter().filter(|p| !is_parent(p)).collect();
    let all = |state: &[&str]| !serve.is_empty() && serve.iter().all(|p| state.contains(&p.state.as_str()));
    let (value, what) = match () {
        () if all(&["T", "t"]) => ("stopped", "stopped (SIGSTOP or a debugger)"),
        () if all(&["D"]) => ("stuck", "in uninterruptible sleep"),
        () if watched_s > 0 && behind.iter().all(|p| p.age_s < watched_s) => {
            ("young", "started during the watch")
        }
        () if behind.iter().any(|p| p.cpu.is_some_and(|cpu| cpu >= BUSY_SHARE)) => {
            ("busy", "using all the processor it gets")
        }
        () => ("runs", "running"),
    };
    let who: Vec<String> = behind
        .iter()
        .take(3)
        .map(|p| format!("{} (pid {}, {}, {} s old)", p.name, p.pid, p.state, p.age_s))
        .collect();
    sides.seen("host.process", value, Link::Service, format!("{}: {what}", who.join(", ")))
}

fn files(sides: &Sides<'_>, behind: &[&Process]) -> Option<Evidence> {
    let (process, open, max) = behind
        .iter()
        .filter_map(|p| Some((p, p.files_open?, p.files_max?)))
        .max_by_key(|(_, open, max)| open.saturating_mul(1_000) / max.max(&1))?;
    let value = if open + 1 >= max { "exhausted" } else { "free" };
    let text = format!(
        "{} (pid {}): {open} of {max} file descriptors open (/proc/{}/fd, limits)",
        process.name, process.pid, process.pid
    );
    Some(sides.seen("host.files", value, Link::Service, text))
}

/// What the sockets of our connections wait for at the far end.
fn request(sides: &Sides<'_>, far: &Record, join: &Join) -> Option<Evidence> {
    if sides.udp {
        return None;
    }
    let clients: BTreeSet<IpAddr> = join.got().into_iter().map(|(client, _)| client.ip()).collect();
    let ours = far
        .sockets
        .iter()
        .filter(|s| clients.contains(&s.peer.ip().to_canonical()) || clients.contains(&s.peer.ip()));
    let mut best: Option<(&'static str, &TupleSocket)> = None;
    let rank = |value: &str| ["answered", "waits", "unread", "unaccepted"].iter().position(|v| *v == value);
    for socket in ours.filter(|s| matches!(s.state.as_str(), "ESTABLISHED" | "CLOSE_WAIT")) {
        let value = state_of(socket, far);
        if best.is_none_or(|(known, _)| rank(value) > rank(known)) {
            best = Some((value, socket));
        }
    }
    let (value, text) = match best {
        Some((value, s)) => (
            value,
            format!(
                "{} ← {}: {}, {} bytes unread, {} received, last data {} ms ago, accepted: {}",
                s.local,
                s.peer,
                s.state,
                s.unread_bytes,
                s.bytes_received,
                s.last_received_ms,
                if s.inode == 0 { "no" } else { "yes" }
            ),
        ),
        None if join.settled().any(|h| h.answer_came) => {
            ("answered", "no connection of ours waits there".to_owned())
        }
        None => return None,
    };
    Some(sides.seen("host.request", value, Link::Service, text))
}

fn state_of(socket: &TupleSocket, far: &Record) -> &'static str {
    let idle = socket.last_received_ms >= WAITS_MS;
    // A connection held open without a word waits its turn to be accepted as well.
    if socket.inode == 0 && idle {
        "unaccepted"
    } else if socket.unread_bytes > 1 && idle {
        "unread"
    } else if socket.state == "ESTABLISHED" && socket.bytes_received > 0 && idle && spoke_last(socket, far) {
        "waits"
    } else {
        "answered"
    }
}

/// Whether the last payload of the connection came from the peer: the answer to it is owed.
fn spoke_last(socket: &TupleSocket, far: &Record) -> bool {
    let of_flow = |p: &&netwhy_model::host::PacketSeen| {
        p.kind == PacketKind::Data
            && ((p.from == socket.peer && p.to == socket.local)
                || (p.from == socket.local && p.to == socket.peer))
    };
    far.packets.iter().rev().find(of_flow).is_some_and(|p| !p.outgoing)
}

/// What other clients do to the port during the watch, told only while our own request suffers.
fn crowd(sides: &Sides<'_>, far: &Record, join: &Join, suffers: bool) -> Evidence {
    let others = Others::of(far, join);
    let value = match () {
        // Of others only a sample was kept, too thin to judge them by.
        () if !suffers || far.unread.iter().any(|u| u.what == crate::watch::OTHERS_UNREAD) => "calm",
        () if others.begun >= FLOOD_SYN_COUNT
            && others.peers >= FLOOD_PEER_COUNT
            && others.done * 10 < others.begun =>
        {
            "syn_flood"
        }
        // They go on talking without ever finishing a request, or they finished theirs and wait like us.
        () if others.mute >= IDLE_COUNT && others.segments >= others.begun + 2 * others.mute => "idle",
        () if others.mute >= IDLE_COUNT || others.beside >= BESIDE_COUNT => "queued",
        () if others.done >= CROWD_COUNT || others.open >= OPEN_COUNT && others.segments >= CROWD_COUNT => {
            "requests"
        }
        () => "calm",
    };
    let found = far.findings.iter().filter(|_| suffers).find_map(|f| match f.cause.as_str() {
        "attack.inbound.syn_flood" => Some(("syn_flood", f.text.en.clone())),
        "attack.inbound.slowloris" => Some(("idle", f.text.en.clone())),
        "attack.inbound.cc" => Some(("requests", f.text.en.clone())),
        _ => None,
    });
    let text = format!(
        "others meanwhile: {} SYNs from {} addresses, {} completed; {} connections open, {} of them never answered; {} segments of data; {} more wait behind our own address",
        others.begun, others.peers, others.done, others.open, others.mute, others.segments, others.beside
    );
    let (value, text) = if value == "calm" { found.unwrap_or((value, text)) } else { (value, text) };
    sides.seen("host.crowd", value, Link::Service, text)
}

/// What clients other than the source did to the port.
struct Others {
    begun: usize,
    peers: usize,
    done: usize,
    segments: usize,
    open: usize,
    /// Open connections that have said something and were never answered.
    mute: usize,
    /// The same of those who share our address, ours left out.
    beside: usize,
}

impl Others {
    fn of(far: &Record, join: &Join) -> Others {
        let ours: BTreeSet<u32> = join.handshakes.keys().copied().collect();
        let mut mine: BTreeSet<IpAddr> = join.got().into_iter().map(|(client, _)| client.ip()).collect();
        mine.extend(&far.spec.sources);
        let port = join.port(far);
        let mut flows: BTreeMap<(IpAddr, u16), bool> = BTreeMap::new();
        let mut segments = 0;
        for packet in far.packets.iter().filter(|p| !p.outgoing && p.to.port() == port) {
            let key = (packet.from.ip(), packet.from.port());
            match packet.kind {
                _ if mine.contains(&key.0) => {}
                PacketKind::Syn if !ours.contains(&packet.sequence) => {
                    flows.entry(key).or_insert(false);
                }
                PacketKind::Ack | PacketKind::Data => {
                    segments += usize::from(packet.kind == PacketKind::Data);
                    if let Some(done) = flows.get_mut(&key) {
                        *done = true;
                    }
                }
                _ => {}
            }
        }
        let strangers = || {
            far.sockets.iter().filter(|s| {
                s.local.port() == port
                    && s.state == "ESTABLISHED"
                    && !mine.contains(&s.peer.ip().to_canonical())
            })
        };
        let waits = |s: &&TupleSocket| s.bytes_received > 0 && s.bytes_acked <= 1;
        // Whoever stands behind one address with us, a node's other users above all, waits beside our own few.
        let beside = far
            .sockets
            .iter()
            .filter(|s| s.local.port() == port && s.state == "ESTABLISHED")
            .filter(|s| mine.contains(&s.peer.ip().to_canonical()))
            .filter(waits)
            .count()
            .saturating_sub(OWN_PARALLEL_COUNT);
        Others {
            begun: flows.len(),
            peers: flows.keys().map(|(ip, _)| *ip).collect::<BTreeSet<IpAddr>>().len(),
            done: flows.values().filter(|done| **done).count(),
            segments,
            open: strangers().count(),
            mute: strangers().filter(waits).count(),
            beside,
        }
    }
}

/// A fact, its value when all is well, its link, and the findings that are other values of it.
type Judged = (&'static str, &'static str, Link, &'static [(&'static str, &'static str)]);

/// What the far host's own state says, where it was judged.
fn from_findings(sides: &Sides<'_>, far: &Record, starved: bool) -> Vec<Evidence> {
    let first = |ids: &[(&str, &'static str)]| {
        // Processors may be short without anybody's answer being late.
        let telling = |f: &&netwhy_model::host::Finding| starved || f.cause != "host.cpu.saturated";
        // What is only worth a note may be as it should.
        let firm = |f: &&netwhy_model::host::Finding| f.severity != netwhy_model::host::Severity::Note;
        far.findings.iter().filter(telling).filter(firm).find_map(|f| {
            ids.iter()
                .find(|(id, _)| f.cause == *id)
                .map(|(_, value)| (*value, f.proof.first().unwrap_or(&f.text.en).clone()))
        })
    };
    let table: [Judged; 3] = [
        (
            "host.load",
            "fine",
            Link::OriginHost,
            &[("host.memory.exhausted", "oom"), ("host.cpu.saturated", "cpu")],
        ),
        ("host.disk", "room", Link::Service, &[("host.disk.full", "full")]),
        (
            "host.attacks",
            "none",
            Link::OriginHost,
            &[
                ("attack.outbound.ssh_bruteforce", "ssh"),
                ("attack.outbound.port_scan", "scan"),
                ("attack.outbound.syn_flood", "syn_flood"),
                ("attack.outbound.udp_flood", "udp_flood"),
                ("attack.outbound.beacon", "beacon"),
            ],
        ),
    ];
    table
        .into_iter()
        .filter_map(|(fact, well, link, ids)| match first(ids) {
            Some((value, text)) => Some(sides.seen(fact, value, link, text)),
            // Nothing found says something only where somebody judged.
            None if far.judged => {
                Some(sides.seen(fact, well, link, "its own state was judged, and this found well"))
            }
            None => None,
        })
        .collect()
}
