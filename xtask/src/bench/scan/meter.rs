//! What one run of a scanner costs: wall and processor time, peak memory; cut where it takes too long.

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `nobody` and its group, who may do nothing special.
const NOBODY: u32 = 65_534;

/// What a run cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub wall_ms: f64,
    pub cpu_ms: f64,
    /// Of the largest process.
    pub peak_mb: f64,
    /// It was killed at the limit.
    pub cut: bool,
    /// As wait4 gives it.
    pub status: i32,
}

/// Runs a program to its end or the limit; what it says goes to two files.
pub fn run(
    program: &Path,
    words: &[String],
    privileged: bool,
    says: [&Path; 2],
    limit: Duration,
) -> Result<Cost> {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).process_group(0);
    command.stdout(File::create(says[0]).context("the output's file")?);
    command.stderr(File::create(says[1]).context("the messages' file")?);
    if !privileged {
        command.uid(NOBODY).gid(NOBODY);
    }
    if let Some(folder) = says[0].parent() {
        command.current_dir(folder);
    }
    let began = Instant::now();
    let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
    let pid = libc::pid_t::try_from(child.id()).context("a process id beyond its type")?;
    let cut = !ends_within(pid, limit)?;
    if cut {
        // The whole group: some scanners have helpers.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right type, and nobody else waits for this child.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    let wall_ms = began.elapsed().as_secs_f64() * 1e3;
    if waited != pid {
        return Err(std::io::Error::last_os_error()).context("waiting for a scanner");
    }
    let ms = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3;
    let cpu_ms = ms(usage.ru_utime) + ms(usage.ru_stime);
    Ok(Cost { wall_ms, cpu_ms, peak_mb: usage.ru_maxrss as f64 * 1024.0 / 1e6, cut, status })
}

/// Waits for a child's end without taking its status.
fn ends_within(pid: libc::pid_t, limit: Duration) -> Result<bool> {
    // SAFETY: plain system call; the descriptor is owned at once.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error()).context("watching a scanner");
    }
    // SAFETY: the descriptor is new and nobody else's.
    let watched = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut poll = libc::pollfd { fd: watched.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let wait_ms = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the pointer describes one live value.
        let ready = unsafe { libc::poll(&raw mut poll, 1, wait_ms) };
        if ready > 0 || left.is_zero() {
            return Ok(ready > 0);
        }
    }
}
