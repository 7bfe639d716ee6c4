//! Fields that are in no header: of connections, the machine, its routes and sockets.

use super::header::extension_number;
use super::{ETHER_IP4, ETHER_IP6, Key};
use crate::netfilter::ast::{Field, Opaque};
use crate::netfilter::nft::kind::{Kind, number};
use crate::netfilter::nft::names::{self, find};

/// The words that stand for `meta …` without it, too.
pub(in crate::netfilter::nft) fn meta(name: &str) -> Option<Key> {
    Some(match name {
        "mark" => Key::typed(Field::Mark, Kind::Mark),
        "iifname" => Key::typed(Field::InputInterface, Kind::Name),
        "oifname" => Key::typed(Field::OutputInterface, Kind::Name),
        "iif" => Key::typed(Field::InputInterfaceIndex, Kind::InterfaceIndex),
        "oif" => Key::typed(Field::OutputInterfaceIndex, Kind::InterfaceIndex),
        "iiftype" => Key::typed(Field::InputInterfaceType, Kind::LinkType),
        "oiftype" => Key::typed(Field::OutputInterfaceType, Kind::LinkType),
        "iifgroup" => Key::typed(Field::InputGroup, Kind::DeviceGroup),
        "oifgroup" => Key::typed(Field::OutputGroup, Kind::DeviceGroup),
        "ibrname" | "ibriport" | "ibridgename" => Key::typed(Field::InputBridge, Kind::Name),
        "obrname" | "obriport" | "obridgename" => Key::typed(Field::OutputBridge, Kind::Name),
        "protocol" => Key::typed(Field::EtherType, Kind::EtherType),
        "nfproto" => Key::typed(Field::NfProto, Kind::NetworkProtocol),
        "l4proto" => Key::typed(Field::Protocol, Kind::Protocol),
        "length" => Key::new(Field::Length, Kind::Integer, 32),
        "pkttype" => Key::typed(Field::PacketType, Kind::PacketType),
        "priority" => Key::typed(Field::Priority, Kind::ClassId),
        "skuid" => Key::typed(Field::SocketUser, Kind::User),
        "skgid" => Key::typed(Field::SocketGroup, Kind::User),
        "cgroup" => Key::new(Field::Cgroup, Kind::Integer, 32),
        "cpu" => Key::new(Field::Cpu, Kind::Integer, 32),
        "random" => Key::new(Field::Random, Kind::Integer, 32),
        "hour" => Key::typed(Field::Hour, Kind::Hour),
        "day" => Key::typed(Field::Day, Kind::Day),
        "time" => Key::typed(Field::Time, Kind::Date),
        "rtclassid" => Key::opaque(Opaque::Route, Kind::Realm),
        "nftrace" => Key::new(Field::Opaque(Opaque::Trace), Kind::Integer, 1),
        "broute" => Key::new(Field::Opaque(Opaque::Trace), Kind::Integer, 1),
        "secpath" | "ipsec" => Key::opaque(Opaque::Ipsec, Kind::Boolean),
        "secmark" => Key::new(Field::Opaque(Opaque::SecurityMark), Kind::Integer, 32),
        "iifkind" | "oifkind" => Key::opaque(Opaque::InterfaceKind, Kind::Name),
        "sdif" => Key::opaque(Opaque::SlaveInterface, Kind::Name),
        "sdifname" => Key::opaque(Opaque::SlaveInterface, Kind::Name),
        "ibrpvid" | "ibrvproto" => Key::opaque(Opaque::BridgeProtocol, Kind::EtherType),
        "ibrhwaddr" => Key::opaque(Opaque::BridgeProtocol, Kind::Ether),
        _ => return None,
    })
}

/// `ct …`; `way` is `original` or `reply` where one is written.
pub(in crate::netfilter::nft) fn connection(way: Option<&str>, name: &str) -> Option<Key> {
    let original = match way {
        None => return connection_plain(name),
        Some("original") => true,
        Some("reply") => false,
        Some(_) => return None,
    };
    let pick = |one, other| if original { one } else { other };
    let source = pick(Field::CtOriginalSource, Field::CtReplySource);
    let destination = pick(Field::CtOriginalDestination, Field::CtReplyDestination);
    Some(match name {
        "ip saddr" => Key::typed(source, Kind::Ip4).ether(ETHER_IP4),
        "ip daddr" => Key::typed(destination, Kind::Ip4).ether(ETHER_IP4),
        "ip6 saddr" => Key::typed(source, Kind::Ip6).ether(ETHER_IP6),
        "ip6 daddr" => Key::typed(destination, Kind::Ip6).ether(ETHER_IP6),
        "l3proto" => Key::typed(Field::NfProto, Kind::NetworkProtocol),
        "protocol" => Key::typed(Field::CtProtocol, Kind::Protocol),
        "proto-src" => Key::typed(pick(Field::CtOriginalSourcePort, Field::CtReplySourcePort), Kind::Service),
        "proto-dst" => {
            let port = pick(Field::CtOriginalDestinationPort, Field::CtReplyDestinationPort);
            Key::typed(port, Kind::Service)
        }
        "zone" => Key::new(Field::CtZone, Kind::Integer, 16),
        "bytes" | "packets" | "avgpkt" => return connection_plain(name),
        _ => return None,
    })
}

fn connection_plain(name: &str) -> Option<Key> {
    let count = |what| Key::new(Field::Opaque(what), Kind::Integer, 64);
    Some(match name {
        "state" => Key::typed(Field::CtState, Kind::CtState),
        "status" => Key::typed(Field::CtStatus, Kind::CtStatus),
        "direction" => Key::typed(Field::CtDirection, Kind::CtDirection),
        "mark" => Key::typed(Field::CtMark, Kind::Mark),
        "zone" => Key::new(Field::CtZone, Kind::Integer, 16),
        "protocol" => Key::typed(Field::CtProtocol, Kind::Protocol),
        "l3proto" => Key::typed(Field::NfProto, Kind::NetworkProtocol),
        "expiration" => Key::typed(Field::CtExpiration, Kind::Span),
        "helper" => Key::typed(Field::CtHelper, Kind::Name),
        "id" => Key::new(Field::Opaque(Opaque::CtId), Kind::Integer, 32),
        "label" => Key::opaque(Opaque::CtLabel, Kind::CtLabel),
        "event" => Key::opaque(Opaque::CtEvent, Kind::CtEvent),
        "secmark" => Key::new(Field::Opaque(Opaque::SecurityMark), Kind::Integer, 32),
        "bytes" => count(Opaque::CtBytes),
        "packets" => count(Opaque::CtPackets),
        "avgpkt" => count(Opaque::CtAveragePacket),
        _ => return None,
    })
}

/// `rt …`, of routing and not of an extension header.
pub(in crate::netfilter::nft) fn routing(name: &str) -> Option<Key> {
    Some(match name {
        "classid" => Key::opaque(Opaque::Route, Kind::Realm),
        "nexthop" | "ip nexthop" => Key::opaque(Opaque::Route, Kind::Ip4),
        "ip6 nexthop" => Key::opaque(Opaque::Route, Kind::Ip6),
        "mtu" => Key::new(Field::Opaque(Opaque::RouteMtu), Kind::Integer, 16),
        "ipsec" => Key::opaque(Opaque::Ipsec, Kind::Boolean),
        _ => return None,
    })
}

/// `socket …`.
pub(in crate::netfilter::nft) fn socket(name: &str) -> Option<Key> {
    Some(match name {
        "transparent" => Key::new(Field::SocketTransparent, Kind::Boolean, 8),
        "mark" => Key::typed(Field::SocketMark, Kind::Mark),
        "wildcard" => Key::new(Field::Opaque(Opaque::Socket), Kind::Boolean, 8),
        "cgroupv2" => Key::opaque(Opaque::Socket, Kind::Name),
        _ => return None,
    })
}

/// `fib saddr . iif oif`: the words of the key, sorted, and what is asked.
pub(in crate::netfilter::nft) fn fib(flags: &[&str], result: &str) -> Option<Key> {
    let known = |flag: &&str| matches!(*flag, "saddr" | "daddr" | "mark" | "iif" | "oif");
    let address = flags.iter().filter(|flag| matches!(**flag, "saddr" | "daddr")).count();
    if !flags.iter().all(known) || address != 1 {
        return None;
    }
    let from_source_way = flags.contains(&"saddr") && flags.contains(&"iif") && !flags.contains(&"oif");
    Some(match (result, flags) {
        ("type", ["saddr"]) => Key::typed(Field::FibSourceType, Kind::FibType),
        ("type", ["daddr"]) => Key::typed(Field::FibDestinationType, Kind::FibType),
        ("type", _) => Key::opaque(Opaque::Fib, Kind::FibType),
        ("oif" | "check" | "present", _) if from_source_way => {
            Key::new(Field::ReversePath, Kind::Boolean, 32)
        }
        ("oif", _) => Key::new(Field::Opaque(Opaque::Fib), Kind::Boolean, 32),
        ("oifname", _) => Key::opaque(Opaque::Fib, Kind::Name),
        _ => return None,
    })
}

/// `tcp option …`: a field of an option, or without a name whether the option is there.
pub(in crate::netfilter::nft) fn tcp_option(option: &str, name: &str) -> Option<Key> {
    let number = number(option).or_else(|| find(names::TCP_OPTIONS, option))?;
    let kind = u8::try_from(number).ok()?;
    let at = |offset, length| Some((offset, length));
    let place = match (kind, name) {
        (_, "") => {
            return Some(Key::new(Field::TcpOptionPresent(kind), Kind::Boolean, 8).protocol(6));
        }
        (2, "size") => return Some(Key::new(Field::TcpMaxSegment, Kind::Integer, 16).protocol(6)),
        (_, "kind") => at(0, 8),
        (_, "length") => at(8, 8),
        (3, "count") => at(16, 8),
        (5, "left") => at(16 + 64 * sack_block(option), 32),
        (5, "right") => at(48 + 64 * sack_block(option), 32),
        (8, "tsval") => at(16, 32),
        (8, "tsecr") => at(48, 32),
        (30, "subtype") => at(16, 4),
        _ => None,
    };
    let (offset_bits, length_bits) = place?;
    let field = Field::TcpOption { kind, offset_bits, length_bits };
    Some(Key::new(field, Kind::Integer, length_bits).protocol(6))
}

/// `sack2` is the third block.
fn sack_block(option: &str) -> u16 {
    option.strip_prefix("sack").and_then(|block| block.parse().ok()).filter(|block| *block < 4).unwrap_or(0)
}

/// `tcp option @kind,offset,length`.
pub(in crate::netfilter::nft) fn tcp_option_raw(kind: u64, offset: u64, length: u64) -> Option<Key> {
    let (kind, offset_bits) = (u8::try_from(kind).ok()?, u16::try_from(offset).ok()?);
    let length_bits = u16::try_from(length).ok().filter(|length| (1..=128).contains(length))?;
    let field = Field::TcpOption { kind, offset_bits, length_bits };
    Some(Key::new(field, Kind::Integer, length_bits).protocol(6))
}

/// `exthdr frag exists`.
pub(in crate::netfilter::nft) fn extension_presence(header: &str) -> Option<Key> {
    let number = extension_number(header)?;
    Some(Key::new(Field::Ip6ExtensionPresent(number), Kind::Boolean, 8).ether(ETHER_IP6))
}
