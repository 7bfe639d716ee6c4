//! Guessing at one service: from outside against ours, and from ours against one target.

use super::alert::{Technique, Way};
use super::finding::{Finding, Kind, Spread, Success, prove, sample};
use super::looks::{guessed_service, is_knock, is_session};
use super::series::{Cell, Run, Series};
use super::sides::{Sides, Talk};
use super::sketch::{Distinct, Table, mix_address};
use crate::record::{Address, Flow};

/// Pairs of who guesses and where.
const GUESS_COUNT_MAX: usize = 1 << 15;
/// Attempts in ten minutes that begin an attack, and in all that make one.
const SLOT_ATTEMPTS_MIN: u32 = 6;
const ATTEMPTS_MIN: u32 = 25;
/// The same at strangers' services that servers hardly ever use: remote desktops, Telnet, shares.
const SLOT_RARE_MIN: u32 = 2;
/// The same between our own hosts, and how far above the median.
const SLOT_INSIDE_MIN: u32 = 40;
const STANDS_OUT_INSIDE: u32 = 8;
/// A shorter input is judged as if it were this long and silent before.
const SLOTS_MIN: usize = 36;
/// What a failed attempt moves, each way. A shell, a fetch or a query of data moves more.
const ATTEMPT_BYTES_MAX: f64 = 7_000.0;
const ATTEMPT_PACKETS_MAX: f64 = 45.0;
/// Attempts look alike: standard deviation of the bytes by their mean.
const SPREAD_MAX: f64 = 0.6;
/// A session after the guessing that is so much larger than an attempt got in.
const SUCCESS_RATIO_MIN: f64 = 4.0;
const SUCCESS_BYTES_MIN: u64 = 8_000;
const SUCCESS_ATTEMPTS_MIN: u64 = 15;
/// What goes on all day at an even pace is a check, not guessing.
const EVEN_CELLS_MIN: u32 = 36;
const EVEN_PEAK_MAX: f64 = 3.0;
/// Nobody checks a service this often in ten minutes.
const CHECKS_SLOT_MAX: u32 = 150;
/// How far one stranger must stand above the others that knock at such doors all day.
const STANDS_OUT_RATIO: u64 = 4;

/// All attempts of one client, at one server or (from outside) at all of ours.
#[derive(Debug, Default)]
struct Guess {
    series: Series,
    hosts: Distinct,
    sample: Vec<Address>,
    proof: Vec<Flow>,
    sessions: u64,
    packets: u64,
    sizes: Spread,
    answer_bytes: f64,
    answers: u64,
    success: Option<Success>,
}

/// The state of these detectors.
#[derive(Debug)]
pub struct Guesses {
    /// By client, server (not told where the client is a stranger) and port.
    table: Table<(Address, Address, u16), Guess>,
}

impl Default for Guesses {
    fn default() -> Guesses {
        Guesses { table: Table::new(GUESS_COUNT_MAX) }
    }
}

impl Guesses {
    pub fn forgotten(&self) -> u64 {
        self.table.forgotten
    }

    pub fn clear(&mut self) {
        self.table.clear();
    }

    /// Takes a record of TCP.
    pub fn flow(&mut self, talk: &Talk, flow: &Flow) {
        if guessed_service(talk.port).is_none() {
            return;
        }
        let server = if talk.our_client.is_some() { talk.server } else { Address::default() };
        let weight = |guess: &Guess| guess.series.total().sum.requests.into();
        let guess = self.table.entry((talk.client, server, talk.port), Guess::default, weight);
        let cell = guess.series.at(flow.start_ms);
        if !talk.request {
            if is_session(flow) {
                cell.goods += 1;
                guess.answers += 1;
                guess.answer_bytes += flow.bytes as f64;
            }
            return;
        }
        cell.requests += 1;
        cell.mark(flow.start_ms);
        if is_knock(flow) {
            cell.fails += 1;
        } else if is_session(flow) {
            guess.session(talk, flow);
        }
        guess.hosts.insert(mix_address(talk.server));
        sample(&mut guess.sample, talk.server);
        prove(&mut guess.proof, flow);
    }

    /// What stands out by now; `together` are attacks by many strangers at one door, whose single members are no
    /// attacks of their own.
    pub fn findings(&self, sides: &Sides, slots: usize, together: &[Finding]) -> Vec<Finding> {
        let is_member = |port: u16, guess: &Guess| {
            together.iter().any(|attack| {
                attack.port == port
                    && guess.sample == [attack.entity]
                    && guess.requests() < STANDS_OUT_RATIO * self.usual_member(attack)
            })
        };
        let usual = self.usual(is_member);
        let judge = |((client, server, port), guess): (&(Address, Address, u16), &Guess)| {
            let is_out = !server.is_unknown();
            if !is_out && is_member(*port, guess) {
                return None;
            }
            let bar = guess.bar(slots, is_out, is_out && sides.is_ours(*server), *port);
            let run = guess.guessing(is_out, bar)?;
            if !is_out && u64::from(run.sum.requests) < usual.saturating_mul(STANDS_OUT_RATIO) {
                return None;
            }
            Some(guess.finding(*client, is_out, *port, &run))
        };
        self.table.map.iter().filter_map(judge).collect()
    }

    /// The same among the strangers at one door.
    fn usual_member(&self, attack: &Finding) -> u64 {
        let is_member = |((_, server, port), guess): &(&(Address, Address, u16), &Guess)| {
            server.is_unknown() && *port == attack.port && guess.sample == [attack.entity]
        };
        let members = self.table.map.iter().filter(is_member);
        super::incoming::usual(&mut members.map(|(_, guess)| guess.requests()).collect::<Vec<u64>>())
    }

    /// The attempts that all but the loudest strangers stay under.
    fn usual(&self, is_member: impl Fn(u16, &Guess) -> bool) -> u64 {
        let strangers = self.table.map.iter().filter(|((_, server, port), guess)| {
            server.is_unknown() && guess.looks_alike() && !is_member(*port, guess)
        });
        let mut counts: Vec<u64> = strangers.map(|(_, guess)| guess.requests()).collect();
        super::incoming::usual(&mut counts)
    }
}

impl Guess {
    fn requests(&self) -> u64 {
        self.series.total().sum.requests.into()
    }

    fn session(&mut self, talk: &Talk, flow: &Flow) {
        let mean = self.sizes.mean();
        let is_large = flow.bytes >= SUCCESS_BYTES_MIN && flow.bytes as f64 >= SUCCESS_RATIO_MIN * mean;
        if self.sessions >= SUCCESS_ATTEMPTS_MIN && is_large {
            let success =
                Success { source: talk.client, host: talk.server, at_ms: flow.start_ms, bytes: flow.bytes };
            self.success.get_or_insert(success);
            // It is no attempt and must not blur what attempts look like.
            return;
        }
        self.sessions += 1;
        self.packets = self.packets.saturating_add(flow.packets);
        self.sizes.add(flow.bytes as f64);
    }

    /// The attempts in ten minutes that stand out of this pair's own day. Within our own network services are called
    /// all day in bursts; at a stranger's, what fills half of the day is its use.
    fn bar(&self, slots: usize, is_out: bool, inside: bool, port: u16) -> u32 {
        let attempts = |cell: &Cell| cell.requests;
        match inside {
            true => SLOT_INSIDE_MIN.max(self.series.bar(slots, STANDS_OUT_INSIDE, attempts)),
            false => {
                let least = match guessed_service(port) {
                    Some("ssh" | "database") | None => SLOT_ATTEMPTS_MIN,
                    _ if is_out => SLOT_RARE_MIN,
                    _ => SLOT_ATTEMPTS_MIN,
                };
                least.max(4 * self.series.quantile(slots.max(SLOTS_MIN), 0.5, attempts))
            }
        }
    }

    /// The attack in time, where it is one.
    fn guessing(&self, is_out: bool, bar: u32) -> Option<Run> {
        let attempts = |cell: &Cell| cell.requests;
        let run = self.series.hot(|cell| cell.requests >= bar, attempts)?;
        if run.sum.requests < ATTEMPTS_MIN || !self.looks_alike() {
            return None;
        }
        // Knocks that nobody ever answers are a scan's or a lost client's; that needs many more to be guessing.
        if self.sessions == 0 && (is_out || run.sum.requests < 4 * ATTEMPTS_MIN) {
            return None;
        }
        let even = f64::from(run.peak) <= EVEN_PEAK_MAX * f64::from(run.sum.requests) / f64::from(run.cells);
        let is_check = run.cells >= EVEN_CELLS_MIN && even && run.peak < CHECKS_SLOT_MAX;
        (!is_check).then_some(run)
    }

    fn looks_alike(&self) -> bool {
        let count = self.sessions.max(1) as f64;
        let mean = self.sizes.mean();
        let answer = self.answer_bytes / self.answers.max(1) as f64;
        mean <= ATTEMPT_BYTES_MAX
            && answer <= ATTEMPT_BYTES_MAX * 2.0
            && self.packets as f64 / count <= ATTEMPT_PACKETS_MAX
            && self.sizes.deviation() <= SPREAD_MAX * mean
    }

    fn finding(&self, client: Address, is_out: bool, port: u16, run: &Run) -> Finding {
        let way = if is_out { Way::Out } else { Way::In };
        let many = self.hosts.count() > 1;
        let technique = if many { Technique::ManyTargets } else { Technique::OneTarget };
        Finding {
            port,
            targets: self.hosts.count(),
            is_estimated: self.hosts.is_estimated(),
            peers: self.sample.clone(),
            proof: self.proof.clone(),
            set: self.hosts.clone(),
            confidence: if run.sum.requests >= 100 { 0.97 } else { 0.9 },
            success: self.success.filter(|_| !is_out),
            ..Finding::new(Kind::Guessing, way, client, technique, run)
        }
    }
}
