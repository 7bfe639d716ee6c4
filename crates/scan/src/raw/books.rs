//! The books: counts, what is told and when, what is kept for a checkpoint.

use super::clock::{MILLISECOND, Nanos, SECOND};
use super::work::Work;
use crate::{Checkpoint, Event, Finding, Keeper, Notice, Plan, Progress, Reason, State};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Between two tellings of the progress.
const PROGRESS_GAP_NS: Nanos = 100 * MILLISECOND;
/// Over which time the rate is an average.
const RATE_SPAN_NS: Nanos = SECOND;
/// Notices kept for the summary; later ones are told, and not kept.
const NOTICE_COUNT_MAX: usize = 256;
/// Findings kept for the checkpoint.
const FINDING_COUNT_MAX: usize = 1 << 20;

/// What a scan knows and tells.
pub struct Books<'a> {
    pub plan: &'a Plan,
    tell: &'a mut dyn FnMut(Event),
    pub counts: Counts,
    pub notices: Vec<Notice>,
    /// Kept only where a checkpoint wants them.
    findings: Vec<Finding>,
    keeper: Keeper,
    told_at: Nanos,
    mark: (Nanos, u64),
    rate: f64,
    /// Time, questions and packets of the parts before this one.
    pub elapsed_before: Duration,
    asked_before: u64,
    pub sent_before: u64,
}

/// Pairs by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub open: u64,
    pub closed: u64,
    pub filtered: u64,
    pub rejected: u64,
    pub intercepted: u64,
    pub unknown: u64,
}

impl Counts {
    fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::Open => &mut self.open,
            State::Closed => &mut self.closed,
            State::Filtered => &mut self.filtered,
            State::Rejected => &mut self.rejected,
            State::Intercepted => &mut self.intercepted,
            State::Unknown => &mut self.unknown,
        }
    }
}

/// What an answer showed beside the state.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    pub ttl: Option<u8>,
    pub rtt: Option<Nanos>,
}

impl<'a> Books<'a> {
    pub fn new(plan: &'a Plan, tell: &'a mut dyn FnMut(Event)) -> Books<'a> {
        let mut books = Books {
            plan,
            tell,
            counts: Counts::default(),
            notices: Vec::new(),
            findings: Vec::new(),
            keeper: Keeper::new(plan, Instant::now()),
            told_at: 0,
            mark: (0, 0),
            rate: 0.0,
            elapsed_before: Duration::ZERO,
            asked_before: 0,
            sent_before: 0,
        };
        if let Some(before) = &plan.resume {
            books.counts.closed = before.closed;
            books.counts.filtered = before.filtered;
            for finding in &before.findings {
                *books.counts.of(finding.state) += 1;
            }
            books.findings = before.findings.clone();
            books.elapsed_before = before.elapsed;
            books.asked_before = before.asked;
            books.sent_before = before.sent;
        }
        books
    }

    /// Counts a settled pair, and tells it where that is asked for.
    pub fn found(&mut self, host: IpAddr, port: u16, state: State, reason: Reason, seen: Seen) {
        *self.counts.of(state) += 1;
        let quiet = matches!(state, State::Closed | State::Filtered | State::Unknown);
        let kept = self.plan.checkpoint.is_some() && !matches!(state, State::Closed | State::Filtered);
        if quiet && !self.plan.all && !kept {
            return;
        }
        let finding = self.finding(host, port, state, reason, seen);
        if kept && self.findings.len() < FINDING_COUNT_MAX {
            self.findings.push(finding.clone());
        }
        if !quiet || self.plan.all {
            (self.tell)(Event::Found(finding));
        }
    }

    /// Changes what was told of a pair.
    pub fn revised(
        &mut self,
        before: State,
        host: IpAddr,
        port: u16,
        state: State,
        reason: Reason,
        seen: Seen,
    ) {
        let count = self.counts.of(before);
        *count = count.saturating_sub(1);
        *self.counts.of(state) += 1;
        let finding = self.finding(host, port, state, reason, seen);
        self.findings.retain(|old| old.host != host || old.port != port);
        if self.plan.checkpoint.is_some() && !matches!(state, State::Closed | State::Filtered) {
            self.findings.push(finding.clone());
        }
        (self.tell)(Event::Revised(finding));
    }

    fn finding(&self, host: IpAddr, port: u16, state: State, reason: Reason, seen: Seen) -> Finding {
        let rtt = seen.rtt.map(Duration::from_nanos);
        Finding { host, port, protocol: self.plan.protocol, state, reason, ttl: seen.ttl, rtt, look: None }
    }

    pub fn notice(&mut self, notice: Notice) {
        if self.notices.len() < NOTICE_COUNT_MAX {
            self.notices.push(notice.clone());
        }
        (self.tell)(Event::Notice(notice));
    }

    /// Tells how far the scan is, at most ten times a second.
    pub fn progress(&mut self, now: Nanos, asked: u64, work: &Work, pass: u32, packets_per_second: f64) {
        if now < self.told_at + PROGRESS_GAP_NS {
            return;
        }
        self.told_at = now;
        let span = now.saturating_sub(self.mark.0);
        self.rate = asked.saturating_sub(self.mark.1) as f64 * SECOND as f64 / span.max(1) as f64;
        if span >= RATE_SPAN_NS {
            self.mark = (now, asked);
        }
        let total = work.len();
        // Silent ports are settled only at the end, so what is asked tells the progress of this pass.
        let to_ask = total.saturating_sub(work.position()) as f64;
        let eta = (packets_per_second > 0.0).then(|| {
            Duration::from_secs_f64((to_ask / packets_per_second.min(self.rate.max(1.0))).clamp(0.0, 1e7))
        });
        let settled = total - work.left();
        let open = self.counts.open;
        let asked = self.asked_before + asked;
        let progress = Progress { asked, settled, total, rate: self.rate, open, pass, eta };
        (self.tell)(Event::Progress(progress));
    }

    /// Whether a checkpoint is due.
    pub fn is_due(&self) -> bool {
        self.keeper.is_due(Instant::now())
    }

    /// Writes a checkpoint, with what this part asked and sent.
    pub fn keep(&mut self, work: &Work, pass: u32, (asked, sent): (u64, u64), elapsed: Duration) {
        if self.plan.checkpoint.is_none() {
            return;
        }
        let checkpoint = Checkpoint {
            pass,
            position: work.position(),
            asked: self.asked_before + asked,
            sent: self.sent_before + sent,
            elapsed: self.elapsed_before + elapsed,
            closed: self.counts.closed,
            filtered: self.counts.filtered,
            settled: work.words().to_vec(),
            findings: self.findings.clone(),
            ..Checkpoint::start(self.plan)
        };
        self.keeper.keep(&checkpoint, self.tell);
    }
}
