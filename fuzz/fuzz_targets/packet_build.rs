//! Whatever is written to the wire is read back as it was, with right checksums.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_wire::{
    Body, EchoBuild, IcmpKind, IpBuild, TcpBuild, TcpFlags, TcpOption, UdpBuild, parse, protocol,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Fixed numbers first, then the payload.
const HEAD_BYTES: usize = 24;

fuzz_target!(|bytes: &[u8]| {
    let Some((head, payload)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return };
    let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let wide = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let ip = header(head[0] & 1 == 1, number(1), head[3], wide(4));
    let (source, destination) = (ip.source, ip.destination);
    match head[0] >> 1 & 3 {
        0 => {
            let options = [
                TcpOption::Mss(number(8)),
                TcpOption::SackPermitted,
                TcpOption::Timestamps { value: wide(10), echo: wide(14) },
                TcpOption::WindowScale(head[18]),
            ];
            let options = &options[..usize::from(head[19]) % 5];
            let segment = TcpBuild {
                source_port: number(20),
                destination_port: number(22),
                sequence: wide(10),
                acknowledgment: wide(14),
                flags: TcpFlags(head[18]),
                window: number(8),
                options,
                payload,
            };
            let Ok(whole) = ip.wrap(protocol::TCP, &segment.bytes(source, destination)) else { return };
            let packet = right(&whole);
            let Body::Tcp(read) = packet.body else { panic!("no TCP: {packet:?}") };
            assert_eq!((read.source_port, read.destination_port), (number(20), number(22)));
            assert_eq!((read.sequence, read.acknowledgment, read.flags.0), (wide(10), wide(14), head[18]));
            assert_eq!(read.payload, payload);
            // Padding is no option.
            assert_eq!(read.options, options);
        }
        1 => {
            let datagram = UdpBuild { source_port: number(20), destination_port: number(22), payload };
            let Ok(whole) = ip.wrap(protocol::UDP, &datagram.bytes(source, destination)) else { return };
            let packet = right(&whole);
            let Body::Udp(read) = packet.body else { panic!("no UDP: {packet:?}") };
            assert_eq!(
                (read.source_port, read.destination_port, read.payload),
                (number(20), number(22), payload)
            );
        }
        _ => {
            let echo = EchoBuild { ident: number(20), sequence: number(22), data: payload };
            let kind = if source.is_ipv6() { protocol::ICMPV6 } else { protocol::ICMP };
            let Ok(whole) = ip.wrap(kind, &echo.bytes(source, destination)) else { return };
            let packet = right(&whole);
            let Body::Icmp(read) = &packet.body else { panic!("no ICMP: {packet:?}") };
            let wanted = (number(20), number(22));
            assert!(
                matches!(read.message, IcmpKind::EchoRequest { ident, sequence, .. } if (ident, sequence) == wanted),
                "{packet:?}"
            );
        }
    }
});

fn header(v6: bool, ident: u16, ttl: u8, seed: u32) -> IpBuild {
    let (source, destination): (IpAddr, IpAddr) = if v6 {
        let low = Ipv6Addr::from((0xfd00_u128 << 112) | u128::from(seed));
        (low.into(), Ipv6Addr::LOCALHOST.into())
    } else {
        (Ipv4Addr::from(seed).into(), Ipv4Addr::LOCALHOST.into())
    };
    IpBuild { source, destination, ttl, ident, dont_fragment: seed & 1 == 1 }
}

fn right(bytes: &[u8]) -> netwhy_wire::Packet<'_> {
    let packet = parse(bytes).expect("what was written is a packet");
    assert!(packet.ip.checksum_ok && !packet.ip.truncated, "{packet:?}");
    assert_ne!(packet.transport_checksum_ok(), Some(false), "{packet:?}");
    packet
}
