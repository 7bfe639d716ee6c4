//! Exports: what an exporter writes is what the decoder reads, in any order, with every limit kept.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "support/exporter.rs"]
mod exporter;

use exporter::{BOOT_MS, Exporter, RECORD_COUNT_MAX, set, sets, template};
use netwhy_flows::export::{Arrival, Counts, Decoder};
use netwhy_flows::{Action, Address, Flow, Names, Opener, Symbol};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::sync::Arc;

const NOW_MS: i64 = BOOT_MS + 3_600_000;

fn arrival() -> Arrival {
    let exporter: SocketAddr = "192.0.2.1:2055".parse().unwrap();
    Arrival { exporter, at_ms: NOW_MS, file: Symbol::NONE, offset: 0 }
}

/// Decodes datagrams of one exporter; what names say is left out, so that flows compare.
fn decode(datagrams: &[Vec<u8>]) -> (Vec<Flow>, Counts) {
    let mut decoder = Decoder::new(Arc::default());
    let mut flows = Vec::new();
    for datagram in datagrams {
        let outcome = decoder.datagram(&arrival(), datagram, &mut |flow| {
            flows.push(Flow { interface: Symbol::NONE, opener: Opener::Unknown, ..*flow });
        });
        outcome.unwrap();
    }
    (flows, decoder.counts())
}

fn address() -> impl Strategy<Value = (Address, Address)> {
    prop_oneof![
        (1_u32.., 1_u32..).prop_map(|(from, to)| (Address::v4(from), Address::v4(to))),
        (1_u128 << 100.., 1_u128 << 100..).prop_map(|(from, to)| (Address(from), Address(to))),
    ]
}

fn flow() -> impl Strategy<Value = Flow> {
    let ports = (any::<u16>(), any::<u16>());
    let rest = (prop::sample::select(vec![6_u8, 17, 47]), 0_u8..64, 1_u64..1 << 30, 1_u64..1 << 30);
    (address(), ports, rest, 0_i64..3_600_000, 0_i64..60_000).prop_map(
        |((source, destination), (source_port, destination_port), rest, start, length)| Flow {
            source,
            destination,
            source_port,
            destination_port,
            protocol: rest.0,
            tcp_flags: rest.1,
            packets: rest.2,
            bytes: rest.3,
            start_ms: BOOT_MS + start,
            end_ms: BOOT_MS + start + length,
            ..Flow::default()
        },
    )
}

fn flows() -> impl Strategy<Value = Vec<Flow>> {
    prop::collection::vec(flow(), 1..RECORD_COUNT_MAX)
}

/// IPv4 first, as the sets are written.
fn by_family(flows: &[Flow]) -> Vec<Flow> {
    let v4 = |flow: &&Flow| flow.source.as_v4().is_some();
    flows.iter().filter(v4).chain(flows.iter().filter(|flow| !v4(flow))).copied().collect()
}

proptest! {
    #[test]
    fn v5_is_read_as_it_was_written(flows in flows()) {
        let flows: Vec<Flow> = flows.into_iter().filter(|flow| flow.source.as_v4().is_some()).collect();
        prop_assume!(!flows.is_empty());
        let (read, counts) = decode(&[Exporter::default().v5(&flows, NOW_MS)]);
        prop_assert_eq!(&read, &flows);
        prop_assert_eq!((counts.flows, counts.lost_records), (flows.len() as u64, 0));
    }

    #[test]
    fn v9_and_ipfix_are_read_as_they_were_written(flows in flows(), ipfix in any::<bool>(), late in any::<bool>()) {
        let mut exporter = Exporter::default();
        let (templates, data) = sets(&flows, ipfix);
        let mut write = |records, sets: &[Vec<u8>]| {
            if ipfix { exporter.ipfix(records, sets, NOW_MS) } else { exporter.v9(records, sets, NOW_MS) }
        };
        // Late: the data comes first and waits for its template.
        let datagrams = if late {
            vec![write(flows.len(), &data), write(0, &[templates])]
        } else {
            vec![write(0, &[templates]), write(flows.len(), &data), write(0, &[])]
        };
        let (read, counts) = decode(&datagrams);
        prop_assert_eq!(read, by_family(&flows));
        prop_assert_eq!((counts.sets_waiting, counts.sets_without_template, counts.lost_records), (0, 0, 0));
    }

    #[test]
    fn sflow_is_read_and_multiplied(flows in flows(), rate in 1_u32..5000, expanded in any::<bool>()) {
        let (read, _) = decode(&[Exporter::default().sflow(&flows, rate, expanded)]);
        let wanted: Vec<Flow> = flows.iter().map(|flow| Flow {
            start_ms: NOW_MS,
            end_ms: NOW_MS,
            packets: u64::from(rate),
            bytes: flow.bytes * u64::from(rate),
            ..*flow
        }).collect();
        prop_assert_eq!(read, wanted);
    }

    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..600), version in 0_u8..12, cut in 0_usize..600) {
        let mut decoder = Decoder::new(Arc::default());
        let mut bytes = bytes;
        let head = if version == 11 { vec![0, 0, 0, 5] } else { vec![0, version] };
        bytes.splice(..head.len().min(bytes.len()), head);
        let _ = decoder.datagram(&arrival(), &bytes, &mut |_| ());
        let _ = decoder.datagram(&arrival(), &bytes[..cut.min(bytes.len())], &mut |_| ());
    }

    #[test]
    fn a_damaged_datagram_ends(flows in flows(), at in 0_usize..2000, value in any::<u8>(), ipfix in any::<bool>()) {
        let mut exporter = Exporter::default();
        let (templates, mut data) = sets(&flows, ipfix);
        data.insert(0, templates);
        let mut bytes =
            if ipfix { exporter.ipfix(flows.len(), &data, NOW_MS) } else { exporter.v9(flows.len(), &data, NOW_MS) };
        let at = at % bytes.len();
        bytes[at] = value;
        let mut decoder = Decoder::new(Arc::default());
        let _ = decoder.datagram(&arrival(), &bytes, &mut |_| ());
    }
}

#[test]
fn missing_datagrams_are_counted_as_records() {
    let flow = Flow {
        source: Address::v4(1),
        destination: Address::v4(2),
        start_ms: BOOT_MS,
        end_ms: BOOT_MS,
        ..Flow::default()
    };
    let flows = vec![flow; 10];
    let mut exporter = Exporter::default();
    let written: Vec<Vec<u8>> = (0..5).map(|_| exporter.v5(&flows, NOW_MS)).collect();
    let (_, counts) = decode(&[written[0].clone(), written[3].clone(), written[4].clone()]);
    assert_eq!(counts.lost_records, 20);
    let (_, counts) =
        decode(&[written[0].clone(), written[2].clone(), written[1].clone(), written[3].clone()]);
    assert_eq!(counts.lost_records, 0, "one was only overtaken");

    let (templates, data) = sets(&flows, true);
    let mut exporter = Exporter::default();
    let mut written = vec![exporter.ipfix(0, &[templates], NOW_MS)];
    written.extend((0..5).map(|_| exporter.ipfix(10, &data, NOW_MS)));
    written.remove(3);
    assert_eq!(decode(&written).1.lost_records, 10);
}

#[test]
fn options_tell_the_sampling_and_the_names_of_interfaces() {
    let names = Arc::new(Names::default());
    let mut decoder = Decoder::new(names.clone());
    let mut exporter = Exporter { domain: 7, ..Exporter::default() };
    // An options template of IPFIX: number, fields, scopes.
    let mut options = [256_u16, 3, 1].map(u16::to_be_bytes).concat();
    options.extend(
        [(10_u16, 4_u16), (82, u16::MAX), (34, 4)]
            .iter()
            .flat_map(|(e, l)| [e.to_be_bytes(), l.to_be_bytes()].concat()),
    );
    let mut option = 3_u32.to_be_bytes().to_vec();
    option.push(6);
    option.extend(b"Gi0/\x1b3");
    option.extend(100_u32.to_be_bytes());
    let fields = [(8, 4), (12, 4), (10, 4), (2, 4), (1, 4), (61, 1)];
    let mut record = [1_u32, 2, 3, 5, 500].map(u32::to_be_bytes).concat();
    record.push(0);
    let sets = [set(3, &options), set(256, &option), set(2, &template(257, &fields)), set(257, &record)];
    let mut flows = Vec::new();
    let datagram = exporter.ipfix(2, &sets, NOW_MS);
    decoder.datagram(&arrival(), &datagram, &mut |flow| flows.push(*flow)).unwrap();
    assert_eq!((flows[0].packets, flows[0].bytes), (500, 50_000));
    assert_eq!(&*names.word(flows[0].interface), "192.0.2.1/Gi0/·3");
    assert_eq!(flows[0].direction, netwhy_flows::Direction::In);
}

#[test]
fn a_firewalls_event_gives_both_directions_and_what_it_did() {
    let fields = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (231, 4), (232, 4), (298, 4), (299, 4), (233, 1)];
    let mut record = [1_u32, 2].map(u32::to_be_bytes).concat();
    record.extend([4000_u16, 22].map(u16::to_be_bytes).concat());
    record.push(6);
    let denied = [&record[..], &[0; 16], &[3]].concat();
    record.extend([600_u32, 9000, 6, 9].map(u32::to_be_bytes).concat());
    record.push(2);
    let sets = [set(2, &template(300, &fields)), set(300, &[denied, record].concat())];
    let mut decoder = Decoder::new(Arc::default());
    let mut flows = Vec::new();
    decoder
        .datagram(&arrival(), &Exporter::default().ipfix(2, &sets, NOW_MS), &mut |flow| flows.push(*flow))
        .unwrap();
    assert_eq!((flows[0].action, flows[0].packets), (Action::Reject, 0));
    assert_eq!((flows[1].action, flows[1].packets, flows[1].opener), (Action::Accept, 6, Opener::Source));
    assert_eq!((flows[2].source, flows[2].source_port, flows[2].bytes), (Address::v4(2), 22, 9000));
    assert_eq!(flows[2].opener, Opener::Destination);
}

#[test]
fn an_uptime_that_wrapped_is_understood() {
    let mut exporter = Exporter::default();
    let start_ms = BOOT_MS + i64::from(u32::MAX) - 5000;
    let now_ms = BOOT_MS + i64::from(u32::MAX) + 5000;
    let flow = Flow {
        source: Address::v4(1),
        destination: Address::v4(2),
        start_ms,
        end_ms: now_ms - 1000,
        packets: 1,
        bytes: 1,
        ..Flow::default()
    };
    let (read, _) = decode(&[exporter.v5(&[flow], now_ms)]);
    assert_eq!(read, [flow]);
}

#[test]
fn a_flood_of_templates_sources_and_waiting_data_stays_bounded() {
    let mut decoder = Decoder::new(Arc::default());
    let fields: Vec<(u16, u16)> = (0..200).map(|_| (1, 4)).collect();
    for exporter in 0..12_000_u32 {
        let mut arrival = arrival();
        arrival.exporter = SocketAddr::new(std::net::Ipv4Addr::from_bits(exporter).into(), 1);
        let number = 256 + (exporter % 1000) as u16;
        let sets = [set(2, &template(number, &fields)), set(9999, &[1; 600])];
        let _ = decoder.datagram(&arrival, &Exporter::default().ipfix(1, &sets, NOW_MS), &mut |_| ());
    }
    let counts = decoder.counts();
    assert!(counts.refused > 3000, "{counts:?}");
    assert!(counts.sets_waiting * 600 <= 8 << 20, "{counts:?}");
    // Who was silent for long makes room.
    let late = Arrival { at_ms: NOW_MS + 3_600_000, ..arrival() };
    let mut seen = 0;
    let flow = Flow { source: Address::v4(1), destination: Address::v4(2), ..Flow::default() };
    decoder.datagram(&late, &Exporter::default().v5(&[flow], NOW_MS), &mut |_| seen += 1).unwrap();
    assert_eq!(seen, 1);
}
