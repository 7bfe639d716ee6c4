//! Packets and ARP frames from the wire, and what a probe makes of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(packet) = netwhy_wire::parse(bytes) {
        let _ = packet.transport_checksum_ok();
        // A packet of this very address passes the filter of a probe that asked it.
        let _ = netwhy_probe::icmp::read(bytes, packet.ip.source, 7);
    }
    for target in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let _ = netwhy_probe::icmp::read(bytes, target, 7);
    }
    if let Ok(arp) = netwhy_wire::Arp::parse(bytes) {
        assert_eq!(netwhy_wire::Arp::parse(&arp.bytes()), Ok(arp));
    }
});
