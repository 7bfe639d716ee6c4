//! Packets as the receive ring of a port scan hands them over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_scan::raw::{Answer, read_answer};

fuzz_target!(|bytes: &[u8]| {
    match read_answer(bytes) {
        // A packet long enough for its headers is there, whatever it says.
        Some(Answer::Segment(_)) => assert!(bytes.len() >= 40),
        Some(Answer::Refusal(_) | Answer::Echo { .. }) => assert!(bytes.len() >= 28),
        None => {}
    }
});
