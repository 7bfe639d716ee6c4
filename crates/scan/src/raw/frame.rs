//! Frames written straight into their slots: SYN, ACK, RST and echo, with their checksums.

use std::net::IpAddr;

/// Room for Ethernet, IPv6 and a SYN with its option, in bytes.
pub const FRAME_BYTES_MAX: usize = 96;
/// One slot of a batch.
pub type Slot = [u8; FRAME_BYTES_MAX];

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERNET_LEN: usize = 14;
const TTL: u8 = 64;
const MSS_V4: u16 = 1_460;
const MSS_V6: u16 = 1_440;
/// What Linux offers in a SYN.
const WINDOW: u16 = 64_240;
const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A station's address on Ethernet.
pub type Mac = [u8; 6];

/// What a segment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Syn,
    /// Finishes the handshake.
    Ack {
        acknowledgment: u32,
    },
    /// Closes what a SYN-ACK opened.
    Reset,
}

/// One TCP segment to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub to: IpAddr,
    pub source_port: u16,
    pub port: u16,
    pub sequence: u32,
    pub act: Act,
}

/// What all frames of one way have in common.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    source: IpAddr,
    /// Own station; absent on links without Ethernet headers.
    own: Option<Mac>,
}

impl Template {
    pub fn new(source: IpAddr, own: Option<Mac>) -> Template {
        Template { source, own }
    }

    /// Writes a segment; returns the frame's length.
    #[inline]
    pub fn segment(&self, slot: &mut Slot, next: Mac, segment: &Segment) -> usize {
        let header_len: usize = if segment.act == Act::Syn { 24 } else { 20 };
        let at = self.headers(slot, next, segment.to, TCP, header_len);
        let (flags, acknowledgment) = match segment.act {
            Act::Syn => (0x02, 0),
            Act::Ack { acknowledgment } => (0x10, acknowledgment),
            Act::Reset => (0x04, 0),
        };
        let tcp = &mut slot[at..at + header_len];
        tcp[0..2].copy_from_slice(&segment.source_port.to_be_bytes());
        tcp[2..4].copy_from_slice(&segment.port.to_be_bytes());
        tcp[4..8].copy_from_slice(&segment.sequence.to_be_bytes());
        tcp[8..12].copy_from_slice(&acknowledgment.to_be_bytes());
        tcp[12] = (header_len as u8) << 2;
        tcp[13] = flags;
        tcp[14..16].copy_from_slice(&if segment.act == Act::Reset { 0 } else { WINDOW }.to_be_bytes());
        tcp[16..20].fill(0);
        if let Some(option) = tcp.get_mut(20..24) {
            let mss = if self.source.is_ipv4() { MSS_V4 } else { MSS_V6 };
            option[..2].copy_from_slice(&[2, 4]);
            option[2..].copy_from_slice(&mss.to_be_bytes());
        }
        let sum = fold(self.pseudo(segment.to, TCP, header_len) + add(tcp));
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        at + header_len
    }

    /// Writes an echo request without data; returns the frame's length.
    pub fn echo(&self, slot: &mut Slot, next: Mac, to: IpAddr, ident: u16, sequence: u16) -> usize {
        let v4 = to.is_ipv4();
        let at = self.headers(slot, next, to, if v4 { ICMP } else { ICMPV6 }, 8);
        let echo = &mut slot[at..at + 8];
        echo[..4].copy_from_slice(&[if v4 { 8 } else { 128 }, 0, 0, 0]);
        echo[4..6].copy_from_slice(&ident.to_be_bytes());
        echo[6..8].copy_from_slice(&sequence.to_be_bytes());
        let pseudo = if v4 { 0 } else { self.pseudo(to, ICMPV6, 8) };
        let sum = fold(pseudo + add(echo));
        echo[2..4].copy_from_slice(&sum.to_be_bytes());
        at + 8
    }

    /// Writes Ethernet and IP headers; returns where the payload begins.
    #[inline]
    fn headers(&self, slot: &mut Slot, next: Mac, to: IpAddr, protocol: u8, payload_len: usize) -> usize {
        let mut at = 0;
        if let Some(own) = self.own {
            slot[..6].copy_from_slice(&next);
            slot[6..12].copy_from_slice(&own);
            let kind = if to.is_ipv4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
            slot[12..14].copy_from_slice(&kind.to_be_bytes());
            at = ETHERNET_LEN;
        }
        match (self.source, to) {
            (IpAddr::V4(source), IpAddr::V4(to)) => {
                let ip = &mut slot[at..at + 20];
                ip[..2].copy_from_slice(&[0x45, 0]);
                ip[2..4].copy_from_slice(&(20 + payload_len as u16).to_be_bytes());
                ip[4..12].copy_from_slice(&[0, 0, 0x40, 0, TTL, protocol, 0, 0]);
                ip[12..16].copy_from_slice(&source.octets());
                ip[16..20].copy_from_slice(&to.octets());
                let sum = fold(add(ip));
                ip[10..12].copy_from_slice(&sum.to_be_bytes());
                at + 20
            }
            (source, to) => {
                let ip = &mut slot[at..at + 40];
                ip[..4].copy_from_slice(&[0x60, 0, 0, 0]);
                ip[4..6].copy_from_slice(&(payload_len as u16).to_be_bytes());
                ip[6..8].copy_from_slice(&[protocol, TTL]);
                ip[8..24].copy_from_slice(&octets(source));
                ip[24..40].copy_from_slice(&octets(to));
                at + 40
            }
        }
    }

    fn pseudo(&self, to: IpAddr, protocol: u8, length: usize) -> u32 {
        let addresses = match (self.source, to) {
            (IpAddr::V4(source), IpAddr::V4(to)) => add(&source.octets()) + add(&to.octets()),
            (source, to) => add(&octets(source)) + add(&octets(to)),
        };
        addresses + u32::from(protocol) + length as u32
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Adds 16-bit words; all lengths here are even and short, so nothing is lost.
#[inline]
fn add(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum()
}

#[inline]
fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    !(((sum >> 16) + sum) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_wire::{Body, IcmpKind, TcpFlags, TcpOption};

    fn written(source: &str, to: &str, act: Act) -> (Vec<u8>, Segment) {
        let segment =
            Segment { to: to.parse().unwrap(), source_port: 40_001, port: 443, sequence: 0xdead_beef, act };
        let mut slot = [0xaa; FRAME_BYTES_MAX];
        let template = Template::new(source.parse().unwrap(), Some([2; 6]));
        let length = template.segment(&mut slot, [4; 6], &segment);
        (slot[..length].to_vec(), segment)
    }

    #[test]
    fn segments_are_read_back() {
        for (source, to) in [("10.0.0.1", "255.254.253.252"), ("fd00::1", "2001:db8::ffff")] {
            for act in [Act::Syn, Act::Ack { acknowledgment: 0xffff_ffff }, Act::Reset] {
                let (frame, segment) = written(source, to, act);
                assert_eq!(&frame[..12], &[4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2]);
                let packet = netwhy_wire::parse(&frame[14..]).unwrap();
                assert!(packet.ip.checksum_ok && !packet.ip.truncated);
                assert_eq!(packet.transport_checksum_ok(), Some(true));
                let Body::Tcp(tcp) = packet.body else { panic!() };
                assert_eq!((tcp.source_port, tcp.destination_port), (40_001, 443));
                assert_eq!(tcp.sequence, segment.sequence);
                let (flags, options) = match act {
                    Act::Syn => {
                        (TcpFlags::SYN, vec![TcpOption::Mss(if to.contains(':') { 1_440 } else { 1_460 })])
                    }
                    Act::Ack { .. } => (TcpFlags::ACK, vec![]),
                    Act::Reset => (TcpFlags::RST, vec![]),
                };
                assert_eq!((tcp.flags, tcp.options), (flags, options));
            }
        }
    }

    #[test]
    fn echoes_are_read_back() {
        for (source, to) in [("10.0.0.1", "10.0.0.2"), ("::1", "::1")] {
            let mut slot = [0; FRAME_BYTES_MAX];
            let template = Template::new(source.parse().unwrap(), None);
            let length = template.echo(&mut slot, [0; 6], to.parse().unwrap(), 7, 9);
            let packet = netwhy_wire::parse(&slot[..length]).unwrap();
            assert_eq!(packet.transport_checksum_ok(), Some(true));
            let Body::Icmp(icmp) = packet.body else { panic!() };
            assert!(matches!(icmp.message, IcmpKind::EchoRequest { ident: 7, sequence: 9, .. }));
        }
    }
}
