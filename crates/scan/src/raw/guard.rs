//! What silence means: a full path, a limit of the target's resets, or a ban.

use super::canary::Kind;
use super::clock::{MILLISECOND, Nanos, SECOND};
use super::engine::{Engine, GENTLE_PER_SECOND, Halt};
use super::pace::Pacer;
use crate::{Notice, Pace};
use std::time::Duration;

/// Open ports lost one after another that make the silence suspicious.
const SILENT_CANARY_COUNT: u32 = 6;
/// The same at a gentle pace, where hardly anything is lost to a full path.
const SILENT_CANARY_COUNT_GENTLE: u32 = 3;
/// Bans sat out before the scan gives up.
const BAN_COUNT_MAX: u32 = 3;
/// Between canaries while a silence is examined.
const EXAMINE_GAP_NS: Nanos = 20 * MILLISECOND;
/// Longest examination of a silence; a round trip more where that is longer.
const EXAMINE_NS: Nanos = 400 * MILLISECOND;
/// First wait for a ban to end; each later one is twice as long.
const UNBAN_WAIT_NS: Nanos = SECOND;
/// How long a ban is waited for where the plan has no time limit.
const UNBAN_NS_MAX: Nanos = 30 * SECOND;
/// Closed ports asked again at once to see whether resets are limited.
const RESET_BURST_COUNT: usize = 24;

impl Engine<'_> {
    /// Counts canaries whose time is over.
    pub fn expire_canaries(&mut self, now: Nanos) {
        let patience = self.control.patience();
        while let Some(flight) = self.canaries.over(now, patience) {
            self.control.canary(flight.sent_at, false);
        }
    }

    /// Whether canaries are silent one after another.
    pub fn is_silent(&self) -> bool {
        let tcp = self.canaries.has(Kind::Open) || self.canaries.has(Kind::Reset);
        let gentle = super::engine::even(self.plan);
        let enough = if gentle { SILENT_CANARY_COUNT_GENTLE } else { SILENT_CANARY_COUNT };
        tcp && self.canaries.lost_in_row >= enough
    }

    /// Asks known ports slowly: a full path or a limit lets them answer, a ban does not.
    pub fn examine_silence(&mut self) -> Result<(), Halt> {
        let began = self.clock.now();
        let since = self.canaries.lost_since;
        let tcp = self.answers_slowly(began)?;
        self.canaries.lost_in_row = 0;
        if !tcp {
            return self.banned(since);
        }
        self.silences += 1;
        let open = self.canaries.has(Kind::Open);
        if !open && self.silences > 1 {
            // Closed ports answer slowly and not quickly, again: it is their limit.
            self.canaries.resets_limited = true;
            return Ok(());
        }
        self.remember_weak(since);
        let now = self.clock.now();
        self.control.slow_to(now, self.control.rate() / 4.0);
        Ok(())
    }

    /// Whether any known TCP port answers while nothing else is asked.
    fn answers_slowly(&mut self, began: Nanos) -> Result<bool, Halt> {
        let open = self.canaries.has(Kind::Open);
        let kind = if open { Kind::Open } else { Kind::Reset };
        let before = self.canaries.tally[kind as usize].answered;
        let limited = std::mem::replace(&mut self.canaries.resets_limited, false);
        let patience = self.control.patience();
        let until = began + EXAMINE_NS.max(patience * 2);
        let gap = match self.plan.pace {
            Pace::Rate(rate) => EXAMINE_GAP_NS.max(1_000_000_000 / rate.max(1)),
            _ => EXAMINE_GAP_NS,
        };
        let mut next = began;
        let mut heard = false;
        while self.clock.now() < until + patience {
            let now = self.clock.now();
            if now >= next && now < until {
                self.send_canary(now, |other| other == kind);
                next = now + gap;
            }
            self.step(false)?;
            heard = self.canaries.tally[kind as usize].answered > before;
            if heard {
                break;
            }
        }
        self.canaries.resets_limited = limited;
        Ok(heard)
    }

    /// Names the ban, and waits for its end within the limits.
    fn banned(&mut self, since: Nanos) -> Result<(), Halt> {
        let Some(host) = self.canaries.any_host().and_then(|host| self.addresses.get(host as usize).copied())
        else {
            return Ok(());
        };
        let noticed = self.clock.now();
        // What a ban swallows is no loss of the way.
        self.canaries.count_from(Nanos::MAX);
        let after_ms = since / MILLISECOND;
        self.books.notice(Notice::Banned { host, after_questions: self.asked, after_ms });
        let limit = self.plan.max_duration.map_or(noticed + UNBAN_NS_MAX, |most| most.as_nanos() as Nanos);
        self.bans += 1;
        let mut wait = UNBAN_WAIT_NS;
        while self.bans <= BAN_COUNT_MAX && self.clock.now() + wait < limit {
            let until = self.clock.now() + wait;
            while self.clock.now() < until {
                self.step(false)?;
            }
            let began = self.clock.now();
            if self.answers_once(began)? {
                let after_ms = (self.clock.now() - noticed) / MILLISECOND;
                self.books.notice(Notice::Unbanned { host, after_ms });
                self.go_on_gently();
                return Ok(());
            }
            wait *= 2;
        }
        Err(Halt::Banned)
    }

    /// One question to a known port, and its answer.
    fn answers_once(&mut self, began: Nanos) -> Result<bool, Halt> {
        let kind = if self.canaries.has(Kind::Open) { Kind::Open } else { Kind::Reset };
        let before = self.canaries.tally[kind as usize].answered;
        self.send_canary(began, |other| other == kind);
        let patience = self.control.patience();
        while self.clock.now() < began + patience {
            self.step(false)?;
            if self.canaries.tally[kind as usize].answered > before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// After a ban everything still unknown is asked again, slowly.
    fn go_on_gently(&mut self) {
        let now = self.clock.now();
        self.control.cap_at(now, GENTLE_PER_SECOND / 2.0);
        self.pacer = Pacer::new(now, true);
        self.canaries.lost_in_row = 0;
        self.canaries.count_from(now);
        self.weak.clear();
        self.passes = 0;
        self.begin_sweep(vec![(0, self.work.len())], 0);
    }

    /// After a sweep: known ports must still answer, else its silence says nothing. Sees limited resets as well.
    pub fn check_life(&mut self) -> Result<(), Halt> {
        if !self.canaries.has(Kind::Open) && !self.canaries.has(Kind::Reset) {
            return Ok(());
        }
        let tally = |engine: &Self, kind: Kind| engine.canaries.tally[kind as usize].answered;
        let open = tally(self, Kind::Open);
        let reset = tally(self, Kind::Reset);
        let limited = std::mem::replace(&mut self.canaries.resets_limited, false);
        let now = self.clock.now();
        let mut asked = 0;
        // A bounded rate bounds these too: a burst would trip what the pace was chosen for.
        let (resets, opens) = if self.is_paced() { (1, 1) } else { (RESET_BURST_COUNT, 3) };
        for _ in 0..resets {
            asked += usize::from(self.send_canary(now, |kind| kind == Kind::Reset));
        }
        for _ in 0..opens {
            self.send_canary(now, |kind| kind == Kind::Open);
        }
        let until = now + self.control.patience();
        let enough = |engine: &Self| {
            tally(engine, Kind::Reset) - reset >= asked as u64 && tally(engine, Kind::Open) > open
        };
        // Losses among resets are judged here, not by the row of silent canaries.
        while self.clock.now() < until && !enough(self) {
            self.step(false)?;
        }
        let answered = (tally(self, Kind::Reset) - reset) as usize;
        let alive = tally(self, Kind::Open) > open;
        self.canaries.resets_limited = limited;
        if !alive && answered == 0 {
            return self.examine_silence();
        }
        self.canaries.lost_in_row = 0;
        if alive && asked >= RESET_BURST_COUNT / 2 && answered * 10 < asked * 6 {
            self.resets_are_limited();
        }
        Ok(())
    }

    fn resets_are_limited(&mut self) {
        self.canaries.resets_limited = true;
        if std::mem::replace(&mut self.limited_told, true) {
            return;
        }
        let host = self.canaries.any_host().and_then(|host| self.addresses.get(host as usize).copied());
        let Some(host) = host else { return };
        let (since, count) = self.resets_since;
        let time = Duration::from_nanos(self.clock.now().saturating_sub(since)).as_secs_f64();
        let per_second = (count as f64 / time.max(0.001)).round() as u32;
        self.books.notice(Notice::AnswersLimited { host, per_second });
        if self.plan.pace == Pace::Gentle {
            let now = self.clock.now();
            self.control.cap_at(now, self.control.rate() / 2.0);
        }
    }
}
