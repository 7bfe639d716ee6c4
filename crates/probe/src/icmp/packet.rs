//! Probes to bytes, and heard bytes to the probe they answer. Pure.

use super::{Answer, Packet, Probe, Route};
use netwhy_wire::{
    Body, EchoBuild, IcmpKind, IpBuild, Tcp, TcpBuild, TcpFlags, TcpOption, UdpBuild, WireError, parse,
    protocol,
};
use std::net::IpAddr;

/// What tells one probe from another in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// Sequence of an echo request.
    Echo(u16),
    /// Our port and sequence number.
    Tcp(u16, u32),
    /// Our port alone: a datagram came back.
    Port(u16),
    /// Our port and the length of the whole packet.
    Udp(u16, usize),
}

/// What one heard packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An answer, with the key of its probe where it carries one.
    Answer(Answer, Option<Key>),
    /// A segment that answers no probe by itself.
    Segment { acknowledgment: u32, payload_bytes: usize, ends: bool },
}

/// One packet heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub from: IpAddr,
    pub ttl: u8,
    /// Source and destination port of TCP; 0 otherwise.
    pub ports: (u16, u16),
    /// Sequence and acknowledgment number of TCP; 0 otherwise.
    pub numbers: (u32, u32),
    pub mss: Option<u16>,
    pub what: What,
}

/// The key of a probe, known before it is sent.
pub fn key(probe: &Probe, bytes: usize) -> Key {
    match probe.packet {
        Packet::Echo { sequence } => Key::Echo(sequence),
        Packet::Syn { source_port, number, .. } => Key::Tcp(source_port, number),
        Packet::Again { flow, length } => {
            Key::Tcp(flow.source_port, flow.next.wrapping_sub(u32::from(length)))
        }
        Packet::Datagram { source_port, .. } => Key::Udp(source_port, bytes),
    }
}

/// Writes the whole IP packet of a probe.
pub fn build(probe: &Probe, route: &Route, ident: u16) -> Result<Vec<u8>, WireError> {
    let (source, destination) = (route.source, route.target.ip());
    let room = |header: u16| usize::from(probe.bytes.saturating_sub(route.header_bytes() + header));
    let (number, segment) = match probe.packet {
        Packet::Echo { sequence } => {
            let mut data = vec![0u8; room(8).max(2)];
            // The sum of sequence and this word is constant, so the checksum is: one flow for a hash over it.
            data[..2].copy_from_slice(&(!sequence).to_be_bytes());
            let number = if route.target.is_ipv6() { protocol::ICMPV6 } else { protocol::ICMP };
            (number, EchoBuild { ident, sequence, data: &data }.bytes(source, destination))
        }
        Packet::Syn { source_port, port, number } => {
            let mss = u16::try_from(route.path_mtu).unwrap_or(u16::MAX) - route.header_bytes() - 20;
            let options = [TcpOption::Mss(mss), TcpOption::SackPermitted, TcpOption::WindowScale(7)];
            let payload = vec![0u8; room(32)];
            let tcp = TcpBuild {
                source_port,
                destination_port: port,
                sequence: number,
                acknowledgment: 0,
                flags: TcpFlags::SYN,
                window: 64_240,
                options: &options,
                payload: &payload,
            };
            (protocol::TCP, tcp.bytes(source, destination))
        }
        Packet::Again { flow, length } => {
            let payload = vec![0u8; usize::from(length)];
            let tcp = TcpBuild {
                source_port: flow.source_port,
                destination_port: flow.port,
                sequence: flow.next.wrapping_sub(u32::from(length)),
                acknowledgment: flow.acknowledgment,
                flags: TcpFlags::ACK,
                window: 502,
                options: &[],
                payload: &payload,
            };
            (protocol::TCP, tcp.bytes(source, destination))
        }
        Packet::Datagram { source_port, port } => {
            let payload = vec![0u8; room(8)];
            let udp = UdpBuild { source_port, destination_port: port, payload: &payload };
            (protocol::UDP, udp.bytes(source, destination))
        }
    };
    let ip = IpBuild { source, destination, ttl: probe.ttl, ident: 0, dont_fragment: probe.whole };
    ip.wrap(number, &segment)
}

/// Cuts a whole packet into pieces of at most `limit` bytes with their headers (RFC 791 2.3, RFC 8200 4.5).
///
/// The kernel fills the IPv4 header checksum of raw packets.
pub fn pieces(packet: &[u8], limit: u16, ident: u16) -> Vec<Vec<u8>> {
    let ipv6 = packet.first().is_some_and(|first| first >> 4 == 6);
    let header_bytes = if ipv6 { 40 } else { 20 };
    let Some((header, payload)) = packet.split_at_checked(header_bytes) else { return vec![packet.to_vec()] };
    let extension = if ipv6 { 8 } else { 0 };
    let room = usize::from(limit).saturating_sub(header_bytes + extension).max(8) / 8 * 8;
    let last = payload.len().div_ceil(room).saturating_sub(1);
    let piece = |(number, part): (usize, &[u8])| {
        let (offset, more) = ((number * room) as u16, number < last);
        let mut bytes = header.to_vec();
        if ipv6 {
            bytes[4..6].copy_from_slice(&((part.len() + extension) as u16).to_be_bytes());
            bytes.extend([header[6], 0]);
            bytes[6] = 44;
            bytes.extend((offset | u16::from(more)).to_be_bytes());
            bytes.extend(u32::from(ident).to_be_bytes());
        } else {
            bytes[2..4].copy_from_slice(&((part.len() + header_bytes) as u16).to_be_bytes());
            bytes[4..6].copy_from_slice(&ident.max(1).to_be_bytes());
            let flag = if more { 0x2000 } else { 0 };
            bytes[6..8].copy_from_slice(&((offset / 8) | flag).to_be_bytes());
        }
        bytes.extend(part);
        bytes
    };
    payload.chunks(room).enumerate().map(piece).collect()
}

/// Reads a packet that came in while probing `target` with this echo identifier; `None` when it is not about us.
pub fn read(bytes: &[u8], target: IpAddr, ident: u16) -> Option<Heard> {
    let packet = parse(bytes).ok()?;
    let mut heard = Heard {
        from: packet.ip.source,
        ttl: packet.ip.ttl,
        ports: (0, 0),
        numbers: (0, 0),
        mss: None,
        what: What::Segment { acknowledgment: 0, payload_bytes: 0, ends: false },
    };
    match packet.body {
        Body::Tcp(tcp) if packet.ip.source == target => {
            heard.ports = (tcp.source_port, tcp.destination_port);
            heard.numbers = (tcp.sequence, tcp.acknowledgment);
            heard.mss = tcp.mss();
            heard.what = read_tcp(&tcp);
        }
        Body::Udp(udp) if packet.ip.source == target => {
            heard.what = What::Answer(Answer::Datagram, Some(Key::Port(udp.destination_port)));
        }
        Body::Icmp(icmp) => match icmp.message {
            IcmpKind::EchoReply { ident: theirs, sequence, .. }
                if theirs == ident && packet.ip.source == target =>
            {
                heard.what = What::Answer(Answer::Echo, Some(Key::Echo(sequence)));
            }
            IcmpKind::Error(error) => {
                let quoted = error.quoted.filter(|q| q.destination == target)?;
                let answer = Answer::from_error(error.class, error.mtu)?;
                heard.what = What::Answer(answer, quoted_key(&quoted, ident));
            }
            _ => return None,
        },
        _ => return None,
    }
    Some(heard)
}

fn quoted_key(quoted: &netwhy_wire::Quoted, ident: u16) -> Option<Key> {
    match quoted.protocol {
        protocol::TCP => Some(Key::Tcp(quoted.source_port?, quoted.sequence?)),
        protocol::UDP => Some(Key::Udp(quoted.source_port?, quoted.total_len)),
        protocol::ICMP | protocol::ICMPV6 if quoted.source_port == Some(ident) => {
            Some(Key::Echo(quoted.destination_port?))
        }
        _ => None,
    }
}

fn read_tcp(tcp: &Tcp<'_>) -> What {
    let ours = tcp.destination_port;
    let before = Some(Key::Tcp(ours, tcp.acknowledgment.wrapping_sub(1)));
    if tcp.flags.is_rst() {
        return What::Answer(Answer::Reset, before);
    }
    if tcp.flags.is_syn_ack() {
        return What::Answer(Answer::SynAck, before);
    }
    let again = duplicate_left(tcp).map(|left| Key::Tcp(ours, left));
    if again.is_some() && tcp.payload.is_empty() {
        return What::Answer(Answer::Ack, again);
    }
    What::Segment {
        acknowledgment: tcp.acknowledgment,
        payload_bytes: tcp.payload.len(),
        ends: tcp.flags.has(TcpFlags::FIN),
    }
}

/// The left edge of a duplicate-SACK block: which bytes arrived again (RFC 2883).
fn duplicate_left(tcp: &Tcp<'_>) -> Option<u32> {
    tcp.options.iter().find_map(|option| match option {
        TcpOption::Other(5, body) => body.first_chunk::<4>().map(|left| u32::from_be_bytes(*left)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Flow;
    use super::*;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    fn route(target: &str, source: &str) -> Route {
        let target: SocketAddr = target.parse().unwrap();
        Route { target, source: source.parse().unwrap(), device: None, device_mtu: 1500, path_mtu: 1500 }
    }

    /// An ICMP time-exceeded around the packet, as a router makes it.
    fn exceeded(original: &[u8]) -> Vec<u8> {
        let mut message = vec![11, 0, 0, 0, 0, 0, 0, 0];
        message.extend(&original[..28]);
        let ip = IpBuild {
            source: "10.9.9.9".parse().unwrap(),
            destination: "10.0.0.1".parse().unwrap(),
            ttl: 63,
            ident: 1,
            dont_fragment: false,
        };
        ip.wrap(protocol::ICMP, &message).unwrap()
    }

    #[test]
    fn every_probe_is_found_again_in_an_error() {
        let route = route("10.0.0.2:80", "10.0.0.1");
        let flow = Flow { source_port: 4000, port: 80, next: 10, acknowledgment: 7 };
        for packet in [
            Packet::Echo { sequence: 9 },
            Packet::Syn { source_port: 4000, port: 80, number: 77 },
            Packet::Again { flow, length: 30 },
            Packet::Datagram { source_port: 4000, port: 33_434 },
        ] {
            let probe = Probe { bytes: 90, ..Probe::new(packet) };
            let bytes = build(&probe, &route, 55).unwrap();
            let heard = read(&exceeded(&bytes), route.target.ip(), 55).unwrap();
            let expected = What::Answer(Answer::TimeExceeded, Some(key(&probe, bytes.len())));
            assert_eq!(heard.what, expected, "{packet:?}");
        }
    }

    #[test]
    fn echo_checksum_is_one_for_all_sequences() {
        let route = route("[2001:db8::2]:80", "2001:db8::1");
        let sums: Vec<Vec<u8>> = [1u16, 500, 65_535]
            .iter()
            .map(|s| build(&Probe::new(Packet::Echo { sequence: *s }), &route, 3).unwrap()[42..44].to_vec())
            .collect();
        assert!(sums.iter().all(|s| *s == sums[0]));
    }

    #[test]
    fn pieces_are_read_as_pieces() {
        for (target, source) in [("10.0.0.2:80", "10.0.0.1"), ("[2001:db8::2]:80", "2001:db8::1")] {
            let route = route(target, source);
            let probe = Probe { bytes: 1400, ..Probe::new(Packet::Echo { sequence: 9 }) };
            let whole = build(&probe, &route, 1).unwrap();
            let cut = pieces(&whole, 600, 77);
            assert_eq!(cut.len(), 3);
            let mut joined: Vec<u8> = Vec::new();
            for bytes in &cut {
                assert!(bytes.len() <= 600);
                let ip = netwhy_wire::parse_ip(bytes).unwrap();
                assert_eq!((ip.ident, ip.fragment_offset), (77, joined.len()));
                joined.extend(ip.payload);
            }
            assert_eq!(joined, &whole[usize::from(route.header_bytes())..]);
        }
    }

    #[test]
    fn sizes_are_whole_packets() {
        let route = route("10.0.0.2:80", "10.0.0.1");
        for packet in [
            Packet::Echo { sequence: 9 },
            Packet::Syn { source_port: 1, port: 80, number: 77 },
            Packet::Datagram { source_port: 1, port: 33_434 },
        ] {
            let probe = Probe { bytes: 1400, ..Probe::new(packet) };
            assert_eq!(build(&probe, &route, 1).unwrap().len(), 1400);
        }
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = read(&bytes, "10.0.0.2".parse().unwrap(), 1);
        }
    }
}
