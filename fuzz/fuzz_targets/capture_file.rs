//! Captures, whole and in pieces, as traffic and as what exporters sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_flows::Flow;
use netwhy_flows::dump::{self, DumpCount, Kind};
use std::io::Read;
use std::sync::Arc;

/// Gives bytes in pieces of seven.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = into.len().min(7);
        self.0.read(&mut into[..length])
    }
}

fn read(kind: Kind, input: impl Read) -> Option<(Vec<Flow>, DumpCount)> {
    let mut flows = Vec::new();
    let count = dump::read(kind, &Arc::default(), "x", input, &mut |batch| flows.extend(batch)).ok()?;
    Some((flows, count))
}

fuzz_target!(|bytes: &[u8]| {
    let _ = dump::sniff(bytes);
    let whole = read(Kind::Capture, bytes);
    if let Some((flows, count)) = &whole {
        assert_eq!(flows.iter().map(|flow| flow.packets).sum::<u64>(), count.in_flows);
        assert!(count.in_flows + count.passed_over + count.unread.unread >= count.seen);
    }
    assert_eq!(whole, read(Kind::Capture, Pieces(bytes)));
    let _ = read(Kind::CapturedExport, bytes);
});
