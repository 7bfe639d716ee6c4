//! The configurations of proxies, their command lines, what haproxy says of its servers, and answers of resolvers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_host::upstream::{config_files, dns_answer, haproxy_states, parse_haproxy, parse_nginx};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for found in [parse_nginx(&text), parse_haproxy(&text)] {
        assert!(found.upstreams.len() <= 256 && found.frontends.len() <= 256 && found.unread.len() <= 16);
        for one in &found.upstreams {
            let names = [&one.server, &one.location, &one.file];
            let optional = [&one.name, &one.sni, &one.host_header, &one.host_sent, &one.check_path, &one.state];
            assert!(names.into_iter().chain(optional.into_iter().flatten()).chain(&one.sites).all(|text| plain(text)));
        }
        assert!(found.frontends.iter().flat_map(|one| &one.sites).all(|text| plain(text)));
        assert!(found.unread.iter().all(|gap| plain(&gap.what) && plain(&gap.why)));
    }
    let (first, second) = text.split_once('\n').unwrap_or((&text, "/usr/sbin/nginx"));
    assert!(config_files("nginx", first, second).len() <= 32 && config_files("haproxy", first, second).len() <= 32);
    assert!(haproxy_states(&text).iter().all(|((one, two), three)| plain(one) && plain(two) && plain(three)));
    let (asked, answer) = bytes.split_at(bytes.len().min(30));
    let _ = (dns_answer(answer, Some(asked)), dns_answer(bytes, None));
});

/// No control character reaches a terminal.
fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
