//! What the live view remembers between two looks: histories, rates, focus.

use super::pace::Depth;
use crate::Common;
use netwhy_model::host::{Finding, Listener, Reading, Snapshot, SocketCounts, State};
use netwhy_report::Style;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Looks a history goes back.
pub(super) const HISTORY_COUNT_MAX: usize = 120;
/// Looks a counter stays on the screen after it last rose.
const MOVED_LOOK_COUNT_MAX: u64 = 60;
/// Counters remembered.
const COUNTER_COUNT_MAX: usize = 2_000;
/// Connections opened a second from which on a machine counts as busy.
const BUSY_OPENS_PER_S_MIN: f64 = 1_000.0;
/// From so many times the interval on a look counts as late.
const SLOWED_MIN: f64 = 1.8;
/// Findings remembered of the last look that read everything.
const FINDING_COUNT_MAX: usize = 100;

/// The panes, in the order of the Tab key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Findings,
    Listeners,
    States,
    Counters,
    Peers,
}

impl Pane {
    pub(super) const ALL: [Pane; 5] =
        [Pane::Findings, Pane::Listeners, Pane::States, Pane::Counters, Pane::Peers];
}

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Back,
    Pause,
    Help,
    Zoom,
    Next,
    Previous,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Redraw,
}

/// What follows from a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    Draw,
    Quit,
}

/// One socket state over time.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub name: &'static str,
    pub counts: VecDeque<u64>,
}

/// A counter that rose while we watched.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moved {
    pub name: String,
    pub state: State,
    /// Since the watch began.
    pub rose: u64,
    /// A second, between the last two looks.
    pub rate: f64,
    /// The number of the look in which it last rose.
    last: u64,
}

/// Everything the view draws.
#[derive(Debug)]
pub(super) struct Watched {
    pub style: Style,
    pub every: Duration,
    pub snapshot: Option<Snapshot>,
    pub histories: Vec<History>,
    pub focus: Pane,
    pub zoomed: bool,
    pub help: bool,
    paused: bool,
    redraw: bool,
    /// Lines each pane is scrolled by.
    scrolled: [usize; Pane::ALL.len()],
    looks: u64,
    last: Option<Instant>,
    /// Between the last two looks.
    since: Option<Duration>,
    judged_at: Option<Instant>,
    /// Full queues now, and whether that changed since the last verdict.
    alarms: usize,
    alarmed: bool,
    before: BTreeMap<String, u64>,
    moved: BTreeMap<String, Moved>,
    whole: Vec<Finding>,
    whole_at: Option<Instant>,
}

impl Watched {
    pub(super) fn new(every: Duration, common: &Common) -> Watched {
        Watched::styled(every, Style { verbose: false, ..common.style() })
    }

    pub(super) fn styled(every: Duration, style: Style) -> Watched {
        Watched {
            style,
            every,
            snapshot: None,
            histories: states(&SocketCounts::default())
                .map(|(name, _)| History { name, counts: VecDeque::new() })
                .to_vec(),
            focus: Pane::Findings,
            zoomed: false,
            help: false,
            paused: false,
            redraw: false,
            scrolled: [0; Pane::ALL.len()],
            looks: 0,
            last: None,
            since: None,
            judged_at: None,
            alarms: 0,
            alarmed: false,
            before: BTreeMap::new(),
            moved: BTreeMap::new(),
            whole: Vec::new(),
            whole_at: None,
        }
    }

    pub(super) const fn paused(&self) -> bool {
        self.paused
    }

    /// True when a queue filled or emptied since the last verdict: it is time for another.
    pub(super) const fn alarmed(&self) -> bool {
        self.alarmed
    }

    /// True when so many connections open that watching is worth more than on an idle machine.
    pub(super) fn busy(&self) -> bool {
        let opens =
            |moved: &&Moved| moved.name.ends_with(".ActiveOpens") || moved.name.ends_with(".PassiveOpens");
        self.moved.values().filter(opens).map(|moved| moved.rate).sum::<f64>() >= BUSY_OPENS_PER_S_MIN
    }

    /// How old the verdict is.
    pub(super) fn verdict_age(&self) -> Option<Duration> {
        Some(self.last?.saturating_duration_since(self.judged_at?))
    }

    /// The time between the last two looks when it is longer than was asked for.
    pub(super) fn slowed(&self) -> Option<Duration> {
        self.since.filter(|since| *since >= self.every.mul_f64(SLOWED_MIN))
    }

    /// Whether all is to be drawn anew, and no longer.
    pub(super) fn take_redraw(&mut self) -> bool {
        std::mem::take(&mut self.redraw)
    }

    /// Takes in a look; what came while paused is not shown.
    pub(super) fn take(&mut self, snapshot: Snapshot, depth: Depth, now: Instant) {
        if self.paused {
            return;
        }
        self.looks += 1;
        self.since = self.last.map(|last| now.saturating_duration_since(last));
        self.last = Some(now);
        for (history, (_, count)) in self.histories.iter_mut().zip(states(&snapshot.counts)) {
            if history.counts.len() == HISTORY_COUNT_MAX {
                history.counts.pop_front();
            }
            history.counts.push_back(count);
        }
        self.compare(&snapshot);
        let before = self.alarms;
        match depth {
            Depth::Light => self.refresh(snapshot),
            Depth::Full | Depth::Whole => self.snapshot = Some(snapshot),
        }
        if depth >= Depth::Full {
            self.judged_at = Some(now);
        }
        if depth == Depth::Whole {
            let findings = self.snapshot.iter().flat_map(|snapshot| &snapshot.findings);
            self.whole = findings.take(FINDING_COUNT_MAX).cloned().collect();
            self.whole_at = Some(now);
        }
        self.alarms = self.snapshot.as_ref().map_or(0, alarms);
        self.alarmed = depth == Depth::Light && (self.alarmed || self.alarms != before);
    }

    /// Puts the numbers of a light look over the last full one, whose owners, rules and verdict stay.
    fn refresh(&mut self, light: Snapshot) {
        let Some(shown) = &mut self.snapshot else {
            self.snapshot = Some(light);
            return;
        };
        let owners: BTreeMap<u64, Vec<u32>> =
            shown.listeners.iter().map(|listener| (listener.inode, listener.pids.clone())).collect();
        shown.listeners = light.listeners;
        for listener in &mut shown.listeners {
            listener.pids = owners.get(&listener.inode).cloned().unwrap_or_default();
        }
        (shown.at, shown.counts, shown.peers) = (light.at, light.counts, light.peers);
        for section in light.sections {
            match shown.sections.iter_mut().find(|known| known.id == section.id) {
                Some(known) => *known = section,
                None => shown.sections.push(section),
            }
        }
    }

    /// Which counters rose since the look before.
    fn compare(&mut self, snapshot: &Snapshot) {
        let counters = snapshot.sections.iter().filter(|s| matches!(s.id.as_str(), "queues" | "counters"));
        for reading in counters.flat_map(|section| &section.readings).take(COUNTER_COUNT_MAX) {
            let Ok(value) = reading.value.parse::<u64>() else { continue };
            let key = format!("{} {}", reading.name, reading.from);
            let before = self.before.insert(key.clone(), value);
            if let (Some(before), Some(since)) = (before, self.since) {
                self.count(key, reading, value.saturating_sub(before), since);
            }
        }
        let looks = self.looks;
        self.moved.retain(|_, moved| looks.saturating_sub(moved.last) <= MOVED_LOOK_COUNT_MAX);
    }

    fn count(&mut self, key: String, reading: &Reading, rose: u64, since: Duration) {
        if let Some(moved) = self.moved.get_mut(&key) {
            moved.rate = rose as f64 / since.as_secs_f64().max(f64::EPSILON);
            moved.rose += rose;
            moved.state = reading.state;
            moved.last = if rose > 0 { self.looks } else { moved.last };
        } else if rose > 0 {
            let rate = rose as f64 / since.as_secs_f64().max(f64::EPSILON);
            let (name, state) = (reading.name.clone(), reading.state);
            self.moved.insert(key, Moved { name, state, rose, rate, last: self.looks });
        }
    }

    /// Findings of the last whole look that the last look did not make again, and how old that look is.
    pub(super) fn older(&self) -> Option<(Vec<&Finding>, Duration)> {
        let (snapshot, at, last) = (self.snapshot.as_ref()?, self.whole_at?, self.last?);
        let same = |a: &Finding, b: &Finding| a.cause == b.cause && a.subject == b.subject;
        let older: Vec<&Finding> = self
            .whole
            .iter()
            .filter(|old| !snapshot.findings.iter().any(|finding| same(finding, old)))
            .collect();
        (!older.is_empty()).then(|| (older, last.saturating_duration_since(at)))
    }

    /// The counters that rose lately: the bad ones first, then the fastest.
    pub(super) fn moved(&self) -> Vec<&Moved> {
        let mut moved: Vec<&Moved> = self.moved.values().collect();
        moved.sort_by(|a, b| b.state.cmp(&a.state).then(b.rate.total_cmp(&a.rate)).then(a.name.cmp(&b.name)));
        moved
    }

    /// Lines a pane is scrolled by, at most so many.
    pub(super) fn scroll(&mut self, pane: Pane, most: usize) -> usize {
        let scrolled = &mut self.scrolled[pane as usize];
        *scrolled = (*scrolled).min(most);
        *scrolled
    }

    /// Does what a key means.
    pub(super) fn act(&mut self, key: Option<Key>) -> Act {
        /// Lines of a page.
        const PAGE_LINES: usize = 10;
        let Some(key) = key else { return Act::Nothing };
        if self.help && !matches!(key, Key::Quit | Key::Redraw) {
            self.help = false;
            return Act::Draw;
        }
        let scrolled = &mut self.scrolled[self.focus as usize];
        match key {
            Key::Quit => return Act::Quit,
            Key::Back if self.zoomed => self.zoomed = false,
            Key::Back => return Act::Quit,
            Key::Pause => self.paused = !self.paused,
            Key::Help => self.help = true,
            Key::Zoom => self.zoomed = !self.zoomed,
            Key::Next => self.focus = self.beside(1),
            Key::Previous => self.focus = self.beside(Pane::ALL.len() - 1),
            Key::Up => *scrolled = scrolled.saturating_sub(1),
            Key::Down => *scrolled += 1,
            Key::PageUp => *scrolled = scrolled.saturating_sub(PAGE_LINES),
            Key::PageDown => *scrolled += PAGE_LINES,
            Key::Top => *scrolled = 0,
            Key::Redraw => self.redraw = true,
        }
        Act::Draw
    }

    fn beside(&self, steps: usize) -> Pane {
        Pane::ALL[(self.focus as usize + steps) % Pane::ALL.len()]
    }
}

/// Listeners whose accept queue is full.
fn alarms(snapshot: &Snapshot) -> usize {
    let full = |l: &&Listener| l.queue_max > 0 && l.queue >= l.queue_max;
    snapshot.listeners.iter().filter(full).count()
}

/// The states that are drawn, those that tell most first.
fn states(counts: &SocketCounts) -> [(&'static str, u64); 9] {
    [
        ("SYN_RECV", counts.syn_recv),
        ("ESTABLISHED", counts.established),
        ("SYN_SENT", counts.syn_sent),
        ("TIME_WAIT", counts.time_wait),
        ("CLOSE_WAIT", counts.close_wait),
        ("FIN_WAIT1", counts.fin_wait_1),
        ("FIN_WAIT2", counts.fin_wait_2),
        ("LAST_ACK", counts.last_ack),
        ("CLOSING", counts.closing),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_model::host::{Section, Severity};
    use netwhy_model::{Lang, Text};

    const STYLE: Style = Style { lang: Lang::En, color: false, unicode: true, width: 80, verbose: false };

    fn with_counter(value: &str) -> Snapshot {
        let reading = Reading {
            name: "ListenDrops".to_owned(),
            value: value.to_owned(),
            unit: String::new(),
            limit: None,
            delta: None,
            from: "/proc/net/netstat".to_owned(),
            state: State::Odd,
            note: None,
        };
        let section = Section { id: "counters".to_owned(), title: Text::default(), readings: vec![reading] };
        Snapshot { sections: vec![section], ..Snapshot::default() }
    }

    fn finding(cause: &str) -> Finding {
        let cause = cause.to_owned();
        Finding { cause, severity: Severity::Risk, text: Text::default(), proof: Vec::new(), subject: None }
    }

    #[test]
    fn rates_are_of_the_last_two_looks_and_a_counter_that_rests_leaves_after_a_while() {
        let mut watched = Watched::styled(Duration::from_secs(1), STYLE);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        watched.take(with_counter("100"), Depth::Whole, at(0));
        assert!(watched.moved().is_empty(), "the first look compares with nothing");
        watched.take(with_counter("140"), Depth::Light, at(2));
        assert_eq!((watched.moved()[0].rose, watched.moved()[0].rate), (40, 20.0));
        watched.take(with_counter("20"), Depth::Light, at(3));
        assert_eq!((watched.moved()[0].rose, watched.moved()[0].rate), (40, 0.0), "a reset is no rise");
        for second in 4..=MOVED_LOOK_COUNT_MAX + 3 {
            watched.take(with_counter("20"), Depth::Light, at(second));
        }
        assert!(watched.moved().is_empty());
        assert_eq!(watched.histories[0].counts.len(), (MOVED_LOOK_COUNT_MAX + 3) as usize);
    }

    #[test]
    fn findings_of_a_whole_look_stay_with_their_age() {
        let mut watched = Watched::styled(Duration::from_secs(1), STYLE);
        let start = Instant::now();
        let look = |causes: &[&str]| {
            let findings = causes.iter().map(|cause| finding(cause)).collect();
            Snapshot { findings, ..Snapshot::default() }
        };
        watched.take(look(&["a", "b"]), Depth::Whole, start);
        assert!(watched.older().is_none());
        watched.take(look(&["b"]), Depth::Full, start + Duration::from_secs(5));
        let (older, age) = watched.older().unwrap();
        assert_eq!((older.len(), older[0].cause.as_str(), age.as_secs()), (1, "a", 5));
    }

    #[test]
    fn nothing_is_taken_in_while_paused_and_keys_move_the_focus() {
        let mut watched = Watched::styled(Duration::from_secs(1), STYLE);
        assert_eq!(watched.act(Some(Key::Pause)), Act::Draw);
        watched.take(Snapshot::default(), Depth::Whole, Instant::now());
        assert!(watched.snapshot.is_none() && watched.paused());
        watched.act(Some(Key::Previous));
        assert_eq!(watched.focus, Pane::Peers);
        watched.act(Some(Key::Next));
        assert_eq!(watched.focus, Pane::Findings);
        watched.act(Some(Key::Zoom));
        assert_eq!((watched.act(Some(Key::Back)), watched.act(Some(Key::Back))), (Act::Draw, Act::Quit));
        watched.act(Some(Key::Help));
        assert_eq!((watched.act(Some(Key::Pause)), watched.help, watched.paused()), (Act::Draw, false, true));
        assert_eq!((watched.act(None), watched.act(Some(Key::Quit))), (Act::Nothing, Act::Quit));
    }

    #[test]
    fn a_light_look_brings_numbers_and_keeps_owners_and_verdict() {
        let listener = |queue, pids: &[u32]| Listener {
            transport: netwhy_model::host::Transport::Tcp,
            address: "0.0.0.0:80".parse().unwrap(),
            v6_only: false,
            interface: None,
            queue,
            queue_max: 10,
            half_open: 0,
            drops: None,
            inode: 77,
            pids: pids.to_vec(),
        };
        let mut watched = Watched::styled(Duration::from_secs(1), STYLE);
        let start = Instant::now();
        let full = Snapshot {
            findings: vec![finding("a")],
            listeners: vec![listener(0, &[5])],
            ..Snapshot::default()
        };
        watched.take(full, Depth::Full, start);
        let light = Snapshot { listeners: vec![listener(11, &[])], ..Snapshot::default() };
        watched.take(light, Depth::Light, start + Duration::from_secs(4));
        let shown = watched.snapshot.as_ref().unwrap();
        assert_eq!(
            (shown.listeners[0].queue, &shown.listeners[0].pids[..], shown.findings.len()),
            (11, &[5][..], 1)
        );
        assert_eq!((watched.alarmed(), watched.verdict_age()), (true, Some(Duration::from_secs(4))));
        assert_eq!(watched.slowed(), Some(Duration::from_secs(4)));
        watched.take(Snapshot::default(), Depth::Full, start + Duration::from_secs(5));
        assert!(!watched.alarmed() && watched.verdict_age() == Some(Duration::ZERO));
    }
}
