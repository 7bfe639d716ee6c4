//! Rules of a web application firewall, run over a request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_waf::{File, NoLibrary, Waf, exclusion, request};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let waf = Waf::load(&[File { name: "f".into(), text: text.clone().into_owned() }], &NoLibrary);
    let raw = b"POST /a?q=%3Cscript%3E&b=1' HTTP/1.1\r\nHost: a\r\nCookie: c=d\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\":[1]}";
    for request in request::requests("r", raw).requests {
        let answer = waf.ask(&request);
        assert!(answer.tripped.iter().all(|one| !one.matched.chars().any(char::is_control)));
        let _ = exclusion::plan(&waf, &request);
    }
});
