//! Whether failures follow the source port, as they do when one of several paths is dead.

use super::{PACE, Run};
use crate::connect::attempt::{Ended, Plan, finish, start};
use netwhy_model::{Evidence, Link};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// Source ports tried.
const PORT_COUNT: usize = 12;
/// Of those, ports that failed before.
const FAILED_COUNT_MAX: usize = 5;
/// Times each port is tried.
const ROUND_COUNT: usize = 3;
/// Shortest wait for one handshake.
const WAIT_MIN: Duration = Duration::from_millis(120);
/// First source port taken, below the usual ephemeral range.
const PORT_FIRST: u16 = 20_000;
const PORT_SPAN: u64 = 11_000;

/// Tries fixed source ports several times each, in another order every round.
pub(super) async fn ports(run: &Run, failing: &[u16]) -> Option<Evidence> {
    let ports = choose(failing);
    let mut passed: BTreeMap<u16, Vec<bool>> = BTreeMap::new();
    for round in 0..ROUND_COUNT {
        let mut order = ports.clone();
        // Another order each time, so that "the first ones pass" does not look like "these ports pass".
        order.rotate_left(round * PORT_COUNT / ROUND_COUNT);
        if round % 2 == 1 {
            order.reverse();
        }
        for (port, open) in once(run, &order).await {
            passed.entry(port).or_default().push(open);
        }
    }
    let tried: Vec<(&u16, &Vec<bool>)> =
        passed.iter().filter(|(_, tries)| tries.len() == ROUND_COUNT).collect();
    if tried.len() < PORT_COUNT / 2 {
        return None;
    }
    let always: Vec<u16> =
        tried.iter().filter(|(_, t)| t.iter().all(|p| *p)).map(|(port, _)| **port).collect();
    let never: Vec<u16> =
        tried.iter().filter(|(_, t)| t.iter().all(|p| !*p)).map(|(port, _)| **port).collect();
    let mixed = tried.len() - always.len() - never.len();
    let text = format!(
        "{} source ports, {ROUND_COUNT} tries each: {} always pass {:?}, {} never {:?}, {mixed} now and then",
        tried.len(),
        always.len(),
        always,
        never.len(),
        never
    );
    if mixed == 0 && always.len() >= 2 && never.len() >= 2 {
        return Some(run.fact("tcp.source_port", "decides", Link::Path, text));
    }
    (mixed > 0 || never.is_empty()).then(|| run.fact("tcp.source_port", "indifferent", Link::Path, text))
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
