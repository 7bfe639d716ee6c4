//! The serving side of a helper process: standard input and output, until they close or the process is told to end.

use crate::error::EndError;
use crate::serve::{ServeOptions, serve};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What the process is called (proc(5), /proc/pid/comm).
const NAME: &str = "netwhy-end";

/// Serves whoever started this process. Both streams belong to the protocol from now on: what else the process
/// writes to standard output goes to standard error.
pub async fn serve_stdio(mut options: ServeOptions) -> Result<(), EndError> {
    // Started through a descriptor, it would be called by that one's number in every list of processes.
    let _ = std::fs::write("/proc/self/comm", NAME);
    let (reader, writer) = take_streams().map_err(EndError::broken)?;
    let (tell, stop) = watch::channel(false);
    options.stop = Some(stop);
    let mut served = std::pin::pin!(serve(reader, writer, options));
    tokio::select! {
        ended = served.as_mut() => return ended,
        told = told_to_end() => told.map_err(EndError::broken)?,
    }
    let _ = tell.send(true);
    served.await
}

/// Private copies of both streams; what was there before is harmless afterwards.
fn take_streams() -> io::Result<(tokio::fs::File, tokio::fs::File)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    // A pipe nobody writes to reads as empty, also where there is no null device.
    let (empty, _) = io::pipe()?;
    replace(&OwnedFd::from(empty), libc::STDIN_FILENO)?;
    replace(&io::stderr().as_fd().try_clone_to_owned()?, libc::STDOUT_FILENO)?;
    let stream = |descriptor| tokio::fs::File::from_std(File::from(descriptor));
    Ok((stream(input), stream(output)))
}

fn replace(by: &OwnedFd, number: libc::c_int) -> io::Result<()> {
    // SAFETY: dup2(2) takes two open descriptors; the replaced one is a standard stream, which nobody closes.
    if unsafe { libc::dup2(by.as_raw_fd(), number) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits for SIGTERM, SIGINT or SIGHUP.
async fn told_to_end() -> io::Result<()> {
    let (mut term, mut int, mut hup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        _ = hup.recv() => {}
    }
    Ok(())
}
