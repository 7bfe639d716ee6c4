//! Files of exports and of nfdump.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "support/exporter.rs"]
mod exporter;
#[path = "support/shared.rs"]
mod shared;

use exporter::{BOOT_MS, Exporter, sets};
use netwhy_flows::dump::{self, DumpCount, Kind};
use netwhy_flows::{Address, Flow, Names, Opener};
use netwhy_wire::{IpBuild, UdpBuild, protocol};
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::Arc;

const NOW_MS: i64 = BOOT_MS + 3_600_000;

fn read(kind: Kind, file: &[u8]) -> (Vec<Flow>, DumpCount) {
    let mut flows = Vec::new();
    let count = dump::read(kind, &Arc::default(), "x", file, &mut |batch| flows.extend(batch)).unwrap();
    (flows, count)
}

fn flows() -> Vec<Flow> {
    let flow = |at: u32| Flow {
        source: Address::v4(at),
        destination: Address::v4(99),
        start_ms: BOOT_MS + 1000,
        end_ms: BOOT_MS + 2000,
        packets: u64::from(at),
        bytes: 40,
        protocol: 17,
        ..Flow::default()
    };
    (1..20).map(flow).collect()
}

/// Datagrams of all four kinds.
fn datagrams() -> Vec<Vec<u8>> {
    let mut exporter = Exporter::default();
    let flows = flows();
    let (templates_v9, data_v9) = sets(&flows, false);
    let (templates, data) = sets(&flows, true);
    vec![
        exporter.v5(&flows, NOW_MS),
        exporter.v9(2, &[templates_v9], NOW_MS),
        exporter.v9(19, &data_v9, NOW_MS),
        exporter.ipfix(0, &[templates], NOW_MS),
        exporter.ipfix(19, &data, NOW_MS),
        exporter.sflow(&flows, 10, true),
    ]
}

#[test]
fn datagrams_one_behind_another_are_told_apart() {
    let file = datagrams().concat();
    assert_eq!(dump::sniff(&file), Some(Kind::Export));
    let (flows, count) = read(Kind::Export, &file);
    assert_eq!((flows.len(), count.in_flows, count.unread.unread), (4 * 19, 6, 0), "{count:?}");
    // What is torn is passed over up to the next datagram.
    let torn = [&datagrams()[0], &[9; 50][..], &datagrams().concat()].concat();
    let (flows, count) = read(Kind::Export, &torn);
    assert_eq!((flows.len(), count.unread.unread), (5 * 19, 1), "{count:?}");
}

#[test]
fn a_capture_of_exports_is_decoded_and_not_taken_for_traffic() {
    let (from, to): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let mut file =
        vec![0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 101];
    for datagram in datagrams() {
        let segment =
            UdpBuild { source_port: 5000, destination_port: 2055, payload: &datagram }.bytes(from, to);
        let head = IpBuild { source: from, destination: to, ttl: 9, ident: 1, dont_fragment: true };
        let packet = head.wrap(protocol::UDP, &segment).unwrap();
        let length = packet.len() as u32;
        file.extend([1_700_003_600, 0, length, length].map(u32::to_be_bytes).concat());
        file.extend(packet);
    }
    assert_eq!(dump::sniff(&file), Some(Kind::CapturedExport));
    let (flows, count) = read(Kind::CapturedExport, &file);
    assert_eq!((flows.len(), count.seen, count.in_flows), (4 * 19, 6, 6), "{count:?}");
}

#[test]
fn the_raw_text_of_nfdump_is_read() {
    let Some(data) = shared::flows_data() else { return };
    for path in shared::files(&data.join("nfdump")) {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(dump::sniff(text.as_bytes()), Some(Kind::NfdumpText), "{path:?}");
        let (flows, count) = read(Kind::NfdumpText, text.as_bytes());
        // Records without times are heads alone.
        let wanted = text.lines().filter(|line| line.trim_start().starts_with("first ")).count();
        assert_eq!((flows.len(), count.unread.unread), (wanted, 0), "{path:?} {count:?}");
        let sum = |name: &str| -> u64 {
            let values = text.lines().filter_map(|line| line.trim().strip_prefix(name)?.split('=').nth(1));
            values.map(|value| value.trim().parse::<u64>().unwrap()).sum()
        };
        assert_eq!(flows.iter().map(|flow| flow.bytes).sum::<u64>(), sum("in bytes"), "{path:?}");
        assert_eq!(flows.iter().map(|flow| flow.packets).sum::<u64>(), sum("in packets"), "{path:?}");
        let first = flows.iter().find(|flow| !flow.source.is_unknown()).unwrap();
        assert_eq!((first.source.to_string(), first.destination_port), ("172.16.1.66".into(), 433));
        assert_eq!((first.tcp_flags, first.opener, first.end_ms), (2, Opener::Source, 1_562_833_802_234));
    }
}

const LONG: &str = "\
Date first seen             Duration     Proto      Src IP Addr:Port          Dst IP Addr:Port     Flags Tos  Packets    Bytes Flows
2020-12-08 19:10:03.986     00:00:01.500 TCP       172.16.133.2:4000  ->    172.217.11.78:443  ......S.   0    1.2 M       84     1
2020-12-08 19:10:04.012     00:00:00.000 ICMP     172.217.11.78:0     ->     172.16.133.2:3.1   ........   0        1       84     1
2020-12-08 19:10:04.012     00:00:00.000 UDP       fe80::1.53         ->      fe80::2.5000      ........   0        1       84     1
2020-12-08 19:10:04.012     00:00:00.000 ICMP6 fe80::2..05:80da.0     -> fe80::2..07:69ea.135.0 ........   0        1       72     1
Summary: total flows: 10, total bytes: 840, total packets: 10, avg bps: 1666, avg pps: 2, avg bpp: 84
Time window: 2020-12-08 19:10:03 - 2020-12-08 19:10:08
";

const CSV: &str = "\
ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out
2020-12-08 19:10:03,2020-12-08 19:10:05,1.500,172.16.133.2,172.217.11.78,4000,443,TCP,......S.,0,0,3,84,0,0,7,0
2020-12-08 19:10:03,2020-12-08 19:10:05,1.500,nonsense,172.217.11.78,4000,443,TCP,......S.,0,0,3,84,0,0,7,0
Summary
flows,bytes,packets,avg_bps,avg_pps,avg_bpp
10,840,10,1666,2,84
";

#[test]
fn the_lines_of_nfdump_are_read() {
    assert_eq!(dump::sniff(LONG.as_bytes()), Some(Kind::NfdumpText));
    let (flows, count) = read(Kind::NfdumpText, LONG.as_bytes());
    assert_eq!((flows.len(), count.unread.unread), (3, 1), "{count:?}");
    let first = flows[0];
    assert_eq!((first.start_ms, first.end_ms - first.start_ms), (1_607_454_603_986, 1500));
    assert_eq!(
        (first.packets, first.bytes, first.destination_port, first.tcp_flags),
        (1_200_000, 84, 443, 2)
    );
    assert_eq!(flows[1].destination_port, 0x0301);
    assert_eq!((flows[2].source_port, flows[2].destination.to_string()), (53, "fe80::2".into()));
}

#[test]
fn csv_and_pipe_of_nfdump_are_read() {
    let (flows, count) = read(Kind::NfdumpText, CSV.as_bytes());
    assert_eq!((flows.len(), count.unread.unread), (1, 1), "{count:?}");
    assert_eq!((flows[0].packets, flows[0].bytes, flows[0].protocol), (3, 84, 6));
    let pipe = "2|1607454603986|1607454603987|6|0|0|0|2886763778|4000|0|0|0|2899905358|22|0|0|0|0|2|0|1|84\n\
        10|921159907494|921159907494|58|4269801472|0|33588991|4261773530|0|4269801472|0|39884799|4261898730|34560|0|0|0|0|0|0|1|72\n";
    assert_eq!(dump::sniff(pipe.as_bytes()), Some(Kind::NfdumpText));
    let (flows, _) = read(Kind::NfdumpText, pipe.as_bytes());
    assert_eq!((flows[0].source.to_string(), flows[0].destination_port), ("172.16.133.2".into(), 22));
    assert_eq!(flows[1].source.to_string(), "fe80::200:86ff:fe05:80da");
}

/// A file of nfcapd with one record of each layout.
fn nfcapd(layout: u16) -> Vec<u8> {
    let (head, kind, record) = if layout == 2 {
        let mut generic = [1_607_454_603_986_u64, 1_607_454_604_000, 0, 3, 84].map(u64::to_le_bytes).concat();
        generic.extend([4000_u16, 443].map(u16::to_le_bytes).concat());
        generic.extend([6, 2, 0, 0]);
        let record = [
            &[11, 0, 76, 0, 2, 0, 1, 1, 0, 0, 0, 9, 1, 0, 52, 0][..],
            &generic,
            &[2, 0, 12, 0, 2, 133, 16, 172, 78, 11, 217, 172],
        ]
        .concat();
        (40, 3_u16, record)
    } else {
        let mut record = vec![10, 0, 48, 0, 0, 0, 1, 0];
        record.extend([986_u16, 0].map(u16::to_le_bytes).concat());
        record.extend([1_607_454_603_u32, 1_607_454_604].map(u32::to_le_bytes).concat());
        record.extend([0, 2, 6, 0]);
        record.extend([4000_u16, 443, 0, 0].map(u16::to_le_bytes).concat());
        record.extend([0xac10_8502_u32, 0xacd9_0b4e, 3, 84].map(u32::to_le_bytes).concat());
        (276, 2_u16, record)
    };
    let mut file = vec![0x0c, 0xa5, layout as u8, 0];
    file.resize(head, 0);
    file.extend([1, record.len() as u32].map(u32::to_le_bytes).concat());
    file.extend([kind, 0].map(u16::to_le_bytes).concat());
    file.extend(record);
    file
}

#[test]
fn files_of_nfcapd_are_read_and_compressed_ones_say_so() {
    for layout in [1, 2] {
        let mut file = nfcapd(layout);
        assert_eq!(dump::sniff(&file), Some(Kind::Nfcapd));
        let (flows, count) = read(Kind::Nfcapd, &file);
        assert_eq!((flows.len(), count.unread.unread), (1, 0), "{count:?}");
        assert_eq!((flows[0].start_ms, flows[0].end_ms), (1_607_454_603_986, 1_607_454_604_000), "{layout}");
        assert_eq!(
            (flows[0].source.to_string(), flows[0].destination.to_string()),
            ("172.16.133.2".into(), "172.217.11.78".into())
        );
        assert_eq!((flows[0].packets, flows[0].bytes, flows[0].opener), (3, 84, Opener::Source));
        file[if layout == 1 { 4 } else { 16 }] = if layout == 1 { 8 } else { 2 };
        let error =
            dump::read(Kind::Nfcapd, &Arc::new(Names::default()), "x", &file[..], &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("bzip2"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0_usize..400, value in any::<u8>()) {
        let _ = dump::sniff(&bytes);
        for kind in [Kind::Export, Kind::NfdumpText] {
            read(kind, &bytes);
        }
        for layout in [1, 2] {
            let mut file = nfcapd(layout);
            let at = at % file.len();
            file[at] = value;
            let _ = dump::read(Kind::Nfcapd, &Arc::default(), "x", &file[..], &mut |_| ());
        }
        let mut text = [LONG, CSV].concat().into_bytes();
        let at = at % text.len();
        text[at] = value;
        read(Kind::NfdumpText, &text);
    }
}
