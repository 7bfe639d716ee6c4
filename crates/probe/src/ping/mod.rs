//! Ping by echo, SYN or datagram: one probe each interval, every answer as it comes, and the sum of it.

mod tally;

pub use tally::PingSummary;

use crate::icmp::{Answer, Link, Packet, Probe, Protocol, Reply, Route, Stop};
use netwhy_model::Source;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tally::Tally;

/// Shortest time between two probes.
pub const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Longest wait for one answer.
pub const WAIT_MS_MAX: u64 = 60_000;

/// Longest sleep before a stop is looked for.
const STOP_LOOK: Duration = Duration::from_millis(100);

/// The least time left to the last answers.
const TAIL_MIN: Duration = Duration::from_millis(250);

/// What to ping, and how.
#[derive(Debug, Clone)]
pub struct PingOptions {
    pub target: SocketAddr,
    pub source: Source,
    pub protocol: Protocol,
    /// Probes to send; without end when `None`.
    pub count: Option<u32>,
    pub interval: Duration,
    /// Length of the whole IP packet in bytes; the smallest possible when 0.
    pub bytes: u16,
    /// A probe not answered within this counts as lost.
    pub wait: Duration,
}

/// Something that happened to one probe, numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PingEvent {
    /// Probes are about to be sent: from this address, raw or by kernel sockets.
    Start { source: IpAddr, raw: bool },
    /// The target answered.
    Answer { number: u32, reply: Reply },
    /// It answered again.
    Duplicate { number: u32, reply: Reply },
    /// A router said that the probe did not arrive.
    Error { number: u32, reply: Reply },
    /// Nothing came within the wait.
    Lost { number: u32 },
    /// It came after it was given up.
    Late { number: u32, reply: Reply },
    /// This host did not send it: the error number.
    Refused { number: u32, code: i32 },
}

/// Pings until the count is reached or a stop is asked for; `on_event` hears of everything at once.
///
/// # Errors
/// Permission denied when echo is asked for and neither raw nor ping sockets are allowed; no route.
pub async fn run(
    options: PingOptions,
    stop: Arc<Stop>,
    mut on_event: impl FnMut(PingEvent) + Send + 'static,
) -> io::Result<PingSummary> {
    let task = tokio::task::spawn_blocking(move || {
        let route = Route::find(options.target, &options.source)?;
        let link = Link::open(&route)?;
        on_event(PingEvent::Start { source: route.source, raw: link.is_raw() });
        let tally = Tally::new(&options, &route, link.is_raw());
        Pinger { options: &options, link, tally, open: BTreeMap::new(), on_event: &mut on_event }.go(&stop)
    });
    task.await.map_err(io::Error::other)?
}

struct Pinger<'a> {
    options: &'a PingOptions,
    link: Link,
    tally: Tally,
    /// When each unanswered probe is given up.
    open: BTreeMap<u32, Instant>,
    on_event: &'a mut dyn FnMut(PingEvent),
}

impl Pinger<'_> {
    fn go(mut self, stop: &Stop) -> io::Result<PingSummary> {
        let interval = self.options.interval.max(INTERVAL_MIN);
        let (mut number, mut due) = (0u32, Instant::now());
        while !stop.asked() {
            let more = self.options.count.is_none_or(|count| number < count);
            let now = Instant::now();
            self.give_up(now);
            if more && now >= due {
                number += 1;
                self.send(number)?;
                // A host that slept does not catch up in a burst.
                due = (due + interval).max(now);
                if self.options.count == Some(number) {
                    self.shorten_tail();
                }
            }
            if !more && self.open.is_empty() {
                break;
            }
            let mut until = now + STOP_LOOK;
            if more {
                until = until.min(due);
            }
            if let Some(first) = self.open.values().min() {
                until = until.min(*first);
            }
            while let Some((index, reply)) = self.link.receive(until)? {
                self.take(u32::try_from(index).unwrap_or(0), reply);
                if !more && self.open.is_empty() {
                    break;
                }
            }
        }
        self.tally.unanswered(self.open.len());
        Ok(self.tally.finish())
    }

    fn send(&mut self, number: u32) -> io::Result<()> {
        let port = self.options.target.port();
        let packet = match self.options.protocol {
            Protocol::Icmp => Packet::Echo { sequence: number as u16 },
            Protocol::Tcp => {
                let source_port = self.link.reserve_port(Protocol::Tcp)?;
                Packet::Syn { source_port, port, number: u32::from(source_port).wrapping_mul(2_654_435_761) }
            }
            Protocol::Udp => Packet::Datagram { source_port: self.link.reserve_port(Protocol::Udp)?, port },
        };
        // A SYN with a payload is dropped by many a firewall: its size stays as it is.
        let bytes = if self.options.protocol == Protocol::Tcp { 0 } else { self.options.bytes };
        let probe = Probe { bytes, ..Probe::new(packet) };
        match self.link.send(number as usize, &probe) {
            Ok(_) => {
                self.tally.sent();
                self.open.insert(number, Instant::now() + self.options.wait);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && number == 1 => Err(error),
            Err(error) => {
                let code = error.raw_os_error().unwrap_or(libc::EIO);
                self.tally.refused();
                (self.on_event)(PingEvent::Refused { number, code });
                Ok(())
            }
        }
    }

    /// After the last probe four round trips are enough, so that an unanswered end does not drag on.
    fn shorten_tail(&mut self) {
        let Some(longest) = self.tally.longest() else { return };
        let tail = Instant::now() + TAIL_MIN.max(longest * 4);
        for deadline in self.open.values_mut() {
            *deadline = (*deadline).min(tail);
        }
    }

    fn give_up(&mut self, now: Instant) {
        let over: Vec<u32> = self.open.iter().filter(|(_, until)| **until <= now).map(|(n, _)| *n).collect();
        for number in over {
            self.open.remove(&number);
            self.tally.lost(number);
            (self.on_event)(PingEvent::Lost { number });
        }
    }

    fn take(&mut self, number: u32, reply: Reply) {
        let was_open = self.open.remove(&number).is_some();
        let arrived = reply.answer.from_destination()
            || matches!(reply.answer, Answer::Unreachable(_) if reply.from == self.options.target.ip());
        if reply.retried && was_open {
            self.tally.late();
            (self.on_event)(PingEvent::Late { number, reply });
            return;
        }
        let event = match (arrived, was_open) {
            (true, true) => {
                self.tally.answered(number, &reply);
                PingEvent::Answer { number, reply }
            }
            (true, false) if self.tally.gave_up(number) => {
                self.tally.late();
                PingEvent::Late { number, reply }
            }
            (true, false) => {
                self.tally.duplicate();
                PingEvent::Duplicate { number, reply }
            }
            (false, true) => {
                self.tally.error(&reply);
                PingEvent::Error { number, reply }
            }
            (false, false) => return,
        };
        (self.on_event)(event);
    }
}
