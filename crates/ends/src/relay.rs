//! Passes requests of an end that runs a case on to the ends of that case, and to no others.

use crate::end::End;
use crate::error::EndError;
use crate::frame::{EndFault, EndName, FaultCode, Reply, Request, RunSpec};
use crate::session::Events;
use netwhy_model::Vantage;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Every open end by its name.
pub(crate) type Table = Mutex<HashMap<String, End>>;

/// What one end may reach through us.
pub(crate) struct Relay {
    /// Its watches are kept apart from ours and from those of other relays.
    lane: u32,
    table: Weak<Table>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Names with the number of runs that need them.
    allowed: HashMap<String, u32>,
    /// Ends it left a watch at.
    watched: HashSet<String>,
}

impl Relay {
    pub(crate) fn new(lane: u32, table: &Arc<Table>) -> Arc<Relay> {
        Arc::new(Relay { lane, table: Arc::downgrade(table), state: Mutex::default() })
    }

    /// Lets the ends be reached until what is returned is dropped.
    pub(crate) fn allow(self: &Arc<Relay>, ends: &[EndName]) -> Allowed {
        let names: Vec<String> = ends.iter().map(|end| end.name.clone()).collect();
        let mut state = self.state();
        for name in &names {
            *state.allowed.entry(name.clone()).or_default() += 1;
        }
        Allowed { relay: Arc::clone(self), names }
    }

    /// Passes one request on and gives the answer back.
    pub(crate) async fn pass(&self, name: &str, request: Request) -> Result<Reply, EndFault> {
        if !matches!(
            request,
            Request::Hello { .. }
                | Request::Watch { .. }
                | Request::Look
                | Request::Unwatch
                | Request::Snapshot { .. }
                | Request::Run(_)
        ) {
            return Err(EndFault::new(
                FaultCode::NotAllowed,
                "only what watches, looks and runs is passed on",
            ));
        }
        let end = self.end(name)?;
        if let Request::Run(spec) = request {
            return self.pass_run(&end, *spec).await;
        }
        match request {
            Request::Watch { .. } => drop(self.state().watched.insert(name.to_owned())),
            Request::Unwatch => drop(self.state().watched.remove(name)),
            _ => {}
        }
        end.call(request).await.map_err(|error: EndError| error.to_fault())
    }

    /// A node in front asks its origin: the one case a run may start elsewhere, and only with ends of its own.
    async fn pass_run(&self, end: &End, spec: RunSpec) -> Result<Reply, EndFault> {
        let known = |ends: &[EndName]| {
            let state = self.state();
            ends.iter().all(|end| state.allowed.contains_key(&end.name))
        };
        if end.name().vantage != Vantage::Edge || !known(&spec.ends) {
            return Err(EndFault::new(FaultCode::NotAllowed, "a run is passed on to the node in front only"));
        }
        let quiet: Events = Arc::new(|_: &str| {});
        let saved = end.run(spec, quiet).await.map_err(|error| error.to_fault())?;
        Ok(Reply::Ran(Box::new(saved)))
    }

    /// The end, when a run of the asker needs it.
    fn end(&self, name: &str) -> Result<End, EndFault> {
        let unknown = || EndFault::new(FaultCode::NoSuchEnd, format!("no end {name:?} belongs to this run"));
        if !self.state().allowed.contains_key(name) {
            return Err(unknown());
        }
        let table = self.table.upgrade().ok_or_else(unknown)?;
        let end = table.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        end.map(|end| end.in_lane(self.lane)).ok_or_else(unknown)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends may be reached while this lives; then watches left behind are ended.
pub(crate) struct Allowed {
    relay: Arc<Relay>,
    names: Vec<String>,
}

impl Allowed {
    /// Ends the watches left behind, so that the next run's are not taken for them.
    pub(crate) async fn end(mut self) {
        for end in self.left() {
            // What cannot be ended ends with the session.
            let _ = end.unwatch().await;
        }
    }

    /// The ends that nobody needs any more and that still watch.
    fn left(&mut self) -> Vec<End> {
        let mut left = Vec::new();
        for name in std::mem::take(&mut self.names) {
            let end = self.relay.end(&name);
            let mut state = self.relay.state();
            let needed = state.allowed.get_mut(&name).map_or(0, |count| {
                *count -= 1;
                *count
            });
            if needed > 0 {
                continue;
            }
            state.allowed.remove(&name);
            if let (true, Ok(end)) = (state.watched.remove(&name), end) {
                left.push(end);
            }
        }
        left
    }
}

impl Drop for Allowed {
    /// Where the run was given up, nobody waits for the end of its watches.
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        for end in self.left() {
            runtime.spawn(async move { end.unwatch().await });
        }
    }
}
