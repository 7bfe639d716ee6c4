//! Captures: every packet is in a flow or named; both directions, openers, timeouts, fragments.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "support/shared.rs"]
mod shared;

use netwhy_flows::capture::{self, Limits};
use netwhy_flows::dump::{self, DumpCount, Kind};
use netwhy_flows::{Action, Direction, Flow, Names, Opener};
use netwhy_wire::{IpBuild, TcpBuild, TcpFlags, UdpBuild, protocol};
use proptest::prelude::*;
use std::io::Read;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;

const CLIENT: &str = "10.0.0.1";
const SERVER: &str = "10.0.0.2";
const SECOND_NS: i64 = 1_000_000_000;

/// A pcap file of raw IP packets in nanoseconds.
fn pcap(packets: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_3c4d_u32.to_le_bytes());
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(65_535_u32.to_le_bytes());
    file.extend(101_u32.to_le_bytes());
    for (time_ns, bytes) in packets {
        let length = (bytes.len() as u32).to_le_bytes();
        file.extend(((time_ns / SECOND_NS) as u32).to_le_bytes());
        file.extend(((time_ns % SECOND_NS) as u32).to_le_bytes());
        file.extend([length, length].concat());
        file.extend(bytes);
    }
    file
}

fn ip(source: &str, destination: &str, protocol: u8, segment: &[u8]) -> Vec<u8> {
    let (source, destination): (IpAddr, IpAddr) = (source.parse().unwrap(), destination.parse().unwrap());
    IpBuild { source, destination, ttl: 64, ident: 7, dont_fragment: false }.wrap(protocol, segment).unwrap()
}

fn tcp(there: bool, flags: u8) -> Vec<u8> {
    let (from, to, ports) = if there { (CLIENT, SERVER, (4000, 22)) } else { (SERVER, CLIENT, (22, 4000)) };
    let segment = TcpBuild {
        source_port: ports.0,
        destination_port: ports.1,
        sequence: 1,
        acknowledgment: 0,
        flags: TcpFlags(flags),
        window: 1000,
        options: &[],
        payload: b"",
    };
    ip(from, to, protocol::TCP, &segment.bytes(from.parse().unwrap(), to.parse().unwrap()))
}

fn read(file: &[u8]) -> (Vec<Flow>, DumpCount) {
    read_from(file)
}

fn read_from(input: impl Read) -> (Vec<Flow>, DumpCount) {
    let mut flows = Vec::new();
    let count = capture::read(Limits::default(), &Names::default(), "x.pcap", input, &mut |batch| {
        flows.extend(batch)
    });
    (flows, count.unwrap())
}

#[test]
fn every_packet_of_the_shared_captures_is_in_a_flow_or_named() {
    let Some(data) = shared::flows_data() else { return };
    let mut packets = 0;
    for path in ["zeek", "suricata-verify"].iter().flat_map(|folder| shared::files(&data.join(folder))) {
        let name = path.display().to_string();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(
            dump::sniff(&bytes[..bytes.len().min(dump::HEAD_BYTES_MAX)]),
            Some(Kind::Capture),
            "{name}"
        );
        let (flows, count) = read(&bytes);
        assert_eq!(count.in_flows + count.passed_over + count.unread.unread, count.seen, "{name}: {count:?}");
        assert_eq!(flows.iter().map(|flow| flow.packets).sum::<u64>(), count.in_flows, "{name}");
        assert_eq!(count.unread.read, flows.len() as u64, "{name}");
        packets += count.seen;
        match Command::new("tcpdump").args(["--count", "-nn", "-r"]).arg(&path).output() {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let told = text.split_whitespace().next().and_then(|word| word.parse().ok());
                assert_eq!(told, Some(count.seen), "{name}: {text}");
            }
            _ => println!("SKIPPED: tcpdump cannot count {name}"),
        }
    }
    assert!(packets > 1000);
}

#[test]
fn a_conversation_is_two_flows_and_the_syn_tells_who_began() {
    let script = [(true, 0x02), (false, 0x12), (true, 0x10), (true, 0x18), (false, 0x11), (true, 0x11)];
    let packets: Vec<(i64, Vec<u8>)> =
        script.iter().zip(1..).map(|((there, flags), at)| (at * SECOND_NS, tcp(*there, *flags))).collect();
    let (flows, count) = read(&pcap(&packets));
    assert_eq!((flows.len(), count.in_flows), (2, 6));
    let (there, back) = (flows[0], flows[1]);
    assert_eq!((there.source_port, there.destination_port, there.packets, there.bytes), (4000, 22, 4, 160));
    assert_eq!((there.opener, back.opener), (Opener::Source, Opener::Destination));
    assert_eq!((there.tcp_flags, back.tcp_flags), (0x1b, 0x13));
    assert_eq!((there.start_ms, there.end_ms), (1000, 6000));
    assert_eq!((there.action, there.direction), (Action::Unknown, Direction::Unknown));
}

#[test]
fn an_answer_alone_tells_that_the_other_side_began() {
    let (flows, _) = read(&pcap(&[(0, tcp(false, 0x12))]));
    assert_eq!((flows[0].source_port, flows[0].opener), (22, Opener::Destination));
}

#[test]
fn long_flows_are_written_each_minute_and_ports_used_again_are_another_flow() {
    let mut packets: Vec<(i64, Vec<u8>)> = vec![(0, tcp(true, 0x02))];
    packets.extend((1..20).map(|at| (at * 10 * SECOND_NS, tcp(true, 0x10))));
    let (flows, _) = read(&pcap(&packets));
    assert_eq!(flows.iter().map(|flow| flow.packets).collect::<Vec<_>>(), [6, 6, 6, 2]);
    assert!(flows.iter().all(|flow| flow.opener == Opener::Source));

    let again = [(0, tcp(true, 0x02)), (1, tcp(false, 0x14)), (2, tcp(true, 0x02))];
    assert_eq!(read(&pcap(&again)).0.len(), 3);
}

#[test]
fn the_table_is_bounded_and_loses_nothing() {
    let packets: Vec<(i64, Vec<u8>)> = (0..5000_u16)
        .map(|port| {
            let datagram = UdpBuild { source_port: port, destination_port: 53, payload: b"x" };
            let segment = datagram.bytes(CLIENT.parse().unwrap(), SERVER.parse().unwrap());
            (i64::from(port), ip(CLIENT, SERVER, protocol::UDP, &segment))
        })
        .collect();
    let limits = Limits { conversation_count_max: 100, ..Limits::default() };
    let mut count = 0;
    let file = pcap(&packets);
    capture::read(limits, &Names::default(), "x", &file[..], &mut |batch| count += batch.len()).unwrap();
    assert_eq!(count, 5000);
}

#[test]
fn a_later_fragment_has_the_ports_of_the_first() {
    let datagram = UdpBuild { source_port: 5000, destination_port: 53, payload: &[0; 24] };
    let segment = datagram.bytes(CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    let mut first = ip(CLIENT, SERVER, protocol::UDP, &segment[..16]);
    let mut second = ip(CLIENT, SERVER, protocol::UDP, &segment[16..]);
    first[6] = 0x20;
    second[7] = 2;
    let (flows, _) = read(&pcap(&[(0, first), (1, second)]));
    assert_eq!(flows.len(), 1);
    assert_eq!((flows[0].packets, flows[0].destination_port), (2, 53));
}

#[test]
fn an_echo_and_its_reply_are_one_conversation() {
    let there = ip(CLIENT, SERVER, protocol::ICMP, &[8, 0, 0, 0, 0, 1, 0, 1]);
    let back = ip(SERVER, CLIENT, protocol::ICMP, &[0, 0, 0, 0, 0, 1, 0, 1]);
    let (flows, _) = read(&pcap(&[(0, there), (1, back)]));
    let seen: Vec<_> = flows.iter().map(|flow| (flow.destination_port, flow.opener)).collect();
    assert_eq!(seen, [(0x0800, Opener::Source), (0, Opener::Destination)]);
}

#[test]
fn a_torn_capture_says_where_and_goes_on_behind() {
    let packets: Vec<(i64, Vec<u8>)> = (0..20).map(|at| (at * SECOND_NS, tcp(true, 0x10))).collect();
    let mut file = pcap(&packets);
    let tear = 24 + 5 * 56;
    file.drain(tear..tear + 20);
    let (flows, count) = read(&file);
    assert!(count.unread.unread >= 1, "{count:?}");
    assert!(flows.iter().map(|flow| flow.packets).sum::<u64>() >= 17, "{count:?}");
    file.truncate(file.len() - 3);
    let (_, count) = read(&file);
    assert!(count.unread.places.values().flatten().any(|place| place.why.en.contains("ends within")));
}

/// Gives bytes in small pieces.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = self.1.min(into.len()).min(self.0.len());
        into[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

/// A pcapng block.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (12 + body.len().next_multiple_of(4) as u32).to_be_bytes();
    let mut bytes = [kind.to_be_bytes(), length].concat();
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(length);
    bytes
}

#[test]
fn pcapng_has_sections_names_clocks_and_ways() {
    let packet = tcp(true, 0x02);
    let mut file =
        block(0x0a0d_0d0a, &[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    let mut interface = vec![0, 101, 0, 0, 0, 0, 0, 0];
    interface.extend([0, 2, 0, 4, b'e', b't', b'h', b'0', 0, 9, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(block(1, &interface));
    let time_ns = 1_700_000_000_123_000_000_u64;
    let mut body = [0, (time_ns >> 32) as u32, time_ns as u32, 40, 40].map(u32::to_be_bytes).concat();
    body.extend(&packet);
    body.extend([0, 2, 0, 4, 0, 0, 0, 2, 0, 0, 0, 0]);
    file.extend(block(6, &body));
    file.extend(block(0x0bad, &[1, 2, 3, 4]));
    file.extend(block(3, &[&40_u32.to_be_bytes()[..], &packet].concat()));
    let names = Arc::new(Names::default());
    let mut flows: Vec<Flow> = Vec::new();
    let count = dump::read(Kind::Capture, &names, "x", &file[..], &mut |batch| flows.extend(batch)).unwrap();
    assert_eq!((count.seen, count.in_flows, count.unread.unread), (2, 2, 0), "{count:?}");
    let first = flows.iter().find(|flow| flow.start_ms > 0).unwrap();
    assert_eq!((first.start_ms, first.direction), (1_700_000_000_123, Direction::Out));
    assert_eq!(&*names.word(first.interface), "eth0");
}

proptest! {
    #[test]
    fn any_bytes_end_and_pieces_do_not_matter(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        head in prop::sample::select(vec![
            vec![0xa1, 0xb2, 0xc3, 0xd4],
            vec![0x4d, 0x3c, 0xb2, 0xa1],
            vec![0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d],
        ]),
        piece in 1_usize..50,
    ) {
        let bytes = [head, bytes].concat();
        let all = |input: &mut dyn Read| {
            let mut flows: Vec<Flow> = Vec::new();
            let count = capture::read(Limits::default(), &Names::default(), "x", input, &mut |batch| flows.extend(batch));
            (flows, count.ok())
        };
        prop_assert_eq!(all(&mut &bytes[..]), all(&mut Pieces(&bytes, piece)));
    }

    #[test]
    fn a_damaged_capture_loses_no_count(at in 0_usize..1000, value in any::<u8>(), piece in 1_usize..100) {
        let packets: Vec<(i64, Vec<u8>)> = (0..15).map(|at| (at * SECOND_NS, tcp(at % 2 == 0, 0x10))).collect();
        let mut file = pcap(&packets);
        let at = at % (file.len() - 24);
        file[24 + at] = value;
        // A length that lies may cover further packets, which nobody can count.
        let lies = (8..12).contains(&(at % (16 + packets[0].1.len())));
        let (flows, count) = read_from(Pieces(&file, piece));
        prop_assert_eq!(flows.iter().map(|flow| flow.packets).sum::<u64>(), count.in_flows);
        let told = count.in_flows + count.passed_over + count.unread.unread;
        prop_assert!(told >= 14 || (lies && count.unread.unread > 0), "{:?}", count);
    }
}
