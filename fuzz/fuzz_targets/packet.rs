//! Packets and ARP frames from the wire.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = netwhy_wire::parse(bytes);
    let _ = netwhy_wire::Arp::parse(bytes);
});
