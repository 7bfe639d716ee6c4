//! The side over there: answers what the other side asks.

use crate::BoxFuture;
use crate::end::End;
use crate::error::EndError;
use crate::eyes::{Eyes, Lanes, snapshot};
use crate::frame::{EndFault, EndName, FaultCode, PROTOCOL_VERSION, Reply, Request, RunSpec};
use crate::hello::introduction;
use crate::line::Lines;
use crate::rate::Rate;
use crate::session::{Events, Handler, Incoming, MESSAGE_BYTES_MAX, Session, SessionLimits};
use netwhy_model::SavedCase;
use netwhy_model::host::Unread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// Requests answered at the same time.
const REQUESTS_AT_ONCE_MAX: usize = 16;
/// Cases run at the same time.
const RUNS_AT_ONCE_MAX: u32 = 2;
/// Largest budget of a case that is run for others, in milliseconds.
const BUDGET_MS_MAX: u64 = 600_000;
/// A run is given up this long after its budget, in milliseconds.
const OVERRUN_MS_MAX: u64 = 25_000;
/// Longest window of a snapshot, in milliseconds.
const WINDOW_MS_MAX: u64 = 60_000;
/// Ends one run may watch.
const ENDS_COUNT_MAX: usize = 16;

/// The engine, as an end needs it.
pub trait Runner: Send + Sync {
    /// Runs the case, watching the ends; `events` is told what is being asked.
    fn run(
        &self,
        spec: RunSpec,
        ends: Vec<(EndName, End)>,
        events: Events,
    ) -> BoxFuture<'_, Result<SavedCase, String>>;
}

/// What an end lets others do.
#[derive(Clone)]
pub struct ServeOptions {
    /// Runs cases; without one, [`Request::Run`] is refused.
    pub runner: Option<Arc<dyn Runner>>,
    /// Whether cases may name files of this host: roots, a client certificate.
    pub allow_files: bool,
    /// Whether watches may set up tracing of rules and drops and send the sources echo requests: the only
    /// things that are not just reading.
    pub allow_trace: bool,
    /// Reads the host.
    pub eyes: Arc<dyn Eyes>,
    /// The netwhy this is, for people: `netwhy 0.1.0`.
    pub program: String,
    /// Longest message taken, in bytes.
    pub message_bytes_max: usize,
    /// Requests taken a second; any number when unset.
    pub rate: Option<Rate>,
    /// The session ends after so many milliseconds without a message while nothing is being answered.
    pub idle_ms_max: Option<u64>,
    /// When it turns true the session ends from here, every watch undone.
    pub stop: Option<watch::Receiver<bool>>,
}

impl ServeOptions {
    /// For a helper that trusts whoever started it.
    pub fn new(eyes: Arc<dyn Eyes>, runner: Option<Arc<dyn Runner>>) -> ServeOptions {
        ServeOptions {
            runner,
            allow_files: true,
            allow_trace: true,
            eyes,
            program: concat!("netwhy ", env!("CARGO_PKG_VERSION")).to_owned(),
            message_bytes_max: MESSAGE_BYTES_MAX,
            rate: None,
            idle_ms_max: None,
            stop: None,
        }
    }
}

/// Answers until the other side closes the connection, which is the good end; then undoes every watch.
pub async fn serve<R, W>(reader: R, writer: W, options: ServeOptions) -> Result<(), EndError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let limits = SessionLimits {
        requests_at_once_max: REQUESTS_AT_ONCE_MAX,
        rate: options.rate,
        idle_ms_max: options.idle_ms_max,
    };
    let lines = Lines::new(reader, options.message_bytes_max);
    let stop = options.stop.clone();
    let served = Arc::new(Served {
        lanes: Lanes::new(Arc::clone(&options.eyes)),
        options,
        runs: AtomicU32::new(0),
        untraced: AtomicBool::new(false),
    });
    let handler: Handler = {
        let served = Arc::clone(&served);
        Arc::new(move |incoming| {
            let served = Arc::clone(&served);
            Box::pin(async move { served.answer(incoming).await })
        })
    };
    let session = Session::start(lines, writer, handler, limits);
    // Also when this future is dropped, the session must not go on without anybody.
    let _closer = CloseOnDrop(&session);
    let why = tokio::select! {
        why = session.ended() => why,
        () = stopped(stop) => EndError::Closed,
    };
    session.close();
    served.lanes.close().await;
    match why {
        EndError::Gone { .. } | EndError::Closed => Ok(()),
        why => Err(why),
    }
}

/// Waits until the session is to end from here, which may be never.
async fn stopped(stop: Option<watch::Receiver<bool>>) {
    if let Some(mut stop) = stop
        && stop.wait_for(|stop| *stop).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

struct CloseOnDrop<'a>(&'a Session);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// One served session.
struct Served {
    options: ServeOptions,
    lanes: Lanes,
    runs: AtomicU32,
    /// A watch asked for tracing and was begun without.
    untraced: AtomicBool,
}

impl Served {
    async fn answer(&self, incoming: Incoming) -> Result<Reply, EndFault> {
        if incoming.end.is_some() {
            return Err(EndFault::new(FaultCode::NoSuchEnd, "this end passes nothing on"));
        }
        let lane = incoming.lane;
        match incoming.request {
            Request::Hello { version: PROTOCOL_VERSION } => {
                Ok(Reply::Hello(introduction(&self.options.program)))
            }
            Request::Hello { version } => {
                let text = format!("it speaks version {PROTOCOL_VERSION} of the protocol, not {version}");
                Err(EndFault::new(FaultCode::Version, text))
            }
            Request::Watch { name, vantage, mut spec } => {
                let untraced = spec.trace && !self.options.allow_trace;
                spec.trace &= self.options.allow_trace;
                self.untraced.store(untraced, Ordering::SeqCst);
                self.lanes.watch(lane, name, vantage, spec).await.map(|()| Reply::Done)
            }
            Request::Look => self.look(lane).await,
            Request::Unwatch => self.lanes.unwatch(lane).await.map(|()| Reply::Done),
            Request::Snapshot { window_ms, logs } => {
                let seen = snapshot(&self.options.eyes, window_ms.min(WINDOW_MS_MAX), logs).await?;
                Ok(Reply::Snapshot(Box::new(seen)))
            }
            Request::Run(spec) => self.run(*spec, incoming.id, incoming.session).await,
        }
    }

    async fn look(&self, lane: u32) -> Result<Reply, EndFault> {
        let mut record = self.lanes.look(lane).await?;
        if self.untraced.load(Ordering::SeqCst) {
            let why = "this end sets up no tracing for others".to_owned();
            record.unread.push(Unread {
                what: "trace of rules and drops".to_owned(),
                why,
                root_helps: false,
            });
        }
        Ok(Reply::Record(Box::new(record)))
    }

    async fn run(&self, spec: RunSpec, id: u64, session: Session) -> Result<Reply, EndFault> {
        let Some(runner) = &self.options.runner else {
            return Err(EndFault::new(FaultCode::NotAllowed, "this end runs no cases for others"));
        };
        if !self.options.allow_files && (spec.case.client_cert.is_some() || spec.case.ca_file.is_some()) {
            let text = "this end reads no files for others: leave out --client-cert and --ca-file";
            return Err(EndFault::new(FaultCode::NotAllowed, text));
        }
        let budget_ms = spec.case.limits.budget_ms;
        if budget_ms > BUDGET_MS_MAX || spec.ends.len() > ENDS_COUNT_MAX {
            return Err(EndFault::new(
                FaultCode::NotAllowed,
                "the case asks for more time or ends than this end gives",
            ));
        }
        let _running = Running::begin(&self.runs)?;
        let ends = spec.ends.iter().map(|name| (name.clone(), End::relayed(name.clone(), session.clone())));
        let ends = ends.collect();
        let events: Events = Arc::new(move |text| session.event(id, text));
        let longest = Duration::from_millis(budget_ms + OVERRUN_MS_MAX);
        match tokio::time::timeout(longest, runner.run(spec, ends, events)).await {
            Ok(Ok(saved)) => Ok(Reply::Ran(Box::new(saved))),
            Ok(Err(why)) => Err(EndFault::new(FaultCode::Failed, why)),
            Err(_) => Err(EndFault::new(FaultCode::Failed, "the run took far longer than its budget")),
        }
    }
}

/// Counts one run while it lasts.
struct Running<'a>(&'a AtomicU32);

impl Running<'_> {
    fn begin(count: &AtomicU32) -> Result<Running<'_>, EndFault> {
        let running = Running(count);
        if count.fetch_add(1, Ordering::SeqCst) >= RUNS_AT_ONCE_MAX {
            return Err(EndFault::new(FaultCode::TooMany, "too many cases run at once"));
        }
        Ok(running)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
