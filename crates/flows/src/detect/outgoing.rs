//! What our own hosts do to others: scans, guessing at many targets, SYN floods.
//!
//! A fan is all that one host of ours calls on one port. What tells an attack from a busy client is the share of
//! calls that fail, and how many of the targets were never called before; not their number alone.

use super::alert::{SAMPLE_COUNT_MAX, Technique, Way};
use super::finding::{Finding, Kind, Majority, Spread, prove, sample};
use super::looks::{self, carries_data, is_empty, is_knock, is_light, is_session};
use super::series::{Calls, Cell, Run, Series};
use super::sides::{Sides, Talk};
use super::sketch::{Distinct, Table, mix, mix_address};
use super::{TCP, UDP};
use crate::record::{Address, Flow};

/// Hosts of ours times the ports they call.
const FAN_COUNT_MAX: usize = 1 << 15;
/// Pairs of our host and one it knocks at in vain.
const PAIR_COUNT_MAX: usize = 1 << 15;
/// A fan that failed at so many targets is a horizontal scan; its pairs tell nothing more.
const PAIR_FAN_MAX: u64 = 300;

/// So many new targets in ten minutes, most of them failing, are no client.
const FRESH_SLOT_MIN: u32 = 6;
const FRESH_RUN_MIN: u32 = 12;
const FAILED_SHARE_MIN: f64 = 0.5;
/// Mail servers of others are often away.
const FAILED_SHARE_MAIL_MIN: f64 = 0.9;
/// UDP has no handshake: only silence tells.
const FAILED_SHARE_UDP_MIN: f64 = 0.8;
const FRESH_UDP_RUN_MIN: u32 = 40;
/// Over a whole day: targets that failed, the share, and the ten-minute cells it spreads over.
const SLOW_TARGETS_MIN: u64 = 20;
const SLOW_SHARE_MIN: f64 = 0.6;
/// Knocking at SSH for longer than this without one session looks for doors; sooner it is the guessing's begin.
const SLOW_MS_MIN: i64 = 6 * 3_600_000;
/// An attempt to log in moves no more than this, both ways together.
const ATTEMPT_BYTES_MAX: u64 = 15_000;
/// Attempts are alike: standard deviation of their bytes by the mean.
const SIZES_SPREAD_MAX: f64 = 0.6;
/// A gateway's calls on one port go on in at least this part (one in …) of its busy cells, and are no more than this share
/// of all its calls.
const DAY_CELLS_SHARE: usize = 3;
const SMALL_PART_MAX: f64 = 0.3;
/// Ports of one host.
const VERTICAL_PORTS_MIN: u64 = 15;
const VERTICAL_UDP_PORTS_MIN: u64 = 40;
/// Records of SYN packets to one place in ten minutes, and how far above the host's own median.
const FLOOD_RECORDS_MIN: u32 = 100;
/// The same within our own network, where clients hammer at services that are down.
const FLOOD_INSIDE_RECORDS_MIN: u32 = 1_500;
const FLOOD_RATIO: u32 = 8;
/// What goes on for longer at the same pace is a client that cannot reach its server.
const FLOOD_CELLS_MAX: u32 = 48;

/// All that one host of ours calls on one port; port 0 stands for all ports together.
#[derive(Debug, Default)]
struct Fan {
    series: Series,
    targets: Distinct,
    failed: Distinct,
    peers: Vec<Address>,
    top: Majority,
    /// Bytes of the sessions.
    sizes: Spread,
    /// Fresh targets that are ours.
    inside: u32,
    proof: Vec<Flow>,
}

/// One host that ours knocks at.
#[derive(Debug, Default)]
struct Pair {
    series: Series,
    ports: Distinct,
    proof: Vec<Flow>,
}

/// The state of these detectors.
#[derive(Debug)]
pub struct Outgoing {
    fans: Table<(u32, u8, u16), Fan>,
    pairs: Table<(u32, u8, Address), Pair>,
}

impl Default for Outgoing {
    fn default() -> Outgoing {
        Outgoing { fans: Table::new(FAN_COUNT_MAX), pairs: Table::new(PAIR_COUNT_MAX) }
    }
}

impl Outgoing {
    pub fn forgotten(&self) -> u64 {
        self.fans.forgotten + self.pairs.forgotten
    }

    pub fn clear(&mut self) {
        self.fans.clear();
        self.pairs.clear();
    }

    /// Takes a record of a conversation that our host opened.
    pub fn flow(&mut self, our: u32, talk: &Talk, flow: &Flow) {
        let fails = talk.request && (flow.protocol == UDP || is_knock(flow));
        let failed_here = self.fan(our, talk.port, talk, flow, fails);
        // The fan of all ports knows only what failed; `findings` adds the rest.
        if flow.protocol == TCP && fails {
            self.fan(our, 0, talk, flow, true);
        }
        if !fails || failed_here > PAIR_FAN_MAX || !is_probe(talk, flow) {
            return;
        }
        let weight = |pair: &Pair| pair.ports.at_least();
        let pair = self.pairs.entry((our, flow.protocol, talk.server), Pair::default, weight);
        let is_new = pair.ports.insert(mix(talk.port.into()));
        let cell = pair.series.at(flow.start_ms);
        cell.requests = cell.requests.saturating_add(1);
        cell.fails += 1;
        cell.fresh += u32::from(is_new);
        if is_new {
            cell.mark(flow.start_ms);
            prove(&mut pair.proof, flow);
        }
    }

    /// Adds to one fan; returns at how many targets it failed.
    fn fan(&mut self, our: u32, port: u16, talk: &Talk, flow: &Flow, fails: bool) -> u64 {
        let weight = |fan: &Fan| fan.series.total().sum.requests.into();
        let fan = self.fans.entry((our, flow.protocol, port), Fan::default, weight);
        let cell = fan.series.at(flow.start_ms);
        if !talk.request {
            let good = flow.action != crate::Action::Reject && (flow.protocol == UDP || flow.packets >= 2);
            cell.goods += u32::from(good);
            cell.bytes = cell.bytes.saturating_add(if carries_data(flow) { flow.bytes } else { 0 });
            return 0;
        }
        cell.requests = cell.requests.saturating_add(1);
        let target = if port == 0 {
            mix_address(talk.server) ^ mix(talk.port.into())
        } else {
            mix_address(talk.server)
        };
        let mut is_fresh = false;
        if port != 0 && (looks::guessed_service(port).is_some() || flow.protocol == UDP) {
            is_fresh = fan.targets.insert(target) && talk.our_server.is_none();
        }
        if fails {
            cell.fails += 1;
            cell.packets = cell.packets.saturating_add(flow.packets);
            // Four packets without data are a check of a port that was answered.
            is_fresh |= fan.failed.insert(target)
                && (flow.protocol == UDP || flow.packets < 4 || talk.our_server.is_none());
            fan.top.add(talk.server, flow.packets);
        } else if flow.protocol == TCP && is_empty(flow) {
            // Many SYN packets of one five-tuple in one record; what a download acknowledges is made up for by its answers.
            cell.fails += 1;
            cell.packets = cell.packets.saturating_add(flow.packets);
            fan.top.add(talk.server, flow.packets);
        } else if is_session(flow) {
            cell.sessions += u32::from(is_fresh);
            fan.sizes.add(flow.bytes as f64);
            cell.bytes = cell.bytes.saturating_add(flow.bytes);
        }
        if is_fresh {
            cell.fresh += 1;
            fan.inside += u32::from(talk.our_server.is_some());
            sample(&mut fan.peers, talk.server);
            prove(&mut fan.proof, flow);
        }
        if fails || is_fresh {
            cell.mark(flow.start_ms);
        }
        if port == 0 || !fails { 0 } else { fan.failed.at_least() }
    }

    /// Adds the calls of each of our hosts to `calls`.
    pub fn add_calls(&self, calls: &mut Calls, wanted: impl Fn(u8) -> bool) {
        let fans = self.fans.map.iter().filter(|((_, protocol, port), _)| *port != 0 && wanted(*protocol));
        fans.for_each(|((our, ..), fan)| calls.add(*our, &fan.series));
    }

    /// What stands out by now.
    pub fn findings(&self, sides: &Sides) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut calls = Calls::default();
        self.add_calls(&mut calls, |protocol| protocol == TCP);
        for ((our, protocol, port), fan) in &self.fans.map {
            let entity = sides.address(*our);
            let found = match (*protocol, *port) {
                (TCP, 0) => calls.hosts.get(our).and_then(|whole| {
                    let series = fan.series.within(whole);
                    fan.flood(entity, *port, &series, sides).or_else(|| fan.scan(entity, *port, 2, &series))
                }),
                (TCP, port) => fan
                    .flood(entity, port, &fan.series, sides)
                    .or_else(|| fan.guessing(entity, port, sides, calls.hosts.get(our)))
                    .or_else(|| fan.scan(entity, port, 1, &fan.series)),
                (UDP, port) => fan.silent_scan(entity, port),
                _ => None,
            };
            findings.extend(found);
        }
        for ((our, protocol, target), pair) in &self.pairs.map {
            findings.extend(pair.scan(sides.address(*our), *protocol, *target));
        }
        findings
    }
}

/// Whether a failed call may be part of a scan of ports.
fn is_probe(talk: &Talk, flow: &Flow) -> bool {
    // The ports that traceroute uses.
    let is_trace = flow.protocol == UDP && (33434..33534).contains(&talk.port);
    !is_trace && (flow.protocol != UDP || is_light(flow))
}

/// Whether a run is spread over what its host does all day and is but a small part of it.
fn is_small_part(run: &Run, whole: &Series) -> bool {
    let all_day = run.cells as usize * DAY_CELLS_SHARE >= whole.cells().len();
    all_day && share(run.sum.requests, whole.total().sum.requests) < SMALL_PART_MAX
}

fn share(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}

impl Fan {
    fn finding(&self, kind: Kind, entity: Address, technique: Technique, run: &Run, port: u16) -> Finding {
        let mut peers = self.peers.clone();
        if self.top.lead() > 0.3 {
            peers.insert(0, self.top.member);
            peers.truncate(SAMPLE_COUNT_MAX);
        }
        let set = if self.targets.count() > self.failed.count() { &self.targets } else { &self.failed };
        Finding {
            port,
            targets: set.count(),
            is_estimated: set.is_estimated(),
            peers,
            proof: self.proof.clone(),
            set: set.clone(),
            ..Finding::new(kind, Way::Out, entity, technique, run)
        }
    }

    /// Nothing but SYN packets, to few targets.
    fn flood(&self, entity: Address, port: u16, series: &Series, sides: &Sides) -> Option<Finding> {
        let least = if sides.is_ours(self.top.member) { FLOOD_INSIDE_RECORDS_MIN } else { FLOOD_RECORDS_MIN };
        let day_slots = sides.slots();
        let bar = series.flood_bar(day_slots, least, FLOOD_RATIO, Cell::failed);
        let is_hot = |cell: &Cell| {
            cell.failed() >= bar
                && share(cell.failed(), cell.requests) >= 0.7
                && u64::from(cell.fresh) * 20 <= cell.packets
        };
        let run = series.hot(is_hot, Cell::failed)?;
        // All ports of one host once each is a scan; the fan of all ports tells a flood only where one host leads.
        if run.cells > FLOOD_CELLS_MAX || self.top.lead() < 0.5 {
            return None;
        }
        let mut finding = self.finding(Kind::SynFlood, entity, Technique::OneTarget, &run, port);
        (finding.targets, finding.peers, finding.confidence) = (1, vec![self.top.member], 0.97);
        Some(finding)
    }

    fn looks_alike(&self) -> bool {
        self.sizes.deviation() <= SIZES_SPREAD_MAX * self.sizes.mean()
    }

    fn guessing(&self, entity: Address, port: u16, sides: &Sides, whole: Option<&Series>) -> Option<Finding> {
        looks::guessed_service(port)?;
        // Our own hosts are called by many of us; only failing tells.
        // An address that was a stranger's when it was called may have turned out to be ours.
        let known = self.peers.iter().filter(|peer| sides.is_ours(**peer)).count();
        let inside = known * 2 > self.peers.len() || self.inside * 2 > self.series.total().sum.fresh;
        let is_small = |cell: &Cell| !inside && cell.bytes <= ATTEMPT_BYTES_MAX * u64::from(cell.requests);
        let is_hot = |cell: &Cell| {
            let least = if inside { FAILED_SHARE_MIN } else { 0.2 };
            cell.fresh >= FRESH_SLOT_MIN && (share(cell.failed(), cell.requests) >= least || is_small(cell))
        };
        let fresh = |cell: &Cell| cell.fresh;
        let fast = self.series.hot(is_hot, fresh).filter(|run| run.sum.fresh > FRESH_RUN_MIN);
        let (run, technique) = match fast {
            Some(run) => (run, Technique::ManyTargets),
            None => {
                let run = self.series.hot(|cell| cell.fresh > 0, fresh)?;
                let fails = share(run.sum.failed(), run.sum.requests) >= 0.3;
                if u64::from(run.sum.fresh) < SLOW_TARGETS_MIN || !fails {
                    return None;
                }
                (run, Technique::Slow)
            }
        };
        let sessions = share(run.sum.sessions, run.sum.fresh);
        let failed = share(run.sum.failed(), run.sum.requests);
        // Where all is answered, only sameness tells guessing from the many things behind a gateway.
        let is_gateways = whole.is_some_and(|whole| is_small_part(&run, whole)) || !self.looks_alike();
        if self.series.is_everyday(&run, |cell| cell.requests) || (failed < 0.2 && is_gateways) {
            return None;
        }
        let only_knocks = match port {
            looks::SSH => {
                let is_slow = technique == Technique::Slow || run.end_ms - run.start_ms >= SLOW_MS_MIN;
                run.sum.sessions == 0 && (inside || is_slow)
            }
            _ => sessions < 0.02,
        };
        let (kind, technique) = match (only_knocks, technique) {
            (true, Technique::ManyTargets) => (Kind::Scan, Technique::Horizontal),
            (true, technique) => (Kind::Scan, technique),
            (false, technique) => (Kind::Guessing, technique),
        };
        let mut finding = self.finding(kind, entity, technique, &run, port);
        finding.confidence = if run.sum.fresh >= 50 { 0.99 } else { 0.93 };
        Some(finding)
    }

    /// Many targets that do not answer; `factor` raises the bar.
    fn scan(&self, entity: Address, port: u16, factor: u32, series: &Series) -> Option<Finding> {
        let least = if looks::is_mail(port) { FAILED_SHARE_MAIL_MIN } else { FAILED_SHARE_MIN };
        let is_hot = |cell: &Cell| {
            cell.fresh >= FRESH_SLOT_MIN * factor && share(cell.failed(), cell.requests) >= least
        };
        let fresh = |cell: &Cell| cell.fresh;
        let fast = series.hot(is_hot, fresh).filter(|run| run.sum.fresh >= FRESH_RUN_MIN * factor);
        if let Some(run) = fast.filter(|run| !series.is_everyday(run, Cell::failed)) {
            let mut finding = self.finding(Kind::Scan, entity, Technique::Horizontal, &run, port);
            finding.confidence = if run.sum.fresh >= 50 { 0.98 } else { 0.92 };
            return Some(finding);
        }
        let run = series.hot(|cell| cell.fresh > 0, fresh)?;
        let total = series.total().sum;
        let slow = self.failed.count() >= SLOW_TARGETS_MIN * u64::from(factor)
            && share(total.failed(), total.requests) >= SLOW_SHARE_MIN.max(least);
        let is_slow = slow && !series.is_everyday(&run, Cell::failed);
        is_slow.then(|| self.finding(Kind::Scan, entity, Technique::Slow, &run, port))
    }

    /// The same over UDP.
    fn silent_scan(&self, entity: Address, port: u16) -> Option<Finding> {
        let is_hot = |cell: &Cell| {
            cell.fresh >= FRESH_SLOT_MIN
                && share(cell.failed(), cell.requests) >= FAILED_SHARE_UDP_MIN
                // One packet or two to each: more is a flood.
                && cell.packets <= 4 * u64::from(cell.requests)
        };
        let run = self.series.hot(is_hot, |cell| cell.fresh)?;
        (run.sum.fresh >= FRESH_UDP_RUN_MIN)
            .then(|| self.finding(Kind::Scan, entity, Technique::Horizontal, &run, port))
    }
}

impl Pair {
    fn scan(&self, entity: Address, protocol: u8, target: Address) -> Option<Finding> {
        let least = if protocol == UDP { VERTICAL_UDP_PORTS_MIN } else { VERTICAL_PORTS_MIN };
        if self.ports.count() < least {
            return None;
        }
        let run = self.series.hot(|cell| cell.fresh > 0, |cell| cell.fresh)?;
        Some(Finding {
            targets: self.ports.count(),
            is_estimated: self.ports.is_estimated(),
            peers: vec![target],
            proof: self.proof.clone(),
            set: self.ports.clone(),
            confidence: if self.ports.count() >= 50 { 0.98 } else { 0.92 },
            ..Finding::new(Kind::Scan, Way::Out, entity, Technique::Vertical, &run)
        })
    }
}
