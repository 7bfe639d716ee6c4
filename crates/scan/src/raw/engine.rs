//! One scan: sweeps over what is left, until the loss measured says that no more are needed.

use super::books::Books;
use super::canary::Canaries;
use super::clock::{Clock, MILLISECOND, Nanos, SECOND};
use super::control::{Change, Control};
use super::cookie::Key;
use super::link::Sent;
use super::log::SweepLog;
use super::pace::Pacer;
use super::passes::{Evidence, Tries};
use super::ring::Ring;
use super::source::{SourcePorts, TRY_PORT_COUNT};
use super::way::Ways;
use super::work::Work;
use crate::{Notice, Order, Pace, Plan, ScanError};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Gentle: questions a second to one host, below the limits of 100 a second that are common.
pub const GENTLE_PER_SECOND: f64 = 88.0;
/// Gentle: questions a second to all hosts together.
const GENTLE_PER_SECOND_MAX: f64 = 2_000.0;
/// Sweeps over ranges where packets were lost to a full path, at most.
const REPAIR_COUNT_MAX: u32 = 30;
/// Least time between the last question of a sweep and the first of the next.
const APART_NS: Nanos = 40 * MILLISECOND;
/// Least time between the first question of the first sweep and the last sweep.
const SPREAD_NS: Nanos = 100 * MILLISECOND;
/// Below this many packets a second, packets leave one by one.
const EVEN_PER_SECOND: f64 = 500.0;

/// Why asking ended before everything was known.
#[derive(Debug)]
pub enum Halt {
    /// Ctrl-C, or the time limit.
    Stopped,
    /// A ban that did not end in time.
    Banned,
    Failed(ScanError),
}

impl From<ScanError> for Halt {
    fn from(error: ScanError) -> Halt {
        Halt::Failed(error)
    }
}

/// What is known of one host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host {
    pub reset: u32,
    /// Ports whose handshake a proxy took back.
    pub taken_back: u32,
    /// SYN-ACKs in all.
    pub syn_acks: u32,
    /// ICMP errors.
    pub refused: u32,
    /// Handshakes are finished before a port counts as open.
    pub verify: bool,
    /// When that began, in milliseconds.
    pub verify_since_ms: u32,
    /// Ports whose handshake went on.
    pub confirmed: u32,
    /// Opens everything, and nothing is ever behind it.
    pub middlebox: bool,
}

impl Host {
    /// Answers of all kinds.
    pub fn answers(&self) -> u32 {
        self.syn_acks + self.reset + self.refused
    }
}

/// A SYN-ACK: told as open, or waiting for what follows the handshake.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    pub told: bool,
    /// Told once, and then looked at again.
    pub doubted: bool,
    pub window: u16,
    pub ttl: u8,
    pub lane: u8,
    /// Where the other side's numbers begin.
    pub sequence: u32,
    pub rtt_us: u32,
}

/// A segment owed to the other side.
#[derive(Debug, Clone, Copy)]
pub struct Reply {
    pub host: u32,
    pub port: u16,
    pub lane: u8,
    /// The number to acknowledge; without one the connection is reset.
    pub acknowledge: Option<u32>,
}

/// Everything one block of hosts needs.
pub struct Engine<'a> {
    pub plan: &'a Plan,
    pub stop: &'a AtomicBool,
    pub books: Books<'a>,
    pub order: Order,
    pub addresses: Vec<IpAddr>,
    pub hosts: Vec<Host>,
    pub ways: Ways,
    pub rings: Vec<Ring>,
    pub ports: SourcePorts,
    pub key: Key,
    pub clock: Clock,
    pub control: Control,
    pub pacer: Pacer,
    pub canaries: Canaries,
    pub work: Work,
    pub logs: Vec<SweepLog>,
    /// The pass each lane of tries belongs to.
    pub lane_pass: [u32; TRY_PORT_COUNT as usize],
    pub sweep: u32,
    /// Passes over everything that are done.
    pub passes: u32,
    pub replies: VecDeque<Reply>,
    pub opened: HashMap<u64, Opened>,
    pub open_tries: Tries,
    pub closed_tries: Tries,
    /// Packets of all kinds.
    pub sent: u64,
    pub asked: u64,
    pub heard: u64,
    pub refused: Sent,
    /// Questions this machine refused to send, by position, with the errno.
    pub unsent: HashMap<u64, i32>,
    pub last_asked_at: Nanos,
    pub canary_due: u32,
    pub pause_until: Nanos,
    /// What was asked while the path was full, to be asked again: positions.
    pub weak: Vec<(u64, u64)>,
    /// Hosts that never answered are asked only a few ports more.
    pub spare_silent: bool,
    pub repairs: u32,
    pub silences: u32,
    pub bans: u32,
    pub limited_told: bool,
    pub resets_since: (Nanos, u64),
}

/// The highest rate of a plan.
pub fn cap(plan: &Plan) -> Option<f64> {
    let cap = match plan.pace {
        Pace::Gentle => {
            let hosts = plan.hosts.len() as f64;
            Some((GENTLE_PER_SECOND * hosts).clamp(GENTLE_PER_SECOND, GENTLE_PER_SECOND_MAX))
        }
        Pace::Fast | Pace::Max => None,
        Pace::Rate(rate) => Some(rate.max(1) as f64),
    };
    let jitter = plan.jitter.filter(|pause| !pause.is_zero()).map(|pause| 1.0 / pause.as_secs_f64());
    match (cap, jitter) {
        (Some(cap), Some(jitter)) => Some(cap.min(jitter)),
        (cap, jitter) => cap.or(jitter),
    }
}

/// Whether packets leave one by one.
pub fn even(plan: &Plan) -> bool {
    cap(plan).is_some_and(|cap| cap < EVEN_PER_SECOND) || matches!(plan.pace, Pace::Gentle)
}

impl Engine<'_> {
    /// Asks until everything is known; what is then still unsettled is silent.
    pub fn run(&mut self) -> Result<(), Halt> {
        self.greet();
        let began = self.clock.now();
        let mut pass_seconds = 0.0;
        loop {
            let sweep_began = self.clock.now();
            let repairing = !self.sweep_over()?;
            if !repairing {
                self.passes += 1;
                pass_seconds = (self.clock.now() - sweep_began) as f64 / SECOND as f64;
            }
            self.wait_for_answers()?;
            if self.work.left() == 0 {
                return Ok(());
            }
            self.look_at_drops();
            if self.begin_repair() {
                continue;
            }
            self.check_life()?;
            if self.work.left() == 0 {
                return Ok(());
            }
            let wanted = self.evidence().wants_another(self.passes, pass_seconds);
            if !wanted && !self.few_are_left() {
                return Ok(());
            }
            let apart = (self.last_asked_at + APART_NS).max(began + SPREAD_NS);
            self.idle_until(apart)?;
            self.spare_silent = self.silent_hosts_are_silent();
            self.begin_sweep(vec![(0, self.work.len())], self.passes);
        }
    }

    pub(super) fn is_paced(&self) -> bool {
        matches!(self.plan.pace, Pace::Gentle | Pace::Rate(_))
    }

    /// What the loss is read from.
    pub fn evidence(&self) -> Evidence {
        use super::canary::Kind;
        let (open, echo) =
            (self.canaries.tally[Kind::Open as usize], self.canaries.tally[Kind::Echo as usize]);
        let mut canaries = open;
        if open.answered == 0 {
            canaries.answered += echo.answered;
            canaries.lost += echo.lost;
        }
        let closed_tries = if self.canaries.resets_limited { Tries::default() } else { self.closed_tries };
        Evidence { open_tries: self.open_tries, closed_tries, canaries, open: self.books.counts.open }
    }

    /// Whether so few are silent that asking them again costs nothing: bursts may lose the same ones twice.
    fn few_are_left(&self) -> bool {
        /// Passes over everything up to which few are asked again.
        const PASS_COUNT: u32 = 4;
        /// Answered pairs to one silent one.
        const ANSWERED_PER_SILENT: u64 = 10;
        let doubtful = self.opened.values().filter(|opened| !opened.told).count() as u64;
        let silent = self.work.left().saturating_sub(doubtful);
        let answered = self.work.len() - silent;
        self.passes < PASS_COUNT && silent > 0 && silent * ANSWERED_PER_SILENT < answered
    }

    /// Whether a host that answered none of many questions can be left at that.
    ///
    /// A host that answers `n` ports is missed altogether when all `n` answers are lost: with the loss measured and the
    /// hosts that did answer, so many hosts are expected to be missed.
    fn silent_hosts_are_silent(&self) -> bool {
        /// Ports a host was asked, at least.
        const PORT_COUNT_MIN: u32 = 32;
        /// Hosts expected to be missed, at most.
        const MISSED_HOSTS_MAX: f64 = 0.001;
        let loss = self.evidence().loss_to_assume();
        let whole = self.plan.shard.of <= 1 && self.plan.ports.len() >= PORT_COUNT_MIN;
        let alive = self.hosts.iter().map(Host::answers).filter(|answers| *answers > 0);
        let missed: f64 = alive.map(|answers| loss.powi(answers.min(1_000) as i32)).sum();
        whole && self.hosts.len() > 1 && missed <= MISSED_HOSTS_MAX && self.books.counts.open > 0
    }

    /// Whether a pair need not be asked again.
    pub fn is_spared(&self, host: u32, port: u32) -> bool {
        /// Ports, the commonest, that a silent host is asked again all the same: it may have come up since.
        const ASKED_AGAIN_COUNT: u32 = 4;
        self.spare_silent
            && port >= ASKED_AGAIN_COUNT
            && self.hosts.get(host as usize).is_some_and(|host| host.answers() == 0)
    }

    /// Walks the sweep to its end; true when it was over everything.
    fn sweep_over(&mut self) -> Result<bool, Halt> {
        let whole = self.work.is_whole_sweep();
        while self.step(true)? {}
        Ok(whole)
    }

    pub fn begin_sweep(&mut self, ranges: Vec<(u64, u64)>, pass: u32) {
        self.sweep += 1;
        let lane = self.lane();
        if let Some(log) = self.logs.get_mut(usize::from(lane)) {
            log.clear();
        }
        self.lane_pass[usize::from(lane)] = pass;
        self.work.begin(ranges);
    }

    /// The source port of this sweep's questions, by its number.
    pub fn lane(&self) -> u8 {
        (self.sweep % u32::from(TRY_PORT_COUNT)) as u8
    }

    /// Hears and sends once; false when there is nothing more to ask in this sweep. Waits where nothing may be sent yet.
    pub fn step(&mut self, asking: bool) -> Result<bool, Halt> {
        let now = self.clock.now();
        self.listen();
        self.expire_canaries(now);
        let change = self.control.tick(now);
        match change {
            Some(Change::Overflow { since, .. }) => self.remember_weak(since),
            Some(Change::Queue { per_second }) => {
                // What was lost while the rate still grew is no loss of the way.
                self.canaries.count_from(now + self.control.rtt.smoothed());
                if !self.is_paced() {
                    self.books.notice(Notice::SlowedTo { per_second: per_second as u64 });
                }
            }
            None => {}
        }
        self.keep_books(now)?;
        if asking && self.is_silent() {
            self.examine_silence()?;
        }
        let (sent, more) = self.speak(now, asking)?;
        if sent == 0 && (more || !asking) {
            self.wait(now);
        }
        Ok(more)
    }

    fn wait(&self, now: Nanos) {
        /// Longest wait while canaries and answers are awaited.
        const WAIT_NS_MAX: Nanos = 5 * MILLISECOND;
        let wait = self.pacer.wait(self.control.rate()).max(self.pause_until.saturating_sub(now));
        match &self.rings[..] {
            [ring] => ring.wait(wait.min(WAIT_NS_MAX)),
            // Two families: the second is looked at after a short while.
            [ring, ..] => ring.wait(wait.min(MILLISECOND)),
            [] => std::thread::sleep(std::time::Duration::from_nanos(wait.min(WAIT_NS_MAX))),
        }
    }

    fn keep_books(&mut self, now: Nanos) -> Result<(), Halt> {
        self.books.progress(now, self.asked, &self.work, self.passes + 1, self.control.rate());
        if self.books.is_due() {
            self.keep_checkpoint();
        }
        let late = self.plan.max_duration.is_some_and(|most| u128::from(now) >= most.as_nanos());
        if late || self.stop.load(Ordering::Relaxed) { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// Waits for the answers of the last questions.
    fn wait_for_answers(&mut self) -> Result<(), Halt> {
        loop {
            let over = self.last_asked_at + self.control.patience();
            if self.work.left() == 0 && self.replies.is_empty() || self.clock.now() >= over {
                return Ok(());
            }
            self.step(false)?;
        }
    }

    pub fn idle_until(&mut self, until: Nanos) -> Result<(), Halt> {
        while self.clock.now() < until && self.work.left() > 0 {
            self.step(false)?;
        }
        Ok(())
    }

    /// Remembers what was asked since a time, to ask it again.
    pub fn remember_weak(&mut self, since: Nanos) {
        let lane = usize::from(self.lane());
        let Some(first) = self.logs.get(lane).and_then(|log| log.first_since(since)) else { return };
        let end = self.work.position();
        match self.weak.last_mut() {
            Some(last) if last.1 >= first => last.1 = last.1.max(end),
            _ if first < end => self.weak.push((first, end)),
            _ => {}
        }
    }

    /// Begins a sweep over what was asked in vain; false when there is nothing of that kind.
    fn begin_repair(&mut self) -> bool {
        let ranges = std::mem::take(&mut self.weak);
        if ranges.is_empty() || self.repairs >= REPAIR_COUNT_MAX {
            return false;
        }
        self.repairs += 1;
        self.begin_sweep(ranges, self.passes);
        true
    }

    /// Answers the ring had no room for: what was asked lately is asked again.
    fn look_at_drops(&mut self) {
        let dropped: u64 = self.rings.iter().map(Ring::dropped).sum();
        if dropped > 0 {
            self.remember_weak(0);
            self.books.notice(Notice::RingDrops { dropped });
        }
    }
}
