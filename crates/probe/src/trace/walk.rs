//! The rounds: all TTLs at once, then again where silence may be a router's rate limit.

use super::judge::{TRIES_COUNT, Traced, find_loop, hops_back};
use super::lane::Lane;
use super::{HOPS_COUNT_MAX, ROUNDS_COUNT_MAX, TraceOptions};
use crate::icmp::{Link, Protocol, Route, Stop, TTL_DEFAULT, Wait, run_batch};
use std::io;
use std::time::{Duration, Instant};

/// Hops asked at once while nothing says how far the target is. Linux routers send one host six errors in a row
/// and then one each second (`icmp_ratelimit`), so two lanes in a loop of two routers may take six TTLs.
const HOPS_BLIND_COUNT: u8 = 6;

/// Hops asked past the point the way back suggests.
const HOPS_MORE_COUNT: u8 = 6;

/// Between two probes, so that no burst limit of a switch or tunnel is met.
const GAP: Duration = Duration::from_micros(200);

/// Waits of one round: while all is silent, and once something was heard.
const ROUND_WAIT: Wait = Wait::millis(300, 150);

/// Time after which a Linux router has a word for us again (`icmp_ratelimit`, one second).
const REFILL: Duration = Duration::from_millis(1_050);

/// The same for a router without a route, which pays twice (`ip_rt_error_cost` besides).
const REFILL_REJECT: Duration = Duration::from_millis(2_100);

/// Time a router tries to find a neighbour before it calls the host unreachable: three tries, one a second each.
const RESOLUTION: Duration = Duration::from_millis(3_080);

/// Rounds sent one right after another; later ones wait for the routers' budget.
const ROUNDS_QUICK_COUNT: u32 = 3;

/// Rounds that confirm that the SYN dies where a control does not.
const CONFIRM_COUNT: usize = 2;

/// A port nothing should listen on, picked anew by the source port in use.
const CONTROL_PORT_FIRST: u16 = 40_001;
const CONTROL_PORT_SPREAD: u16 = 8_000;

/// Numbers batches one after another.
struct Walk<'a> {
    link: &'a mut Link,
    route: &'a Route,
    /// Whose probe had which number, for answers that come rounds later.
    sent: Vec<((Protocol, u16), u8)>,
    /// Longest round trip seen so far.
    longest: Option<Duration>,
    stop: Option<&'a Stop>,
    /// Show every hop, where the question is content with the verdict.
    thorough: bool,
}

impl Walk<'_> {
    /// Sends one round: at every TTL each lane in turn, so that a router's budget is shared evenly.
    fn round(&mut self, lanes: &mut [&mut Lane], ttls: &[(usize, u8)]) -> io::Result<()> {
        if ttls.is_empty() {
            return Ok(());
        }
        let mut wait = ROUND_WAIT;
        if let Some(longest) = self.longest {
            wait.floor = wait.floor.max(longest * 4);
            wait.silent = wait.floor;
        }
        let probes: Vec<_> = ttls.iter().map(|(lane, ttl)| lanes[*lane].probe(self.route, *ttl)).collect();
        let batch = run_batch(self.link, self.sent.len(), &probes, GAP, wait, self.stop)?;
        for (index, reply) in &batch.strays {
            if let Some((flow, ttl)) = self.sent.get(*index)
                && let Some(lane) = lanes.iter_mut().find(|lane| lane.flow() == *flow)
            {
                lane.late(*ttl, *reply);
            }
        }
        for ((lane, ttl), outcome) in ttls.iter().zip(&batch.outcomes) {
            lanes[*lane].record(*ttl, outcome);
            self.sent.push((lanes[*lane].flow(), *ttl));
            self.longest = self.longest.max(outcome.first().map(|reply| reply.rtt));
        }
        Ok(())
    }

    /// Finds how far each lane gets.
    fn discover(&mut self, lanes: &mut [&mut Lane], hops_max: u8) -> io::Result<()> {
        let all: Vec<usize> = (0..lanes.len()).collect();
        let full: Vec<_> = all.iter().map(|lane| (*lane, TTL_DEFAULT)).collect();
        self.round(lanes, &full)?;
        let guess = lanes.iter().filter_map(|lane| arrival_guess(lane)).max();
        let mut from = 1;
        let mut to = guess.unwrap_or(HOPS_BLIND_COUNT).min(hops_max);
        while from <= to && !self.stopped() {
            let ttls = pairs(&all, from..=to, |lane, _| !self.finished(lanes[lane]));
            self.round(lanes, &ttls)?;
            let reach = lanes.iter().filter_map(|lane| lane.last_router()).max().unwrap_or(0);
            let on = lanes.iter().any(|lane| !self.finished(lane) && (wants_more(lane) || reach + 3 > to));
            from = to + 1;
            to = if on { (to + HOPS_MORE_COUNT).min(hops_max) } else { to };
        }
        Ok(())
    }

    /// Asks silent hops again, those before the end of each lane and two past the last answer of any.
    fn insist(&mut self, lanes: &mut [&mut Lane], hops_max: u8) -> io::Result<()> {
        let all: Vec<usize> = (0..lanes.len()).collect();
        for _ in 1..TRIES_COUNT {
            if self.stopped() {
                break;
            }
            let reach = lanes.iter().filter_map(|lane| lane.last_router()).max().unwrap_or(0);
            let end =
                lanes.iter().filter_map(|lane| lane.distance()).max().unwrap_or(reach + 2).min(hops_max);
            let mut ttls = pairs(&all, 1..=end.max(1), |lane, ttl| silent(lanes[lane], ttl));
            for lane in &all {
                if lanes[*lane].arrival().is_none() && !lane_loops(lanes[*lane]) {
                    ttls.push((*lane, TTL_DEFAULT));
                }
            }
            self.round(lanes, &ttls)?;
        }
        Ok(())
    }

    /// Nothing more to learn from larger TTLs.
    fn finished(&self, lane: &Lane) -> bool {
        let ran_out = lane.full.router().is_some() && !self.thorough;
        lane.distance().is_some()
            || lane.rejection().is_some()
            || lane.refused()
            || ran_out
            || find_loop(&lane.routers()).is_some()
    }

    fn stopped(&self) -> bool {
        self.stop.is_some_and(Stop::asked)
    }
}

/// Runs the lanes the question needs: the SYN, ping, and a control port where those leave it open.
pub fn question(link: &mut Link, route: &Route) -> io::Result<Traced> {
    let started = Instant::now();
    let mut syn = Lane::new(link, route, Protocol::Tcp, route.target.port())?;
    let mut ping = Lane::new(link, route, Protocol::Icmp, 0)?;
    let mut walk = Walk { link, route, sent: Vec::new(), longest: None, stop: None, thorough: false };
    walk.discover(&mut [&mut syn, &mut ping], HOPS_COUNT_MAX)?;
    // Where both arrive, a silent router between says nothing of interest.
    if syn.distance().is_none() || ping.distance().is_none() {
        walk.insist(&mut [&mut syn, &mut ping], HOPS_COUNT_MAX)?;
    }
    let mut traced = Traced { syn, ping, control: None };
    let settled = traced.syn.arrival().is_some()
        || traced.ping.arrival().is_some()
        || lane_loops(&traced.syn)
        || traced.syn.rejection().is_some()
        || traced.syn.refused();
    if !settled {
        traced.control = Some(control(&mut walk, &mut traced.syn)?);
    }
    if traced.syn.arrival().is_none() && traced.farther_router().is_some() {
        confirm(&mut walk, &mut traced)?;
    }
    if !traced.explained() && walk.longest.is_some() {
        // Earlier questions may have used up what a router says to one host, or its address resolution still runs.
        std::thread::sleep(REFILL_REJECT.max(RESOLUTION.saturating_sub(started.elapsed())));
        walk.round(&mut [&mut traced.syn, &mut traced.ping], &[(0, TTL_DEFAULT), (1, TTL_DEFAULT)])?;
    }
    Ok(traced)
}

/// Asks again, side by side, where a control was answered and the SYN was not: a path that only just woke up
/// (address resolution) must not look like a filter.
fn confirm(walk: &mut Walk<'_>, traced: &mut Traced) -> io::Result<()> {
    let from = traced.syn.last_router().unwrap_or(0) + 1;
    let to = traced.farther_router().map_or(from, |(_, ttl)| ttl).min(from + HOPS_MORE_COUNT);
    let mut ttls = pairs(&[0, 1], from..=to, |_, _| true);
    ttls.push((0, TTL_DEFAULT));
    for _ in 0..CONFIRM_COUNT {
        walk.round(&mut [&mut traced.syn, &mut traced.ping], &ttls)?;
        if traced.syn.arrival().is_some() {
            break;
        }
    }
    Ok(())
}

/// Follows a SYN to a port that is most likely closed: it gets past a filter of ports.
fn control(walk: &mut Walk<'_>, syn: &mut Lane) -> io::Result<Lane> {
    let port = CONTROL_PORT_FIRST + (std::process::id() % u32::from(CONTROL_PORT_SPREAD)) as u16;
    let mut lane = Lane::new(walk.link, walk.route, Protocol::Tcp, port)?;
    let near = syn.last_router().unwrap_or(0);
    let mut ttls = pairs(&[0, 1], near + 1..=(near + HOPS_MORE_COUNT).min(HOPS_COUNT_MAX), |_, _| true);
    ttls.extend([(0, TTL_DEFAULT), (1, TTL_DEFAULT)]);
    walk.round(&mut [syn, &mut lane], &ttls)?;
    Ok(lane)
}

/// Traces with the protocols and rounds a user asked for.
pub fn rounds(link: &mut Link, route: &Route, options: &TraceOptions, stop: &Stop) -> io::Result<Vec<Lane>> {
    const TRACEROUTE_PORT: u16 = 33_434;
    let port = route.target.port();
    let mut lanes = Vec::new();
    for protocol in &options.protocols {
        let port = match protocol {
            Protocol::Icmp => 0,
            Protocol::Udp if port == 0 => TRACEROUTE_PORT,
            _ => port,
        };
        lanes.push(Lane::new(link, route, *protocol, port)?);
    }
    let hops_max = options.hops_max.clamp(1, HOPS_COUNT_MAX);
    let mut walk = Walk { link, route, sent: Vec::new(), longest: None, stop: Some(stop), thorough: true };
    {
        let mut borrowed: Vec<&mut Lane> = lanes.iter_mut().collect();
        walk.discover(&mut borrowed, hops_max)?;
        walk.insist(&mut borrowed, hops_max)?;
        let ends: Vec<u8> = borrowed.iter().map(|lane| end_of(lane)).collect();
        for round in 1..options.rounds.min(ROUNDS_COUNT_MAX) {
            if round >= ROUNDS_QUICK_COUNT {
                rest(REFILL * u32::try_from(borrowed.len()).unwrap_or(1), stop);
            }
            if stop.asked() {
                break;
            }
            let all: Vec<usize> = (0..borrowed.len()).collect();
            let ttls = pairs(&all, 1..=hops_max, |lane, ttl| ttl <= ends[lane]);
            walk.round(&mut borrowed, &ttls)?;
        }
    }
    Ok(lanes)
}

/// Sleeps, looking for a stop now and then.
fn rest(time: Duration, stop: &Stop) {
    const LOOK: Duration = Duration::from_millis(100);
    let until = Instant::now() + time;
    while !stop.asked() && Instant::now() < until {
        std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
    }
}

/// The last TTL worth asking: the target's, or the last router's.
fn end_of(lane: &Lane) -> u8 {
    lane.distance().or(lane.last_router()).unwrap_or(1)
}

fn pairs(
    lanes: &[usize],
    ttls: std::ops::RangeInclusive<u8>,
    wanted: impl Fn(usize, u8) -> bool,
) -> Vec<(usize, u8)> {
    ttls.flat_map(|ttl| lanes.iter().map(move |lane| (*lane, ttl)))
        .filter(|(lane, ttl)| wanted(*lane, *ttl))
        .collect()
}

fn lane_loops(lane: &Lane) -> bool {
    find_loop(&lane.routers()).is_some() || lane.full.router().is_some()
}

/// The target answers ordinary packets, yet its hop is not found.
fn wants_more(lane: &Lane) -> bool {
    lane.arrival().is_some() && lane.distance().is_none()
}

fn arrival_guess(lane: &Lane) -> Option<u8> {
    let (_, reply) = lane.arrival()?;
    Some(reply.ttl.map_or(HOPS_BLIND_COUNT, |ttl| hops_back(ttl) + 1))
}

fn silent(lane: &Lane, ttl: u8) -> bool {
    let before_end = lane.distance().is_none_or(|end| ttl <= end);
    let hop = lane.hops.get(usize::from(ttl) - 1);
    before_end && !lane.refused() && hop.is_some_and(|hop| hop.replies.is_empty() && hop.sent < TRIES_COUNT)
}
