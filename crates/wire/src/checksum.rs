//! The Internet checksum (RFC 1071) and its pseudo-headers.

use std::net::IpAddr;

/// Computes the Internet checksum of bytes, in host order; 0 when they already carry a right one.
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    fold(sum(bytes))
}

/// Computes the checksum of a TCP, UDP or ICMPv6 segment with its pseudo-header (RFC 9293 3.1, RFC 8200 8.1).
///
/// 0 when the segment already carries a right one. Addresses of different families give a sum nobody sends.
pub fn transport_checksum(source: IpAddr, destination: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let length = segment.len() as u64;
    let addresses = match (source, destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => sum(&from.octets()) + sum(&to.octets()),
        (from, to) => {
            let octets = |address: IpAddr| match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            sum(&octets(from)) + sum(&octets(to))
        }
    };
    fold(addresses + u64::from(protocol) + (length >> 16) + (length & 0xffff) + sum(segment))
}

fn sum(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u64::from(u16::from_be_bytes([*high, *low])),
            [high] => u64::from(*high) << 8,
            _ => 0,
        })
        .sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_header() {
        // The example of RFC 1071 section 3.
        assert_eq!(internet_checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(internet_checksum(&[]), 0xffff);
    }
}
