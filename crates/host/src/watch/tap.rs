//! The tap of a watch: the ring, what is kept of it, and how much is taken when the host is busy.
//!
//! A port with many thousand connections a second would cost a core. The source's packets are told from those
//! of others by their address, so that a busy host still shows a quiet source's flows whole. Of others then
//! only one flow in so many is taken. As long as nothing came from the source's address, it may come from
//! another one, through a NAT: then rather every handshake and reset is taken, and nothing else.

use super::filter::{Pace, Selection, program};
use super::keep::Keeper;
use super::packet;
use super::ring::Ring;
use super::{OTHERS_UNREAD, SOURCE_UNREAD};
use netwhy_model::host::{Unread, WatchSpec};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Packets taken at once; the rest waits in the ring.
const DRAIN_COUNT_MAX: usize = 4_096;
/// Packets a second taken whole, of the source's and of all others each.
const WHOLE_PER_S_MAX: u64 = 8_000;
/// Handshakes and resets a second.
const CONTROL_PER_S_MAX: u64 = 64_000;
const WINDOW: Duration = Duration::from_millis(100);
/// After a change the ring still holds what the old filter let in.
const SETTLES_IN: Duration = Duration::from_millis(60);
/// Where others go from handshakes to whole flows, one in so many is taken at first, as a power of two.
const SHARE_LOG2_FIRST: u8 = 4;
/// One flow in 256 at least.
const SHARE_LOG2_MAX: u8 = 8;
/// How long a quieter time must last before more is taken; doubled each time that was too much.
const LOOSEN_AFTER: Duration = Duration::from_secs(2);
const LOOSEN_AFTER_MAX: Duration = Duration::from_secs(64);
/// What the pace may fall to, before it is called quieter: one eighth.
const QUIET_SHARE: u64 = 8;

/// The open tap.
#[derive(Debug)]
pub(super) struct Tap {
    ring: Ring,
    keeper: Keeper,
    selection: Selection,
    ours: Governor,
    others: Governor,
    window_began: Instant,
    settled_at: Instant,
}

impl Tap {
    /// Opens the tap in the calling thread's network namespace.
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW.
    pub(super) fn open(spec: &WatchSpec, own: BTreeSet<IpAddr>, forwards: bool) -> io::Result<Tap> {
        let far = far_end(spec, &own);
        let selection = selection(spec, &own, &far, forwards);
        let now = Instant::now();
        let (ours, others) = (Governor::new(now), Governor::new(now));
        let ring = Ring::open(&program(&selection, ours.pace, others.pace))?;
        let mut keeper = Keeper::new(spec);
        keeper.place(own, far, forwards);
        Ok(Tap { ring, keeper, selection, ours, others, window_began: now, settled_at: now })
    }

    /// Takes what waits; returns how many packets that were.
    pub(super) fn drain(&mut self) -> usize {
        let (keeper, mut ours, mut others) = (&mut self.keeper, 0, 0);
        let count = self.ring.take(DRAIN_COUNT_MAX, |frame| {
            let is_ours = packet::read(frame).is_some_and(|seen| keeper.take(seen));
            *(if is_ours { &mut ours } else { &mut others }) += 1;
        });
        self.ours.count += ours;
        self.others.count += others;
        if count > 0 {
            self.govern();
        }
        if self.selection.also.len() != self.keeper.ports().len() {
            self.selection.also = self.keeper.ports().iter().copied().collect();
            self.refilter();
        }
        count
    }

    /// What is kept so far.
    pub(super) fn kept(&mut self) -> &mut Keeper {
        let dropped = self.ring.dropped();
        self.keeper.lose(dropped);
        &mut self.keeper
    }

    /// The descriptor to wait on.
    pub(super) fn descriptor(&self) -> i32 {
        self.ring.descriptor()
    }

    /// What the pace left out, in words.
    pub(super) fn left_out(&self) -> Vec<Unread> {
        let governors = [(SOURCE_UNREAD, &self.ours), (OTHERS_UNREAD, &self.others)];
        let mut left: Vec<Unread> =
            governors.into_iter().filter_map(|(whose, governor)| governor.left_out(whose)).collect();
        let let_go = self.keeper.let_go();
        if let_go > 0 {
            let why = format!("{let_go} were let go to make room for the source's");
            left.push(Unread { what: OTHERS_UNREAD.to_owned(), why, root_helps: false });
        }
        left
    }

    fn govern(&mut self) {
        let now = Instant::now();
        if now < self.settled_at {
            (self.ours.count, self.others.count, self.window_began) = (0, 0, now);
            return;
        }
        let elapsed = now.saturating_duration_since(self.window_began);
        if elapsed < WINDOW && !self.ours.bursts() && !self.others.bursts() {
            return;
        }
        let told_apart = self.ours.count > 0 && self.others.tell_apart();
        let changed = [told_apart, self.ours.judge(elapsed, now), self.others.judge(elapsed, now)];
        self.window_began = now;
        if changed.contains(&true) {
            self.settled_at = now + SETTLES_IN;
            self.refilter();
        }
    }

    fn refilter(&self) {
        // The old filter stays where the new one is refused.
        let _ = self.ring.filter(&program(&self.selection, self.ours.pace, self.others.pace));
    }
}

/// The addresses that tell the source's packets from those of others: at the source itself the targets.
fn far_end(spec: &WatchSpec, own: &BTreeSet<IpAddr>) -> Vec<IpAddr> {
    let elsewhere = |list: &[IpAddr]| list.iter().filter(|a| !own.contains(a)).copied().collect::<Vec<_>>();
    let (sources, targets) = (elsewhere(&spec.sources), elsewhere(&spec.targets));
    match (sources.is_empty(), targets.is_empty(), spec.sources.is_empty()) {
        (false, ..) => sources,
        (true, false, _) => targets,
        // Everything on one machine.
        (true, true, false) => spec.targets.clone(),
        (true, true, true) => Vec::new(),
    }
}

fn selection(spec: &WatchSpec, own: &BTreeSet<IpAddr>, far: &[IpAddr], forwards: bool) -> Selection {
    // Where this host is an end, the port says it all, and an address alone would show unrelated traffic.
    let between = |address: &&IpAddr| !own.contains(address);
    Selection {
        port: spec.port,
        also: Vec::new(),
        udp: spec.udp,
        wide: spec.onward || forwards,
        addresses: if forwards { spec.targets.iter().filter(between).copied().collect() } else { Vec::new() },
        far: far.to_vec(),
    }
}

/// Decides how much of one kind of traffic is taken.
#[derive(Debug)]
struct Governor {
    pace: Pace,
    tightest: Pace,
    /// Whole flows are taken rather than all handshakes: these packets are not the source's.
    apart: bool,
    count: u64,
    quiet_since: Instant,
    loosen_after: Duration,
}

impl Governor {
    fn new(now: Instant) -> Governor {
        let (pace, tightest) = (Pace::default(), Pace::default());
        Governor { pace, tightest, apart: false, count: 0, quiet_since: now, loosen_after: LOOSEN_AFTER }
    }

    /// Takes whole flows from now on; true when that changes the pace.
    fn tell_apart(&mut self) -> bool {
        self.apart = true;
        let changes = self.pace.control_only;
        if changes {
            self.pace = Pace { control_only: false, one_in_log2: self.pace.one_in_log2 + SHARE_LOG2_FIRST };
            self.note();
        }
        changes
    }

    fn per_s_max(&self) -> u64 {
        if self.pace.control_only { CONTROL_PER_S_MAX } else { WHOLE_PER_S_MAX }
    }

    /// True when a window's worth came already, and everything is still taken.
    fn bursts(&self) -> bool {
        self.pace == Pace::default() && self.count > WHOLE_PER_S_MAX * WINDOW.as_millis() as u64 / 1_000
    }

    /// Ends a window; true when the pace changed.
    fn judge(&mut self, elapsed: Duration, now: Instant) -> bool {
        let elapsed = elapsed.max(WINDOW / 4).as_micros() as u64;
        let per_s = std::mem::take(&mut self.count) * 1_000_000 / elapsed;
        let before = self.pace;
        if per_s > self.per_s_max() {
            self.tighten(per_s);
            self.quiet_since = now;
        } else if per_s > self.per_s_max() / QUIET_SHARE {
            self.quiet_since = now;
        } else if now.saturating_duration_since(self.quiet_since) >= self.loosen_after {
            self.loosen();
            self.quiet_since = now;
        }
        self.pace != before
    }

    fn tighten(&mut self, per_s: u64) {
        if self.pace.control_only || self.apart {
            let times = per_s / self.per_s_max() + 1;
            let more = u8::try_from(times.ilog2()).unwrap_or(SHARE_LOG2_MAX).max(1);
            self.pace.one_in_log2 += more;
        } else {
            self.pace.control_only = true;
        }
        self.note();
    }

    fn note(&mut self) {
        self.pace.one_in_log2 = self.pace.one_in_log2.min(SHARE_LOG2_MAX);
        self.tightest.control_only |= self.pace.control_only;
        self.tightest.one_in_log2 = self.tightest.one_in_log2.max(self.pace.one_in_log2);
    }

    fn loosen(&mut self) {
        if self.pace != Pace::default() {
            self.loosen_after = (self.loosen_after * 2).min(LOOSEN_AFTER_MAX);
        }
        if self.pace.one_in_log2 > 0 {
            self.pace.one_in_log2 -= 1;
        } else {
            self.pace.control_only = false;
        }
    }

    fn left_out(&self, whose: &str) -> Option<Unread> {
        let share = 1_u32 << self.tightest.one_in_log2;
        let taken = match (self.tightest.control_only, share) {
            (false, 1) => return None,
            (true, 1) => "handshakes and resets were".to_owned(),
            (true, share) => format!("handshakes and resets, or one flow in {share}, were"),
            (false, share) => format!("one flow in {share} was"),
        };
        let why = format!("too many a second: at times only {taken} taken");
        Some(Unread { what: whose.to_owned(), why, root_helps: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_far_end_is_the_source_or_at_the_source_the_target() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (source, target) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let spec = WatchSpec { targets: vec![target], sources: vec![source], ..WatchSpec::default() };
        assert_eq!(far_end(&spec, &BTreeSet::from([target])), [source]);
        assert_eq!(far_end(&spec, &BTreeSet::from([source])), [target]);
        assert_eq!(far_end(&spec, &BTreeSet::from([ip("10.0.0.3")])), [source]);
        assert_eq!(far_end(&spec, &BTreeSet::from([source, target])), [target]);
        let unknown = WatchSpec { sources: Vec::new(), ..spec };
        assert!(far_end(&unknown, &BTreeSet::from([target])).is_empty());
    }

    #[test]
    fn a_burst_tightens_step_by_step_and_quiet_loosens() {
        let began = Instant::now();
        let mut governor = Governor::new(began);
        governor.count = 2_000;
        assert!(governor.judge(WINDOW, began));
        assert_eq!(governor.pace, Pace { control_only: true, one_in_log2: 0 });
        governor.count = 5 * CONTROL_PER_S_MAX / 10;
        assert!(governor.judge(WINDOW, began));
        assert_eq!(governor.pace.one_in_log2, 2);
        assert!(!governor.judge(WINDOW, began + Duration::from_secs(1)));
        for step in 1..=3 {
            assert!(governor.judge(WINDOW, began + LOOSEN_AFTER_MAX * step));
        }
        assert_eq!(governor.pace, Pace::default());
        assert!(governor.left_out("packets").is_some_and(|unread| unread.why.contains("one flow in 4")));
    }

    #[test]
    fn others_are_taken_in_whole_flows_once_the_source_was_seen() {
        let began = Instant::now();
        let mut governor = Governor::new(began);
        governor.count = 20_000;
        assert!(governor.judge(WINDOW, began));
        assert!(governor.tell_apart());
        assert_eq!(governor.pace, Pace { control_only: false, one_in_log2: SHARE_LOG2_FIRST });
        governor.count = 20_000;
        assert!(governor.judge(WINDOW, began));
        assert!(!governor.pace.control_only && governor.pace.one_in_log2 > SHARE_LOG2_FIRST);
        assert!(!governor.tell_apart());
    }
}
