//! Addresses as iptables takes them: with a prefix, or a mask that need not be one.

use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    Range(u128, u128),
    Masked { value: u128, mask: u128 },
}

/// An address with what stands behind a slash. Names of hosts are not looked up.
pub(super) fn read(text: &str, v6: bool) -> Option<Address> {
    let (host, mask) = text.split_once('/').map_or((text, None), |(host, mask)| (host, Some(mask)));
    let address = host_number(host, mask.is_some(), v6)?;
    let bits: u32 = if v6 { 128 } else { 32 };
    let all = all_ones(bits);
    let mask = match mask {
        None => all,
        Some(mask) => match mask.parse::<u32>() {
            Ok(length) if length <= bits => all & !all_ones(bits - length),
            Ok(_) => return None,
            Err(_) => number(mask, v6)?,
        },
    };
    let value = address & mask;
    let hosts = all & !mask;
    if hosts & hosts.wrapping_add(1) == 0 {
        return Some(Address::Range(value, value | hosts));
    }
    Some(Address::Masked { value, mask })
}

/// An address alone.
pub(super) fn number(text: &str, v6: bool) -> Option<u128> {
    if v6 {
        text.parse::<Ipv6Addr>().ok().map(u128::from)
    } else {
        text.parse::<Ipv4Addr>().ok().map(|address| u32::from(address).into())
    }
}

/// `first-last`, or one address twice.
pub(super) fn span(text: &str, v6: bool) -> Option<(u128, u128)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first, v6)?, number(last, v6)?);
    (first <= last).then_some((first, last))
}

fn all_ones(bits: u32) -> u128 {
    1_u128.checked_shl(bits).map_or(u128::MAX, |above| above - 1)
}

/// With a mask the missing bytes of an IPv4 address are zero: `10/8`.
fn host_number(host: &str, masked: bool, v6: bool) -> Option<u128> {
    let dots = host.bytes().filter(|byte| *byte == b'.').count();
    if v6 || !masked || dots >= 3 {
        return number(host, v6);
    }
    number(&format!("{host}{}", &".0.0.0"[..2 * (3 - dots)]), v6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_ranges_where_they_can_be() {
        assert_eq!(read("10.1.2.3/8", false), Some(Address::Range(10 << 24, (11 << 24) - 1)));
        assert_eq!(read("10/8", false), read("10.0.0.0/255.0.0.0", false));
        assert_eq!(read("0.0.0.0/0", false), Some(Address::Range(0, u32::MAX.into())));
        let odd = Address::Masked { value: 10 << 24, mask: 0xff00_00ff };
        assert_eq!(read("10.9.9.0/255.0.0.255", false), Some(odd));
        assert_eq!(
            read("2001:db8::/127", true).map(|a| matches!(a, Address::Range(a, b) if b - a == 1)),
            Some(true)
        );
        assert_eq!(read("::/0", true), Some(Address::Range(0, u128::MAX)));
        assert_eq!(read("10.0.0.0/33", false), None);
        assert_eq!(read("example.org", false), None);
    }
}
