//! What a packet from the wire says, before anyone believes it. Pure.

use netwhy_wire::{Body, ErrorClass, IcmpKind, TcpFlags};
use std::net::IpAddr;

/// A TCP segment towards one of our ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub from: IpAddr,
    pub port: u16,
    /// Our port it is for.
    pub source_port: u16,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: TcpFlags,
    /// Unscaled.
    pub window: u16,
    pub ttl: u8,
}

/// An ICMP error about one of our questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub from: IpAddr,
    pub kind: u8,
    pub code: u8,
    pub ttl: u8,
    /// From the quote: whom we asked, from which port, and with which sequence number.
    pub host: IpAddr,
    pub port: u16,
    pub source_port: u16,
    pub sequence: u32,
}

/// Something that may answer a question of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Segment(Segment),
    Refusal(Refusal),
    Echo { from: IpAddr, ident: u16, sequence: u16 },
}

/// Reads a packet from its IP header on; `None` when it answers nothing.
pub fn read(packet: &[u8]) -> Option<Answer> {
    let packet = netwhy_wire::parse(packet).ok()?;
    let (from, ttl) = (packet.ip.source, packet.ip.ttl);
    match packet.body {
        Body::Tcp(tcp) => Some(Answer::Segment(Segment {
            from,
            port: tcp.source_port,
            source_port: tcp.destination_port,
            sequence: tcp.sequence,
            acknowledgment: tcp.acknowledgment,
            flags: tcp.flags,
            window: tcp.window,
            ttl,
        })),
        Body::Icmp(icmp) => match icmp.message {
            IcmpKind::EchoReply { ident, sequence, .. } => Some(Answer::Echo { from, ident, sequence }),
            // Too big and the like ask for another packet, and say nothing of the port.
            IcmpKind::Error(error)
                if !matches!(error.class, ErrorClass::TooBig | ErrorClass::ParameterProblem) =>
            {
                const TCP: u8 = 6;
                let quoted = error.quoted.filter(|quoted| quoted.protocol == TCP)?;
                Some(Answer::Refusal(Refusal {
                    from,
                    kind: icmp.kind,
                    code: icmp.code,
                    ttl,
                    host: quoted.destination,
                    port: quoted.destination_port?,
                    source_port: quoted.source_port?,
                    sequence: quoted.sequence?,
                }))
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::frame::{Act, FRAME_BYTES_MAX, Segment as Question, Template};
    use proptest::prelude::*;

    fn question() -> Vec<u8> {
        let mut slot = [0; FRAME_BYTES_MAX];
        let question = Question {
            to: "10.0.0.9".parse().unwrap(),
            source_port: 40_003,
            port: 22,
            sequence: 77,
            act: Act::Syn,
        };
        let length = Template::new("10.0.0.1".parse().unwrap(), None).segment(&mut slot, [0; 6], &question);
        slot[..length].to_vec()
    }

    #[test]
    fn an_error_tells_what_it_is_about() {
        let quote = question();
        let mut body = vec![3, 13, 0, 0, 0, 0, 0, 0];
        body.extend(&quote[..28]);
        let header = netwhy_wire::IpBuild {
            source: "10.0.0.254".parse().unwrap(),
            destination: "10.0.0.1".parse().unwrap(),
            ttl: 60,
            ident: 0,
            dont_fragment: false,
        };
        let packet = header.wrap(1, &body).unwrap();
        let Some(Answer::Refusal(refusal)) = read(&packet) else { panic!() };
        assert_eq!((refusal.kind, refusal.code, refusal.ttl), (3, 13, 60));
        assert_eq!((refusal.port, refusal.source_port, refusal.sequence), (22, 40_003, 77));
        assert_eq!(refusal.host, "10.0.0.9".parse::<IpAddr>().unwrap());
        // One byte less of the quote, and its sequence number is gone.
        assert_eq!(read(&packet[..packet.len() - 1]), None);
    }

    #[test]
    fn answers_of_one_byte_say_nothing() {
        for byte in 0..=255 {
            assert_eq!(read(&[byte]), None);
        }
        assert_eq!(read(&[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn any_cut_or_changed_segment_ends(cut in 0usize..44, at in 0usize..44, value: u8) {
            let mut packet = question();
            packet[at] = value;
            let _ = read(&packet[..cut]);
        }
    }
}
