//! Requests in any form, with bodies of any kind, asked of a firewall.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_waf::{File, NoLibrary, Waf, request};

const RULES: &str = "SecRule ARGS|ARGS_NAMES|XML:/*|XML://@*|FILES|MULTIPART_PART_HEADERS|REQUEST_COOKIES \"@detectXSS\" \
    \"id:1,phase:2,pass,t:urlDecodeUni,t:htmlEntityDecode,t:jsDecode,t:cssDecode,t:removeNulls\"
SecRule ARGS|REQUEST_BODY|REQUEST_HEADERS \"@detectSQLi\" \"id:2,phase:2,pass,t:cmdLine,t:normalizePath,t:replaceComments,t:base64Decode\"";

fuzz_target!(|bytes: &[u8]| {
    let waf = Waf::load(&[File { name: "f".into(), text: RULES.into() }], &NoLibrary);
    let read = request::requests("r", bytes);
    assert!(read.unread.iter().all(|one| !one.text.chars().any(char::is_control)));
    for request in read.requests.iter().take(8) {
        let _ = waf.ask(request);
    }
});
