//! One frame of the tap as the record keeps it.

use super::ring::Frame;
use netwhy_model::host::{PacketKind, PacketSeen};
use netwhy_wire::{Body, Icmp, IcmpKind, Ip, Tcp, TcpFlags};
use std::net::SocketAddr;

/// Reads a frame; `None` when it is nothing that a record holds.
///
/// Of an echo the identifier stands as the port of who asked, its number in `sequence`.
pub(super) fn read(frame: &Frame<'_>) -> Option<PacketSeen> {
    let packet = netwhy_wire::parse(frame.bytes).ok()?;
    let ip = &packet.ip;
    let seen = PacketSeen {
        at_ns: frame.at_ns,
        outgoing: frame.outgoing,
        other_station: frame.other_station,
        interface: frame.interface,
        kind: PacketKind::Udp,
        from: SocketAddr::new(ip.source, 0),
        to: SocketAddr::new(ip.destination, 0),
        sequence: 0,
        acknowledgment: 0,
        payload_len: 0,
        ttl: ip.ttl,
        icmp: None,
        mac: frame.mac,
    };
    match &packet.body {
        Body::Tcp(tcp) => Some(segment(seen, ip, tcp, frame.bytes.len())),
        Body::Udp(udp) => Some(PacketSeen {
            from: SocketAddr::new(ip.source, udp.source_port),
            to: SocketAddr::new(ip.destination, udp.destination_port),
            payload_len: udp.length.saturating_sub(8),
            ..seen
        }),
        Body::Icmp(message) => icmp(seen, ip, message),
        Body::Other => None,
    }
}

fn segment(seen: PacketSeen, ip: &Ip<'_>, tcp: &Tcp<'_>, captured: usize) -> PacketSeen {
    // What the snapshot cut off was payload too.
    let payload_len = tcp.payload.len() + ip.total_len.saturating_sub(captured);
    let kind = match tcp.flags {
        flags if flags.is_rst() => PacketKind::Rst,
        flags if flags.is_syn() => PacketKind::Syn,
        flags if flags.is_syn_ack() => PacketKind::SynAck,
        flags if flags.has(TcpFlags::FIN) => PacketKind::Fin,
        _ if payload_len > 0 => PacketKind::Data,
        _ => PacketKind::Ack,
    };
    PacketSeen {
        kind,
        from: SocketAddr::new(ip.source, tcp.source_port),
        to: SocketAddr::new(ip.destination, tcp.destination_port),
        sequence: tcp.sequence,
        acknowledgment: tcp.acknowledgment,
        payload_len: u16::try_from(payload_len).unwrap_or(u16::MAX),
        ..seen
    }
}

fn icmp(seen: PacketSeen, ip: &Ip<'_>, message: &Icmp<'_>) -> Option<PacketSeen> {
    match &message.message {
        IcmpKind::EchoRequest { ident, sequence, .. } => Some(PacketSeen {
            kind: PacketKind::EchoRequest,
            from: SocketAddr::new(ip.source, *ident),
            sequence: u32::from(*sequence),
            ..seen
        }),
        IcmpKind::EchoReply { ident, sequence, .. } => Some(PacketSeen {
            kind: PacketKind::EchoReply,
            to: SocketAddr::new(ip.destination, *ident),
            sequence: u32::from(*sequence),
            ..seen
        }),
        IcmpKind::Error(error) => {
            let quoted = error.quoted.as_ref()?;
            Some(PacketSeen {
                kind: PacketKind::IcmpError,
                from: SocketAddr::new(quoted.source, quoted.source_port.unwrap_or(0)),
                to: SocketAddr::new(quoted.destination, quoted.destination_port.unwrap_or(0)),
                sequence: quoted.sequence.unwrap_or(0),
                icmp: Some((ip.source, message.kind, message.code)),
                ..seen
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_wire::{IpBuild, TcpBuild};
    use proptest::prelude::*;

    fn frame(bytes: &[u8]) -> Frame<'_> {
        Frame { at_ns: 7, outgoing: true, other_station: false, interface: 2, mac: None, bytes }
    }

    fn data(payload: &[u8]) -> Vec<u8> {
        let (source, destination) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let segment = TcpBuild {
            source_port: 50_000,
            destination_port: 443,
            sequence: 11,
            acknowledgment: 12,
            flags: TcpFlags::ACK,
            window: 1024,
            options: &[],
            payload,
        };
        let ip = IpBuild { source, destination, ttl: 63, ident: 1, dont_fragment: true };
        ip.wrap(6, &segment.bytes(source, destination)).unwrap()
    }

    #[test]
    fn a_cut_segment_keeps_its_length() {
        let whole = data(&[9; 1000]);
        let seen = read(&frame(&whole[..160])).unwrap();
        assert_eq!((seen.kind, seen.payload_len, seen.sequence, seen.ttl), (PacketKind::Data, 1000, 11, 63));
        assert_eq!(read(&frame(&data(&[]))).unwrap().kind, PacketKind::Ack);
    }

    #[test]
    fn an_icmp_error_names_the_flow_it_quotes() {
        let mut message = vec![3, 13, 0, 0, 0, 0, 0, 0];
        message.extend(&data(&[])[..28]);
        let (from, to) = ("10.0.9.9".parse().unwrap(), "10.0.0.1".parse().unwrap());
        let ip = IpBuild { source: from, destination: to, ttl: 60, ident: 1, dont_fragment: true };
        let seen = read(&frame(&ip.wrap(1, &message).unwrap())).unwrap();
        assert_eq!((seen.kind, seen.icmp), (PacketKind::IcmpError, Some((from, 3, 13))));
        assert_eq!((seen.to.to_string(), seen.sequence), ("10.0.0.2:443".to_owned(), 11));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
            read(&frame(&bytes));
        }
    }
}
