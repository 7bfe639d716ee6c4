//! Runs a helper program with a limit on its time and output. It never hangs.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Where helper programs are looked for: a search path of the environment is not trusted.
const FOLDERS: [&str; 6] =
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/current-system/sw/bin"];

/// How a program came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    Badly,
    /// Ended by us: it took too long.
    TooSlow,
    /// Ended by us: it said too much.
    TooMuch,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ended::Well => "it ended well",
            Ended::Badly => "it ended with an error",
            Ended::TooSlow => "it took too long and was ended",
            Ended::TooMuch => "it wrote too much and was ended",
        })
    }
}

/// What a program wrote, and its end.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) text: String,
    pub(crate) ended: Ended,
}

/// Runs a program of the system without input; what it wrote until its end or ours is kept.
pub(crate) fn run(program: &str, arguments: &[&str], wait_ms: u64, bytes_max: usize) -> io::Result<Output> {
    let until = Instant::now() + Duration::from_millis(wait_ms);
    let path = FOLDERS
        .iter()
        .map(|folder| std::path::Path::new(folder).join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the program is not installed"))?;
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A group of its own: whatever it starts ends with it.
        .process_group(0)
        .spawn()?;
    let Some(mut stdout) = child.stdout.take() else { return Err(io::Error::other("no pipe to it")) };
    let (bytes, stopped) = read_until(&mut stdout, until, bytes_max);
    let ended = match stopped {
        Some(ended) => {
            end(&mut child);
            ended
        }
        None => wait(&mut child, until),
    };
    Ok(Output { text: String::from_utf8_lossy(&bytes).into_owned(), ended })
}

fn read_until(stdout: &mut ChildStdout, until: Instant, bytes_max: usize) -> (Vec<u8>, Option<Ended>) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut ready = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, timeout) {
            Ok(0) => return (bytes, Some(Ended::TooSlow)),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => return (bytes, Some(Ended::Badly)),
        }
        match stdout.read(&mut buffer) {
            Ok(0) => return (bytes, None),
            Ok(length) => bytes.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return (bytes, Some(Ended::Badly)),
        }
        if bytes.len() > bytes_max {
            return (bytes, Some(Ended::TooMuch));
        }
    }
}

/// Its output is at its end; it itself is, or will be in a moment.
fn wait(child: &mut Child, until: Instant) -> Ended {
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ended::Well,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
            Ok(None) => {
                end(child);
                return Ended::TooSlow;
            }
            _ => return Ended::Badly,
        }
    }
}

fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ =
            nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_told_apart() {
        let well = run("echo", &["hello"], 2_000, 100).unwrap();
        assert_eq!((well.text.as_str(), well.ended), ("hello\n", Ended::Well));
        assert_eq!(run("false", &[], 2_000, 100).unwrap().ended, Ended::Badly);
        assert_eq!(run("yes", &[], 2_000, 1_000).unwrap().ended, Ended::TooMuch);
        assert!(run("no-such-program-here", &[], 100, 100).is_err());
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let started = Instant::now();
        assert_eq!(run("sleep", &["30"], 50, 100).unwrap().ended, Ended::TooSlow);
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
