//! Parts of a target that are processes of their own: who listens, and a cable that delays.

use crate::bench::part::{Part, READY, say};
use anyhow::{Context, Result, bail};
use netwhy_socket::{frames, set_flag};
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

/// Connections that may wait to be taken from one port.
const BACKLOG: i32 = 8_192;
/// Descriptors a listener needs besides one a port.
const DESCRIPTORS_BESIDES: u64 = 1_000;
/// Events taken from the kernel at once.
const EVENT_COUNT: usize = 256;
/// Connections taken from one port before the next has its turn.
const ACCEPT_COUNT_MAX: usize = 64;
/// Frames on their way in one direction; more are lost.
const WAITING_COUNT_MAX: usize = 200_000;
/// Frames taken from one side before the other has its turn.
const FRAME_COUNT_MAX: usize = 128;
/// The longest frame, in bytes.
const FRAME_BYTES_MAX: usize = 2_048;
/// Receive buffer of each side, in bytes.
const BUFFER_BYTES: libc::c_int = 32 << 20;

/// Does the part named, in this process.
pub fn run(words: &[&str]) -> Result<()> {
    match words {
        ["listen", file] => listen(file),
        ["plain", interface] => {
            frames::switch_offload_off(interface)?;
            say(READY)
        }
        ["relay", left, right, delay_ms] => {
            let delay = delay_ms.parse().with_context(|| format!("{delay_ms:?} is no number"))?;
            relay([left, right], Duration::from_millis(delay))
        }
        _ => bail!("unknown part {words:?}"),
    }
}

/// Starts a part in a namespace, the empty name being the caller's, and waits until it is ready.
pub fn start(namespace: &str, words: &[&str]) -> Result<Part> {
    let own = std::env::current_exe().context("finding this program")?;
    let mut command = if namespace.is_empty() {
        Command::new(own)
    } else {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(own);
        command
    };
    let mut part = Part::start(command.args(["bench", "scan", "part"]).args(words))?;
    part.is_ready().with_context(|| format!("starting {words:?}"))?;
    Ok(part)
}

/// Listens on every address and port of the file; takes connections and closes them at once.
fn listen(file: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    let count = text.lines().count() as u64 + DESCRIPTORS_BESIDES;
    let (_, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, count, hard.max(count))
        .context("raising the limit of open files")?;
    let mut sockets = Vec::new();
    for line in text.lines() {
        let (address, port) = line.split_once(' ').with_context(|| format!("{line:?} is no place"))?;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("a socket")?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        let place = SocketAddr::new(address.parse()?, port.parse()?);
        socket.bind(&place.into()).with_context(|| format!("binding {place}"))?;
        socket.listen(BACKLOG).with_context(|| format!("listening on {place}"))?;
        sockets.push(socket);
    }
    accept(&sockets)
}

fn accept(sockets: &[Socket]) -> Result<()> {
    // SAFETY: plain system call; the descriptor is owned at once.
    let poll = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
    for (index, socket) in sockets.iter().enumerate() {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
        // SAFETY: the event outlives the call.
        let done = unsafe {
            libc::epoll_ctl(poll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event)
        };
        if done != 0 {
            return Err(io::Error::last_os_error()).context("watching a listener");
        }
    }
    say(READY)?;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENT_COUNT];
    loop {
        // SAFETY: the pointer and count describe `events`.
        let count =
            unsafe { libc::epoll_wait(poll.as_raw_fd(), events.as_mut_ptr(), EVENT_COUNT as i32, -1) };
        for event in events.iter().take(usize::try_from(count).unwrap_or(0)) {
            let Some(socket) = sockets.get(event.u64 as usize) else { continue };
            for _ in 0..ACCEPT_COUNT_MAX {
                if socket.accept().is_err() {
                    break;
                }
            }
        }
    }
}

/// A frame and when it arrives.
type Held = (Instant, Vec<u8>);

/// Carries frames between two interfaces, each so much later; keeps their order.
fn relay(interfaces: [&str; 2], delay: Duration) -> Result<()> {
    // Its delay should not depend on who else wants the processor.
    let first = libc::sched_param { sched_priority: 10 };
    // SAFETY: the parameter outlives the call; refused, the delay is only less exact.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const first) };
    let sockets = [packet_socket(interfaces[0])?, packet_socket(interfaces[1])?];
    let mut waiting: [VecDeque<Held>; 2] = Default::default();
    let mut buffer = vec![0u8; FRAME_BYTES_MAX];
    say(READY)?;
    loop {
        frames::wait(&sockets, waiting.iter().filter_map(|lane| lane.front().map(|held| held.0)).min())?;
        for side in [0, 1] {
            for _ in 0..FRAME_COUNT_MAX {
                let Some(length) = frames::receive(&sockets[side], &mut buffer) else { break };
                if waiting[side].len() < WAITING_COUNT_MAX {
                    waiting[side].push_back((Instant::now() + delay, buffer[..length].to_vec()));
                }
            }
            let now = Instant::now();
            while waiting[side].front().is_some_and(|held| held.0 <= now) {
                if let Some((_, frame)) = waiting[side].pop_front() {
                    frames::send(&sockets[1 - side], &frame);
                }
            }
        }
    }
}

/// A packet socket with room for bursts, whose frames skip the interface's queue.
pub fn packet_socket(interface: &str) -> Result<OwnedFd> {
    let socket =
        frames::open(interface, BUFFER_BYTES).with_context(|| format!("a packet socket on {interface}"))?;
    set_flag(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS).context("skipping the queue")?;
    Ok(socket)
}
