//! DNSSEC material out of three hostile replies: DS, DNSKEY and the answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_dns::dnssec::{Material, validate};
use netwhy_dns::message::read_reply;

const NOW_S: u32 = 1_800_000_000;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Some((second, rest)) = rest.split_first() else { return };
    let (ds, rest) = rest.split_at(rest.len().min(usize::from(*first) * 4));
    let (keys, answer) = rest.split_at(rest.len().min(usize::from(*second) * 4));
    for insist in [false, true] {
        let material = Material {
            ds: read_reply(ds),
            keys: read_reply(keys),
            answers: read_reply(answer).into_iter().collect(),
            insist,
        };
        let _ = validate("example.test", &material, NOW_S);
    }
});
