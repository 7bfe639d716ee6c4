//! One record while its fields come in, and the one or two flows it becomes.

use super::field::{FIELD_KIND_COUNT, Field};
use crate::icmp;
use crate::record::{Action, Address, Direction, Flow, Opener};
use netwhy_wire::{TcpFlags, ipfix, protocol};

/// NTP counts from 1900, everything else from 1970.
const NTP_EPOCH_S: i64 = 2_208_988_800;

/// The fields of one record, by kind.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    present: u128,
    numbers: [u64; FIELD_KIND_COUNT],
    source: Address,
    destination: Address,
    name: &'a [u8],
}

/// The clock a record's times are counted from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    /// When the datagram was sent, in milliseconds since 1970.
    pub export_ms: i64,
    /// The exporter's uptime then, where its dialect tells.
    pub uptime_ms: Option<u32>,
    /// When the exporter started, where it told by an option.
    pub init_ms: Option<i64>,
}

impl Clock {
    /// Turns an uptime into a time; an uptime that has passed 2^32 milliseconds meanwhile is understood.
    pub fn time_ms(&self, uptime_ms: u32) -> Option<i64> {
        match (self.uptime_ms, self.init_ms) {
            (Some(now), _) => Some(self.export_ms - i64::from(now.wrapping_sub(uptime_ms).cast_signed())),
            (None, Some(init_ms)) => Some(init_ms.saturating_add(i64::from(uptime_ms))),
            (None, None) => None,
        }
    }
}

/// What became of a record, but for interface and rule, which have names elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    pub forward: Flow,
    pub backward: Option<Flow>,
    pub input: u32,
    pub output: u32,
    /// The access list that decided.
    pub acl: Option<u32>,
}

impl Default for Draft<'_> {
    fn default() -> Self {
        Draft {
            present: 0,
            numbers: [0; FIELD_KIND_COUNT],
            source: Address::default(),
            destination: Address::default(),
            name: &[],
        }
    }
}

impl<'a> Draft<'a> {
    pub fn clear(&mut self) {
        self.present = 0;
        self.source = Address::default();
        self.destination = Address::default();
        self.name = &[];
    }

    /// Takes a field's value; of a field that comes twice the last one holds.
    pub fn set(&mut self, field: Field, value: &'a [u8]) {
        match field {
            Field::Ignored => return,
            Field::Source4 | Field::Source6 => return set_address(&mut self.source, value),
            Field::Destination4 | Field::Destination6 => return set_address(&mut self.destination, value),
            // The description is taken where there is no name.
            Field::InterfaceName => self.name = value,
            Field::InterfaceText if self.name.is_empty() => self.name = value,
            Field::InterfaceText => {}
            // The list, not the entry within it.
            Field::Acl => self.numbers[field as usize] = ipfix::number(value.get(..4).unwrap_or(value)),
            Field::SamplingProbability => self.numbers[field as usize] = probability_bits(value),
            _ => self.numbers[field as usize] = ipfix::number(value),
        }
        self.present |= 1 << field as u8;
    }

    pub fn get(&self, field: Field) -> Option<u64> {
        (self.present & 1 << field as u8 != 0).then(|| self.numbers[field as usize])
    }

    /// The name of the interface that the record is about.
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// One packet in so many was looked at, as far as this record itself tells.
    pub fn sampling(&self) -> Option<u64> {
        if let Some(interval) = self.get(Field::SamplingPacketInterval).filter(|interval| *interval > 0) {
            let space = self.get(Field::SamplingPacketSpace).unwrap_or(0);
            return Some(interval.saturating_add(space) / interval);
        }
        if let Some(size) = self.get(Field::SamplingSize).filter(|size| *size > 0) {
            return Some(self.get(Field::SamplingPopulation)? / size);
        }
        if let Some(bits) = self.get(Field::SamplingProbability) {
            let probability = f64::from_bits(bits);
            return (probability > 0.0 && probability <= 1.0).then(|| (1.0 / probability).round() as u64);
        }
        self.get(Field::SamplingInterval)
    }

    /// Makes the flows; counts are multiplied by `sampling`.
    pub fn make(&self, clock: &Clock, sampling: u64) -> Made {
        let (start_ms, end_ms) = self.times(clock);
        let protocol = self.get(Field::Protocol).unwrap_or(0) as u8;
        let mut forward = Flow {
            start_ms,
            end_ms,
            source: self.source,
            destination: self.destination,
            protocol,
            source_port: self.get(Field::SourcePort).unwrap_or(0) as u16,
            destination_port: self.get(Field::DestinationPort).unwrap_or(0) as u16,
            tcp_flags: self.flags([Field::TcpFlags, Field::FlagsFirst, Field::FlagsRest]),
            direction: self.direction(),
            ..Flow::default()
        };
        let packets = [Field::Packets, Field::PacketsTotal, Field::PacketsInitiator, Field::PacketsOut];
        let bytes = [Field::Bytes, Field::BytesTotal, Field::BytesInitiator, Field::BytesOut];
        forward.packets = self.first_of(&packets).saturating_mul(sampling);
        forward.bytes = self.first_of(&bytes).saturating_mul(sampling);
        if icmp::is_icmp(protocol) {
            self.set_icmp(&mut forward);
        }
        self.set_action(&mut forward, sampling);
        let backward = self.backward(&mut forward, sampling);
        if backward.is_none() {
            forward.opener = self.opener(forward.protocol, forward.tcp_flags);
        }
        let interface = |field| u32::try_from(self.get(field).unwrap_or(0)).unwrap_or(0);
        let (input, output) = (interface(Field::Input), interface(Field::Output));
        let acl = self.get(Field::Acl).filter(|acl| *acl != 0).map(|acl| acl as u32);
        Made { forward, backward, input, output, acl }
    }

    /// The first of the fields that is there and not zero.
    fn first_of(&self, fields: &[Field]) -> u64 {
        fields.iter().find_map(|field| self.get(*field).filter(|number| *number > 0)).unwrap_or(0)
    }

    fn flags(&self, fields: [Field; 3]) -> u8 {
        // IPFIX has flags of 16 bits, of which the lower are TCP's own.
        fields.iter().fold(0, |flags, field| flags | self.get(*field).unwrap_or(0) as u8 & 0x3f)
    }

    fn direction(&self) -> Direction {
        match self.get(Field::Direction) {
            Some(0) => Direction::In,
            Some(1) => Direction::Out,
            _ => Direction::Unknown,
        }
    }

    fn set_icmp(&self, flow: &mut Flow) {
        flow.source_port = 0;
        if let Some(both) = self.get(Field::IcmpTypeCode) {
            flow.destination_port = both as u16;
        } else if let Some(kind) = self.get(Field::IcmpType) {
            let code = self.get(Field::IcmpCode).unwrap_or(0);
            flow.destination_port = (kind as u16 & 0xff) << 8 | code as u16 & 0xff;
        }
    }

    fn set_action(&self, flow: &mut Flow, sampling: u64) {
        let event = self.get(Field::FirewallEvent).and_then(Action::of_firewall);
        let forwarding = || Some(Action::of_forwarding(self.get(Field::ForwardingStatus)? as u8));
        flow.action = event.or_else(forwarding).unwrap_or_default();
        let dropped = self.get(Field::PacketsDropped).unwrap_or(0);
        if flow.packets == 0 && dropped > 0 {
            flow.packets = dropped.saturating_mul(sampling);
            flow.bytes = self.get(Field::BytesDropped).unwrap_or(0).saturating_mul(sampling);
            flow.action = Action::Reject;
        }
    }

    /// The other direction of a biflow (RFC 5103, or initiator and responder of a firewall).
    fn backward(&self, forward: &mut Flow, sampling: u64) -> Option<Flow> {
        let packets =
            self.first_of(&[Field::PacketsReverse, Field::PacketsTotalReverse, Field::PacketsResponder]);
        let bytes = self.first_of(&[Field::BytesReverse, Field::BytesTotalReverse, Field::BytesResponder]);
        if packets == 0 && bytes == 0 {
            return None;
        }
        // 1 initiator, 2 its peer; 0 and 3 say nothing of who began.
        let silent = forward.packets == 0 && forward.bytes == 0;
        forward.opener = match self.get(Field::BiflowDirection) {
            // Who sent nothing has hardly begun, whatever the exporter makes of its directions.
            None if silent => Opener::Unknown,
            None | Some(1) => Opener::Source,
            Some(2) => Opener::Destination,
            _ => Opener::Unknown,
        };
        let mut backward = Flow {
            packets: packets.saturating_mul(sampling),
            bytes: bytes.saturating_mul(sampling),
            tcp_flags: self.flags([
                Field::TcpFlagsReverse,
                Field::FlagsFirstReverse,
                Field::FlagsRestReverse,
            ]),
            ..forward.turned()
        };
        if let Some(start_ms) = self.get(Field::StartMsReverse) {
            backward.start_ms = start_ms.cast_signed();
        }
        if let Some(end_ms) = self.get(Field::EndMsReverse) {
            backward.end_ms = end_ms.cast_signed();
        }
        Some(backward)
    }

    fn opener(&self, number: u8, flags: u8) -> Opener {
        // A firewall writes its events as of who began.
        if self.get(Field::FirewallEvent).is_some() {
            return Opener::Source;
        }
        match self.get(Field::FlagsFirst).map(|first| TcpFlags(first as u8)) {
            // Only of the first packet does SYN with ACK tell an answer.
            Some(first) if number == protocol::TCP && first.is_syn_ack() => Opener::Destination,
            Some(first) => Opener::of_syn(number, first.0),
            None => Opener::of_syn(number, flags),
        }
    }

    fn times(&self, clock: &Clock) -> (i64, i64) {
        let init_ms = self.get(Field::InitMs).map(u64::cast_signed);
        let clock = Clock { init_ms: init_ms.or(clock.init_ms), ..*clock };
        let seen = self.time([Field::SeenMs, Field::SeenS, Field::SeenNtp]);
        let mut start = self.time([Field::StartMs, Field::StartS, Field::StartNtp]);
        let mut end = self.time([Field::EndMs, Field::EndS, Field::EndNtp]);
        let before = |field| {
            self.get(field)
                .map(|us| clock.export_ms.saturating_sub_unsigned(us.min(u64::from(u32::MAX)) / 1000))
        };
        start = start.or_else(|| before(Field::StartBeforeUs));
        end = end.or_else(|| before(Field::EndBeforeUs));
        let uptime = |field| self.get(field).map(|uptime_ms| uptime_ms as u32);
        let (first, last) = (uptime(Field::UptimeFirst), uptime(Field::UptimeLast));
        start = start.or_else(|| clock.time_ms(first?));
        end = end.or_else(|| clock.time_ms(last?));
        let duration =
            self.get(Field::DurationMs).or_else(|| self.get(Field::DurationUs).map(|us| us / 1000));
        // Without any clock two uptimes still tell how long it was.
        let duration = duration.or_else(|| Some(u64::from(last?.checked_sub(first?)?)));
        let duration = i64::try_from(duration.unwrap_or(0)).unwrap_or(0);
        let end =
            end.or(start.map(|start| start.saturating_add(duration))).or(seen).unwrap_or(clock.export_ms);
        (start.unwrap_or(end.saturating_sub(duration)), end)
    }

    /// Milliseconds, seconds, NTP: whichever is there.
    fn time(&self, [ms, s, ntp]: [Field; 3]) -> Option<i64> {
        let known = |field| self.get(field).filter(|time| *time != 0);
        let ms = known(ms).map(u64::cast_signed);
        let s = || known(s).map(|s| s.cast_signed().saturating_mul(1000));
        let ntp = || {
            known(ntp).map(|ntp| {
                let seconds = (ntp >> 32).cast_signed() - NTP_EPOCH_S;
                seconds * 1000 + (((ntp & u64::from(u32::MAX)) * 1000) >> 32).cast_signed()
            })
        };
        ms.or_else(s).or_else(ntp)
    }
}

/// The bits of a float64; an exporter may send it as a float32 (RFC 7011, section 6.2).
fn probability_bits(value: &[u8]) -> u64 {
    match value.first_chunk() {
        Some(octets) if value.len() == 4 => f64::from(f32::from_be_bytes(*octets)).to_bits(),
        _ => ipfix::number(value),
    }
}

/// An exporter that fills both families sends zeros in the one it does not mean.
fn set_address(address: &mut Address, value: &[u8]) {
    let read = match value.len() {
        4 => Address::v4(ipfix::number(value) as u32),
        16 => Address(value.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))),
        _ => return,
    };
    if address.is_unknown() || !matches!(read, Address(0)) && read != Address::v4(0) {
        *address = read;
    }
}
