//! Packets as a watch captures and keeps them, and the tracepoint of dropped ones.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = netwhy_host::watch::take_apart(bytes);
});
