//! Hearing: answers are believed only with their cookie, then settle what they are about.

use super::answer::{self, Answer, Refusal, Segment};
use super::books::Seen;
use super::canary::{Flight, Kind};
use super::clock::{MILLISECOND, Nanos};
use super::control::Sample;
use super::engine::{Engine, Opened, Reply};
use super::source::{SOURCE_PORT_COUNT, TRY_PORT_COUNT};
use crate::{Reason, State};
use netwhy_wire::TcpFlags;

/// Answers taken before sending goes on.
const ANSWER_COUNT_MAX: usize = 1_024;
/// SYN-ACKs of a host before it may count as one that opens everything.
const SUSPICIOUS_OPEN_COUNT: u32 = 24;
/// SYN-ACKs of a host that opens everything, none of them with anything behind it, before it is called so.
const DOUBTFUL_OPEN_COUNT: u32 = 400;
/// How long such a host is waited for, at least, in milliseconds.
const DOUBT_MS_MIN: u32 = 300;
/// SYN-ACKs remembered; one more is told as open without being looked at closer.
const OPENED_COUNT_MAX: usize = 1 << 20;

/// What a believed segment is about.
#[derive(Clone, Copy)]
struct About {
    host: u32,
    port: u32,
    position: u64,
    lane: u8,
    at: Nanos,
}

impl Engine<'_> {
    /// Takes what has arrived.
    pub fn listen(&mut self) {
        self.clock.adjust();
        let clock = self.clock;
        let mut rings = std::mem::take(&mut self.rings);
        for ring in &mut rings {
            ring.drain(&clock, ANSWER_COUNT_MAX, |packet, at| self.hear(packet, at));
        }
        self.rings = rings;
    }

    fn hear(&mut self, packet: &[u8], at: Nanos) {
        match answer::read(packet) {
            Some(Answer::Segment(segment)) => self.hear_segment(&segment, at),
            Some(Answer::Refusal(refusal)) => self.hear_refusal(&refusal, at),
            Some(Answer::Echo { from, ident, sequence }) => {
                let Some(host) = self.host_number(from).filter(|_| ident == self.ports.first) else { return };
                let matches = |f: &Flight| f.kind == Kind::Echo && f.number == sequence && f.host == host;
                self.canary_back(at, matches);
            }
            None => {}
        }
    }

    fn host_number(&self, address: std::net::IpAddr) -> Option<u32> {
        self.plan.hosts.index_of(address).and_then(|number| u32::try_from(number).ok())
    }

    fn canary_back(&mut self, at: Nanos, matches: impl Fn(&Flight) -> bool) -> bool {
        let Some(flight) = self.canaries.back(matches) else { return false };
        self.heard += 1;
        let sample = Sample { sent_at: flight.sent_at, sent_before: flight.sent_before, heard_at: at };
        self.control.heard(sample);
        self.control.canary(flight.sent_at, true);
        true
    }

    fn hear_segment(&mut self, segment: &Segment, at: Nanos) {
        let Some(host) = self.host_number(segment.from) else { return };
        let Some(port) = self.plan.ports.index_of(segment.port) else { return };
        let lane = segment.source_port.wrapping_sub(self.ports.first);
        if lane >= SOURCE_PORT_COUNT {
            return;
        }
        let cookie = self.key.cookie(segment.from, segment.port, segment.source_port);
        let position = self.order.index_of(u64::from(host), port);
        let proven = segment.flags.has(TcpFlags::ACK) && segment.acknowledgment == cookie.wrapping_add(1);
        // A reset within a finished handshake carries no acknowledgment, but the number we acknowledged.
        let within = || {
            let opened = position.and_then(|position| self.opened.get(&position));
            segment.flags.is_rst()
                && opened
                    .is_some_and(|opened| !opened.told && opened.sequence.wrapping_add(1) == segment.sequence)
        };
        if !proven && !within() {
            return;
        }
        let lane = lane as u8;
        if lane >= TRY_PORT_COUNT as u8 {
            return self.hear_canary(segment, host, port, lane - TRY_PORT_COUNT as u8, at);
        }
        let Some(position) = position else { return };
        self.heard += 1;
        let about = About { host, port, position, lane, at };
        if segment.flags.is_rst() {
            self.closed(segment, about);
        } else if segment.flags.is_syn_ack() {
            self.syn_ack(segment, about);
        } else {
            self.confirmed(segment, about);
        }
    }

    fn hear_canary(&mut self, segment: &Segment, host: u32, port: u32, lane: u8, at: Nanos) {
        let kind = if segment.flags.is_rst() { Kind::Reset } else { Kind::Open };
        if segment.flags.is_syn_ack() {
            let lane = lane + TRY_PORT_COUNT as u8;
            self.replies.push_back(Reply { host, port: segment.port, lane, acknowledge: None });
        }
        // An open port that answers with a reset now is as good as silent: so do some defences.
        self.canary_back(at, |f| f.host == host && f.port == port && f.lane == lane && f.kind == kind);
    }

    /// Reads the round trip of an answer, and counts its tries when it is the pair's first.
    fn timed(&mut self, about: About, first: bool, kind: Kind) -> Option<Nanos> {
        if first {
            let tries = if kind == Kind::Open { &mut self.open_tries } else { &mut self.closed_tries };
            tries.answered += 1;
            tries.lost += u64::from(self.lane_pass.get(usize::from(about.lane)).copied().unwrap_or(0));
        }
        let batch = self.logs.get(usize::from(about.lane))?.find(about.position)?;
        let sample = Sample { sent_at: batch.at, sent_before: batch.sent_before, heard_at: about.at };
        self.control.heard(sample);
        Some(about.at.saturating_sub(batch.at))
    }

    fn syn_ack(&mut self, segment: &Segment, about: About) {
        let reply =
            |acknowledge| Reply { host: about.host, port: segment.port, lane: about.lane, acknowledge };
        let known = self.opened.get(&about.position).copied();
        if known.is_some_and(|known| known.told) {
            // Sent again, since our reset was lost; or asked twice.
            return self.replies.push_back(reply(None));
        }
        let rtt = self.timed(about, known.is_none(), Kind::Open);
        if known.is_none() && self.opened.len() >= OPENED_COUNT_MAX {
            self.replies.push_back(reply(None));
            return self.open(about, segment.port, segment.ttl, rtt);
        }
        let Some(host) = self.hosts.get_mut(about.host as usize) else { return };
        host.syn_acks += u32::from(known.is_none());
        let verify = segment.window == 0 || host.verify;
        let opened = Opened {
            told: !verify,
            doubted: known.is_some_and(|known| known.doubted),
            window: segment.window,
            ttl: segment.ttl,
            lane: about.lane,
            sequence: segment.sequence,
            rtt_us: rtt.map_or(0, |rtt| (rtt / 1_000) as u32),
        };
        if host.middlebox {
            self.replies.push_back(reply(None));
            return self.intercepted(about, segment.port, segment.ttl, rtt);
        }
        self.opened.insert(about.position, opened);
        if verify {
            self.replies.push_back(reply(Some(segment.sequence.wrapping_add(1))));
            return self.doubt(about.host, about.at);
        }
        self.replies.push_back(reply(None));
        self.open(about, segment.port, segment.ttl, rtt);
        self.suspect(about.host);
    }

    /// Settles a pair as open.
    fn open(&mut self, about: About, port: u16, ttl: u8, rtt: Option<Nanos>) {
        let Some(&address) = self.addresses.get(about.host as usize) else { return };
        let seen = Seen { ttl: Some(ttl), rtt };
        let doubted = self.opened.get(&about.position).is_some_and(|opened| opened.doubted);
        if self.work.settle(about.position) {
            // One that was doubted has been told before.
            if !doubted {
                self.books.found(address, port, State::Open, Reason::SynAck, seen);
            }
        } else {
            self.books.revised(State::Closed, address, port, State::Open, Reason::SynAck, seen);
        }
        self.canaries.know(about.host, about.port, Kind::Open);
    }

    /// Where most of what was asked is open, every handshake is looked at to its end, those told before as well.
    fn suspect(&mut self, number: u32) {
        let Some(host) = self.hosts.get_mut(number as usize) else { return };
        let asked = (self.asked / self.addresses.len().max(1) as u64) as u32;
        if host.verify || host.syn_acks < SUSPICIOUS_OPEN_COUNT || host.syn_acks * 2 < asked {
            return;
        }
        host.verify = true;
        host.verify_since_ms = (self.clock.now() / MILLISECOND) as u32;
        let order = &self.order;
        let doubtful = self
            .opened
            .iter_mut()
            .filter(|(position, opened)| opened.told && order.at(**position).0 == u64::from(number));
        for (position, opened) in doubtful {
            opened.told = false;
            opened.doubted = true;
            self.work.unsettle(*position);
        }
    }

    /// A host that opens hundreds of ports and has nothing behind any of them is a middlebox: no need to finish more.
    fn doubt(&mut self, number: u32, now: Nanos) {
        let patience_ms = (self.control.patience() * 3 / MILLISECOND) as u32;
        let Some(host) = self.hosts.get_mut(number as usize) else { return };
        let waited =
            (now / MILLISECOND) as u32 >= host.verify_since_ms.saturating_add(patience_ms.max(DOUBT_MS_MIN));
        if host.verify
            && waited
            && host.syn_acks >= DOUBTFUL_OPEN_COUNT
            && host.taken_back + host.confirmed == 0
        {
            host.middlebox = true;
            self.settle_doubtful(Some(number), false);
        }
    }

    fn intercepted(&mut self, about: About, port: u16, ttl: u8, rtt: Option<Nanos>) {
        let Some(&address) = self.addresses.get(about.host as usize) else { return };
        if self.work.settle(about.position) {
            let seen = Seen { ttl: Some(ttl), rtt };
            self.books.found(address, port, State::Intercepted, Reason::Tarpit, seen);
        }
    }

    fn closed(&mut self, segment: &Segment, about: About) {
        let Some(&address) = self.addresses.get(about.host as usize) else { return };
        let opened = self.opened.get(&about.position).copied();
        let taken_back = opened.is_some_and(|opened| !opened.told && opened.lane == about.lane);
        if opened.is_some_and(|opened| opened.told) {
            return;
        }
        let unsettled = !self.work.is_settled(about.position);
        let rtt = if taken_back { None } else { self.timed(about, unsettled, Kind::Reset) };
        if !unsettled {
            return;
        }
        self.work.settle(about.position);
        let seen = Seen { ttl: Some(segment.ttl), rtt };
        let reason = if taken_back { Reason::RstAfterHandshake } else { Reason::Rst };
        if opened.is_some_and(|opened| opened.doubted) {
            self.books.revised(State::Open, address, segment.port, State::Closed, reason, seen);
        } else {
            self.books.found(address, segment.port, State::Closed, reason, seen);
        }
        if taken_back {
            self.opened.remove(&about.position);
        }
        if let Some(host) = self.hosts.get_mut(about.host as usize) {
            host.taken_back += u32::from(taken_back);
            host.reset += u32::from(!taken_back);
        }
        if !taken_back {
            self.resets_since.1 += 1;
            self.canaries.know(about.host, about.port, Kind::Reset);
        }
    }

    /// Something within a finished handshake: the other side really opened it.
    fn confirmed(&mut self, segment: &Segment, about: About) {
        let Some(opened) = self.opened.get_mut(&about.position).filter(|opened| !opened.told) else { return };
        // A window of 0 once more keeps us waiting: a tarpit does so.
        if segment.window == 0 && opened.window == 0 && !segment.flags.has(TcpFlags::FIN) {
            return;
        }
        opened.told = true;
        let (ttl, rtt) = (segment.ttl, u64::from(opened.rtt_us) * 1_000);
        let reply = Reply { host: about.host, port: segment.port, lane: about.lane, acknowledge: None };
        self.replies.push_back(reply);
        if let Some(host) = self.hosts.get_mut(about.host as usize) {
            host.confirmed += 1;
        }
        self.open(about, segment.port, ttl, Some(rtt).filter(|rtt| *rtt > 0));
    }

    fn hear_refusal(&mut self, refusal: &Refusal, at: Nanos) {
        let Some(host) = self.host_number(refusal.host) else { return };
        let Some(port) = self.plan.ports.index_of(refusal.port) else { return };
        let lane = refusal.source_port.wrapping_sub(self.ports.first);
        if lane >= SOURCE_PORT_COUNT
            || self.key.cookie(refusal.host, refusal.port, refusal.source_port) != refusal.sequence
        {
            return;
        }
        self.heard += 1;
        let Some(position) = self.order.index_of(u64::from(host), port) else { return };
        if lane >= TRY_PORT_COUNT || self.work.is_settled(position) {
            return;
        }
        // Routers tell of hosts that are not there only after seconds: no round trip of the way.
        let rtt = self
            .logs
            .get(usize::from(lane))
            .and_then(|log| log.find(position))
            .map(|batch| at.saturating_sub(batch.at));
        self.work.settle(position);
        if let Some(host) = self.hosts.get_mut(host as usize) {
            host.refused += 1;
        }
        let Some(&address) = self.addresses.get(host as usize) else { return };
        let reason = Reason::Icmp { kind: refusal.kind, code: refusal.code, from: refusal.from };
        self.books.found(
            address,
            refusal.port,
            State::Rejected,
            reason,
            Seen { ttl: Some(refusal.ttl), rtt },
        );
    }
}
