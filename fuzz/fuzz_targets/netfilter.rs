//! Rules, sets, tables of iptables, ipsets, tracked connections and trace reports, as the kernel hands them over.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = netwhy_netfilter::take_apart(bytes);
    assert!(!text.chars().any(char::is_control));
});
