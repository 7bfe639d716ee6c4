//! Certificates in DER.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = netwhy_tls::chain::ParsedCertificate::parse(bytes);
});
