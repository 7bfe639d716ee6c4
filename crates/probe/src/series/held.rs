//! Many connections at once, held open together, then some of them let go.

use super::Run;
use super::shape::is_limit;
use crate::connect::attempt::{Attempt, Ended};
use crate::connect::record;
use crate::tap::Tap;
use netwhy_model::{Evidence, Link};
use std::time::Duration;

/// Connections opened at once: past the usual small limits, below what a healthy server minds.
pub(super) const HELD_COUNT: usize = 32;
/// The same where the service itself drops some log-ins from ten at once on.
pub(super) const HELD_SSH_COUNT: usize = 8;
/// An SSH server has noticed within this that a client is gone.
const SSH_REST: Duration = Duration::from_millis(250);
/// Tries while all are held, and after half were let go.
const TRY_COUNT: usize = 3;
/// A SYN and its retry.
const WAIT: Duration = Duration::from_millis(1_350);
/// A server's SYN-ACK comes again one second after our ACK when its accept queue had no room.
const REPEAT: Duration = Duration::from_millis(1_150);
/// A server that turns a connection away does it at once.
const TURNED_AWAY: Duration = Duration::from_millis(30);
/// The same on a busy server.
const TURNED_AWAY_BUSY: Duration = Duration::from_millis(200);
/// SYNs at the head of a burst that tell whether a limit has filled up again.
const START_COUNT: usize = 4;
/// A handshake this slow waited for a SYN retry, in milliseconds.
const LATE_MS: f64 = 900.0;
/// Fewer late handshakes of a burst may be chance.
const LATE_COUNT_MIN: usize = 3;

/// What holding many connections showed.
pub(super) struct Held {
    pub facts: Vec<Evidence>,
    /// Past a number held open, further ones fail.
    pub capped: bool,
    /// The first SYNs passed, nearly all later ones did not.
    pub first_ones: bool,
    /// Most of the first few SYNs passed.
    pub starts_well: bool,
    /// The burst as letters, in the order of the SYNs.
    pub row: String,
}

/// Opens connections at once, holds them, and sees whether the number held decides.
pub(super) async fn held(run: &Run, tap: Option<&mut Tap>) -> Held {
    if run.is_ssh() {
        // Its children of the row just closed must be gone, or they count.
        tokio::time::sleep(SSH_REST).await;
    }
    let mut attempts = run.burst(run.held_count, WAIT).await;
    // What this host itself could not send, as for want of ports, says nothing of the server.
    attempts.retain(|a| !matches!(a.ended, Ended::Local(_)));
    tokio::time::sleep(TURNED_AWAY.max(run.step)).await;
    let mut count = Count::of(&attempts);
    if count.turned_away > 0 {
        // A busy server turns the last ones away a little later.
        tokio::time::sleep(TURNED_AWAY_BUSY).await;
        count = Count::of(&attempts);
    } else if run.patient && count.open == attempts.len() {
        tokio::time::sleep(REPEAT).await;
        count = Count::of(&attempts);
    }
    let well: Vec<bool> = attempts.iter().map(|a| is_kept(a) && a.retries() == 0).collect();
    let mut held = Held {
        facts: Vec::new(),
        capped: false,
        // A backlog that overflows lets the same SYNs in one second later, a limit most of them not.
        first_ones: is_limit(&well) && count.failed() >= count.late,
        starts_well: well.iter().take(START_COUNT).filter(|w| **w).count() * 2 >= START_COUNT,
        row: well.iter().map(|w| if *w { '.' } else { 'x' }).collect(),
    };
    let text = format!("{}; {}", count.text(), held.row);
    // An SSH server turns log-ins away by chance when there are many; its greeting tells when it always does.
    if let Some(value) = count.value().filter(|value| !run.is_ssh() || *value != "some_reset") {
        held.facts.push(run.fact("tcp.parallel", value, Link::Socket, text.as_str()));
    }
    if count.failed() == 0 {
        held.facts.push(run.fact("tcp.held", "all_ok", Link::Socket, text));
    } else if count.open > 0 {
        let capped = capped(run, &mut attempts, &text).await;
        held.capped = capped.as_ref().is_some_and(|fact| fact.value == "capped");
        held.facts.extend(capped);
    }
    if let Some(seen) = tap.map(Tap::drain) {
        let again = attempts.iter().filter(|a| record::record(a, Some(seen)).syn_ack_again).count();
        // Loss of our ACKs makes a few SYN-ACKs come again; a full accept queue many.
        if again * 3 >= count.open.max(1) && again > 1 {
            let text = format!("{again} of {} connections: SYN-ACK again after our ACK", attempts.len());
            held.facts.push(run.fact("tcp.synack_again", "yes", Link::Socket, text));
        }
    }
    held
}

/// Whether further connections fail while these are held, and pass once half are let go.
async fn capped(run: &Run, attempts: &mut [Attempt], text: &str) -> Option<Evidence> {
    let wait = run.step.max(Duration::from_millis(250));
    let while_held = kept_of(run, wait).await;
    if while_held > 0 {
        return Some(run.fact(
            "tcp.held",
            "all_ok",
            Link::Socket,
            format!("{text}; {while_held} of {TRY_COUNT} more pass"),
        ));
    }
    // Whether it was only time they needed, as past a limit per second.
    let settle = run.step + Duration::from_millis(150);
    tokio::time::sleep(settle).await;
    if kept_of(run, wait).await > 0 {
        return None;
    }
    let kept: Vec<usize> =
        attempts.iter().enumerate().filter(|(_, a)| is_kept(a)).map(|(index, _)| index).collect();
    let release = kept.len().div_ceil(2).max(TRY_COUNT.min(kept.len()));
    for index in kept.iter().take(release) {
        if let Some(one) = attempts.get_mut(*index) {
            one.close();
        }
    }
    // The server sees the FINs and closes its side before its count goes down.
    tokio::time::sleep(settle).await;
    let after = kept_of(run, wait).await;
    let text = format!(
        "{text}; 0 of {TRY_COUNT} more while held, {after} of {TRY_COUNT} after {release} were let go"
    );
    (after * 2 > release.min(TRY_COUNT)).then(|| run.fact("tcp.held", "capped", Link::Socket, text))
}

/// How many of a few fresh connections open and stay.
async fn kept_of(run: &Run, wait: Duration) -> usize {
    let attempts = run.burst(TRY_COUNT, wait).await;
    tokio::time::sleep(TURNED_AWAY).await;
    attempts.iter().filter(|a| is_kept(a)).count()
}

fn is_kept(attempt: &Attempt) -> bool {
    attempt.is_open() && !is_turned_away(attempt)
}

/// The server closed or reset it without having been asked for anything.
fn is_turned_away(attempt: &Attempt) -> bool {
    let Some(socket) = attempt.socket.as_ref().map(|s| s.get_ref()) else { return false };
    let mut bytes = [std::mem::MaybeUninit::uninit(); 512];
    for _ in 0..4 {
        // Looking does not take: a greeting stays for the next look.
        match socket.recv_with_flags(&mut bytes, libc::MSG_DONTWAIT) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.raw_os_error() == Some(libc::ECONNRESET),
        }
    }
    false
}

#[derive(Debug, Default)]
struct Count {
    open: usize,
    late: usize,
    silent: usize,
    refused: usize,
    turned_away: usize,
}

impl Count {
    fn of(attempts: &[Attempt]) -> Count {
        let mut count = Count::default();
        for one in attempts {
            match one.ended {
                Ended::Open if is_turned_away(one) => count.turned_away += 1,
                Ended::Open => {
                    count.open += 1;
                    count.late += usize::from(one.elapsed_ms() >= LATE_MS || one.retries() > 0);
                }
                Ended::Refused | Ended::Rejected(_) => count.refused += 1,
                Ended::Silent => count.silent += 1,
                Ended::Local(_) => {}
            }
        }
        count
    }

    fn failed(&self) -> usize {
        self.silent + self.refused + self.turned_away
    }

    /// One lost handshake of many is no finding.
    fn value(&self) -> Option<&'static str> {
        let most = self.silent.max(self.refused).max(self.turned_away);
        match () {
            () if self.open == 0 && self.turned_away == 0 && self.failed() > 0 => Some("none_ok"),
            () if most == 1 => None,
            () if most > 0 && most == self.refused => Some("some_refused"),
            () if most > 0 && most == self.turned_away => {
                // Whatever is turned away every time is no matter of number.
                (self.open > 0).then_some("some_reset")
            }
            // Loss costs a retry more often than the connection; a limit the other way round.
            () if most > 0 && self.silent >= self.late => Some("some_silent"),
            () if self.late >= LATE_COUNT_MIN => Some("some_late"),
            () if self.late > 0 => None,
            () if self.open > 0 => Some("all_ok"),
            () => None,
        }
    }

    fn text(&self) -> String {
        format!(
            "{} at once: {} open and held, {} of them after a SYN retry, {} silent, {} refused, {} turned away",
            self.open + self.failed(),
            self.open,
            self.late,
            self.silent,
            self.refused,
            self.turned_away
        )
    }
}
