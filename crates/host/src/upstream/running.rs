//! A running proxy: which program it is, where its configuration lies, and what it says of its servers.

use super::place::Place;
use super::{Configured, command, haproxy, nginx};
use crate::files::text_or_empty;
use crate::processes::{parse_cgroup, parse_stat, process};
use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the statistics of a haproxy are waited for, in milliseconds.
const STATS_MS_MAX: u64 = 200;
/// The largest answer that is read.
const STATS_BYTES_MAX: usize = 1 << 20;

/// A proxy of a known kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    /// The master's, where there is one.
    pub(super) pid: u32,
    pub(super) program: &'static str,
    pub(super) is_contained: bool,
    arguments: String,
    executable: String,
}

impl Running {
    /// The proxy a process belongs to; `None` when it is another program.
    pub(super) fn of(pid: u32) -> Option<Running> {
        let program = program(pid)?;
        let mut master = pid;
        for _ in 0..super::PARENT_COUNT_MAX {
            match parent(master).filter(|up| self::program(*up) == Some(program)) {
                Some(up) => master = up,
                None => break,
            }
        }
        let executable = std::fs::read_link(format!("/proc/{master}/exe")).unwrap_or_default();
        Some(Running {
            pid: master,
            program,
            is_contained: parse_cgroup(&text_or_empty(format!("/proc/{master}/cgroup"))).container.is_some(),
            arguments: text_or_empty(format!("/proc/{master}/cmdline")),
            executable: executable.to_string_lossy().trim_end_matches(" (deleted)").to_owned(),
        })
    }

    /// Reads its configuration; `None` when there is no file where it should be.
    pub(super) fn configuration(&self, place: &mut Place) -> Option<Configured> {
        if self.program == "haproxy" {
            let mut files = Vec::new();
            for path in command::haproxy(&self.arguments) {
                let path = place.absolute(&path)?;
                match place.folder(&path) {
                    Some(inside) => files.extend(inside),
                    None => files.push(path),
                }
            }
            return (!files.is_empty()).then(|| haproxy::read(&files, place));
        }
        let candidates = command::nginx(&self.arguments, &self.executable);
        let known = candidates.iter().filter_map(|path| place.absolute(path));
        let main = known.into_iter().find(|path| place.open(path, OFlag::O_PATH).is_ok())?;
        Some(nginx::read(&main, place))
    }

    /// When the youngest of its processes began, in seconds since the epoch: what it read, it read before.
    pub(super) fn began_s(&self, pids: &[u32]) -> Option<i64> {
        let own = pids.iter().copied().filter(|pid| *pid == self.pid || parent(*pid) == Some(self.pid));
        let youngest_s = own.chain([self.pid]).filter_map(|pid| Some(process(pid)?.age_s)).min()?;
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        // Ages are whole seconds.
        i64::try_from(now_s.saturating_sub(youngest_s)).ok()?.checked_add(1)
    }
}

/// Asks a running haproxy for the state of its servers, where its configuration says how.
pub(super) fn states(place: &Place, found: &mut Configured) {
    let answer = found.stats_sockets.iter().find_map(|path| ask(place, path));
    let Some(states) = answer.map(|answer| haproxy::stats::states(&answer)) else { return };
    for served in &found.served {
        if let Some(upstream) = found.upstreams.get_mut(served.at) {
            upstream.state = states.get(&(served.backend.clone(), served.server.clone())).cloned();
        }
    }
}

/// The answer to `show stat`, which changes nothing.
fn ask(place: &Place, path: &str) -> Option<String> {
    let until = Instant::now() + Duration::from_millis(STATS_MS_MAX);
    // The socket the process itself means, whatever links lead to it.
    let held = place.open(path, OFlag::O_PATH).ok()?;
    let address = UnixAddr::new(Path::new(&format!("/proc/self/fd/{}", held.as_raw_fd()))).ok()?;
    // Without waiting: a full queue would hold us up.
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
    connect(socket.as_raw_fd(), &address).ok()?;
    let mut stream = UnixStream::from(socket);
    stream.set_nonblocking(false).ok()?;
    stream.set_write_timeout(Some(Duration::from_millis(STATS_MS_MAX))).ok()?;
    stream.write_all(b"show stat -1 4 -1\n").ok()?;
    let mut bytes = Vec::new();
    let mut part = vec![0; 64 << 10];
    while bytes.len() < STATS_BYTES_MAX {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            break;
        }
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(length) => bytes.extend(part.iter().take(length)),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn program(pid: u32) -> Option<&'static str> {
    let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let name =
        executable.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    // Who may not read the link can still read the name.
    let name = name.unwrap_or_else(|| text_or_empty(format!("/proc/{pid}/comm")).trim().to_owned());
    match name.trim_end_matches(" (deleted)") {
        "nginx" | "openresty" | "angie" | "freenginx" | "tengine" => Some("nginx"),
        "haproxy" => Some("haproxy"),
        _ => None,
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = parse_stat(&text_or_empty(format!("/proc/{pid}/stat")))?;
    (stat.parent > 1 || program(stat.parent).is_some()).then_some(stat.parent).filter(|up| *up > 0)
}
