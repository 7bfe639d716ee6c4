//! The books of a scan by sockets: which pairs are settled, what was counted, what is told and when.

use crate::{
    Checkpoint, Event, Finding, Keeper, Notice, Order, Plan, Progress, Reason, ScanError, State, Summary,
};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Pairs one scan can keep a bit for: 512 MiB would be too much, 64 MiB are not.
const PAIR_COUNT_MAX: u64 = 1 << 29;
/// Notices kept for the summary; later ones are told but not kept.
const NOTICE_COUNT_MAX: usize = 256;
/// Between two tellings of the progress.
const PROGRESS_GAP: Duration = Duration::from_millis(100);
/// Over which time the rate is an average.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// What is known of every pair of a plan, in its order.
pub(crate) struct Ledger<'a> {
    pub plan: &'a Plan,
    pub order: Order,
    pub began: Instant,
    /// Questions asked.
    pub asked: u64,
    /// Answers heard.
    pub heard: u64,
    /// Where the scan stands, to go on from.
    stand: Checkpoint,
    keeper: Keeper,
    settled_count: u64,
    counts: [u64; 6],
    notices: Vec<Notice>,
    tell: &'a mut dyn FnMut(Event),
    told: Instant,
    /// Questions asked up to a moment, for the rate.
    mark: (Instant, u64),
    rate: f64,
}

impl<'a> Ledger<'a> {
    /// Opens the books; a plan of more pairs than memory can tell apart is refused.
    pub fn new(plan: &'a Plan, tell: &'a mut dyn FnMut(Event)) -> Result<Self, ScanError> {
        let order = plan.order();
        if order.len() > PAIR_COUNT_MAX {
            return Err(ScanError::Input {
                place: format!("{} pairs of host and port", order.len()),
                problem: "more than one scan keeps in mind".into(),
                hint: "cut it with --shard".into(),
            });
        }
        let now = Instant::now();
        let stand = plan.resume.as_deref().cloned().unwrap_or_else(|| Checkpoint::start(plan));
        let states = STATES.map(|state| stand.count(state));
        Ok(Self {
            plan,
            order,
            began: now,
            asked: stand.asked,
            heard: 0,
            settled_count: stand.settled_count(),
            counts: states,
            notices: Vec::new(),
            tell,
            told: now,
            mark: (now, stand.asked),
            rate: 0.0,
            keeper: Keeper::new(plan, now),
            stand,
        })
    }

    /// How many pairs there are.
    pub fn len(&self) -> u64 {
        self.order.len()
    }

    /// Pairs nothing final is known of.
    pub fn unsettled(&self) -> u64 {
        self.len() - self.settled_count
    }

    pub fn open(&self) -> u64 {
        self.counts[place(State::Open)]
    }

    /// The number of the host, its address and the port at a position.
    pub fn pair(&self, position: u64) -> Option<(u64, IpAddr, u16)> {
        let (host, port) = self.order.at(position);
        Some((host, self.plan.hosts.get(host)?, self.plan.ports.get(port)?))
    }

    pub fn is_settled(&self, position: u64) -> bool {
        self.stand.is_settled(position)
    }

    /// The first unsettled position from `position` on.
    pub fn next_unsettled(&self, position: u64) -> Option<u64> {
        let mut at = position;
        // Whole words of settled pairs are passed at once, so this is short even late in a scan.
        while at < self.len() {
            let word = self.stand.settled.get((at / 64) as usize)? >> (at % 64);
            let free = u64::from((!word).trailing_zeros());
            if free < 64 - at % 64 {
                return (at + free < self.len()).then_some(at + free);
            }
            at += 64 - at % 64;
        }
        None
    }

    /// Settles a pair for good, counts it, and tells it where it is asked for.
    pub fn settle(&mut self, position: u64, finding: Finding) {
        if self.is_settled(position) || position >= self.len() {
            return;
        }
        self.stand.settled[(position / 64) as usize] |= 1 << (position % 64);
        self.settled_count += 1;
        self.counts[place(finding.state)] += 1;
        match finding.state {
            State::Closed => self.stand.closed += 1,
            State::Filtered => self.stand.filtered += 1,
            _ if self.plan.checkpoint.is_some() => self.stand.findings.push(finding.clone()),
            _ => {}
        }
        let quiet = matches!(finding.state, State::Closed | State::Filtered | State::Unknown);
        if self.plan.all || !quiet {
            (self.tell)(Event::Found(finding));
        }
    }

    /// Changes what was told of a pair.
    pub fn revise(&mut self, before: State, finding: Finding) {
        self.counts[place(before)] = self.counts[place(before)].saturating_sub(1);
        self.counts[place(finding.state)] += 1;
        let same = |kept: &&mut Finding| (kept.host, kept.port) == (finding.host, finding.port);
        if let Some(kept) = self.stand.findings.iter_mut().find(same) {
            *kept = finding.clone();
        }
        (self.tell)(Event::Revised(finding));
    }

    pub fn notice(&mut self, notice: Notice) {
        if self.notices.len() < NOTICE_COUNT_MAX {
            self.notices.push(notice.clone());
        }
        (self.tell)(Event::Notice(notice));
    }

    /// Tells how far the scan is, at most ten times a second.
    pub fn progress(&mut self, now: Instant, pass: u32) {
        if now.duration_since(self.told) < PROGRESS_GAP {
            return;
        }
        self.told = now;
        let span = now.duration_since(self.mark.0);
        self.rate = (self.asked - self.mark.1) as f64 / span.as_secs_f64().max(1e-3);
        if span >= RATE_SPAN {
            self.mark = (now, self.asked);
        }
        let elapsed = now.duration_since(self.began).as_secs_f64();
        let done = self.settled_count as f64 / self.len().max(1) as f64;
        let eta = (done > 0.01).then(|| Duration::from_secs_f64((elapsed / done - elapsed).clamp(0.0, 1e7)));
        let progress = Progress {
            asked: self.asked,
            settled: self.settled_count,
            total: self.len(),
            rate: self.rate,
            open: self.open(),
            pass,
            eta,
        };
        (self.tell)(Event::Progress(progress));
    }

    /// Pass and position an earlier part stopped at.
    pub fn resumed(&self) -> (u32, u64) {
        (self.stand.pass.max(1), self.stand.position)
    }

    /// Writes a checkpoint when one is due, or at once where the scan ends here.
    pub fn keep(&mut self, now: Instant, at: (u32, u64), is_end: bool) {
        if !is_end && !self.keeper.is_due(now) {
            return;
        }
        (self.stand.pass, self.stand.position) = at;
        self.stand.asked = self.asked;
        let before = self.plan.resume.as_ref().map_or(Duration::ZERO, |part| part.elapsed);
        self.stand.elapsed = before + now.duration_since(self.began);
        self.keeper.keep(&self.stand, self.tell);
    }

    /// Whether the time the plan allows is over.
    pub fn is_late(&self, now: Instant) -> bool {
        self.plan.max_duration.is_some_and(|most| now.duration_since(self.began) >= most)
    }

    /// The whole in numbers, with what only the engine knows left at nothing.
    pub fn summary(self, engine: &str, passes: u32, complete: bool) -> Summary {
        let count = |state| self.counts[place(state)];
        Summary {
            protocol: self.plan.protocol,
            engine: engine.into(),
            hosts: self.plan.hosts.len(),
            ports: self.plan.ports.len().into(),
            open: count(State::Open),
            closed: count(State::Closed),
            filtered: count(State::Filtered),
            rejected: count(State::Rejected),
            intercepted: count(State::Intercepted),
            unknown: count(State::Unknown) + self.len() - self.settled_count,
            packets_sent: self.asked,
            packets_received: self.heard,
            passes,
            loss: None,
            expected_missed: 0.0,
            rtt_ms: None,
            elapsed_ms: self.began.elapsed().as_millis() as u64,
            complete,
            notices: self.notices,
        }
    }
}

/// A finding without what only some answers carry.
pub(crate) fn finding(plan: &Plan, host: IpAddr, port: u16, state: State, reason: Reason) -> Finding {
    Finding { host, port, protocol: plan.protocol, state, reason, ttl: None, rtt: None, look: None }
}

const STATES: [State; 6] =
    [State::Open, State::Closed, State::Filtered, State::Rejected, State::Intercepted, State::Unknown];

fn place(state: State) -> usize {
    STATES.iter().position(|one| *one == state).unwrap_or(0)
}
