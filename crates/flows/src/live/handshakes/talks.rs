//! What the packets that open and end conversations add up to.

use crate::names::Symbol;
use crate::record::{Address, Direction, Flow, Opener};
use netwhy_wire::{TcpFlags, protocol};
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

/// So long an answer or an end is waited for, in milliseconds; the kernel has sent a SYN three times by then.
pub const WAIT_MS: i64 = 4_000;
/// Conversations under way.
const TALK_COUNT_MAX: usize = 1 << 18;
/// Conversations that began within [`WAIT_MS`], ended ones too.
const BEGUN_COUNT_MAX: usize = 1 << 20;
/// Unanswered SYNs that were told and may be sent once more, and for how long in milliseconds: the kernel gives up after
/// 127 s.
const TOLD_COUNT_MAX: usize = 1 << 16;
const TOLD_MS_MAX: i64 = 130_000;
/// The same SYN again so soon was seen on two interfaces, in milliseconds: a bridge and its port.
const TWICE_MS_MAX: i64 = 100;
/// IP and TCP with time stamps, in bytes.
const HEADER_BYTES: u64 = 52;
/// SYN, ACK, FIN and ACK of a side.
const CONTROL_PACKETS: u64 = 4;
/// A segment of the usual path, in bytes.
const SEGMENT_BYTES: u64 = 1_448;
/// More than any conversation says within [`WAIT_MS`]: such numbers do not belong together.
const SAID_BYTES_MAX: u32 = 1 << 31;

/// A packet with SYN, FIN or RST.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    pub at_ms: i64,
    pub from: (IpAddr, u16),
    pub to: (IpAddr, u16),
    pub flags: TcpFlags,
    pub sequence: u32,
    pub acknowledgment: u32,
}

/// The two ends, who opened first.
type Ends = (Address, u16, Address, u16);

#[derive(Debug)]
struct Talk {
    start_ms: i64,
    end_ms: i64,
    is_own: bool,
    syns: u64,
    /// First sequence number behind the SYN: who opened, who answered.
    first: [Option<u32>; 2],
    /// Sequence number of the end.
    last: [Option<u32>; 2],
    reset: bool,
}

/// All of them.
#[derive(Debug)]
pub struct Talks {
    /// This host's addresses; what lies between none or both of them is not its own.
    pub own: HashSet<IpAddr>,
    interface: Symbol,
    talks: HashMap<Ends, Talk>,
    /// In the order of their beginnings.
    begun: VecDeque<(i64, Ends)>,
    again: HashMap<Ends, (u32, i64)>,
    flows: Vec<Flow>,
    number: u64,
}

impl Talks {
    pub fn new(own: HashSet<IpAddr>, interface: Symbol) -> Talks {
        Talks {
            own,
            interface,
            talks: HashMap::new(),
            begun: VecDeque::new(),
            again: HashMap::new(),
            flows: Vec::new(),
            number: 0,
        }
    }

    pub fn take(&mut self, segment: &Segment) {
        let is_own = self.own.contains(&segment.from.0);
        if is_own == self.own.contains(&segment.to.0) {
            return;
        }
        let (from, to) = (Address::from(segment.from.0), Address::from(segment.to.0));
        let there = (from, segment.from.1, to, segment.to.1);
        if segment.flags.is_syn() {
            return self.opens(there, segment, is_own);
        }
        let back = (to, segment.to.1, from, segment.from.1);
        if segment.flags.is_syn_ack() {
            if let Some(talk) = self.talks.get_mut(&back) {
                talk.first[1] = Some(segment.sequence.wrapping_add(1));
            }
            return;
        }
        let (ends, side) = if self.talks.contains_key(&there) { (there, 0) } else { (back, 1) };
        let Some(talk) = self.talks.get_mut(&ends) else { return };
        talk.end_ms = talk.end_ms.max(segment.at_ms);
        talk.last[side] = Some(segment.sequence);
        talk.reset |= segment.flags.has(TcpFlags::RST);
        if talk.reset && segment.flags.has(TcpFlags::ACK) && talk.last[1 - side].is_none() {
            talk.last[1 - side] = Some(segment.acknowledgment);
        }
        if talk.reset || talk.last.iter().all(Option::is_some) {
            self.ends(ends);
        }
    }

    /// What was found out since the last time.
    pub fn told(&mut self, now_ms: i64) -> Vec<Flow> {
        while let Some((start_ms, ends)) = self.begun.front().copied()
            && start_ms + WAIT_MS <= now_ms
        {
            self.begun.pop_front();
            // Another conversation may have taken its ends.
            if self.talks.get(&ends).is_some_and(|talk| talk.start_ms == start_ms) {
                self.waited(ends, now_ms);
            }
        }
        if self.again.len() >= TOLD_COUNT_MAX {
            self.again.retain(|_, (_, at_ms)| now_ms - *at_ms < TOLD_MS_MAX);
        }
        std::mem::take(&mut self.flows)
    }

    fn opens(&mut self, ends: Ends, segment: &Segment, is_own: bool) {
        let first = segment.sequence.wrapping_add(1);
        if let Some(talk) = self.talks.get_mut(&ends).filter(|talk| talk.first[0] == Some(first)) {
            if segment.at_ms - talk.end_ms >= TWICE_MS_MAX {
                (talk.syns, talk.end_ms) = (talk.syns + 1, segment.at_ms);
            }
            return;
        }
        if self.again.get(&ends).is_some_and(|(known, _)| *known == first) {
            return;
        }
        let talk = Talk {
            start_ms: segment.at_ms,
            end_ms: segment.at_ms,
            is_own,
            syns: 1,
            first: [Some(first), None],
            last: [None; 2],
            reset: false,
        };
        // In a flood the answers no longer matter.
        let is_full = self.talks.len() >= TALK_COUNT_MAX && !self.talks.contains_key(&ends);
        if is_full || self.begun.len() >= BEGUN_COUNT_MAX {
            return self.knocked(ends, &talk);
        }
        // The same ends with another number: the one before got no answer.
        if let Some(before) = self.talks.insert(ends, talk)
            && before.first[1].is_none()
        {
            self.knocked(ends, &before);
        }
        self.begun.push_back((segment.at_ms, ends));
    }

    /// No answer came, or the conversation goes on.
    fn waited(&mut self, ends: Ends, now_ms: i64) {
        let Some(talk) = self.talks.remove(&ends) else { return };
        if talk.first[1].is_some() {
            return;
        }
        if let Some(first) = talk.first[0].filter(|_| self.again.len() < TOLD_COUNT_MAX) {
            self.again.insert(ends, (first, now_ms));
        }
        self.knocked(ends, &talk);
    }

    fn knocked(&mut self, ends: Ends, talk: &Talk) {
        let flow = Flow {
            tcp_flags: TcpFlags::SYN.0,
            packets: talk.syns,
            bytes: talk.syns * HEADER_BYTES,
            ..self.flow(ends, talk)
        };
        self.flows.push(flow);
    }

    fn ends(&mut self, ends: Ends) {
        let Some(talk) = self.talks.remove(&ends) else { return };
        let base = self.flow(ends, &talk);
        if talk.first[1].is_none() {
            // A SYN that was reset: the port is closed.
            self.knocked(ends, &talk);
            self.flows.push(Flow {
                tcp_flags: TcpFlags::RST_ACK.0,
                packets: 1,
                bytes: HEADER_BYTES,
                ..base.turned()
            });
            return;
        }
        let end = if talk.reset { TcpFlags::RST } else { TcpFlags::FIN };
        let flags = TcpFlags::SYN_ACK.0 | end.0;
        let counted = |side: usize| {
            let said = match (talk.first[side], talk.last[side]) {
                (Some(first), Some(last)) => {
                    Some(last.wrapping_sub(first)).filter(|said| *said < SAID_BYTES_MAX)
                }
                _ => None,
            };
            let said = u64::from(said.unwrap_or(0));
            let packets = CONTROL_PACKETS + said.div_ceil(SEGMENT_BYTES);
            (packets, said + packets * HEADER_BYTES)
        };
        let ((packets, bytes), (packets_back, bytes_back)) = (counted(0), counted(1));
        self.flows.push(Flow { tcp_flags: flags, packets, bytes, ..base });
        self.flows.push(Flow { tcp_flags: flags, packets: packets_back, bytes: bytes_back, ..base.turned() });
    }

    fn flow(&mut self, (from, from_port, to, to_port): Ends, talk: &Talk) -> Flow {
        self.number += 1;
        Flow {
            start_ms: talk.start_ms,
            end_ms: talk.end_ms,
            source: from,
            source_port: from_port,
            destination: to,
            destination_port: to_port,
            protocol: protocol::TCP,
            direction: if talk.is_own { Direction::Out } else { Direction::In },
            opener: Opener::Source,
            interface: self.interface,
            offset: self.number,
            ..Flow::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: (IpAddr, u16) = (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 40_000);
    const PEER: (IpAddr, u16) = (IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)), 22);

    fn talks() -> Talks {
        Talks::new(HashSet::from([OWN.0]), Symbol::OTHER)
    }

    fn segment(at_ms: i64, is_own: bool, flags: u8, sequence: u32, acknowledgment: u32) -> Segment {
        let (from, to) = if is_own { (OWN, PEER) } else { (PEER, OWN) };
        Segment { at_ms, from, to, flags: TcpFlags(flags), sequence, acknowledgment }
    }

    fn counts(flows: &[Flow]) -> Vec<(u16, u64, u64, Direction)> {
        flows.iter().map(|flow| (flow.destination_port, flow.packets, flow.bytes, flow.direction)).collect()
    }

    #[test]
    fn a_syn_without_an_answer_is_told_once_with_all_its_repeats() {
        let mut talks = talks();
        for at_ms in [0, 5, 1_000, 3_000] {
            talks.take(&segment(at_ms, true, 0x02, 7, 0));
        }
        assert!(talks.told(WAIT_MS - 1).is_empty());
        assert_eq!(counts(&talks.told(WAIT_MS)), [(22, 3, 3 * HEADER_BYTES, Direction::Out)]);
        talks.take(&segment(7_000, true, 0x02, 7, 0));
        assert!(talks.told(20_000).is_empty(), "the same call still");
        talks.take(&segment(21_000, true, 0x02, 8, 0));
        assert_eq!(talks.told(21_000 + WAIT_MS).len(), 1, "another call");
    }

    #[test]
    fn a_closed_port_is_told_at_once() {
        let mut talks = talks();
        talks.take(&segment(0, true, 0x02, 7, 0));
        talks.take(&segment(1, false, 0x14, 0, 8));
        let told = talks.told(1);
        assert_eq!(told.iter().map(|flow| flow.tcp_flags).collect::<Vec<_>>(), [0x02, 0x14]);
        assert_eq!(
            (told[1].source_port, told[1].direction, told[1].opener),
            (22, Direction::In, Opener::Destination)
        );
    }

    #[test]
    fn a_conversation_is_told_at_its_end_with_what_both_said() {
        let mut talks = talks();
        let begin = u32::MAX - 10;
        talks.take(&segment(0, true, 0x02, begin, 0));
        talks.take(&segment(10, false, 0x12, 500, begin.wrapping_add(1)));
        talks.take(&segment(900, true, 0x11, begin.wrapping_add(1 + 2_000), 501));
        assert!(talks.told(900).is_empty(), "one side still speaks");
        talks.take(&segment(950, false, 0x11, 501 + 100, 0));
        let told = talks.told(950);
        assert_eq!((told[0].packets, told[0].bytes), (6, 2_000 + 6 * HEADER_BYTES));
        assert_eq!((told[1].packets, told[1].bytes), (5, 100 + 5 * HEADER_BYTES));
        assert_eq!((told[0].start_ms, told[0].end_ms), (0, 950));
    }

    #[test]
    fn a_reset_tells_what_both_said_as_well() {
        let mut talks = talks();
        talks.take(&segment(0, false, 0x02, 100, 0));
        talks.take(&segment(1, true, 0x12, 900, 101));
        talks.take(&segment(2, true, 0x14, 901 + 40, 101 + 60));
        let told = talks.told(2);
        assert_eq!(
            counts(&told),
            [
                (40_000, 5, 60 + 5 * HEADER_BYTES, Direction::In),
                (22, 5, 40 + 5 * HEADER_BYTES, Direction::Out)
            ]
        );
    }

    #[test]
    fn what_is_not_this_hosts_or_goes_on_is_not_told() {
        let mut talks = talks();
        let routed = Segment { from: ([198, 51, 100, 1].into(), 1), ..segment(0, true, 0x02, 1, 0) };
        talks.take(&routed);
        talks.take(&segment(0, true, 0x02, 7, 0));
        talks.take(&segment(1, false, 0x12, 7, 8));
        assert!(talks.told(100_000).is_empty());
        assert!(talks.talks.is_empty() && talks.begun.is_empty());
    }

    #[test]
    fn a_flood_is_told_without_being_remembered() {
        let mut talks = talks();
        let count = TALK_COUNT_MAX as u32 + 1_000;
        for number in 0..count {
            let from = (OWN.0, (number % 65_536) as u16);
            let to = (IpAddr::from(0x0b00_0000_u32.wrapping_add(number / 65_536).to_be_bytes()), 80);
            talks.take(&Segment { from, to, ..segment(0, true, 0x02, number, 0) });
        }
        assert_eq!(talks.told(0).len(), 1_000);
        assert_eq!(talks.told(WAIT_MS).len(), TALK_COUNT_MAX);
        assert!(talks.again.len() <= TOLD_COUNT_MAX);
    }

    #[test]
    fn the_same_ends_again_and_again_are_not_remembered_each_time() {
        let mut talks = talks();
        let count = BEGUN_COUNT_MAX as u32 + 1_000;
        for number in 0..count {
            talks.take(&segment(0, true, 0x02, number * 2, 0));
        }
        assert_eq!((talks.talks.len(), talks.begun.len()), (1, BEGUN_COUNT_MAX));
        assert_eq!(talks.told(0).len() + talks.told(WAIT_MS).len(), count as usize, "each is told once");
    }
}
