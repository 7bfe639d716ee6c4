//! The UDP engine: asks services in their own words, since most of them answer nothing else.
//!
//! One unconnected socket for each port asked, at most 256 of a family, hears answers and, through its error queue,
//! ICMP errors with their sender, so no privilege is needed. Silence is what UDP does: a silent port is filtered or
//! open, and after a host was seen to limit its ICMP errors not even that is known.

mod engine;
mod payload;

use crate::{Event, Plan, ScanError, Summary};
use std::sync::atomic::AtomicBool;

/// Runs a UDP plan until it is done, `stop` is set, or its time is over.
pub fn run(plan: &Plan, stop: &AtomicBool, tell: &mut dyn FnMut(Event)) -> Result<Summary, ScanError> {
    engine::Engine::new(plan, tell)?.run(stop)
}
