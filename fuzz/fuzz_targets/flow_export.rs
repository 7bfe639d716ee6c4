//! Datagrams of NetFlow, IPFIX and sFlow: the input is cut into some, and decoded twice as of two exporters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_flows::Symbol;
use netwhy_flows::export::{Arrival, Decoder};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new(Arc::default());
    let mut flows = 0_u64;
    for port in [1, 2] {
        let exporter = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut rest = bytes;
        // The first byte says how long the datagram is, in steps of eight.
        while let Some((length, behind)) = rest.split_first() {
            let (datagram, behind) = behind.split_at(behind.len().min(usize::from(*length) * 8));
            let arrival = Arrival { exporter, at_ms: 0, file: Symbol::NONE, offset: 0 };
            let _ = decoder.datagram(&arrival, datagram, &mut |_| flows += 1);
            rest = behind;
        }
    }
    assert_eq!(decoder.counts().flows, flows);
});
