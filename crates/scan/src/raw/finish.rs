//! The end: what is still unsettled gets its state, half-open connections are closed, the summary is written.

use super::books::Seen;
use super::clock::MILLISECOND;
use super::engine::{Engine, Halt, Opened, Reply};
use super::local;
use super::way::HostWay;
use crate::{Notice, Reason, State, Summary};
use std::time::Duration;

/// Share of questions lost that is worth a word, in per cent.
const LOSS_TOLD_PERCENT: f64 = 0.5;
/// Open ports above which a host on which most are open counts as a middlebox's.
const MIDDLEBOX_OPEN_COUNT: u32 = 200;

impl Engine<'_> {
    /// Settles the rest, tells it, and sums up.
    pub fn finish(&mut self, halt: Option<Halt>) -> Summary {
        let stopped = matches!(halt, Some(Halt::Stopped));
        self.settle_doubtful(None, stopped);
        if !stopped {
            self.settle_silent(halt.is_some());
        }
        self.keep_checkpoint();
        self.close_all();
        self.tell_proxies();
        let evidence = self.evidence();
        let loss = evidence.loss();
        if let Some(percent) = loss.map(|loss| loss * 100.0).filter(|percent| *percent >= LOSS_TOLD_PERCENT) {
            self.books.notice(Notice::Loss { percent });
        }
        let counts = self.books.counts;
        let elapsed = Duration::from_nanos(self.clock.now()) + self.books.elapsed_before;
        let rtt = self.control.rtt;
        Summary {
            protocol: self.plan.protocol,
            engine: "raw".to_owned(),
            hosts: self.plan.hosts.len(),
            ports: self.plan.ports.len().into(),
            open: counts.open,
            closed: counts.closed,
            filtered: counts.filtered,
            rejected: counts.rejected,
            intercepted: counts.intercepted,
            unknown: counts.unknown + if stopped { self.work.left() } else { 0 },
            packets_sent: self.books.sent_before + self.sent,
            packets_received: self.heard,
            passes: self.passes,
            loss,
            expected_missed: evidence.missed(self.passes.max(1)),
            rtt_ms: rtt.least().map(|least| least as f64 / MILLISECOND as f64),
            elapsed_ms: elapsed.as_millis() as u64,
            complete: halt.is_none(),
            notices: std::mem::take(&mut self.books.notices),
        }
    }

    /// Writes the checkpoint, where there is to be one.
    pub fn keep_checkpoint(&mut self) {
        let elapsed = Duration::from_nanos(self.clock.now());
        self.books.keep(&self.work, self.passes, (self.asked, self.sent), elapsed);
    }

    /// Handshakes that were finished, and after which nothing came: of one host, or of all.
    ///
    /// All are closed; those of a scan that was stopped keep their question open.
    pub fn settle_doubtful(&mut self, only: Option<u32>, stopped: bool) {
        let mut doubtful: Vec<(u64, Opened)> = self
            .opened
            .iter()
            .filter(|(position, opened)| !opened.told && !self.work.is_settled(**position))
            .filter(|(position, _)| only.is_none_or(|host| self.order.at(**position).0 == u64::from(host)))
            .map(|(position, opened)| (*position, *opened))
            .collect();
        doubtful.sort_unstable_by_key(|(position, _)| *position);
        for (position, opened) in doubtful {
            let (number, port_number) = self.order.at(position);
            let Some(port) = self.plan.ports.get(port_number) else { continue };
            let Some(&address) = self.addresses.get(number as usize) else { continue };
            let host = number as u32;
            self.replies.push_back(Reply { host, port, lane: opened.lane, acknowledge: None });
            if stopped {
                let open = &mut self.books.counts.open;
                *open = open.saturating_sub(u64::from(opened.doubted));
                continue;
            }
            let (state, reason) = self.doubtful_state(host, &opened);
            let rtt = Some(u64::from(opened.rtt_us) * 1_000).filter(|rtt| *rtt > 0);
            self.work.settle(position);
            let seen = Seen { ttl: Some(opened.ttl), rtt };
            match (opened.doubted, state) {
                (true, State::Open) => {}
                (true, _) => self.books.revised(State::Open, address, port, state, reason, seen),
                (false, _) => self.books.found(address, port, state, reason, seen),
            }
            if let Some(kept) = self.opened.get_mut(&position) {
                kept.told = true;
            }
        }
    }

    fn doubtful_state(&self, number: u32, opened: &Opened) -> (State, Reason) {
        let host = self.hosts.get(number as usize).copied().unwrap_or_default();
        let most = u64::from(host.syn_acks) * 10 >= u64::from(self.plan.ports.len()) * 8;
        let middlebox =
            host.middlebox || host.syn_acks >= MIDDLEBOX_OPEN_COUNT && most && host.taken_back == 0;
        if opened.window == 0 || middlebox {
            (State::Intercepted, Reason::Tarpit)
        } else {
            (State::Open, Reason::SynAck)
        }
    }

    fn settle_silent(&mut self, banned: bool) {
        let limited = self.canaries.resets_limited;
        let mut from = 0;
        while let Some(position) = self.work.unsettled_since(from) {
            from = position + 1;
            let (number, port) = self.order.at(position);
            let Some(&address) = self.addresses.get(number as usize) else { continue };
            let Some(port) = self.plan.ports.get(port) else { continue };
            let unsent = self.unsent.get(&position).copied();
            let unsent = unsent.or_else(|| self.all_refused().then_some(self.refused.errno));
            let (state, reason) = match (self.ways.hosts.get(number as usize), unsent) {
                (Some(HostWay::NoRoute(errno)), _) => (State::Unknown, local(*errno)),
                (Some(HostWay::Through { .. }), _) if banned => (State::Unknown, Reason::Banned),
                (Some(HostWay::Through { .. }), Some(errno)) => (State::Unknown, local(errno)),
                (Some(HostWay::Through { .. }), None) if limited => (State::Filtered, Reason::RateLimited),
                _ => (State::Filtered, Reason::NoAnswer),
            };
            // What is unknown is asked again by a scan that goes on from here.
            if state != State::Unknown {
                self.work.settle(position);
            }
            self.books.found(address, port, state, reason, Seen::default());
        }
    }

    /// Whether this machine itself let nothing out.
    fn all_refused(&self) -> bool {
        u64::from(self.refused.refused) * 2 > self.sent
    }

    /// Leaves no connection half open.
    fn close_all(&mut self) {
        /// Rounds of replies: 64 each.
        const ROUND_COUNT_MAX: u32 = 1 << 16;
        for _ in 0..ROUND_COUNT_MAX {
            if self.replies.is_empty() {
                return;
            }
            let now = self.clock.now();
            if self.speak(now, false).is_err() {
                return;
            }
        }
    }

    fn tell_proxies(&mut self) {
        /// Taken back handshakes that make a proxy.
        const TAKEN_BACK_COUNT_MIN: u32 = 3;
        for (number, host) in self.hosts.iter().enumerate() {
            let Some(&address) = self.addresses.get(number) else { continue };
            let kind = if host.taken_back >= TAKEN_BACK_COUNT_MIN {
                "syn-proxy"
            } else if host.middlebox || host.verify && host.syn_acks >= MIDDLEBOX_OPEN_COUNT {
                "opens-everything"
            } else {
                continue;
            };
            let notice =
                Notice::Proxy { host: address, ports_answered: host.syn_acks, kind: kind.to_owned() };
            self.books.notice(notice);
        }
    }
}
