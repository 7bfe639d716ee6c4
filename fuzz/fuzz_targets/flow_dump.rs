//! Files of nfcapd, texts of nfdump, datagrams one behind another.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_flows::dump::{self, Kind};
use std::sync::Arc;

fuzz_target!(|bytes: &[u8]| {
    let _ = dump::sniff(bytes);
    for kind in [Kind::Export, Kind::Nfcapd, Kind::NfdumpText] {
        let Ok(count) = dump::read(kind, &Arc::default(), "x", bytes, &mut |_| ()) else { continue };
        for place in count.unread.places.values().flatten() {
            let texts = [&place.excerpt, &place.why.en, &place.why.zh];
            assert!(texts.iter().all(|text| !text.chars().any(char::is_control)));
        }
    }
});
