//! The first flight of a TLS server, and stapled OCSP answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let sniffed = netwhy_tls::flight::sniff(bytes);
    let flight = netwhy_tls::flight::parse(bytes);
    assert_eq!(flight.plain, sniffed);
    for certificate in &flight.chain {
        let _ = netwhy_tls::chain::ParsedCertificate::parse(certificate);
    }
    let _ = netwhy_tls::chain::parse_staple(bytes);
});
