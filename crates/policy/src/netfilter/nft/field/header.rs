//! Fields of protocol headers.

use super::{ETHER_ARP, ETHER_IP4, ETHER_IP6, ETHER_VLAN, Key, place};
use crate::netfilter::ast::{Field, Opaque, Start};
use crate::netfilter::nft::kind::Kind;
use crate::netfilter::nft::names::{self, find};

/// Whether a word names a header with fields.
pub(in crate::netfilter::nft) fn is_header(word: &str) -> bool {
    matches!(
        word,
        "ether"
            | "vlan"
            | "arp"
            | "ip"
            | "ip6"
            | "icmp"
            | "icmpv6"
            | "igmp"
            | "tcp"
            | "udp"
            | "udplite"
            | "sctp"
            | "dccp"
            | "ah"
            | "esp"
            | "comp"
            | "th"
            | "gre"
            | "geneve"
            | "vxlan"
            | "gretap"
            | "hbh"
            | "rt"
            | "rt0"
            | "rt2"
            | "srh"
            | "frag"
            | "dst"
            | "mh"
    )
}

/// The field of a header, as in `tcp dport`.
pub(in crate::netfilter::nft) fn header(protocol: &str, name: &str) -> Option<Key> {
    match protocol {
        "tcp" => tcp(name),
        "udp" => udp(name),
        "ip" => ip4(name),
        "ip6" => ip6(name),
        "icmp" => icmp(name),
        "icmpv6" => icmp6(name),
        "th" => ports(name, None),
        "ether" => ether(name),
        "vlan" => vlan(name).map(|key| key.ether(ETHER_VLAN)),
        "arp" => arp(name).map(|key| key.ether(ETHER_ARP)),
        "sctp" | "dccp" | "udplite" | "ah" | "esp" | "comp" | "igmp" => transport(protocol, name),
        "gre" | "geneve" | "vxlan" | "gretap" => tunnel(protocol, name),
        _ => extension(protocol, name),
    }
}

fn ports(name: &str, protocol: Option<u8>) -> Option<Key> {
    let field = match name {
        "sport" => Field::ThSource,
        "dport" => Field::ThDestination,
        _ => return None,
    };
    let mut key = Key::typed(field, Kind::Service);
    key.needs.protocol = protocol;
    Some(key)
}

fn tcp(name: &str) -> Option<Key> {
    let at = |offset, length, kind| place(Start::Transport, offset, length, kind);
    let key = match name {
        "sport" => Key::typed(Field::TcpSource, Kind::Service),
        "dport" => Key::typed(Field::TcpDestination, Kind::Service),
        "flags" => Key::typed(Field::TcpFlags, Kind::TcpFlags),
        "sequence" => Key::new(Field::TcpSequence, Kind::Integer, 32),
        "ackseq" => Key::new(Field::TcpAcknowledgment, Kind::Integer, 32),
        "window" => Key::new(Field::TcpWindow, Kind::Integer, 16),
        "doff" => at(96, 4, Kind::Integer),
        "reserved" => at(100, 4, Kind::Integer),
        "checksum" => at(128, 16, Kind::Integer),
        "urgptr" => at(144, 16, Kind::Integer),
        _ => return None,
    };
    Some(key.protocol(6))
}

fn udp(name: &str) -> Option<Key> {
    let key = match name {
        "sport" => Key::typed(Field::UdpSource, Kind::Service),
        "dport" => Key::typed(Field::UdpDestination, Kind::Service),
        "length" => Key::new(Field::UdpLength, Kind::Integer, 16),
        "checksum" => place(Start::Transport, 48, 16, Kind::Integer),
        _ => return None,
    };
    Some(key.protocol(17))
}

fn ip4(name: &str) -> Option<Key> {
    let at = |offset, length| place(Start::Network, offset, length, Kind::Integer);
    let key = match name {
        "saddr" => Key::typed(Field::Ip4Source, Kind::Ip4),
        "daddr" => Key::typed(Field::Ip4Destination, Kind::Ip4),
        "protocol" => Key::typed(Field::Ip4Protocol, Kind::Protocol),
        "ttl" => Key::new(Field::Ip4Ttl, Kind::Integer, 8),
        "length" => Key::new(Field::Ip4Length, Kind::Integer, 16),
        "dscp" => Key::typed(Field::Ip4Dscp, Kind::Diffserv),
        "ecn" => Key::typed(Field::Ip4Ecn, Kind::Congestion),
        "id" => Key::new(Field::Ip4Id, Kind::Integer, 16),
        "frag-off" => Key::new(Field::Ip4FragmentOffset, Kind::Integer, 16),
        "version" => at(0, 4),
        "hdrlength" => at(4, 4),
        "checksum" => at(80, 16),
        _ => return None,
    };
    Some(key.ether(ETHER_IP4))
}

fn ip6(name: &str) -> Option<Key> {
    let key = match name {
        "saddr" => Key::typed(Field::Ip6Source, Kind::Ip6),
        "daddr" => Key::typed(Field::Ip6Destination, Kind::Ip6),
        "nexthdr" => Key::typed(Field::Ip6NextHeader, Kind::Protocol),
        "hoplimit" => Key::new(Field::Ip6HopLimit, Kind::Integer, 8),
        "length" => Key::new(Field::Ip6Length, Kind::Integer, 16),
        "dscp" => Key::typed(Field::Ip6Dscp, Kind::Diffserv),
        "flowlabel" => Key::new(Field::Ip6FlowLabel, Kind::Integer, 20),
        "ecn" => place(Start::Network, 10, 2, Kind::Congestion),
        "version" => place(Start::Network, 0, 4, Kind::Integer),
        _ => return None,
    };
    Some(key.ether(ETHER_IP6))
}

fn icmp(name: &str) -> Option<Key> {
    let at = |offset, length| place(Start::Transport, offset, length, Kind::Integer);
    let key = match name {
        "type" => Key::typed(Field::IcmpType, Kind::IcmpType),
        "code" => Key::typed(Field::IcmpCode, Kind::IcmpCode),
        "checksum" => at(16, 16),
        "id" => at(32, 16).types(&[0, 8]),
        "sequence" => at(48, 16).types(&[0, 8]),
        "gateway" => at(32, 32).types(&[5]),
        "mtu" => at(48, 16).types(&[3]),
        _ => return None,
    };
    Some(key.ether(ETHER_IP4).protocol(1))
}

fn icmp6(name: &str) -> Option<Key> {
    let at = |offset, length| place(Start::Transport, offset, length, Kind::Integer);
    let address = |offset| place(Start::Transport, offset, 128, Kind::Ip6);
    let key = match name {
        "type" => Key::typed(Field::Icmp6Type, Kind::Icmp6Type),
        "code" => Key::typed(Field::Icmp6Code, Kind::Icmp6Code),
        "checksum" => at(16, 16),
        "parameter-problem" => at(32, 32).types(&[4]),
        "mtu" | "packet-too-big" => at(32, 32).types(&[2]),
        "id" => at(32, 16).types(&[128, 129]),
        "sequence" => at(48, 16).types(&[128, 129]),
        "max-delay" => at(32, 16).types(&[130, 131, 132]),
        "taddr" => address(64).types(&[130, 131, 132, 135, 136, 137]),
        "daddr" => address(192).types(&[137]),
        _ => return None,
    };
    Some(key.ether(ETHER_IP6).protocol(58))
}

fn ether(name: &str) -> Option<Key> {
    match name {
        "saddr" => Some(Key::typed(Field::EtherSource, Kind::Ether)),
        "daddr" => Some(Key::typed(Field::EtherDestination, Kind::Ether)),
        "type" => Some(Key::typed(Field::EtherType, Kind::EtherType)),
        _ => None,
    }
}

fn vlan(name: &str) -> Option<Key> {
    match name {
        "id" => Some(Key::new(Field::VlanId, Kind::Integer, 12)),
        "pcp" => Some(place(Start::Link, 112, 3, Kind::Integer)),
        "dei" | "cfi" => Some(place(Start::Link, 115, 1, Kind::Integer)),
        "type" => Some(place(Start::Link, 128, 16, Kind::EtherType)),
        _ => None,
    }
}

/// ARP of IPv4 over Ethernet.
fn arp(name: &str) -> Option<Key> {
    let at = |offset, kind: Kind| place(Start::Network, offset, kind.bits(), kind);
    let words: Vec<&str> = name.split(' ').collect();
    match *words.as_slice() {
        ["htype"] => Some(at(0, Kind::LinkType)),
        ["ptype"] => Some(at(16, Kind::EtherType)),
        ["hlen"] => Some(place(Start::Network, 32, 8, Kind::Integer)),
        ["plen"] => Some(place(Start::Network, 40, 8, Kind::Integer)),
        ["operation"] => Some(at(48, Kind::ArpOperation)),
        ["saddr", "ether"] => Some(at(64, Kind::Ether)),
        ["saddr", "ip"] => Some(at(112, Kind::Ip4)),
        ["daddr", "ether"] => Some(at(144, Kind::Ether)),
        ["daddr", "ip"] => Some(at(192, Kind::Ip4)),
        _ => None,
    }
}

fn transport(protocol: &str, name: &str) -> Option<Key> {
    let at = |offset, length, kind| Some(place(Start::Transport, offset, length, kind));
    let plain = |offset, length| at(offset, length, Kind::Integer);
    let number = find(names::PROTOCOLS, protocol).and_then(|number| u8::try_from(number).ok())?;
    let key = match (protocol, name) {
        ("sctp" | "dccp" | "udplite", "sport" | "dport") => ports(name, None),
        ("sctp", "vtag") => plain(32, 32),
        ("sctp", "checksum") => plain(64, 32),
        ("dccp", "type") => at(67, 4, Kind::DccpType),
        ("udplite", "csumcov" | "length") => plain(32, 16),
        ("udplite", "checksum") => plain(48, 16),
        ("ah", "nexthdr") | ("comp", "nexthdr") => at(0, 8, Kind::Protocol),
        ("ah", "hdrlength") | ("comp", "flags") => plain(8, 8),
        ("ah", "reserved") | ("comp", "cpi") => plain(16, 16),
        ("ah", "spi") => plain(32, 32),
        ("ah", "sequence") => plain(64, 32),
        ("esp", "spi") => plain(0, 32),
        ("esp", "sequence") => plain(32, 32),
        ("igmp", "type") => at(0, 8, Kind::IgmpType),
        ("igmp", "mrt") => plain(8, 8),
        ("igmp", "checksum") => plain(16, 16),
        ("igmp", "group") => at(32, 32, Kind::Ip4),
        _ => None,
    };
    key.map(|key| key.protocol(number))
}

/// Headers of tunnels, and those of the packets inside (`vxlan ip saddr`): only their types are known.
fn tunnel(protocol: &str, name: &str) -> Option<Key> {
    let number = if protocol.starts_with("gre") { 47 } else { 17 };
    let inner = name.split_once(' ').and_then(|(inner, name)| header(inner, name));
    let key = match (inner, name) {
        (Some(inner), _) => Key::new(Field::Opaque(Opaque::Tunnel), inner.kind, inner.bits),
        (None, "vni" | "version" | "flags" | "critical" | "oam" | "opts") => {
            Key::new(Field::Opaque(Opaque::Tunnel), Kind::Integer, 32)
        }
        (None, "protocol" | "type") => Key::opaque(Opaque::Tunnel, Kind::EtherType),
        _ => return None,
    };
    Some(key.protocol(number))
}

/// Fields of IPv6 extension headers.
fn extension(header: &str, name: &str) -> Option<Key> {
    let number = extension_number(header)?;
    let at = |offset_bits, length_bits, kind| {
        let field = Field::Ip6Extension { header: number, offset_bits, length_bits };
        Some(Key::new(field, kind, length_bits))
    };
    let plain = |offset, length| at(offset, length, Kind::Integer);
    let key = match (header, name) {
        (_, "nexthdr") => at(0, 8, Kind::Protocol),
        ("frag", "reserved") => plain(8, 8),
        ("frag", "frag-off") => plain(16, 13),
        ("frag", "reserved2") => plain(29, 2),
        ("frag", "more-fragments") => plain(31, 1),
        ("frag", "id") => plain(32, 32),
        (_, "hdrlength") => plain(8, 8),
        ("rt", "type") => plain(16, 8),
        ("rt", "seg-left") => plain(24, 8),
        ("rt0" | "rt2", name) if name.starts_with("addr") => at(64, 128, Kind::Ip6),
        ("srh", "last-entry") => plain(32, 8),
        ("srh", "flags") => plain(40, 8),
        ("srh", "tag") => plain(48, 16),
        ("mh", "type") => at(16, 8, Kind::MobilityType),
        ("mh", "reserved") => plain(24, 8),
        ("mh", "checksum") => plain(32, 16),
        _ => None,
    };
    key.map(|key| key.ether(ETHER_IP6))
}

/// The number of an IPv6 extension header by its name.
pub(super) fn extension_number(header: &str) -> Option<u8> {
    Some(match header {
        "hbh" => 0,
        "rt" | "rt0" | "rt2" | "srh" => 43,
        "frag" => 44,
        "dst" => 60,
        "mh" => 135,
        _ => return None,
    })
}
