//! Link-layer headers of captures: from a frame to the IP packet in it.
//!
//! Link types are those of pcap files (the LINKTYPE_ registry), ethertypes the IEEE's.

use crate::take::Take;

/// Most VLAN tags and MPLS labels passed in one frame.
const TAG_COUNT_MAX: usize = 16;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Which way a frame went, where the capture tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    #[default]
    Unknown,
    In,
    Out,
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried<'a> {
    /// An IP packet, from its header on.
    Ip(&'a [u8]),
    /// Something else, by its ethertype; 0 where the link has none.
    Other(u16),
    /// The header is cut short.
    Short,
    /// A link type that is not known here.
    Foreign,
}

/// Finds the IP packet in a captured frame.
pub fn carried(link_type: u32, frame: &[u8]) -> (Carried<'_>, Way) {
    let mut take = Take::new(frame);
    let mut way = Way::Unknown;
    let carried = match link_type {
        // Null and loop carry the address family of the machine that captured, in either order.
        0 | 108 => null(&mut take),
        1 => ethernet(&mut take),
        // PPP and Cisco HDLC.
        9 | 50 => ppp(&mut take),
        104 => hdlc(&mut take),
        // RAW has had several numbers; IPv4 and IPv6 have one each.
        12 | 14 | 101 | 228 | 229 => Some(raw(take.rest)),
        113 => cooked(&mut take, &mut way),
        276 => cooked_2(&mut take, &mut way),
        _ => Some(Carried::Foreign),
    };
    (carried.unwrap_or(Carried::Short), way)
}

fn ethernet<'a>(take: &mut Take<'a>) -> Option<Carried<'a>> {
    take.bytes(12)?;
    let kind = take.u16()?;
    by_ethertype(kind, take)
}

/// LINKTYPE_LINUX_SLL: packet type, hardware type, address length, address, protocol.
fn cooked<'a>(take: &mut Take<'a>, way: &mut Way) -> Option<Carried<'a>> {
    *way = way_of(take.u16()?);
    take.bytes(12)?;
    let kind = take.u16()?;
    by_ethertype(kind, take)
}

/// LINKTYPE_LINUX_SLL2: protocol, reserved, interface, hardware type, packet type, address length, address.
fn cooked_2<'a>(take: &mut Take<'a>, way: &mut Way) -> Option<Carried<'a>> {
    let kind = take.u16()?;
    take.bytes(8)?;
    *way = way_of(u16::from(take.u8()?));
    take.bytes(9)?;
    by_ethertype(kind, take)
}

/// PACKET_HOST and PACKET_OUTGOING.
fn way_of(packet_type: u16) -> Way {
    match packet_type {
        0 => Way::In,
        4 => Way::Out,
        _ => Way::Unknown,
    }
}

fn by_ethertype<'a>(mut kind: u16, take: &mut Take<'a>) -> Option<Carried<'a>> {
    for _ in 0..TAG_COUNT_MAX {
        match kind {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return Some(ip(take.rest)),
            // 802.1Q, 802.1ad and what came before it.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => {
                take.u16()?;
                kind = take.u16()?;
            }
            0x8847 | 0x8848 => {
                // The bottom of the stack is marked in the third byte.
                if take.u32()? & 0x100 != 0 {
                    return Some(raw(take.rest));
                }
            }
            0x8864 => {
                take.bytes(6)?;
                return ppp(take);
            }
            _ => return Some(Carried::Other(kind)),
        }
    }
    Some(Carried::Other(kind))
}

fn null<'a>(take: &mut Take<'a>) -> Option<Carried<'a>> {
    let family = take.u32()?;
    let known =
        [2, 10, 24, 28, 30].iter().any(|number: &u32| [*number, number.swap_bytes()].contains(&family));
    Some(if known { raw(take.rest) } else { Carried::Other(0) })
}

fn ppp<'a>(take: &mut Take<'a>) -> Option<Carried<'a>> {
    if take.rest.starts_with(&[0xff, 0x03]) {
        take.u16()?;
    }
    Some(match take.u16()? {
        0x0021 | 0x0057 => ip(take.rest),
        other => Carried::Other(other),
    })
}

fn hdlc<'a>(take: &mut Take<'a>) -> Option<Carried<'a>> {
    take.u16()?;
    let kind = take.u16()?;
    by_ethertype(kind, take)
}

/// The link says that it is IP: what is wrong with its header is for the reader of IP to tell.
fn ip(bytes: &[u8]) -> Carried<'_> {
    if bytes.is_empty() { Carried::Short } else { Carried::Ip(bytes) }
}

/// The version in the first byte decides; bytes of another version are no IP.
fn raw(bytes: &[u8]) -> Carried<'_> {
    match bytes.first().map(|first| first >> 4) {
        Some(4 | 6) => Carried::Ip(bytes),
        Some(_) => Carried::Other(0),
        None => Carried::Short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: [u8; 2] = [0x45, 0];

    fn frame(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn tags_are_passed() {
        let frame = frame(&[&[0; 12], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0], &IP]);
        assert_eq!(carried(1, &frame), (Carried::Ip(&IP), Way::Unknown));
    }

    #[test]
    fn cooked_frames_tell_the_way() {
        let first = frame(&[&[0, 4], &[0; 12], &[8, 0], &IP]);
        assert_eq!(carried(113, &first), (Carried::Ip(&IP), Way::Out));
        let second = frame(&[&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6], &[0; 8], &IP]);
        assert_eq!(carried(276, &second), (Carried::Ip(&IP), Way::In));
    }

    #[test]
    fn what_is_no_ip_is_named() {
        assert_eq!(carried(1, &frame(&[&[0; 12], &[8, 6], &IP])).0, Carried::Other(0x0806));
        assert_eq!(carried(1, &[0; 13]).0, Carried::Short);
        assert_eq!(carried(147, &[0; 13]).0, Carried::Foreign);
        assert_eq!(carried(0, &[2, 0, 0, 0, 0x45]).0, Carried::Ip(&[0x45]));
    }
}
