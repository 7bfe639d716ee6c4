//! HTTP response heads, dates and coded bodies.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = netwhy_http::parse_head(bytes);
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, br"] {
        let _ = netwhy_http::decode(coding, bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = netwhy_http::parse_date(text);
    }
});
