//! Child processes: started by a thread that outlives none of them, kept, and ended with their whole group.

use super::{Reader, Writer};
use crate::error::EndError;
use crate::line::printable;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::{oneshot, watch};

/// What is kept of standard error, in bytes: its end.
const SAID_BYTES_MAX: usize = 4096;
/// What an error message repeats of it, in characters.
const SAID_CHARS_MAX: usize = 400;
/// Longest wait for the rest of standard error, in milliseconds.
const SAID_MS_MAX: u64 = 300;
/// A child whose input is closed may take so long to end, in milliseconds.
const END_MS_MAX: u64 = 2_000;
/// A child told to end may take so long more, in milliseconds.
const TERM_MS_MAX: u64 = 1_000;

/// A child with the streams to speak with it.
pub(crate) struct Started {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) said: Said,
    pub(crate) keeper: Keeper,
}

/// Starts children from one thread of its own. The kernel tells a child when the thread that started it ends,
/// and only a thread that lives as long as the process makes that mean the process.
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Spawner {
    pub(crate) fn new() -> Result<Spawner, EndError> {
        let (jobs, work) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let thread = std::thread::Builder::new().name("netwhy-ends".to_owned());
        thread
            .spawn(move || work.into_iter().for_each(|job| job()))
            .map_err(|source| EndError::Start { program: "a thread".to_owned(), source: Arc::new(source) })?;
        Ok(Spawner { jobs })
    }

    /// Starts a command in a process group of its own, its three streams piped.
    pub(crate) async fn spawn(&self, mut command: Command, shown: &str) -> Result<Started, EndError> {
        let failed =
            |source: io::Error| EndError::Start { program: shown.to_owned(), source: Arc::new(source) };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C goes to the terminal's group; we end our children in order.
        command.process_group(0).kill_on_drop(true);
        end_with_parent(&mut command);
        let (give, take) = oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        let job = Box::new(move || {
            let _inside = runtime.enter();
            let _ = give.send(command.spawn());
        });
        let gone = || io::Error::other("the thread that starts programs is gone");
        self.jobs.send(job).map_err(|_| failed(gone()))?;
        let child = take.await.unwrap_or_else(|_| Err(gone())).map_err(failed)?;
        Started::of(child).ok_or_else(|| failed(io::Error::other("it has no streams")))
    }
}

/// Has the kernel end the child when this process dies, however that happens.
fn end_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let told = move || {
        // SAFETY: prctl(2) and getppid(2) are async-signal-safe and touch no memory of ours.
        let (set, seen) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM), libc::getppid()) };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        // It died before the line above took effect.
        if u32::try_from(seen) != Ok(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: the closure makes two system calls and allocates nothing, so it may run between fork and exec.
    unsafe { command.pre_exec(told) };
}

impl Started {
    fn of(mut child: Child) -> Option<Started> {
        let (reader, writer, stderr) = (child.stdout.take()?, child.stdin.take()?, child.stderr.take()?);
        let said = Said::of(stderr);
        Some(Started { reader: Box::new(reader), writer: Box::new(writer), said, keeper: Keeper::of(child)? })
    }
}

/// What a program writes to standard error: the end of it.
#[derive(Clone)]
pub(crate) struct Said {
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: watch::Receiver<bool>,
}

impl Said {
    fn of(mut stderr: ChildStderr) -> Said {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = watch::channel(false);
        let kept = Arc::clone(&bytes);
        tokio::spawn(async move {
            let mut block = [0u8; 1024];
            while let Ok(count @ 1..) = stderr.read(&mut block).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&block[..count]);
                let surplus = kept.len().saturating_sub(SAID_BYTES_MAX);
                kept.drain(..surplus);
            }
            let _ = end.send(true);
        });
        Said { bytes, ended }
    }

    /// All of it that is printable, after a short wait for the rest.
    pub(crate) async fn text(&self) -> String {
        let mut ended = self.ended.clone();
        let _ = tokio::time::timeout(Duration::from_millis(SAID_MS_MAX), ended.wait_for(|end| *end)).await;
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let text = printable(&String::from_utf8_lossy(&bytes), SAID_BYTES_MAX);
        // What went wrong stands last.
        let surplus = text.chars().count().saturating_sub(SAID_CHARS_MAX);
        match surplus {
            0 => text,
            _ => format!("…{}", text.chars().skip(surplus).collect::<String>()),
        }
    }
}

/// Ends a child and its process group, at the latest when dropped.
pub(crate) struct Keeper {
    group: libc::pid_t,
    ended: watch::Receiver<bool>,
}

impl Keeper {
    fn of(mut child: Child) -> Option<Keeper> {
        let group = libc::pid_t::try_from(child.id()?).ok()?;
        let (end, ended) = watch::channel(false);
        tokio::spawn(async move {
            let _ = child.wait().await;
            let _ = end.send(true);
        });
        Some(Keeper { group, ended })
    }

    /// Fires when the child has ended.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.ended.clone()
    }

    /// Waits for the child, whose input is closed, to end by itself; then less and less patiently.
    pub(crate) async fn close(self) {
        for (longest_ms, signal) in [(END_MS_MAX, libc::SIGTERM), (TERM_MS_MAX, libc::SIGKILL)] {
            let mut ended = self.ended.clone();
            let wait = ended.wait_for(|end| *end);
            if tokio::time::timeout(Duration::from_millis(longest_ms), wait).await.is_ok() {
                return;
            }
            self.signal(signal);
        }
    }

    fn signal(&self, signal: libc::c_int) {
        // Once it was waited for, its number may be somebody else's.
        if !*self.ended.borrow() {
            // SAFETY: kill(2) takes two numbers; the group is that of our own child, not waited for yet.
            unsafe { libc::kill(-self.group, signal) };
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.signal(libc::SIGTERM);
    }
}
