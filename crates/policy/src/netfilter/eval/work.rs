//! A packet on its way: what rules and translation made of it so far, and what a rule sees of it.

use super::memory::{Connection, DESTINATION_NAT, SOURCE_NAT};
use super::value::{Bits, Value, known_or_not, name_number};
use crate::netfilter::ast::{Field, Hook};
use crate::netfilter::eval::Host;
use crate::netfilter::packet::{self, Fragment, ICMP, ICMPV6, Packet, SCTP, TCP, UDP, UDP_LITE, has_ports};
use crate::points::Point;

/// The state of a packet without a connection, in the bits of [`Field::CtState`].
pub const INVALID: u128 = 1;
pub const ESTABLISHED: u128 = 2;
pub const RELATED: u128 = 4;
pub const NEW: u128 = 8;
pub const UNTRACKED: u128 = 64;

/// What [`Field::CtStateNat`] has beside the state.
const STATE_SOURCE_NAT: u128 = 256;
const STATE_DESTINATION_NAT: u128 = 512;
/// The low 13 bits of the IPv4 fragment field: the offset; the packet's place is told by it alone.
const FRAGMENT_OFFSET: u128 = 0x1fff;
const MORE_FRAGMENTS: u128 = 0x2000;

/// A packet between two rules.
#[derive(Debug)]
pub struct Work<'a> {
    pub packet: &'a Packet,
    pub host: &'a Host,
    pub six: bool,
    /// The hook it is at.
    pub hook: Hook,
    /// The last hook but postrouting on its way.
    pub asked: Hook,
    pub input: Option<u128>,
    pub output: Option<u128>,
    pub output_name: Option<&'a str>,
    pub source: Bits,
    pub destination: Bits,
    pub source_port: Value,
    pub destination_port: Value,
    pub mark: Bits,
    pub dscp: Bits,
    pub ecn: Bits,
    pub ttl: Bits,
    pub priority: Bits,
    pub state: Bits,
    pub reply: Bits,
    pub connection: Option<Connection>,
    /// Its place in the table, once it is there.
    pub entry: Option<usize>,
    /// Whether fragments were put together before the first rule.
    pub whole: bool,
    /// Whether a packet that comes further may have gone round the rule at hand.
    pub optional: bool,
}

impl<'a> Work<'a> {
    pub fn new(packet: &'a Packet, host: &'a Host, whole: bool) -> Work<'a> {
        let ports = packet.has_ports() && (whole || packet.fragment != Fragment::Later);
        let port = |number: Option<u16>| if ports { known_or_not(number) } else { None };
        let name = |name: &Option<String>| name.as_deref().map(name_number);
        Work {
            packet,
            host,
            six: packet.is_v6(),
            hook: Hook::Prerouting,
            asked: packet.hook,
            input: name(&packet.input),
            output: name(&packet.output),
            output_name: packet.output.as_deref(),
            source: Bits::of(packet::number(packet.source)),
            destination: Bits::of(packet::number(packet.destination)),
            source_port: port(packet.source_port),
            destination_port: port(packet.destination_port),
            mark: Bits::of(packet.mark.into()),
            dscp: packet.dscp.map_or(Bits::UNKNOWN, |dscp| Bits::of(dscp.into())),
            ecn: packet.ecn.map_or(Bits::UNKNOWN, |ecn| Bits::of(ecn.into())),
            ttl: packet.ttl.map_or(Bits::UNKNOWN, |ttl| Bits::of(ttl.into())),
            priority: Bits::UNKNOWN,
            state: Bits::of(INVALID),
            reply: Bits::of(0),
            connection: None,
            entry: None,
            whole,
            optional: false,
        }
    }

    /// Finds out where a packet goes, once its destination is settled; as said where the host is not known.
    pub fn route(&mut self) {
        if self.host.is_unknown() {
            return;
        }
        let Some(destination) = self.destination.known() else { return };
        let address = packet::address(destination, self.six);
        match self.host.is_local(address) {
            Some(true) => self.asked = Hook::Input,
            Some(false) => self.asked = Hook::Forward,
            None => {}
        }
        if self.asked == Hook::Forward
            && let Some(interface) = self.host.leads_out(address)
        {
            self.output = Some(name_number(interface));
            self.output_name = Some(interface);
        }
    }

    /// What the index looks at; `None` when something of it is unknown.
    pub fn point(&self) -> Option<Point> {
        // A later fragment has no ports, and so does not match a rule that names all of them either.
        if self.later() && has_ports(self.packet.protocol) {
            return None;
        }
        let port = |value: Value| match value {
            None => Some(0),
            Some(bits) => bits.known().and_then(|number| u16::try_from(number).ok()),
        };
        Some(Point {
            source: self.source.known()?,
            destination: self.destination.known()?,
            source_port: port(self.source_port)?,
            destination_port: port(self.destination_port)?,
            protocol: self.packet.protocol,
        })
    }

    /// Whether it is a later fragment for the rules to see.
    fn later(&self) -> bool {
        !self.whole && self.packet.fragment == Fragment::Later
    }

    fn of_protocol(&self, protocol: u8) -> bool {
        self.packet.protocol == protocol && !self.later()
    }

    fn v4(&self, bits: Bits) -> Value {
        (!self.six).then_some(bits)
    }

    fn v6(&self, bits: Bits) -> Value {
        self.six.then_some(bits)
    }

    /// What a rule sees in a field.
    pub fn value(&self, field: Field) -> Value {
        match field {
            Field::Ip4Source => self.v4(self.source),
            Field::Ip4Destination => self.v4(self.destination),
            Field::Ip6Source => self.v6(self.source),
            Field::Ip6Destination => self.v6(self.destination),
            Field::Ip4Protocol => self.v4(Bits::of(self.packet.protocol.into())),
            Field::Ip6NextHeader => self.v6(self.next_header()),
            Field::Protocol => Some(Bits::of(self.packet.protocol.into())),
            Field::NfProto => Some(Bits::of(if self.six { 10 } else { 2 })),
            Field::EtherType => Some(Bits::of(if self.six { 0x86dd } else { 0x0800 })),
            Field::Mark => Some(self.mark),
            Field::InputInterface => Some(interface(self.input, self.hook == Hook::Output)),
            Field::OutputInterface => Some(interface(self.output, !self.leaves())),
            Field::Length => known_or_not(self.packet.length),
            Field::PacketType => Some(self.packet_type()),
            Field::EtherSource => self.mac(),
            Field::SocketUser => self.of_socket(self.packet.user),
            Field::SocketGroup => self.of_socket(self.packet.group),
            Field::Priority => Some(self.priority),
            Field::FibSourceType => Some(self.address_type(self.source)),
            Field::FibDestinationType => Some(self.address_type(self.destination)),
            Field::ReversePath => Some(self.reverse_path()),
            _ => self.of_transport(field),
        }
    }

    fn of_transport(&self, field: Field) -> Value {
        let packet = self.packet;
        let of = |protocol, value: Value| if self.of_protocol(protocol) { value } else { None };
        match field {
            Field::TcpSource => of(TCP, self.source_port),
            Field::TcpDestination => of(TCP, self.destination_port),
            Field::UdpSource => of(UDP, self.source_port),
            Field::UdpDestination => of(UDP, self.destination_port),
            Field::ThSource => self.transport(self.source_port),
            Field::ThDestination => self.transport(self.destination_port),
            Field::SetSourcePort => self.set_port(self.source_port),
            Field::SetDestinationPort => self.set_port(self.destination_port),
            Field::TcpFlags => of(TCP, known_or_not(packet.flags)),
            Field::TcpSequence => of(TCP, known_or_not(packet.sequence)),
            Field::TcpAcknowledgment => of(TCP, known_or_not(packet.acknowledgment)),
            Field::TcpWindow | Field::TcpOptionPresent(_) | Field::TcpMaxSegment => {
                of(TCP, Some(Bits::UNKNOWN))
            }
            Field::UdpLength => of(UDP, Some(Bits::UNKNOWN)),
            Field::IcmpType => of(ICMP, known_or_not(packet.icmp_type)),
            Field::IcmpCode => of(ICMP, known_or_not(packet.icmp_code)),
            Field::Icmp6Type => of(ICMPV6, known_or_not(packet.icmp_type)),
            Field::Icmp6Code => of(ICMPV6, known_or_not(packet.icmp_code)),
            _ => self.of_network(field),
        }
    }

    fn of_network(&self, field: Field) -> Value {
        match field {
            Field::Ip4Length => self.v4(known_or_not(self.packet.length).unwrap_or(Bits::UNKNOWN)),
            Field::Ip4Ttl => self.v4(self.ttl),
            Field::Ip4Dscp => self.v4(self.dscp),
            Field::Ip4Ecn => self.v4(self.ecn),
            Field::Ip4FragmentOffset => self.v4(self.fragment_bits()),
            Field::Ip6HopLimit => self.v6(self.ttl),
            Field::Ip6Dscp => self.v6(self.dscp),
            Field::IsLaterFragment => Some(Bits::of(u128::from(self.later()))),
            Field::Ip6ExtensionPresent(44) => {
                let fragment = !self.whole && self.packet.fragment != Fragment::Whole;
                self.v6(Bits::of(u128::from(fragment)))
            }
            Field::Ip6ExtensionPresent(_) | Field::Ip6FlowLabel | Field::Ip6Length => self.v6(Bits::UNKNOWN),
            Field::Ip4Id => self.v4(Bits::UNKNOWN),
            Field::CtState => Some(self.state),
            Field::CtStateNat => Some(self.state_and_nat()),
            _ if super::compile::of_connection(field) => self.of_connection(field),
            _ => Some(Bits::UNKNOWN),
        }
    }

    fn of_connection(&self, field: Field) -> Value {
        let Some(connection) = &self.connection else {
            let said = self.packet.state.is_some() && self.state.bits & (NEW | ESTABLISHED | RELATED) != 0;
            return (said || self.state.unknown != 0).then_some(Bits::UNKNOWN);
        };
        let number = |number: u128| Some(Bits::of(number));
        let original = &connection.original;
        match field {
            Field::CtStatus => number(connection.status.into()),
            Field::CtDirection => Some(self.reply),
            Field::CtMark => Some(connection.mark),
            Field::CtZone => number(0),
            Field::CtProtocol => number(original.protocol.into()),
            Field::CtOriginalSource => number(original.source),
            Field::CtOriginalDestination => number(original.destination),
            Field::CtOriginalSourcePort => number(original.source_port.into()),
            Field::CtOriginalDestinationPort => number(original.destination_port.into()),
            Field::CtReplySource => Some(connection.reply_source()),
            Field::CtReplyDestination => Some(connection.reply_destination()),
            Field::CtReplySourcePort => Some(connection.reply_source_port()),
            Field::CtReplyDestinationPort => Some(connection.reply_destination_port()),
            _ => Some(Bits::UNKNOWN),
        }
    }

    fn state_and_nat(&self) -> Bits {
        let translated = match &self.connection {
            Some(connection) => {
                let status = connection.status;
                let bit = |of, bit| if status & of != 0 { bit } else { 0 };
                Bits::of(bit(SOURCE_NAT, STATE_SOURCE_NAT) | bit(DESTINATION_NAT, STATE_DESTINATION_NAT))
            }
            None if self.state.bits & (NEW | ESTABLISHED | RELATED) != 0 => {
                Bits { bits: 0, unknown: STATE_SOURCE_NAT | STATE_DESTINATION_NAT }
            }
            None => Bits::of(0),
        };
        Bits { bits: self.state.bits | translated.bits, unknown: self.state.unknown | translated.unknown }
    }

    /// What ipset takes for a port.
    fn set_port(&self, port: Value) -> Value {
        let packet = self.packet;
        match packet.protocol {
            TCP | UDP | SCTP | UDP_LITE if self.later() => Some(Bits::UNKNOWN),
            TCP | UDP | SCTP | UDP_LITE => port,
            ICMP | ICMPV6 => Some(match (packet.icmp_type, packet.icmp_code) {
                (Some(kind), Some(code)) => Bits::of(u128::from(kind) << 8 | u128::from(code)),
                _ => Bits::UNKNOWN,
            }),
            _ => Some(Bits::of(0)),
        }
    }

    /// Ports by their place behind the network header: other protocols have other bytes there.
    fn transport(&self, port: Value) -> Value {
        match (has_ports(self.packet.protocol), self.later()) {
            (_, true) => None,
            (true, _) => port,
            (false, _) => Some(Bits::UNKNOWN),
        }
    }

    fn next_header(&self) -> Bits {
        if !self.whole && self.packet.fragment != Fragment::Whole {
            return Bits::of(44);
        }
        Bits::of(self.packet.protocol.into())
    }

    fn fragment_bits(&self) -> Bits {
        let flags = !(FRAGMENT_OFFSET | MORE_FRAGMENTS);
        match (self.whole, self.packet.fragment) {
            (true, _) | (_, Fragment::Whole) => Bits { bits: 0, unknown: flags },
            (_, Fragment::First) => Bits { bits: MORE_FRAGMENTS, unknown: flags },
            (_, Fragment::Later) => Bits { bits: 1, unknown: !1 },
        }
    }

    fn leaves(&self) -> bool {
        matches!(self.hook, Hook::Forward | Hook::Output | Hook::Postrouting | Hook::Egress)
    }

    fn mac(&self) -> Value {
        if self.packet.hook == Hook::Output { None } else { known_or_not(self.packet.mac) }
    }

    fn of_socket(&self, id: Option<u32>) -> Value {
        if self.packet.hook == Hook::Output { known_or_not(id) } else { None }
    }

    fn packet_type(&self) -> Bits {
        match self.asked {
            Hook::Forward => Bits::of(0),
            Hook::Output => Bits::UNKNOWN,
            _ => match super::host::kind_by_itself(self.packet.destination) {
                Some(5) => Bits::of(2),
                Some(3) => Bits::of(1),
                _ => Bits::of(0),
            },
        }
    }

    /// `unicast`, `local`, … of an address; the destination's is known past the routing.
    fn address_type(&self, address: Bits) -> Bits {
        let Some(number) = address.known() else { return Bits::UNKNOWN };
        let address = packet::address(number, self.six);
        if let Some(kind) = super::host::kind_by_itself(address).or_else(|| self.host.kind(address)) {
            return Bits::of(kind);
        }
        let destination = self.destination.known() == Some(number);
        match self.hook {
            Hook::Input if destination => Bits::of(super::host::LOCAL),
            Hook::Forward if destination => Bits::of(super::host::UNICAST),
            _ => Bits::UNKNOWN,
        }
    }

    fn reverse_path(&self) -> Bits {
        let (Some(source), Some(input)) = (self.source.known(), self.packet.input.as_deref()) else {
            return Bits::UNKNOWN;
        };
        match self.host.leads_out(packet::address(source, self.six)) {
            Some(output) => Bits::of(u128::from(output == input)),
            None => Bits::UNKNOWN,
        }
    }
}

/// The number of an interface's name: none at all reads as the empty name.
fn interface(name: Option<u128>, absent: bool) -> Bits {
    match name {
        _ if absent => Bits::of(0),
        Some(number) => Bits::of(number),
        None => Bits::UNKNOWN,
    }
}
