//! Networks as AWS writes them, and ranges of addresses as networks.

use crate::space::Family;
use std::fmt;
use std::net::IpAddr;

/// How many networks one range of addresses is written as, at most.
const NETS_MAX: usize = 256;

/// A network: its first and last address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net {
    pub family: Family,
    pub first: u128,
    pub last: u128,
}

pub const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// An address from its number.
pub fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()),
        Family::V6 => IpAddr::V6(number.into()),
    }
}

const fn bits(family: Family) -> u32 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

impl Net {
    pub const fn all(family: Family) -> Net {
        Net { family, first: 0, last: family.last() }
    }

    pub fn one(address: IpAddr) -> Net {
        Net { family: Family::of(address), first: number(address), last: number(address) }
    }

    /// `10.0.0.0/8`, `::/0`, or one address.
    pub fn parse(text: &str) -> Option<Net> {
        let text = text.trim();
        let Some((base, length)) = text.split_once('/') else { return text.parse().ok().map(Net::one) };
        let base: IpAddr = base.parse().ok()?;
        let family = Family::of(base);
        let host = bits(family).checked_sub(length.parse().ok()?)?;
        let mask = if host >= 128 { u128::MAX } else { (1 << host) - 1 };
        let first = number(base) & !mask;
        Some(Net { family, first, last: first | (mask & family.last()) })
    }

    pub const fn range(&self) -> (u128, u128) {
        (self.first, self.last)
    }

    pub fn holds(&self, family: Family, (first, last): (u128, u128)) -> bool {
        self.family == family && self.first <= first && last <= self.last
    }

    pub fn meets(&self, family: Family, (first, last): (u128, u128)) -> bool {
        self.family == family && self.first <= last && first <= self.last
    }

    /// How many addresses it has, less one.
    pub const fn size(&self) -> u128 {
        self.last - self.first
    }
}

impl fmt::Display for Net {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = 128 - self.size().leading_zeros();
        write!(to, "{}/{}", address(self.family, self.first), bits(self.family).saturating_sub(host))
    }
}

/// The fewest networks that are together a range.
pub fn networks(family: Family, (first, last): (u128, u128)) -> Vec<Net> {
    let (mut nets, mut at) = (Vec::new(), first);
    while at <= last && nets.len() < NETS_MAX {
        let aligned = if at == 0 { bits(family) } else { at.trailing_zeros().min(bits(family)) };
        let mut host = aligned.min(127);
        while host > 0 && ((1u128 << host) - 1 > last - at) {
            host -= 1;
        }
        let end = at + ((1u128 << host) - 1);
        if at == 0 && last == u128::MAX {
            return vec![Net::all(family)];
        }
        nets.push(Net { family, first: at, last: end });
        match end.checked_add(1) {
            Some(next) => at = next,
            None => break,
        }
    }
    nets
}

/// What the internet does not route, of IPv4.
const NOT_PUBLIC: [&str; 9] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// The ranges of addresses that the internet has.
pub fn public(family: Family) -> Vec<(u128, u128)> {
    if family == Family::V6 {
        return Net::parse("2000::/3").map(|net| net.range()).into_iter().collect();
    }
    let (mut ranges, mut start) = (Vec::new(), 0);
    for net in NOT_PUBLIC.iter().filter_map(|text| Net::parse(text)) {
        if start < net.first {
            ranges.push((start, net.first - 1));
        }
        start = net.last + 1;
    }
    ranges
}

/// Whether every address of a range is one of the internet's.
pub fn is_public(family: Family, (first, last): (u128, u128)) -> bool {
    public(family).iter().any(|(from, to)| *from <= first && last <= *to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_the_fewest_networks() {
        let range = (number("10.0.0.1".parse().expect("v4")), number("10.0.0.6".parse().expect("v4")));
        let written: Vec<String> = networks(Family::V4, range).iter().map(Net::to_string).collect();
        assert_eq!(written, ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]);
        assert_eq!(networks(Family::V4, Net::all(Family::V4).range())[0].to_string(), "0.0.0.0/0");
        assert_eq!(networks(Family::V6, Net::all(Family::V6).range())[0].to_string(), "::/0");
        assert_eq!(Net::parse("10.1.2.3/16").map(|n| n.to_string()), Some("10.1.0.0/16".to_owned()));
        assert_eq!(Net::parse("10.0.0.0/33"), None);
        assert!(!is_public(Family::V4, Net::parse("172.31.0.1").expect("v4").range()));
    }
}
