//! sFlow version 5 (sflow.org, sflow_version_5.txt): flow samples; counter samples are passed over.

use crate::take::Take;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Samples of one datagram.
pub const SAMPLE_COUNT_MAX: u32 = 4096;
/// Records of one sample.
pub const RECORD_COUNT_MAX: u32 = 256;
pub const VERSION: u32 = 5;

const FLOW_SAMPLE: u32 = 1;
const FLOW_SAMPLE_EXPANDED: u32 = 3;
const DISCARDED_PACKET: u32 = 5;
const RAW_HEADER: u32 = 1;
const SAMPLED_IPV4: u32 = 3;
const SAMPLED_IPV6: u32 = 4;
/// The number within a word whose upper two bits are its format; all ones is the agent itself.
const INTERFACE_MASK: u32 = 0x3fff_ffff;

/// The head of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub agent: IpAddr,
    pub sub_agent: u32,
    /// Datagrams sent before this one, or its own number.
    pub sequence: u32,
    pub sample_count: u32,
}

impl Head {
    /// Reads the head; the samples follow in what is left.
    pub fn parse(take: &mut Take<'_>) -> Option<Head> {
        take.u32()?;
        let agent = match take.u32()? {
            1 => Ipv4Addr::from_bits(take.u32()?).into(),
            2 => Ipv6Addr::from_bits(take.u128()?).into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        let (sub_agent, sequence, _uptime_ms) = (take.u32()?, take.u32()?, take.u32()?);
        Some(Head { agent, sub_agent, sequence, sample_count: take.u32()? })
    }
}

/// One sample of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowSample<'a> {
    /// One packet in so many was taken.
    pub rate: u32,
    /// SNMP numbers of the interfaces; 0 where not known.
    pub input: u32,
    pub output: u32,
    /// The packet was thrown away.
    pub discarded: bool,
    record_count: u32,
    records: Take<'a>,
}

/// What one part of a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample<'a> {
    Flow(FlowSample<'a>),
    /// Counters of an interface, or a vendor's own.
    Other,
    /// Shorter than its fields.
    Short,
}

/// Takes the next sample; `None` when its stated length is not there.
pub fn sample<'a>(take: &mut Take<'a>) -> Option<Sample<'a>> {
    let kind = take.u32()?;
    let length = take.u32()?;
    let mut body = Take::new(take.bytes(usize::try_from(length).ok()?)?);
    let sample = match kind {
        FLOW_SAMPLE => sampled(&mut body, false),
        FLOW_SAMPLE_EXPANDED => sampled(&mut body, true),
        DISCARDED_PACKET => discarded(&mut body),
        _ => return Some(Sample::Other),
    };
    Some(sample.map_or(Sample::Short, Sample::Flow))
}

/// A sample of either form: the expanded one has a word each for format and number, the other a word for both.
fn sampled<'a>(take: &mut Take<'a>, expanded: bool) -> Option<FlowSample<'a>> {
    let end = |take: &mut Take<'a>| {
        let word = take.u32()?;
        Some(if expanded { (word, take.u32()?) } else { (word >> 30, word & INTERFACE_MASK) })
    };
    let (_sequence, _source) = (take.u32()?, end(take)?);
    let (rate, _pool, _drops) = (take.u32()?, take.u32()?, take.u32()?);
    let (input, output) = (end(take)?, end(take)?);
    Some(FlowSample {
        rate,
        input: interface(input),
        output: interface(output),
        discarded: output.0 == 1,
        record_count: take.u32()?,
        records: *take,
    })
}

/// A packet that was dropped, reported by itself and not sampled (sflow_drops.txt).
fn discarded<'a>(take: &mut Take<'a>) -> Option<FlowSample<'a>> {
    let (_sequence, _source, _drops) = (take.u32()?, take.u64()?, take.u32()?);
    let (input, output, _reason) = (take.u32()?, take.u32()?, take.u32()?);
    let record_count = take.u32()?;
    Some(FlowSample { rate: 1, input, output, discarded: true, record_count, records: *take })
}

/// Format 0 is an interface, 1 a reason to discard, 2 a number of interfaces; all ones is the agent itself.
fn interface((format, value): (u32, u32)) -> u32 {
    if format == 0 && value != INTERFACE_MASK { value } else { 0 }
}

/// What a record of a sample says of its packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    /// The first bytes of the frame, and its link type as in [`crate::link::carried`].
    Header { link_type: u32, bytes: &'a [u8] },
    /// The packet's fields.
    Ip { length: u32, protocol: u8, source: IpAddr, destination: IpAddr, ports: (u16, u16), tcp_flags: u8 },
    /// Something else: extended data, MAC addresses.
    Other,
}

impl<'a> FlowSample<'a> {
    /// The records of this sample; ends at the first that does not fit.
    pub fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let mut take = self.records;
        (0..self.record_count.min(RECORD_COUNT_MAX)).map_while(move |_| record(&mut take))
    }
}

fn record<'a>(take: &mut Take<'a>) -> Option<Record<'a>> {
    let kind = take.u32()?;
    let length = take.u32()?;
    let mut body = Take::new(take.bytes(usize::try_from(length).ok()?)?);
    let record = match kind {
        RAW_HEADER => header(&mut body),
        SAMPLED_IPV4 => ip(&mut body, |take| take.u32().map(|bits| Ipv4Addr::from_bits(bits).into())),
        SAMPLED_IPV6 => ip(&mut body, |take| take.u128().map(|bits| Ipv6Addr::from_bits(bits).into())),
        _ => None,
    };
    Some(record.unwrap_or(Record::Other))
}

fn header<'a>(take: &mut Take<'a>) -> Option<Record<'a>> {
    // Ethernet, PPP, IPv4, IPv6; the rest carries no IP that anyone still samples.
    let link_type = match take.u32()? {
        1 => 1,
        7 => 9,
        11 => 228,
        12 => 229,
        _ => return None,
    };
    let (_frame_bytes, _stripped) = (take.u32()?, take.u32()?);
    let kept = take.u32()? as usize;
    let bytes = take.rest.get(..kept.min(take.rest.len()))?;
    Some(Record::Header { link_type, bytes })
}

fn ip<'a>(take: &mut Take<'a>, address: impl Fn(&mut Take<'a>) -> Option<IpAddr>) -> Option<Record<'a>> {
    Some(Record::Ip {
        length: take.u32()?,
        protocol: u8::try_from(take.u32()?).ok()?,
        source: address(take)?,
        destination: address(take)?,
        ports: (take.u32()? as u16, take.u32()? as u16),
        tcp_flags: take.u32()? as u8,
    })
}
