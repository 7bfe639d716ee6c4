//! Ranges of addresses.

use crate::space::Family;
use std::net::IpAddr;

/// From the first to the last address of one family.
pub(super) type Range = (Family, u128, u128);

pub(super) const EVERYWHERE: [Range; 2] =
    [(Family::V4, 0, Family::V4.last()), (Family::V6, 0, Family::V6.last())];

pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

pub(super) fn single(address: IpAddr) -> Range {
    (Family::of(address), number(address), number(address))
}

pub(super) fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from(u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes()),
        Family::V6 => IpAddr::from(number.to_be_bytes()),
    }
}

/// `10.0.0.0/8` (host bits are ignored, as Kubernetes does), or one address.
pub(super) fn prefix(text: &str) -> Option<Range> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) if length.bytes().all(|b| b.is_ascii_digit()) => {
            (address.parse::<IpAddr>().ok()?, length.parse::<u32>().ok()?)
        }
        Some(_) => return None,
        None => {
            let address = text.parse::<IpAddr>().ok()?;
            (address, if address.is_ipv4() { 32 } else { 128 })
        }
    };
    let family = Family::of(address);
    let free = if family == Family::V4 { 32u32 } else { 128 }.checked_sub(length)?;
    let mask = if free == 128 { u128::MAX } else { (1 << free) - 1 };
    let first = number(address) & !mask;
    Some((family, first, first | mask))
}

/// Sorted, and as few as possible.
pub(super) fn merge(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
    for (family, first, last) in ranges {
        match merged.last_mut() {
            Some(end) if end.0 == family && first <= end.2.saturating_add(1) => end.2 = end.2.max(last),
            _ => merged.push((family, first, last)),
        }
    }
    merged
}

pub(super) fn and(some: &[Range], others: &[Range]) -> Vec<Range> {
    let mut shared = Vec::new();
    for (family, first, last) in some {
        for (_, from, to) in others.iter().filter(|other| other.0 == *family) {
            if first.max(from) <= last.min(to) {
                shared.push((*family, *first.max(from), *last.min(to)));
            }
        }
    }
    merge(shared)
}

pub(super) fn minus(some: &[Range], taken: &[Range]) -> Vec<Range> {
    let mut left = Vec::new();
    for &(family, first, last) in some {
        let mut start = Some(first);
        for &(_, from, to) in taken.iter().filter(|t| t.0 == family && t.1 <= last && first <= t.2) {
            let Some(at) = start else { break };
            if at < from {
                left.push((family, at, from - 1));
            }
            start = to.checked_add(1).map(|next| next.max(at)).filter(|next| *next <= last);
        }
        left.extend(start.map(|at| (family, at, last)));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_of_a_range_leaves_both_sides() {
        let all = [prefix("0.0.0.0/0").expect("all")];
        let taken = merge(vec![prefix("172.21.0.0/16").expect("b"), prefix("10.0.0.1/8").expect("a")]);
        let left: Vec<String> = minus(&all, &taken)
            .iter()
            .map(|r| format!("{}-{}", address(r.0, r.1), address(r.0, r.2)))
            .collect();
        assert_eq!(left, ["0.0.0.0-9.255.255.255", "11.0.0.0-172.20.255.255", "172.22.0.0-255.255.255.255"]);
        assert_eq!(minus(&taken, &all), []);
        assert_eq!(prefix("10.0.0.0/33"), None);
        assert_eq!(prefix("::/0"), Some(EVERYWHERE[1]));
    }
}
