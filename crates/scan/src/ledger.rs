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
    /// Questions asked, those of earlier parts included.
    pub asked: u64,
    /// Packets earlier parts sent beyond their questions: raw ones send others besides.
    sent_besides: u64,
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
            sent_besides: stand.sent.saturating_sub(stand.asked),
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
        self.count(&finding);
        let quiet = matches!(finding.state, State::Closed | State::Filtered | State::Unknown);
        if self.plan.all || !quiet {
            (self.tell)(Event::Found(finding));
        }
    }

    /// Changes what was told of a pair.
    pub fn revise(&mut self, before: State, finding: Finding) {
        self.counts[place(before)] = self.counts[place(before)].saturating_sub(1);
        match before {
            State::Closed => self.stand.closed = self.stand.closed.saturating_sub(1),
            State::Filtered => self.stand.filtered = self.stand.filtered.saturating_sub(1),
            _ => self.stand.findings.retain(|old| (old.host, old.port) != (finding.host, finding.port)),
        }
        self.count(&finding);
        (self.tell)(Event::Revised(finding));
    }

    /// Enters a settled pair, for the summary and for the checkpoint.
    fn count(&mut self, finding: &Finding) {
        self.counts[place(finding.state)] += 1;
        match finding.state {
            State::Closed => self.stand.closed += 1,
            State::Filtered => self.stand.filtered += 1,
            _ if self.plan.checkpoint.is_some() => self.stand.findings.push(finding.clone()),
            _ => {}
        }
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
        let elapsed = self.elapsed(now).as_secs_f64();
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
        self.stand.sent = self.sent();
        self.stand.elapsed = self.elapsed(now);
        self.keeper.keep(&self.stand, self.tell);
    }

    /// Packets sent, those of earlier parts included.
    fn sent(&self) -> u64 {
        self.asked + self.sent_besides
    }

    /// Time taken, that of earlier parts included.
    fn elapsed(&self, now: Instant) -> Duration {
        let before = self.plan.resume.as_ref().map_or(Duration::ZERO, |part| part.elapsed);
        before + now.duration_since(self.began)
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
            packets_sent: self.sent(),
            packets_received: self.heard,
            passes,
            loss: None,
            expected_missed: 0.0,
            rtt_ms: None,
            elapsed_ms: self.elapsed(Instant::now()).as_millis() as u64,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hosts, Ports, Protocol};
    use std::path::PathBuf;
    use std::sync::Arc;

    fn plan(name: &str) -> (Plan, PathBuf) {
        let hosts = Hosts::parse(&["10.0.0.2"], &[]).unwrap();
        let path = std::env::temp_dir().join(format!("netwhy-ledger-{}-{name}", std::process::id()));
        let plan = Plan::new(hosts, Ports::parse("1-10", Protocol::Tcp).unwrap());
        (Plan { checkpoint: Some(path.clone()), ..plan }, path)
    }

    fn of(ledger: &Ledger, position: u64, state: State) -> Finding {
        let (_, host, port) = ledger.pair(position).unwrap();
        finding(ledger.plan, host, port, state, Reason::SynAck)
    }

    /// What the summary and the checkpoint say: open, closed, filtered, intercepted.
    fn counted(summary: &Summary, kept: &Checkpoint) -> [[u64; 4]; 2] {
        let states = [State::Open, State::Closed, State::Filtered, State::Intercepted];
        [
            [summary.open, summary.closed, summary.filtered, summary.intercepted],
            states.map(|state| kept.count(state)),
        ]
    }

    #[test]
    fn what_is_revised_is_kept_as_it_is_now() {
        let (plan, path) = plan("revised");
        let mut tell = |_| {};
        let mut ledger = Ledger::new(&plan, &mut tell).unwrap();
        for position in 0..4 {
            ledger.settle(position, of(&ledger, position, State::Open));
        }
        ledger.settle(4, of(&ledger, 4, State::Closed));
        ledger.settle(5, of(&ledger, 5, State::Filtered));
        ledger.revise(State::Open, of(&ledger, 0, State::Closed));
        ledger.revise(State::Open, of(&ledger, 1, State::Filtered));
        ledger.revise(State::Open, of(&ledger, 2, State::Intercepted));
        ledger.revise(State::Closed, of(&ledger, 4, State::Open));
        ledger.keep(Instant::now(), (1, 6), true);
        let summary = ledger.summary("connect", 1, false);
        let kept = Checkpoint::load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(counted(&summary, &kept), [[2, 1, 2, 1]; 2]);
        assert_eq!(kept.settled_count(), 6);
        // A scan that goes on from it knows them all.
        let plan = Plan { resume: Some(Arc::new(kept.clone())), ..plan };
        let resumed = Ledger::new(&plan, &mut tell).unwrap().summary("connect", 1, false);
        assert_eq!(counted(&resumed, &kept), [[2, 1, 2, 1]; 2]);
        assert_eq!(resumed.unknown, 4);
    }

    #[test]
    fn a_part_goes_on_counting_where_the_one_before_stopped() {
        let (plan, path) = plan("parts");
        let before =
            Checkpoint { asked: 7, sent: 19, elapsed: Duration::from_secs(5), ..Checkpoint::start(&plan) };
        let plan = Plan { resume: Some(Arc::new(before)), ..plan };
        let (mut asked, mut tell) = (Vec::new(), |_| {});
        let mut told = |event| {
            if let Event::Progress(progress) = event {
                asked.push(progress.asked);
            }
        };
        let mut ledger = Ledger::new(&plan, &mut told).unwrap();
        ledger.asked += 3;
        ledger.progress(Instant::now() + PROGRESS_GAP, 1);
        ledger.keep(Instant::now(), (1, 3), true);
        let summary = ledger.summary("connect", 1, false);
        let kept = Checkpoint::load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((asked, summary.packets_sent), (vec![10], 22));
        assert_eq!((kept.asked, kept.sent), (10, 22));
        assert!(summary.elapsed_ms >= 5_000 && kept.elapsed >= Duration::from_secs(5));
        let plan = Plan { resume: Some(Arc::new(kept)), ..plan };
        let again = Ledger::new(&plan, &mut tell).unwrap().summary("connect", 1, false);
        assert_eq!(again.packets_sent, 22);
    }
}
