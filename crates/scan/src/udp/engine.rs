//! The loop of the UDP engine: sends, hears answers and ICMP errors, asks silent ports again.

use super::payload::payload;
use crate::connect::limits;
use crate::connect::socket::Source;
use crate::ledger::{Ledger, finding};
use crate::order::mix;
use crate::{Event, Finding, Notice, Pace, Plan, Reason, ScanError, State, Summary};
use netwhy_socket::next_error;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Protocol, Socket, Type};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Sockets of a family at most; ports beyond share them.
const SOCKET_COUNT_MAX: u32 = 256;
/// Passes at least and at most; more than three only for hosts that limit their errors, while that still helps.
const PASS_COUNT: u32 = 3;
const PASS_COUNT_MAX: u32 = 6;
const PASS_COUNT_GENTLE_MAX: u32 = 60;
/// From the last question of a pass to the next pass: Linux gives every host one ICMP error a second.
const PASS_GAP: Duration = Duration::from_millis(1_050);
/// Datagrams a second by pace.
const FAST_PER_SECOND: f64 = 2_000.0;
const GENTLE_PER_SECOND: f64 = 20.0;
const MAX_PER_SECOND: f64 = 50_000.0;
/// Datagrams sent, and datagrams or errors read from one socket, before the other is looked at.
const SEND_COUNT_MAX: usize = 64;
const READ_COUNT_MAX: usize = 64;
/// Questions whose time is kept for the round trip.
const TIMED_COUNT_MAX: usize = 1 << 16;
/// Ports that were silent and turned out closed on a later pass, that are a limit of ICMP errors.
const LATE_CLOSED_MIN: u32 = 2;
/// Longest sleep, so that a stop is heard soon.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// What is known of one host.
#[derive(Debug)]
struct Host {
    first: Instant,
    late_closed: u32,
    limited: bool,
}

pub(crate) struct Engine<'a> {
    ledger: Ledger<'a>,
    source: Source,
    /// One for each port in turn, of IPv4 and then of IPv6.
    sockets: [Vec<Socket>; 2],
    own: HashSet<IpAddr>,
    hosts: HashMap<u64, Host>,
    sent: HashMap<u64, Instant>,
    refused: HashMap<u64, i32>,
    refused_first: Option<(IpAddr, i32)>,
    went_out: u64,
    rtt: Option<Duration>,
    pass: u32,
    /// Answers of this pass.
    news: u64,
}

impl<'a> Engine<'a> {
    pub fn new(plan: &'a Plan, tell: &'a mut dyn FnMut(Event)) -> Result<Self, ScanError> {
        let source = Source::new(plan.source, plan.interface.as_deref())
            .map_err(system("looking for the interface"))?;
        limits::sockets_max();
        Ok(Self {
            ledger: Ledger::new(plan, tell)?,
            source,
            sockets: [Vec::new(), Vec::new()],
            own: limits::own_addresses(),
            hosts: HashMap::new(),
            sent: HashMap::new(),
            refused: HashMap::new(),
            refused_first: None,
            went_out: 0,
            rtt: None,
            pass: 0,
            news: 0,
        })
    }

    pub fn run(mut self, stop: &AtomicBool) -> Result<Summary, ScanError> {
        let (first, mut position) = self.ledger.resumed();
        let mut is_done = false;
        for pass in first..=PASS_COUNT_GENTLE_MAX {
            self.pass = pass;
            self.news = 0;
            if !self.one_pass(position, stop)? {
                break;
            }
            position = 0;
            if self.ledger.unsettled() == 0 || !self.needs_another() {
                is_done = true;
                break;
            }
        }
        self.close(is_done)
    }

    fn needs_another(&self) -> bool {
        let most = if self.ledger.plan.pace == Pace::Gentle { PASS_COUNT_GENTLE_MAX } else { PASS_COUNT_MAX };
        let limited = self.hosts.values().any(|host| host.limited);
        self.pass < PASS_COUNT || (self.pass < most && limited && self.news > 0)
    }

    /// Asks every unsettled pair once and listens; false when stopped.
    fn one_pass(&mut self, from: u64, stop: &AtomicBool) -> Result<bool, ScanError> {
        let gap = Duration::from_secs_f64(1.0 / self.per_second());
        let (mut cursor, mut due) = (Some(from), Instant::now());
        let mut listen_until = None;
        // Ends when all were asked and the time to listen is over, or at a stop.
        loop {
            let now = Instant::now();
            if stop.load(Ordering::Relaxed) || self.ledger.is_late(now) {
                self.ledger.keep(now, (self.pass, cursor.unwrap_or(self.ledger.len())), true);
                return Ok(false);
            }
            for _ in 0..SEND_COUNT_MAX {
                if cursor.is_none() || due > now {
                    break;
                }
                cursor = self.send_next(cursor)?;
                due = due.max(now.checked_sub(SLEEP_MAX).unwrap_or(now)) + gap + self.jitter(due);
            }
            let pause = match cursor {
                Some(_) => due.saturating_duration_since(now),
                None => {
                    let until = *listen_until.get_or_insert(now + PASS_GAP);
                    if now >= until || self.ledger.unsettled() == 0 {
                        return self.verdict().map(|()| true);
                    }
                    until - now
                }
            };
            self.listen(pause.min(SLEEP_MAX));
            let at = (self.pass, cursor.unwrap_or(self.ledger.len()));
            self.ledger.progress(now, self.pass);
            self.ledger.keep(now, at, false);
        }
    }

    fn per_second(&self) -> f64 {
        match self.ledger.plan.pace {
            Pace::Gentle => GENTLE_PER_SECOND,
            Pace::Fast => FAST_PER_SECOND,
            Pace::Rate(rate) => (rate as f64).max(0.1),
            Pace::Max => MAX_PER_SECOND,
        }
    }

    /// A pause of the plan's mean, by a number nobody else shares.
    fn jitter(&self, at: Instant) -> Duration {
        let Some(mean) = self.ledger.plan.jitter else { return Duration::ZERO };
        let mixed = mix(self.ledger.asked ^ self.ledger.plan.seed ^ at.elapsed().as_nanos() as u64);
        mean.mul_f64((mixed >> 11) as f64 / (1u64 << 52) as f64)
    }

    /// Asks the next unsettled pair from a position on; the position after it, or `None` at the end.
    fn send_next(&mut self, cursor: Option<u64>) -> Result<Option<u64>, ScanError> {
        let Some(position) = cursor.and_then(|from| self.ledger.next_unsettled(from)) else {
            return Ok(None);
        };
        let Some((host, ip, port)) = self.ledger.pair(position) else { return Ok(Some(position + 1)) };
        let index = self.socket_index(port, ip.is_ipv6())?;
        let token = mix(self.ledger.plan.seed ^ position ^ u64::from(self.pass) << 48);
        let bytes = payload(port, self.pass, token);
        let remote = self.source.remote(ip, port);
        match self.send(index, ip.is_ipv6(), &bytes, remote) {
            Ok(()) => {
                self.went_out += 1;
                self.ledger.asked += 1;
                self.refused.remove(&position);
                self.hosts.entry(host).or_insert_with(|| Host {
                    first: Instant::now(),
                    late_closed: 0,
                    limited: false,
                });
                if self.sent.len() < TIMED_COUNT_MAX || self.sent.contains_key(&position) {
                    self.sent.insert(position, Instant::now());
                }
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                self.refused_first.get_or_insert((ip, errno));
                if self.refused.len() < TIMED_COUNT_MAX {
                    self.refused.insert(position, errno);
                }
            }
        }
        Ok(Some(position + 1))
    }

    /// Sends a datagram. An error waiting on the socket is another question's, so it is read and the send repeated.
    fn send(&mut self, index: usize, v6: bool, bytes: &[u8], remote: SocketAddr) -> io::Result<()> {
        let mut last = Ok(());
        for _ in 0..READ_COUNT_MAX {
            let Some(socket) = self.sockets[usize::from(v6)].get(index) else { return Ok(()) };
            match socket.send_to(bytes, &remote.into()) {
                Ok(_) => return Ok(()),
                Err(error) => {
                    let own = error.raw_os_error() == last.as_ref().err().and_then(io::Error::raw_os_error);
                    last = Err(error);
                    if self.read_errors(index, v6) == 0 && own {
                        break;
                    }
                }
            }
        }
        last
    }

    /// The socket that asks a port, made when first needed.
    fn socket_index(&mut self, port: u16, v6: bool) -> Result<usize, ScanError> {
        let number = self.ledger.plan.ports.index_of(port).unwrap_or(0) % SOCKET_COUNT_MAX;
        let index = number as usize;
        while self.sockets[usize::from(v6)].len() <= index {
            let socket =
                self.source.socket(v6, Type::DGRAM, Protocol::UDP).map_err(system("opening a socket"))?;
            self.sockets[usize::from(v6)].push(socket);
        }
        Ok(index)
    }

    /// Reads what comes until the pause is over or something came.
    fn listen(&mut self, pause: Duration) {
        let ready: Vec<(usize, bool)> = {
            let all: Vec<(usize, bool, &Socket)> = [false, true]
                .into_iter()
                .flat_map(|v6| self.sockets[usize::from(v6)].iter().enumerate().map(move |(i, s)| (i, v6, s)))
                .collect();
            let mut polled: Vec<PollFd<'_>> =
                all.iter().map(|(_, _, socket)| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
            let timeout = PollTimeout::try_from(pause.as_millis().max(1) as i32).unwrap_or(PollTimeout::ZERO);
            if poll(&mut polled, timeout).unwrap_or(0) == 0 {
                return;
            }
            let told = all.iter().zip(&polled).filter(|(_, poll)| poll.any().unwrap_or(false));
            told.map(|((index, v6, _), _)| (*index, *v6)).collect()
        };
        for (index, v6) in ready {
            self.read_errors(index, v6);
            self.read_answers(index, v6);
        }
    }

    /// Takes ICMP errors from a socket's queue; how many there were.
    fn read_errors(&mut self, index: usize, v6: bool) -> usize {
        for count in 0..READ_COUNT_MAX {
            let Some(socket) = self.sockets[usize::from(v6)].get(index) else { return count };
            match next_error(socket) {
                None => return count,
                Some(error) => {
                    if let (Some(from), Some(asked), true) = (error.from, error.asked, error.is_unreachable())
                    {
                        self.errored(asked, error.kind, error.code, from);
                    }
                }
            }
        }
        READ_COUNT_MAX
    }

    fn errored(&mut self, asked: SocketAddr, kind: u8, code: u8, from: IpAddr) {
        let ip = asked.ip().to_canonical();
        let Some((host, position)) = self.find(ip, asked.port()) else { return };
        if self.own.contains(&from) && from != ip {
            self.refused.insert(position, libc::EPERM);
            return;
        }
        let is_port = (kind, code) == if ip.is_ipv6() { (1, 4) } else { (3, 3) };
        let is_closed = is_port && from == ip;
        if is_closed && !self.ledger.is_settled(position) {
            self.count_closed(host, ip);
        }
        let state = if is_closed { State::Closed } else { State::Rejected };
        self.settle(position, ip, asked.port(), state, Reason::Icmp { kind, code, from });
    }

    /// Counts a closed port, and tells when they come so slowly that the host must be limiting its errors.
    fn count_closed(&mut self, host: u64, ip: IpAddr) {
        let late = u32::from(self.pass > 1);
        let left = self.ledger.unsettled();
        let Some(known) = self.hosts.get_mut(&host) else { return };
        known.late_closed += late;
        if !known.limited && known.late_closed >= LATE_CLOSED_MIN && left > 1 {
            known.limited = true;
            // The first errors were a burst that the limit allows; its rate shows afterwards.
            let seconds = known.first.elapsed().as_secs_f64().max(1.0);
            let per_second = (f64::from(known.late_closed) / seconds).round().max(1.0) as u32;
            self.ledger.notice(Notice::AnswersLimited { host: ip, per_second });
        }
    }

    fn read_answers(&mut self, index: usize, v6: bool) {
        let mut bytes = [std::mem::MaybeUninit::<u8>::uninit(); 2_048];
        for _ in 0..READ_COUNT_MAX {
            let Some(socket) = self.sockets[usize::from(v6)].get(index) else { return };
            let from = match socket.recv_from(&mut bytes) {
                Ok((_, from)) => from.as_socket(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error that is in the queue as well.
                Err(_) => continue,
            };
            let Some(from) = from else { continue };
            let ip = from.ip().to_canonical();
            if let Some((_, position, port)) = self.find_answer(ip, from.port(), index) {
                self.settle(position, ip, port, State::Open, Reason::Answer);
            }
        }
    }

    /// The pair an answer belongs to: some services answer from another port than the one asked (TFTP).
    fn find_answer(&self, ip: IpAddr, port: u16, index: usize) -> Option<(u64, u64, u16)> {
        if let Some((host, position)) = self.find(ip, port) {
            let number = self.ledger.plan.ports.index_of(port)? % SOCKET_COUNT_MAX;
            if number as usize == index {
                return Some((host, position, port));
            }
        }
        let is_alone = self.ledger.plan.ports.len() <= SOCKET_COUNT_MAX;
        let asked = self.ledger.plan.ports.get(index as u32).filter(|_| is_alone)?;
        self.find(ip, asked).map(|(host, position)| (host, position, asked))
    }

    fn find(&self, ip: IpAddr, port: u16) -> Option<(u64, u64)> {
        let plan = self.ledger.plan;
        let (host, number) = (plan.hosts.index_of(ip)?, plan.ports.index_of(port)?);
        self.hosts.contains_key(&host).then_some(())?;
        Some((host, self.ledger.order.index_of(host, number)?))
    }

    fn settle(&mut self, position: u64, ip: IpAddr, port: u16, state: State, reason: Reason) {
        self.ledger.heard += 1;
        if self.ledger.is_settled(position) {
            return;
        }
        self.news += 1;
        let rtt = self.sent.remove(&position).map(|sent| sent.elapsed());
        if let Some(rtt) = rtt {
            self.rtt = Some(self.rtt.map_or(rtt, |before| (before * 7 + rtt) / 8));
        }
        let found = Finding { rtt, ..finding(self.ledger.plan, ip, port, state, reason) };
        self.ledger.settle(position, found);
    }

    /// An error when nothing could be asked at all.
    fn verdict(&self) -> Result<(), ScanError> {
        match self.refused_first {
            Some((host, errno)) if self.went_out == 0 => {
                Err(ScanError::NoRoute { host, reason: io::Error::from_raw_os_error(errno).to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Says of the silent ports what their silence means.
    fn close(mut self, is_done: bool) -> Result<Summary, ScanError> {
        let mut from = 0;
        // Bounded by the pairs there are: every turn settles one.
        while let Some(position) = self.ledger.next_unsettled(from).filter(|_| is_done) {
            from = position + 1;
            let Some((host, ip, port)) = self.ledger.pair(position) else { continue };
            let limited = self.hosts.get(&host).is_some_and(|host| host.limited);
            let (state, reason) = match self.refused.get(&position) {
                Some(&errno) => (State::Unknown, Reason::Local { errno }),
                None if limited => (State::Unknown, Reason::RateLimited),
                None => (State::Filtered, Reason::NoAnswer),
            };
            let found = finding(self.ledger.plan, ip, port, state, reason);
            self.ledger.settle(position, found);
        }
        let rtt_ms = self.rtt.map(|rtt| rtt.as_secs_f64() * 1e3);
        let summary = self.ledger.summary("udp", self.pass, is_done);
        Ok(Summary { rtt_ms, ..summary })
    }
}

fn system(doing: &'static str) -> impl Fn(io::Error) -> ScanError {
    move |source| ScanError::System { doing: doing.into(), source }
}
