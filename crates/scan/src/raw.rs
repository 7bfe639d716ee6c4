//! The raw engine: SYNs over packet sockets, answers over a ring, nothing in the kernel that would reset them.
//!
//! One thread does everything in turn: it takes answers from the ring, lets the controller look at them, and sends the
//! next batch. On a machine with two cores a second thread would only take the network's own time away.

mod answer;
mod blocks;
mod books;
mod canary;
pub(crate) mod clock;
pub(crate) mod control;
mod cookie;
mod engine;
mod filter;
mod finish;
mod frame;
mod guard;
mod hear;
mod link;
mod log;
mod neighbour;
mod pace;
mod passes;
mod ring;
mod rtt;
mod source;
mod speak;
mod sys;
mod way;
mod work;

use self::clock::Clock;
use self::engine::{Engine, Halt};
use crate::{Event, Notice, Plan, Reason, ScanError, Summary};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;

pub(crate) use self::blocks::PAIR_COUNT_MAX;

pub use self::answer::{Answer, Refusal, Segment, read as read_answer};

/// Runs a plan with raw SYNs.
///
/// # Errors
/// No privilege, no way to any host, no source ports or memory left, or an interface that goes down.
pub fn run(plan: &Plan, stop: &AtomicBool, tell: &mut dyn FnMut(Event)) -> Result<Summary, ScanError> {
    match fits_one_block(plan) {
        true => run_block(plan, stop, tell),
        false => blocks::run(plan, stop, tell),
    }
}

/// Whether a plan fits into memory whole.
pub(crate) fn fits_one_block(plan: &Plan) -> bool {
    plan.hosts.len() <= blocks::block_len(plan)
}

/// Runs a plan that fits into memory.
fn run_block(plan: &Plan, stop: &AtomicBool, tell: &mut dyn FnMut(Event)) -> Result<Summary, ScanError> {
    let mut engine = prepare(plan, stop, tell)?;
    let halt = match engine.run() {
        Ok(()) => None,
        Err(Halt::Failed(error)) => {
            engine.keep_checkpoint();
            return Err(error);
        }
        Err(halt) => Some(halt),
    };
    Ok(engine.finish(halt))
}

fn prepare<'a>(
    plan: &'a Plan,
    stop: &'a AtomicBool,
    tell: &'a mut dyn FnMut(Event),
) -> Result<Engine<'a>, ScanError> {
    let clock = Clock::start();
    let order = plan.order();
    let key = cookie::Key::random().ok_or_else(|| sys::refused("asking for randomness"))?;
    let addresses: Vec<IpAddr> = plan.hosts.iter().collect();
    let ways = way::Ways::find(&addresses, plan)?;
    if ways.groups.is_empty() && !addresses.is_empty() {
        return Err(no_route(&addresses, &ways));
    }
    let seed = u64::from(key.cookie(IpAddr::from([0; 4]), 0, 0));
    let ports = source::SourcePorts::reserve(&ways.sources(), seed)?;
    let rings = rings(&ways, ports.first)?;
    let mut books = books::Books::new(plan, tell);
    tell_plain(&rings, &mut books);
    let mut work = work::Work::new(order.len());
    if let Some(before) = &plan.resume
        && !work.restore(&before.settled)
    {
        let path = plan.checkpoint.clone().unwrap_or_default();
        return Err(ScanError::Checkpoint { path, problem: "it is of another scan".to_owned() });
    }
    let now = clock.now();
    Ok(Engine {
        plan,
        stop,
        books,
        hosts: vec![engine::Host::default(); addresses.len()],
        order,
        addresses,
        ways,
        rings,
        ports,
        key,
        clock,
        control: control::Control::new(now, engine::cap(plan)),
        pacer: pace::Pacer::new(now, engine::even(plan)),
        canaries: canary::Canaries::default(),
        work,
        logs: vec![log::SweepLog::default(); usize::from(source::TRY_PORT_COUNT)],
        lane_pass: [0; source::TRY_PORT_COUNT as usize],
        sweep: 0,
        passes: 0,
        replies: VecDeque::new(),
        opened: HashMap::new(),
        open_tries: passes::Tries::default(),
        closed_tries: passes::Tries::default(),
        sent: 0,
        asked: 0,
        heard: 0,
        refused: link::Sent::default(),
        unsent: HashMap::new(),
        last_asked_at: now,
        canary_due: 0,
        pause_until: 0,
        weak: Vec::new(),
        spare_silent: false,
        repairs: 0,
        silences: 0,
        bans: 0,
        limited_told: false,
        resets_since: (now, 0),
    })
}

fn tell_plain(rings: &[ring::Ring], books: &mut books::Books<'_>) {
    if rings.iter().any(ring::Ring::is_plain) {
        let (from, to) = ("a ring".to_owned(), "plain reads".to_owned());
        books.notice(Notice::FellBack { from, to, reason: "no memory for a receive ring".to_owned() });
    }
}

fn rings(ways: &way::Ways, first: u16) -> Result<Vec<ring::Ring>, ScanError> {
    let count = source::SOURCE_PORT_COUNT;
    let mut rings = Vec::new();
    if ways.groups.iter().any(|group| group.source.is_ipv4()) {
        rings.push(ring::Ring::open(frame::ETHERTYPE_IPV4, &filter::answers_v4(first, count))?);
    }
    if ways.groups.iter().any(|group| group.source.is_ipv6()) {
        rings.push(ring::Ring::open(frame::ETHERTYPE_IPV6, &filter::answers_v6(first, count))?);
    }
    Ok(rings)
}

fn no_route(addresses: &[IpAddr], ways: &way::Ways) -> ScanError {
    let host = addresses.first().copied().unwrap_or(IpAddr::from([0; 4]));
    let errno = match ways.hosts.first() {
        Some(way::HostWay::NoRoute(errno)) => *errno,
        _ => libc::EHOSTUNREACH,
    };
    ScanError::NoRoute { host, reason: std::io::Error::from_raw_os_error(errno).to_string() }
}

/// The reason of a host this machine could not ask.
fn local(errno: i32) -> Reason {
    Reason::Local { errno }
}
