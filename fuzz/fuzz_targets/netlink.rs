//! What the kernel says over netlink: sockets, links, routes, rules, filters, IPsec policies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_netlink::{route, sock_diag, xfrm};

fuzz_target!(|bytes: &[u8]| {
    if let Some(socket) = sock_diag::parse_socket(bytes) {
        assert!(socket.congestion.is_none_or(|name| plain(name.as_str())));
        let _ = (socket.local_canonical(), socket.peer_canonical());
    }
    let _ = sock_diag::parse_tcp_info(bytes);
    if let Some(link) = route::parse_link(bytes) {
        assert!(plain(&link.name) && plain(&link.kind) && plain(&link.qdisc));
    }
    assert!(route::parse_address(bytes).is_none_or(|own| plain(&own.interface_name)));
    assert!(route::parse_rule(bytes).is_none_or(|rule| plain(&rule.to_string())));
    assert!(route::parse_route_entry(bytes).is_none_or(|entry| plain(&entry.to_string())));
    assert!(route::parse_qdisc(bytes).is_none_or(|qdisc| plain(&qdisc.kind)));
    assert!(route::parse_filter(bytes).is_none_or(|filter| plain(&filter.to_string())));
    assert!(xfrm::parse_policy(bytes).is_none_or(|policy| plain(&policy.to_string())));
    let _ = (route::parse_route(bytes), route::parse_neighbour(bytes));
});

/// No control character reaches a terminal.
fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
