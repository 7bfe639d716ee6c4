//! Flow logs of the clouds: text, JSON and gzip, whatever their bytes say they are; cut up they are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_flows::{Action, Names};
use netwhy_flows::read::{Format, Limits, Reader, Records, Wanted, sniff};
use std::io::Read;
use std::sync::Arc;

const FORMATS: [Format; 6] = [
    Format::AwsText,
    Format::AwsJson,
    Format::AzureJson,
    Format::GcpJson,
    Format::AliyunJson,
    Format::AliyunText,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let mut reader = Reader::new(Arc::new(Names::default()));
    reader.format = FORMATS.get(*first as usize % 8).copied().or_else(|| sniff("f", bytes));
    reader.limits = Limits { unpacked_bytes_max: 4 << 20, line_bytes_max: 4 << 10, ..Limits::default() };
    let read = |input: &mut (dyn Read + Send)| {
        let mut flows = Vec::new();
        let done = reader.read("f", input, &mut |block| flows.extend(block.flows));
        let count = done.unwrap_or_else(|error| error.count);
        (flows, count)
    };
    let (flows, count) = read(&mut &*bytes);
    assert_eq!(count.read, flows.len() as u64);
    for place in count.places.values().flatten() {
        let texts = [&place.excerpt, &place.why.en, &place.why.zh];
        assert!(!texts.iter().any(|text| text.contains(char::is_control)));
    }
    // Some records are the same records, but for what in those left out is not looked at.
    let mut some = reader.clone();
    some.wanted = Wanted::ALL.of(Records { action: Some(Action::Reject), ..Records::default() });
    let mut rejected = Vec::new();
    let _ = some.read("f", bytes, &mut |block| rejected.extend(block.flows));
    assert!(rejected.iter().eq(flows.iter().filter(|flow| flow.action == Action::Reject)));
    let middle = bytes.len() / 2;
    assert_eq!(read(&mut (&bytes[..middle]).chain(&bytes[middle..])), (flows, count));
});
