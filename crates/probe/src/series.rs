//! Question "series": handshakes one after another, at once, held together, and from fixed source ports.
//!
//! What fails is told apart by its shape: scattered (loss), all after the first few (a rate limit), past a
//! number held open (a connection limit), or always the same source ports (one path of several).

mod held;
mod ports;
mod shape;

use crate::connect::attempt::{Attempt, Ended, Plan, finish, finish_by, start};
use crate::connect::{AttemptRecord, ConnectOutcome, Connected, record};
use crate::local::counters::Counters;
use crate::tap::{Seen, Tap, bad_checksums};
use netwhy_model::{Case, Evidence, Link, Stamp};
use shape::Shape;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

const COLLECTOR: &str = "tcp.series";
/// Handshakes one after another.
const SERIES_COUNT: usize = 20;
/// Further ones when exactly one failed, so that chance is not taken for a rule.
const SERIES_MORE_COUNT: usize = 40;
/// The next handshake does not wait for a silent one longer than so many round trips …
const STEP_RTT_COUNT: f64 = 5.0;
/// … within these bounds, in milliseconds.
const STEP_MS_MIN: f64 = 25.0;
const STEP_MS_MAX: f64 = 250.0;
/// After so many handshakes without any answer the rest follow in quick order.
const HOPELESS_COUNT: usize = 4;
const STEP_HOPELESS: Duration = Duration::from_millis(20);
/// A small server with a backlog of five must keep up, or we would accuse it of our own haste.
pub(super) const PACE: Duration = Duration::from_millis(1);
const PACE_ROW: Duration = Duration::from_millis(3);
/// What is still silent so long after the row's last SYN stays so in the record.
const ROW_END: Duration = Duration::from_millis(250);
/// A limit per second has filled up again after so long.
const PAUSE: Duration = Duration::from_millis(2_050);
/// Handshakes after the pause; one is enough to recover.
const PAUSE_COUNT: usize = 2;
/// Handshakes tried during the pause with a port that refuses; few enough not to feed a limit.
const GLANCE_COUNT: u32 = 5;

const SSH_PORT: u16 = 22;

/// Repeats the handshake in several ways. Under 0.3 s where all is well, some 5 s where handshakes fail now and then.
pub async fn series(case: &Case, address: SocketAddr, connected: &Connected) -> Vec<Evidence> {
    let run = Run {
        address,
        plan: Plan::new(&Arc::new(case.source.clone())),
        step: step(connected.rtt_ms),
        at: Stamp::from(SystemTime::now()),
        patient: case.expect.success_min.is_some() || case.expect.max_time_ms.is_some(),
        held_count: if speaks_ssh(case) { held::HELD_SSH_COUNT } else { held::HELD_COUNT },
    };
    let before = Counters::read();
    let mut tap = Tap::open(&[address.ip()]).ok();
    let mut facts = run.all(tap.as_mut()).await;
    let counted = Counters::read().since(&before).bad_checksums();
    facts.extend(run.checksums(tap.as_mut().map(Tap::drain), counted));
    facts
}

fn step(rtt_ms: Option<f64>) -> Duration {
    let ms = rtt_ms.map_or(STEP_MS_MAX, |rtt| (rtt * STEP_RTT_COUNT).clamp(STEP_MS_MIN, STEP_MS_MAX));
    Duration::from_micros((ms * 1e3) as u64)
}

/// What every part of the series needs.
pub(super) struct Run {
    pub address: SocketAddr,
    pub plan: Plan,
    /// Longest wait for one handshake of a row.
    pub step: Duration,
    pub at: Stamp,
    /// The user complains of something that comes and goes: held connections are watched longer.
    pub patient: bool,
    /// Connections opened at once.
    pub held_count: usize,
}

/// An SSH server turns away at random what is more than ten log-ins at once (MaxStartups 10:30:100).
fn speaks_ssh(case: &Case) -> bool {
    let banner = case.expect.banner.as_deref();
    case.target.port == SSH_PORT || banner.is_some_and(|banner| banner.starts_with("SSH-"))
}

impl Run {
    pub fn fact(&self, fact: &str, value: &str, link: Link, excerpt: impl Into<String>) -> Evidence {
        Evidence::seen(fact, value, link, self.at, COLLECTOR, excerpt)
    }

    fn is_ssh(&self) -> bool {
        self.held_count == held::HELD_SSH_COUNT
    }

    async fn all(&self, mut tap: Option<&mut Tap>) -> Vec<Evidence> {
        let mut attempts = self.row(SERIES_COUNT).await;
        if attempts.iter().filter(|a| !well(a)).count() == 1 {
            attempts.extend(self.row(SERIES_MORE_COUNT).await);
        }
        let seen = tap.as_deref_mut().map(Tap::drain);
        // What this host itself could not send says nothing of the way.
        attempts.retain(|a| !matches!(a.ended, Ended::Local(_)));
        let records: Vec<AttemptRecord> = attempts.iter().map(|a| record::record(a, seen)).collect();
        if records.len() < SERIES_COUNT / 2 {
            return Vec::new();
        }
        let shape = Shape::of(&records);
        let row = |shape: Shape| {
            shape.value().map(|value| self.fact("tcp.series", value, Link::Socket, shape.text(&records)))
        };
        let mut facts = Vec::new();
        match shape {
            Shape::AllOk | Shape::Unsure => {
                facts.extend(row(shape));
                facts.extend(held::held(self, tap).await.facts);
            }
            Shape::NoneOk => {
                facts.extend(row(shape));
                let refused = records.iter().all(|r| r.outcome == ConnectOutcome::Refused);
                facts.push(self.after_pause(refused).await);
            }
            Shape::FirstThenNone | Shape::Scattered | Shape::SomeRefused => {
                let failing: Vec<u16> =
                    attempts.iter().filter(|a| !well(a)).filter_map(|a| a.local.map(|l| l.port())).collect();
                let by_port = ports::ports(self, &failing).await;
                let decides = by_port.as_ref().is_some_and(|fact| fact.value == "decides");
                facts.extend(by_port);
                if decides {
                    facts.extend(row(if shape == Shape::FirstThenNone { Shape::Scattered } else { shape }));
                } else {
                    facts.extend(self.rested(shape, &records, &row, tap).await);
                }
            }
        }
        facts
    }

    /// A burst after a pause: a limit lets its first ones pass again, loss takes them here and there.
    async fn rested(
        &self,
        shape: Shape,
        records: &[AttemptRecord],
        row: &(impl Fn(Shape) -> Option<Evidence> + Sync),
        tap: Option<&mut Tap>,
    ) -> Vec<Evidence> {
        tokio::time::sleep(PAUSE).await;
        let held = held::held(self, tap).await;
        let mut facts = held.facts;
        if held.capped {
            // The row met the limit through connections the server had not yet let go.
            return facts;
        }
        facts.extend(row(if held.first_ones { Shape::FirstThenNone } else { shape }));
        if shape::tail_fails(records) {
            let value = if held.starts_well { "recovers" } else { "still_fails" };
            let text = format!(
                "the row ended in failures; after {} ms without a SYN: {}",
                PAUSE.as_millis(),
                held.row
            );
            facts.push(self.fact("tcp.after_pause", value, Link::Socket, text));
        }
        facts
    }

    /// Handshakes one after another; a silent one goes on in the background while the next begins.
    async fn row(&self, count: usize) -> Vec<Attempt> {
        let (mover, deadline) = watch::channel(Instant::now() + self.step * (count as u32 + 1) + ROW_END);
        let mut tasks: JoinSet<(usize, Attempt)> = JoinSet::new();
        let mut done = Vec::new();
        for index in 0..count {
            match start(&self.plan, self.address) {
                Ok(started) => {
                    let deadline = deadline.clone();
                    tasks.spawn(async move {
                        let mut one = finish_by(started, deadline).await;
                        one.close();
                        (index, one)
                    });
                }
                Err(failed) => done.push((index, *failed)),
            }
            // Nothing came so far: waiting longer for each one teaches nothing.
            let hopeless = index >= HOPELESS_COUNT && done.is_empty();
            tokio::time::sleep(PACE_ROW).await;
            let until = Instant::now() + if hopeless { STEP_HOPELESS } else { self.step };
            while let Ok(Some(Ok((at, one)))) = tokio::time::timeout_at(until, tasks.join_next()).await {
                let is_this = at == index;
                done.push((at, one));
                if is_this {
                    break;
                }
            }
        }
        let _ = mover.send(Instant::now() + ROW_END.max(self.step));
        while let Some(ended) = tasks.join_next().await {
            done.extend(ended);
        }
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, one)| one).collect()
    }

    /// Many handshakes at once, held open.
    pub async fn burst(&self, count: usize, wait: Duration) -> Vec<Attempt> {
        let mut tasks = JoinSet::new();
        let mut attempts = Vec::new();
        for _ in 0..count {
            tokio::time::sleep(PACE).await;
            match start(&self.plan, self.address) {
                Ok(started) => drop(tasks.spawn(finish(started, wait))),
                Err(failed) => attempts.push(*failed),
            }
        }
        while let Some(done) = tasks.join_next().await {
            attempts.extend(done);
        }
        attempts.sort_by_key(|a| a.started_ns);
        attempts
    }

    /// After a silence; a port that refuses is glanced at meanwhile, since what crashes and is restarted over and
    /// over may be up at any moment.
    async fn after_pause(&self, refused: bool) -> Evidence {
        let wait = self.step.max(Duration::from_millis(300));
        let begun = tokio::time::Instant::now();
        let glances = if refused { GLANCE_COUNT } else { 0 };
        for _ in 0..glances {
            tokio::time::sleep(PAUSE / (GLANCE_COUNT + 1)).await;
            if self.burst(1, wait).await.iter().any(Attempt::is_open) {
                let text =
                    format!("a handshake passes {} ms after refusals only", begun.elapsed().as_millis());
                return self.fact("tcp.after_pause", "recovers", Link::Socket, text);
            }
        }
        tokio::time::sleep_until(begun + PAUSE).await;
        let attempts = self.burst(PAUSE_COUNT, wait).await;
        let open = attempts.iter().filter(|a| a.is_open()).count();
        let value = if open > 0 { "recovers" } else { "still_fails" };
        let text = format!(
            "after {} ms with {glances} SYNs, {open} of {PAUSE_COUNT} handshakes pass",
            PAUSE.as_millis()
        );
        self.fact("tcp.after_pause", value, Link::Socket, text)
    }

    fn checksums(&self, seen: Option<&[Seen]>, counted: u64) -> Option<Evidence> {
        let (value, text) = bad_checksums(seen, &[self.address.ip()], counted)?;
        Some(self.fact("source.bad_checksums", value, Link::Path, text))
    }
}

/// Opened by its first SYN.
fn well(attempt: &Attempt) -> bool {
    attempt.is_open() && attempt.retries() == 0
}

/// True when a record's first SYN was answered with a SYN-ACK.
pub(super) fn record_well(record: &AttemptRecord) -> bool {
    record.outcome == ConnectOutcome::Open && record.retries == 0
}
