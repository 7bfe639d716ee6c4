//! Sending: replies first, then canaries, then questions.

use super::books::Seen;
use super::canary::Kind;
use super::clock::{Nanos, SECOND};
use super::engine::{Engine, Halt, Reply};
use super::frame::{Act, Mac, Segment};
use super::link::{BATCH_FRAME_COUNT, Sent};
use super::log::Batch;
use super::source::{SOURCE_PORT_COUNT, TRY_PORT_COUNT};
use super::way::HostWay;
use crate::{Reason, ScanError, State};
use std::collections::HashMap;

/// One canary for so many questions: 1.6 %.
const CANARY_QUESTION_COUNT: u32 = 64;
/// The same at a gentle pace, where a ban is to be noticed after few questions: 4 %.
const GENTLE_CANARY_QUESTION_COUNT: u32 = 24;
/// The same while the rate still grows, and nothing else is heard.
const AWAITED_QUESTION_COUNT: u32 = 16;
/// Pairs looked at for one batch, so that long stretches of hosts without a way do not stop the listening.
const LOOKED_AT_COUNT_MAX: usize = 4_096;
/// Hosts greeted with an echo before anything else.
const GREETED_HOST_COUNT_MAX: usize = 8;
/// Refused questions remembered; later ones count as silent, unless most were refused.
const UNSENT_COUNT_MAX: usize = 1 << 18;
/// Replies sent between two looks at the ring.
const REPLY_COUNT_MAX: usize = 64;

impl Engine<'_> {
    /// Sends what may be sent now; returns how many packets, and whether questions are left in this sweep.
    pub fn speak(&mut self, now: Nanos, asking: bool) -> Result<(usize, bool), Halt> {
        let before = self.sent;
        for _ in 0..REPLY_COUNT_MAX {
            let Some(reply) = self.replies.pop_front() else { break };
            self.reply(reply);
        }
        let mut more = asking;
        if asking {
            let allowance = match self.plan.jitter {
                Some(_) if now < self.pause_until => 0,
                _ => {
                    let room = self.control.room(now, self.sent).min(BATCH_FRAME_COUNT);
                    self.pacer.allowance(now, self.control.rate(), room)
                }
            };
            if allowance > 0 {
                let used = self.canary_if_due(now);
                let (asked, left) = self.ask(now, allowance - used.min(allowance));
                self.pacer.spent(asked + used);
                self.canary_due += asked as u32;
                more = left;
                self.pause(now);
            }
        }
        self.flush_all()?;
        Ok(((self.sent - before) as usize, more))
    }

    fn ask(&mut self, now: Nanos, allowance: usize) -> (usize, bool) {
        let lane = self.lane();
        let sent_before = self.sent;
        let (mut asked, mut logged) = (0, false);
        for _ in 0..LOOKED_AT_COUNT_MAX {
            if asked >= allowance {
                return (asked, true);
            }
            let Some(position) = self.work.next() else { return (asked, false) };
            let (host, port) = self.order.at(position);
            if self.is_spared(host as u32, port) {
                continue;
            }
            let Some(port) = self.plan.ports.get(port) else { continue };
            if self.is_own(host as u32, port) {
                self.settle_own(position, host as u32, port);
                continue;
            }
            if self.ask_one(host as u32, port, lane, Some(position)) {
                asked += 1;
                self.asked += 1;
                self.last_asked_at = now;
                if !logged {
                    logged = true;
                    let batch = Batch { first: position, at: now, sent_before };
                    if let Some(log) = self.logs.get_mut(usize::from(lane)) {
                        log.push(batch);
                    }
                }
            }
        }
        (asked, true)
    }

    /// Whether the port is one of those reserved here, on an address of this machine.
    fn is_own(&self, host: u32, port: u16) -> bool {
        let reserved = (self.ports.first..self.ports.first + SOURCE_PORT_COUNT).contains(&port);
        reserved
            && self.way(host).is_some_and(|(group, _)| {
                self.ways.groups.get(group).map(|group| group.source)
                    == self.addresses.get(host as usize).copied()
            })
    }

    /// We could bind it, so nobody listens there; and while we hold it, asking would meet ourselves.
    fn settle_own(&mut self, position: u64, host: u32, port: u16) {
        let Some(&address) = self.addresses.get(host as usize) else { return };
        if self.work.settle(position) {
            self.books.found(address, port, State::Closed, Reason::Rst, Seen::default());
        }
    }

    /// Sends one SYN; false when there is no way to the host. Canaries ask no position.
    fn ask_one(&mut self, host: u32, port: u16, lane: u8, position: Option<u64>) -> bool {
        let Some(&to) = self.addresses.get(host as usize) else { return false };
        let source_port = self.ports.first + u16::from(lane);
        let sequence = self.key.cookie(to, port, source_port);
        self.put(host, Segment { to, source_port, port, sequence, act: Act::Syn }, position)
    }

    fn reply(&mut self, reply: Reply) {
        let Some(&to) = self.addresses.get(reply.host as usize) else { return };
        let source_port = self.ports.first + u16::from(reply.lane);
        let sequence = self.key.cookie(to, reply.port, source_port).wrapping_add(1);
        let act = match reply.acknowledge {
            Some(acknowledgment) => Act::Ack { acknowledgment },
            None => Act::Reset,
        };
        self.put(reply.host, Segment { to, source_port, port: reply.port, sequence, act }, None);
    }

    fn put(&mut self, host: u32, segment: Segment, position: Option<u64>) -> bool {
        let Some((group, next)) = self.way(host) else { return false };
        self.make_room(group);
        let Some(group) = self.ways.groups.get_mut(group) else { return false };
        let template = group.template;
        group.sender.push(segment.to, position, |slot| template.segment(slot, next, &segment));
        self.sent += 1;
        true
    }

    fn way(&self, host: u32) -> Option<(usize, Mac)> {
        match self.ways.hosts.get(host as usize) {
            Some(HostWay::Through { group, next }) => Some((usize::from(*group), *next)),
            _ => None,
        }
    }

    fn make_room(&mut self, group: usize) {
        if let Some(group) = self.ways.groups.get_mut(group)
            && group.sender.is_full()
        {
            let sent = group.sender.flush(|position, errno| keep(&mut self.unsent, position, errno));
            self.count(sent);
        }
    }

    /// Hands all batches over.
    pub fn flush_all(&mut self) -> Result<(), Halt> {
        for at in 0..self.ways.groups.len() {
            let Some(group) = self.ways.groups.get_mut(at).filter(|group| !group.sender.is_empty()) else {
                continue;
            };
            let sent = group.sender.flush(|position, errno| keep(&mut self.unsent, position, errno));
            self.count(sent);
            if self.refused.down {
                let name = self.ways.groups.get(at).map_or_else(String::new, |g| g.interface_name.clone());
                return Err(ScanError::InterfaceDown { name, asked: self.asked }.into());
            }
        }
        Ok(())
    }

    fn count(&mut self, sent: Sent) {
        self.refused.refused += sent.refused;
        self.refused.down |= sent.down;
        if sent.refused > 0 {
            self.refused.errno = sent.errno;
        }
    }

    /// Echo requests to a few hosts: canaries that need no open port.
    pub fn greet(&mut self) {
        let now = self.clock.now();
        for host in 0..self.addresses.len().min(GREETED_HOST_COUNT_MAX) {
            self.canaries.know(host as u32, 0, Kind::Echo);
        }
        for _ in 0..self.addresses.len().min(GREETED_HOST_COUNT_MAX) {
            self.send_canary(now, |kind| kind == Kind::Echo);
        }
        // Those that stay silent are let go when their time is over; silence of an echo means nothing.
        let _ = self.flush_all();
    }

    fn canary_if_due(&mut self, now: Nanos) -> usize {
        let awaited = self.canary_due >= AWAITED_QUESTION_COUNT
            && self.control.wants_sample()
            && self.canaries.in_flight() == 0;
        let gentle = super::engine::even(self.plan);
        let questions = if gentle { GENTLE_CANARY_QUESTION_COUNT } else { CANARY_QUESTION_COUNT };
        if self.canary_due < questions && !awaited {
            return 0;
        }
        let sent_before = self.sent;
        let flight = self.canaries.next(now, sent_before);
        if flight.is_some() {
            self.canary_due = 0;
        }
        usize::from(flight.is_some_and(|flight| self.launch(&flight)))
    }

    /// Sends a canary of some kind; false when there is none to send.
    pub fn send_canary(&mut self, now: Nanos, wanted: impl Fn(Kind) -> bool) -> bool {
        let flight = self.canaries.launch(now, self.sent, wanted);
        flight.is_some_and(|flight| self.launch(&flight))
    }

    fn launch(&mut self, flight: &super::canary::Flight) -> bool {
        if flight.kind != Kind::Echo {
            let Some(port) = self.plan.ports.get(flight.port) else { return false };
            return self.ask_one(flight.host, port, TRY_PORT_COUNT as u8 + flight.lane, None);
        }
        let Some((group, next)) = self.way(flight.host) else { return false };
        let Some(&to) = self.addresses.get(flight.host as usize) else { return false };
        self.make_room(group);
        let ident = self.ports.first;
        let Some(group) = self.ways.groups.get_mut(group) else { return false };
        let template = group.template;
        group.sender.push(to, None, |slot| template.echo(slot, next, to, ident, flight.number));
        self.sent += 1;
        true
    }

    /// Jitter: a random pause, exponentially distributed around its mean.
    fn pause(&mut self, now: Nanos) {
        let Some(mean) = self.plan.jitter else { return };
        // The cookie is as good a source of chance as any: the count of packets never repeats.
        let chance = self.key.cookie(std::net::IpAddr::from((self.sent as u128).to_be_bytes()), 0, 0);
        let share = (f64::from(chance) + 1.0) / (f64::from(u32::MAX) + 2.0);
        let pause = mean.as_secs_f64() * -share.ln();
        self.pause_until = now + (pause.min(3_600.0) * SECOND as f64) as Nanos;
    }
}

/// Remembers a question this machine refused.
fn keep(unsent: &mut HashMap<u64, i32>, position: u64, errno: i32) {
    if unsent.len() < UNSENT_COUNT_MAX {
        unsent.insert(position, errno);
    }
}
