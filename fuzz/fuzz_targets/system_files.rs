//! The system's files that say how names are resolved, and the search list applied.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_dns::config::{ResolvConf, candidates, parse_hosts, parse_nsswitch};

fuzz_target!(|text: &str| {
    let conf = ResolvConf::parse(text, |name| u32::try_from(name.len()).ok());
    let name = text.lines().next().unwrap_or("shop");
    let _ = candidates(name, conf.search.as_deref().unwrap_or_default(), conf.ndots);
    let _ = parse_hosts(text, name);
    let _ = parse_nsswitch(text);
    let _ = netwhy_dns::message::parse_name(name);
    let _ = netwhy_dns::is_kind(name);
});
