//! Saved cases, targets, expectations and headers a user writes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = netwhy_model::SavedCase::parse(text);
    let _ = text.parse::<netwhy_model::Target>();
    let _ = netwhy_model::Expect::default().add(text);
    let _ = netwhy_model::Header::parse(text);
    let _ = netwhy_model::Origin::parse(text);
});
