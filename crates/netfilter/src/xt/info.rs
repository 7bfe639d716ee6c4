//! Reading an extension's struct by offset; what lies past its end reads as zero.

use crate::printable::printable;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The bytes of an extension's struct.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Info<'a>(pub(crate) &'a [u8]);

impl<'a> Info<'a> {
    fn array<const LEN: usize>(self, at: usize) -> [u8; LEN] {
        self.0.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; LEN])
    }

    pub(crate) fn byte(self, at: usize) -> u8 {
        self.array::<1>(at)[0]
    }

    pub(crate) fn ne16(self, at: usize) -> u16 {
        u16::from_ne_bytes(self.array(at))
    }

    pub(crate) fn be16(self, at: usize) -> u16 {
        u16::from_be_bytes(self.array(at))
    }

    pub(crate) fn ne32(self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array(at))
    }

    pub(crate) fn ne64(self, at: usize) -> u64 {
        u64::from_ne_bytes(self.array(at))
    }

    pub(crate) fn bytes(self, at: usize, len: usize) -> &'a [u8] {
        let rest = self.0.get(at..).unwrap_or_default();
        rest.get(..len).unwrap_or(rest)
    }

    /// A name of at most `len` bytes, without control characters.
    pub(crate) fn text(self, at: usize, len: usize) -> String {
        printable(&netwhy_netlink::text(self.bytes(at, len)))
    }

    /// An address: 4 bytes, or 16 in a table of IPv6.
    pub(crate) fn address(self, at: usize, is_ip6: bool) -> IpAddr {
        if is_ip6 {
            Ipv6Addr::from(self.array::<16>(at)).into()
        } else {
            Ipv4Addr::from(self.array::<4>(at)).into()
        }
    }
}

/// `10.0.0.0/8`, or `10.0.0.0/255.0.255.0` where the mask is no prefix.
pub(crate) fn network(address: IpAddr, mask: IpAddr) -> String {
    let (bits, width) = match mask {
        IpAddr::V4(mask) => (u128::from(u32::from(mask)) << 96, 32),
        IpAddr::V6(mask) => (u128::from(mask), 128),
    };
    let ones = bits.count_ones();
    if bits.leading_ones() == ones && ones <= width {
        format!("{address}/{ones}")
    } else {
        format!("{address}/{mask}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_reads_as_zero() {
        let info = Info(&[1, 2, 3]);
        assert_eq!((info.byte(2), info.ne32(1), info.ne64(900)), (3, 0, 0));
        assert_eq!(info.text(1, 10), "\u{2}\u{3}".replace(['\u{2}', '\u{3}'], ""));
    }

    #[test]
    fn masks_are_prefixes_where_they_can_be() {
        let network = |address: &str, mask: &str| network(address.parse().unwrap(), mask.parse().unwrap());
        assert_eq!(network("10.0.0.0", "255.0.0.0"), "10.0.0.0/8");
        assert_eq!(network("10.0.1.0", "255.0.255.0"), "10.0.1.0/255.0.255.0");
        assert_eq!(network("fe80::", "ffc0::"), "fe80::/10");
    }
}
