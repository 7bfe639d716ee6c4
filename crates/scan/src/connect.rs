//! The connect engine: asks ports with the kernel's own sockets, so that no privilege is needed.
//!
//! Sockets are nonblocking and used again and again; epoll tells which has an answer. The kernel's retry of a SYN
//! would hide a loss, so every question is given up before it and asked anew in a later pass. A silent port is called
//! filtered only after passes spread in time, and what this machine refuses itself is never taken for an answer.

mod answers;
mod engine;
pub(crate) mod limits;
mod pace;
mod passes;
mod peer;
mod slots;
pub(crate) mod socket;
mod trouble;

use crate::{Event, Plan, ScanError, Summary};
use std::sync::atomic::AtomicBool;

/// Runs a plan with the connect engine until it is done, `stop` is set, or its time is over.
pub fn run(plan: &Plan, stop: &AtomicBool, tell: &mut dyn FnMut(Event)) -> Result<Summary, ScanError> {
    engine::Engine::new(plan, tell)?.run(stop)
}
