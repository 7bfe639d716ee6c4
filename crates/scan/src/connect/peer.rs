//! What is known of one host that answered: its round trip, its canaries, and whether it limits, bans or is a proxy.

use crate::connect::slots::Aim;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wait for an answer, whatever the round trip. The kernel repeats its SYN after a second, so a longer wait would hide
/// a loss.
const WAIT_MIN: Duration = Duration::from_millis(80);
pub(crate) const WAIT_MAX: Duration = Duration::from_millis(950);
/// On top of the estimate, for two busy machines.
const WAIT_MORE: Duration = Duration::from_millis(30);
/// Known ports kept to be asked again, open and closed.
const OPEN_CANARY_COUNT: usize = 32;
const CLOSED_CANARY_COUNT: usize = 8;
/// How often one open port is asked again at most, and how much more a second: a program that hangs accepts none of
/// it, and its queue is short.
const OPEN_CANARY_ASKED_MAX: u64 = 48;
const OPEN_CANARY_PER_SECOND: u64 = 8;
/// A port asked so often that its own queue may be full: its silence alone proves no ban.
const QUEUE_LENGTH_LEAST: u32 = 96;
/// Silences in a row after which a known port is none any more, where the host answers otherwise.
const CANARY_SILENT_MAX: u8 = 2;
/// Questions to a host between two canaries.
const CANARY_GAP: u32 = 64;
/// Silent canaries in a row that are a ban, and one more for each doubt.
const BAN_SILENT_COUNT: u32 = 3;
/// Between two canaries of a host under suspicion.
pub(crate) const SUSPICION_GAP: Duration = Duration::from_millis(60);
/// Canaries that were closed and are silent now, of those asked, that are a limit of resets.
const LIMITED_COUNT_MIN: u32 = 4;
const LIMITED_SHARE: f64 = 0.3;
/// A host whose resets are limited is still heard now and then.
const LIMITED_SILENCE_MAX: Duration = Duration::from_secs(1);
/// Open ports above which a host that has more open than closed is looked at as a proxy.
const SUSPECT_OPEN_MIN: u32 = 8;
/// Open ports above which a host that has nearly all open is no host of its own.
const EVERYTHING_OPEN_MIN: u32 = 64;
const EVERYTHING_SHARE: f64 = 0.9;
/// How long an open connection is watched for a reset: usual hosts, suspects, and windows of 0.
const HOLD_MIN: Duration = Duration::from_millis(10);
const HOLD_SUSPECT: Duration = Duration::from_millis(300);
const HOLD_CLOSED_WINDOW: Duration = Duration::from_millis(1_500);

/// Whether a host still answers this source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Free,
    /// A canary fell silent: nothing but canaries is asked, the next at `next`.
    Suspect {
        since: Instant,
        silent: u32,
        next: Instant,
    },
    Banned,
}

/// A port known to answer.
#[derive(Debug, Clone, Copy)]
struct Canary {
    port: u16,
    asked: u32,
    /// Silences in a row.
    silent: u8,
}

/// What an answer of a host can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Open,
    Closed,
    Rejected,
    /// A proxy opened, then reset.
    Proxied,
}

/// One host that answered at least once.
#[derive(Debug)]
pub(crate) struct Peer {
    pub ip: IpAddr,
    pub standing: Standing,
    pub limited: bool,
    /// What answers for it, once that is sure; and whether it was told.
    pub proxy: Option<&'static str>,
    pub proxy_told: bool,
    /// Positions told as open before the host was a suspect, to be looked at again when it is one.
    pub early: Vec<u64>,
    first: Instant,
    last: Instant,
    rtt: Duration,
    rtt_spread: Duration,
    /// Handshakes done, whatever came of them.
    opened: u32,
    open: u32,
    closed: u32,
    proxied: u32,
    asked: u32,
    since_canary: u32,
    open_canaries: Vec<Canary>,
    closed_canaries: Vec<Canary>,
    turn: usize,
    closed_asked: u32,
    closed_silent: u32,
    open_asked: u32,
    open_silent: u32,
}

impl Peer {
    pub fn new(ip: IpAddr, now: Instant) -> Self {
        Self {
            ip,
            standing: Standing::Free,
            limited: false,
            proxy: None,
            proxy_told: false,
            early: Vec::new(),
            first: now,
            last: now,
            rtt: Duration::ZERO,
            rtt_spread: Duration::ZERO,
            opened: 0,
            open: 0,
            closed: 0,
            proxied: 0,
            asked: 0,
            since_canary: 0,
            open_canaries: Vec::new(),
            closed_canaries: Vec::new(),
            turn: 0,
            closed_asked: 0,
            closed_silent: 0,
            open_asked: 0,
            open_silent: 0,
        }
    }

    /// Keeps an answer; `sent` is when it was asked for.
    pub fn answered(&mut self, aim: Aim, kind: Kind, port: u16, sent: Instant, rtt: Duration) {
        self.estimate(rtt);
        self.last = self.last.max(sent + rtt);
        if let Standing::Suspect { since, .. } = self.standing
            && sent >= since
        {
            self.standing = Standing::Free;
        }
        if !matches!(aim, Aim::Pair(_)) {
            if let Some(canary) = self.canary_of(aim, port) {
                canary.silent = 0;
            }
            self.closed_asked += u32::from(aim == Aim::ClosedCanary);
            self.open_asked += u32::from(aim == Aim::OpenCanary);
            return;
        }
        let (count, canaries, most) = match kind {
            Kind::Open => (&mut self.open, &mut self.open_canaries, OPEN_CANARY_COUNT),
            Kind::Closed => (&mut self.closed, &mut self.closed_canaries, CLOSED_CANARY_COUNT),
            Kind::Proxied => {
                self.proxied += 1;
                return;
            }
            Kind::Rejected => return,
        };
        *count += 1;
        if canaries.len() < most {
            canaries.push(Canary { port, asked: 0, silent: 0 });
        }
    }

    fn canary_of(&mut self, aim: Aim, port: u16) -> Option<&mut Canary> {
        let list = if aim == Aim::ClosedCanary { &mut self.closed_canaries } else { &mut self.open_canaries };
        list.iter_mut().find(|canary| canary.port == port)
    }

    /// Smooths round trips as RFC 6298 does.
    fn estimate(&mut self, rtt: Duration) {
        if self.rtt.is_zero() {
            (self.rtt, self.rtt_spread) = (rtt, rtt / 2);
            return;
        }
        let off = rtt.abs_diff(self.rtt);
        self.rtt_spread = (self.rtt_spread * 3 + off) / 4;
        self.rtt = (self.rtt * 7 + rtt) / 8;
    }

    /// How long an answer may take on this pass.
    pub fn wait(&self, pass: u32) -> Duration {
        let usual = (self.rtt * 2 + self.rtt_spread * 4 + WAIT_MORE).max(WAIT_MIN);
        (usual * pass.min(4)).min(WAIT_MAX)
    }

    /// A question to this host leaves; tells the canary that is due with it.
    pub fn asked(&mut self, now: Instant) -> Option<(Aim, u16)> {
        self.asked = self.asked.saturating_add(1);
        self.since_canary += 1;
        if self.since_canary < CANARY_GAP {
            return None;
        }
        self.since_canary = 0;
        self.canary(now)
    }

    /// The next known port to ask again: both kinds in turns, since each may be silent for a reason of its own.
    pub fn canary(&mut self, now: Instant) -> Option<(Aim, u16)> {
        self.turn = self.turn.wrapping_add(1);
        let closed_first = self.turn.is_multiple_of(2);
        self.pick(closed_first, now)
    }

    /// The same only to measure the way: a closed port costs the host least, unless it limits its resets.
    pub fn sample(&mut self, now: Instant) -> Option<(Aim, u16)> {
        self.turn = self.turn.wrapping_add(1);
        self.pick(!self.limited, now)
    }

    fn pick(&mut self, closed_first: bool, now: Instant) -> Option<(Aim, u16)> {
        let turn = self.turn / 2;
        let closed = pick(&mut self.closed_canaries, turn, u64::MAX).map(|port| (Aim::ClosedCanary, port));
        if closed_first && closed.is_some() {
            return closed;
        }
        let asked_max = OPEN_CANARY_ASKED_MAX + OPEN_CANARY_PER_SECOND * self.known_for(now).as_secs();
        let open = pick(&mut self.open_canaries, turn, asked_max);
        open.map(|port| (Aim::OpenCanary, port)).or(closed)
    }

    /// A canary fell silent. `lossy` ways need one more before it is a ban. Tells whether this is one.
    pub fn canary_silent(&mut self, aim: Aim, port: u16, sent: Instant, now: Instant, lossy: bool) -> bool {
        self.doubt(aim, port, sent);
        if aim == Aim::ClosedCanary {
            self.closed_asked += 1;
            self.closed_silent += 1;
            let hears = now.saturating_duration_since(self.last) < LIMITED_SILENCE_MAX;
            // Where open ports are known they speak first; what limits its resets may be silent for that.
            let may_count = match self.standing {
                Standing::Suspect { .. } => !self.limited || !hears,
                _ => self.open_canaries.is_empty() && (!self.limited || !hears),
            };
            if !may_count {
                return false;
            }
        }
        if aim == Aim::OpenCanary {
            self.open_asked += 1;
            self.open_silent += 1;
        }
        if self.open_canaries.is_empty() && self.closed_canaries.is_empty() {
            self.standing = Standing::Free;
            return false;
        }
        let silent = match self.standing {
            Standing::Banned => return false,
            Standing::Free => 1,
            // Only what was asked since the first silence counts, or one burst of losses would be a ban.
            Standing::Suspect { since, silent, .. } => silent + u32::from(sent >= since),
        };
        let enough = BAN_SILENT_COUNT + u32::from(lossy) + 2 * u32::from(self.open_canaries.is_empty());
        let since = match self.standing {
            Standing::Suspect { since, .. } => since,
            _ => now,
        };
        let is_ban = silent > enough;
        self.standing = match is_ban {
            true => Standing::Banned,
            false => Standing::Suspect { since, silent, next: now + SUSPICION_GAP },
        };
        is_ban
    }

    /// A known port that is silent again and again, while others answer, is no canary.
    fn doubt(&mut self, aim: Aim, port: u16, sent: Instant) {
        let heard_since = self.last > sent;
        let is_only = self.open_canaries.len() + self.closed_canaries.len() == 1;
        let Some(canary) = self.canary_of(aim, port) else { return };
        canary.silent = canary.silent.saturating_add(1);
        let may_be_full = is_only && canary.asked > QUEUE_LENGTH_LEAST;
        let is_alone_silent = canary.silent >= CANARY_SILENT_MAX && heard_since;
        if aim == Aim::OpenCanary && (may_be_full || is_alone_silent) {
            self.open_canaries.retain(|canary| canary.port != port);
        }
    }

    /// Whether its resets are limited: closed ports that answered do not any more, while the way is free.
    pub fn limits_resets(&self) -> bool {
        let share = |silent: u32, asked: u32| f64::from(silent) / f64::from(asked.max(1));
        // A full way loses both kinds alike.
        let more = share(self.closed_silent, self.closed_asked) - share(self.open_silent, self.open_asked);
        self.closed_silent >= LIMITED_COUNT_MIN && more > LIMITED_SHARE && self.standing == Standing::Free
    }

    /// Resets a second so far.
    pub fn resets_per_second(&self, now: Instant) -> u32 {
        let seconds = now.duration_since(self.first).as_secs_f64().max(0.05);
        (f64::from(self.closed) / seconds) as u32
    }

    /// Whether something else may be opening connections for this host.
    pub fn may_be_proxy(&self) -> bool {
        self.proxied > 0 || (self.opened >= SUSPECT_OPEN_MIN && self.opened > self.closed)
    }

    /// Whether nearly every port asked is open, so that none of it is the host's.
    pub fn opens_everything(&self) -> bool {
        self.open >= EVERYTHING_OPEN_MIN && f64::from(self.open) >= EVERYTHING_SHARE * f64::from(self.asked)
    }

    /// A handshake with it is done.
    pub fn opened(&mut self) {
        self.opened = self.opened.saturating_add(1);
    }

    pub fn ports_opened(&self) -> u32 {
        self.opened
    }

    /// Connections reset after the handshake, or never opened.
    pub fn proxied(&self) -> u32 {
        self.proxied
    }

    pub fn questions(&self) -> u64 {
        self.asked.into()
    }

    pub fn known_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.first)
    }

    /// How long an open connection is watched for a reset.
    pub fn hold(&self, window: Option<u32>) -> Duration {
        let usual = match (window, self.may_be_proxy()) {
            (Some(0), _) => HOLD_CLOSED_WINDOW,
            (_, true) => HOLD_SUSPECT,
            _ => HOLD_MIN,
        };
        usual + self.rtt * 2
    }
}

/// The port whose turn it is, of those not asked too often yet.
fn pick(list: &mut [Canary], turn: usize, asked_max: u64) -> Option<u16> {
    let length = list.len();
    let index = (0..length)
        .map(|step| (turn + step) % length)
        .find(|index| u64::from(list[*index].asked) < asked_max)?;
    list[index].asked = list[index].asked.saturating_add(1);
    Some(list[index].port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(now: Instant) -> Peer {
        Peer::new([10, 0, 0, 1].into(), now)
    }

    #[test]
    fn three_silent_canaries_in_a_row_are_a_ban_and_an_answer_clears_it() {
        let now = Instant::now();
        let mut host = peer(now);
        host.answered(Aim::Pair(0), Kind::Open, 22, now, Duration::from_millis(1));
        assert!(!host.canary_silent(Aim::OpenCanary, 22, now, now, false));
        host.answered(Aim::OpenCanary, Kind::Open, 22, now + SUSPICION_GAP, Duration::from_millis(1));
        assert_eq!(host.standing, Standing::Free);
        let told: Vec<bool> = (1..=4)
            .map(|i| {
                host.canary_silent(
                    Aim::OpenCanary,
                    22,
                    now + SUSPICION_GAP * i,
                    now + SUSPICION_GAP * i,
                    false,
                )
            })
            .collect();
        assert_eq!(told, [false, false, false, true]);
        assert_eq!(host.standing, Standing::Banned);
    }

    #[test]
    fn a_limit_of_resets_is_no_ban() {
        let now = Instant::now();
        let mut host = peer(now);
        host.answered(Aim::Pair(0), Kind::Open, 22, now, Duration::from_millis(1));
        host.answered(Aim::Pair(1), Kind::Closed, 23, now, Duration::from_millis(1));
        (0..5).for_each(|_| assert!(!host.canary_silent(Aim::ClosedCanary, 23, now, now, false)));
        assert!(host.limits_resets());
        assert_eq!(host.standing, Standing::Free);
    }

    #[test]
    fn an_open_port_whose_program_hangs_is_no_ban() {
        let now = Instant::now();
        let mut host = peer(now);
        host.answered(Aim::Pair(0), Kind::Open, 22, now, Duration::from_millis(1));
        host.answered(Aim::Pair(1), Kind::Closed, 23, now, Duration::from_millis(1));
        assert!(!host.canary_silent(Aim::OpenCanary, 22, now, now, false));
        assert!(matches!(host.standing, Standing::Suspect { .. }));
        let later = now + SUSPICION_GAP;
        host.answered(Aim::ClosedCanary, Kind::Closed, 23, later, Duration::from_millis(1));
        assert_eq!(host.standing, Standing::Free);
        assert!(!host.canary_silent(Aim::OpenCanary, 22, now, later, false));
        assert!(host.open_canaries.is_empty(), "a port that hangs proves nothing");
    }

    #[test]
    fn many_open_ports_make_a_suspect() {
        let now = Instant::now();
        let mut host = peer(now);
        for port in 1..=8 {
            host.asked(now);
            host.opened();
            host.answered(Aim::Pair(port.into()), Kind::Open, port, now, Duration::from_millis(1));
        }
        assert!(host.may_be_proxy());
        assert!(!host.opens_everything());
        assert!(host.hold(Some(65_535)) >= HOLD_SUSPECT);
        assert!(host.hold(Some(0)) >= HOLD_CLOSED_WINDOW);
    }

    #[test]
    fn the_wait_stays_below_the_kernels_own_retry() {
        let now = Instant::now();
        let mut host = peer(now);
        host.answered(Aim::Pair(0), Kind::Closed, 1, now, Duration::from_secs(3));
        assert_eq!(host.wait(1), WAIT_MAX);
        assert!(WAIT_MAX < Duration::from_secs(1));
    }
}
