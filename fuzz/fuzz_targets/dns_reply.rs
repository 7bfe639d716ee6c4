//! DNS replies, and the files of the system that name resolvers and hosts.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = netwhy_dns::message::read_reply(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = netwhy_dns::config::parse_hosts(text, "shop.example.test");
        let _ = netwhy_dns::config::parse_nsswitch(text);
    }
});
