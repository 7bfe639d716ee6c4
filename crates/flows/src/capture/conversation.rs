//! One conversation: what went each way since it was last written, and who opened it.

use super::packet::PacketFlow;
use crate::icmp;
use crate::names::Symbol;
use crate::record::{Address, Direction, Flow, Opener};
use netwhy_wire::{TcpFlags, protocol};

/// Both ends of a conversation, the lower first, so that both directions have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    low: Address,
    high: Address,
    low_port: u16,
    high_port: u16,
    protocol: u8,
}

/// Where and when a packet was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub at_ms: i64,
    pub direction: Direction,
    pub interface: Symbol,
    pub file: Symbol,
    /// The byte of the file where the packet begins.
    pub offset: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Side {
    packets: u64,
    bytes: u64,
    start_ms: i64,
    end_ms: i64,
    tcp_flags: u8,
    /// Type × 256 + code of the last ICMP message.
    message: u16,
    first: Seen,
}

/// One conversation.
#[derive(Debug)]
pub struct Conversation {
    ends: Ends,
    /// From the lower end, and from the higher one.
    sides: [Side; 2],
    /// The side that opened it.
    opener: Option<usize>,
    last_ms: i64,
    /// FIN of either side, by bit; a RST sets both.
    closed: u8,
}

impl Ends {
    /// The ends of a packet and which of them sent it.
    pub fn of(packet: &PacketFlow) -> (Ends, usize) {
        let (mut source_port, mut destination_port) = packet.ports;
        if icmp::is_icmp(packet.protocol) {
            // A request and its answer are one conversation.
            let (kind, code) = ((packet.ports.1 >> 8) as u8, packet.ports.1 & 0xff);
            let request = icmp::request_of(packet.protocol, kind).unwrap_or(kind);
            source_port = u16::from(request) << 8 | code;
            destination_port = source_port;
        }
        let source = (packet.source, source_port);
        let destination = (packet.destination, destination_port);
        let side = usize::from(source > destination);
        let (low, high) = if side == 0 { (source, destination) } else { (destination, source) };
        let ends = Ends {
            low: low.0,
            high: high.0,
            low_port: low.1,
            high_port: high.1,
            protocol: packet.protocol,
        };
        (ends, side)
    }
}

impl Conversation {
    pub fn new(ends: Ends, first: &PacketFlow, side: usize) -> Conversation {
        let opener = side_of(first.first_opener(), side);
        Conversation { ends, sides: [Side::default(); 2], opener, last_ms: i64::MIN, closed: 0 }
    }

    pub fn ends(&self) -> Ends {
        self.ends
    }

    pub fn last_ms(&self) -> i64 {
        self.last_ms
    }

    /// Whether the packet begins another conversation between the same ports.
    pub fn is_over(&self, packet: &PacketFlow) -> bool {
        self.closed == 3 && packet.tcp_flags.is_syn()
    }

    /// Whether what was counted is old enough to be written.
    pub fn is_due(&self, now_ms: i64, active_ms: i64) -> bool {
        self.sides.iter().any(|side| side.packets > 0 && now_ms.saturating_sub(side.start_ms) >= active_ms)
    }

    pub fn add(&mut self, packet: &PacketFlow, side: usize, seen: &Seen) {
        self.last_ms = self.last_ms.max(seen.at_ms);
        // What a SYN says is sure; what came first is only likely.
        self.opener = match packet.protocol {
            protocol::TCP => side_of(packet.opener(), side).or(self.opener),
            _ => self.opener,
        };
        let flags = packet.tcp_flags;
        if flags.is_rst() {
            self.closed = 3;
        } else if flags.has(TcpFlags::FIN) {
            self.closed |= 1 << side;
        }
        let counts = &mut self.sides[side];
        if counts.packets == 0 {
            *counts = Side { start_ms: seen.at_ms, end_ms: seen.at_ms, first: *seen, ..Side::default() };
        }
        counts.packets += 1;
        counts.bytes += packet.bytes;
        counts.start_ms = counts.start_ms.min(seen.at_ms);
        counts.end_ms = counts.end_ms.max(seen.at_ms);
        counts.tcp_flags |= flags.0;
        counts.message = packet.ports.1;
    }

    /// Writes a flow for each side that sent something, the opener's first, and counts anew.
    pub fn write(&mut self, flows: &mut Vec<Flow>) {
        let first = self.opener.unwrap_or(0);
        for side in [first, 1 - first] {
            if self.sides[side].packets > 0 {
                flows.push(self.flow(side));
            }
        }
        self.sides = [Side::default(); 2];
    }

    fn flow(&self, side: usize) -> Flow {
        let counts = &self.sides[side];
        let low = (self.ends.low, self.ends.low_port);
        let high = (self.ends.high, self.ends.high_port);
        let (source, destination) = if side == 0 { (low, high) } else { (high, low) };
        let icmp = icmp::is_icmp(self.ends.protocol);
        Flow {
            start_ms: counts.start_ms,
            end_ms: counts.end_ms,
            source: source.0,
            destination: destination.0,
            bytes: counts.bytes,
            packets: counts.packets,
            offset: counts.first.offset,
            file: counts.first.file,
            interface: counts.first.interface,
            source_port: if icmp { 0 } else { source.1 },
            destination_port: if icmp { counts.message } else { destination.1 },
            protocol: self.ends.protocol,
            tcp_flags: counts.tcp_flags,
            direction: counts.first.direction,
            opener: match self.opener {
                Some(opener) if opener == side => Opener::Source,
                Some(_) => Opener::Destination,
                None => Opener::Unknown,
            },
            ..Flow::default()
        }
    }
}

/// Which side the opener of a packet of `side` is.
fn side_of(opener: Opener, side: usize) -> Option<usize> {
    match opener {
        Opener::Source => Some(side),
        Opener::Destination => Some(1 - side),
        Opener::Unknown => None,
    }
}
