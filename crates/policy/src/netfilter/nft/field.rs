//! nft's names of header fields: where they are, of which type, and what they imply about the packet.

mod header;
mod other;

pub(super) use header::{header, is_header};
pub(super) use other::{
    connection, extension_presence, fib, meta, routing, socket, tcp_option, tcp_option_raw,
};

use super::kind::Kind;
use crate::netfilter::ast::{Field, Opaque, Start};

/// A field with what is needed to read its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Key {
    pub field: Field,
    pub kind: Kind,
    pub bits: u16,
    pub needs: Needs,
}

/// What a packet must be to have the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Needs {
    /// EtherType of the network protocol; 0 for any.
    pub ether: u16,
    /// The transport protocol; `None` for any.
    pub protocol: Option<u8>,
    /// Types of ICMP that have the field; none for all.
    pub types: &'static [u8],
}

pub(super) const ETHER_IP4: u16 = 0x0800;
pub(super) const ETHER_IP6: u16 = 0x86dd;
pub(super) const ETHER_ARP: u16 = 0x0806;
const ETHER_VLAN: u16 = 0x8100;

impl Key {
    pub const fn new(field: Field, kind: Kind, bits: u16) -> Key {
        Key { field, kind, bits, needs: Needs { ether: 0, protocol: None, types: &[] } }
    }

    pub fn typed(field: Field, kind: Kind) -> Key {
        Key::new(field, kind, kind.bits())
    }

    pub fn opaque(what: Opaque, kind: Kind) -> Key {
        Key::typed(Field::Opaque(what), kind)
    }

    const fn ether(mut self, ether: u16) -> Key {
        self.needs.ether = ether;
        self
    }

    const fn protocol(mut self, protocol: u8) -> Key {
        self.needs.protocol = Some(protocol);
        self
    }

    const fn types(mut self, types: &'static [u8]) -> Key {
        self.needs.types = types;
        self
    }

    /// Bits of a header by place: `@th,16,16`.
    pub fn raw(base: &str, offset_bits: u16, length_bits: u16) -> Option<Key> {
        let start = match base {
            "ll" => Start::Link,
            "nh" => Start::Network,
            "th" => Start::Transport,
            "ih" => Start::Inner,
            _ => return None,
        };
        let field = match (start, offset_bits, length_bits) {
            (Start::Transport, 0, 16) => Field::ThSource,
            (Start::Transport, 16, 16) => Field::ThDestination,
            _ => Field::Payload { base: start, offset_bits, length_bits },
        };
        (1..=128).contains(&length_bits).then(|| Key::new(field, Kind::Integer, length_bits))
    }
}

fn place(base: Start, offset_bits: u16, length_bits: u16, kind: Kind) -> Key {
    Key::new(Field::Payload { base, offset_bits, length_bits }, kind, length_bits)
}

/// The largest value of so many bits.
pub(super) const fn all_bits(bits: u16) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}
