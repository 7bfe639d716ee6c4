//! The sum of a ping: loss, round trips, jitter, duplicates and order.

use super::PingOptions;
use crate::icmp::{Protocol, Reply, Route};
use crate::loss::stats;
use crate::trace::{RttSummary, answer_name};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// Round trips kept for the percentiles; of a ping without end the latest count.
const TIMES_COUNT_MAX: usize = 200_000;

/// Probes given up that are remembered, to know a late answer from a duplicate.
const GIVEN_UP_COUNT_MAX: usize = 1_024;

/// The sum of a ping.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PingSummary {
    pub target: IpAddr,
    /// `None` for echo.
    pub port: Option<u16>,
    pub source: IpAddr,
    pub protocol: Protocol,
    /// False when kernel sockets were used.
    pub raw: bool,
    pub sent: u32,
    pub received: u32,
    /// 0 to 1, of the probes sent.
    pub loss: f64,
    pub duplicates: u32,
    /// Answers that overtook an earlier probe's.
    pub reordered: u32,
    /// Answers that came after their probe was given up; they count as lost.
    pub late: u32,
    /// Probes a router reported on instead.
    pub errors: u32,
    /// Probes this host itself did not send.
    pub refused: u32,
    pub rtt_ms: Option<RttSummary>,
    /// Smoothed as in RFC 3550 6.4.1, in milliseconds.
    pub jitter_ms: Option<f64>,
    /// What was answered how often.
    pub answers: BTreeMap<&'static str, u32>,
    /// TTLs the answers arrived with, and how often.
    pub ttls: BTreeMap<u8, u32>,
}

/// Counts while the ping runs.
#[derive(Debug)]
pub struct Tally {
    summary: PingSummary,
    /// Round trips by probe.
    times: BTreeMap<u32, f64>,
    given_up: VecDeque<u32>,
    highest: u32,
    longest: Option<Duration>,
    open: u32,
}

impl Tally {
    /// Starts at zero.
    pub fn new(options: &PingOptions, route: &Route, raw: bool) -> Tally {
        let port = (options.protocol != Protocol::Icmp).then(|| options.target.port());
        Tally {
            summary: PingSummary {
                target: options.target.ip(),
                port,
                source: route.source,
                protocol: options.protocol,
                raw,
                sent: 0,
                received: 0,
                loss: 0.0,
                duplicates: 0,
                reordered: 0,
                late: 0,
                errors: 0,
                refused: 0,
                rtt_ms: None,
                jitter_ms: None,
                answers: BTreeMap::new(),
                ttls: BTreeMap::new(),
            },
            times: BTreeMap::new(),
            given_up: VecDeque::new(),
            highest: 0,
            longest: None,
            open: 0,
        }
    }

    pub fn sent(&mut self) {
        self.summary.sent += 1;
    }

    pub fn refused(&mut self) {
        self.summary.refused += 1;
    }

    pub fn late(&mut self) {
        self.summary.late += 1;
    }

    pub fn duplicate(&mut self) {
        self.summary.duplicates += 1;
    }

    pub fn answered(&mut self, number: u32, reply: &Reply) {
        self.summary.received += 1;
        self.summary.reordered += u32::from(number < self.highest);
        self.highest = self.highest.max(number);
        self.longest = self.longest.max(Some(reply.rtt));
        if self.times.len() >= TIMES_COUNT_MAX {
            self.times.pop_first();
        }
        self.times.insert(number, reply.rtt.as_secs_f64() * 1e3);
        *self.summary.answers.entry(answer_name(reply.answer)).or_default() += 1;
        if let Some(ttl) = reply.ttl {
            *self.summary.ttls.entry(ttl).or_default() += 1;
        }
    }

    pub fn error(&mut self, reply: &Reply) {
        self.summary.errors += 1;
        *self.summary.answers.entry(answer_name(reply.answer)).or_default() += 1;
    }

    pub fn lost(&mut self, number: u32) {
        if self.given_up.len() >= GIVEN_UP_COUNT_MAX {
            self.given_up.pop_front();
        }
        self.given_up.push_back(number);
    }

    /// True when the probe was given up before; said once, so that a second answer is a duplicate.
    pub fn gave_up(&mut self, number: u32) -> bool {
        let place = self.given_up.iter().position(|n| *n == number);
        place.and_then(|place| self.given_up.remove(place)).is_some()
    }

    /// Probes still open when the user stopped: neither answered nor lost.
    pub fn unanswered(&mut self, count: usize) {
        self.open = u32::try_from(count).unwrap_or(u32::MAX);
    }

    pub fn longest(&self) -> Option<Duration> {
        self.longest
    }

    /// Closes the books.
    pub fn finish(mut self) -> PingSummary {
        let times: Vec<f64> = self.times.values().copied().collect();
        self.summary.sent = self.summary.sent.saturating_sub(self.open);
        let lost = self.summary.sent.saturating_sub(self.summary.received);
        self.summary.loss = stats::share(lost, self.summary.sent);
        self.summary.rtt_ms = stats::summary(&times);
        self.summary.jitter_ms = (times.len() > 1).then(|| stats::jitter(&times));
        self.summary
    }
}
