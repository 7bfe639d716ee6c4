//! What a machine remembers from packet to packet: connections, sets that rules fill, limits.

use super::compile::SetId;
use super::tcp::Tcp;
use super::value::Bits;
use std::collections::HashMap;

/// How many connections are kept, as many as the kernel keeps at first.
pub const CONNECTIONS_MAX: usize = 262_144;
/// How many connections with unknown answers are looked through for one packet; with more, any may be one.
const OPAQUE_LOOKS_MAX: usize = 4_096;
/// How many elements rules may add to one set.
pub const ADDED_ELEMENTS_MAX: usize = 1 << 20;

/// Bits of [`crate::netfilter::ast::Field::CtStatus`].
pub const SEEN_REPLY: u16 = 2;
pub const ASSURED: u16 = 4;
pub const CONFIRMED: u16 = 8;
pub const SOURCE_NAT: u16 = 16;
pub const DESTINATION_NAT: u16 = 32;
pub const SOURCE_NAT_DONE: u16 = 128;
pub const DESTINATION_NAT_DONE: u16 = 256;

/// One direction of a connection; for ICMP the ports are the id and the type with its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    pub source: u128,
    pub destination: u128,
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
    pub six: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub original: Tuple,
    pub reply: Tuple,
    /// What of the translated source, and destination, is the kernel's free choice.
    pub source_free: Freedom,
    pub destination_free: Freedom,
    pub status: u16,
    pub mark: Bits,
    pub tcp: Tcp,
}

/// What the kernel chose by itself, so that nobody else knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freedom {
    Nothing,
    Port,
    All,
}

impl Connection {
    pub fn is_opaque(&self) -> bool {
        self.source_free != Freedom::Nothing || self.destination_free != Freedom::Nothing
    }

    pub fn reply_source(&self) -> Bits {
        known_if(self.destination_free < Freedom::All, self.reply.source)
    }

    pub fn reply_destination(&self) -> Bits {
        known_if(self.source_free < Freedom::All, self.reply.destination)
    }

    pub fn reply_source_port(&self) -> Bits {
        known_if(self.destination_free == Freedom::Nothing, self.reply.source_port.into())
    }

    pub fn reply_destination_port(&self) -> Bits {
        known_if(self.source_free == Freedom::Nothing, self.reply.destination_port.into())
    }

    /// Whether a packet may be an answer of it, as far as is known.
    fn may_answer(&self, tuple: &Tuple) -> bool {
        let fits = |bits: Bits, number: u128| bits.known().is_none_or(|known| known == number);
        self.reply.protocol == tuple.protocol
            && self.reply.six == tuple.six
            && fits(self.reply_source(), tuple.source)
            && fits(self.reply_destination(), tuple.destination)
            && fits(self.reply_source_port(), tuple.source_port.into())
            && fits(self.reply_destination_port(), tuple.destination_port.into())
    }
}

fn known_if(known: bool, number: u128) -> Bits {
    if known { Bits::of(number) } else { Bits::UNKNOWN }
}

/// Whether a key is in a set that rules fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    Yes,
    No,
    Maybe,
}

/// What was used up of a limit or a quota: at least, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    pub least: u64,
    pub most: u64,
}

/// A limit's number, and what it counts for.
type Slot = (usize, Box<[u128]>);

/// Who began a connection: address, port, protocol, whether of IPv6.
type Source = (u128, u16, u8, bool);

fn source(tuple: &Tuple) -> Source {
    (tuple.source, tuple.source_port, tuple.protocol, tuple.six)
}

#[derive(Debug, Default)]
pub struct Memory {
    ways: HashMap<Tuple, (usize, bool)>,
    /// The connections that one source began, the latest last.
    by_source: HashMap<Source, Vec<usize>>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Connections whose answers cannot be told for certain.
    opaque: Vec<usize>,
    pub added: HashMap<SetId, HashMap<Box<[u128]>, Member>>,
    pub used: HashMap<Slot, Used>,
    pub counted: HashMap<Slot, Vec<Tuple>>,
}

impl Memory {
    /// The connection a packet belongs to, and whether it is an answer.
    pub fn find(&self, tuple: &Tuple) -> Option<(usize, bool)> {
        self.ways.get(tuple).copied()
    }

    pub fn get(&self, entry: usize) -> Option<&Connection> {
        self.connections.get(entry)?.as_ref()
    }

    pub fn get_mut(&mut self, entry: usize) -> Option<&mut Connection> {
        self.connections.get_mut(entry)?.as_mut()
    }

    /// The connections that the source of a tuple began, the latest first.
    pub fn begun_by(&self, tuple: &Tuple) -> impl Iterator<Item = &Connection> {
        let entries = self.by_source.get(&source(tuple)).map_or(&[][..], Vec::as_slice);
        entries.iter().rev().filter_map(|entry| self.get(*entry))
    }

    /// Whether a packet may be an answer that cannot be told from what is new.
    pub fn may_answer(&self, tuple: &Tuple) -> bool {
        self.opaque.len() > OPAQUE_LOOKS_MAX
            || self.opaque.iter().filter_map(|at| self.get(*at)).any(|one| one.may_answer(tuple))
    }

    pub fn is_full(&self) -> bool {
        self.connections.len() - self.free.len() >= CONNECTIONS_MAX
    }

    /// Forgets what belongs to rules, and keeps the connections.
    pub fn forget_rules(&mut self) {
        self.added.clear();
        self.used.clear();
        self.counted.clear();
    }

    /// Keeps a connection, unless there are too many.
    pub fn keep(&mut self, connection: Connection) {
        if self.is_full() {
            return;
        }
        let entry = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.ways.insert(connection.original, (entry, false));
        self.by_source.entry(source(&connection.original)).or_default().push(entry);
        if connection.is_opaque() {
            self.opaque.push(entry);
        } else {
            self.ways.insert(connection.reply, (entry, true));
        }
        self.connections[entry] = Some(connection);
    }

    /// Takes in what the kernel chose for a connection of which that was not known.
    pub fn learn(&mut self, original: &Tuple, reply: Tuple) {
        let Some((entry, false)) = self.find(original) else { return };
        let Some(mut connection) = self.get(entry).filter(|one| one.is_opaque()).cloned() else { return };
        self.forget(entry);
        connection.reply = reply;
        connection.source_free = Freedom::Nothing;
        connection.destination_free = Freedom::Nothing;
        self.keep(connection);
    }

    pub fn forget(&mut self, entry: usize) {
        let Some(connection) = self.connections.get_mut(entry).and_then(Option::take) else { return };
        self.ways.remove(&connection.original);
        if let Some(entries) = self.by_source.get_mut(&source(&connection.original)) {
            entries.retain(|at| *at != entry);
            if entries.is_empty() {
                self.by_source.remove(&source(&connection.original));
            }
        }
        if connection.is_opaque() {
            self.opaque.retain(|at| *at != entry);
        } else {
            self.ways.remove(&connection.reply);
        }
        self.free.push(entry);
    }
}
