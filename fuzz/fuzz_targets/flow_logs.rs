//! Lines of access, error, authentication and audit logs, the journal's export format, and the detectors on them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_flows::Names;
use netwhy_flows::detect::logs::LogDetectors;
use netwhy_flows::logs::{Clock, LogReader, Options, sniff};
use std::sync::Arc;

fuzz_target!(|bytes: &[u8]| {
    let names = Arc::new(Names::default());
    let options =
        Options { clock: Clock { latest_ms: 1_772_323_200_000, zone_minutes: 60 }, ..Options::default() };
    let _ = sniff("access.log", bytes);
    let reader = LogReader::new(names.clone(), options);
    let mut detectors = LogDetectors::new(names);
    let mut alone = Vec::new();
    let count =
        reader.read("a", bytes, &mut |mut events| alone.append(&mut events)).expect("memory can be read");
    for event in &alone {
        assert!(!event.excerpt().chars().any(char::is_control));
        detectors.event(event);
    }
    for alert in detectors.finish() {
        assert!((0.0..=1.0).contains(&alert.confidence));
        assert!(!alert.why.chars().any(char::is_control));
    }
    // However the file is cut among workers, the result is the same.
    let mut together = Vec::new();
    let reader = LogReader { workers: 2, ..reader };
    let again =
        reader.read("a", bytes, &mut |mut events| together.append(&mut events)).expect("memory can be read");
    assert_eq!((alone, count), (together, again));
});
