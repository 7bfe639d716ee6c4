//! What this host may run out of: descriptors, local ports; and the TTL it starts with.

use super::COLLECTOR;
use netwhy_model::{Evidence, Link, Stamp};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Fewer descriptors left than this, and a diagnosis itself would fail.
const DESCRIPTOR_COUNT_MIN: u64 = 16;
/// An initial TTL below this does not cross the longer paths of the Internet.
const TTL_SMALL: u64 = 32;
/// Most lines of /proc/net/tcp that are read.
const SOCKET_COUNT_MAX: usize = 200_000;
/// A range with at least so many ports free counts as free beforehand.
const PORT_COUNT_MIN: usize = 256;
/// The state column of a socket in TIME_WAIT.
const TIME_WAIT: &str = "06";

/// Compares open descriptors with this process' limit and the system's.
pub(super) fn descriptors(at: Stamp) -> Evidence {
    let used = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .map_or(u64::MAX, |(soft, _)| soft);
    let system = std::fs::read_to_string("/proc/sys/fs/file-nr").unwrap_or_default();
    let numbers: Vec<u64> = system.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let system_left = match numbers.as_slice() {
        [used, _, limit] => limit.saturating_sub(*used),
        _ => u64::MAX,
    };
    let left = limit.saturating_sub(used).min(system_left);
    let value = if left < DESCRIPTOR_COUNT_MIN { "exhausted" } else { "free" };
    let text = format!("{used} of {limit} descriptors used here, {system_left} left in the system");
    Evidence::seen("source.descriptors", value, Link::SourceHost, at, COLLECTOR, text)
}

/// Reads the initial TTL or hop limit.
pub(super) fn ttl(address: IpAddr, interface: Option<&str>, at: Stamp) -> Option<Evidence> {
    let path = if address.is_ipv4() {
        "/proc/sys/net/ipv4/ip_default_ttl".to_owned()
    } else {
        format!("/proc/sys/net/ipv6/conf/{}/hop_limit", interface?)
    };
    let ttl: u64 = std::fs::read_to_string(&path).ok()?.trim().parse().ok()?;
    let value = if ttl < TTL_SMALL { "small" } else { "normal" };
    Some(Evidence::seen("source.ttl", value, Link::SourceHost, at, COLLECTOR, format!("initial TTL {ttl}")))
}

/// Counts the local ports left for a destination; says nothing where the count alone is no proof.
pub(super) fn ports(remote: SocketAddr, at: Stamp) -> Option<Evidence> {
    let count = count(remote)?;
    let left = count.range.saturating_sub(count.used.max(count.time_wait));
    (left >= PORT_COUNT_MIN)
        .then(|| Evidence::seen("source.ports", "free", Link::SourceHost, at, COLLECTOR, count.text()))
}

/// With fewer ephemeral ports than this, our own connections in TIME_WAIT could use them up.
const RANGE_SMALL: usize = 2_000;

/// True when the ephemeral range is so small that probing must not leave TIME_WAIT behind.
pub(crate) fn few_ports() -> bool {
    range().is_some_and(|(first, last)| usize::from(last.saturating_sub(first)) < RANGE_SMALL)
}

fn range() -> Option<(u16, u16)> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = text.split_whitespace().filter_map(|n| n.parse::<u16>().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// Says who holds the ports, once the kernel found none: the value of `source.ports` and the numbers.
pub(crate) fn ports_used(remote: SocketAddr) -> (&'static str, String) {
    match count(remote) {
        Some(count) if count.time_wait * 2 > count.used.max(1) => ("time_wait", count.text()),
        Some(count) => ("exhausted", count.text()),
        None => ("exhausted", "the port range could not be read".to_owned()),
    }
}

struct PortCount {
    first: u16,
    last: u16,
    range: usize,
    /// Local ports of the range in use, toward whomever.
    used: usize,
    /// Of those, ports whose every socket is in TIME_WAIT.
    time_wait: usize,
    to_target: usize,
}

impl PortCount {
    fn text(&self) -> String {
        format!(
            "local ports {}-{}: {} in use, {} of them in TIME_WAIT, {} toward the target",
            self.first, self.last, self.used, self.time_wait, self.to_target
        )
    }
}

fn count(remote: SocketAddr) -> Option<PortCount> {
    let (first, last) = range()?;
    let (mut waiting, mut live, mut to_target) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = std::fs::read_to_string(path).unwrap_or_default();
        for line in table.lines().skip(1).take(SOCKET_COUNT_MAX) {
            let Some((local, peer, state)) = row(line) else { continue };
            if !(first..=last).contains(&local) {
                continue;
            }
            if peer == remote {
                to_target.insert(local);
            }
            if state == TIME_WAIT {
                waiting.insert(local)
            } else {
                live.insert(local)
            };
        }
    }
    let used = waiting.union(&live).count();
    Some(PortCount {
        first,
        last,
        range: usize::from(last.saturating_sub(first)) + 1,
        used,
        time_wait: waiting.difference(&live).count(),
        to_target: to_target.len(),
    })
}

/// Local port, peer and state of one line of /proc/net/tcp or tcp6.
fn row(line: &str) -> Option<(u16, SocketAddr, &str)> {
    let mut words = line.split_whitespace().skip(1);
    let (local, peer, state) = (words.next()?, words.next()?, words.next()?);
    let local = u16::from_str_radix(local.split_once(':')?.1, 16).ok()?;
    let (address, port) = peer.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Each word of the address is printed in the host's byte order.
    let word = |at: usize| {
        address.get(at..at + 8).and_then(|part| u32::from_str_radix(part, 16).ok()).map(u32::to_ne_bytes)
    };
    let ip: IpAddr = if address.len() == 8 {
        Ipv4Addr::from(word(0)?).into()
    } else {
        let mut octets = [0_u8; 16];
        for part in 0..4 {
            octets[part * 4..part * 4 + 4].copy_from_slice(&word(part * 8)?);
        }
        Ipv6Addr::from(octets).to_canonical()
    };
    Some((local, SocketAddr::new(ip, port), state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_a_row() {
        let line = "   0: 0100007F:9C40 0200000A:01BB 06 00000000:00000000 03:000012B5 00000000     0        0 0 3 0";
        assert_eq!(row(line), Some((40_000, "10.0.0.2:443".parse().unwrap(), "06")));
        assert_eq!(row("garbage"), None);
    }
}
