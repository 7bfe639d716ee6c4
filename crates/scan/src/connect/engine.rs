//! The loop of the connect engine: fills the window, reads answers, keeps the deadlines.

use crate::connect::limits;
use crate::connect::pace::Pacer;
use crate::connect::peer::{Peer, Standing};
use crate::connect::slots::{Aim, Ask, Slots, Wake};
use crate::connect::socket::{Source, Step};
use crate::connect::trouble::Trouble;
use crate::ledger::Ledger;
use crate::{Event, Notice, Plan, ScanError, Summary};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Questions sent before answers are looked at again.
const FILL_COUNT_MAX: usize = 256;
/// Positions passed over in one filling, when their hosts are silent.
const SKIP_COUNT_MAX: usize = 4_096;
/// Longest sleep, so that a stop is heard soon.
const SLEEP_MAX: Duration = Duration::from_millis(50);
/// Sleep when the machine is short of sockets and none of ours is busy.
const SHORT_SLEEP: Duration = Duration::from_millis(20);
/// Hosts under suspicion at a time; more would be the way's fault, not theirs.
const SUSPECT_COUNT_MAX: usize = 1_024;

/// A running scan.
pub(crate) struct Engine<'a> {
    pub(crate) ledger: Ledger<'a>,
    pub(crate) slots: Slots,
    pub(crate) pacer: Pacer,
    pub(crate) peers: HashMap<u64, Peer>,
    pub(crate) trouble: Trouble,
    pub(crate) own: HashSet<IpAddr>,
    pub(crate) pass: u32,
    /// Round trip over all hosts.
    pub(crate) rtt: Option<Duration>,
    /// Canaries to ask, then pairs to ask again in this pass.
    pub(crate) canaries: VecDeque<(u64, Aim, u16)>,
    pub(crate) again: VecDeque<Aim>,
    pub(crate) suspects: Vec<u64>,
    pub(crate) banned: u64,
    /// A pair was passed over, since its host was under suspicion.
    pub(crate) skipped: bool,
    /// Known-open ports asked again, and those lost.
    pub(crate) proofs: (u64, u64),
    /// Of those, the ones lost since the last that was answered.
    pub(crate) suspicions: u64,
    /// Answers by pass that were not there the pass before, of hosts that limit nothing.
    pub(crate) answers: (u64, u64),
    /// Position of the first pass up to which nothing answered: the way was not there yet, which is no loss.
    pub(crate) deaf_until: Option<u64>,
    /// The host that answered last.
    pub(crate) latest: Option<u64>,
    pub(crate) cursor: u64,
    wakes: Vec<Wake>,
    short_until: Instant,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Done,
    /// Stopped by the user, the time limit or a ban.
    Stopped,
}

impl<'a> Engine<'a> {
    pub fn new(plan: &'a Plan, tell: &'a mut dyn FnMut(Event)) -> Result<Self, ScanError> {
        let failed = |doing: &str| {
            let doing = doing.to_owned();
            move |source: io::Error| ScanError::System { doing, source }
        };
        let source = Source::new(plan.source, plan.interface.as_deref()).map_err(failed(&format!(
            "looking for interface {}",
            plan.interface.as_deref().unwrap_or("-")
        )))?;
        let ledger = Ledger::new(plan, tell)?;
        let now = Instant::now();
        Ok(Self {
            slots: Slots::new(source).map_err(failed("making an epoll"))?,
            pacer: Pacer::new(plan, limits::sockets_max(), now),
            peers: HashMap::new(),
            trouble: Trouble::default(),
            own: limits::own_addresses(),
            pass: 0,
            rtt: None,
            canaries: VecDeque::new(),
            again: VecDeque::new(),
            suspects: Vec::new(),
            banned: 0,
            skipped: false,
            proofs: (0, 0),
            suspicions: 0,
            answers: (0, 0),
            deaf_until: None,
            latest: None,
            cursor: 0,
            wakes: Vec::new(),
            short_until: now,
            ledger,
        })
    }

    /// Asks pass after pass until what is left is silent for sure.
    pub fn run(mut self, stop: &AtomicBool) -> Result<Summary, ScanError> {
        let mut ended = Ended::Done;
        let (first, position) = self.ledger.resumed();
        let mut sure_passes = first - 1;
        self.cursor = position;
        for pass in first..=crate::connect::passes::PASS_COUNT_MAX {
            let began = Instant::now();
            self.pass = pass;
            ended = self.one_pass(stop)?;
            sure_passes += u32::from(!self.skipped);
            if ended == Ended::Stopped {
                break;
            }
            self.cursor = 0;
            if !self.needs_another(sure_passes) {
                break;
            }
            ended = self.rest(began, stop)?;
            if ended == Ended::Stopped {
                break;
            }
        }
        self.slots.shed();
        let at = (self.pass, self.position());
        self.ledger.keep(Instant::now(), at, true);
        self.close(ended == Ended::Done)
    }

    fn one_pass(&mut self, stop: &AtomicBool) -> Result<Ended, ScanError> {
        self.skipped = false;
        // Ends when every pair of the pass was asked and each socket had its answer or its deadline, or at a stop.
        loop {
            let more = self.fill()?;
            if !more && self.slots.busy() == 0 && self.suspects.is_empty() && self.again.is_empty() {
                return self.trouble.verdict(&self.ledger).map(|()| Ended::Done);
            }
            self.turn(more)?;
            if self.is_over(stop) {
                return Ok(Ended::Stopped);
            }
        }
    }

    /// Waits for answers until the next pass may start.
    fn rest(&mut self, began: Instant, stop: &AtomicBool) -> Result<Ended, ScanError> {
        let until = began + crate::connect::passes::gap(self.pass, self.ledger.plan.pace);
        while Instant::now() < until {
            self.sleep_until(until);
            if self.is_over(stop) {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Done)
    }

    fn is_over(&self, stop: &AtomicBool) -> bool {
        let all_banned = self.banned > 0 && self.banned >= self.ledger.plan.hosts.len();
        all_banned || stop.load(Ordering::Relaxed) || self.ledger.is_late(Instant::now())
    }

    /// Reads what happened, and moves the window.
    fn turn(&mut self, more: bool) -> Result<(), ScanError> {
        self.read(self.pause(more))?;
        let now = Instant::now();
        self.watch_suspects(now);
        if more && self.pacer.wants_canary(now) {
            self.push_canary(now);
        }
        if let Some(per_second) = self.pacer.step(now) {
            self.ledger.notice(Notice::SlowedTo { per_second });
        }
        let pass = self.pass;
        self.ledger.progress(now, pass);
        self.ledger.keep(now, (pass, self.position()), false);
        Ok(())
    }

    /// Where a later part would go on: what is under way now was not answered yet.
    fn position(&self) -> u64 {
        self.cursor.saturating_sub((self.slots.asking() + self.again.len()) as u64)
    }

    /// Asks a known port again, of the host that answered last.
    fn push_canary(&mut self, now: Instant) {
        let Some(host) = self.latest else { return };
        if let Some((aim, port)) = self.peers.get_mut(&host).and_then(|peer| peer.sample(now)) {
            self.canaries.push_back((host, aim, port));
        }
    }

    fn sleep_until(&mut self, until: Instant) {
        let pause = until.saturating_duration_since(Instant::now()).min(SLEEP_MAX);
        std::thread::sleep(pause);
        let pass = self.pass;
        self.ledger.progress(Instant::now(), pass);
    }

    /// How long nothing has to be done but to listen.
    fn pause(&self, more: bool) -> Duration {
        let now = Instant::now();
        let mut until = now + SLEEP_MAX;
        if let Some(deadline) = self.slots.next_deadline() {
            until = until.min(deadline);
        }
        if more && self.has_room() {
            until = until.min(self.pacer.next().max(self.short_until));
        }
        for host in &self.suspects {
            if let Some(Standing::Suspect { next, .. }) = self.peers.get(host).map(|peer| peer.standing) {
                until = until.min(next);
            }
        }
        until.saturating_duration_since(now)
    }

    fn read(&mut self, pause: Duration) -> Result<(), ScanError> {
        // An idle scan that answers reach at once needs no waking.
        if self.slots.busy() == 0 && pause.is_zero() {
            return Ok(());
        }
        let mut wakes = std::mem::take(&mut self.wakes);
        self.slots.wait(pause, &mut wakes);
        for wake in &wakes {
            match *wake {
                Wake::Heard(index) => self.heard(index)?,
                Wake::Late(index) => self.late(index)?,
            }
        }
        self.wakes = wakes;
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.slots.busy() < self.pacer.sockets_max()
    }

    /// Sends as much as window and clock allow; false when nothing is left to send in this pass.
    fn fill(&mut self) -> Result<bool, ScanError> {
        for _ in 0..FILL_COUNT_MAX {
            let now = Instant::now();
            if !self.has_room() || self.pacer.next() > now || self.short_until > now {
                return Ok(true);
            }
            let Some(ask) = self.next(now) else {
                let paused = self.cursor < self.ledger.len();
                return Ok(paused);
            };
            self.send(ask)?;
        }
        Ok(true)
    }

    /// The next question: canaries first, then what is to be asked again, then the order.
    fn next(&mut self, now: Instant) -> Option<Ask> {
        let fresh = |aim, host, ip, port| Ask {
            aim,
            host,
            ip,
            port,
            sent: now,
            held_since: None,
            rtt: None,
            shut: false,
            sent_before: 0,
        };
        if let Some((host, aim, port)) = self.canaries.pop_front()
            && let Some(peer) = self.peers.get(&host)
        {
            return Some(fresh(aim, host, peer.ip, port));
        }
        for _ in 0..SKIP_COUNT_MAX {
            let aim = match self.again.pop_front() {
                Some(aim) => aim,
                None => {
                    let position = self.ledger.next_unsettled(self.cursor);
                    self.cursor = position.map_or(self.ledger.len(), |position| position + 1);
                    Aim::Pair(position?)
                }
            };
            let (Aim::Pair(position) | Aim::Recheck(position)) = aim else { continue };
            let Some((host, ip, port)) = self.ledger.pair(position) else { continue };
            match self.peers.get(&host).map(|peer| peer.standing) {
                None | Some(Standing::Free) => return Some(fresh(aim, host, ip, port)),
                Some(Standing::Suspect { .. }) if self.ledger.plan.hosts.len() == 1 => {
                    self.again.push_front(aim);
                    return None;
                }
                Some(Standing::Suspect { .. }) => self.skipped = true,
                Some(Standing::Banned) => {}
            }
        }
        None
    }

    fn send(&mut self, ask: Ask) -> Result<(), ScanError> {
        let ask = Ask { sent: Instant::now(), sent_before: self.ledger.asked, ..ask };
        let (index, step, at_once) = match self.slots.ask(ask) {
            Ok(asked) => asked,
            Err(error) => return self.short(ask.aim, error),
        };
        if at_once && let Step::Failed(errno) = step {
            return self.refused(index, errno);
        }
        self.ledger.asked += 1;
        self.trouble.went_out();
        self.pacer.sent(ask.sent);
        if matches!(ask.aim, Aim::Pair(_))
            && let Some(peer) = self.peers.get_mut(&ask.host)
            && let Some((aim, port)) = peer.asked(ask.sent)
        {
            self.canaries.push_back((ask.host, aim, port));
        }
        match step {
            Step::Pending => {
                let wait = self.wait(ask.host);
                self.watch(index, ask.sent + wait)
            }
            Step::Open => self.opened(index),
            Step::Failed(errno) => self.failed(index, errno, true),
        }
    }

    /// The system's own word: this question never left.
    fn refused(&mut self, index: u32, errno: i32) -> Result<(), ScanError> {
        let Some((ask, _, _)) = self.slots.get(index) else { return Ok(()) };
        let ask = *ask;
        self.slots.free(index, true);
        if Trouble::is_shortage(errno) {
            return self.short(ask.aim, io::Error::from_raw_os_error(errno));
        }
        if let Aim::Pair(position) = ask.aim {
            self.trouble.refused(position, ask.host, ask.ip, errno);
        }
        self.trouble.verdict_now(&self.ledger)
    }

    /// The machine has no descriptor, port or memory left: the question waits, and fewer are under way from now on.
    fn short(&mut self, aim: Aim, error: io::Error) -> Result<(), ScanError> {
        if !Trouble::is_shortage(error.raw_os_error().unwrap_or(0)) {
            return Err(ScanError::System { doing: "opening a socket".into(), source: error });
        }
        let busy = self.slots.busy();
        let before = self.pacer.sockets_max();
        let (now_max, is_less) = self.pacer.short(busy);
        if is_less && self.trouble.should_tell(Instant::now()) {
            self.ledger.notice(Notice::FellBack {
                from: format!("{before} connections at once"),
                to: format!("{now_max} connections at once"),
                reason: error.to_string(),
            });
        }
        if matches!(aim, Aim::Pair(_) | Aim::Recheck(_)) {
            self.again.push_back(aim);
        }
        self.short_until = Instant::now() + SHORT_SLEEP;
        if busy == 0 {
            return self.trouble.starved(error);
        }
        Ok(())
    }

    pub(crate) fn watch(&mut self, index: u32, deadline: Instant) -> Result<(), ScanError> {
        let watched = self.slots.watch(index, deadline);
        watched.map_err(|source| ScanError::System { doing: "watching a socket".into(), source })
    }

    /// How long an answer of a host may take.
    fn wait(&self, host: u64) -> Duration {
        match self.peers.get(&host) {
            Some(peer) => peer.wait(self.pass),
            None => crate::connect::passes::wait_unknown(self.rtt, self.pass),
        }
    }

    /// Asks the canaries of suspects whose time has come.
    fn watch_suspects(&mut self, now: Instant) {
        let mut suspects = std::mem::take(&mut self.suspects);
        suspects.truncate(SUSPECT_COUNT_MAX);
        suspects.retain(|host| {
            let Some(peer) = self.peers.get_mut(host) else { return false };
            let Standing::Suspect { since, silent, next } = peer.standing else { return false };
            if next <= now
                && let Some((aim, port)) = peer.canary(now)
            {
                // The next one only after this one's deadline, which then sets the time anew.
                let next = now + peer.wait(self.pass) + SLEEP_MAX;
                peer.standing = Standing::Suspect { since, silent, next };
                self.canaries.push_back((*host, aim, port));
            }
            true
        });
        self.suspects = suspects;
    }
}
