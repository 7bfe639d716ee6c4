//! Translation of addresses: what a nat rule makes of a new connection, and what that makes of its packets.

use super::compile::NatStep;
use super::memory::{
    Connection, DESTINATION_NAT, DESTINATION_NAT_DONE, Freedom, Memory, SOURCE_NAT, SOURCE_NAT_DONE, Tuple,
};
use super::track::invert;
use super::value::Bits;
use super::work::{NEW, Work};
use crate::netfilter::ast::{Hook, NatKind};
use crate::netfilter::packet::{self, ICMP, ICMPV6, has_ports};

/// How many ports are tried for a destination before the kernel's choice is called unknown.
const PORTS_TRIED_MAX: usize = 65_536;

/// Which end of a packet is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Destination,
}

/// The side that is translated at a hook.
pub fn side(hook: Hook) -> Side {
    match hook {
        Hook::Prerouting | Hook::Output => Side::Destination,
        _ => Side::Source,
    }
}

/// What a translation picks from; `None` for the address leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub address: Option<Bits>,
    pub ports: Option<(u16, u16)>,
    /// The ports themselves are not known.
    pub any_port: bool,
}

impl Choice {
    pub const NONE: Choice = Choice { address: None, ports: None, any_port: false };
    pub const UNKNOWN: Choice = Choice { address: Some(Bits::UNKNOWN), ports: None, any_port: true };
}

/// Whether nat chains are still asked for this packet here.
pub fn is_asked(work: &Work<'_>) -> bool {
    let done = match side(work.hook) {
        Side::Source => SOURCE_NAT_DONE,
        Side::Destination => DESTINATION_NAT_DONE,
    };
    work.state.bits & NEW != 0
        && work.connection.as_ref().is_some_and(|connection| connection.status & done == 0)
}

/// What a nat statement picks from, its map apart.
pub fn choice(work: &Work<'_>, step: &NatStep, mapped: Option<Choice>) -> Choice {
    let address = match step.kind {
        NatKind::Masquerade => Some(main_address(work, false)),
        NatKind::Redirect if work.hook == Hook::Output => {
            Some(Bits::of(if work.six { 1 } else { 0x7f00_0001 }))
        }
        NatKind::Redirect => Some(main_address(work, true)),
        NatKind::Netmap => step.addresses.map(|range| netmap(work, range)),
        NatKind::Source | NatKind::Destination => step.addresses.map(|(first, last)| {
            // Which of several is taken is a hash that only the kernel knows.
            if first == last { Bits::of(first) } else { Bits::UNKNOWN }
        }),
    };
    let mapped = mapped.unwrap_or(Choice::NONE);
    Choice {
        address: mapped.address.or(address),
        ports: mapped.ports.or(step.ports),
        any_port: mapped.any_port,
    }
}

fn main_address(work: &Work<'_>, input: bool) -> Bits {
    let interface = if input { work.packet.input.as_deref() } else { work.output_name };
    let address = interface.and_then(|name| work.host.address_of(name, work.six));
    address.map_or(Bits::UNKNOWN, |address| Bits::of(packet::number(address)))
}

/// Replaces the network's part of an address.
fn netmap(work: &Work<'_>, (first, last): (u128, u128)) -> Bits {
    let host = first ^ last;
    let old = match side(work.hook) {
        Side::Source => work.source,
        Side::Destination => work.destination,
    };
    Bits { bits: old.bits & host | first & !host, unknown: old.unknown & host }
}

/// Settles the translation of one side of a new connection.
pub fn settle(work: &mut Work<'_>, memory: &Memory, choice: Choice) {
    let side = side(work.hook);
    let Some(connection) = &mut work.connection else { return };
    let (changed, done) = match side {
        Side::Source => (SOURCE_NAT, SOURCE_NAT_DONE),
        Side::Destination => (DESTINATION_NAT, DESTINATION_NAT_DONE),
    };
    connection.status |= done;
    let Some(current) = invert(&connection.reply) else { return };
    let (new, freedom) = pick(&current, side, choice, memory);
    if new != current || freedom != Freedom::Nothing {
        connection.status |= changed;
    }
    match side {
        Side::Source => connection.source_free = freedom,
        Side::Destination => connection.destination_free = freedom,
    }
    if let Some(reply) = invert(&new) {
        connection.reply = reply;
    }
}

/// The tuple that the kernel picks, and what of it is its free choice.
fn pick(current: &Tuple, side: Side, choice: Choice, memory: &Memory) -> (Tuple, Freedom) {
    let mut new = *current;
    match choice.address.map(Bits::known) {
        None => {}
        Some(Some(address)) => *address_of(&mut new, side) = address,
        Some(None) => return (new, Freedom::All),
    }
    if choice.any_port {
        return (new, Freedom::Port);
    }
    let free = |tuple: &Tuple| invert(tuple).is_some_and(|reply| memory.find(&reply).is_none());
    if side == Side::Source
        && let Some(picked) = as_before(&new, current, choice, memory)
        && (picked.1 != Freedom::Nothing || free(&picked.0))
    {
        return picked;
    }
    let Some((first, last)) = choice.ports.filter(|_| has_ports(current.protocol)) else {
        // Without ports to choose from, a source port that is taken is replaced by a free one.
        let fixed = side == Side::Destination || !(has_ports(current.protocol) || is_icmp(current.protocol));
        return (new, if free(&new) || fixed { Freedom::Nothing } else { Freedom::Port });
    };
    let port = *port_of(&mut new, side);
    if (first..=last).contains(&port) && (first == last || free(&new)) {
        return (new, Freedom::Nothing);
    }
    if first == last {
        *port_of(&mut new, side) = first;
        return (new, Freedom::Nothing);
    }
    if side == Side::Destination {
        for port in (first..=last).take(PORTS_TRIED_MAX) {
            *port_of(&mut new, side) = port;
            if free(&new) {
                return (new, Freedom::Nothing);
            }
        }
    }
    (new, Freedom::Port)
}

/// A source that must be translated gets what it got for an earlier connection, when that is among the choice.
fn as_before(new: &Tuple, current: &Tuple, choice: Choice, memory: &Memory) -> Option<(Tuple, Freedom)> {
    let within = |port: u16| choice.ports.is_none_or(|(first, last)| (first..=last).contains(&port));
    if new.source == current.source && within(current.source_port) {
        return None;
    }
    let mut earlier =
        memory.begun_by(current).filter(|one| one.reply_destination().known() == Some(new.source));
    earlier.find_map(|one| {
        if one.source_free != Freedom::Nothing {
            return Some((*new, Freedom::Port));
        }
        // The id of an ICMP query stands on the same side both ways.
        let port = if is_icmp(new.protocol) { one.reply.source_port } else { one.reply.destination_port };
        if !within(port) {
            return None;
        }
        Some((Tuple { source_port: port, ..*new }, Freedom::Nothing))
    })
}

fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMPV6)
}

fn address_of(tuple: &mut Tuple, side: Side) -> &mut u128 {
    match side {
        Side::Source => &mut tuple.source,
        Side::Destination => &mut tuple.destination,
    }
}

fn port_of(tuple: &mut Tuple, side: Side) -> &mut u16 {
    match side {
        Side::Source => &mut tuple.source_port,
        Side::Destination => &mut tuple.destination_port,
    }
}

/// Gives a packet the addresses that its connection has beyond this hook.
pub fn translate(work: &mut Work<'_>) {
    let Some(connection) = &work.connection else { return unknown(work) };
    let reply = work.reply == Bits::of(1);
    let side = side(work.hook);
    let wanted = match (side, reply) {
        (Side::Source, false) | (Side::Destination, true) => SOURCE_NAT,
        (Side::Destination, false) | (Side::Source, true) => DESTINATION_NAT,
    };
    if connection.status & wanted == 0 {
        return;
    }
    let (address, port) = beyond(connection, side, reply);
    let port = has_ports(work.packet.protocol).then_some(port);
    match side {
        Side::Source => {
            work.source = address;
            work.source_port = port.or(work.source_port);
        }
        Side::Destination => {
            work.destination = address;
            work.destination_port = port.or(work.destination_port);
        }
    }
}

/// A packet that may or may not belong to a connection may or may not be translated with it.
fn unknown(work: &mut Work<'_>) {
    if work.state.unknown == 0 {
        return;
    }
    match side(work.hook) {
        Side::Source => {
            work.source = Bits::UNKNOWN;
            work.source_port = work.source_port.map(|_| Bits::UNKNOWN);
        }
        Side::Destination => {
            work.destination = Bits::UNKNOWN;
            work.destination_port = work.destination_port.map(|_| Bits::UNKNOWN);
        }
    }
}

fn beyond(connection: &Connection, side: Side, reply: bool) -> (Bits, Bits) {
    let original = &connection.original;
    match (side, reply) {
        (Side::Source, false) => (connection.reply_destination(), connection.reply_destination_port()),
        (Side::Destination, false) => (connection.reply_source(), connection.reply_source_port()),
        (Side::Source, true) => (Bits::of(original.destination), Bits::of(original.destination_port.into())),
        (Side::Destination, true) => (Bits::of(original.source), Bits::of(original.source_port.into())),
    }
}
