//! One address asked often enough to be sure, and no longer than needed.

use super::attempt::{Attempt, Ended, Plan, attempt, finish_by, start};
use netwhy_model::Source;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A router that waits for ARP says so after 3.06 s; the kernel's third SYN has left by then.
const WAIT_SILENT: Duration = Duration::from_millis(3_300);
/// After so long without an answer, further attempts and witnesses join in.
const PATIENCE: Duration = Duration::from_millis(350);
/// Enough for a SYN and its retry one second later, where the host is known to be up.
const WAIT_ALIVE: Duration = Duration::from_millis(1_850);
/// What is still under way when the host proves to be up gets at least this.
const GRACE: Duration = Duration::from_millis(300);
/// Attempts that join in while the first is silent.
const EXTRA_COUNT: usize = 3;
/// Handshakes after a first that opened.
const AGAIN_COUNT: usize = 2;
/// Unlikely ports whose answer proves that the host is up.
const WITNESS_COUNT: usize = 3;

/// All attempts on one address.
#[derive(Debug)]
pub(super) struct Asked {
    pub address: SocketAddr,
    pub attempts: Vec<Attempt>,
    /// An unrelated port of the host answered while the target's was silent.
    pub alive: bool,
}

/// Asks one address.
pub(super) async fn ask(source: Arc<Source>, address: SocketAddr) -> Asked {
    let plan = Plan::new(&source);
    let began = Instant::now();
    let started = match start(&plan, address) {
        Ok(started) => started,
        Err(failed) => return Asked { address, attempts: vec![*failed], alive: false },
    };
    let (mover, deadline) = watch::channel(began + WAIT_SILENT);
    let mut tasks = JoinSet::new();
    tasks.spawn(finish_by(started, deadline.clone()));
    match tokio::time::timeout(PATIENCE, tasks.join_next()).await {
        Ok(Some(Ok(mut done))) => {
            done.close();
            let alive = matches!(done.ended, Ended::Open | Ended::Refused);
            let more = confirm(&plan, address, &done).await;
            let mut attempts = vec![done];
            attempts.extend(more);
            Asked { address, attempts, alive }
        }
        Ok(_) => Asked { address, attempts: Vec::new(), alive: false },
        Err(_) => linger(&plan, address, tasks, began, &mover).await,
    }
}

/// Repeats what ended at once: two more handshakes, or one more refusal.
async fn confirm(plan: &Plan, address: SocketAddr, first: &Attempt) -> Vec<Attempt> {
    let count = match first.ended {
        Ended::Open => AGAIN_COUNT,
        Ended::Refused | Ended::Rejected(_) => 1,
        Ended::Silent | Ended::Local(_) => return Vec::new(),
    };
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let plan = plan.clone();
        tasks.spawn(async move { attempt(&plan, address, WAIT_ALIVE).await });
    }
    collect(&mut tasks).await
}

/// The first attempt is silent so far: others join in, from other source ports, beside witnesses.
async fn linger(
    plan: &Plan,
    address: SocketAddr,
    mut tasks: JoinSet<Attempt>,
    began: Instant,
    mover: &watch::Sender<Instant>,
) -> Asked {
    let mut attempts = Vec::new();
    for _ in 0..EXTRA_COUNT {
        match start(plan, address) {
            Ok(started) => drop(tasks.spawn(finish_by(started, mover.subscribe()))),
            Err(failed) => attempts.push(*failed),
        }
    }
    let mut witnesses = JoinSet::new();
    for port in unlikely_ports(address.port(), WITNESS_COUNT) {
        if let Ok(started) = start(plan, SocketAddr::new(address.ip(), port)) {
            witnesses.spawn(finish_by(started, mover.subscribe()));
        }
    }
    let mut alive = false;
    while !tasks.is_empty() {
        tokio::select! {
            Some(done) = tasks.join_next() => {
                if let Ok(mut one) = done {
                    one.close();
                    alive |= matches!(one.ended, Ended::Open | Ended::Refused);
                    attempts.push(one);
                }
            }
            Some(done) = witnesses.join_next(), if !witnesses.is_empty() => {
                alive |= done.is_ok_and(|witness| proves_alive(&witness, address));
            }
        }
        if alive {
            let sooner = (began + WAIT_ALIVE).max(Instant::now() + GRACE);
            mover.send_if_modified(|until| {
                let moves = sooner < *until;
                *until = sooner.min(*until);
                moves
            });
        }
    }
    attempts.sort_by_key(|a| a.started_ns);
    Asked { address, attempts, alive }
}

/// A RST or a SYN-ACK of another port, or an ICMP error the target itself sent.
fn proves_alive(witness: &Attempt, address: SocketAddr) -> bool {
    match witness.ended {
        Ended::Open | Ended::Refused => true,
        Ended::Rejected(error) => error.from == Some(address.ip()),
        Ended::Silent | Ended::Local(_) => false,
    }
}

pub(crate) async fn collect(tasks: &mut JoinSet<Attempt>) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    while let Some(done) = tasks.join_next().await {
        if let Ok(mut one) = done {
            one.close();
            attempts.push(one);
        }
    }
    attempts
}

/// High ports hardly anyone listens on, another set on each run.
pub(crate) fn unlikely_ports(not: u16, count: usize) -> Vec<u16> {
    let mut state = crate::tap::now_ns() | 1;
    let mut ports = Vec::with_capacity(count);
    for _ in 0..count * 8 {
        if ports.len() == count {
            break;
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Above the usual ephemeral range of Linux, so no client socket of the peer is hit.
        let port = 61_200 + ((state >> 33) % 4_000) as u16;
        if port != not && !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}
