//! Connection tracking: which connection a packet belongs to, and what state that gives it.

use super::memory::{ASSURED, Connection, Freedom, Memory, SEEN_REPLY, Tuple};
use super::tcp::{self, Said, Tcp};
use super::value::Bits;
use super::work::{ESTABLISHED, INVALID, NEW, RELATED, UNTRACKED, Work};
use crate::netfilter::eval::Rewritten;
use crate::netfilter::packet::{self, ICMP, ICMPV6, Packet, TCP, has_ports};

/// Types of ICMP that ask something of which the answer can be told, with the type of that answer.
const ASKED: [(u8, u8, u8); 6] =
    [(ICMP, 8, 0), (ICMP, 13, 14), (ICMP, 15, 16), (ICMP, 17, 18), (ICMPV6, 128, 129), (ICMPV6, 139, 140)];
/// The last type of ICMP there is.
const ICMP_TYPE_LAST: u8 = 18;
/// Types of ICMP that say an error about another packet.
const ICMP_ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
/// The first type of ICMPv6 that is no error.
const ICMPV6_ERRORS_BELOW: u8 = 128;

/// How a machine tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// `nf_conntrack_tcp_loose`: a connection may begin in its middle.
    pub loose: bool,
}

/// Finds the packet's connection, or begins one.
pub fn track(work: &mut Work<'_>, memory: &mut Memory, habits: Habits) {
    if work.state == Bits::of(UNTRACKED) {
        return;
    }
    if let Some(state) = work.packet.state {
        return said(work, memory, state.into());
    }
    match work.packet.protocol {
        TCP => match work.packet.flags {
            Some(flags) if tcp::valid(flags) => by_tuple(work, memory, habits),
            Some(_) => invalid(work),
            None => unknown(work),
        },
        ICMP | ICMPV6 => icmp(work, memory, habits),
        _ => by_tuple(work, memory, habits),
    }
}

fn invalid(work: &mut Work<'_>) {
    work.state = Bits::of(INVALID);
    work.connection = None;
    work.entry = None;
}

fn unknown(work: &mut Work<'_>) {
    work.state = Bits::UNKNOWN;
}

/// The state that the question itself says.
fn said(work: &mut Work<'_>, memory: &Memory, state: u128) {
    work.state = Bits::of(state);
    let Some(tuple) = tuple(work) else { return };
    if let Some((entry, reply)) = memory.find(&tuple)
        && state & (ESTABLISHED | RELATED) != 0
    {
        attach(work, memory, entry, reply);
        work.state = Bits::of(state);
    }
    if state == NEW && work.connection.is_none() {
        work.connection = invert(&tuple).map(|reply| begun(tuple, reply));
    }
}

fn begun(original: Tuple, reply: Tuple) -> Connection {
    Connection {
        original,
        reply,
        source_free: Freedom::Nothing,
        destination_free: Freedom::Nothing,
        status: 0,
        mark: Bits::of(0),
        tcp: Tcp::default(),
    }
}

fn attach(work: &mut Work<'_>, memory: &Memory, entry: usize, reply: bool) {
    work.connection = memory.get(entry).cloned();
    work.entry = Some(entry);
    work.reply = Bits::of(u128::from(reply));
    let seen = work.connection.as_ref().is_some_and(|connection| connection.status & SEEN_REPLY != 0);
    work.state = Bits::of(if reply || seen { ESTABLISHED } else { NEW });
}

fn by_tuple(work: &mut Work<'_>, memory: &mut Memory, habits: Habits) {
    let Some(tuple) = tuple(work) else { return unknown(work) };
    match memory.find(&tuple) {
        Some((entry, reply)) => {
            attach(work, memory, entry, reply);
            continued(work, memory, habits, entry, reply);
        }
        None if memory.is_full() || memory.may_answer(&tuple) => unknown(work),
        None => begin(work, tuple, habits),
    }
}

fn begin(work: &mut Work<'_>, tuple: Tuple, habits: Habits) {
    let Some(reply) = invert(&tuple) else { return invalid(work) };
    let mut connection = begun(tuple, reply);
    if tuple.protocol == TCP {
        let flags = work.packet.flags.unwrap_or_default();
        match tcp::opening(flags, habits.loose) {
            Some(tcp) => connection.tcp = tcp,
            None => return invalid(work),
        }
        if connection.tcp.take(work.packet, flags, false, 0) == Said::Invalid {
            return invalid(work);
        }
    }
    work.state = Bits::of(NEW);
    work.reply = Bits::of(0);
    work.connection = Some(connection);
}

/// One more packet of a connection that is known.
fn continued(work: &mut Work<'_>, memory: &mut Memory, habits: Habits, entry: usize, reply: bool) {
    let Some(connection) = memory.get_mut(entry) else { return };
    let mut forget = false;
    if connection.original.protocol == TCP {
        let flags = work.packet.flags.unwrap_or_default();
        match connection.tcp.take(work.packet, flags, reply, connection.status) {
            Said::Fits => {}
            Said::Assured => connection.status |= ASSURED,
            Said::Invalid => return invalid(work),
            Said::Ends => forget = true,
            Said::Again => {
                memory.forget(entry);
                (work.connection, work.entry) = (None, None);
                return match tuple(work) {
                    Some(tuple) => begin(work, tuple, habits),
                    None => invalid(work),
                };
            }
        }
    }
    if reply {
        connection.status |= SEEN_REPLY;
    }
    work.connection = Some(connection.clone());
    if forget {
        memory.forget(entry);
    }
}

fn icmp(work: &mut Work<'_>, memory: &mut Memory, habits: Habits) {
    let Some(kind) = work.packet.icmp_type else { return unknown(work) };
    let six = work.packet.protocol == ICMPV6;
    if six && matches!(kind, 130..=137 | 143) && kind != 137 {
        work.state = Bits::of(UNTRACKED);
        return;
    }
    if !six && kind > ICMP_TYPE_LAST {
        return invalid(work);
    }
    let error = if six { kind < ICMPV6_ERRORS_BELOW } else { ICMP_ERRORS.contains(&kind) };
    if error {
        return related(work, memory);
    }
    let asks = ASKED.iter().any(|(protocol, asked, _)| (*protocol, *asked) == (work.packet.protocol, kind));
    let Some(tuple) = tuple(work) else { return unknown(work) };
    if !asks && memory.find(&tuple).is_none() {
        return if memory.may_answer(&tuple) { unknown(work) } else { invalid(work) };
    }
    by_tuple(work, memory, habits);
}

/// An error belongs to the connection of the packet it is about.
fn related(work: &mut Work<'_>, memory: &Memory) {
    let Some(inner) = work.packet.inner else { return unknown(work) };
    let about = Tuple {
        source: packet::number(inner.source),
        destination: packet::number(inner.destination),
        source_port: inner.source_port,
        destination_port: inner.destination_port,
        protocol: inner.protocol,
        six: inner.source.is_ipv6(),
    };
    let Some(about) = invert(&about) else { return invalid(work) };
    match memory.find(&about) {
        Some(_) if Some(about.destination) != work.destination.known() => invalid(work),
        Some((entry, reply)) => {
            attach(work, memory, entry, reply);
            work.state = Bits::of(RELATED);
        }
        None if memory.may_answer(&about) => unknown(work),
        None => invalid(work),
    }
}

/// What a packet as it is now belongs to; `None` when something of it is unknown.
pub fn tuple(work: &Work<'_>) -> Option<Tuple> {
    let packet = work.packet;
    let (source_port, destination_port) = match packet.protocol {
        ICMP | ICMPV6 => {
            let kind = u16::from(packet.icmp_type?) << 8 | u16::from(packet.icmp_code.unwrap_or_default());
            (packet.icmp_id.unwrap_or_default(), kind)
        }
        protocol if has_ports(protocol) => (port(packet, true)?, port(packet, false)?),
        _ => (0, 0),
    };
    Some(Tuple {
        source: work.source.known()?,
        destination: work.destination.known()?,
        source_port,
        destination_port,
        protocol: packet.protocol,
        six: work.six,
    })
}

fn port(packet: &Packet, source: bool) -> Option<u16> {
    if source { packet.source_port } else { packet.destination_port }
}

/// The tuple of a packet with these addresses and ports instead of its own.
pub fn rewritten(tuple: &Tuple, as_seen: &Rewritten) -> Option<Tuple> {
    let number = |address: Option<std::net::IpAddr>| address.map(packet::number);
    let ports = has_ports(tuple.protocol);
    Some(Tuple {
        source: number(as_seen.src)?,
        destination: number(as_seen.dst)?,
        source_port: if ports { as_seen.sport? } else { tuple.source_port },
        destination_port: if ports { as_seen.dport? } else { tuple.destination_port },
        ..*tuple
    })
}

/// The way back of a way there; `None` for what has no answer.
pub fn invert(tuple: &Tuple) -> Option<Tuple> {
    let mut back = Tuple {
        source: tuple.destination,
        destination: tuple.source,
        source_port: tuple.destination_port,
        destination_port: tuple.source_port,
        ..*tuple
    };
    if matches!(tuple.protocol, ICMP | ICMPV6) {
        let [kind, code] = tuple.destination_port.to_be_bytes();
        let pair = ASKED.iter().find(|(protocol, ask, answer)| {
            *protocol == tuple.protocol && (*ask == kind || *answer == kind)
        })?;
        let other = if pair.1 == kind { pair.2 } else { pair.1 };
        back.source_port = tuple.source_port;
        back.destination_port = u16::from_be_bytes([other, code]);
    }
    Some(back)
}
