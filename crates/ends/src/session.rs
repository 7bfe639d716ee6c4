//! One connection to the other side: sends requests, matches replies, answers what the other side asks.

use crate::BoxFuture;
use crate::error::EndError;
use crate::frame::{EndFault, FaultCode, Frame, Reply, Request};
use crate::line::{Lines, printable};
use crate::rate::{Bucket, Rate};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Longest message of either side, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Lines that may wait to be written.
const OUTGOING_COUNT_MAX: usize = 64;
/// Longest wait for the other side to take one line, in milliseconds.
const WRITE_MS_MAX: u64 = 30_000;
/// Requests of ours that may wait for their reply.
const WAITING_COUNT_MAX: usize = 64;
/// Longest progress text, in characters.
const EVENT_CHARS_MAX: usize = 200;
/// Longest excerpt of a line that was no message, in characters.
const GARBAGE_CHARS_MAX: usize = 80;
/// Requests refused in a row before the session ends: that asker does not listen.
const REFUSED_COUNT_MAX: u32 = 1_000;

/// Takes progress texts of a run.
pub type Events = Arc<dyn Fn(&str) + Send + Sync>;

/// What one side allows the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionLimits {
    /// Requests of the other side answered at the same time.
    pub(crate) requests_at_once_max: usize,
    pub(crate) rate: Option<Rate>,
    /// Longest time without a line while nothing is being answered.
    pub(crate) idle_ms_max: Option<u64>,
}

/// A request of the other side.
pub(crate) struct Incoming {
    pub(crate) id: u64,
    pub(crate) end: Option<String>,
    pub(crate) lane: u32,
    pub(crate) request: Request,
    pub(crate) session: Session,
}

/// Answers requests of the other side.
pub(crate) type Handler = Arc<dyn Fn(Incoming) -> BoxFuture<'static, Result<Reply, EndFault>> + Send + Sync>;

/// A handle on the connection; the connection ends with [`Session::close`] or by the other side.
#[derive(Clone)]
pub(crate) struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` once closed from here.
    outgoing: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    waiting: Mutex<Waiting>,
    ended: watch::Sender<Option<EndError>>,
}

#[derive(Default)]
struct Waiting {
    last_id: u64,
    calls: HashMap<u64, Call>,
}

struct Call {
    answer: oneshot::Sender<Result<Reply, EndError>>,
    events: Option<Events>,
}

impl Session {
    /// Begins to read and write.
    pub(crate) fn start<R, W>(lines: Lines<R>, writer: W, handler: Handler, limits: SessionLimits) -> Session
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (outgoing, to_write) = mpsc::channel(OUTGOING_COUNT_MAX);
        let session = Session {
            inner: Arc::new(Inner {
                outgoing: Mutex::new(Some(outgoing)),
                waiting: Mutex::default(),
                ended: watch::channel(None).0,
            }),
        };
        tokio::spawn(write(writer, to_write, session.clone()));
        tokio::spawn(read(lines, handler, limits, session.clone()));
        session
    }

    /// Sends one request and waits for its reply.
    pub(crate) async fn call(
        &self,
        end: Option<&str>,
        lane: u32,
        request: Request,
        wait: (&'static str, Duration),
        events: Option<Events>,
    ) -> Result<Reply, EndError> {
        let (answer, answered) = oneshot::channel();
        let id = self.expect(Call { answer, events })?;
        // Forgets the call however this ends, also when the caller gives up.
        let _forget = Forget { session: self, id };
        let frame = Frame::Request { id, end: end.map(str::to_owned), lane, request };
        let (what, longest) = wait;
        let whole = async {
            self.send(&frame).await?;
            answered.await.unwrap_or_else(|_| Err(self.why_ended()))
        };
        let after_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        tokio::time::timeout(longest, whole).await.unwrap_or(Err(EndError::Timeout { what, after_ms }))
    }

    /// Tells the progress of the request with this id; dropped when the other side is slow to read.
    pub(crate) fn event(&self, id: u64, text: &str) {
        let frame = Frame::Event { id, text: printable(text, EVENT_CHARS_MAX) };
        if let (Some(outgoing), Ok(line)) = (self.outgoing(), self.line(&frame)) {
            let _ = outgoing.try_send(line);
        }
    }

    /// Ends the connection from here: the other side reads the end of its input.
    pub(crate) fn close(&self) {
        self.end(EndError::Closed);
    }

    /// Ends the connection because the other side is known to be gone.
    pub(crate) fn gone(&self) {
        self.end(EndError::Gone { said: String::new() });
    }

    /// Waits until the connection ended, and says why.
    pub(crate) async fn ended(&self) -> EndError {
        let mut ended = self.inner.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(EndError::Closed),
            Err(_) => EndError::Closed,
        }
    }

    fn expect(&self, call: Call) -> Result<u64, EndError> {
        let mut waiting = lock(&self.inner.waiting);
        // Looked at under the lock that `end` takes after setting it: no call is left behind.
        if let Some(why) = self.inner.ended.borrow().clone() {
            return Err(why);
        }
        if waiting.calls.len() >= WAITING_COUNT_MAX {
            return Err(EndError::Fault(EndFault::new(
                FaultCode::TooMany,
                "too many requests wait for an answer",
            )));
        }
        waiting.last_id += 1;
        let id = waiting.last_id;
        waiting.calls.insert(id, call);
        Ok(id)
    }

    async fn send(&self, frame: &Frame) -> Result<(), EndError> {
        let line = self.line(frame)?;
        let outgoing = self.outgoing().ok_or_else(|| self.why_ended())?;
        outgoing.send(line).await.map_err(|_| self.why_ended())
    }

    /// Answers the other side's request with this id.
    async fn answer(&self, id: u64, reply: Result<Reply, EndFault>) {
        let frame = Frame::Reply { id, reply: reply.map_err(tidy) };
        // Too long to be sent: the asker is told so.
        if let Err(why @ EndError::TooLong { .. }) = self.send(&frame).await {
            let _ = self.send(&Frame::Reply { id, reply: Err(why.to_fault()) }).await;
        }
    }

    fn line(&self, frame: &Frame) -> Result<Vec<u8>, EndError> {
        let unwritable = |_| EndError::Garbage { excerpt: "a value without a JSON form".to_owned() };
        let mut line = serde_json::to_vec(frame).map_err(unwritable)?;
        line.push(b'\n');
        // The other side would end the session; refusing here ends only the request.
        let bytes_max = MESSAGE_BYTES_MAX;
        if line.len() > bytes_max { Err(EndError::TooLong { bytes_max }) } else { Ok(line) }
    }

    fn outgoing(&self) -> Option<mpsc::Sender<Vec<u8>>> {
        lock(&self.inner.outgoing).clone()
    }

    fn why_ended(&self) -> EndError {
        self.inner.ended.borrow().clone().unwrap_or(EndError::Closed)
    }

    /// Ends everything; only the first reason counts.
    fn end(&self, why: EndError) {
        self.inner.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(why);
            }
            first
        });
        lock(&self.inner.outgoing).take();
        let calls = std::mem::take(&mut lock(&self.inner.waiting).calls);
        for (_, call) in calls {
            let _ = call.answer.send(Err(self.why_ended()));
        }
    }
}

struct Forget<'a> {
    session: &'a Session,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.session.inner.waiting).calls.remove(&self.id);
    }
}

/// Writes line by line until the session is closed.
async fn write<W: AsyncWrite + Unpin>(mut writer: W, mut lines: mpsc::Receiver<Vec<u8>>, session: Session) {
    let longest = Duration::from_millis(WRITE_MS_MAX);
    while let Some(line) = lines.recv().await {
        let whole = async {
            writer.write_all(&line).await?;
            writer.flush().await
        };
        match tokio::time::timeout(longest, whole).await {
            Ok(Ok(())) => {}
            // The reader sees the end as well, after everything that was still said before it.
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            Ok(Err(error)) => return session.end(EndError::broken(error)),
            Err(_) => return session.end(EndError::Stalled),
        }
    }
    let _ = tokio::time::timeout(longest, writer.shutdown()).await;
}

/// Reads line by line until the stream ends or says something wrong.
async fn read<R: AsyncRead + Unpin>(
    lines: Lines<R>,
    handler: Handler,
    limits: SessionLimits,
    session: Session,
) {
    let mut desk = Desk {
        tasks: JoinSet::new(),
        bucket: limits.rate.map(|rate| Bucket::new(rate, Instant::now())),
        refused: 0,
        handler,
        limits,
        session: session.clone(),
    };
    let why = tokio::select! {
        why = desk.work(lines) => why,
        why = session.ended() => why,
    };
    session.end(why);
    // What was being answered is of no use to anybody now.
    desk.tasks.shutdown().await;
}

/// Where requests of the other side are taken and handed on.
struct Desk {
    tasks: JoinSet<()>,
    bucket: Option<Bucket>,
    /// Requests refused since the last one taken.
    refused: u32,
    handler: Handler,
    limits: SessionLimits,
    session: Session,
}

impl Desk {
    /// Takes lines until there are no more, and says why.
    async fn work<R: AsyncRead + Unpin>(&mut self, mut lines: Lines<R>) -> EndError {
        loop {
            let line = match self.next(&mut lines).await {
                Ok(Some(line)) => line,
                Ok(None) => return EndError::Gone { said: String::new() },
                Err(why) => return why,
            };
            let Ok(frame) = serde_json::from_slice::<Frame>(line) else {
                let excerpt = printable(&String::from_utf8_lossy(line), GARBAGE_CHARS_MAX);
                return EndError::Garbage { excerpt };
            };
            if let Err(why) = self.take(frame) {
                return why;
            }
        }
    }

    async fn next<'a, R: AsyncRead + Unpin>(
        &mut self,
        lines: &'a mut Lines<R>,
    ) -> Result<Option<&'a [u8]>, EndError> {
        let Some(idle_ms_max) = self.limits.idle_ms_max else { return lines.next().await };
        let mut line = std::pin::pin!(lines.next());
        loop {
            // Reading the line goes on where it was; only the waiting is counted anew.
            match tokio::time::timeout(Duration::from_millis(idle_ms_max), line.as_mut()).await {
                Ok(line) => return line,
                Err(_) if self.busy() => {}
                Err(_) => return Err(EndError::Timeout { what: "the next message", after_ms: idle_ms_max }),
            }
        }
    }

    /// Whether something is still being answered.
    fn busy(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        !self.tasks.is_empty()
    }

    fn take(&mut self, frame: Frame) -> Result<(), EndError> {
        match frame {
            Frame::Reply { id, reply } => {
                let call = lock(&self.session.inner.waiting).calls.remove(&id);
                // A reply nobody waits for came after its time.
                if let Some(call) = call {
                    let _ = call.answer.send(reply.map_err(|fault| EndError::Fault(tidy(fault))));
                }
            }
            Frame::Event { id, text } => {
                let events = lock(&self.session.inner.waiting).calls.get(&id).and_then(|c| c.events.clone());
                if let Some(events) = events {
                    events(&printable(&text, EVENT_CHARS_MAX));
                }
            }
            Frame::Request { id, end, lane, request } => {
                let session = self.session.clone();
                return self.begin(Incoming { id, end, lane, request, session });
            }
        }
        Ok(())
    }

    fn begin(&mut self, incoming: Incoming) -> Result<(), EndError> {
        self.busy();
        let refusal = if self.tasks.len() >= self.limits.requests_at_once_max {
            Some("too many requests at once")
        } else if self.bucket.as_mut().is_some_and(|bucket| !bucket.take(Instant::now())) {
            Some("too many requests a second")
        } else {
            None
        };
        if let Some(text) = refusal {
            return self.refuse(incoming.id, text);
        }
        self.refused = 0;
        let (id, session) = (incoming.id, incoming.session.clone());
        let answering = (self.handler)(incoming);
        self.tasks.spawn(async move { session.answer(id, answering.await).await });
        Ok(())
    }

    fn refuse(&mut self, id: u64, text: &str) -> Result<(), EndError> {
        self.refused += 1;
        let frame = Frame::Reply { id, reply: Err(EndFault::new(FaultCode::TooMany, text)) };
        let line = self.session.line(&frame)?;
        let sent = self.session.outgoing().is_some_and(|outgoing| outgoing.try_send(line).is_ok());
        if sent && self.refused < REFUSED_COUNT_MAX { Ok(()) } else { Err(EndError::Stalled) }
    }
}

/// A fault whose text fits a message.
fn tidy(fault: EndFault) -> EndFault {
    /// Longest sentence of a fault, in characters.
    const FAULT_CHARS_MAX: usize = 400;
    EndFault { code: fault.code, text: printable(&fault.text, FAULT_CHARS_MAX) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
