//! Detectors of attacks: one pass over the flows, bounded memory, one alert for each attack.
//!
//! What is kept is counted in cells of ten minutes by the records' own time, so that files may come in any order and
//! aggregated or late records land where they belong. A judgement looks at all cells: a flood is what stands out from
//! the host's own day, not what passes a fixed number.

pub mod alert;
mod beacon;
mod finding;
mod guesses;
mod incoming;
pub mod login;
pub mod logs;
mod looks;
mod merge;
mod outgoing;
mod series;
mod sides;
mod sketch;
mod together;
mod volume;
pub mod web;
mod words;

pub(crate) use sides::is_private;

pub use alert::{Alert, BreakIn, Plan, Proof, Radiation, Report, Scanner, Technique, Way};

use crate::names::Names;
use crate::record::{Action, Address, Flow, Status};
use finding::Finding;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
/// How many alerts from elsewhere are taken.
const ADDED_COUNT_MAX: usize = 10_000;
/// How much time is judged at once; longer inputs are judged in such parts.
const PART_SLOTS_MAX: i32 = 2 * 144;
/// The latest time that is believed (the year 2100), and the most that one record can count.
const TIME_MS_MAX: i64 = 4_102_444_800_000;
const COUNT_MAX: u64 = 1 << 44;
/// How often a live run judges.
const TICK_MS_MIN: i64 = 5_000;
/// How many alerts a run tells.
const ALERT_COUNT_MAX: usize = 10_000;

/// What a run of the detectors is told beforehand.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The words of the flows' symbols, for the proof; without it files are not named.
    pub names: Option<Arc<Names>>,
    /// Addresses known to be ours, besides the private ranges and what the interfaces show.
    pub ours: Vec<Address>,
}

/// All detectors on one stream of flows.
#[derive(Debug)]
pub struct Detectors {
    names: Option<Arc<Names>>,
    sides: sides::Sides,
    outgoing: outgoing::Outgoing,
    incoming: incoming::Incoming,
    guesses: guesses::Guesses,
    volume: volume::Volume,
    beacons: beacon::Beacons,
    /// The first and the last cell of this part.
    span: Option<(i32, i32)>,
    /// Alerts of parts that are over.
    done: Vec<Alert>,
    /// Found elsewhere, as by the detectors on logs.
    added: Vec<Alert>,
    /// What was told, and when it ended as far as is known, in seconds since 1970.
    told: BTreeMap<(String, String), i64>,
    ticked_ms: i64,
}

impl Detectors {
    pub fn new(options: Options) -> Detectors {
        Detectors {
            names: options.names,
            sides: sides::Sides::new(&options.ours),
            outgoing: outgoing::Outgoing::default(),
            incoming: incoming::Incoming::default(),
            guesses: guesses::Guesses::default(),
            volume: volume::Volume::default(),
            beacons: beacon::Beacons::default(),
            span: None,
            done: Vec::new(),
            added: Vec::new(),
            told: BTreeMap::new(),
            ticked_ms: i64::MIN,
        }
    }

    /// Takes one record; the order matters only within days.
    pub fn flow(&mut self, flow: &Flow) {
        if flow.status != Status::Ok || !is_possible(flow) {
            return;
        }
        let Some(talk) = self.sides.talk(flow) else { return };
        self.keep_span(series::slot_of(flow.start_ms));
        if talk.is_copy {
            return;
        }
        if flow.protocol == UDP {
            self.datagram(&talk, flow);
        }
        match (talk.our_client, talk.our_server) {
            (Some(our), server) => {
                self.outgoing.flow(our, &talk, flow);
                if server.is_none() && !sides::is_link_local(talk.server) {
                    self.beacons.flow(our, &talk, flow);
                }
            }
            (None, Some(our)) if flow.protocol == TCP || flow.action == Action::Reject => {
                self.incoming.flow(our, &talk, flow);
            }
            _ => {}
        }
        if flow.protocol == TCP {
            self.guesses.flow(&talk, flow);
        }
    }

    fn datagram(&mut self, talk: &sides::Talk, flow: &Flow) {
        let (sender, receiver) = match talk.request {
            true => (talk.our_client, talk.our_server),
            false => (talk.our_server, talk.our_client),
        };
        if let Some(our) = sender {
            self.volume.datagrams(our, true, flow);
        }
        if let Some(our) = receiver {
            self.volume.datagrams(our, false, flow);
        }
    }

    /// Takes an alert found elsewhere (access or authentication logs), to be joined with those of the flows.
    pub fn add(&mut self, alert: Alert) {
        if self.added.len() < ADDED_COUNT_MAX {
            self.added.push(alert);
        }
    }

    /// The alerts known by now, each told once; for live use, every few seconds.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Alert> {
        if now_ms.saturating_sub(self.ticked_ms) < TICK_MS_MIN && self.ticked_ms != i64::MIN {
            return Vec::new();
        }
        self.ticked_ms = now_ms;
        self.news()
    }

    /// The same at once, as at the end of a live run.
    pub fn news(&mut self) -> Vec<Alert> {
        let mut alerts = self.judge();
        together::add(&mut alerts, self.added.iter().cloned());
        together::chain(&mut alerts);
        alerts.retain(|alert| self.is_news(alert));
        self.forget_told();
        alerts
    }

    /// Whether this attack was not told; so long after its end the same is another one.
    fn is_news(&mut self, alert: &Alert) -> bool {
        let told = self.told.insert((alert.id.clone(), alert.entity.clone()), alert.end);
        told.is_none_or(|end| alert.start > end + together::APART_S_MAX)
    }

    /// Keeps the latest of what was told, where that is too much.
    fn forget_told(&mut self) {
        let mut ends: Vec<i64> = self.told.values().copied().collect();
        let Some(surplus) = ends.len().checked_sub(ALERT_COUNT_MAX).filter(|count| *count > 0) else {
            return;
        };
        let (_, &mut newest, _) = ends.select_nth_unstable(surplus - 1);
        self.told.retain(|_, end| *end > newest);
    }

    /// All alerts of the whole input: one for each attack.
    pub fn finish(&mut self) -> Vec<Alert> {
        self.end_part();
        let mut alerts = std::mem::take(&mut self.done);
        let order = |one: &Alert, other: &Alert| {
            (one.start, &one.id, &one.entity).cmp(&(other.start, &other.id, &other.entity))
        };
        together::add(&mut alerts, self.added.drain(..));
        alerts.sort_by(order);
        together::chain(&mut alerts);
        alerts
    }

    /// The same with the summary of what did not stand out.
    pub fn report(&mut self) -> Report {
        let alerts = self.finish();
        let entities: HashSet<&str> = alerts.iter().map(|alert| alert.entity.as_str()).collect();
        let radiation = self.incoming.radiation(|source| entities.contains(source));
        let forgotten = self.outgoing.forgotten()
            + self.incoming.forgotten()
            + self.guesses.forgotten()
            + self.beacons.forgotten();
        Report { radiation, forgotten, ..Report::new(alerts) }
    }

    /// Widens the span of time; a part that grows too long is judged and put away.
    fn keep_span(&mut self, slot: i32) {
        match &mut self.span {
            Some((from, to)) if slot >= *from && slot <= *to => {}
            Some((from, to)) if (*to).max(slot) - (*from).min(slot) < PART_SLOTS_MAX => {
                (*from, *to) = ((*from).min(slot), (*to).max(slot));
            }
            Some(_) => {
                self.end_part();
                self.span = Some((slot, slot));
            }
            None => self.span = Some((slot, slot)),
        }
        self.sides.set_slots(self.span.map_or(1, |(from, to)| (to - from + 1) as usize));
    }

    fn end_part(&mut self) {
        let alerts = self.judge();
        let room = ALERT_COUNT_MAX.saturating_sub(self.done.len());
        self.done.extend(alerts.into_iter().take(room));
        self.span = None;
        self.outgoing.clear();
        self.incoming.clear();
        self.guesses.clear();
        self.volume.clear();
        self.beacons.clear();
    }

    fn judge(&self) -> Vec<Alert> {
        let Some((from, to)) = self.span else { return Vec::new() };
        let slots = (to - from + 1) as usize;
        let mut findings: Vec<Finding> = self.outgoing.findings(&self.sides);
        findings.extend(self.incoming.findings(&self.sides, from, to));
        let together: Vec<Finding> =
            findings.iter().filter(|one| one.is_guessed_together()).cloned().collect();
        findings.extend(self.guesses.findings(&self.sides, slots, &together));
        let mut calls = series::Calls::default();
        self.outgoing.add_calls(&mut calls, |_| true);
        self.incoming.add_calls(&mut calls);
        for (our, series) in &calls.hosts {
            findings.extend(volume::churn(series, slots, self.sides.address(*our)));
        }
        findings.extend(self.volume.findings(&self.sides, slots));
        findings.extend(self.beacons.findings(&self.sides));
        let findings = merge::merge(findings, |finding| {
            self.sides.known(finding.entity).map_or(0, |our| calls.total(our))
        });
        findings.iter().map(|finding| words::alert(finding, self.names.as_deref())).collect()
    }
}

/// Whether a record can be true; a lying one must not stretch the time or the sums.
fn is_possible(flow: &Flow) -> bool {
    (0..TIME_MS_MAX).contains(&flow.start_ms) && flow.packets <= COUNT_MAX && flow.bytes <= COUNT_MAX
}
