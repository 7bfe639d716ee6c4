//! Rules of nftables as text and as JSON; the first line says which, and files include themselves.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_policy::netfilter::nft::{read_json, read_text_with};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let file = "fuzz".into();
    let ruleset = if text.trim_start().starts_with('{') {
        read_json(&file, &text)
    } else {
        read_text_with(&file, &text, &|_| Some(text.clone().into_owned()))
    };
    let strange = |text: &str| text.contains(char::is_control);
    assert!(ruleset.unread.iter().all(|unread| !strange(&unread.text)));
    for table in &ruleset.tables {
        assert!(!strange(&table.name) && table.sets.iter().all(|set| !strange(&set.name)));
        for chain in &table.chains {
            assert!(!strange(&chain.name));
            assert!(chain.rules.iter().all(|rule| !strange(&rule.text)));
        }
    }
});
