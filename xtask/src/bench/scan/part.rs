//! Parts of a target that are processes of their own: who listens, and a cable that delays.

use anyhow::{Context, Result, bail};
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, Stdio};
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
/// What a part says once it does its work.
const READY: &str = "ready";

/// Does the part named, in this process.
pub fn run(words: &[&str]) -> Result<()> {
    match words {
        ["listen", file] => listen(file),
        ["plain", interface] => plain(interface),
        ["relay", left, right, delay_ms] => {
            let delay = delay_ms.parse().with_context(|| format!("{delay_ms:?} is no number"))?;
            relay([left, right], Duration::from_millis(delay))
        }
        _ => bail!("unknown part {words:?}"),
    }
}

/// A part that runs until dropped.
#[derive(Debug)]
pub struct Part {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Part {
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
        let mut child = command
            .args(["bench", "scan", "part"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a part")?;
        let answers = BufReader::new(child.stdout.take().context("a part without output")?);
        let mut part = Part { child, answers };
        let line = part.hear()?;
        if line != READY {
            bail!("{words:?} said {line:?}");
        }
        Ok(part)
    }

    /// The next line it says.
    pub fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line).context("hearing a part")? == 0 {
            bail!("a part ended early");
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn say(what: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}").and_then(|()| out.flush()).context("answering")
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

/// Switches checksum and segmentation offload of an interface off (ethtool ioctl, linux/ethtool.h).
fn plain(interface: &str) -> Result<()> {
    const SETTINGS: [u32; 5] = [0x17, 0x1f, 0x24, 0x2c, 0x15]; // STXCSUM, STSO, SGSO, SGRO, SRXCSUM
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).context("a socket")?;
    for command in SETTINGS {
        let mut value = Value { command, data: 0 };
        // SAFETY: an interface request is plain bytes, for which zero is valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (slot, byte) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *slot = byte as libc::c_char;
        }
        request.ifr_ifru.ifru_data = (&raw mut value).cast();
        // SAFETY: the request and the value it points at outlive the call. What a driver lacks is passed over.
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    }
    say(READY)
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
        wait(&sockets, waiting.iter().filter_map(|lane| lane.front().map(|held| held.0)).min())?;
        for side in [0, 1] {
            for _ in 0..FRAME_COUNT_MAX {
                let Some(length) = receive(&sockets[side], &mut buffer) else { break };
                if waiting[side].len() < WAITING_COUNT_MAX {
                    waiting[side].push_back((Instant::now() + delay, buffer[..length].to_vec()));
                }
            }
            let now = Instant::now();
            while waiting[side].front().is_some_and(|held| held.0 <= now) {
                if let Some((_, frame)) = waiting[side].pop_front() {
                    send(&sockets[1 - side], &frame);
                }
            }
        }
    }
}

/// A packet socket bound to one interface, with room for bursts.
pub fn packet_socket(interface: &str) -> Result<OwnedFd> {
    let index = nix::net::if_::if_nametoindex(interface).with_context(|| format!("finding {interface}"))?;
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: plain system call; the descriptor is owned at once.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, libc::c_int::from(protocol)) };
    if fd < 0 {
        return Err(io::Error::last_os_error()).context("a packet socket");
    }
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let option = |level, name, value: libc::c_int| {
        // SAFETY: the pointer and length describe `value`.
        unsafe {
            libc::setsockopt(fd, level, name, (&raw const value).cast(), size_of::<libc::c_int>() as u32)
        }
    };
    option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER_BYTES);
    option(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1);
    option(libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1);
    // SAFETY: an address is plain numbers, for which zero is valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index as i32;
    // SAFETY: the pointer and length describe `address`.
    let done = unsafe { libc::bind(fd, (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as u32) };
    if done != 0 {
        return Err(io::Error::last_os_error()).context("binding a packet socket");
    }
    Ok(socket)
}

fn wait(sockets: &[OwnedFd; 2], due: Option<Instant>) -> Result<()> {
    let watch = |socket: &OwnedFd| libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut both = [watch(&sockets[0]), watch(&sockets[1])];
    let timeout = due.map(|due| {
        let left = due.saturating_duration_since(Instant::now());
        libc::timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
    });
    let pointer = timeout.as_ref().map_or(std::ptr::null(), |timeout| &raw const *timeout);
    // SAFETY: the pointers describe `both` and `timeout`, which outlive the call.
    let done = unsafe { libc::ppoll(both.as_mut_ptr(), 2, pointer, std::ptr::null()) };
    match done {
        -1 if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted => {
            Err(io::Error::last_os_error()).context("waiting for frames")
        }
        _ => Ok(()),
    }
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: the pointer and length describe `buffer`.
    let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    usize::try_from(got).ok()
}

/// A frame that cannot be sent is a lost frame, as on a wire.
fn send(socket: &OwnedFd, frame: &[u8]) {
    // SAFETY: the pointer and length describe `frame`.
    unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
}
