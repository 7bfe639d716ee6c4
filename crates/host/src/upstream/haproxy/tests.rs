//! Configurations of haproxy as people write them.

use super::super::parse_haproxy;
use proptest::prelude::*;

const DEFAULTS: &str = "
defaults
    mode http
    timeout connect 2s
    timeout client 20s
    timeout server 20s
";

fn seen(rest: &str) -> Vec<netwhy_model::host::Upstream> {
    parse_haproxy(&format!("{DEFAULTS}{rest}")).upstreams
}

#[test]
fn a_balancer_before_two_servers() {
    let text = "frontend web\n bind :::443 v4v6 ssl crt x.pem alpn h2,http/1.1\n bind :::80 v4v6\n default_backend apps
backend apps
 option httpchk GET /health?key=hunter2
 default-server check inter 200ms fall 1 rise 1
 server app1 10.61.50.11:8000
 server app2 app2.test:8000 ssl verify none sni str(shop.test) send-proxy-v2 maxconn 1 backup\n";
    let all = seen(text);
    assert_eq!(all.len(), 2);
    let (one, two) = (&all[0], &all[1]);
    assert_eq!(
        (one.listens.as_slice(), one.server.as_str(), one.line),
        (&[80, 443][..], "10.61.50.11:8000", 14)
    );
    assert_eq!((one.connect_timeout_ms, one.read_timeout_ms), (Some(2_000), Some(20_000)));
    assert_eq!((one.check_path.as_deref(), one.check_interval_ms), (Some("/health?***"), Some(200)));
    assert!(!one.raw && !one.tls && !one.disabled && one.keepalive == u32::MAX && one.host_header.is_none());
    assert_eq!(
        (two.name.as_deref(), two.sni.as_deref(), two.connections_max),
        (Some("app2.test"), Some("shop.test"), Some(1))
    );
    assert!(two.tls && !two.verify && two.proxy_protocol && two.backup && two.disabled);
    let fronts = parse_haproxy(text).frontends;
    assert_eq!(fronts.iter().map(|f| (f.port, f.tls)).collect::<Vec<_>>(), [(443, true), (80, false)]);
}

#[test]
fn an_empty_backend_shows() {
    let all = seen("frontend web\n bind :443\n default_backend apps\nbackend apps\n");
    assert_eq!((all.len(), all[0].server.as_str(), all[0].listens.as_slice()), (1, "", &[443][..]));
    assert_eq!(seen("frontend web\n bind :443\n").len(), 1);
    assert_eq!(seen("listen web\n bind :443\n").len(), 1);
    let answering =
        "frontend web\n bind :80\n redirect scheme https\nlisten stats\n bind :81\n stats enable\n";
    assert!(seen(answering).is_empty());
}

#[test]
fn conditions_are_told_apart() {
    let text = "frontend web\n bind :443\n use_backend a if { path /a }\n use_backend %[req.hdr(x)]\n default_backend b
backend a\n server a 10.0.0.1:1\nbackend b\n server b 10.0.0.2:2\nbackend c\n server c 10.0.0.3:3\n";
    let all = seen(text);
    let shown: Vec<_> = all.iter().map(|u| (u.server.as_str(), u.location.as_str())).collect();
    let condition = "~ use_backend";
    assert_eq!(shown, [("10.0.0.2:2", condition), ("10.0.0.1:1", condition), ("10.0.0.3:3", condition)]);
    let found = parse_haproxy(&format!("{DEFAULTS}frontend web\n bind :1\n default_backend nowhere\n"));
    assert_eq!(found.unread[0].what, "haproxy.cfg:7");
}

#[test]
fn settings_come_from_the_right_defaults() {
    let text = "defaults base\n mode http\n timeout server 5s\ndefaults\n mode tcp\n option tcp-check
listen a from base\n bind :1\n http-request set-header Host inner.test\n server x 10.0.0.1:1 check\n
listen b\n bind :2 accept-proxy\n server x 10.0.0.1 check weight 0\n";
    let found = parse_haproxy(text);
    let (a, b) = (&found.upstreams[0], &found.upstreams[1]);
    assert_eq!((a.raw, a.read_timeout_ms, a.host_sent.as_deref()), (false, Some(5_000), Some("inner.test")));
    assert_eq!((b.raw, b.read_timeout_ms, b.server.as_str(), b.disabled), (true, None, "10.0.0.1:2", true));
    assert_eq!((b.check_path.as_deref(), b.check_interval_ms, b.keepalive), (Some(""), Some(2_000), 0));
    assert!(found.frontends[1].proxy_protocol);
}

#[test]
fn a_header_under_a_condition_is_not_sure() {
    let host = |line: &str| {
        let one = seen(&format!(
            "frontend w\n bind :1\n default_backend b\nbackend b\n {line}\n server a 10.0.0.1:1\n"
        ))
        .remove(0);
        (one.host_header, one.host_sent)
    };
    assert_eq!(host("http-request set-header Host a.test if { path / }").1, None);
    assert_eq!(host("http-request set-header Host %[req.hdr(x)]"), (Some("%[req.hdr(x)]".into()), None));
    assert_eq!(host("http-request set-header host a.test").1.as_deref(), Some("a.test"));
}

#[test]
fn no_secret_leaves() {
    let text = "global\n stats socket /run/h.sock level admin\nuserlist u\n user me password hunter2
listen a\n bind :1\n stats auth me:hunter2\n http-request set-header Authorization hunter2
 option httpchk\n http-check send meth GET uri /up?t=hunter2 hdr Authorization hunter2\n server a 10.0.0.1:1 check crt hunter2\n";
    let found = parse_haproxy(&format!("{DEFAULTS}{text}"));
    assert_eq!(found.upstreams[0].check_path.as_deref(), Some("/up?***"));
    assert!(!format!("{found:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(?s).{0,300}", lines in proptest::collection::vec(prop_oneof![
        Just("defaults"), Just("defaults d from d"), Just("frontend f"), Just("backend b"), Just("listen l :80"), Just("global"),
        Just("bind :1-9,:::80 v4v6 ssl"), Just("default_backend b"), Just("use_backend %[x]"), Just("use_backend l if x"),
        Just("server a 10.0.0.1:+1 check"), Just("server-template a 1-9 b.test"), Just("dispatch ::1:80"), Just("mode http"),
        Just("option httpchk"), Just("http-check send uri"), Just("default-server sni"), Just("timeout server 99999999999d"),
    ], 0..40)) {
        for text in [text, lines.join("\n")] {
            let found = parse_haproxy(&text);
            prop_assert!(found.upstreams.len() <= 256 && found.frontends.len() <= 256 && found.unread.len() <= 16);
            prop_assert!(!serde_json::to_string(&(found.upstreams, found.frontends)).unwrap().contains("\\u00"));
        }
    }
}
