//! Configurations of nginx as people write them.

use super::super::parse_nginx;
use netwhy_model::host::Upstream;
use proptest::prelude::*;

fn only(text: &str) -> Upstream {
    let mut all = parse_nginx(text).upstreams;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn an_edge_before_an_origin() {
    let text = "events {} http { proxy_connect_timeout 3s;
        server { listen 443 ssl http2; listen [::]:443 ssl; listen 80; server_name shop.example.test *.b.test;
          location / { proxy_pass http://10.61.30.80:8080; proxy_set_header Host $host; proxy_read_timeout 1m30s; } } }";
    let found = parse_nginx(text);
    assert!(found.unread.is_empty());
    let one = only(text);
    assert_eq!(
        (one.listens.as_slice(), one.sites.as_slice()),
        (&[80, 443][..], &["shop.example.test".to_owned(), "*.b.test".into()][..])
    );
    assert_eq!(
        (one.server.as_str(), one.address),
        ("10.61.30.80:8080", Some("10.61.30.80:8080".parse().unwrap()))
    );
    assert_eq!((one.file.as_str(), one.line, one.location.as_str()), ("nginx.conf", 3, "/"));
    assert_eq!((one.host_header.as_deref(), one.host_sent.as_deref()), (Some("$host"), None));
    assert_eq!((one.connect_timeout_ms, one.read_timeout_ms), (Some(3_000), Some(90_000)));
    assert!(!one.tls && !one.raw && one.sni.is_none() && one.name.is_none());
    assert_eq!(found.frontends.len(), 3);
    assert!(found.frontends.iter().all(|f| f.is_default && f.tls == (f.port == 443)));
}

#[test]
fn the_host_header_is_the_origin_unless_set() {
    let one =
        only("http { server { location / { proxy_pass https://origin.test; proxy_ssl_server_name on; } } }");
    assert_eq!((one.server.as_str(), one.name.as_deref()), ("origin.test:443", Some("origin.test")));
    assert_eq!(
        (one.host_header.as_deref(), one.host_sent.as_deref()),
        (Some("$proxy_host"), Some("origin.test"))
    );
    assert_eq!((one.tls, one.sni.as_deref(), one.verify), (true, Some("origin.test"), false));
    let one = only(
        "http { server { location / { proxy_pass http://10.0.0.1:81; proxy_set_header Host b.internal; } } }",
    );
    assert_eq!((one.host_sent.as_deref(), one.listens.as_slice()), (Some("b.internal"), &[80][..]));
}

#[test]
fn a_name_in_the_hello_is_off_by_default_and_never_an_address() {
    let sni = |inner: &str| only(&format!("http {{ server {{ location / {{ {inner} }} }} }}")).sni;
    assert_eq!(sni("proxy_pass https://origin.test;"), None);
    assert_eq!(sni("proxy_pass https://10.0.0.1:8443; proxy_ssl_server_name on;"), None);
    assert_eq!(
        sni("proxy_pass https://10.0.0.1; proxy_ssl_server_name on; proxy_ssl_name a.test;").as_deref(),
        Some("a.test")
    );
    assert_eq!(
        sni("proxy_pass https://10.0.0.1; proxy_ssl_server_name on; proxy_ssl_name $host;").as_deref(),
        Some("$host")
    );
    assert_eq!(sni("proxy_pass http://origin.test; proxy_ssl_server_name on;"), None);
}

#[test]
fn groups_are_taken_apart() {
    let text = "http { upstream Pool { server 10.0.0.1 max_conns=5; server app_2:8000 down; server [::1]:81 backup;
          server unix:/run/a.sock; keepalive 16; }
        server { location / { proxy_pass http://pool/x; proxy_http_version 1.1; proxy_set_header Connection ''; } } }";
    let all = parse_nginx(text).upstreams;
    let seen: Vec<_> =
        all.iter().map(|u| (u.server.as_str(), u.disabled, u.backup, u.connections_max)).collect();
    assert_eq!(
        seen,
        [
            ("10.0.0.1:80", false, false, Some(5)),
            ("app_2:8000", true, false, None),
            ("[::1]:81", true, true, None),
            ("unix:/run/a.sock", false, false, None),
        ]
    );
    assert!(all.iter().all(|u| u.keepalive == 16 && u.host_sent.as_deref() == Some("pool")));
    assert_eq!(all[3].line, 2);
    let closing =
        "http { upstream p { server a; keepalive 16; } server { location / { proxy_pass http://p; } } }";
    assert_eq!(only(closing).keepalive, 0);
}

#[test]
fn variables_with_one_value_name_a_server() {
    let one =
        only("http { server { set $o origin.test; location / { proxy_pass http://$o:8080$request_uri; } } }");
    assert_eq!((one.server.as_str(), one.name.as_deref()), ("origin.test:8080", Some("origin.test")));
    let found = parse_nginx("http { server { location / { proxy_pass http://$back\n; } } }");
    assert_eq!(
        (found.upstreams[0].server.as_str(), found.unread[0].what.as_str()),
        ("$back:80", "nginx.conf:1")
    );
}

#[test]
fn locations_inside_and_beside() {
    let text = "http { server { listen 80; location /a { location /a/b { proxy_pass http://b; } proxy_pass http://a; }
        location ~ \\.php$ { fastcgi_pass unix:/run/php.sock; } location = /x { if ($a) { proxy_pass http://c; } }
        location @app { grpc_pass grpcs://d:50051; grpc_read_timeout 9; } } }";
    let all = parse_nginx(text).upstreams;
    let seen: Vec<_> =
        all.iter().map(|u| (u.location.as_str(), u.server.as_str(), u.host_header.is_some())).collect();
    assert_eq!(
        seen,
        [
            ("/a/b", "b:80", true),
            ("/a", "a:80", true),
            ("~ \\.php$", "unix:/run/php.sock", false),
            ("= /x", "c:80", true),
            ("@app", "d:50051", true),
        ]
    );
    assert!(all[4].tls && all[4].read_timeout_ms == Some(9_000));
}

#[test]
fn streams_pass_bytes_on() {
    let text =
        "stream { upstream o { server 10.0.0.2:443; } server { listen 443; proxy_pass o; proxy_protocol on; }
        server { listen 444; proxy_ssl on; proxy_pass 10.0.0.3:443; proxy_timeout 5s; } }";
    let all = parse_nginx(text).upstreams;
    assert!(all[0].raw && all[0].proxy_protocol && !all[0].tls && all[0].host_header.is_none());
    assert_eq!(all[0].read_timeout_ms, Some(600_000));
    assert!(!all[1].raw && all[1].tls && all[1].read_timeout_ms == Some(5_000));
}

#[test]
fn what_a_server_expects() {
    let text = "http { server { listen 8443 ssl default_server; server_name _; ssl_reject_handshake on; }
        server { listen 8080 proxy_protocol; listen 8443 ssl; server_name shop.test; root www; } }";
    let found = parse_nginx(text).frontends;
    let seen: Vec<_> =
        found.iter().map(|f| (f.port, f.tls, f.proxy_protocol, f.is_default, f.refuses_unnamed)).collect();
    assert_eq!(
        seen,
        [
            (8_443, true, false, true, true),
            (8_080, false, true, true, false),
            (8_443, true, false, false, false)
        ]
    );
}

#[test]
fn no_secret_leaves() {
    let text = "http { server { set $token hunter2; proxy_set_header Authorization \"Bearer hunter2\";
        auth_basic_user_file hunter2; location /a?key=hunter2 { proxy_pass http://me:hunter2@origin.test/?k=hunter2;
        health_check uri=/up?token=hunter2; } } }";
    let found = parse_nginx(text);
    assert_eq!(found.upstreams[0].server, "origin.test:80");
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(?s).{0,300}", words in proptest::collection::vec(prop_oneof![
        Just("http {"), Just("server {"), Just("location / {"), Just("upstream p {"), Just("}"), Just("if ($x) {"),
        Just("listen 443 ssl;"), Just("server 1.2.3.4:5 down;"), Just("proxy_pass http://p;"), Just("proxy_pass $a;"),
        Just("set $a $a$b;"), Just("set $b \"${a}\";"), Just("proxy_set_header Host $proxy_host;"), Just("include *;"),
        Just("proxy_pass https://[::1;"), Just("stream {"), Just("\""), Just("server_name ~x;"),
    ], 0..60)) {
        for text in [text, words.join(" ")] {
            let found = parse_nginx(&text);
            prop_assert!(found.upstreams.len() <= 256 && found.frontends.len() <= 256 && found.unread.len() <= 16);
            prop_assert!(!serde_json::to_string(&(found.upstreams, found.frontends)).unwrap().contains("\\u00"));
        }
    }
}
