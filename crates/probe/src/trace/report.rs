//! A trace as the command shows it and as JSON.

use super::judge::{answer_name, find_loop};
use super::lane::{HopSeen, Lane};
use crate::icmp::{Answer, Protocol, Route, Unreachable};
use crate::loss::stats;
use serde::Serialize;
use std::net::IpAddr;

/// Round trips in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RttSummary {
    pub min: f64,
    pub average: f64,
    pub median: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
    pub deviation: f64,
}

/// One hop of one lane.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hop {
    pub ttl: u8,
    /// Who answered, in the order first seen.
    pub senders: Vec<IpAddr>,
    pub sent: u32,
    pub received: u32,
    /// 0 to 1.
    pub loss: f64,
    pub rtt_ms: Option<RttSummary>,
    /// What came back, when it is not the usual time-exceeded.
    pub notes: Vec<String>,
    pub target: bool,
}

/// How far one protocol gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LaneReport {
    pub protocol: Protocol,
    pub port: u16,
    pub hops: Vec<Hop>,
    /// The smallest TTL that reaches the target.
    pub distance: Option<u8>,
    /// The target answered, whatever the TTL.
    pub arrives: bool,
    pub last_router: Option<u8>,
    /// First hop of a loop.
    pub loop_from: Option<u8>,
    /// The router at which an ordinary TTL of 64 ran out: no path is that long, so it circles.
    pub ran_out_at: Option<IpAddr>,
    /// A router that says the target cannot be reached, and its word.
    pub rejected_by: Option<(IpAddr, Unreachable)>,
    /// TTL the target's answer arrived with.
    pub answer_ttl: Option<u8>,
    /// Why this host sent nothing.
    pub refused: bool,
}

/// A whole trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceReport {
    pub target: IpAddr,
    pub source: IpAddr,
    /// False when kernel sockets were used: source ports vary, and TTLs of answers stay unknown.
    pub raw: bool,
    pub lanes: Vec<LaneReport>,
}

impl TraceReport {
    /// Sums the lanes up.
    pub fn new(route: &Route, raw: bool, lanes: &[Lane]) -> TraceReport {
        let lanes = lanes.iter().map(LaneReport::new).collect();
        TraceReport { target: route.target.ip(), source: route.source, raw, lanes }
    }
}

impl LaneReport {
    fn new(lane: &Lane) -> LaneReport {
        let end = lane.distance().or(lane.answered().map(|(ttl, _)| ttl).last()).unwrap_or(0);
        let tried =
            (1u8..).zip(&lane.hops).filter(|(_, hop)| hop.sent > 0).map(|(ttl, _)| ttl).last().unwrap_or(0);
        // Silence past the last answer is shown by two rows at most.
        let shown = if lane.distance().is_some() { end } else { tried.min(end + 2) };
        LaneReport {
            protocol: lane.protocol,
            port: lane.port,
            hops: (1..=shown).zip(&lane.hops).map(|(ttl, hop)| Hop::new(lane, ttl, hop)).collect(),
            distance: lane.distance(),
            arrives: lane.arrival().is_some(),
            last_router: lane.last_router(),
            loop_from: find_loop(&lane.routers()).map(|found| found.ttl),
            ran_out_at: lane.full.router(),
            rejected_by: lane.rejection().map(|(_, from, why)| (from, why)),
            answer_ttl: lane.arrival().and_then(|(_, reply)| reply.ttl),
            refused: lane.refused(),
        }
    }
}

impl Hop {
    fn new(lane: &Lane, ttl: u8, hop: &HopSeen) -> Hop {
        let received = u32::try_from(hop.replies.len()).unwrap_or(u32::MAX);
        let mut senders = Vec::new();
        let mut notes: Vec<String> = Vec::new();
        for reply in &hop.replies {
            if !senders.contains(&reply.from) {
                senders.push(reply.from);
            }
            let note = answer_name(reply.answer).to_owned();
            if reply.answer != Answer::TimeExceeded && !notes.contains(&note) {
                notes.push(note);
            }
        }
        let times: Vec<f64> = hop.replies.iter().map(|r| r.rtt.as_secs_f64() * 1e3).collect();
        Hop {
            ttl,
            senders,
            sent: hop.sent,
            received,
            loss: stats::share(hop.sent.saturating_sub(received), hop.sent),
            rtt_ms: stats::summary(&times),
            notes,
            target: hop.replies.iter().any(|reply| lane.arrived(reply)),
        }
    }
}
