//! What strangers do to us: scans, SYN floods, HTTP floods, guessing from many addresses, and new doors of ours.
//!
//! The internet knocks at every public address all day. One stranger among thousands is no alert; one that stands
//! out far above the others is.

use super::TCP;
use super::alert::{Radiation, Scanner, Technique, Way};
use super::finding::{Finding, Kind, Majority, prove, sample};
use super::looks::{self, carries_data, is_knock, is_light, is_session};
use super::series::{Calls, Cell, Run, Series, slot_of};
use super::sides::{Sides, Talk};
use super::sketch::{Distinct, Table, mix, mix_address};
use crate::record::{Address, Flow};

/// Strangers that knock; the ones with the fewest targets are forgotten first.
const SOURCE_COUNT_MAX: usize = 1 << 16;
/// Our hosts times their ports that were called.
const DOOR_COUNT_MAX: usize = 1 << 15;
/// Of strangers sorted by what they do, so many at the top may be attackers; the next one is usual.
const LOUD_COUNT: usize = 6;
/// A stranger that tried so many doors and stands so far above the usual is a scan.
const SCAN_TARGETS_MIN: u64 = 30;
const SCAN_RATIO: u64 = 4;
/// One that stands out only within ten minutes.
const SCAN_BURST_MIN: u64 = 25;
/// One that stands out by the ports of one host.
const SCAN_PORTS_MIN: u64 = 20;
/// Knocks at one door in ten minutes, how far above its median, and from how many.
const FLOOD_KNOCKS_MIN: u32 = 150;
const FLOOD_RATIO: u32 = 8;
const FLOOD_SOURCES_MIN: u64 = 20;
const FLOOD_PACKETS_MIN: u64 = 3_000;
/// Sources of a door are counted once so many knocked within ten minutes.
const COUNT_SOURCES_FROM: u32 = 10;
/// Calls to a web door in ten minutes, and how far above nine tenths of its cells.
const HTTP_CALLS_MIN: u32 = 1_500;
const HTTP_RATIO: u32 = 5;
/// Sessions in ten minutes at a door where passwords are guessed, and from how many.
const GUESSES_MIN: u32 = 60;
const GUESS_RATIO: u32 = 6;
const GUESS_SOURCES_MIN: u64 = 15;
/// A new service: cells with sessions, strangers, and how unlikely it is that it was there before and silent.
const SERVICE_CELLS_MIN: usize = 6;
const SERVICE_PEERS_MIN: u64 = 3;
const SERVICE_SESSIONS_MIN: u64 = 20;
const SERVICE_CHANCE_MAX: f64 = 1e-8;
/// How long the input must run before something can be new.
const SERVICE_SLOTS_MIN: i32 = 24;
/// How many scanners the summary names.
const BUSIEST_COUNT: usize = 20;

/// One stranger that knocks.
#[derive(Debug, Default)]
struct Source {
    pairs: Distinct,
    host: Majority,
    port: Majority,
    records: u32,
    slot: i32,
    slot_new: u32,
    burst: u32,
    start_ms: i64,
    end_ms: i64,
    peers: Vec<Address>,
    proof: Vec<Flow>,
}

/// One port of one host of ours; port 0 stands for all of them.
#[derive(Debug, Default)]
struct Door {
    series: Series,
    sources: Distinct,
    peers: Distinct,
    sample: Vec<Address>,
    sessions: u64,
    proof: Vec<Flow>,
}

/// The state of these detectors.
#[derive(Debug)]
pub struct Incoming {
    sources: Table<Address, Source>,
    doors: Table<(u32, u16), Door>,
    /// Strangers that knocked in the parts that are over; their names are written in the summary.
    past: Table<Address, Scanner>,
}

impl Default for Incoming {
    fn default() -> Incoming {
        Incoming {
            sources: Table::new(SOURCE_COUNT_MAX),
            doors: Table::new(DOOR_COUNT_MAX),
            past: Table::new(SOURCE_COUNT_MAX),
        }
    }
}

/// The value that all but the loudest stay under; zero where there are only a few.
pub fn usual(counts: &mut [u64]) -> u64 {
    if counts.len() <= LOUD_COUNT {
        return 0;
    }
    let place = counts.len() - 1 - LOUD_COUNT;
    *counts.select_nth_unstable(place).1
}

impl Incoming {
    pub fn forgotten(&self) -> u64 {
        self.sources.forgotten + self.doors.forgotten + self.past.forgotten
    }

    /// Ends a part of the input; who knocked is kept for the summary.
    pub fn clear(&mut self) {
        for (address, source) in &self.sources.map {
            let (start, end) = (source.start_ms / 1000, source.end_ms / 1000);
            let new = || Scanner { start, end, ..Scanner::default() };
            let scanner = self.past.entry(*address, new, |scanner| scanner.targets);
            // What it tried in an earlier part may be the same.
            scanner.targets = scanner.targets.max(source.pairs.count());
            scanner.records = scanner.records.saturating_add(source.records.into());
            (scanner.start, scanner.end) = (scanner.start.min(start), scanner.end.max(end));
        }
        self.sources.clear();
        self.doors.clear();
    }

    /// Takes a record between a stranger who called and our host; of UDP only what was rejected.
    pub fn flow(&mut self, our: u32, talk: &Talk, flow: &Flow) {
        let knocks = talk.request && is_knock(flow);
        if flow.protocol != TCP {
            if knocks && is_light(flow) {
                self.source(our, talk, flow);
            }
            return;
        }
        let is_busy = self.door(our, talk.port, talk, flow, knocks);
        if !knocks {
            return;
        }
        self.door(our, 0, talk, flow, true);
        // Empty pieces of cut-up conversations with a busy service say nothing about who sent them.
        if !is_busy || flow.action == crate::Action::Reject {
            self.source(our, talk, flow);
        }
    }

    fn source(&mut self, our: u32, talk: &Talk, flow: &Flow) {
        let source = self.sources.entry(talk.client, Source::default, |source| source.pairs.at_least());
        if source.records == 0 {
            (source.start_ms, source.end_ms) = (flow.start_ms, flow.start_ms);
        }
        source.records = source.records.saturating_add(1);
        if !source.pairs.insert(mix(u64::from(our) << 16 | u64::from(talk.port))) {
            return;
        }
        source.start_ms = source.start_ms.min(flow.start_ms);
        source.end_ms = source.end_ms.max(flow.start_ms);
        source.host.add(talk.server, 1);
        source.port.add(Address(talk.port.into()), 1);
        let slot = slot_of(flow.start_ms);
        if slot != source.slot {
            (source.slot, source.slot_new) = (slot, 0);
        }
        source.slot_new += 1;
        source.burst = source.burst.max(source.slot_new);
        if source.pairs.at_least() >= 8 {
            sample(&mut source.peers, talk.server);
            prove(&mut source.proof, flow);
        }
    }

    /// Adds to one door; returns whether it is a busy service.
    fn door(&mut self, our: u32, port: u16, talk: &Talk, flow: &Flow, knocks: bool) -> bool {
        let door = self.doors.entry((our, port), Door::default, |door| {
            let sum = door.series.total().sum;
            u64::from(sum.requests) + 10 * u64::from(sum.goods)
        });
        let cell = door.series.at(flow.start_ms);
        if !talk.request {
            cell.goods += u32::from(carries_data(flow));
            return true;
        }
        cell.requests = cell.requests.saturating_add(1);
        if knocks {
            cell.fails += 1;
            cell.packets = cell.packets.saturating_add(flow.packets);
            if cell.fails >= COUNT_SOURCES_FROM {
                cell.mark(flow.start_ms);
                cell.fresh += u32::from(door.sources.insert(mix_address(talk.client)));
                sample(&mut door.sample, talk.client);
                prove(&mut door.proof, flow);
            }
        } else if is_session(flow) {
            door.sessions += 1;
            door.peers.insert(mix_address(talk.client));
            cell.bytes = cell.bytes.saturating_add(flow.bytes);
            cell.mark(flow.start_ms);
            if looks::guessed_service(port).is_some() || door.sessions <= 4 {
                sample(&mut door.sample, talk.client);
                prove(&mut door.proof, flow);
            }
        }
        door.sessions > 50
    }

    /// What stands out by now; the input so far covers the cells from `from` to `to`.
    pub fn findings(&self, sides: &Sides, from: i32, to: i32) -> Vec<Finding> {
        let mut findings = self.scans();
        for ((our, port), door) in &self.doors.map {
            let host = sides.address(*our);
            let slots = (to - from + 1).max(1) as usize;
            findings.extend(door.flood(host, *port, slots));
            if *port != 0 {
                findings.extend(door.http_flood(host, *port, slots));
                findings.extend(door.guessing(host, *port, slots));
                findings.extend(door.new_service(host, *port, from, to));
            }
        }
        findings
    }

    /// Adds the calls at each of our hosts to `calls`.
    pub fn add_calls(&self, calls: &mut Calls) {
        for ((our, _), door) in self.doors.map.iter().filter(|((_, port), _)| *port != 0) {
            calls.add(*our, &door.series);
        }
    }

    /// The constant knocking of the parts that are over, summed up, without those that `alerted` names.
    pub fn radiation(&self, alerted: impl Fn(&str) -> bool) -> Radiation {
        let named = |(address, scanner): (&Address, &Scanner)| Scanner {
            source: address.to_string(),
            ..scanner.clone()
        };
        let mut busiest: Vec<Scanner> =
            self.past.map.iter().map(named).filter(|scanner| !alerted(&scanner.source)).collect();
        let records = busiest.iter().map(|scanner| scanner.records).sum();
        let sources = busiest.len() as u64;
        busiest.sort_by(|one, other| (other.targets, &one.source).cmp(&(one.targets, &other.source)));
        busiest.truncate(BUSIEST_COUNT);
        Radiation { sources, records, busiest }
    }

    fn scans(&self) -> Vec<Finding> {
        let counts = |value: fn(&Source) -> u64| self.sources.map.values().map(value).collect::<Vec<u64>>();
        let usual_pairs = usual(&mut counts(|source| source.pairs.count()));
        let usual_burst = usual(&mut counts(|source| source.burst.into()));
        let pairs_min = SCAN_TARGETS_MIN.max(SCAN_RATIO * usual_pairs);
        let burst_min = SCAN_BURST_MIN.max(SCAN_RATIO * usual_burst);
        let usual_ports = usual(&mut counts(Source::ports_of_one));
        let ports_min = SCAN_PORTS_MIN.max(SCAN_RATIO * usual_ports);
        let loud = |(_, source): &(&Address, &Source)| {
            source.pairs.count() >= pairs_min
                || u64::from(source.burst) >= burst_min
                || source.ports_of_one() >= ports_min
        };
        self.sources.map.iter().filter(loud).map(|(address, source)| source.scan(*address)).collect()
    }
}

impl Source {
    /// At least how many ports of one host it tried.
    fn ports_of_one(&self) -> u64 {
        (self.host.lead() * self.pairs.count() as f64) as u64
    }

    fn scan(&self, address: Address) -> Finding {
        let run = Run { start_ms: self.start_ms, end_ms: self.end_ms, ..Run::default() };
        let is_slow = u64::from(self.burst) * 6 < self.pairs.count();
        let technique = match (self.host.lead(), self.port.lead()) {
            (host, _) if host > 0.6 => Technique::Vertical,
            _ if is_slow => Technique::Slow,
            _ => Technique::Horizontal,
        };
        Finding {
            targets: self.pairs.count(),
            is_estimated: self.pairs.is_estimated(),
            port: if self.port.lead() > 0.8 { self.port.member.0 as u16 } else { 0 },
            peers: self.peers.clone(),
            proof: self.proof.clone(),
            set: self.pairs.clone(),
            records: self.records.into(),
            failed: 1.0,
            confidence: if self.pairs.count() >= 100 { 0.97 } else { 0.9 },
            ..Finding::new(Kind::Scan, Way::In, address, technique, &run)
        }
    }
}

impl Door {
    fn finding(&self, kind: Kind, host: Address, port: u16, run: &Run) -> Finding {
        Finding {
            port,
            peers: self.sample.clone(),
            proof: self.proof.clone(),
            ..Finding::new(kind, Way::In, host, Technique::Distributed, run)
        }
    }

    fn flood(&self, host: Address, port: u16, slots: usize) -> Option<Finding> {
        let fails = |cell: &Cell| cell.fails;
        let bar = self.series.flood_bar(slots, FLOOD_KNOCKS_MIN, FLOOD_RATIO, fails);
        let is_hot =
            |cell: &Cell| cell.fails >= bar || (cell.packets >= FLOOD_PACKETS_MIN && cell.fails >= bar / 4);
        let run = self.series.hot(is_hot, fails)?;
        let sources = self.sources.count();
        if sources < FLOOD_SOURCES_MIN && run.sum.packets < FLOOD_PACKETS_MIN {
            return None;
        }
        let mut finding = self.finding(Kind::SynFlood, host, port, &run);
        finding.records = run.sum.fails.into();
        finding.confidence = if run.sum.fails >= 1_000 { 0.98 } else { 0.9 };
        Some(finding)
    }

    fn http_flood(&self, host: Address, port: u16, slots: usize) -> Option<Finding> {
        if !looks::is_web(port) {
            return None;
        }
        let calls = |cell: &Cell| cell.requests - cell.fails;
        let bar = HTTP_CALLS_MIN.max(HTTP_RATIO * self.series.quantile(slots, 0.9, calls));
        let run = self.series.hot(|cell| calls(cell) >= bar, calls)?;
        let mut finding = self.finding(Kind::HttpFlood, host, port, &run);
        finding.confidence = 0.8;
        Some(finding)
    }

    /// Guessing by many strangers, each of them quiet.
    fn guessing(&self, host: Address, port: u16, slots: usize) -> Option<Finding> {
        looks::guessed_service(port)?;
        let calls = |cell: &Cell| cell.requests - cell.fails;
        let bar = GUESSES_MIN.max(self.series.bar(slots, GUESS_RATIO, calls));
        let run = self.series.hot(|cell| calls(cell) >= bar, calls)?;
        (self.peers.count() >= GUESS_SOURCES_MIN).then(|| self.finding(Kind::Guessing, host, port, &run))
    }

    fn new_service(&self, host: Address, port: u16, from: i32, to: i32) -> Option<Finding> {
        let slots = to - from + 1;
        let used: Vec<&Cell> =
            self.series.cells().iter().filter(|cell| cell.requests > cell.fails && cell.goods > 0).collect();
        let first = used.first()?.slot;
        let before = f64::from(first - from) / f64::from(slots);
        let is_used = used.len() >= SERVICE_CELLS_MIN
            && self.sessions >= SERVICE_SESSIONS_MIN
            && self.peers.count() >= SERVICE_PEERS_MIN;
        if slots < SERVICE_SLOTS_MIN || !is_used || looks::guessed_service(port).is_some() {
            return None;
        }
        // Were it as old as the rest, each of its cells would lie anywhere in the time.
        if before < 0.1 || (1.0 - before).powi(used.len() as i32) > SERVICE_CHANCE_MAX {
            return None;
        }
        let run = self.series.hot(|cell| cell.requests > cell.fails, |cell| cell.requests)?;
        let mut finding = self.finding(Kind::NewService, host, port, &run);
        (finding.technique, finding.confidence) = (Technique::Other, 0.75);
        Some(finding)
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detectors, Options};
    use crate::generate::{Day, Variant};
    use crate::{Flow, Names};
    use std::collections::HashSet;

    /// Draws a day; returns how many strangers scan in its background, how many of them are known for it, and how many
    /// others were taken for such.
    fn recognised(seed: u64, variant: Variant) -> [usize; 3] {
        let mut detectors = Detectors::new(Options::default());
        let day = Day { seed, records: 100_000, variant, ..Day::default() };
        let truth = day.draw(&Names::default(), |flow| detectors.flow(&Flow { tcp_flags: 0, ..*flow }));
        let alerts = detectors.finish();
        let past = detectors.incoming.past.map.keys().map(ToString::to_string);
        let known: HashSet<String> = past.chain(alerts.into_iter().map(|alert| alert.entity)).collect();
        let right = truth.scanners.iter().filter(|one| known.contains(*one)).count();
        [truth.scanners.len(), right, known.len() - right]
    }

    #[test]
    fn strangers_that_scan_are_recognised() {
        let days = (500..510).flat_map(|seed| [(seed, Variant::Plain), (seed, Variant::Other)]);
        let [all, known, others] = days.fold([0; 3], |sum, (seed, variant)| {
            let day = recognised(seed, variant);
            [0, 1, 2].map(|place| sum[place] + day[place])
        });
        println!("{known} of {all}, and {others} others");
        assert!(all > 4_000 && known as f64 >= 0.998 * all as f64, "{known} of {all}");
    }
}
