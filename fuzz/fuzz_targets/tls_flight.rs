//! The first flight of a TLS server, and stapled OCSP answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = netwhy_tls::flight::parse(bytes);
    let _ = netwhy_tls::chain::parse_staple(bytes);
});
