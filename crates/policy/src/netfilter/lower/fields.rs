//! Where a field of the tree stands in a [`Cube`].

use crate::netfilter::ast::Field;
use crate::space::{Family, PORT_PROTOCOLS, Protocols};

/// What a field looks at, as far as a cube knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Source,
    Destination,
    SourcePort,
    DestinationPort,
    Protocol,
    Flags,
    State,
    StateNat,
    Status,
    Direction,
    Input,
    Output,
    /// The same for every packet of a cube of this family.
    Families {
        v4: u128,
        v6: u128,
    },
    /// Cubes stand for whole packets without extension headers.
    Fixed(u128),
    Mark,
    CtMark,
    /// What ipset takes for a port; `true` of the source.
    SetPort(bool),
    /// What routing says of an address; `true` of the source.
    AddressType(bool),
    /// To whom the link said it goes.
    PacketType,
    /// A cube does not know it.
    Unknown,
}

/// Where a field is found, and which packets have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub shape: Shape,
    pub family: Option<Family>,
    pub protocols: Option<Protocols>,
}

const fn at(shape: Shape, family: Option<Family>, protocols: Option<Protocols>) -> Place {
    Place { shape, family, protocols }
}

pub(crate) fn place(field: Field) -> Place {
    use Family::{V4, V6};
    use Field as F;
    use Shape as S;
    match field {
        F::Ip4Source => at(S::Source, Some(V4), None),
        F::Ip4Destination => at(S::Destination, Some(V4), None),
        F::Ip6Source => at(S::Source, Some(V6), None),
        F::Ip6Destination => at(S::Destination, Some(V6), None),
        F::Ip4Protocol => at(S::Protocol, Some(V4), None),
        F::Ip6NextHeader => at(S::Protocol, Some(V6), None),
        F::Protocol => at(S::Protocol, None, None),
        F::NfProto => at(S::Families { v4: 2, v6: 10 }, None, None),
        F::EtherType => at(S::Families { v4: 0x0800, v6: 0x86dd }, None, None),
        F::TcpSource => at(S::SourcePort, None, Some(Protocols::TCP)),
        F::TcpDestination => at(S::DestinationPort, None, Some(Protocols::TCP)),
        F::UdpSource => at(S::SourcePort, None, Some(Protocols::UDP)),
        F::UdpDestination => at(S::DestinationPort, None, Some(Protocols::UDP)),
        F::ThSource => at(S::SourcePort, None, Some(PORT_PROTOCOLS)),
        F::ThDestination => at(S::DestinationPort, None, Some(PORT_PROTOCOLS)),
        F::TcpFlags => at(S::Flags, None, Some(Protocols::TCP)),
        F::IcmpType => at(S::SourcePort, Some(V4), Some(Protocols::ICMP)),
        F::IcmpCode => at(S::DestinationPort, Some(V4), Some(Protocols::ICMP)),
        F::Icmp6Type => at(S::SourcePort, Some(V6), Some(Protocols::ICMPV6)),
        F::Icmp6Code => at(S::DestinationPort, Some(V6), Some(Protocols::ICMPV6)),
        F::CtState => at(S::State, None, None),
        F::CtStateNat => at(S::StateNat, None, None),
        F::CtStatus => at(S::Status, None, None),
        F::CtDirection => at(S::Direction, None, None),
        F::InputInterface => at(S::Input, None, None),
        F::OutputInterface => at(S::Output, None, None),
        F::IsLaterFragment => at(S::Fixed(0), None, None),
        F::Ip6ExtensionPresent(_) => at(S::Fixed(0), Some(V6), None),
        F::Mark => at(S::Mark, None, None),
        F::CtMark => at(S::CtMark, None, None),
        F::FibSourceType => at(S::AddressType(true), None, None),
        F::FibDestinationType => at(S::AddressType(false), None, None),
        F::PacketType => at(S::PacketType, None, None),
        F::SetSourcePort => at(S::SetPort(true), None, None),
        F::SetDestinationPort => at(S::SetPort(false), None, None),
        F::TcpSequence | F::TcpAcknowledgment | F::TcpWindow | F::TcpOptionPresent(_) | F::TcpMaxSegment => {
            at(S::Unknown, None, Some(Protocols::TCP))
        }
        F::UdpLength => at(S::Unknown, None, Some(Protocols::UDP)),
        F::Ip4Length | F::Ip4Ttl | F::Ip4Dscp | F::Ip4Ecn | F::Ip4Id | F::Ip4FragmentOffset => {
            at(S::Unknown, Some(V4), None)
        }
        F::Ip6HopLimit | F::Ip6Dscp | F::Ip6FlowLabel | F::Ip6Length => at(S::Unknown, Some(V6), None),
        _ => at(S::Unknown, None, None),
    }
}
