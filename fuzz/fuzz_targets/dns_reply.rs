//! DNS replies: read, matched to a question, and read again as a delegation.
#![no_main]

use hickory_proto::rr::RecordType;
use libfuzzer_sys::fuzz_target;
use netwhy_dns::{message, walk};

const NAME: &str = "shop.example.test";

fuzz_target!(|bytes: &[u8]| {
    let _ = message::answers_to(bytes, 7, NAME, RecordType::A);
    let Some(decoded) = message::read_reply(bytes) else { return };
    let reply = &decoded.reply;
    let _ = reply.addresses(NAME);
    let _ = message::chain_loops(&reply.chain(NAME));
    let _ = reply.negative_soa();
    for zone in [".", "test", "example.test"] {
        let _ = walk::referral(reply, zone, NAME);
        let _ = walk::delegation_of(reply, zone);
    }
});
