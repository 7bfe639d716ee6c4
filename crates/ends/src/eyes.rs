//! What an end reads of its host, and the threads that read it.

use crate::frame::{EndFault, FaultCode};
use netwhy_model::Vantage;
use netwhy_model::host::{Record, Snapshot, WatchSpec};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;

/// Watches one session may have at the same time.
const LANE_COUNT_MAX: usize = 8;
/// Looks that may wait for their turn in one watch.
const LOOK_COUNT_MAX: usize = 4;
/// Longest wait for a watch to undo what it set up, in milliseconds.
const UNDO_MS_MAX: u64 = 10_000;

/// Reads a host. Everything here may block.
pub trait Eyes: Send + Sync {
    /// Begins to watch; returns once the watch sees packets.
    fn watch(&self, name: &str, vantage: Vantage, spec: &WatchSpec) -> Box<dyn Watching>;
    /// Looks once.
    fn snapshot(&self, window_ms: u64, logs: bool) -> Snapshot;
}

/// A watch under way; dropping it undoes what it set up. It stays in the thread that began it.
pub trait Watching {
    /// What was seen since the watch began.
    fn look(&mut self) -> Record;
}

/// Looks once, in a thread that may block.
pub(crate) async fn snapshot(eyes: &Arc<dyn Eyes>, window_ms: u64, logs: bool) -> Result<Snapshot, EndFault> {
    let eyes = Arc::clone(eyes);
    tokio::task::spawn_blocking(move || eyes.snapshot(window_ms, logs))
        .await
        .map_err(|_| EndFault::new(FaultCode::Failed, "the look at the machine broke off"))
}

/// The watches of one session, one thread each.
pub(crate) struct Lanes {
    eyes: Arc<dyn Eyes>,
    lanes: Mutex<HashMap<u32, Lane>>,
}

struct Lane {
    /// Asks the thread to look; when dropped the thread ends its watch.
    looks: mpsc::SyncSender<oneshot::Sender<Record>>,
    /// Fires when the thread has undone everything.
    undone: oneshot::Receiver<()>,
}

impl Lanes {
    pub(crate) fn new(eyes: Arc<dyn Eyes>) -> Lanes {
        Lanes { eyes, lanes: Mutex::default() }
    }

    /// Begins to watch; a watch under way in this lane ends first.
    pub(crate) async fn watch(
        &self,
        lane: u32,
        name: String,
        vantage: Vantage,
        spec: WatchSpec,
    ) -> Result<(), EndFault> {
        let before = self.lanes().remove(&lane);
        if let Some(before) = before {
            undo(before).await?;
        }
        let (looks, asked) = mpsc::sync_channel(LOOK_COUNT_MAX);
        let (ready, begun) = oneshot::channel();
        let (done, undone) = oneshot::channel();
        let eyes = Arc::clone(&self.eyes);
        let thread = std::thread::Builder::new().name("netwhy-watch".to_owned()).spawn(move || {
            let mut watching = eyes.watch(&name, vantage, &spec);
            let _ = ready.send(());
            attend(watching.as_mut(), &asked);
            drop(watching);
            let _ = done.send(());
        });
        thread
            .map_err(|error| EndFault::new(FaultCode::Failed, format!("cannot start a thread: {error}")))?;
        {
            let mut lanes = self.lanes();
            if lanes.len() >= LANE_COUNT_MAX {
                return Err(EndFault::new(FaultCode::TooMany, "too many watches at once"));
            }
            lanes.insert(lane, Lane { looks, undone });
        }
        begun.await.map_err(|_| EndFault::new(FaultCode::Failed, "the watch broke off as it began"))
    }

    pub(crate) async fn look(&self, lane: u32) -> Result<Record, EndFault> {
        let (answer, record) = oneshot::channel();
        let asked = match self.lanes().get(&lane) {
            Some(lane) => lane.looks.try_send(answer),
            None => return Err(EndFault::new(FaultCode::NotWatching, "nothing is being watched")),
        };
        asked.map_err(|error| match error {
            mpsc::TrySendError::Full(_) => EndFault::new(FaultCode::TooMany, "too many looks at once"),
            mpsc::TrySendError::Disconnected(_) => EndFault::new(FaultCode::Failed, "the watch broke off"),
        })?;
        record.await.map_err(|_| EndFault::new(FaultCode::Failed, "the watch broke off"))
    }

    pub(crate) async fn unwatch(&self, lane: u32) -> Result<(), EndFault> {
        let lane = self.lanes().remove(&lane);
        match lane {
            Some(lane) => undo(lane).await,
            None => Err(EndFault::new(FaultCode::NotWatching, "nothing is being watched")),
        }
    }

    /// Ends every watch.
    pub(crate) async fn close(&self) {
        let all: Vec<Lane> = self.lanes().drain().map(|(_, lane)| lane).collect();
        let (senders, threads): (Vec<_>, Vec<_>) =
            all.into_iter().map(|lane| (lane.looks, lane.undone)).unzip();
        drop(senders);
        for undone in threads {
            let _ = tokio::time::timeout(Duration::from_millis(UNDO_MS_MAX), undone).await;
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<u32, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks whenever asked, until nobody can ask any more.
fn attend(watching: &mut dyn Watching, asked: &mpsc::Receiver<oneshot::Sender<Record>>) {
    while let Ok(answer) = asked.recv() {
        // An asker that gave up needs no look.
        if !answer.is_closed() {
            let _ = answer.send(watching.look());
        }
    }
}

/// Waits until the watch is gone with all it set up.
async fn undo(lane: Lane) -> Result<(), EndFault> {
    drop(lane.looks);
    match tokio::time::timeout(Duration::from_millis(UNDO_MS_MAX), lane.undone).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(EndFault::new(FaultCode::Failed, "the watch broke off")),
        Err(_) => Err(EndFault::new(FaultCode::Failed, "the watch does not end")),
    }
}
