//! Addresses: the order the system tries them in (RFC 6724), and whether one can be meant at all.

use crate::ask::source_towards;
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Sorts addresses as getaddrinfo does: those without a route last, then the rules of RFC 6724
/// section 6 that need no more than source and destination.
pub fn sort(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    sort_by_source(addresses, source_towards)
}

/// As [`sort`], with the choice of the source address given.
pub fn sort_by_source(addresses: Vec<IpAddr>, source_of: impl Fn(IpAddr) -> Option<IpAddr>) -> Vec<IpAddr> {
    let mut keyed: Vec<_> = addresses.into_iter().map(|a| (key(a, source_of(a)), a)).collect();
    keyed.sort_by_key(|one| one.0);
    let mut sorted: Vec<IpAddr> = keyed.into_iter().map(|(_, address)| address).collect();
    let mut seen = Vec::new();
    sorted.retain(|address| {
        let new = !seen.contains(address);
        seen.push(*address);
        new
    });
    sorted
}

type Key = (bool, bool, bool, Reverse<u8>, u8, Reverse<u32>);

/// Smaller sorts first: rule 1 (usable), 2 (matching scope), 5 (matching label), 6 (precedence),
/// 8 (smaller scope), 9 (longest matching prefix, IPv6 alone as destinations differ in family otherwise).
fn key(address: IpAddr, source: Option<IpAddr>) -> Key {
    let Some(source) = source else {
        return (true, true, true, Reverse(policy(address).0), scope(address), Reverse(0));
    };
    let prefix = match (address, source) {
        (IpAddr::V6(a), IpAddr::V6(s)) => (u128::from(a) ^ u128::from(s)).leading_zeros().min(64),
        _ => 0,
    };
    let (precedence, label) = policy(address);
    (
        false,
        scope(address) != scope(source),
        label != policy(source).1,
        Reverse(precedence),
        scope(address),
        Reverse(prefix),
    )
}

/// Precedence and label as glibc has them by default (RFC 3484 section 2.1, the older table: a
/// unique-local destination goes before IPv4 there).
fn policy(address: IpAddr) -> (u8, u8) {
    let IpAddr::V6(v6) = address else { return (10, 4) };
    let first = v6.segments()[0];
    match v6 {
        _ if v6 == Ipv6Addr::LOCALHOST => (50, 0),
        _ if first == 0x2002 => (30, 2),
        _ if first == 0x2001 && v6.segments()[1] == 0 => (40, 7),
        _ if first & 0xfe00 == 0xfc00 => (40, 6),
        _ if first & 0xffc0 == 0xfec0 => (40, 5),
        _ if v6.segments()[..6] == [0; 6] => (20, 3),
        _ => (40, 1),
    }
}

/// Scope as in RFC 6724 section 3: 2 link-local, 5 site-local, 14 global.
fn scope(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_link_local() => 2,
        IpAddr::V4(_) => 14,
        IpAddr::V6(v6) if v6.is_loopback() || v6.segments()[0] & 0xffc0 == 0xfe80 => 2,
        IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfec0 => 5,
        IpAddr::V6(_) => 14,
    }
}

/// True for an address no remote service can have: unspecified, loopback, multicast, broadcast,
/// reserved. Documentation ranges are not counted: laboratories live in them.
pub fn is_bogus(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let reserved = v4.octets()[0] == 0 || v4.octets()[0] >= 240;
            reserved || v4.is_loopback() || v4.is_multicast() || v4 == Ipv4Addr::BROADCAST
        }
        IpAddr::V6(v6) => {
            let mapped = v6.to_ipv4_mapped().is_some_and(|v4| is_bogus(v4.into()));
            v6.is_unspecified() || v6.is_loopback() || v6.is_multicast() || mapped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn sorts_as_getaddrinfo() {
        let both = |address: IpAddr| Some(if address.is_ipv4() { ip("10.0.0.2") } else { ip("2001:db8::2") });
        let sorted = sort_by_source(vec![ip("10.0.0.1"), ip("2001:db8::1"), ip("10.0.0.1")], both);
        assert_eq!(sorted, [ip("2001:db8::1"), ip("10.0.0.1")]);
        let no_v6 = |address: IpAddr| address.is_ipv4().then(|| ip("10.0.0.2"));
        assert_eq!(sort_by_source(vec![ip("2001:db8::1"), ip("10.0.0.1")], no_v6)[0], ip("10.0.0.1"));
        let ula = |address: IpAddr| Some(if address.is_ipv4() { ip("10.0.0.2") } else { ip("fd00::2") });
        assert_eq!(sort_by_source(vec![ip("10.0.0.1"), ip("fd00::1")], ula)[0], ip("fd00::1"));
        let kept = sort_by_source(vec![ip("10.0.0.9"), ip("10.0.0.1")], no_v6);
        assert_eq!(kept, [ip("10.0.0.9"), ip("10.0.0.1")]);
    }

    #[test]
    fn laboratory_addresses_are_plausible() {
        for text in ["192.0.2.1", "203.0.113.9", "2001:db8::9", "10.1.1.1", "100.64.0.1", "198.18.0.1"] {
            assert!(!is_bogus(ip(text)), "{text}");
        }
        for text in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"] {
            assert!(is_bogus(ip(text)), "{text}");
        }
    }
}
