//! The few nf_tables expressions that the trace's own rules need.

use netwhy_netlink::{Builder, octets};
use std::net::IpAddr;

const REGISTER: u32 = 1;
const META_NFTRACE: u32 = 12;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
const BASE_NETWORK: u32 = 1;
const BASE_TRANSPORT: u32 = 2;
const VERDICT_JUMP: i32 = -3;

/// A side of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// A list of expressions in the making (NFTA_RULE_EXPRESSIONS).
#[derive(Default)]
pub(super) struct Expressions(Builder);

impl Expressions {
    fn add(self, name: &str, data: Builder) -> Expressions {
        let expression = Builder::default().put_text(1, name).nest(2, data);
        Expressions(self.0.nest(1, expression))
    }

    fn load_meta(self, key: u32) -> Expressions {
        self.add("meta", number(number(Builder::default(), 1, REGISTER), 2, key))
    }

    fn equals(self, value: &[u8]) -> Expressions {
        let data = Builder::default().put(1, value);
        self.add("cmp", number(number(Builder::default(), 1, REGISTER), 2, 0).nest(3, data))
    }

    fn load_payload(self, base: u32, offset: u32, len: u32) -> Expressions {
        let fields = [(1, REGISTER), (2, base), (3, offset), (4, len)];
        let data =
            fields.into_iter().fold(Builder::default(), |data, (kind, value)| number(data, kind, value));
        self.add("payload", data)
    }

    /// The packet's address on that side is this one.
    pub(super) fn address(self, side: Side, address: IpAddr) -> Expressions {
        let (family, offset, len) = match (address, side) {
            (IpAddr::V4(_), Side::Source) => (libc::AF_INET, 12, 4),
            (IpAddr::V4(_), Side::Destination) => (libc::AF_INET, 16, 4),
            (IpAddr::V6(_), Side::Source) => (libc::AF_INET6, 8, 16),
            (IpAddr::V6(_), Side::Destination) => (libc::AF_INET6, 24, 16),
        };
        self.load_meta(META_NFPROTO)
            .equals(&[family as u8])
            .load_payload(BASE_NETWORK, offset, len)
            .equals(&octets(address))
    }

    /// The packet is of this protocol and has this port on that side.
    pub(super) fn port(self, protocol: u8, side: Side, port: u16) -> Expressions {
        let offset = if side == Side::Source { 0 } else { 2 };
        self.load_meta(META_L4PROTO)
            .equals(&[protocol])
            .load_payload(BASE_TRANSPORT, offset, 2)
            .equals(&port.to_be_bytes())
    }

    pub(super) fn jump(self, chain: &str) -> Expressions {
        let verdict = number(Builder::default(), 1, VERDICT_JUMP.cast_unsigned()).put_text(2, chain);
        let data = Builder::default().nest(2, verdict);
        self.add("immediate", number(Builder::default(), 1, 0).nest(2, data))
    }

    /// No more than so many packets a second go on.
    pub(super) fn limit(self, per_second: u64, burst: u32) -> Expressions {
        let data = Builder::default().put(1, &per_second.to_be_bytes()).put(2, &1_u64.to_be_bytes());
        self.add("limit", number(number(number(data, 3, burst), 4, 0), 5, 0))
    }

    /// `meta nftrace set 1`.
    pub(super) fn trace(self) -> Expressions {
        let one = Builder::default().put(1, &[1]);
        self.add("immediate", number(Builder::default(), 1, REGISTER).nest(2, one))
            .add("meta", number(number(Builder::default(), 2, META_NFTRACE), 3, REGISTER))
    }

    pub(super) fn finish(self) -> Builder {
        self.0
    }
}

/// Appends a number of 32 bits in network order.
pub(super) fn number(builder: Builder, kind: u16, value: u32) -> Builder {
    builder.put(kind, &value.to_be_bytes())
}
