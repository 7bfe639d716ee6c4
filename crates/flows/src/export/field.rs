//! The elements of NetFlow v9 and IPFIX that flows are made of (IANA registry "IPFIX Information Elements").

use netwhy_wire::ipfix::{Dialect, FieldSpec};

/// RFC 5103: an IANA element of the other direction.
const REVERSE: u32 = 29_305;
/// CERT, whose yaf tells the first packet's flags from the rest.
const CERT: u32 = 6_871;

/// What a field means to a flow; the number is its place in a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Field {
    Ignored,
    Source4,
    Destination4,
    Source6,
    Destination6,
    SourcePort,
    DestinationPort,
    Protocol,
    TcpFlags,
    IcmpTypeCode,
    IcmpType,
    IcmpCode,
    Bytes,
    Packets,
    BytesTotal,
    PacketsTotal,
    BytesOut,
    PacketsOut,
    BytesInitiator,
    PacketsInitiator,
    BytesResponder,
    PacketsResponder,
    BytesReverse,
    PacketsReverse,
    BytesTotalReverse,
    PacketsTotalReverse,
    TcpFlagsReverse,
    FlagsFirst,
    FlagsRest,
    FlagsFirstReverse,
    FlagsRestReverse,
    BytesDropped,
    PacketsDropped,
    Input,
    Output,
    Direction,
    BiflowDirection,
    FirewallEvent,
    ForwardingStatus,
    Acl,
    UptimeFirst,
    UptimeLast,
    InitMs,
    StartS,
    EndS,
    StartMs,
    EndMs,
    StartNtp,
    EndNtp,
    StartBeforeUs,
    EndBeforeUs,
    DurationMs,
    DurationUs,
    SeenS,
    SeenMs,
    SeenNtp,
    StartMsReverse,
    EndMsReverse,
    SamplerId,
    SamplingInterval,
    SamplingPacketInterval,
    SamplingPacketSpace,
    SamplingSize,
    SamplingPopulation,
    SamplingProbability,
    InterfaceName,
    InterfaceText,
}

/// How many fields there are.
pub const FIELD_KIND_COUNT: usize = Field::InterfaceText as usize + 1;

impl Field {
    /// What a field of a template means.
    pub fn of(dialect: Dialect, spec: &FieldSpec) -> Field {
        match spec.enterprise {
            0 if spec.scope && dialect == Dialect::V9 => scope_v9(spec.element),
            0 => iana(spec.element),
            REVERSE => reverse(spec.element),
            CERT => match spec.element {
                14 => Field::FlagsFirst,
                15 => Field::FlagsRest,
                16_398 => Field::FlagsFirstReverse,
                16_399 => Field::FlagsRestReverse,
                _ => Field::Ignored,
            },
            _ => Field::Ignored,
        }
    }
}

/// Scopes of NetFlow v9 have numbers of their own: 2 is an interface.
fn scope_v9(element: u16) -> Field {
    if element == 2 { Field::Input } else { Field::Ignored }
}

fn iana(element: u16) -> Field {
    match element {
        1 => Field::Bytes,
        2 => Field::Packets,
        4 => Field::Protocol,
        6 => Field::TcpFlags,
        7 | 180 | 182 => Field::SourcePort,
        8 => Field::Source4,
        10 | 252 => Field::Input,
        11 | 181 | 183 => Field::DestinationPort,
        12 => Field::Destination4,
        14 | 253 => Field::Output,
        23 => Field::BytesOut,
        24 => Field::PacketsOut,
        27 => Field::Source6,
        28 => Field::Destination6,
        32 | 139 => Field::IcmpTypeCode,
        61 => Field::Direction,
        82 => Field::InterfaceName,
        83 => Field::InterfaceText,
        85 => Field::BytesTotal,
        86 => Field::PacketsTotal,
        89 => Field::ForwardingStatus,
        132 => Field::BytesDropped,
        133 => Field::PacketsDropped,
        176 | 178 => Field::IcmpType,
        177 | 179 => Field::IcmpCode,
        231 => Field::BytesInitiator,
        232 => Field::BytesResponder,
        // 40005 is what the first ASAs called the event.
        233 | 40_005 => Field::FirewallEvent,
        239 => Field::BiflowDirection,
        298 => Field::PacketsInitiator,
        299 => Field::PacketsResponder,
        33_000 => Field::Acl,
        _ => time_or_sampling(element),
    }
}

fn time_or_sampling(element: u16) -> Field {
    match element {
        21 => Field::UptimeLast,
        22 => Field::UptimeFirst,
        150 => Field::StartS,
        151 => Field::EndS,
        152 => Field::StartMs,
        153 => Field::EndMs,
        // Micro- and nanoseconds are both NTP's seconds and fractions.
        154 | 156 => Field::StartNtp,
        155 | 157 => Field::EndNtp,
        158 => Field::StartBeforeUs,
        159 => Field::EndBeforeUs,
        160 => Field::InitMs,
        161 => Field::DurationMs,
        162 => Field::DurationUs,
        322 => Field::SeenS,
        323 => Field::SeenMs,
        324 | 325 => Field::SeenNtp,
        34 | 50 => Field::SamplingInterval,
        48 | 302 => Field::SamplerId,
        305 => Field::SamplingPacketInterval,
        306 => Field::SamplingPacketSpace,
        309 => Field::SamplingSize,
        310 => Field::SamplingPopulation,
        311 => Field::SamplingProbability,
        _ => Field::Ignored,
    }
}

fn reverse(element: u16) -> Field {
    match element {
        1 => Field::BytesReverse,
        2 => Field::PacketsReverse,
        6 => Field::TcpFlagsReverse,
        85 => Field::BytesTotalReverse,
        86 => Field::PacketsTotalReverse,
        152 => Field::StartMsReverse,
        153 => Field::EndMsReverse,
        _ => Field::Ignored,
    }
}
