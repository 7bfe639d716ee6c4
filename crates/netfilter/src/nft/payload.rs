//! Header fields by their place, as nft(8) names them.

use super::operand::{Operand, Subject};
use super::value::{Kind, Order};

/// Which header an offset counts from (enum nft_payload_bases).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Link,
    Network,
    Transport,
    Inner,
}

impl Base {
    pub(super) fn of(number: u32) -> Option<Base> {
        [Base::Link, Base::Network, Base::Transport, Base::Inner].get(number as usize).copied()
    }

    fn raw_name(self) -> &'static str {
        match self {
            Base::Link => "ll",
            Base::Network => "nh",
            Base::Transport => "th",
            Base::Inner => "ih",
        }
    }
}

/// One field of one header; place and length in bits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) name: &'static str,
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) kind: Kind,
}

const fn field(name: &'static str, at: usize, len: usize, kind: Kind) -> Template {
    Template { name, at, len, kind }
}

pub(super) type Header = &'static [Template];

const ETHER: Header = &[
    field("ether daddr", 0, 48, Kind::Ether),
    field("ether saddr", 48, 48, Kind::Ether),
    field("ether type", 96, 16, Kind::EtherType),
];

const VLAN: Header = &[
    field("ether daddr", 0, 48, Kind::Ether),
    field("ether saddr", 48, 48, Kind::Ether),
    field("ether type", 96, 16, Kind::EtherType),
    field("vlan pcp", 112, 3, Kind::Integer),
    field("vlan dei", 115, 1, Kind::Integer),
    field("vlan id", 116, 12, Kind::Integer),
    field("vlan type", 128, 16, Kind::EtherType),
];

const IP: Header = &[
    field("ip version", 0, 4, Kind::Integer),
    field("ip hdrlength", 4, 4, Kind::Integer),
    field("ip dscp", 8, 6, Kind::Dscp),
    field("ip ecn", 14, 2, Kind::Ecn),
    field("ip length", 16, 16, Kind::Integer),
    field("ip id", 32, 16, Kind::Integer),
    field("ip frag-off", 48, 16, Kind::Integer),
    field("ip ttl", 64, 8, Kind::Integer),
    field("ip protocol", 72, 8, Kind::Protocol),
    field("ip checksum", 80, 16, Kind::Integer),
    field("ip saddr", 96, 32, Kind::Ip4),
    field("ip daddr", 128, 32, Kind::Ip4),
];

const IP6: Header = &[
    field("ip6 version", 0, 4, Kind::Integer),
    field("ip6 dscp", 4, 6, Kind::Dscp),
    field("ip6 ecn", 10, 2, Kind::Ecn),
    field("ip6 flowlabel", 12, 20, Kind::Integer),
    field("ip6 length", 32, 16, Kind::Integer),
    field("ip6 nexthdr", 48, 8, Kind::Protocol),
    field("ip6 hoplimit", 56, 8, Kind::Integer),
    field("ip6 saddr", 64, 128, Kind::Ip6),
    field("ip6 daddr", 192, 128, Kind::Ip6),
];

const ARP: Header = &[
    field("arp htype", 0, 16, Kind::Integer),
    field("arp ptype", 16, 16, Kind::EtherType),
    field("arp hlen", 32, 8, Kind::Integer),
    field("arp plen", 40, 8, Kind::Integer),
    field("arp operation", 48, 16, Kind::ArpOperation),
    field("arp saddr ether", 64, 48, Kind::Ether),
    field("arp saddr ip", 112, 32, Kind::Ip4),
    field("arp daddr ether", 144, 48, Kind::Ether),
    field("arp daddr ip", 192, 32, Kind::Ip4),
];

const TCP: Header = &[
    field("tcp sport", 0, 16, Kind::Service),
    field("tcp dport", 16, 16, Kind::Service),
    field("tcp sequence", 32, 32, Kind::Integer),
    field("tcp ackseq", 64, 32, Kind::Integer),
    field("tcp doff", 96, 4, Kind::Integer),
    field("tcp reserved", 100, 4, Kind::Integer),
    field("tcp flags", 104, 8, Kind::TcpFlag),
    field("tcp window", 112, 16, Kind::Integer),
    field("tcp checksum", 128, 16, Kind::Integer),
    field("tcp urgptr", 144, 16, Kind::Integer),
];

const UDP: Header = &[
    field("udp sport", 0, 16, Kind::Service),
    field("udp dport", 16, 16, Kind::Service),
    field("udp length", 32, 16, Kind::Integer),
    field("udp checksum", 48, 16, Kind::Integer),
];

const UDPLITE: Header = &[
    field("udplite sport", 0, 16, Kind::Service),
    field("udplite dport", 16, 16, Kind::Service),
    field("udplite csumcov", 32, 16, Kind::Integer),
    field("udplite checksum", 48, 16, Kind::Integer),
];

const SCTP: Header = &[
    field("sctp sport", 0, 16, Kind::Service),
    field("sctp dport", 16, 16, Kind::Service),
    field("sctp vtag", 32, 32, Kind::Integer),
    field("sctp checksum", 64, 32, Kind::Integer),
];

const DCCP: Header = &[
    field("dccp sport", 0, 16, Kind::Service),
    field("dccp dport", 16, 16, Kind::Service),
    field("dccp type", 67, 4, Kind::DccpType),
];

/// Any transport with ports, when the rule does not say which.
const ANY_TRANSPORT: Header =
    &[field("th sport", 0, 16, Kind::Service), field("th dport", 16, 16, Kind::Service)];

const ICMP: Header = &[
    field("icmp type", 0, 8, Kind::IcmpType),
    field("icmp code", 8, 8, Kind::IcmpCode),
    field("icmp checksum", 16, 16, Kind::Integer),
    field("icmp id", 32, 16, Kind::Integer),
    field("icmp sequence", 48, 16, Kind::Integer),
    field("icmp gateway", 32, 32, Kind::Integer),
];

const ICMP6: Header = &[
    field("icmpv6 type", 0, 8, Kind::Icmp6Type),
    field("icmpv6 code", 8, 8, Kind::Icmp6Code),
    field("icmpv6 checksum", 16, 16, Kind::Integer),
    field("icmpv6 id", 32, 16, Kind::Integer),
    field("icmpv6 sequence", 48, 16, Kind::Integer),
    field("icmpv6 mtu", 32, 32, Kind::Integer),
];

const IGMP: Header = &[
    field("igmp type", 0, 8, Kind::IgmpType),
    field("igmp mrt", 8, 8, Kind::Integer),
    field("igmp checksum", 16, 16, Kind::Integer),
    field("igmp group", 32, 32, Kind::Ip4),
];

const AH: Header = &[
    field("ah nexthdr", 0, 8, Kind::Protocol),
    field("ah hdrlength", 8, 8, Kind::Integer),
    field("ah reserved", 16, 16, Kind::Integer),
    field("ah spi", 32, 32, Kind::Integer),
    field("ah sequence", 64, 32, Kind::Integer),
];

const ESP: Header = &[field("esp spi", 0, 32, Kind::Integer), field("esp sequence", 32, 32, Kind::Integer)];

const COMP: Header = &[
    field("comp nexthdr", 0, 8, Kind::Protocol),
    field("comp flags", 8, 8, Kind::Integer),
    field("comp cpi", 16, 16, Kind::Integer),
];

/// The part of the fragment header whose fields share bytes.
pub(super) const FRAGMENT: Header = &[
    field("frag frag-off", 16, 13, Kind::Integer),
    field("frag reserved2", 29, 2, Kind::Integer),
    field("frag more-fragments", 31, 1, Kind::Integer),
];

/// What a rule has said so far about the packet's protocols.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Protocols {
    pub(super) vlan: bool,
    /// The EtherType.
    pub(super) network: Option<u16>,
    /// The IP protocol.
    pub(super) transport: Option<u8>,
}

pub(super) const ETHER_IP: u16 = 0x0800;
pub(super) const ETHER_IP6: u16 = 0x86dd;
pub(super) const ETHER_ARP: u16 = 0x0806;
pub(super) const ETHER_VLAN: u16 = 0x8100;
pub(super) const TRANSPORT_ICMP: u8 = 1;
pub(super) const TRANSPORT_ICMP6: u8 = 58;

fn header(base: Base, protocols: Protocols) -> Header {
    match (base, protocols.network, protocols.transport) {
        (Base::Link, ..) => {
            if protocols.vlan {
                VLAN
            } else {
                ETHER
            }
        }
        (Base::Network, Some(ETHER_IP), _) => IP,
        (Base::Network, Some(ETHER_IP6), _) => IP6,
        (Base::Network, Some(ETHER_ARP), _) => ARP,
        (Base::Transport, _, Some(6)) => TCP,
        (Base::Transport, _, Some(17)) => UDP,
        (Base::Transport, _, Some(136)) => UDPLITE,
        (Base::Transport, _, Some(132)) => SCTP,
        (Base::Transport, _, Some(33)) => DCCP,
        (Base::Transport, _, Some(TRANSPORT_ICMP)) => ICMP,
        (Base::Transport, _, Some(TRANSPORT_ICMP6)) => ICMP6,
        (Base::Transport, _, Some(2)) => IGMP,
        (Base::Transport, _, Some(51)) => AH,
        (Base::Transport, _, Some(50)) => ESP,
        (Base::Transport, _, Some(108)) => COMP,
        (Base::Transport, _, None) => ANY_TRANSPORT,
        _ => &[],
    }
}

/// The operand that `len` bytes at `offset` of a header are.
pub(super) fn operand(base: Base, offset: usize, len: usize, protocols: Protocols) -> Operand {
    let (at, bits) = (offset.saturating_mul(8), len.saturating_mul(8));
    let fields = header(base, protocols);
    if let Some(exact) = fields.iter().find(|field| field.at == at && field.len == bits) {
        return of_template(exact);
    }
    let address = |field: &&Template| matches!(field.kind, Kind::Ip4 | Kind::Ip6) && field.len > bits;
    if let Some(start) = fields.iter().filter(address).find(|field| field.at == at) {
        return Operand { prefix: Some(bits), ..of_template(start) };
    }
    let raw = Operand {
        text: format!("@{},{at},{bits}", base.raw_name()),
        kind: Kind::Hex,
        order: Order::Big,
        subject: Subject::Other,
        ..Operand::default()
    };
    Operand { parts: covering(fields, at, bits), place: Some((base, fields, at)), ..raw }
}

/// The fields that together are exactly this stretch; none when they leave a gap.
fn covering(fields: Header, at: usize, bits: usize) -> Vec<&'static Template> {
    let end = at.saturating_add(bits);
    let mut next = at;
    let mut parts = Vec::new();
    while next < end {
        let Some(part) = fields.iter().find(|field| field.at == next && field.at + field.len <= end) else {
            return Vec::new();
        };
        next += part.len;
        parts.push(part);
    }
    parts
}

/// The operand of one whole field.
pub(super) fn of_template(field: &Template) -> Operand {
    let subject = match field.name.split_once(' ') {
        Some(("ip" | "ip6", "saddr")) | Some(("arp", "saddr ip")) => Subject::Source,
        Some(("ip" | "ip6", "daddr")) | Some(("arp", "daddr ip")) => Subject::Destination,
        Some((_, "sport")) => Subject::SourcePort,
        Some((_, "dport")) => Subject::DestinationPort,
        Some(("tcp", "flags")) => Subject::TcpFlags,
        Some(("ip", "protocol")) | Some(("ip6", "nexthdr")) | Some((_, "type")) => Subject::Protocol,
        _ => Subject::Other,
    };
    Operand {
        text: field.name.to_owned(),
        kind: field.kind,
        order: Order::Big,
        subject,
        ..Operand::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocols(network: u16, transport: u8) -> Protocols {
        Protocols { vlan: false, network: Some(network), transport: Some(transport) }
    }

    #[test]
    fn fields_are_found_by_place() {
        assert_eq!(operand(Base::Network, 12, 4, protocols(ETHER_IP, 6)).text, "ip saddr");
        assert_eq!(operand(Base::Transport, 2, 2, protocols(ETHER_IP, 17)).text, "udp dport");
        assert_eq!(operand(Base::Transport, 2, 2, Protocols::default()).text, "th dport");
        assert_eq!(operand(Base::Inner, 0, 4, Protocols::default()).text, "@ih,0,32");
    }

    #[test]
    fn two_fields_at_once_are_two_parts() {
        let both = operand(Base::Transport, 0, 4, protocols(ETHER_IP, 6));
        let names: Vec<&str> = both.parts.iter().map(|part| part.name).collect();
        assert_eq!(names, ["tcp sport", "tcp dport"]);
    }

    #[test]
    fn the_first_bytes_of_an_address_are_a_prefix() {
        assert_eq!(operand(Base::Network, 12, 1, protocols(ETHER_IP, 6)).prefix, Some(8));
    }
}
