//! Looks at open ports while the scan that finds them goes on: a port is told once, with what was seen there.

use super::look;
use crate::{Event, Finding, Look, LookFor, Pace, Plan, Protocol, ScanError, State, Summary};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Looks at once; a gentle scan looks at one port after another, so that its rate stays below the usual limits.
const LOOK_COUNT_MAX: usize = 16;
const LOOK_COUNT_GENTLE: usize = 1;
/// Ports that wait for a look; more than that are told without one.
const WAITING_COUNT_MAX: usize = 4096;
/// Longest time for one port.
const LOOK_TIME: Duration = Duration::from_secs(3);
/// Between two glances at the stop flag, once only looks are left.
const STOP_GAP: Duration = Duration::from_millis(20);
/// Stack of a looking thread: a handshake needs no more.
const STACK_BYTES: usize = 256 << 10;

type Engine<'a> = &'a mut dyn FnMut(&mut dyn FnMut(Event)) -> Result<Summary, ScanError>;

/// Runs an engine; its open TCP ports are told when they were looked at.
pub(crate) fn run(
    plan: &Plan,
    wanted: &LookFor,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Event),
    engine: Engine<'_>,
) -> Result<Summary, ScanError> {
    let deadline = plan.max_duration.and_then(|most| Instant::now().checked_add(most));
    let mut desk = Desk::new(plan, wanted);
    let ended = engine(&mut |event| desk.take(event, tell));
    let waits_on = || !stop.load(Ordering::Relaxed) && deadline.is_none_or(|end| Instant::now() < end);
    // Ends with the last look, each of which has its own end.
    while ended.is_ok() && !desk.open.is_empty() && waits_on() {
        desk.wait(STOP_GAP, tell);
    }
    desk.close(tell);
    ended
}

/// Open ports on their way to be told.
struct Desk<'a> {
    wanted: &'a LookFor,
    worker_count_max: usize,
    worker_count: usize,
    /// Found open and not told yet.
    open: HashMap<(IpAddr, u16), Finding>,
    queue: Arc<Queue>,
    seen: Receiver<(SocketAddr, Look)>,
    saw: Sender<(SocketAddr, Look)>,
}

/// Ports that wait for a worker.
#[derive(Default)]
struct Queue {
    state: Mutex<(VecDeque<SocketAddr>, Closed)>,
    changed: Condvar,
}

type Closed = bool;

impl<'a> Desk<'a> {
    fn new(plan: &Plan, wanted: &'a LookFor) -> Self {
        let (saw, seen) = channel();
        let worker_count_max = if plan.pace == Pace::Gentle { LOOK_COUNT_GENTLE } else { LOOK_COUNT_MAX };
        Self {
            wanted,
            worker_count_max,
            worker_count: 0,
            open: HashMap::new(),
            queue: Arc::default(),
            seen,
            saw,
        }
    }

    fn take(&mut self, event: Event, tell: &mut dyn FnMut(Event)) {
        match event {
            Event::Found(found) if is_worth_a_look(&found) && self.open.len() < WAITING_COUNT_MAX => {
                let address = SocketAddr::new(found.host, found.port);
                self.open.insert((found.host, found.port), found);
                self.ask(address);
            }
            Event::Revised(found) => match self.open.remove(&(found.host, found.port)) {
                // Nobody was told of it before.
                Some(_) if !is_worth_a_look(&found) => tell(Event::Found(found)),
                Some(_) => {
                    self.open.insert((found.host, found.port), found);
                }
                None => tell(Event::Revised(found)),
            },
            other => tell(other),
        }
        while let Ok((address, look)) = self.seen.try_recv() {
            self.told(address, look, tell);
        }
    }

    fn wait(&mut self, most: Duration, tell: &mut dyn FnMut(Event)) {
        if let Ok((address, look)) = self.seen.recv_timeout(most) {
            self.told(address, look, tell);
        }
    }

    fn told(&mut self, address: SocketAddr, look: Look, tell: &mut dyn FnMut(Event)) {
        if let Some(found) = self.open.remove(&(address.ip(), address.port())) {
            tell(Event::Found(Finding { look: Some(look), ..found }));
        }
    }

    /// Puts a port in the queue, with one worker more while there are few.
    fn ask(&mut self, address: SocketAddr) {
        self.queue.lock().0.push_back(address);
        self.queue.changed.notify_one();
        if self.worker_count >= self.worker_count_max.min(self.open.len()) {
            return;
        }
        let (queue, saw, wanted) = (Arc::clone(&self.queue), self.saw.clone(), self.wanted.clone());
        let work = move || work(&queue, &saw, &wanted);
        let worker = std::thread::Builder::new().name("look".into()).stack_size(STACK_BYTES).spawn(work);
        self.worker_count += usize::from(worker.is_ok());
        if self.worker_count == 0 {
            // Without a single thread nobody would ever look.
            let look = look(address, self.wanted, Instant::now() + LOOK_TIME);
            self.queue.lock().0.clear();
            let _ = self.saw.send((address, look));
        }
    }

    /// Tells what is left without a look; workers end with the look they are at.
    fn close(&mut self, tell: &mut dyn FnMut(Event)) {
        let mut state = self.queue.lock();
        state.0.clear();
        state.1 = true;
        drop(state);
        self.queue.changed.notify_all();
        for (_, found) in self.open.drain() {
            tell(Event::Found(found));
        }
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, (VecDeque<SocketAddr>, Closed)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next port; `None` when the desk is closed.
    fn next(&self) -> Option<SocketAddr> {
        let mut state = self.lock();
        // Ends with the desk: it closes the queue before it goes.
        loop {
            if let Some(address) = state.0.pop_front() {
                return Some(address);
            }
            if state.1 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn work(queue: &Queue, saw: &Sender<(SocketAddr, Look)>, wanted: &LookFor) {
    while let Some(address) = queue.next() {
        if saw.send((address, look(address, wanted, Instant::now() + LOOK_TIME))).is_err() {
            return;
        }
    }
}

fn is_worth_a_look(found: &Finding) -> bool {
    found.state == State::Open && found.protocol == Protocol::Tcp && found.look.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hosts, Ports, Reason};
    use std::io::Write;
    use std::net::TcpListener;

    fn finding(port: u16, state: State) -> Finding {
        let host = [127, 0, 0, 1].into();
        let reason = if state == State::Open { Reason::SynAck } else { Reason::RstAfterHandshake };
        Finding { host, port, protocol: Protocol::Tcp, state, reason, ttl: None, rtt: None, look: None }
    }

    fn told(events: Vec<Event>, stopped: bool) -> Vec<Event> {
        let plan = Plan::new(Hosts::parse(&["127.0.0.1"], &[]).unwrap(), Ports::all(Protocol::Tcp));
        let (stop, mut told) = (AtomicBool::new(stopped), Vec::new());
        let mut engine = |tell: &mut dyn FnMut(Event)| {
            events.iter().cloned().for_each(&mut *tell);
            Ok(Summary {
                protocol: Protocol::Tcp,
                engine: "connect".into(),
                hosts: 1,
                ports: 1,
                open: 1,
                closed: 0,
                filtered: 0,
                rejected: 0,
                intercepted: 0,
                unknown: 0,
                packets_sent: 1,
                packets_received: 1,
                passes: 1,
                loss: None,
                expected_missed: 0.0,
                rtt_ms: None,
                elapsed_ms: 1,
                complete: true,
                notices: Vec::new(),
            })
        };
        run(&plan, &LookFor::default(), &stop, &mut |event| told.push(event), &mut engine).unwrap();
        told
    }

    #[test]
    fn a_port_is_told_once_with_what_was_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"SSH-2.0-test\r\n").unwrap();
        });
        let told = told(vec![Event::Found(finding(port, State::Open))], false);
        let [Event::Found(found)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(found.look.as_ref().map(|look| look.service.as_str()), Some("ssh"));
        server.join().unwrap();
    }

    #[test]
    fn a_port_revised_before_it_was_told_is_told_once() {
        // Held back by a listener that never says a word.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let events = vec![
            Event::Found(finding(port, State::Open)),
            Event::Revised(finding(port, State::Intercepted)),
            Event::Revised(finding(7, State::Intercepted)),
        ];
        let told = told(events, false);
        let [Event::Found(first), Event::Revised(second)] = &told[..] else { panic!("{told:?}") };
        assert_eq!((first.port, first.state, second.port), (port, State::Intercepted, 7));
    }

    #[test]
    fn a_scan_that_is_stopped_tells_what_it_has() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = told(vec![Event::Found(finding(port, State::Open))], true);
        let [Event::Found(found)] = &told[..] else { panic!("{told:?}") };
        assert!(found.look.is_none());
    }
}
