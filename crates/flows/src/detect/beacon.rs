//! Calls at regular intervals from one of our hosts to an address that hardly any other of ours calls.

use super::alert::{Technique, Way};
use super::finding::{Finding, Kind, Spread, prove};
use super::looks::{guessed_service, is_mail};
use super::series::Run;
use super::sides::{Sides, Talk};
use super::sketch::Table;
use crate::record::{Address, Flow};
use std::collections::HashMap;

/// Pairs of our host and a service outside.
const PAIR_COUNT_MAX: usize = 1 << 16;
/// Intervals are counted by their logarithm, so many bins to a doubling, from one second on.
const BINS_PER_OCTAVE: f64 = 4.0;
const BIN_COUNT: usize = 68;
/// So many calls may come in disorder.
const WAITING_COUNT: usize = 8;
/// Ports of connections that are still open: what comes again from them is no new call.
const OPEN_PORT_COUNT: usize = 6;
/// Fewer intervals than this prove nothing, however even.
const INTERVALS_MIN: u32 = 10;
/// Calls nearer than this are one call (a page and its parts).
const INTERVAL_S_MIN: f64 = 5.0;
/// Three neighbouring bins (a factor of 1.7) hold so much of all intervals, where there are many and where there are few.
/// By chance (a Poisson process) they hold at most 0.23.
const DENSE_MANY: f64 = 0.6;
const DENSE_FEW: f64 = 0.8;
const MANY: u32 = 40;
/// What a monitor's calls reach even when it is slow now and then.
const DENSE_MONITOR: f64 = 0.45;
/// Periods that programs are set to.
const PERIODS_S: [f64; 14] =
    [20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0, 300.0, 600.0, 900.0, 1_200.0, 1_800.0, 3_600.0];
/// How closely calls keep to the period (1 is exactly, 0 is by chance), how many it takes, and how certain it must be.
const GRID_MIN: f64 = 0.45;
const GRID_INTERVALS_MIN: u32 = 25;
const GRID_CERTAINTY_MIN: f64 = 15.0;
/// The same for periods found in the intervals themselves, of which there are many to choose from.
const ODD_GRID_MIN: f64 = 0.7;
const ODD_PERIOD_S_MIN: f64 = 15.0;
const KEPT_COUNT: usize = 96;
/// A program's calls are alike: standard deviation of their bytes by the mean.
const SIZES_SPREAD_MAX: f64 = 0.5;
/// From which call on records are kept.
const PROOF_FROM: u32 = 8;
/// How long it must go on.
const SPAN_S_MIN: u32 = 3_600;
/// A service that more of our hosts call is known to somebody.
const CALLERS_MAX: usize = 2;
/// A host that calls so many services regularly is a monitor.
const REGULAR_SERVICES_MAX: usize = 4;
/// A call for orders is small.
const REQUEST_BYTES_MAX: f64 = 20_000.0;
const ANSWER_BYTES_MAX: f64 = 100_000.0;

/// One of our hosts and one service outside.
#[derive(Debug)]
struct Pair {
    /// Seconds since 1970.
    first_s: u32,
    last_s: u32,
    intervals: u32,
    bins: [u16; BIN_COUNT],
    open_ports: [u16; OPEN_PORT_COUNT],
    next_port: u8,
    calls: u32,
    sizes: Spread,
    /// The latest intervals in seconds.
    kept: [u16; KEPT_COUNT],
    /// The latest calls in order, in seconds: records of one window come in any order.
    waiting: [u32; WAITING_COUNT],
    bytes: u64,
    answers: u32,
    answer_bytes: u64,
    proof: Vec<Flow>,
}

impl Default for Pair {
    fn default() -> Pair {
        Pair {
            first_s: 0,
            last_s: 0,
            intervals: 0,
            bins: [0; BIN_COUNT],
            open_ports: [0; OPEN_PORT_COUNT],
            next_port: 0,
            calls: 0,
            sizes: Spread::default(),
            kept: [0; KEPT_COUNT],
            waiting: [0; WAITING_COUNT],
            bytes: 0,
            answers: 0,
            answer_bytes: 0,
            proof: Vec::new(),
        }
    }
}

/// The state of this detector.
#[derive(Debug)]
pub struct Beacons {
    pairs: Table<(u32, Address, u16, u8), Pair>,
}

impl Default for Beacons {
    fn default() -> Beacons {
        Beacons { pairs: Table::new(PAIR_COUNT_MAX) }
    }
}

impl Beacons {
    pub fn forgotten(&self) -> u64 {
        self.pairs.forgotten
    }

    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Takes a record of a conversation that our host opened with a stranger.
    pub fn flow(&mut self, our: u32, talk: &Talk, flow: &Flow) {
        // Time, names and mail are regular by nature; guessing has its own detector.
        if matches!(talk.port, 53 | 123) || is_mail(talk.port) || guessed_service(talk.port).is_some() {
            return;
        }
        let key = (our, talk.server, talk.port, flow.protocol);
        if !talk.request {
            if let Some(pair) = self.pairs.map.get_mut(&key) {
                pair.answers = pair.answers.saturating_add(1);
                pair.answer_bytes = pair.answer_bytes.saturating_add(flow.bytes);
            }
            return;
        }
        self.pairs.entry(key, Pair::default, |pair| pair.calls.into()).call(talk, flow);
    }

    pub fn findings(&self, sides: &Sides) -> Vec<Finding> {
        let mut regular = Vec::new();
        let mut services: HashMap<u32, usize> = HashMap::new();
        let mut callers: HashMap<Address, Vec<u32>> = HashMap::new();
        for (key, pair) in self.pairs.map.iter().filter(|(_, pair)| pair.calls > INTERVALS_MIN) {
            let settled = pair.settled();
            if settled.densest().1 >= DENSE_MONITOR && settled.intervals >= INTERVALS_MIN {
                *services.entry(key.0).or_default() += 1;
            }
            if settled.is_regular() {
                callers.entry(key.1).or_default();
                regular.push((key, Pair { proof: pair.proof.clone(), ..settled }));
            }
        }
        for (our, server, ..) in self.pairs.map.keys() {
            if let Some(list) = callers.get_mut(server)
                && !list.contains(our)
                && list.len() <= CALLERS_MAX
            {
                list.push(*our);
            }
        }
        let is_lone = |our: &u32, server: &Address| {
            services.get(our).is_some_and(|count| *count <= REGULAR_SERVICES_MAX)
                && callers.get(server).is_some_and(|list| list.len() <= CALLERS_MAX)
        };
        let lone =
            regular.into_iter().filter(|((our, server, ..), pair)| is_lone(our, server) && pair.is_small());
        lone.map(|((our, server, port, _), pair)| pair.finding(sides.address(*our), *server, *port)).collect()
    }
}

impl Pair {
    fn call(&mut self, talk: &Talk, flow: &Flow) {
        self.bytes = self.bytes.saturating_add(flow.bytes);
        if self.open_ports.contains(&talk.client_port) {
            return;
        }
        self.open_ports[usize::from(self.next_port)] = talk.client_port;
        self.next_port = (self.next_port + 1) % OPEN_PORT_COUNT as u8;
        self.calls = self.calls.saturating_add(1);
        self.sizes.add(flow.bytes as f64);
        // Most pairs never call so often.
        if self.calls >= PROOF_FROM {
            prove(&mut self.proof, flow);
        }
        let at = u32::try_from(flow.start_ms / 1000).unwrap_or(0);
        // The earliest of those that wait gives way.
        let mut next = at;
        for place in (0..WAITING_COUNT).rev() {
            if self.waiting[place] < next {
                std::mem::swap(&mut self.waiting[place], &mut next);
            }
        }
        self.beat(next);
    }

    fn beat(&mut self, at: u32) {
        if at == 0 {
            return;
        }
        if self.first_s == 0 {
            (self.first_s, self.last_s) = (at, at);
            return;
        }
        // What comes even later was counted as the interval around it.
        let seconds = f64::from(at) - f64::from(self.last_s);
        if seconds < INTERVAL_S_MIN {
            return;
        }
        self.last_s = at;
        self.kept[self.intervals as usize % KEPT_COUNT] = seconds.min(65_535.0) as u16;
        let bin = (seconds.log2() * BINS_PER_OCTAVE) as usize;
        let bin = &mut self.bins[bin.min(BIN_COUNT - 1)];
        *bin = bin.saturating_add(1);
        self.intervals += 1;
    }

    /// The pair with nothing left waiting.
    fn settled(&self) -> Pair {
        let mut pair = Pair { proof: Vec::new(), ..*self };
        std::mem::take(&mut pair.waiting).into_iter().for_each(|at| pair.beat(at));
        pair
    }

    /// The densest three bins: where they begin, and what they hold of all.
    fn densest(&self) -> (usize, f64) {
        let sum =
            |place: usize| self.bins[place..place + 3].iter().map(|count| u32::from(*count)).sum::<u32>();
        let best =
            (0..BIN_COUNT - 2).max_by_key(|place| (sum(*place), std::cmp::Reverse(*place))).unwrap_or(0);
        (best, f64::from(sum(best)) / f64::from(self.intervals.max(1)))
    }

    /// The period that the calls keep to although many are left out, and how well.
    fn grid(&self) -> Option<(f64, f64)> {
        let is_alike = self.sizes.deviation() <= SIZES_SPREAD_MAX * self.sizes.mean();
        if self.intervals < GRID_INTERVALS_MIN || !is_alike {
            return None;
        }
        let kept: Vec<f64> =
            self.kept.iter().filter(|seconds| **seconds > 0).map(|seconds| (*seconds).into()).collect();
        // The intervals as angles on a circle of the period: whole multiples point the same way.
        let strength = |period_s: f64| {
            let angles = kept.iter().map(|seconds| (std::f64::consts::TAU * seconds / period_s).cos());
            (period_s, angles.sum::<f64>() / kept.len().max(1) as f64)
        };
        let best = |periods: &mut dyn Iterator<Item = f64>| {
            periods.map(strength).max_by(|one, other| one.1.total_cmp(&other.1))
        };
        // By chance the sum has a deviation of sqrt(count / 2).
        let is_certain = |(_, strength): &(f64, f64)| {
            *strength >= GRID_MIN && strength * strength * kept.len() as f64 >= GRID_CERTAINTY_MIN
        };
        let usual = best(&mut PERIODS_S.iter().copied()).filter(is_certain);
        let shortest = kept.iter().copied().fold(f64::INFINITY, f64::min);
        let candidates = kept.iter().filter(|seconds| **seconds <= 2.5 * shortest);
        let parts = candidates.flat_map(|seconds| [*seconds, seconds / 2.0, seconds / 3.0]);
        let mut odd = parts.filter(|period_s| *period_s >= ODD_PERIOD_S_MIN);
        usual.or_else(|| best(&mut odd).filter(|(_, strength)| *strength >= ODD_GRID_MIN))
    }

    fn is_regular(&self) -> bool {
        let lasts = self.last_s - self.first_s >= SPAN_S_MIN;
        let is_grid = lasts && self.intervals * 10 >= self.calls * 8 && self.grid().is_some();
        is_grid || self.is_even()
    }

    fn is_even(&self) -> bool {
        let least = if self.intervals >= MANY { DENSE_MANY } else { DENSE_FEW };
        // Calls that came at once with another are the mark of a browser or a pool.
        self.intervals >= INTERVALS_MIN
            && self.intervals * 10 >= self.calls * 6
            && self.last_s - self.first_s >= SPAN_S_MIN
            && self.densest().1 >= least
    }

    fn is_small(&self) -> bool {
        self.bytes as f64 / f64::from(self.calls.max(1)) <= REQUEST_BYTES_MAX
            && self.answer_bytes as f64 / f64::from(self.answers.max(1)) <= ANSWER_BYTES_MAX
    }

    fn finding(&self, entity: Address, server: Address, port: u16) -> Finding {
        let (bin, dense) = self.densest();
        let even_s = ((bin as f64 + 1.5) / BINS_PER_OCTAVE).exp2();
        let (interval_s, dense) = match self.grid() {
            Some((period_s, strength)) if !self.is_even() => (period_s, strength.min(1.0)),
            _ => (even_s, dense),
        };
        let run = Run {
            start_ms: i64::from(self.first_s) * 1000,
            end_ms: i64::from(self.last_s) * 1000,
            ..Run::default()
        };
        Finding {
            port,
            records: self.calls.into(),
            peers: vec![server],
            proof: self.proof.clone(),
            interval_s,
            failed: 1.0 - dense,
            confidence: (0.6 + 0.35 * dense).min(0.95),
            ..Finding::new(Kind::Beacon, Way::Out, entity, Technique::Regular, &run)
        }
    }
}
