//! Ranges of addresses: read from text, written back, joined and cut.

use crate::space::Family;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most prefixes that one range is written as.
const PREFIX_COUNT_MAX: usize = 256;

/// Addresses of one family, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range {
    pub family: Family,
    pub first: u128,
    pub last: u128,
}

impl Range {
    /// Every address of a family.
    pub const fn all(family: Family) -> Range {
        Range { family, first: 0, last: family.last() }
    }

    pub fn one(address: IpAddr) -> Range {
        let number = number(address);
        Range { family: Family::of(address), first: number, last: number }
    }

    /// `10.0.0.0/8` (bits of the host are ignored), `10.0.0.1`, `10.0.0.1-10.0.0.9`.
    pub fn parse(text: &str) -> Option<Range> {
        let text = text.trim();
        if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (address(first)?, address(last)?);
            return Range::between(first, last);
        }
        let Some((network, bits)) = text.split_once('/') else { return Some(Range::one(address(text)?)) };
        let (network, bits) = (address(network)?, bits.trim().parse::<u32>().ok()?);
        let family = Family::of(network);
        let spare = width(family).checked_sub(bits)?;
        let host = if spare == 0 { 0 } else { u128::MAX >> (128 - spare) };
        let first = number(network) & !host;
        Some(Range { family, first, last: first | host })
    }

    /// From one address to another of the same family; none when they are the wrong way round.
    pub fn between(first: IpAddr, last: IpAddr) -> Option<Range> {
        let (family, first, last) = (Family::of(first), number(first), (Family::of(last), number(last)));
        (family == last.0 && first <= last.1).then_some(Range { family, first, last: last.1 })
    }

    pub fn contains(&self, other: &Range) -> bool {
        self.family == other.family && self.first <= other.first && other.last <= self.last
    }

    /// The number of addresses, `u128::MAX` for all of IPv6.
    pub fn count(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    /// As one prefix where it is one, else `first-last`.
    pub fn text(&self) -> String {
        let (first, last) = (to_address(self.family, self.first), to_address(self.family, self.last));
        match self.prefix_bits() {
            Some(bits) if bits == width(self.family) => first.to_string(),
            Some(bits) => format!("{first}/{bits}"),
            None => format!("{first}-{last}"),
        }
    }

    /// The fewest prefixes that together are this range; at most 256, then the rest as `first-last`.
    pub fn prefixes(&self) -> Vec<String> {
        let mut prefixes = Vec::new();
        let mut first = self.first;
        while prefixes.len() < PREFIX_COUNT_MAX {
            let spare = spare_bits(first, self.last, width(self.family));
            let last = first | if spare == 0 { 0 } else { u128::MAX >> (128 - spare) };
            prefixes.push(Range { family: self.family, first, last }.text());
            if last >= self.last {
                return prefixes;
            }
            first = last + 1;
        }
        prefixes.push(Range { first, ..*self }.text());
        prefixes
    }

    fn prefix_bits(&self) -> Option<u32> {
        let spare = spare_bits(self.first, self.last, width(self.family));
        let last = self.first | if spare == 0 { 0 } else { u128::MAX >> (128 - spare) };
        (last == self.last).then_some(width(self.family) - spare)
    }
}

/// The most bits of the host that a prefix beginning at `first` may have without passing `last`.
fn spare_bits(first: u128, last: u128, width: u32) -> u32 {
    let aligned = if first == 0 { width } else { first.trailing_zeros().min(width) };
    let size = (last - first).checked_add(1).map_or(128, |count| 127 - count.leading_zeros());
    aligned.min(size)
}

/// Sorted, joined where they touch or overlap.
pub fn merged(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(before) if before.family == range.family && range.first <= before.last.saturating_add(1) => {
                before.last = before.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// What is in `ranges` and not in `taken`.
pub fn without(ranges: &[Range], taken: &[Range]) -> Vec<Range> {
    let taken = merged(taken.to_vec());
    let mut left = Vec::new();
    for range in merged(ranges.to_vec()) {
        let mut first = Some(range.first);
        for cut in &taken {
            let Some(from) = first else { break };
            if cut.family != range.family || cut.last < from || cut.first > range.last {
                continue;
            }
            if cut.first > from {
                left.push(Range { family: range.family, first: from, last: cut.first - 1 });
            }
            first = (cut.last < range.last).then(|| cut.last + 1);
        }
        left.extend(first.map(|first| Range { first, ..range }));
    }
    left
}

/// What both have.
pub fn shared(some: &[Range], others: &[Range]) -> Vec<Range> {
    let mut both = Vec::new();
    for a in some {
        for b in others {
            let (first, last) = (a.first.max(b.first), a.last.min(b.last));
            if a.family == b.family && first <= last {
                both.push(Range { family: a.family, first, last });
            }
        }
    }
    merged(both)
}

/// Addresses that are not of the public internet, IPv4 and IPv6.
pub const PRIVATE: [&str; 8] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
    "fe80::/10",
];

pub fn to_address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        Family::V6 => Ipv6Addr::from_bits(number).into(),
    }
}

/// The address as a number; that of IPv4 in the low 32 bits.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok()
}

const fn width(family: Family) -> u32 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(texts: &[&str]) -> Vec<Range> {
        texts.iter().filter_map(|text| Range::parse(text)).collect()
    }

    fn texts(ranges: &[Range]) -> Vec<String> {
        ranges.iter().map(Range::text).collect()
    }

    #[test]
    fn ranges_are_written_as_they_are_read() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "192.0.2.1", "192.0.2.1-192.0.2.9"] {
            assert_eq!(Range::parse(text).expect(text).text(), text);
        }
        assert_eq!(Range::parse("10.1.2.3/8").expect("host bits").text(), "10.0.0.0/8");
        for text in ["", "10.0.0.0/33", "1.2.3", "10.0.0.2-10.0.0.1", "10.0.0.1-::1", "a/8"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
        let range = Range::parse("10.0.0.1-10.0.0.6").expect("range");
        assert_eq!(range.prefixes(), ["10.0.0.1", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6"]);
    }

    #[test]
    fn halves_join_and_cuts_leave_the_rest() {
        assert_eq!(texts(&merged(ranges(&["128.0.0.0/1", "0.0.0.0/1"]))), ["0.0.0.0/0"]);
        let left = without(&ranges(&["10.0.0.0/24"]), &ranges(&["10.0.0.0/26", "10.0.0.128/26"]));
        assert_eq!(texts(&left), ["10.0.0.64/26", "10.0.0.192/26"]);
        assert!(without(&ranges(&["::/0"]), &ranges(&["::/0"])).is_empty());
        assert_eq!(
            texts(&shared(&ranges(&["10.0.0.0/8"]), &ranges(&["10.1.0.0/16", "::/0"]))),
            ["10.1.0.0/16"]
        );
    }
}
