//! The sockets of a scan, what each is asked at the moment, and who wakes whom: epoll for answers, a heap for deadlines.

use crate::connect::socket::{Source, Step, give_up, step};
use socket2::{SockAddr, Socket};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Answers read at one waking.
const EVENT_COUNT_MAX: usize = 512;
/// Asks between two trials whether answers come at once.
const TRIAL_GAP: u32 = 64;
/// Answers at once in a row after which one that is late changes nothing.
const TRUST_MAX: u32 = 16;

/// Why a socket asks a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The pair at this position of the order.
    Pair(u64),
    /// A pair that was told as open before its host was known as a proxy's.
    Recheck(u64),
    /// A port known to be open is asked again.
    OpenCanary,
    /// A port known to be closed is asked again.
    ClosedCanary,
}

/// What one socket is busy with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub aim: Aim,
    /// Number of the host.
    pub host: u64,
    pub ip: IpAddr,
    pub port: u16,
    pub sent: Instant,
    /// Questions sent before it.
    pub sent_before: u64,
    /// The connection stands and waits whether it is reset: since when.
    pub held_since: Option<Instant>,
    pub rtt: Option<Duration>,
    /// The window was 0 when the connection opened.
    pub shut: bool,
}

/// How a connection stood when it opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub since: Instant,
    pub rtt: Duration,
    pub shut: bool,
}

/// A socket that has something to tell, or whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Heard(u32),
    Late(u32),
}

struct Slot {
    socket: Option<Socket>,
    remote: SockAddr,
    v6: bool,
    watched: bool,
    /// Tells a deadline of an earlier ask from one of this.
    turn: u32,
    ask: Option<Ask>,
}

/// All sockets.
pub(crate) struct Slots {
    source: Source,
    epoll: OwnedFd,
    slots: Vec<Slot>,
    idle: [Vec<u32>; 2],
    busy: usize,
    held: usize,
    deadlines: BinaryHeap<Reverse<(Instant, u32, u32)>>,
    events: Vec<libc::epoll_event>,
    /// How often answers came with the first `connect`, as they do on loopback and over veth.
    trust: u32,
    trial: u32,
}

impl Slots {
    pub fn new(source: Source) -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it is owned.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            source,
            // SAFETY: a descriptor just made that nobody else owns.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            slots: Vec::new(),
            idle: [Vec::new(), Vec::new()],
            busy: 0,
            held: 0,
            deadlines: BinaryHeap::new(),
            events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENT_COUNT_MAX],
            trust: 1,
            trial: 0,
        })
    }

    /// Sockets that wait for something.
    pub fn busy(&self) -> usize {
        self.busy
    }

    /// Of those, the ones that wait for an answer.
    pub fn asking(&self) -> usize {
        self.busy - self.held
    }

    /// Sends the question. An error is this machine's: no descriptor, no memory.
    ///
    /// What the first call of `connect` says is this machine's word, what comes later is an answer: the flag tells.
    pub fn ask(&mut self, ask: Ask) -> io::Result<(u32, Step, bool)> {
        let v6 = ask.ip.is_ipv6();
        let remote: SocketAddr = self.source.remote(ask.ip, ask.port);
        let index = self.take(v6)?;
        let quick = self.is_quick();
        let slot = &mut self.slots[index as usize];
        slot.remote = remote.into();
        slot.ask = Some(ask);
        slot.turn = slot.turn.wrapping_add(1);
        self.busy += 1;
        let Some(socket) = &slot.socket else { return Ok((index, Step::Failed(libc::EBADF), true)) };
        let first = step(socket, &slot.remote);
        if first != Step::Pending {
            return Ok((index, first, true));
        }
        if !quick {
            return Ok((index, first, false));
        }
        let second = step(socket, &slot.remote);
        match second {
            Step::Pending => self.trust = self.trust.saturating_sub(1),
            _ => self.trust = (self.trust + 1).min(TRUST_MAX),
        }
        Ok((index, second, false))
    }

    /// Whether to look for the answer right after asking.
    fn is_quick(&mut self) -> bool {
        self.trial = (self.trial + 1) % TRIAL_GAP;
        self.trust > 0 || self.trial == 0
    }

    /// Waits for the answer of a socket until `deadline`.
    pub fn watch(&mut self, index: u32, deadline: Instant) -> io::Result<()> {
        let slot = &mut self.slots[index as usize];
        self.deadlines.push(Reverse((deadline, index, slot.turn)));
        if slot.watched {
            return Ok(());
        }
        let Some(socket) = &slot.socket else { return Ok(()) };
        let wanted = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        let mut event = libc::epoll_event { events: wanted as u32, u64: index.into() };
        // SAFETY: both descriptors are open, and the event lives through the call.
        let done = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event)
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        slot.watched = true;
        Ok(())
    }

    /// What the socket asks, with the socket and where it goes.
    pub fn get(&self, index: u32) -> Option<(&Ask, &Socket, &SockAddr)> {
        let slot = self.slots.get(index as usize)?;
        Some((slot.ask.as_ref()?, slot.socket.as_ref()?, &slot.remote))
    }

    /// The connection stands; it is held until `until` to see whether it is reset.
    pub fn hold(&mut self, index: u32, held: Held, until: Instant) -> io::Result<()> {
        if let Some(ask) = &mut self.slots[index as usize].ask {
            self.held += usize::from(ask.held_since.is_none());
            (ask.held_since, ask.rtt, ask.shut) = (Some(held.since), Some(held.rtt), held.shut);
        }
        self.watch(index, until)
    }

    /// Frees a socket. One that failed can ask again, one that is still under way gives up, one that stood is reset.
    pub fn free(&mut self, index: u32, failed: bool) {
        let slot = &mut self.slots[index as usize];
        let Some(ask) = slot.ask.take() else { return };
        slot.turn = slot.turn.wrapping_add(1);
        self.busy -= 1;
        self.held -= usize::from(ask.held_since.is_some());
        let again = ask.held_since.is_none() && slot.socket.as_ref().is_some_and(|s| failed || give_up(s));
        if !again {
            slot.socket = None;
            slot.watched = false;
        }
        self.idle[usize::from(slot.v6)].push(index);
    }

    /// Fills `wakes` with what happened until `timeout` is over, answers before deadlines.
    pub fn wait(&mut self, timeout: Duration, wakes: &mut Vec<Wake>) {
        wakes.clear();
        self.read_events(timeout, wakes);
        let now = Instant::now();
        // Bounded by the deadlines there are: nothing is pushed here.
        while let Some(&Reverse((deadline, index, turn))) = self.deadlines.peek() {
            if deadline > now {
                break;
            }
            self.deadlines.pop();
            if self.slots[index as usize].turn == turn {
                wakes.push(Wake::Late(index));
            }
        }
    }

    /// The next moment a deadline may be over.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((deadline, _, _))| *deadline)
    }

    /// Gives idle sockets back to the machine.
    pub fn shed(&mut self) {
        for index in self.idle.iter().flatten() {
            let slot = &mut self.slots[*index as usize];
            slot.socket = None;
            slot.watched = false;
        }
    }

    fn read_events(&mut self, timeout: Duration, wakes: &mut Vec<Wake>) {
        let span = libc::timespec {
            tv_sec: timeout.as_secs().min(60) as libc::time_t,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: the list of events lives through the call and its length is stated; no signal mask is given.
        let count = unsafe {
            libc::epoll_pwait2(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENT_COUNT_MAX as libc::c_int,
                &raw const span,
                std::ptr::null(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        let told = self.events.iter().take(count).map(|event| event.u64 as u32);
        wakes.extend(told.filter(|i| self.slots[*i as usize].ask.is_some()).map(Wake::Heard));
    }

    /// An idle slot of the family with a socket.
    fn take(&mut self, v6: bool) -> io::Result<u32> {
        let idle = &mut self.idle[usize::from(v6)];
        let index = match idle.pop() {
            Some(index) => index,
            None => {
                let remote = SockAddr::from(SocketAddr::from(([0, 0, 0, 0], 0)));
                self.slots.push(Slot { socket: None, remote, v6, watched: false, turn: 0, ask: None });
                (self.slots.len() - 1) as u32
            }
        };
        let slot = &mut self.slots[index as usize];
        if slot.socket.is_none() {
            match self.source.tcp(v6) {
                Ok(socket) => slot.socket = Some(socket),
                Err(error) => {
                    self.idle[usize::from(v6)].push(index);
                    return Err(error);
                }
            }
        }
        Ok(index)
    }
}
