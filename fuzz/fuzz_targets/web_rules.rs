//! What nginx and haproxy are told to stop.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_waf::{File, NoLibrary, haproxy::Haproxy, nginx::Nginx, request};

fuzz_target!(|bytes: &[u8]| {
    let files = [File { name: "f".into(), text: String::from_utf8_lossy(bytes).into_owned() }];
    let (nginx, haproxy) = (Nginx::load(&files, &NoLibrary), Haproxy::load(&files, &NoLibrary));
    assert!(nginx.unread().iter().chain(haproxy.unread()).all(|one| !one.text.chars().any(char::is_control)));
    for request in request::requests("r", b"GET /a/../b?q=1 HTTP/1.1\r\nHost: a.example\r\nCookie: c=d\r\n\r\n").requests {
        let _ = (nginx.ask(&request), haproxy.ask(&request));
    }
});
