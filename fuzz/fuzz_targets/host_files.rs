//! Files of /proc and /etc, output of service managers, and log lines, as a look at a host reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Files are read whatever their bytes, as here.
    let _ = netwhy_host::take_apart(&String::from_utf8_lossy(bytes));
});
