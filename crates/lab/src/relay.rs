//! A cable that delays, loses, damages, repeats, reorders and limits packets.
//!
//! `netem` is not in every kernel, so the lab has its own: a process that carries whole Ethernet frames
//! between two packet sockets. Both end hosts have segmentation and checksum offload switched off, so
//! that what crosses the cable is what a real wire would carry.

use crate::error::{LabError, Result};
use crate::scenario::Shape;
use netwhy_socket::frames;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Frames waiting in one direction, whatever the delay; more are lost.
const WAITING_COUNT_MAX: usize = 20_000;
/// Frames that may wait for the rate when the scenario does not say.
const QUEUE_PACKETS_DEFAULT: usize = 100;
/// Frames taken from one socket before the other has its turn.
const BATCH_COUNT_MAX: usize = 64;
/// The longest frame, in bytes.
const FRAME_BYTES_MAX: usize = 65_600;
/// Receive buffer of each packet socket, in bytes.
const BUFFER_BYTES: libc::c_int = 8 << 20;
const ETHERNET_BYTES: usize = 14;

/// What a relay process is told, as JSON in its argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cable {
    /// Interfaces of the lab's own namespace: the first end's and the second's.
    pub ends: [String; 2],
    pub shape: Shape,
    /// For the dice; the same seed throws the same.
    pub seed: u64,
}

/// Carries frames until killed. Prints nothing; `ready` is called once both ends are open.
pub fn carry(cable: &Cable, ready: impl FnOnce()) -> Result<()> {
    let sockets = [open(&cable.ends[0])?, open(&cable.ends[1])?];
    let applies = |back: bool| match cable.shape.direction.as_str() {
        "forward" => !back,
        "back" => back,
        _ => true,
    };
    let shape = |back| if applies(back) { cable.shape.clone() } else { Shape::default() };
    let mut lanes = [
        Lane::new(shape(false), cable.seed),
        Lane::new(shape(true), cable.seed.wrapping_mul(31).wrapping_add(7)),
    ];
    ready();
    let mut buffer = vec![0u8; FRAME_BYTES_MAX];
    loop {
        frames::wait(&sockets, lanes.iter().filter_map(Lane::next_due).min())
            .map_err(LabError::kernel("waiting for packets"))?;
        for side in [0, 1] {
            for _ in 0..BATCH_COUNT_MAX {
                let Some(length) = frames::receive(&sockets[side], &mut buffer) else { break };
                lanes[side].offer(Instant::now(), &mut buffer[..length]);
            }
            let now = Instant::now();
            while let Some(frame) = lanes[side].take_due(now) {
                frames::send(&sockets[1 - side], &frame);
            }
        }
    }
}

/// One direction of the cable.
struct Lane {
    shape: Shape,
    dice: Dice,
    waiting: BinaryHeap<Reverse<Held>>,
    count: u64,
    /// When the last bit of what was accepted so far will have been sent, under the rate.
    busy_until: Option<Instant>,
    last_due: Option<Instant>,
}

/// A frame and when it arrives; `order` keeps equals in order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due: Instant,
    order: u64,
    frame: Vec<u8>,
}

impl Lane {
    fn new(shape: Shape, seed: u64) -> Lane {
        Lane {
            shape,
            dice: Dice::new(seed),
            waiting: BinaryHeap::new(),
            count: 0,
            busy_until: None,
            last_due: None,
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|held| held.0.due)
    }

    fn take_due(&mut self, now: Instant) -> Option<Vec<u8>> {
        (self.next_due()? <= now).then(|| self.waiting.pop()).flatten().map(|held| held.0.frame)
    }

    /// Decides the fate of a frame.
    fn offer(&mut self, now: Instant, frame: &mut [u8]) {
        let over = self.shape.drop_over_bytes;
        let lost = self.dice.falls(self.shape.loss)
            || (over > 0 && frame.len() > over + ETHERNET_BYTES)
            || self.waiting.len() >= WAITING_COUNT_MAX;
        if lost {
            return;
        }
        let Some(sent) = self.through_the_queue(now, frame.len()) else { return };
        if self.dice.falls(self.shape.corrupt) {
            flip_a_bit(frame, self.dice.next());
        }
        let mut due =
            sent + millis(self.shape.delay_ms) + millis(self.shape.jitter_ms * self.dice.fraction());
        if self.dice.falls(self.shape.reorder) {
            due = sent;
        } else {
            due = self.last_due.map_or(due, |last| due.max(last));
            self.last_due = Some(due);
        }
        let copies = 1 + usize::from(self.dice.falls(self.shape.duplicate));
        for _ in 0..copies {
            self.count += 1;
            self.waiting.push(Reverse(Held { due, order: self.count, frame: frame.to_vec() }));
        }
    }

    /// When the frame will have left the queue of the rate limit; `None` when the queue is full.
    fn through_the_queue(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        if self.shape.rate_kbit == 0 {
            return Some(now);
        }
        let each = Duration::from_secs_f64(bytes as f64 * 8.0 / (self.shape.rate_kbit as f64 * 1000.0));
        let packets =
            if self.shape.queue_packets == 0 { QUEUE_PACKETS_DEFAULT } else { self.shape.queue_packets };
        let full =
            Duration::from_secs_f64(1500.0 * 8.0 / (self.shape.rate_kbit as f64 * 1000.0)) * packets as u32;
        let start = self.busy_until.map_or(now, |until| until.max(now));
        if start - now > full {
            return None;
        }
        self.busy_until = Some(start + each);
        self.busy_until
    }
}

fn millis(value: f64) -> Duration {
    Duration::from_secs_f64(value.clamp(0.0, 60_000.0) / 1000.0)
}

/// Flips one bit behind the Ethernet and IP headers, where only the transport checksum watches.
fn flip_a_bit(frame: &mut [u8], random: u64) {
    let headers = match frame.get(12..15) {
        Some([0x08, 0x00, first]) => ETHERNET_BYTES + usize::from(first & 0x0f) * 4,
        Some([0x86, 0xdd, _]) => ETHERNET_BYTES + 40,
        _ => return,
    };
    if let Some(payload) = frame.get_mut(headers..).filter(|payload| !payload.is_empty()) {
        let at = usize::try_from(random >> 3).unwrap_or(0) % payload.len();
        payload[at] ^= 1 << (random & 7);
    }
}

/// xorshift64*: small, fast, and the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            dice.next();
        }
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// 0 to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn falls(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.fraction() < probability
    }
}

fn open(interface: &str) -> Result<OwnedFd> {
    frames::open(interface, BUFFER_BYTES).map_err(LabError::kernel("a packet socket"))
}

/// Switches segmentation and checksum offload of an interface off; settings a driver lacks are passed over.
pub fn switch_offload_off(interface: &str) -> Result<()> {
    frames::switch_offload_off(interface).map_err(LabError::kernel("an ethtool setting"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Vec<u8> {
        let mut frame = vec![0u8; 100];
        frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
        frame
    }

    #[test]
    fn delays_and_keeps_order() {
        let mut lane = Lane::new(Shape { delay_ms: 10.0, jitter_ms: 5.0, ..Shape::default() }, 1);
        let start = Instant::now();
        for number in 0..20u8 {
            let mut frame = frame();
            frame[99] = number;
            lane.offer(start, &mut frame);
        }
        assert!(lane.take_due(start + Duration::from_millis(9)).is_none());
        let late = start + Duration::from_millis(16);
        let order: Vec<u8> = std::iter::from_fn(|| lane.take_due(late)).map(|frame| frame[99]).collect();
        assert_eq!(order, (0..20).collect::<Vec<u8>>());
    }

    #[test]
    fn loses_about_as_many_as_asked() {
        let mut lane = Lane::new(Shape { loss: 0.05, ..Shape::default() }, 42);
        let now = Instant::now();
        (0..10_000).for_each(|_| lane.offer(now, &mut frame()));
        let left = lane.waiting.len();
        assert!((9_400..9_600).contains(&left), "{left}");
    }

    #[test]
    fn corrupts_the_transport_payload_only() {
        let mut damaged = frame();
        flip_a_bit(&mut damaged, 12_345);
        assert_eq!(damaged[..34], frame()[..34]);
        assert_ne!(damaged, frame());
        flip_a_bit(&mut [], 1);
        flip_a_bit(&mut [0; 20], 1);
    }

    #[test]
    fn the_rate_fills_the_queue_and_then_drops() {
        let mut lane = Lane::new(Shape { rate_kbit: 1000, queue_packets: 10, ..Shape::default() }, 1);
        let now = Instant::now();
        (0..1000).for_each(|_| lane.offer(now, &mut frame()));
        assert!((100..200).contains(&lane.waiting.len()), "{}", lane.waiting.len());
    }
}
