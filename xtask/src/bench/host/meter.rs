//! What a program costs: wall and processor time, peak memory; and a terminal for one that wants one.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Rows and columns of the terminal.
const TERMINAL_SIZE: (u16, u16) = (40, 120);
/// Output that pauses for so long ends a drawing, in milliseconds.
const DRAWING_PAUSE_MS: u64 = 50;
/// How long a program may take to end when asked, in milliseconds.
const END_MS_MAX: u64 = 10_000;
/// The processor time of `/proc/PID/stat` counts in such parts of a second.
const TICKS_PER_S: f64 = 100.0;

/// What one run of a program cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub wall_ms: f64,
    /// With everything it started.
    pub cpu_ms: f64,
    pub peak_mb: f64,
}

/// Runs a program to its end, its output thrown away; its exit code must be one of `codes`.
pub fn run(program: &Path, words: &[&str], codes: &[i32]) -> Result<Cost> {
    let name = || format!("{} {}", program.display(), words.join(" "));
    let began = Instant::now();
    let child = silent(program, words).spawn().with_context(|| format!("starting {}", name()))?;
    let pid = libc::pid_t::try_from(child.id()).context("a process id beyond its type")?;
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right type, and nobody else waits for this child.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    let wall_ms = began.elapsed().as_secs_f64() * 1e3;
    if waited != pid {
        return Err(std::io::Error::last_os_error()).context("waiting for a program");
    }
    if !libc::WIFEXITED(status) || !codes.contains(&libc::WEXITSTATUS(status)) {
        bail!("{} ended with status {status:#x}", name());
    }
    let ms = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3;
    Ok(Cost {
        wall_ms,
        cpu_ms: ms(usage.ru_utime) + ms(usage.ru_stime),
        peak_mb: megabytes(usage.ru_maxrss as f64),
    })
}

/// A program that runs on while it is measured; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    drawn: Arc<AtomicU64>,
}

impl Running {
    /// Starts a program without input or output.
    pub fn start(program: &Path, words: &[&str]) -> Result<Running> {
        let child = silent(program, words).spawn().context("starting what is measured")?;
        Ok(Running { child, drawn: Arc::default() })
    }

    /// Starts a program on a terminal of its own, whose output is read and thrown away.
    pub fn on_terminal(program: &Path, words: &[&str]) -> Result<Running> {
        let (master, slave) = terminal()?;
        let child = Command::new(program)
            .args(words)
            .env("TERM", "xterm-256color")
            .stdin(slave.try_clone().context("the terminal")?)
            .stdout(slave)
            .stderr(Stdio::null())
            .spawn()
            .context("starting what is measured")?;
        let drawn = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&drawn);
        // Ends with the program: a terminal nobody holds any more gives an error.
        std::thread::spawn(move || drain(master, &count));
        Ok(Running { child, drawn })
    }

    /// Processor time so far, with programs it ran, in milliseconds.
    pub fn cpu_ms(&self) -> Result<f64> {
        let pid = self.pid()?;
        let clock = clock_getcpuclockid(pid).context("its processor clock")?;
        let own = Duration::from(clock_gettime(clock).context("its processor time")?);
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("its processor time")?;
        // Behind the name in brackets; cutime and cstime are fields 16 and 17.
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields = rest.split_ascii_whitespace().skip(13).take(2);
        let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(own.as_secs_f64() * 1e3 + ticks * 1e3 / TICKS_PER_S)
    }

    /// The most memory it had so far.
    pub fn peak_mb(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.pid()?);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("VmHWM is no number")?;
        Ok(megabytes(kib))
    }

    /// How often it drew its screen so far.
    pub fn drawn(&self) -> u64 {
        self.drawn.load(Ordering::Relaxed)
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) -> Result<()> {
        kill(self.pid()?, Signal::SIGTERM).context("ending what was measured")?;
        let end = Instant::now() + Duration::from_millis(END_MS_MAX);
        while Instant::now() < end {
            if self.child.try_wait().context("waiting for what was measured")?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("what was measured did not end when asked")
    }

    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id()).context("a process id beyond its type")?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of the kernel's KiB.
fn megabytes(kib: f64) -> f64 {
    kib * 1024.0 / 1e6
}

fn silent(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn terminal() -> Result<(File, OwnedFd)> {
    let (ws_row, ws_col) = TERMINAL_SIZE;
    let size = libc::winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: the pointers are to live values, and null asks for no name and for the usual settings.
    let made = unsafe {
        libc::openpty(
            &raw mut master,
            &raw mut slave,
            std::ptr::null_mut(),
            std::ptr::null(),
            &raw const size,
        )
    };
    if made != 0 {
        return Err(std::io::Error::last_os_error()).context("opening a terminal");
    }
    // SAFETY: openpty gave two new descriptors that nobody else owns.
    Ok(unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) })
}

fn drain(mut master: File, drawn: &AtomicU64) {
    let mut buffer = [0; 65_536];
    let mut last: Option<Instant> = None;
    while let Ok(1..) = master.read(&mut buffer) {
        let pause = last.is_none_or(|last| last.elapsed() >= Duration::from_millis(DRAWING_PAUSE_MS));
        drawn.fetch_add(u64::from(pause), Ordering::Relaxed);
        last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_a_cost_and_an_exit_code() {
        let cost = run(Path::new("sh"), &["-c", "exit 1"], &[0, 1]).unwrap();
        assert!(cost.wall_ms > 0.0 && cost.peak_mb > 0.0);
        assert!(run(Path::new("sh"), &["-c", "exit 2"], &[0, 1]).is_err());
    }

    #[test]
    fn a_terminal_is_one_and_its_time_is_counted() {
        let script = "test -t 1 || exit; while :; do echo x; sleep 0.1; done";
        let running = Running::on_terminal(Path::new("sh"), &["-c", script]).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while running.drawn() < 2 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(running.drawn() >= 2 && running.cpu_ms().unwrap() > 0.0 && running.peak_mb().unwrap() > 0.0);
        running.end().unwrap();
    }
}
