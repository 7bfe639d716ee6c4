//! What this host sees of its own connections: the packets that open and end them, sockets, and what the kernel tracks.
//!
//! Each sees what another misses: packets the short conversations and the scanners that use no socket, sockets the long
//! ones, connection tracking whatever is no TCP and what is routed through. None tells what another has told.

use super::Seen;
use netwhy_flows::live;
use netwhy_flows::{Address, Flow, Names};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Sockets are looked at so often, in milliseconds: the kernel tells of none that opens, and each look costs by their number.
const LOOK_EVERY_MS: u64 = 500;
/// Conversations remembered, so that none is told twice.
const KNOWN_COUNT_MAX: usize = 500_000;
/// A conversation not seen for so long may be told anew, in milliseconds.
const KNOWN_MS_MAX: i64 = 120_000;

/// The old ones are sought at most so often, in milliseconds: in a flood there are none for a while.
const FORGET_EVERY_MS: i64 = 10_000;

/// IPv4 and TCP with time stamps, in bytes.
const HEADER_BYTES: u64 = 52;
/// So long a conversation is young, in milliseconds: most guesses are over by then.
const YOUNG_MS_MAX: i64 = 5_000;

const TCP: u8 = 6;
const SYN: u8 = 0x02;

type Tuple = (Address, u16, Address, u16, u8);

/// Starts to look; every thread ends soon after `stop` is set.
pub(super) fn open(
    names: &Arc<Names>,
    stop: &Arc<AtomicBool>,
    sender: &SyncSender<Seen>,
) -> Vec<JoinHandle<()>> {
    let eye = Eye { names: names.clone(), stop: stop.clone(), sender: sender.clone(), known: Arc::default() };
    let handshakes = live::Handshakes::open(names);
    let sees_tcp = handshakes.is_ok();
    let (handshake_eye, tracking_eye, socket_eye) = (eye.clone(), eye.clone(), eye);
    vec![
        std::thread::spawn(move || {
            let ended = handshakes.and_then(|handshakes| {
                handshakes.run(&handshake_eye.stop, &mut |flows| handshake_eye.handshakes(flows))
            });
            handshake_eye.ended(ended);
        }),
        std::thread::spawn(move || {
            let ended = live::connections(&tracking_eye.names, &tracking_eye.stop, &mut |flows| {
                tracking_eye.tracked(flows, sees_tcp);
            });
            tracking_eye.ended(ended);
        }),
        std::thread::spawn(move || socket_eye.sockets()),
    ]
}

/// What every thread that looks has.
#[derive(Clone)]
struct Eye {
    names: Arc<Names>,
    stop: Arc<AtomicBool>,
    sender: SyncSender<Seen>,
    known: Arc<Mutex<Known>>,
}

impl Eye {
    /// Conversations that failed or were over soon.
    fn handshakes(&self, flows: &[Flow]) {
        let now = super::now_ms();
        let mut new = flows.to_vec();
        if let Ok(mut known) = self.known.lock() {
            // A SYN alone is told first here, and every time: it may be a flood.
            new.retain(|flow| flow.tcp_flags == SYN || !known.is_told(flow, now));
            flows.iter().for_each(|flow| known.see(tuple(flow), now));
        }
        self.send(new);
    }

    /// What is tracked; this host's own TCP only where nothing else sees it whole.
    fn tracked(&self, flows: &[Flow], sees_tcp: bool) {
        let now = super::now_ms();
        let is_seen = |flow: &&Flow| {
            sees_tcp && flow.protocol == TCP && flow.direction != netwhy_flows::Direction::Unknown
        };
        let new: Vec<Flow> = flows.iter().filter(|flow| !is_seen(flow)).copied().collect();
        if let Ok(mut known) = self.known.lock() {
            new.iter().for_each(|flow| known.see(tuple(flow), now));
        }
        self.send(new);
    }

    fn sockets(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let now = super::now_ms();
            let seen = match live::sockets(&self.names, now) {
                Ok(seen) => seen.into_iter().map(with_headers).collect(),
                Err(error) => return self.ended(Err(error)),
            };
            let new = self.known.lock().map(|mut known| known.new_of(seen, now)).unwrap_or_default();
            self.send(new);
            std::thread::sleep(Duration::from_millis(LOOK_EVERY_MS));
        }
    }

    fn send(&self, flows: Vec<Flow>) {
        if !flows.is_empty() && self.sender.send(Seen::Flows(flows)).is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn ended(&self, ended: Result<u64, live::LiveError>) {
        let seen = match ended {
            Ok(0) => return,
            Ok(lost) => Seen::Lost(lost),
            Err(error) => Seen::Failed(error),
        };
        let _ = self.sender.send(seen);
    }
}

/// Conversations that were told, and when each was last seen.
#[derive(Default)]
struct Known {
    tuples: HashMap<Tuple, i64>,
    forgot_ms: i64,
    /// Young ones: told when they end or grow old, since only then it shows what became of them.
    young: HashMap<Tuple, Flow>,
}

impl Known {
    fn see(&mut self, tuple: Tuple, now_ms: i64) {
        if self.tuples.len() >= KNOWN_COUNT_MAX && now_ms - self.forgot_ms >= FORGET_EVERY_MS {
            self.forgot_ms = now_ms;
            self.tuples.retain(|_, seen| now_ms - *seen < KNOWN_MS_MAX);
        }
        if self.tuples.len() < KNOWN_COUNT_MAX {
            self.tuples.insert(tuple, now_ms);
        }
    }

    fn is_told(&self, flow: &Flow, now_ms: i64) -> bool {
        let (from, from_port, to, to_port, protocol) = tuple(flow);
        let told = |key| self.tuples.get(&key).is_some_and(|seen| now_ms - seen < KNOWN_MS_MAX);
        told((from, from_port, to, to_port, protocol)) || told((to, to_port, from, from_port, protocol))
    }

    /// Those of a look that are old enough and were not told yet, and the young ones that ended since the last.
    fn new_of(&mut self, flows: Vec<Flow>, now_ms: i64) -> Vec<Flow> {
        let mut young = std::mem::take(&mut self.young);
        let mut new = Vec::new();
        for flow in &flows {
            if self.is_told(flow, now_ms) {
                continue;
            }
            let start_ms = young.remove(&tuple(flow)).map_or(flow.start_ms, |earlier| earlier.start_ms);
            let flow = Flow { start_ms, ..*flow };
            if now_ms - start_ms >= YOUNG_MS_MAX {
                new.push(flow);
            } else if self.young.len() < KNOWN_COUNT_MAX {
                self.young.insert(tuple(&flow), flow);
            }
        }
        new.extend(young.into_values().filter(|flow| !self.is_told(flow, now_ms)));
        let is_settled = |flow: &&Flow| !self.young.contains_key(&tuple(flow));
        let settled: Vec<Tuple> = flows.iter().chain(&new).filter(is_settled).map(tuple).collect();
        settled.into_iter().for_each(|tuple| self.see(tuple, now_ms));
        new
    }
}

/// Records count headers, sockets what they carried.
fn with_headers(flow: Flow) -> Flow {
    Flow { bytes: flow.bytes + flow.packets * HEADER_BYTES, ..flow }
}

fn tuple(flow: &Flow) -> Tuple {
    (flow.source, flow.source_port, flow.destination, flow.destination_port, flow.protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_told_once_from_either_side() {
        let flow = Flow {
            source: Address::v4(1),
            destination: Address::v4(2),
            destination_port: 22,
            ..Flow::default()
        };
        let back = Flow {
            source: flow.destination,
            destination: flow.source,
            source_port: 22,
            destination_port: 0,
            ..flow
        };
        let mut known = Known::default();
        assert!(known.new_of(vec![flow], 0).is_empty());
        assert_eq!(known.new_of(vec![flow], YOUNG_MS_MAX).len(), 1);
        assert!(known.new_of(vec![flow, back], YOUNG_MS_MAX + 500).is_empty());
    }

    #[test]
    fn a_conversation_is_told_with_what_became_of_it() {
        let asked = Flow { tcp_flags: 2, packets: 1, destination_port: 22, ..Flow::default() };
        let open = Flow { tcp_flags: 0x12, packets: 14, start_ms: 500, end_ms: 500, ..asked };
        let mut known = Known::default();
        assert!(known.new_of(vec![asked], 0).is_empty());
        assert!(known.new_of(vec![open], 500).is_empty());
        assert_eq!(known.new_of(vec![], 1_000), [Flow { start_ms: 0, ..open }], "the counts of its end");
        assert!(known.new_of(vec![], 1_500).is_empty());
    }
}
