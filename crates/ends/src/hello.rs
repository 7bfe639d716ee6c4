//! How an end introduces itself.

use crate::frame::{Hello, PROTOCOL_VERSION};
use crate::line::printable;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;

/// Addresses named at most.
const ADDRESS_COUNT_MAX: usize = 256;
/// Longest host name, in characters.
const HOSTNAME_CHARS_MAX: usize = 253;

/// Who this host is, as far as it can be read.
pub(crate) fn introduction(program: &str) -> Hello {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Hello {
        version: PROTOCOL_VERSION,
        program: program.to_owned(),
        hostname: printable(&hostname, HOSTNAME_CHARS_MAX),
        root: nix::unistd::geteuid().is_root(),
        addresses: addresses(),
        boot_id: boot_id(),
        network_namespace: std::fs::metadata("/proc/self/ns/net").ok().map(|file| file.ino()),
    }
}

/// The running kernel's own id, empty when it cannot be read.
pub(crate) fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').collect()
}

fn addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let mut all: Vec<IpAddr> = interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .filter(|address| !address.is_loopback())
        .take(ADDRESS_COUNT_MAX)
        .collect();
    all.sort();
    all.dedup();
    all
}
