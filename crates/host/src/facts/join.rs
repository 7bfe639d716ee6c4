//! The same packets at both ends: which arrived, what was answered, what nobody sent.

use super::Sides;
use crate::watch;
use netwhy_model::host::{PacketKind, PacketSeen, Record};
use netwhy_model::{Evidence, Link};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// A packet this young at the end of a record may still be on its way, in nanoseconds.
const ON_ITS_WAY_NS: u64 = 250_000_000;
/// Fewer copies lost of packets that were sent again are an accident.
const COPIES_LOST_MIN: usize = 4;
/// Fewer lost SYNs are an accident.
const LOST_COUNT_MIN: usize = 2;
/// And so are some lost within so many nanoseconds.
const LOST_APART_NS: u64 = 400_000_000;
/// Data that is as long as this cannot cross a path of 1,000 bytes.
const LARGE_BYTES: u16 = 900;
/// The kernel's initial TTL, where a record does not name it.
const TTL_DEFAULT: u8 = 64;

/// One handshake, known by its initial sequence number.
#[derive(Debug, Clone)]
pub(super) struct Handshake {
    /// Client and server as the source knows them, when it recorded the SYN.
    pub sent: Option<(SocketAddr, SocketAddr)>,
    /// The same as the far end knows them, when it got the SYN.
    pub got: Option<(SocketAddr, SocketAddr)>,
    pub sent_count: usize,
    pub got_count: usize,
    /// Sent or got too late to be judged.
    pub young: bool,
    /// When the last SYN of it left, by the source's clock.
    pub sent_ns: u64,
    /// Its five-tuple was used before in this record: what it meets is the memory of the first.
    pub reused: bool,
    pub answer: Answer,
    /// An answer that left the far end came to the source.
    pub answer_came: bool,
}

/// What the far end sent to one SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    SynAck,
    Rst,
    Icmp,
}

/// Both ends' packets, joined.
#[derive(Debug, Default)]
pub(super) struct Join {
    pub handshakes: BTreeMap<u32, Handshake>,
    /// Whether each end could watch its wire at all.
    pub source_watched: bool,
    pub far_watched: bool,
    /// SYNs of ours that came to the far end with another station's link-layer address.
    misdelivered: usize,
    /// The source was answered, and not by the far end: another host has the address.
    elsewhere: bool,
    forged: Option<(&'static str, String)>,
    out: Bytes,
    back: Bytes,
}

/// What became of payload in one direction.
#[derive(Debug, Default)]
struct Bytes {
    sent: u64,
    lost: u64,
    /// Lost bytes that were in packets longer than [`LARGE_BYTES`].
    lost_large: u64,
    /// Packets longer than that which did arrive.
    large_arrived: u64,
    /// Copies of packets sent again that did not arrive.
    copies_lost: usize,
}

impl Join {
    pub(super) fn of(sides: &Sides<'_>) -> Join {
        let watched = |record: Option<&Record>| record.is_some_and(|r| !unread(r, watch::PACKETS_UNREAD));
        let mut join = Join {
            source_watched: watched(sides.source),
            far_watched: watched(sides.far),
            ..Join::default()
        };
        if sides.udp {
            return join;
        }
        if let Some(source) = sides.source {
            join.take_sent(source, &asked_of(sides), sides.port);
        }
        if let Some(far) = sides.far {
            join.take_got(far, sides);
            join.take_answers(far, sides.source);
        }
        join.elsewhere = elsewhere(&join, sides);
        if let (Some(source), Some(far), true, true) =
            (sides.source, sides.far, join.source_watched, join.far_watched)
        {
            join.forged = forged(&join, source, far, sides);
            // Only connections whose beginning both ends saw: of others one end may have missed the first bytes.
            let whole = |pair: fn(&Handshake) -> Option<(SocketAddr, SocketAddr)>| -> BTreeSet<u16> {
                let both = join.handshakes.values().filter(|h| h.sent.is_some() && h.got.is_some());
                both.filter_map(pair).map(|(client, _)| client.port()).collect()
            };
            let (here, there) = (whole(|h| h.sent), whole(|h| h.got));
            join.out = carried((source, &here), (far, &there), sides.port, true);
            join.back = carried((far, &there), (source, &here), sides.port, false);
        }
        join
    }

    fn take_sent(&mut self, source: &Record, targets: &[IpAddr], port: u16) {
        let ttl = least_ttl(source, port);
        let end = last_ns(source);
        let syns = source.packets.iter().filter(|p| {
            p.kind == PacketKind::Syn
                && p.outgoing
                && p.to.port() == port
                && (targets.is_empty() || targets.contains(&p.to.ip()))
                // Probes that are meant to die on the way say nothing.
                && p.ttl >= ttl
        });
        for syn in syns {
            let entry = self.handshakes.entry(syn.sequence).or_insert_with(Handshake::unseen);
            entry.sent = Some((syn.from, syn.to));
            entry.sent_count += 1;
            entry.sent_ns = entry.sent_ns.max(syn.at_ns);
            entry.young = end.saturating_sub(syn.at_ns) < ON_ITS_WAY_NS;
        }
    }

    fn take_got(&mut self, far: &Record, sides: &Sides<'_>) {
        let end = last_ns(far);
        let ours: BTreeSet<IpAddr> = sides
            .source
            .map(|s| s.own_addresses.iter().chain(&s.spec.sources).copied().collect())
            .unwrap_or_default();
        let mut used: BTreeSet<(SocketAddr, SocketAddr)> = BTreeSet::new();
        for syn in far.packets.iter().filter(|p| p.kind == PacketKind::Syn && !p.outgoing) {
            let known = self.handshakes.contains_key(&syn.sequence);
            if !known && syn.to.port() != far.spec.port {
                continue;
            }
            if syn.other_station {
                self.misdelivered += usize::from(known);
                continue;
            }
            // Without the source's own record, whoever asks at this time from its address is it.
            let stranger =
                self.source_watched && !known || !known && !ours.is_empty() && !ours.contains(&syn.from.ip());
            if stranger {
                continue;
            }
            let entry = self.handshakes.entry(syn.sequence).or_insert_with(Handshake::unseen);
            entry.reused |= entry.got.is_none() && !used.insert((syn.from, syn.to));
            entry.got = Some((syn.from, syn.to));
            entry.got_count += 1;
            entry.young |= end.saturating_sub(syn.at_ns) < ON_ITS_WAY_NS;
        }
    }

    fn take_answers(&mut self, far: &Record, source: Option<&Record>) {
        for (sequence, handshake) in &mut self.handshakes {
            let Some((client, server)) = handshake.got else { continue };
            let wanted = sequence.wrapping_add(1);
            let mut left: Option<&PacketSeen> = None;
            for packet in far.packets.iter().filter(|p| p.outgoing) {
                let tuple = packet.from == server && packet.to == client;
                let answer = match packet.kind {
                    PacketKind::SynAck if tuple && packet.acknowledgment == wanted => Answer::SynAck,
                    PacketKind::Rst if tuple && packet.acknowledgment == wanted => Answer::Rst,
                    PacketKind::IcmpError if packet.from == client && packet.to == server => Answer::Icmp,
                    _ => continue,
                };
                if handshake.answer == Answer::Nothing {
                    handshake.answer = answer;
                    left = Some(packet);
                }
            }
            let (Some(left), Some(source)) = (left, source) else { continue };
            handshake.answer_came = source.packets.iter().any(|p| {
                !p.outgoing
                    && p.kind == left.kind
                    && match left.kind {
                        PacketKind::IcmpError => {
                            handshake.sent.is_some_and(|(from, to)| p.from == from && p.to == to)
                        }
                        // A SYN proxy, or a firewall that draws its own numbers, answers in the far end's stead.
                        PacketKind::SynAck => p.acknowledgment == left.acknowledgment,
                        _ => p.acknowledgment == left.acknowledgment && p.sequence == left.sequence,
                    }
            });
        }
    }

    /// Handshakes old enough to be judged.
    pub(super) fn settled(&self) -> impl Iterator<Item = &Handshake> {
        self.handshakes.values().filter(|h| !h.young)
    }

    /// Whether all that went to some of the addresses is missing, and nothing else.
    fn one_address_lost(&self) -> bool {
        let mut by_address: BTreeMap<IpAddr, (usize, usize)> = BTreeMap::new();
        for handshake in self.settled() {
            let Some((_, to)) = handshake.sent else { continue };
            let entry = by_address.entry(to.ip()).or_default();
            entry.0 += handshake.sent_count;
            entry.1 += handshake.got_count;
        }
        let dead = by_address.values().filter(|(_, got)| *got == 0).count();
        let whole = by_address.values().filter(|(sent, got)| sent == got).count();
        dead > 0 && whole > 0 && dead + whole == by_address.len()
    }

    /// Whether SYNs go missing again and again, and not just while a neighbour was being found.
    fn lossy(&self) -> bool {
        let lost: Vec<u64> =
            self.settled().filter(|h| h.got_count < h.sent_count).map(|h| h.sent_ns).collect();
        let (first, last) =
            (lost.iter().min().copied().unwrap_or(0), lost.iter().max().copied().unwrap_or(0));
        lost.len() >= LOST_COUNT_MIN && last.saturating_sub(first) >= LOST_APART_NS
    }

    /// The port asked for, as the far end knows it.
    pub(super) fn port(&self, far: &Record) -> u16 {
        self.handshakes.values().find_map(|h| h.got).map_or(far.spec.port, |(_, server)| server.port())
    }

    /// Whether the far end is really where the source's packets go to: it owns the address, or got some.
    pub(super) fn concerns(&self, sides: &Sides<'_>, far: &Record) -> bool {
        !self.elsewhere
            && !sides.targets.is_empty()
            && (self.handshakes.values().any(|h| h.got.is_some())
                || sides.targets.iter().any(|target| far.own_addresses.contains(target)))
    }

    /// Whether another host answers in the far end's place.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// The five-tuples of our handshakes as the far end sees them.
    pub(super) fn got(&self) -> Vec<(SocketAddr, SocketAddr)> {
        self.handshakes.values().filter_map(|h| h.got).collect()
    }

    /// Something between the ends did not go as it should.
    pub(super) fn troubled(&self) -> bool {
        self.settled().any(|h| h.got_count < h.sent_count || h.answer != Answer::SynAck || !h.answer_came)
            || self.out.lost + self.back.lost > 0
    }

    pub(super) fn facts(&self, sides: &Sides<'_>) -> Vec<Evidence> {
        let mut all = Vec::new();
        // Without an address nothing was asked, and what another host answers says nothing of this one.
        if sides.udp || sides.far.is_none() || sides.targets.is_empty() || self.elsewhere {
            return all;
        }
        if !self.far_watched {
            let why = "no packets were watched at the other end; root there would watch them";
            all.push(sides.unread("host.syn", Link::Path, why));
            return all;
        }
        all.extend(self.syn(sides));
        all.extend(self.answer(sides));
        all.extend(self.answer_back(sides));
        all.extend(self.translated(sides));
        if self.source_watched {
            let (value, text) =
                self.forged.clone().unwrap_or(("none", "every answer was sent by the other end".into()));
            if self.settled().next().is_some() {
                all.push(sides.seen("host.forged", value, Link::Path, text));
            }
            all.extend(self.out.fact(sides, "host.bytes", "we sent"));
            all.extend(self.back.fact(sides, "host.bytes_back", "the other end sent"));
        }
        all
    }

    fn syn(&self, sides: &Sides<'_>) -> Option<Evidence> {
        let settled: Vec<&Handshake> = self.settled().collect();
        let sent: usize = settled.iter().map(|h| h.sent_count).sum();
        let got: usize = settled.iter().map(|h| h.got_count).sum();
        // Packets that could not be held are no packets that did not come.
        let gaps = sides.far.is_some_and(|far| far.packets_lost > 0 || unread(far, watch::SOURCE_UNREAD));
        if gaps && got < sent {
            return None;
        }
        let value = match (self.source_watched, sent, got) {
            (true, 0, 0) if self.handshakes.is_empty() => "not_sent",
            (_, 0, 0) if !self.handshakes.is_empty() => return None,
            (true, _, 0) if self.misdelivered > 0 => "other_station",
            (true, sent, got) if sent > 0 && got == 0 => "absent",
            (false, _, 0) => "absent",
            (true, sent, got) if got < sent && self.one_address_lost() => "one_address",
            (true, sent, got) if got < sent && self.lossy() => "some",
            _ => "arrived",
        };
        let text = match self.source_watched {
            true if self.misdelivered > 0 => format!(
                "{sent} SYNs to port {} left here, {} came there with another station's link-layer address",
                sides.port, self.misdelivered
            ),
            true => format!(
                "{sent} SYNs to port {} left here, {got} arrived there (joined on sequence numbers)",
                sides.port
            ),
            false => {
                format!("{got} SYNs to port {} arrived there; how many left was not watched", sides.port)
            }
        };
        Some(sides.seen("host.syn", value, Link::Path, text))
    }

    fn answer(&self, sides: &Sides<'_>) -> Option<Evidence> {
        let count = |wanted: Answer| {
            self.settled().filter(|h| h.got.is_some() && !h.reused && h.answer == wanted).count()
        };
        let (acks, resets, icmp, nothing) =
            (count(Answer::SynAck), count(Answer::Rst), count(Answer::Icmp), count(Answer::Nothing));
        let value = match (acks, resets, icmp, nothing) {
            (0, 0, 0, 0) => return None,
            (_, 0, 0, 0) => "synack",
            (0, _, 0, 0) => "rst",
            (0, 0, _, _) if icmp > 0 => "icmp",
            (0, 0, 0, _) => "nothing",
            (_, _, _, 0) if acks > 0 => "mixed",
            _ => "some",
        };
        let text = format!(
            "{} SYNs arrived: {acks} answered with SYN-ACK, {resets} with RST, {icmp} with ICMP, {nothing} with nothing",
            acks + resets + icmp + nothing
        );
        Some(sides.seen("host.answer", value, Link::Socket, text))
    }

    fn answer_back(&self, sides: &Sides<'_>) -> Option<Evidence> {
        if !self.source_watched {
            return None;
        }
        let left: Vec<&Handshake> = self.settled().filter(|h| h.answer != Answer::Nothing).collect();
        let came = left.iter().filter(|h| h.answer_came).count();
        let value = match (left.len(), came) {
            (0, _) => return None,
            (all, came) if all == came => "all",
            (_, 0) => "none",
            _ => "some",
        };
        let text = format!("{} answers left the other end, {came} came back here", left.len());
        Some(sides.seen("host.answer_back", value, Link::Path, text))
    }

    fn translated(&self, sides: &Sides<'_>) -> Option<Evidence> {
        let pair = self.handshakes.values().find_map(|h| Some((h.sent?, h.got?)))?;
        let ((from, to), (from_there, to_there)) = pair;
        let value = match (from != from_there, to != to_there) {
            (false, false) => "no",
            (true, false) => "source",
            (false, true) => "destination",
            (true, true) => "both",
        };
        let text = format!("sent as {from} → {to}, arrived as {from_there} → {to_there}");
        Some(sides.seen("host.translated", value, Link::Path, text))
    }
}

impl Handshake {
    fn unseen() -> Handshake {
        Handshake {
            sent: None,
            got: None,
            sent_count: 0,
            got_count: 0,
            young: false,
            sent_ns: 0,
            reused: false,
            answer: Answer::Nothing,
            answer_came: false,
        }
    }
}

impl Bytes {
    fn fact(&self, sides: &Sides<'_>, fact: &str, who: &str) -> Option<Evidence> {
        let value = match (self.sent, self.lost) {
            (0, _) => return None,
            (_, 0) if self.copies_lost >= COPIES_LOST_MIN => "some",
            (_, 0) => "all",
            (sent, lost) if lost >= sent => {
                if self.lost_large == lost && self.large_arrived == 0 {
                    "large_lost"
                } else {
                    "none"
                }
            }
            (_, lost) if self.lost_large == lost && self.large_arrived == 0 => "large_lost",
            _ => "some",
        };
        let text = format!(
            "{who} {} bytes of payload, {} of them never arrived ({} in packets above {LARGE_BYTES} bytes), {} copies lost",
            self.sent, self.lost, self.lost_large, self.copies_lost
        );
        Some(sides.seen(fact, value, Link::Path, text))
    }
}

fn unread(record: &Record, what: &str) -> bool {
    record.unread.iter().any(|unread| unread.what == what)
}

/// The addresses asked for that are the far end's, when any is; else all of them.
fn asked_of(sides: &Sides<'_>) -> Vec<IpAddr> {
    let owned = |target: &&IpAddr| sides.far.is_some_and(|far| far.own_addresses.contains(target));
    let own: Vec<IpAddr> = sides.targets.iter().filter(owned).copied().collect();
    if own.is_empty() { sides.targets.to_vec() } else { own }
}

/// Whether handshakes were answered by a host that is not the far end: it owns none of the addresses asked
/// for and got none of the SYNs.
fn elsewhere(join: &Join, sides: &Sides<'_>) -> bool {
    let (Some(source), Some(far)) = (sides.source, sides.far) else { return false };
    let owned = sides.targets.iter().any(|target| far.own_addresses.contains(target));
    let answered = source.packets.iter().any(|p| {
        !p.outgoing
            && p.kind == PacketKind::SynAck
            && join.handshakes.contains_key(&p.acknowledgment.wrapping_sub(1))
    });
    !owned && answered && join.handshakes.values().all(|h| h.got.is_none())
}

/// The first answer in the other end's name that it never sent.
fn forged(join: &Join, source: &Record, far: &Record, sides: &Sides<'_>) -> Option<(&'static str, String)> {
    // Where a proxy or another host owns the address, its answers are its own.
    let kept = source.packets_lost == 0 && far.packets_lost == 0;
    if !kept || !sides.targets.iter().any(|target| far.own_addresses.contains(target)) {
        return None;
    }
    let ours: BTreeSet<SocketAddr> =
        join.handshakes.values().filter_map(|h| h.sent).map(|(from, _)| from).collect();
    let sent_there = |p: &PacketSeen| {
        far.packets.iter().any(|q| q.outgoing && q.kind == p.kind && q.sequence == p.sequence)
    };
    let came = source
        .packets
        .iter()
        .filter(|p| !p.outgoing && ours.contains(&p.to) && far.own_addresses.contains(&p.from.ip()));
    for packet in came {
        let value = match packet.kind {
            PacketKind::SynAck => "synack",
            PacketKind::Rst => "rst",
            _ => continue,
        };
        if !sent_there(packet) {
            let text = format!(
                "{} → {} {value} with TTL {}, which {} never sent",
                packet.from, packet.to, packet.ttl, far.name
            );
            return Some((value, text));
        }
    }
    None
}

/// Which payload of `from` never came to `to`; `forward` when `from` is the end that asks.
fn carried(
    (from, begun): (&Record, &BTreeSet<u16>),
    (to, known): (&Record, &BTreeSet<u16>),
    port: u16,
    forward: bool,
) -> Bytes {
    let client =
        |p: &PacketSeen, outgoing: bool| if outgoing == forward { p.from.port() } else { p.to.port() };
    let ttl = initial_ttl(from);
    let end = last_ns(from);
    let theirs = to.spec.port;
    let service = |p: &PacketSeen, outgoing: bool, port: u16| match outgoing == forward {
        true => p.to.port() == port,
        false => p.from.port() == port,
    };
    // A retransmission shows what a first copy lost; the identity is the sequence number and the service's port.
    let mut arrived: Vec<(u32, u32)> = to
        .packets
        .iter()
        .filter(|p| !p.outgoing && p.kind == PacketKind::Data && service(p, true, theirs))
        .filter(|p| known.contains(&client(p, true)))
        .map(|p| (p.sequence, u32::from(p.payload_len)))
        .collect();
    arrived.sort_unstable();
    let has = |sequence: u32| {
        let at = arrived.partition_point(|(start, _)| *start <= sequence);
        // Segments overlap after retransmissions in another size: a few back are looked at.
        arrived[..at].iter().rev().take(16).any(|(start, length)| sequence.wrapping_sub(*start) < *length)
    };
    let mut bytes = Bytes::default();
    let mut sends: BTreeMap<(SocketAddr, u32), usize> = BTreeMap::new();
    for packet in from.packets.iter().filter(|p| p.outgoing && p.kind == PacketKind::Data) {
        *sends.entry((packet.from, packet.sequence)).or_default() += 1;
    }
    let mut copies: BTreeMap<u32, usize> = BTreeMap::new();
    for (sequence, _) in &arrived {
        *copies.entry(*sequence).or_default() += 1;
    }
    let mut counted: BTreeSet<(SocketAddr, u32)> = BTreeSet::new();
    for packet in from.packets.iter().filter(|p| p.outgoing && p.kind == PacketKind::Data && p.ttl >= ttl) {
        let old = end.saturating_sub(packet.at_ns) >= ON_ITS_WAY_NS;
        if !old
            || !service(packet, true, port)
            || !begun.contains(&client(packet, true))
            || !counted.insert((packet.from, packet.sequence))
        {
            continue;
        }
        let length = u64::from(packet.payload_len);
        bytes.sent += length;
        let last = packet.sequence.wrapping_add(u32::from(packet.payload_len).saturating_sub(1));
        let sent_count = sends.get(&(packet.from, packet.sequence)).copied().unwrap_or(1);
        if sent_count > 1 {
            bytes.copies_lost +=
                sent_count.saturating_sub(copies.get(&packet.sequence).copied().unwrap_or(0));
        }
        // What was lost is sent again; what was sent once went down with its connection.
        if sent_count > 1 && (!has(packet.sequence) || !has(last)) {
            bytes.lost += length;
            if packet.payload_len >= LARGE_BYTES {
                bytes.lost_large += length;
            }
        } else if packet.payload_len >= LARGE_BYTES && has(last) {
            bytes.large_arrived += 1;
        }
    }
    bytes
}

fn last_ns(record: &Record) -> u64 {
    let packets = record.packets.iter().map(|p| p.at_ns).max().unwrap_or(0);
    packets.max(record.ended.millis().saturating_mul(1_000_000))
}

/// The least TTL of SYNs that are meant to arrive: the host's own, unless a rule gives all of them a smaller one.
fn least_ttl(source: &Record, port: u16) -> u8 {
    let usual = initial_ttl(source);
    let syns =
        || source.packets.iter().filter(|p| p.outgoing && p.kind == PacketKind::Syn && p.to.port() == port);
    if syns().any(|p| p.ttl >= usual) {
        return usual;
    }
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    for packet in syns() {
        *counts.entry(packet.ttl).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map_or(usual, |(ttl, _)| ttl)
}

/// The TTL this host's own kernel gives its packets.
fn initial_ttl(record: &Record) -> u8 {
    record
        .readings
        .iter()
        .find(|r| r.name == "net.ipv4.ip_default_ttl")
        .and_then(|r| r.value.parse().ok())
        .unwrap_or(TTL_DEFAULT)
        .min(TTL_DEFAULT)
}
