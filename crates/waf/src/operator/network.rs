//! Networks, as `@ipMatch` and access lists name them.

use std::net::IpAddr;

/// A network: an address and how many of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    bits: u32,
}

impl Net {
    /// Reads `10.0.0.0/8`, `10.0.0.1`, `2001:db8::/32`.
    pub fn read(text: &str) -> Option<Net> {
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
            None => most,
        };
        Some(Net { address, bits })
    }

    pub fn holds(self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                (u32::from(net) ^ u32::from(address)) & mask == 0
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                (u128::from(net) ^ u128::from(address)) & mask == 0
            }
            _ => false,
        }
    }
}

pub fn address(value: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_own_addresses_and_no_others() {
        let net = Net::read("10.1.0.0/16").expect("a network");
        assert!(net.holds("10.1.2.3".parse().expect("an address")));
        assert!(!net.holds("10.2.2.3".parse().expect("an address")));
        assert!(Net::read("0.0.0.0/0").expect("all").holds("8.8.8.8".parse().expect("an address")));
        assert!(Net::read("10.0.0.0/33").is_none());
        assert!(!Net::read("::/0").expect("all").holds("8.8.8.8".parse().expect("an address")));
    }
}
