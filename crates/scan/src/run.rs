//! The entry: which engine asks, and what to fall back to.

use crate::look::desk;
use crate::{Engine, Event, LookFor, Notice, Plan, Protocol, ScanError, Summary, connect, raw, udp};
use std::sync::atomic::AtomicBool;

/// Runs a plan: tells what it hears while it goes, and returns the whole in numbers.
///
/// `stop` ends it early, with a checkpoint where the plan has one. UDP has one engine; TCP is asked raw where the
/// privilege is there, else by ordinary connects, and the fall-back is told as [`Notice::FellBack`].
///
/// # Errors
/// See [`ScanError`]; what can be answered in part is a summary that is not complete, not an error.
pub fn scan(plan: &Plan, stop: &AtomicBool, tell: &mut dyn FnMut(Event)) -> Result<Summary, ScanError> {
    match &plan.look {
        Some(wanted) => {
            let (source, interface) = (plan.source, plan.interface.clone());
            let wanted = LookFor { source, interface, ..wanted.clone() };
            desk::run(plan, &wanted, stop, tell, &mut |tell| ask(plan, stop, tell))
        }
        None => ask(plan, stop, tell),
    }
}

/// Asks the ports, with whichever engine can.
fn ask(plan: &Plan, stop: &AtomicBool, tell: &mut dyn FnMut(Event)) -> Result<Summary, ScanError> {
    match (plan.protocol, plan.engine) {
        (Protocol::Udp, _) => udp::run(plan, stop, tell),
        (Protocol::Tcp, Engine::Raw) => raw::run(plan, stop, tell),
        (Protocol::Tcp, Engine::Connect) => connect::run(plan, stop, tell),
        (Protocol::Tcp, Engine::Best) => match raw::run(plan, stop, tell) {
            Err(error) if may_fall_back(&error) => {
                let (from, to) = ("raw".to_owned(), "connect".to_owned());
                tell(Event::Notice(Notice::FellBack { from, to, reason: error.to_string() }));
                connect::run(plan, stop, tell)
            }
            done => done,
        },
    }
}

/// Whether ordinary sockets may do what packet sockets could not; nothing has been asked yet then.
fn may_fall_back(error: &ScanError) -> bool {
    matches!(error, ScanError::Privilege { .. } | ScanError::System { .. })
}
