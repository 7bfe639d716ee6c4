//! Whether failures follow the source port, as they do when one of several paths is dead.
//!
//! Raw SYNs are asked where we may: what a router hashes of them is their addresses and ports alone. The kernel's
//! own sockets carry a hash that changes with each try, which routers in namespaces and IPv6 flow labels follow.

use super::{PACE, Run};
use crate::connect::attempt::{Ended, Plan, finish, start};
use crate::icmp::{self, Answer, Packet, Probe, Protocol, Route, Wait, run_batch};
use netwhy_model::{Evidence, Link, Source};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;

/// Source ports tried.
const PORT_COUNT: usize = 12;
/// Of those, ports that failed before.
const FAILED_COUNT_MAX: usize = 5;
/// Source ports tried with raw SYNs, which cost less.
const RAW_PORT_COUNT: usize = 20;
/// Between two raw SYNs.
const RAW_GAP: Duration = Duration::from_millis(2);
/// Linux answers a repeated SYN of a half-open connection at most twice a second (tcp_invalid_ratelimit).
const RAW_ROUND: Duration = Duration::from_millis(520);
/// Shortest wait for the answer to a raw SYN, in milliseconds.
const RAW_WAIT_MS_MIN: u64 = 150;
/// Ports that pass now and then, for loss beside the rule.
const MIXED_COUNT_MAX: usize = 1;
/// Times each port is tried.
const ROUND_COUNT: usize = 3;
/// Shortest wait for one handshake.
const WAIT_MIN: Duration = Duration::from_millis(120);
/// First source port taken, below the usual ephemeral range.
const PORT_FIRST: u16 = 20_000;
const PORT_SPAN: u64 = 11_000;

/// Tries fixed source ports several times each, in another order every round.
pub(super) async fn ports(run: &Run, failing: &[u16]) -> Option<Evidence> {
    let tries = match raw(run).await {
        Some(tries) => tries,
        None => connected(run, failing).await,
    };
    judge(&tries).map(|(value, text)| run.fact("tcp.source_port", value, Link::Path, text))
}

/// Which tries of each port passed.
type Tries = BTreeMap<u16, Vec<bool>>;

fn judge(tries: &Tries) -> Option<(&'static str, String)> {
    let tried: Vec<(u16, &Vec<bool>)> =
        tries.iter().filter(|(_, t)| t.len() == ROUND_COUNT).map(|(port, t)| (*port, t)).collect();
    if tried.len() < PORT_COUNT / 2 {
        return None;
    }
    let which = |passes: bool| -> Vec<u16> {
        tried.iter().filter(|(_, t)| t.iter().all(|p| *p == passes)).map(|(port, _)| *port).collect()
    };
    let (always, never) = (which(true), which(false));
    let mixed = tried.len() - always.len() - never.len();
    let text = format!(
        "{} source ports, {ROUND_COUNT} tries each: {} always pass {always:?}, {} never {never:?}, {mixed} now and then",
        tried.len(),
        always.len(),
        never.len(),
    );
    if mixed <= MIXED_COUNT_MAX && always.len() >= 2 && never.len() >= 2 {
        return Some(("decides", text));
    }
    (mixed > MIXED_COUNT_MAX || never.is_empty()).then_some(("indifferent", text))
}

/// Another order each round, so that "the first ones pass" does not look like "these ports pass".
fn orders<T: Copy>(list: &[T]) -> Vec<Vec<T>> {
    (0..ROUND_COUNT)
        .map(|round| {
            let mut order = list.to_vec();
            order.rotate_left(round * list.len() / ROUND_COUNT);
            if round % 2 == 1 {
                order.reverse();
            }
            order
        })
        .collect()
}

/// With raw SYNs; `None` without the privilege.
async fn raw(run: &Run) -> Option<Tries> {
    let (address, source, step) = (run.address, run.plan.source.clone(), run.step);
    let asked = tokio::task::spawn_blocking(move || raw_tries(address, &source, step)).await;
    asked.ok()?
}

fn raw_tries(address: SocketAddr, source: &Source, step: Duration) -> Option<Tries> {
    let route = Route::find(address, source).ok()?;
    let mut link = icmp::Link::open(&route).ok().filter(icmp::Link::is_raw)?;
    let ports: Vec<u16> = (0..RAW_PORT_COUNT)
        .filter_map(|_| link.reserve_port(Protocol::Tcp).ok())
        .filter(|p| *p != 0)
        .collect();
    // The same number each round: where our kernel's RST was lost, the server takes it for a repeated SYN.
    let number = crate::tap::now_ns() as u32;
    let mut tries = Tries::new();
    let least = u64::try_from(step.as_millis()).unwrap_or(RAW_WAIT_MS_MIN).max(RAW_WAIT_MS_MIN);
    for (round, order) in orders(&ports).into_iter().enumerate() {
        let probes: Vec<Probe> = order
            .iter()
            .map(|port| Probe::new(Packet::Syn { source_port: *port, port: address.port(), number }))
            .collect();
        let wait = Wait::millis(least, least);
        let begun = std::time::Instant::now();
        let batch = run_batch(&mut link, round * RAW_PORT_COUNT, &probes, RAW_GAP, wait, None).ok()?;
        for (port, outcome) in order.iter().zip(&batch.outcomes) {
            let passed =
                outcome.first().is_some_and(|reply| matches!(reply.answer, Answer::SynAck | Answer::Ack));
            tries.entry(*port).or_default().push(passed);
        }
        if round + 1 < ROUND_COUNT {
            std::thread::sleep(RAW_ROUND.saturating_sub(begun.elapsed()));
        }
    }
    (!link.overflowed()).then_some(tries)
}

/// With the kernel's own sockets.
async fn connected(run: &Run, failing: &[u16]) -> Tries {
    let mut tries = Tries::new();
    for order in orders(&choose(failing)) {
        for (port, open) in once(run, &order).await {
            tries.entry(port).or_default().push(open);
        }
    }
    tries
}

fn choose(failing: &[u16]) -> Vec<u16> {
    let mut ports: Vec<u16> = failing.iter().copied().take(FAILED_COUNT_MAX).collect();
    let base = crate::tap::now_ns() / 1_000;
    for step in 0..PORT_COUNT as u64 {
        let port = PORT_FIRST + ((base + step * 977) % PORT_SPAN) as u16;
        if ports.len() < PORT_COUNT && !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

/// One round: every port once, all at once; a port this host cannot bind is left out.
async fn once(run: &Run, order: &[u16]) -> Vec<(u16, bool)> {
    let mut tasks = JoinSet::new();
    let wait = run.step.max(WAIT_MIN);
    for port in order.iter().copied() {
        tokio::time::sleep(PACE).await;
        // A RST at the end leaves no TIME_WAIT, so that the port is free for the next round.
        let plan = Plan { port: Some(port), abort: true, ..run.plan.clone() };
        // Started here and not in the task: the order of the SYNs matters.
        if let Ok(started) = start(&plan, run.address) {
            tasks.spawn(async move { (port, finish(started, wait).await.ended) });
        }
    }
    let mut results = Vec::new();
    while let Some(done) = tasks.join_next().await {
        if let Ok((port, ended)) = done
            && !matches!(ended, Ended::Local(_))
        {
            results.push((port, ended == Ended::Open));
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ports: &[[bool; ROUND_COUNT]]) -> Option<&'static str> {
        let tries = ports.iter().enumerate().map(|(port, t)| (port as u16, t.to_vec())).collect();
        judge(&tries).map(|(value, _)| value)
    }

    #[test]
    fn the_port_decides_only_when_it_always_does() {
        let (well, dead, mixed) = ([true; ROUND_COUNT], [false; ROUND_COUNT], [true, false, true]);
        assert_eq!(told(&[well, dead, well, dead, well, dead]), Some("decides"));
        assert_eq!(told(&[well, dead, well, dead, well, mixed, well, dead]), Some("decides"));
        assert_eq!(told(&[well, dead, mixed, dead, mixed, mixed, well, well]), Some("indifferent"));
        assert_eq!(told(&[well; 8]), Some("indifferent"));
        assert_eq!(told(&[dead; 8]), None);
        assert_eq!(told(&[well; 3]), None);
    }
}
