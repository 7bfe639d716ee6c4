//! What is written is read back, checksums hold, and no bytes make a parser panic.

#![allow(clippy::unwrap_used, clippy::panic)]

use netwhy_wire::{
    Arp, ArpOperation, Body, EchoBuild, ErrorClass, IcmpKind, IpBuild, NeighbourSolicitBuild, TcpBuild,
    TcpFlags, TcpOption, UdpBuild, WireError, internet_checksum, parse, protocol,
};
use proptest::prelude::*;
use std::net::IpAddr;

fn ip(source: &str, destination: &str) -> IpBuild {
    IpBuild {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        ttl: 64,
        ident: 7,
        dont_fragment: true,
    }
}

const PAIRS: [(&str, &str); 2] = [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")];

fn syn(header: &IpBuild) -> Vec<u8> {
    let options = [
        TcpOption::Mss(1460),
        TcpOption::SackPermitted,
        TcpOption::Timestamps { value: 99, echo: 0 },
        TcpOption::WindowScale(7),
    ];
    let segment = TcpBuild {
        source_port: 40_000,
        destination_port: 443,
        sequence: 0x0102_0304,
        acknowledgment: 0,
        flags: TcpFlags::SYN,
        window: 64_240,
        options: &options,
        payload: b"",
    };
    header.wrap(protocol::TCP, &segment.bytes(header.source, header.destination)).unwrap()
}

#[test]
fn a_syn_comes_back_whole() {
    for (from, to) in PAIRS {
        let bytes = syn(&ip(from, to));
        let packet = parse(&bytes).unwrap();
        assert!(packet.ip.checksum_ok);
        assert_eq!(packet.transport_checksum_ok(), Some(true));
        let Body::Tcp(segment) = packet.body else { panic!("no TCP") };
        assert!(segment.flags.is_syn());
        assert_eq!((segment.mss(), segment.timestamp()), (Some(1460), Some(99)));
        assert_eq!(segment.options.len(), 4);
    }
}

#[test]
fn one_flipped_bit_is_seen() {
    for (from, to) in PAIRS {
        let mut bytes = syn(&ip(from, to));
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert_eq!(parse(&bytes).unwrap().transport_checksum_ok(), Some(false));
    }
}

#[test]
fn an_error_names_the_flow_it_ended() {
    let inner = syn(&ip("10.0.0.1", "10.0.0.2"));
    let mut message = vec![3, 13, 0, 0, 0, 0, 0, 0];
    message.extend(&inner);
    let sum = internet_checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let bytes = ip("10.0.0.9", "10.0.0.1").wrap(protocol::ICMP, &message).unwrap();
    let packet = parse(&bytes).unwrap();
    assert_eq!(packet.transport_checksum_ok(), Some(true));
    let Body::Icmp(icmp) = packet.body else { panic!("no ICMP") };
    let error = icmp.error().unwrap();
    assert_eq!(error.class, ErrorClass::AdminProhibited);
    let quoted = error.quoted.as_ref().unwrap();
    assert_eq!((quoted.source_port, quoted.destination_port), (Some(40_000), Some(443)));
    assert_eq!((quoted.ident, quoted.ttl, quoted.timestamp), (7, 64, Some(99)));
}

#[test]
fn too_big_carries_the_mtu() {
    for (v6, kind, code) in [(false, 3, 4), (true, 2, 0)] {
        let (from, to) = PAIRS[usize::from(v6)];
        let mut message = vec![kind, code, 0, 0, 0, 0];
        message.extend(1400_u16.to_be_bytes());
        message.extend(syn(&ip(to, from)));
        let bytes = ip(from, to).wrap(if v6 { protocol::ICMPV6 } else { protocol::ICMP }, &message).unwrap();
        let packet = parse(&bytes).unwrap();
        let Body::Icmp(icmp) = packet.body else { panic!("no ICMP") };
        assert_eq!(icmp.error().unwrap().mtu, Some(1400));
        assert_eq!(icmp.error().unwrap().quoted.as_ref().unwrap().destination_port, Some(443));
    }
}

#[test]
fn echo_udp_and_solicitations_come_back() {
    for (from, to) in PAIRS {
        let header = ip(from, to);
        let icmp = if header.source.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
        let echo = EchoBuild { ident: 5, sequence: 6, data: b"abc" }.bytes(header.source, header.destination);
        let bytes = header.wrap(icmp, &echo).unwrap();
        let packet = parse(&bytes).unwrap();
        assert_eq!(packet.transport_checksum_ok(), Some(true));
        assert!(matches!(packet.body, Body::Icmp(i)
            if i.message == IcmpKind::EchoRequest { ident: 5, sequence: 6, data: b"abc" }));
        let datagram = UdpBuild { source_port: 1, destination_port: 53, payload: b"q" };
        let bytes = header.wrap(protocol::UDP, &datagram.bytes(header.source, header.destination)).unwrap();
        let packet = parse(&bytes).unwrap();
        assert_eq!(packet.transport_checksum_ok(), Some(true));
        assert!(matches!(packet.body, Body::Udp(u) if u.payload == b"q" && u.destination_port == 53));
    }
    let target = "fd00::12:3456".parse().unwrap();
    let group = NeighbourSolicitBuild::group(target);
    assert_eq!(group.to_string(), "ff02::1:ff12:3456");
    let header = IpBuild { destination: group.into(), ..ip("fd00::1", "fd00::2") };
    let message =
        NeighbourSolicitBuild { target, sender_mac: [2; 6] }.bytes(header.source, header.destination);
    let bytes = header.wrap(protocol::ICMPV6, &message).unwrap();
    assert!(matches!(parse(&bytes).unwrap().body, Body::Icmp(i)
        if i.message == IcmpKind::NeighbourSolicit { target }));
}

#[test]
fn extension_headers_are_crossed() {
    let header = ip("fd00::1", "fd00::2");
    let datagram = UdpBuild { source_port: 9, destination_port: 53, payload: b"x" };
    let mut payload = vec![protocol::UDP, 0, 1, 4, 0, 0, 0, 0];
    payload.extend(datagram.bytes(header.source, header.destination));
    let bytes = header.wrap(60, &payload).unwrap();
    assert!(matches!(parse(&bytes).unwrap().body, Body::Udp(u) if u.source_port == 9));
}

#[test]
fn mixed_families_are_refused() {
    assert_eq!(ip("10.0.0.1", "fd00::1").wrap(6, b""), Err(WireError::Families));
}

#[test]
fn arp_round_trip() {
    let arp = Arp {
        operation: ArpOperation::Reply,
        sender_mac: [1, 2, 3, 4, 5, 6],
        sender: "10.0.0.1".parse().unwrap(),
        target_mac: [6; 6],
        target: "10.0.0.2".parse().unwrap(),
    };
    assert_eq!(Arp::parse(&arp.bytes()), Ok(arp));
    assert!(Arp::parse(&[0; 27]).is_err());
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Arp::parse(&bytes);
        if let Ok(packet) = parse(&bytes) {
            let _ = packet.transport_checksum_ok();
        }
    }

    #[test]
    fn never_panics_on_damaged_packets(at in 0_usize..100, value in any::<u8>(), cut in 0_usize..120, v6 in any::<bool>()) {
        let (from, to) = PAIRS[usize::from(v6)];
        let header = ip(from, to);
        let mut message = vec![if v6 { 1 } else { 3 }, 1, 0, 0, 0, 0, 0, 0];
        message.extend(syn(&header));
        let mut bytes = header.wrap(if v6 { protocol::ICMPV6 } else { protocol::ICMP }, &message).unwrap();
        let place = at % bytes.len();
        bytes[place] = value;
        bytes.truncate(cut.max(1));
        if let Ok(packet) = parse(&bytes) {
            let _ = packet.transport_checksum_ok();
        }
    }

    #[test]
    fn any_udp_payload_round_trips(payload in proptest::collection::vec(any::<u8>(), 0..100), v6 in any::<bool>()) {
        let (from, to) = PAIRS[usize::from(v6)];
        let header = ip(from, to);
        let source: IpAddr = header.source;
        let segment = UdpBuild { source_port: 1, destination_port: 2, payload: &payload }.bytes(source, header.destination);
        let bytes = header.wrap(protocol::UDP, &segment).unwrap();
        let packet = parse(&bytes).unwrap();
        prop_assert_eq!(packet.transport_checksum_ok(), Some(true));
        prop_assert!(matches!(packet.body, Body::Udp(u) if u.payload == payload));
    }
}
