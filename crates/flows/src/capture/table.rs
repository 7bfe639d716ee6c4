//! The table of conversations: both directions together, bounded, the quietest first to leave.

use super::conversation::{Conversation, Ends, Seen};
use super::packet::PacketFlow;
use crate::record::{Address, Flow};
use std::collections::{HashMap, VecDeque};

/// Fragmented packets whose ports are remembered.
const FRAGMENT_COUNT_MAX: usize = 4096;
/// No conversation.
const NONE: u32 = u32::MAX;

/// When a conversation's flows are written, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// After so long without a packet, in milliseconds.
    pub idle_ms: i64,
    /// After so long at the latest; the conversation goes on, in milliseconds.
    pub active_ms: i64,
    /// Beyond so many the quietest one is written early.
    pub conversation_count_max: usize,
}

impl Default for Limits {
    /// A minute, as the cloud's finest logs; 262,144 conversations are some 60 MB.
    fn default() -> Limits {
        Limits { idle_ms: 120_000, active_ms: 60_000, conversation_count_max: 1 << 18 }
    }
}

/// Conversations that are going on.
#[derive(Debug)]
pub struct Table {
    limits: Limits,
    places: HashMap<Ends, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    quietest: u32,
    latest: u32,
    now_ms: i64,
    fragments: Fragments,
}

/// A conversation and its neighbours by the time of the last packet.
#[derive(Debug)]
struct Slot {
    conversation: Conversation,
    quieter: u32,
    later: u32,
}

impl Table {
    pub fn new(limits: Limits) -> Table {
        Table {
            limits,
            places: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            quietest: NONE,
            latest: NONE,
            now_ms: i64::MIN,
            fragments: Fragments::default(),
        }
    }

    /// Adds a packet; flows that end meanwhile are pushed.
    pub fn add(&mut self, packet: &PacketFlow, seen: &Seen, flows: &mut Vec<Flow>) {
        let mut packet = *packet;
        self.fragments.complete(&mut packet);
        self.now_ms = self.now_ms.max(seen.at_ms);
        self.expire(flows);
        let (ends, side) = Ends::of(&packet);
        let at = match self.places.get(&ends) {
            Some(at) => {
                let at = *at;
                self.unlink(at);
                at
            }
            None => self.insert(ends, &packet, side, flows),
        };
        self.link_latest(at);
        let conversation = &mut self.slots[at as usize].conversation;
        if conversation.is_over(&packet) {
            conversation.write(flows);
            *conversation = Conversation::new(ends, &packet, side);
        } else if conversation.is_due(seen.at_ms, self.limits.active_ms) {
            conversation.write(flows);
        }
        conversation.add(&packet, side, seen);
    }

    /// Writes all that are left.
    pub fn finish(&mut self, flows: &mut Vec<Flow>) {
        while self.quietest != NONE {
            self.remove_quietest(flows);
        }
    }

    fn expire(&mut self, flows: &mut Vec<Flow>) {
        while let Some(slot) = self.slots.get(self.quietest as usize) {
            if self.now_ms.saturating_sub(slot.conversation.last_ms()) <= self.limits.idle_ms {
                return;
            }
            self.remove_quietest(flows);
        }
    }

    fn insert(&mut self, ends: Ends, packet: &PacketFlow, side: usize, flows: &mut Vec<Flow>) -> u32 {
        if self.places.len() >= self.limits.conversation_count_max {
            self.remove_quietest(flows);
        }
        let conversation = Conversation::new(ends, packet, side);
        let slot = Slot { conversation, quieter: NONE, later: NONE };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        self.places.insert(ends, at);
        at
    }

    fn remove_quietest(&mut self, flows: &mut Vec<Flow>) {
        let at = self.quietest;
        let Some(slot) = self.slots.get_mut(at as usize) else { return };
        slot.conversation.write(flows);
        let ends = slot.conversation.ends();
        self.unlink(at);
        self.places.remove(&ends);
        self.free.push(at);
    }

    fn unlink(&mut self, at: u32) {
        let (quieter, later) = (self.slots[at as usize].quieter, self.slots[at as usize].later);
        match self.slots.get_mut(quieter as usize) {
            Some(slot) => slot.later = later,
            None => self.quietest = later,
        }
        match self.slots.get_mut(later as usize) {
            Some(slot) => slot.quieter = quieter,
            None => self.latest = quieter,
        }
    }

    fn link_latest(&mut self, at: u32) {
        let before = self.latest;
        let slot = &mut self.slots[at as usize];
        (slot.quieter, slot.later) = (before, NONE);
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.later = at,
            None => self.quietest = at,
        }
        self.latest = at;
    }
}

type FragmentKey = (Address, Address, u8, u32);

/// The ports of packets that come in fragments, from their first ones.
#[derive(Debug, Default)]
struct Fragments {
    ports: HashMap<FragmentKey, (u16, u16)>,
    order: VecDeque<FragmentKey>,
}

impl Fragments {
    /// Gives a later fragment the ports of its first one, if that came before.
    fn complete(&mut self, packet: &mut PacketFlow) {
        let Some(fragment) = packet.fragment else { return };
        let key = (packet.source, packet.destination, packet.protocol, fragment.ident);
        if !fragment.first {
            packet.ports = self.ports.get(&key).copied().unwrap_or_default();
            return;
        }
        if self.ports.insert(key, packet.ports).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > FRAGMENT_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ports.remove(&oldest);
        }
    }
}
