//! Ranges of addresses: read from prefixes, merged, taken apart into prefixes again.

use crate::space::{Family, address, number};
use std::fmt;
use std::net::IpAddr;

/// Private, shared, link-local and loopback addresses.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1",
];

/// Of IPv4 what is no part of the Internet: private, shared, local, multicast and the like (RFC 6890).
const NOT_INTERNET: [&str; 8] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
];

/// Addresses of one family, from first to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub family: Family,
    pub first: u128,
    pub last: u128,
}

impl Span {
    pub const fn all(family: Family) -> Span {
        Span { family, first: 0, last: family.last() }
    }

    /// Every address of both families.
    pub fn anywhere() -> Vec<Span> {
        vec![Span::all(Family::V4), Span::all(Family::V6)]
    }

    pub fn one(address: IpAddr) -> Span {
        Span { family: Family::of(address), first: number(address), last: number(address) }
    }

    /// An address, a prefix (bits of the host are ignored) or a range: `10.0.0.1`, `10.0.0.0/8`, `fd00::1-fd00::9`.
    pub fn read(text: &str) -> Option<Span> {
        let text = text.trim();
        if let Some((first, last)) = text.split_once('-') {
            let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            return Span::between(first, last);
        }
        let Some((base, length)) = text.split_once('/') else {
            return text.parse().ok().map(Span::one);
        };
        let (base, length): (IpAddr, u32) = (base.parse().ok()?, length.parse().ok()?);
        let family = Family::of(base);
        let free = width(family).checked_sub(length)?;
        let hosts = family.last() & u128::MAX.checked_shl(free).map_or(u128::MAX, |network| !network);
        let first = number(base) & !hosts;
        Some(Span { family, first, last: first | hosts })
    }

    /// From one address to another; none when they are of two families or the wrong way round.
    pub fn between(first: IpAddr, last: IpAddr) -> Option<Span> {
        let span = Span { last: number(last), ..Span::one(first) };
        (Family::of(first) == Family::of(last) && span.first <= span.last).then_some(span)
    }

    /// How many addresses it has; one less than all of IPv6.
    pub fn size(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    pub fn and(&self, other: &Span) -> Option<Span> {
        let shared =
            Span { family: self.family, first: self.first.max(other.first), last: self.last.min(other.last) };
        (self.family == other.family && shared.first <= shared.last).then_some(shared)
    }

    pub fn has(&self, address: IpAddr) -> bool {
        self.contains(&Span::one(address))
    }

    pub fn contains(&self, other: &Span) -> bool {
        self.family == other.family && self.first <= other.first && other.last <= self.last
    }

    /// How long the prefix is; `None` for a range that is none.
    pub fn prefix_length(&self) -> Option<u32> {
        let hosts = self.last.checked_sub(self.first)?;
        let whole = hosts & hosts.wrapping_add(1) == 0 && self.first & hosts == 0;
        whole.then(|| width(self.family) - (u128::BITS - hosts.leading_zeros()))
    }

    /// The fewest prefixes that together are this range: at most 254.
    pub fn prefixes(&self) -> Vec<Span> {
        let mut prefixes = Vec::new();
        let mut first = self.first;
        loop {
            let mut hosts = 0;
            while hosts != self.family.last() {
                let wider = hosts << 1 | 1;
                if first & wider != 0 || wider > self.last - first {
                    break;
                }
                hosts = wider;
            }
            prefixes.push(Span { family: self.family, first, last: first + hosts });
            if first + hosts >= self.last {
                return prefixes;
            }
            first += hosts + 1;
        }
    }
}

/// A prefix as one, anything else as `first-last`.
impl fmt::Display for Span {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = address(self.family, self.first);
        match self.prefix_length() {
            Some(length) => write!(to, "{first}/{length}"),
            None => write!(to, "{first}-{}", address(self.family, self.last)),
        }
    }
}

const fn width(family: Family) -> u32 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

/// The same addresses as the fewest ranges, sorted.
pub fn merge(spans: &[Span]) -> Vec<Span> {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(sorted.len());
    for next in sorted {
        match merged.last_mut() {
            Some(last) if last.family == next.family && next.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(next.last);
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// The addresses that are in none of the taken.
pub fn without(spans: &[Span], taken: &[Span]) -> Vec<Span> {
    let taken = merge(taken);
    let mut left = Vec::new();
    for span in merge(spans) {
        let mut rest = Some(span);
        for hole in taken.iter().filter(|hole| hole.and(&span).is_some()) {
            let Some(now) = rest else { break };
            if now.first < hole.first {
                left.push(Span { last: hole.first - 1, ..now });
            }
            rest = (hole.last < now.last).then(|| Span { first: hole.last + 1, ..now });
        }
        left.extend(rest);
    }
    left
}

/// The addresses that are in both.
pub fn shared(some: &[Span], others: &[Span]) -> Vec<Span> {
    let each = |span: &Span| others.iter().filter_map(|other| span.and(other)).collect::<Vec<_>>();
    merge(&some.iter().flat_map(each).collect::<Vec<_>>())
}

/// Addresses that are not of the public internet.
pub fn private() -> Vec<Span> {
    PRIVATE.iter().filter_map(|text| Span::read(text)).collect()
}

/// Of IPv4 what is no part of the Internet, and more that the caller does not take for it.
pub fn not_internet(more: &[&str]) -> Vec<Span> {
    NOT_INTERNET.iter().chain(more).filter_map(|text| Span::read(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(text: &str) -> Span {
        Span::read(text).expect(text)
    }

    #[test]
    fn prefixes_are_read_and_written() {
        assert_eq!(span("10.1.2.3/8"), span("10.0.0.0-10.255.255.255"));
        assert_eq!(span("::/0"), Span::all(Family::V6));
        assert_eq!(span("0.0.0.0/0").to_string(), "0.0.0.0/0");
        assert_eq!(span("10.0.0.1").to_string(), "10.0.0.1/32");
        assert_eq!(span("10.0.0.1-10.0.0.6").prefixes().len(), 4);
        assert_eq!(Span::all(Family::V6).prefixes(), [Span::all(Family::V6)]);
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "Internet"] {
            assert_eq!(Span::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_left_of_a_range_is_what_was_not_taken() {
        let left = without(&[span("10.0.0.0/8")], &[span("10.0.0.0/9"), span("10.255.0.0/16")]);
        assert_eq!(left, [span("10.128.0.0-10.254.255.255")]);
        assert_eq!(without(&[span("10.0.0.0/8")], &[span("0.0.0.0/0")]), []);
    }

    proptest! {
        #[test]
        fn prefixes_of_a_range_are_the_range(a: u32, b: u32) {
            let whole = Span { family: Family::V4, first: a.min(b).into(), last: a.max(b).into() };
            let prefixes = whole.prefixes();
            prop_assert!(prefixes.len() <= 62 && prefixes.iter().all(|one| one.prefix_length().is_some()));
            prop_assert_eq!(merge(&prefixes), vec![whole]);
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in ".{0,40}") {
            let _ = (Span::read(&text), super::super::ports(&text), super::super::protocols(&text));
        }
    }
}
