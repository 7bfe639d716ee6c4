//! How many sockets may be open at once: the machine's descriptors and ephemeral ports are shared politely.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::HashSet;
use std::net::IpAddr;

/// Descriptors left for everything else this process does: so many, or this share where there are few.
const HEADROOM_DESCRIPTORS: u64 = 128;
const HEADROOM_SHARE: u64 = 4;
/// A scan takes at most one in so many of the machine's ephemeral ports.
const EPHEMERAL_SHARE: u64 = 3;
/// Sockets of one scan at most; more only waits in queues.
const SOCKETS_MAX: u64 = 12_000;
/// Sockets of one scan at least: below this nothing can run.
const SOCKETS_MIN: u64 = 4;
/// The kernel's usual range, where it cannot be read.
const EPHEMERAL_USUAL: u64 = 28_232;

/// Raises this process's own limit of descriptors to what it may have, and returns how many sockets fit.
pub(crate) fn sockets_max() -> usize {
    let limit = raised_limit();
    let headroom = HEADROOM_DESCRIPTORS.min(limit / HEADROOM_SHARE);
    let descriptors = limit.saturating_sub(open_descriptors() + headroom);
    let fit = descriptors.min(ephemeral_ports() / EPHEMERAL_SHARE).clamp(SOCKETS_MIN, SOCKETS_MAX);
    fit as usize
}

/// The addresses of this machine's interfaces.
pub(crate) fn own_addresses() -> HashSet<IpAddr> {
    let list = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let own = list.filter_map(|one| {
        let address = one.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::from(a.ip())))
    });
    own.collect()
}

fn raised_limit() -> u64 {
    /// What POSIX promises, where the limit cannot be read.
    const PROMISED: u64 = 256;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return PROMISED };
    match soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        true => hard,
        false => soft,
    }
}

fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(HEADROOM_DESCRIPTORS, |list| list.count() as u64)
}

/// Ports `connect` may choose from.
fn ephemeral_ports() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range_len(&text).unwrap_or(EPHEMERAL_USUAL)
}

fn range_len(text: &str) -> Option<u64> {
    let mut ends = text.split_whitespace().map(|word| word.parse::<u64>().ok());
    let (first, last) = (ends.next()??, ends.next()??);
    last.checked_sub(first).map(|gap| gap + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_read() {
        assert_eq!(range_len("32768\t60999\n"), Some(28_232));
        assert_eq!(range_len("40000 40009"), Some(10));
        assert_eq!(range_len("9 1"), None);
        assert_eq!(range_len("x"), None);
        assert!(sockets_max() >= SOCKETS_MIN as usize);
    }
}
