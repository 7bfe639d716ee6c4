//! What this host sees of its own connections: tracked ones as they open and close, and sockets besides.
//!
//! Connection tracking is often off, and sockets that live for less than a look are missed: neither alone is enough.

use super::Seen;
use netwhy_flows::live;
use netwhy_flows::{Address, Flow, Names};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

/// Sockets are looked at so often, in milliseconds: the kernel tells of none that opens, and each look costs by their number.
const LOOK_EVERY_MS: u64 = 500;
/// Conversations remembered, so that none is told twice.
const KNOWN_COUNT_MAX: usize = 500_000;
/// A conversation not seen for so long may be told anew, in milliseconds.
const KNOWN_MS_MAX: i64 = 120_000;

/// IPv4 and TCP with time stamps, in bytes.
const HEADER_BYTES: u64 = 52;
/// So long a conversation is young, in milliseconds: most guesses are over by then.
const YOUNG_MS_MAX: i64 = 5_000;

type Tuple = (Address, u16, Address, u16, u8);

/// Starts to look; every thread ends soon after `stop` is set.
pub(super) fn open(
    names: &Arc<Names>,
    stop: &Arc<AtomicBool>,
    sender: &SyncSender<Seen>,
) -> Vec<JoinHandle<()>> {
    let known = Arc::new(std::sync::Mutex::new(Known::default()));
    let (tracking, looking) = (known.clone(), known);
    let (names_of_tracked, stop_tracked, tracked) = (names.clone(), stop.clone(), sender.clone());
    let (names, stop, sockets) = (names.clone(), stop.clone(), sender.clone());
    vec![
        std::thread::spawn(move || {
            let ended = live::connections(&names_of_tracked, &stop_tracked, &mut |flows| {
                if flows.is_empty() {
                    return;
                }
                let now = super::now_ms();
                if let Ok(mut known) = tracking.lock() {
                    flows.iter().for_each(|flow| known.see(tuple(flow), now));
                }
                if tracked.send(Seen::Flows(flows.to_vec())).is_err() {
                    stop_tracked.store(true, Ordering::Relaxed);
                }
            });
            if let Err(error) = ended {
                let _ = tracked.send(Seen::Failed(error));
            }
        }),
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let now = super::now_ms();
                let seen = match live::sockets(&names, now) {
                    Ok(seen) => seen.into_iter().map(with_headers).collect(),
                    Err(error) => {
                        let _ = sockets.send(Seen::Failed(error));
                        return;
                    }
                };
                let new = looking.lock().map(|mut known| known.new_of(seen, now)).unwrap_or_default();
                if !new.is_empty() && sockets.send(Seen::Flows(new)).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(LOOK_EVERY_MS));
            }
        }),
    ]
}

/// Conversations that were told, and when each was last seen.
#[derive(Default)]
struct Known {
    tuples: HashMap<Tuple, i64>,
    /// Young ones: told when they end or grow old, since only then it shows what became of them.
    young: HashMap<Tuple, Flow>,
}

impl Known {
    fn see(&mut self, tuple: Tuple, now_ms: i64) {
        if self.tuples.len() >= KNOWN_COUNT_MAX {
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
