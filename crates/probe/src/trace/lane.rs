//! One protocol's way along the path: what was sent at each TTL, and what came back.

use super::HOPS_COUNT_MAX;
use crate::icmp::{Answer, Link, Outcome, Packet, Probe, Protocol, Reply, Route, TTL_DEFAULT, Unreachable};
use std::io;
use std::net::IpAddr;

/// Answers kept for one hop of one lane.
const REPLIES_COUNT_MAX: usize = 1_000;

/// What one TTL brought.
#[derive(Debug, Clone, Default)]
pub struct HopSeen {
    pub sent: u32,
    /// Probes of these that this host itself refused to send.
    pub refused: u32,
    pub replies: Vec<Reply>,
}

impl HopSeen {
    /// The first answer.
    pub fn first(&self) -> Option<&Reply> {
        self.replies.first()
    }

    /// The router that let the TTL run out here.
    pub fn router(&self) -> Option<IpAddr> {
        self.replies.iter().find(|r| r.answer == Answer::TimeExceeded).map(|r| r.from)
    }
}

/// One protocol on one flow.
#[derive(Debug, Clone)]
pub struct Lane {
    pub protocol: Protocol,
    pub port: u16,
    pub target: IpAddr,
    source_port: u16,
    counter: u16,
    start: u32,
    /// By TTL, from 1.
    pub hops: Vec<HopSeen>,
    /// The probe with an ordinary TTL.
    pub full: HopSeen,
}

/// Shortest datagram of a trace: room for a plausible payload, in bytes.
const DATAGRAM_BYTES: u16 = 12;

impl Lane {
    /// A lane on a source port of its own.
    pub fn new(link: &mut Link, route: &Route, protocol: Protocol, port: u16) -> io::Result<Lane> {
        let source_port = if protocol == Protocol::Icmp { 0 } else { link.reserve_port(protocol)? };
        Ok(Lane {
            protocol,
            port,
            target: route.target.ip(),
            source_port,
            counter: 0,
            start: u32::from(source_port).wrapping_mul(2_654_435_761),
            hops: vec![HopSeen::default(); usize::from(HOPS_COUNT_MAX)],
            full: HopSeen::default(),
        })
    }

    /// A lane as if answered so by TTL, for tests of what is concluded.
    #[cfg(test)]
    pub fn answered_so(protocol: Protocol, target: IpAddr, answers: &[Option<(IpAddr, Answer)>]) -> Lane {
        let mut lane = Lane {
            protocol,
            port: 80,
            target,
            source_port: 1,
            counter: 0,
            start: 0,
            hops: vec![HopSeen::default(); usize::from(HOPS_COUNT_MAX)],
            full: HopSeen { sent: 3, ..HopSeen::default() },
        };
        for (hop, answer) in lane.hops.iter_mut().zip(answers) {
            hop.sent = super::judge::TRIES_COUNT;
            hop.replies.extend(answer.map(|(from, answer)| Reply {
                answer,
                from,
                ttl: Some(61),
                rtt: std::time::Duration::from_millis(1),
                mss: None,
                retried: false,
            }));
        }
        lane
    }

    /// The next probe of this lane; one flow, told apart by fields no balancer looks at.
    pub fn probe(&mut self, route: &Route, ttl: u8) -> Probe {
        self.counter = self.counter.wrapping_add(1);
        let (source_port, port) = (self.source_port, self.port);
        let mut bytes = 0;
        let packet = match self.protocol {
            Protocol::Icmp => Packet::Echo { sequence: self.counter },
            // Rising numbers: a connection tracker takes them for a SYN sent again.
            Protocol::Tcp => {
                let number = self.start.wrapping_add(u32::from(self.counter) * 4_096);
                Packet::Syn { source_port, port, number }
            }
            Protocol::Udp => {
                bytes = route.header_bytes() + 8 + DATAGRAM_BYTES + self.counter % 1_024;
                Packet::Datagram { source_port, port }
            }
        };
        Probe { packet, ttl, bytes, whole: false, cut: 0 }
    }

    /// The record of a TTL; beyond the farthest hop it is the ordinary one.
    pub fn at(&mut self, ttl: u8) -> &mut HopSeen {
        if ttl == TTL_DEFAULT {
            return &mut self.full;
        }
        let place = usize::from(ttl.saturating_sub(1)).min(self.hops.len().saturating_sub(1));
        &mut self.hops[place]
    }

    /// Writes down what became of a probe.
    pub fn record(&mut self, ttl: u8, outcome: &Outcome) {
        let hop = self.at(ttl);
        hop.sent += 1;
        hop.refused += u32::from(outcome.refused.is_some());
        if hop.replies.len() < REPLIES_COUNT_MAX
            && let Some(reply) = outcome.first()
        {
            hop.replies.push(*reply);
        }
    }

    /// Writes down an answer that came when its round was over.
    pub fn late(&mut self, ttl: u8, reply: Reply) {
        let hop = self.at(ttl);
        if hop.replies.len() < (hop.sent as usize).min(REPLIES_COUNT_MAX) {
            hop.replies.push(reply);
        }
    }

    /// What tells this lane from the others of a trace.
    pub const fn flow(&self) -> (Protocol, u16) {
        (self.protocol, self.port)
    }

    /// True when this host refused every probe.
    pub fn refused(&self) -> bool {
        let all = || self.hops.iter().chain([&self.full]);
        all().any(|h| h.sent > 0) && all().all(|h| h.sent == h.refused)
    }

    /// True when a reply shows that the packet got to the target.
    pub fn arrived(&self, reply: &Reply) -> bool {
        let says_no = matches!(reply.answer, Answer::Unreachable(_));
        reply.answer.from_destination() || (says_no && reply.from == self.target)
    }

    /// The first answer of the target, whatever the TTL, with that TTL when it is below the ordinary one.
    pub fn arrival(&self) -> Option<(Option<u8>, &Reply)> {
        let near =
            self.answered().find(|(_, reply)| self.arrived(reply)).map(|(ttl, reply)| (Some(ttl), reply));
        near.or_else(|| self.full.first().filter(|r| self.arrived(r)).map(|r| (None, r)))
    }

    /// The smallest TTL with which the target was reached: its distance in hops.
    pub fn distance(&self) -> Option<u8> {
        self.arrival().and_then(|(ttl, _)| ttl)
    }

    /// Every first answer by TTL.
    pub fn answered(&self) -> impl Iterator<Item = (u8, &Reply)> {
        (1u8..)
            .zip(&self.hops)
            .flat_map(|(ttl, hop)| hop.replies.iter().take(1).map(move |reply| (ttl, reply)))
    }

    /// The routers by TTL, where they answered.
    pub fn routers(&self) -> Vec<Option<IpAddr>> {
        self.hops.iter().map(HopSeen::router).collect()
    }

    /// The farthest TTL at which a router answered.
    pub fn last_router(&self) -> Option<u8> {
        (1u8..).zip(&self.hops).filter(|(_, hop)| hop.router().is_some()).map(|(ttl, _)| ttl).last()
    }

    /// A router, not the target, that says the target cannot be reached, at the smallest TTL it said so.
    pub fn rejection(&self) -> Option<(u8, IpAddr, Unreachable)> {
        let all = (1u8..).zip(&self.hops).chain([(TTL_DEFAULT, &self.full)]);
        all.flat_map(|(ttl, hop)| hop.replies.iter().map(move |reply| (ttl, reply))).find_map(
            |(ttl, reply)| match reply.answer {
                Answer::Unreachable(why) if reply.from != self.target => Some((ttl, reply.from, why)),
                _ => None,
            },
        )
    }
}
