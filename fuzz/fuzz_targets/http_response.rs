//! HTTP response heads, what a page says, dates and coded bodies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_http::HeadParse;

fuzz_target!(|bytes: &[u8]| {
    if let HeadParse::Whole(head, used) = netwhy_http::parse_head(bytes) {
        let body = &bytes[used..];
        for expected in [false, true] {
            let _ = netwhy_http::sign(&head, body, expected);
        }
        let _ = netwhy_http::writer(&head, body);
    }
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, br"] {
        let _ = netwhy_http::decode(coding, bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = netwhy_http::parse_date(text);
        let _ = netwhy_http::title(text);
        let _ = netwhy_http::decode(text.lines().next().unwrap_or_default(), bytes);
    }
});
