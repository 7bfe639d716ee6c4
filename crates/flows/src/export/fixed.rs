//! NetFlow v5 and sFlow v5, which need no templates.

use super::draft::Clock;
use super::sets::emit;
use super::table::SourceKey;
use super::{Arrival, Decoder, ExportError};
use crate::capture::packet::{PacketFlow, packet_flow};
use crate::record::{Action, Flow, Opener};
use netwhy_wire::link::{Carried, carried};
use netwhy_wire::netflow::{V5_RECORD_COUNT_MAX, V5Head, V5Record};
use netwhy_wire::sflow::{self, FlowSample, Record, Sample};
use netwhy_wire::{Take, TcpFlags};
use std::net::{IpAddr, SocketAddr};

impl Decoder {
    pub(super) fn v5(
        &mut self,
        arrival: &Arrival,
        bytes: &[u8],
        each: &mut impl FnMut(&Flow),
    ) -> Result<(), ExportError> {
        let mut take = Take::new(bytes);
        let head = V5Head::parse(&mut take).ok_or(ExportError::Short("header"))?;
        let export_ms = i64::from(head.unix_s) * 1000 + i64::from(head.unix_ns / 1_000_000);
        let clock = Clock { export_ms, uptime_ms: Some(head.uptime_ms), init_ms: None };
        let key = SourceKey { exporter: arrival.exporter, version: 5, domain: u32::from(head.engine) };
        let source = self.sources.source(key, arrival, &mut self.shared)?;
        let lost = source.sequence.take(head.sequence, Some(u32::from(head.count)));
        self.shared.counts.lose(lost);
        let count = usize::from(head.count).min(V5_RECORD_COUNT_MAX);
        for _ in 0..count {
            let record = V5Record::parse(&mut take).ok_or(ExportError::Short("record"))?;
            let mut flow = v5_flow(&record, &clock, u64::from(head.sampling.max(1)));
            let seen = if record.input != 0 { record.input } else { record.output };
            flow.interface = source.interface(u32::from(seen), &mut self.shared);
            emit(arrival, &mut self.shared.counts, flow, each);
        }
        if usize::from(head.count) > V5_RECORD_COUNT_MAX { Err(ExportError::Short("record")) } else { Ok(()) }
    }

    pub(super) fn sflow(
        &mut self,
        arrival: &Arrival,
        bytes: &[u8],
        each: &mut impl FnMut(&Flow),
    ) -> Result<(), ExportError> {
        let mut take = Take::new(bytes);
        let head = sflow::Head::parse(&mut take).ok_or(ExportError::Short("header"))?;
        // An agent has one address, from whichever of its own it sends.
        let exporter = if head.agent.is_unspecified() { arrival.exporter.ip() } else { head.agent };
        let key = SourceKey { exporter: SocketAddr::new(exporter, 0), version: 6, domain: head.sub_agent };
        let source = self.sources.source(key, arrival, &mut self.shared)?;
        let mut flows = 0;
        let mut error = None;
        for _ in 0..head.sample_count.min(sflow::SAMPLE_COUNT_MAX) {
            match sflow::sample(&mut take) {
                Some(Sample::Flow(sample)) => {
                    flows += 1;
                    let Some((mut flow, way_in)) = sampled(&sample, arrival.at_ms) else {
                        self.shared.counts.records_without_addresses += 1;
                        continue;
                    };
                    let seen = if way_in { sample.input } else { sample.output };
                    flow.interface = source.interface(seen, &mut self.shared);
                    emit(arrival, &mut self.shared.counts, flow, each);
                }
                Some(Sample::Other) => {}
                Some(Sample::Short) => error = Some(ExportError::Short("sample")),
                None => {
                    error = Some(ExportError::Short("sample"));
                    break;
                }
            }
        }
        let lost = source.sequence.take(head.sequence, Some(1));
        self.shared.counts.lose(lost * flows);
        error.map_or(Ok(()), Err)
    }
}

fn v5_flow(record: &V5Record, clock: &Clock, sampling: u64) -> Flow {
    let time = |uptime_ms| clock.time_ms(uptime_ms).unwrap_or(clock.export_ms);
    Flow {
        start_ms: time(record.first_ms),
        end_ms: time(record.last_ms),
        source: IpAddr::from(record.source).into(),
        destination: IpAddr::from(record.destination).into(),
        bytes: u64::from(record.bytes).saturating_mul(sampling),
        packets: u64::from(record.packets).saturating_mul(sampling),
        source_port: record.source_port,
        destination_port: record.destination_port,
        protocol: record.protocol,
        tcp_flags: record.tcp_flags & 0x3f,
        opener: Opener::of_syn(record.protocol, record.tcp_flags),
        ..Flow::default()
    }
}

/// One sampled packet as a flow, and whether the input interface saw it.
fn sampled(sample: &FlowSample<'_>, at_ms: i64) -> Option<(Flow, bool)> {
    let packet = sample.records().find_map(|record| match record {
        Record::Header { link_type, bytes } => match carried(link_type, bytes).0 {
            Carried::Ip(ip) => packet_flow(ip),
            _ => None,
        },
        Record::Ip { length, protocol, source, destination, ports, tcp_flags } => Some(PacketFlow {
            source: source.into(),
            destination: destination.into(),
            protocol,
            ports,
            tcp_flags: TcpFlags(tcp_flags & 0x3f),
            bytes: u64::from(length),
            fragment: None,
        }),
        Record::Other => None,
    })?;
    let rate = u64::from(sample.rate.max(1));
    let flow = Flow {
        start_ms: at_ms,
        end_ms: at_ms,
        source: packet.source,
        destination: packet.destination,
        protocol: packet.protocol,
        source_port: packet.ports.0,
        destination_port: packet.ports.1,
        tcp_flags: packet.tcp_flags.0,
        packets: rate,
        bytes: packet.bytes.saturating_mul(rate),
        action: if sample.discarded { Action::Reject } else { Action::Unknown },
        opener: packet.opener(),
        ..Flow::default()
    };
    Some((flow, sample.input != 0))
}
