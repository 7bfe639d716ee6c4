//! The thread of a watch: drains the tap, looks at queues while packets come, sleeps while none do.

use super::drops::Drops;
use super::queues::Queues;
use super::ring::wait;
use super::tap::Tap;
use netwhy_model::host::{Unread, WatchSpec};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Least time between two drains: under load a few thousand packets wait together.
const DRAIN_EVERY: Duration = Duration::from_millis(10);
/// How often queues are looked at while packets come, and without a tap always.
const BEAT: Duration = Duration::from_millis(50);
/// Without a tap nothing says when packets come, so the beat is slower.
const BEAT_BLIND: Duration = Duration::from_millis(100);
/// So long after the last packet the queues are still looked at.
const RESTLESS: Duration = Duration::from_secs(3);
/// While nothing comes the thread sleeps; it wakes now and then all the same.
const SLEEP: Duration = Duration::from_secs(600);

/// What the thread and a look share.
#[derive(Debug)]
pub(super) struct Live {
    pub tap: Option<Tap>,
    pub queues: Queues,
    pub drops: Option<Drops>,
    /// What could not be set up.
    pub unread: Vec<Unread>,
}

impl Live {
    pub(super) fn new(spec: &WatchSpec) -> Live {
        Live { tap: None, queues: Queues::new(spec.port, spec.udp), drops: None, unread: Vec::new() }
    }

    /// Takes what waits; true when there was something.
    pub(super) fn drain(&mut self) -> bool {
        if let Some(drops) = &mut self.drops {
            drops.drain();
        }
        self.tap.as_mut().is_some_and(|tap| tap.drain() > 0)
    }
}

/// Locks what is shared; a thread that panicked leaves it usable.
pub(super) fn lock(live: &Mutex<Live>) -> MutexGuard<'_, Live> {
    live.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Pulse {
    _stop: UnixStream,
}

impl Pulse {
    /// Starts the thread.
    pub(super) fn start(live: &Arc<Mutex<Live>>) -> io::Result<Pulse> {
        let (stop, stopped) = UnixStream::pair()?;
        let live = Arc::clone(live);
        Builder::new().name("netwhy-tap".to_owned()).spawn(move || run(&live, &stopped))?;
        Ok(Pulse { _stop: stop })
    }
}

/// Runs until the other end of `stopped` is closed.
///
/// This thread is mostly the last to hold the tap, and so the one that waits while the kernel closes it.
fn run(live: &Mutex<Live>, stopped: &UnixStream) {
    let stopped = stopped.as_raw_fd();
    let tap: Option<RawFd> = lock(live).tap.as_ref().map(Tap::descriptor);
    let mut last_packet: Option<Instant> = None;
    loop {
        let restless = last_packet.is_some_and(|at| at.elapsed() < RESTLESS);
        match tap {
            Some(tap) => wait(&[stopped, tap], if restless { BEAT } else { SLEEP }),
            None => wait(&[stopped], BEAT_BLIND),
        };
        if wait(&[stopped], Duration::ZERO) {
            return;
        }
        let now = Instant::now();
        let mut live = lock(live);
        if live.drain() {
            last_packet = Some(now);
        }
        if tap.is_none() || last_packet.is_some_and(|at| now.duration_since(at) < RESTLESS) {
            live.queues.sample(now);
        }
        drop(live);
        if tap.is_some() && wait(&[stopped], DRAIN_EVERY) {
            return;
        }
    }
}
