//! A handle on one end: asks it to watch, to look, to run.

use crate::error::EndError;
use crate::frame::{EndName, Hello, PROTOCOL_VERSION, Reply, Request, RunSpec};
use crate::relay::Relay;
use crate::session::{Events, Session};
use crate::start::Said;
use netwhy_model::SavedCase;
use netwhy_model::host::{Record, Snapshot, WatchSpec};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for an introduction, in milliseconds.
const HELLO_MS_MAX: u64 = 10_000;
/// Longest wait for a watch to begin or to end, in milliseconds.
const WATCH_MS_MAX: u64 = 15_000;
/// Longest wait for what was seen so far, in milliseconds.
const LOOK_MS_MAX: u64 = 20_000;
/// Longest wait for a snapshot besides its window, in milliseconds.
const SNAPSHOT_MS_MAX: u64 = 30_000;
/// What a run may take besides its own budget, in milliseconds.
const RUN_MARGIN_MS: u64 = 30_000;

/// One open end. Clones speak to the same one.
#[derive(Clone)]
pub struct End {
    name: EndName,
    session: Session,
    /// Through the session to the end of this name, when it is not the session's own.
    via: Option<String>,
    lane: u32,
    /// What its program writes to standard error.
    said: Option<Said>,
    /// Which ends it may ask for through us while it runs a case.
    relay: Option<Arc<Relay>>,
}

impl End {
    /// The end at the other side of a session.
    pub(crate) fn direct(
        name: EndName,
        session: Session,
        said: Option<Said>,
        relay: Option<Arc<Relay>>,
    ) -> End {
        End { name, session, via: None, lane: 0, said, relay }
    }

    /// An end that the other side of the session passes requests on to.
    pub(crate) fn relayed(name: EndName, session: Session) -> End {
        let via = Some(name.name.clone());
        End { name, session, via, lane: 0, said: None, relay: None }
    }

    /// The same end, its watches kept apart from those of other lanes.
    pub(crate) fn in_lane(&self, lane: u32) -> End {
        End { lane, ..self.clone() }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// What it is called, and what that makes it.
    pub fn name(&self) -> &EndName {
        &self.name
    }

    /// Sends one request, waits as long as it may take.
    pub async fn call(&self, request: Request) -> Result<Reply, EndError> {
        self.ask(request, None).await
    }

    /// Who is there; another version of the protocol is refused.
    pub async fn hello(&self) -> Result<Hello, EndError> {
        match self.call(Request::Hello { version: PROTOCOL_VERSION }).await? {
            Reply::Hello(hello) if hello.version == PROTOCOL_VERSION => Ok(hello),
            Reply::Hello(hello) => Err(EndError::Version { theirs: hello.version, own: PROTOCOL_VERSION }),
            _ => Err(EndError::Unexpected),
        }
    }

    /// Begins to watch; when this returns, the watch is under way.
    pub async fn watch(&self, spec: WatchSpec) -> Result<(), EndError> {
        let EndName { name, vantage } = self.name.clone();
        self.done(Request::Watch { name, vantage, spec }).await
    }

    /// What the watch saw so far.
    pub async fn look(&self) -> Result<Record, EndError> {
        match self.call(Request::Look).await? {
            Reply::Record(record) => Ok(*record),
            _ => Err(EndError::Unexpected),
        }
    }

    /// Ends the watch; what it had set up over there is removed when this returns.
    pub async fn unwatch(&self) -> Result<(), EndError> {
        self.done(Request::Unwatch).await
    }

    /// Looks at the machine once.
    pub async fn snapshot(&self, window_ms: u64, logs: bool) -> Result<Snapshot, EndError> {
        match self.call(Request::Snapshot { window_ms, logs }).await? {
            Reply::Snapshot(snapshot) => Ok(*snapshot),
            _ => Err(EndError::Unexpected),
        }
    }

    /// Runs a whole case over there; `events` is told what is being asked.
    pub async fn run(&self, spec: RunSpec, events: Events) -> Result<SavedCase, EndError> {
        // While this lives, the other side may reach the ends of the case, and no others.
        let allowed = self.relay.as_ref().map(|relay| relay.allow(&spec.ends));
        let reply = self.ask(Request::Run(Box::new(spec)), Some(events)).await;
        if let Some(allowed) = allowed {
            allowed.end().await;
        }
        match reply? {
            Reply::Ran(saved) => Ok(*saved),
            _ => Err(EndError::Unexpected),
        }
    }

    async fn done(&self, request: Request) -> Result<(), EndError> {
        match self.call(request).await? {
            Reply::Done => Ok(()),
            _ => Err(EndError::Unexpected),
        }
    }

    async fn ask(&self, request: Request, events: Option<Events>) -> Result<Reply, EndError> {
        let wait = longest_wait(&request);
        let reply = self.session.call(self.via.as_deref(), self.lane, request, wait, events).await;
        match (reply, &self.said) {
            (Err(why), Some(said)) if why.wants_said() => Err(why.with_said(said.text().await)),
            (reply, _) => reply,
        }
    }
}

/// What is waited for, and how long.
fn longest_wait(request: &Request) -> (&'static str, Duration) {
    let (what, after_ms) = match request {
        Request::Hello { .. } => ("the introduction of the other side", HELLO_MS_MAX),
        Request::Watch { .. } => ("beginning to watch", WATCH_MS_MAX),
        Request::Look => ("reading what was seen", LOOK_MS_MAX),
        Request::Unwatch => ("ending the watch", WATCH_MS_MAX),
        Request::Snapshot { window_ms, .. } => {
            ("the look at the machine", SNAPSHOT_MS_MAX.saturating_add(*window_ms))
        }
        Request::Run(spec) => {
            ("the run over there", RUN_MARGIN_MS.saturating_add(spec.case.limits.budget_ms))
        }
    };
    (what, Duration::from_millis(after_ms))
}
