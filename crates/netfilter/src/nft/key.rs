//! What meta, ct, rt, socket and their like load: operands by key.

use super::operand::{Operand, Subject};
use super::payload::{Base, FRAGMENT};
use super::symbol::{self, word};
use super::value::{Kind, Order};
use crate::fields::Fields;

/// The operand of a `meta` key (enum nft_meta_keys).
pub(super) fn meta(key: u32) -> Option<Operand> {
    use Kind::{EtherType, Hex, InterfaceIndex, InterfaceName, Mark, Text, User};
    use Subject::{Interface, Other};
    let (name, kind, subject) = match key {
        0 => ("meta length", Kind::Integer, Other),
        1 => ("meta protocol", EtherType, Subject::Protocol),
        2 => ("meta priority", Kind::Class, Other),
        3 => ("meta mark", Mark, Subject::Mark),
        4 => ("iif", InterfaceIndex, Interface),
        5 => ("oif", InterfaceIndex, Interface),
        6 => ("iifname", InterfaceName, Interface),
        7 => ("oifname", InterfaceName, Interface),
        8 => ("meta iiftype", Kind::InterfaceType, Subject::Protocol),
        9 => ("meta oiftype", Kind::InterfaceType, Subject::Protocol),
        10 => ("meta skuid", User, Subject::User),
        11 => ("meta skgid", User, Subject::User),
        12 => ("meta nftrace", Kind::Integer, Other),
        13 => ("meta rtclassid", Kind::Realm, Other),
        14 => ("meta secmark", Kind::Integer, Other),
        15 => ("meta nfproto", Kind::NfProtocol, Subject::Protocol),
        16 => ("meta l4proto", Kind::Protocol, Subject::Protocol),
        17 => ("meta ibrname", InterfaceName, Interface),
        18 => ("meta obrname", InterfaceName, Interface),
        19 => ("meta pkttype", Kind::PacketType, Other),
        20 => ("meta cpu", Kind::Integer, Other),
        21 => ("iifgroup", Kind::DeviceGroup, Interface),
        22 => ("oifgroup", Kind::DeviceGroup, Interface),
        23 => ("meta cgroup", Kind::Integer, Subject::User),
        24 => ("meta random", Kind::Integer, Other),
        25 => ("meta ipsec", Kind::Boolean, Other),
        26 => ("meta iifkind", Text, Interface),
        27 => ("meta oifkind", Text, Interface),
        28 => ("meta ibrpvid", Kind::Integer, Interface),
        29 => ("meta ibrvproto", EtherType, Interface),
        30 => ("meta time", Kind::Date, Other),
        31 => ("meta day", Kind::Day, Other),
        32 => ("meta hour", Kind::Hour, Other),
        33 => ("meta sdif", InterfaceIndex, Interface),
        34 => ("meta sdifname", InterfaceName, Interface),
        35 => ("meta broute", Hex, Other),
        _ => return None,
    };
    let mut operand = Operand::new(name, kind, subject);
    if kind == Kind::Integer && name != "meta random" {
        operand.order = Order::Host;
    }
    Some(operand)
}

/// The operand of a `ct` key (enum nft_ct_keys), of one direction where it has one.
pub(super) fn ct(key: u32, direction: Option<u8>) -> Option<Operand> {
    use Kind::{Integer, Ip4, Ip6};
    use Subject::{Other, State};
    let (name, kind, subject) = match key {
        0 => ("state", Kind::CtState, State),
        1 => ("direction", Kind::CtDirection, State),
        2 => ("status", Kind::CtStatus, State),
        3 => ("mark", Kind::Mark, Subject::Mark),
        4 => ("secmark", Integer, Other),
        // Milliseconds, in the machine's order.
        5 => ("expiration", Kind::Duration, Other),
        6 => ("helper", Kind::Text, Other),
        7 => ("l3proto", Kind::NfProtocol, Subject::Protocol),
        8 => ("saddr", Ip4, Subject::Source),
        9 => ("daddr", Ip4, Subject::Destination),
        10 => ("protocol", Kind::Protocol, Subject::Protocol),
        11 => ("proto-src", Kind::Service, Subject::SourcePort),
        12 => ("proto-dst", Kind::Service, Subject::DestinationPort),
        13 => ("label", Kind::CtLabel, Other),
        14 => ("packets", Integer, Other),
        15 => ("bytes", Integer, Other),
        16 => ("avgpkt", Integer, Other),
        17 => ("zone", Integer, Other),
        18 => ("event", Kind::CtEvent, Other),
        19 => ("ip saddr", Ip4, Subject::Source),
        20 => ("ip daddr", Ip4, Subject::Destination),
        21 => ("ip6 saddr", Ip6, Subject::Source),
        22 => ("ip6 daddr", Ip6, Subject::Destination),
        23 => ("id", Integer, Other),
        _ => return None,
    };
    let way = direction.and_then(|way| word(symbol::CT_DIRECTION, u32::from(way)));
    let text = way.map_or_else(|| format!("ct {name}"), |way| format!("ct {way} {name}"));
    // The reply's source is where the connection went.
    let subject = if direction == Some(1) && subject != State { Other } else { subject };
    let mut operand = Operand::new(text, kind, subject);
    // The entry's id is a hash, kept in network order.
    if kind == Integer && name != "id" {
        operand.order = Order::Host;
    }
    Some(operand)
}

/// The operand of an `rt` key (enum nft_rt_keys).
pub(super) fn rt(key: u32) -> Option<Operand> {
    let (name, kind, order) = match key {
        0 => ("rt classid", Kind::Realm, Order::Host),
        1 => ("rt ip nexthop", Kind::Ip4, Order::Big),
        2 => ("rt ip6 nexthop", Kind::Ip6, Order::Big),
        3 => ("rt mtu", Kind::Integer, Order::Host),
        4 => ("rt ipsec", Kind::Boolean, Order::Big),
        _ => return None,
    };
    Some(Operand { order, ..Operand::new(name, kind, Subject::Other) })
}

/// The operand of a `socket` key (enum nft_socket_keys).
pub(super) fn socket(key: u32, level: u32) -> Option<Operand> {
    let (name, kind, subject) = match key {
        0 => ("socket transparent".to_owned(), Kind::Integer, Subject::Other),
        1 => ("socket mark".to_owned(), Kind::Mark, Subject::Mark),
        2 => ("socket wildcard".to_owned(), Kind::Integer, Subject::Other),
        3 => (format!("socket cgroupv2 level {level}"), Kind::Integer, Subject::User),
        _ => return None,
    };
    let mut operand = Operand::new(name, kind, subject);
    operand.order = Order::Host;
    Some(operand)
}

/// The operand of a route lookup (NFTA_FIB_*).
pub(super) fn fib(fields: &Fields<'_>) -> Option<Operand> {
    const FLAGS: [(u32, &str); 5] = [(1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif")];
    const PRESENT: u32 = 32;
    let flags = fields.be32(3);
    let asked: Vec<&str> = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let (result, kind) = match fields.be32(2) {
        1 => ("oif", Kind::InterfaceIndex),
        2 => ("oifname", Kind::InterfaceName),
        3 => ("type", Kind::AddressType),
        _ => return None,
    };
    let kind = if flags & PRESENT != 0 { Kind::Boolean } else { kind };
    let text = format!("fib {} {result}", asked.join(" . "));
    Some(Operand::new(text, kind, Subject::Other))
}

/// The operand of a number generator (NFTA_NG_*).
pub(super) fn numgen(fields: &Fields<'_>) -> Operand {
    let way = if fields.be32(3) == 1 { "random" } else { "inc" };
    let mut text = format!("numgen {way} mod {}", fields.be32(2));
    let offset = fields.be32(4);
    if offset != 0 {
        text.push_str(&format!(" offset {offset}"));
    }
    Operand { order: Order::Host, ..Operand::new(text, Kind::Integer, Subject::Other) }
}

/// The operand of a hash (NFTA_HASH_*) over what `of` says.
pub(super) fn hash(fields: &Fields<'_>, of: &str) -> Operand {
    const SYMMETRIC: u32 = 1;
    let name = if fields.be32(7) == SYMMETRIC { "symhash".to_owned() } else { format!("jhash {of}") };
    let mut text = format!("{name} mod {}", fields.be32(4));
    if fields.has(5) && fields.be32(5) != 0 {
        text.push_str(&format!(" seed {:#x}", fields.be32(5)));
    }
    if fields.be32(6) != 0 {
        text.push_str(&format!(" offset {}", fields.be32(6)));
    }
    Operand { order: Order::Host, ..Operand::new(text, Kind::Integer, Subject::Other) }
}

/// The operand of an IPsec state's property (NFTA_XFRM_*).
pub(super) fn xfrm(fields: &Fields<'_>) -> Option<Operand> {
    let (name, kind) = match fields.be32(2) {
        1 => ("ip daddr", Kind::Ip4),
        2 => ("ip6 daddr", Kind::Ip6),
        3 => ("ip saddr", Kind::Ip4),
        4 => ("ip6 saddr", Kind::Ip6),
        5 => ("reqid", Kind::Integer),
        6 => ("spi", Kind::Integer),
        _ => return None,
    };
    let way = if fields.byte(3) == 0 { "in" } else { "out" };
    let order = if name == "reqid" { Order::Host } else { kind.order() };
    Some(Operand { order, ..Operand::new(format!("ipsec {way} {name}"), kind, Subject::Other) })
}

/// A field of an IPv6 extension header, a TCP or an IP option (NFTA_EXTHDR_*).
pub(super) fn extension(fields: &Fields<'_>) -> Operand {
    const PRESENT: u32 = 1;
    const FRAGMENT_HEADER: u8 = 44;
    let (kind, offset, len) = (fields.byte(2), fields.be32(3), fields.be32(4));
    let present = fields.be32(5) & PRESENT != 0;
    let (header, field) = match fields.be32(6) {
        0 if kind == FRAGMENT_HEADER && !present && matches!((offset, len), (2, 2) | (3, 1)) => {
            return fragment(offset, len);
        }
        1 => (format!("tcp option {}", tcp_option(kind)), tcp_option_field(kind, offset)),
        2 => (format!("ip option {}", ip_option(kind)), ip_option_field(offset)),
        3 => (format!("sctp chunk {kind}"), None),
        4 => (format!("dccp option {kind}"), None),
        _ => (ip6_header(kind), ip6_header_field(kind, offset, len)),
    };
    if present {
        let ip6 = fields.be32(6) == 0;
        let text = if ip6 { format!("exthdr {header}") } else { header };
        return Operand::new(text, Kind::Boolean, Subject::Other);
    }
    let kind = if field == Some("nexthdr") { Kind::Protocol } else { Kind::Integer };
    let field = field.map_or_else(|| format!("@{offset},{len}"), str::to_owned);
    Operand { order: Order::Big, ..Operand::new(format!("{header} {field}"), kind, Subject::Other) }
}

/// Fields of the fragment header that share bytes; a mask picks one.
fn fragment(offset: u32, len: u32) -> Operand {
    let text = format!("frag @{offset},{len}");
    let place = Some((Base::Network, FRAGMENT, 8 * offset as usize));
    Operand { order: Order::Big, place, ..Operand::new(text, Kind::Hex, Subject::Other) }
}

fn tcp_option(kind: u8) -> String {
    match kind {
        0 => "eol",
        1 => "nop",
        2 => "maxseg",
        3 => "window",
        4 => "sack-perm",
        5 => "sack",
        8 => "timestamp",
        19 => "md5sig",
        30 => "mptcp",
        34 => "fastopen",
        _ => return kind.to_string(),
    }
    .to_owned()
}

fn tcp_option_field(kind: u8, offset: u32) -> Option<&'static str> {
    match (kind, offset) {
        (_, 0) => Some("kind"),
        (_, 1) => Some("length"),
        (2, 2) => Some("size"),
        (3, 2) => Some("count"),
        (5, 2) => Some("left"),
        (5, 6) => Some("right"),
        (8, 2) => Some("tsval"),
        (8, 6) => Some("tsecr"),
        (30, 2) => Some("subtype"),
        _ => None,
    }
}

fn ip_option(kind: u8) -> String {
    match kind {
        131 => "lsrr",
        137 => "ssrr",
        7 => "rr",
        148 => "ra",
        _ => return kind.to_string(),
    }
    .to_owned()
}

fn ip_option_field(offset: u32) -> Option<&'static str> {
    ["type", "length", "ptr", "addr"].get(offset as usize).copied()
}

fn ip6_header(kind: u8) -> String {
    match kind {
        0 => "hbh",
        43 => "rt",
        44 => "frag",
        60 => "dst",
        135 => "mh",
        _ => return kind.to_string(),
    }
    .to_owned()
}

fn ip6_header_field(kind: u8, offset: u32, len: u32) -> Option<&'static str> {
    match (kind, offset, len) {
        (_, 0, 1) => Some("nexthdr"),
        (44, 4, 4) => Some("id"),
        (_, 1, 1) => Some("hdrlength"),
        (43 | 135, 2, 1) => Some("type"),
        (43, 3, 1) => Some("seg-left"),
        _ => None,
    }
}
