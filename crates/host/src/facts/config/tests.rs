//! Configurations of a node and its origin in, what they say of each other out.

use super::super::dials;
use super::*;
use crate::upstream::{Proxies, parse_haproxy, parse_nginx};
use netwhy_model::host::{Listener, Transport, WatchSpec};
use proptest::prelude::*;

const SITE: Asked<'static> = Asked { site: "shop.test", path: "/" };
const ORIGIN: &str = "10.0.0.80:8080";

fn node(found: Proxies, onward: &[&str]) -> Record {
    Record {
        name: "edge".into(),
        vantage: Some(Vantage::Edge),
        spec: WatchSpec { port: 443, onward: true, ..WatchSpec::default() },
        onward: onward.iter().map(|to| to.parse().unwrap()).collect(),
        upstreams: found.upstreams,
        frontends: found.frontends,
        unread: found.unread,
        ..Record::default()
    }
}

fn nginx(location: &str) -> Record {
    let text =
        format!("http {{ server {{ listen 443 ssl; server_name shop.test; location / {{ {location} }} }} }}");
    node(parse_nginx(&text), &[])
}

fn origin(servers: &str) -> Record {
    let listener = |port: u16| Listener {
        transport: Transport::Tcp,
        address: SocketAddr::from(([0, 0, 0, 0], port)),
        v6_only: false,
        interface: None,
        queue: 0,
        queue_max: 128,
        half_open: 0,
        drops: None,
        inode: 0,
        pids: Vec::new(),
    };
    Record {
        name: "origin".into(),
        vantage: Some(Vantage::Origin),
        own_addresses: vec![IpAddr::from([10, 0, 0, 80])],
        frontends: parse_nginx(&format!("http {{ {servers} }}")).frontends,
        listeners: vec![listener(8_080), listener(8_443)],
        ..Record::default()
    }
}

/// The values of `edge.dials` and `edge.config`.
fn values(node: &Record, origin: Option<&Record>, asked: Asked<'_>) -> (String, String) {
    let (all, _) = dials(node, origin, None, Some(asked), Stamp::default());
    let of = |fact: &str| {
        let found = all.iter().find(|one| one.fact == fact);
        found.map(|one| one.value.clone()).unwrap_or_default()
    };
    (of("edge.dials"), of("edge.config"))
}

fn config_of(node: &Record, origin: Option<&Record>) -> String {
    values(node, origin, SITE).1
}

#[test]
fn what_the_configuration_alone_says() {
    for (location, value) in [
        ("proxy_pass http://10.0.0.80:8080; proxy_set_header Host $host;", "fits"),
        ("proxy_pass http://10.0.0.80:8080; proxy_set_header Host Shop.test:443;", "fits"),
        ("proxy_pass http://10.0.0.80:8080; proxy_set_header Host backend.internal;", "host_differs"),
        ("proxy_pass http://10.0.0.80:8080;", "host_differs"),
        ("proxy_pass https://10.0.0.80:8443; proxy_set_header Host $http_host;", "no_sni"),
        (
            "proxy_pass https://10.0.0.80:8443; proxy_set_header Host $host; proxy_ssl_server_name on; proxy_ssl_name $host;",
            "fits",
        ),
        // What the visitor decides is not known.
        ("proxy_pass http://10.0.0.80:8080; proxy_set_header Host $http_x_site;", ""),
        ("return 200;", ""),
    ] {
        assert_eq!(config_of(&nginx(location), None), value, "{location}");
    }
}

#[test]
fn what_the_origin_expects_decides() {
    let plain = origin(
        "server { listen 8080; server_name shop.test origin.test; } server { listen 8443 ssl; server_name shop.test; }",
    );
    for (location, value) in [
        ("proxy_pass http://10.0.0.80:8443; proxy_set_header Host $host;", "plain_to_tls"),
        ("proxy_pass https://10.0.0.80:8080; proxy_set_header Host $host;", "tls_to_plain"),
        // One site alone needs no name, and takes any.
        ("proxy_pass https://10.0.0.80:8443; proxy_set_header Host $host;", "fits"),
        ("proxy_pass http://10.0.0.80:8080; proxy_set_header Host origin.test;", "fits"),
        ("proxy_pass http://10.0.0.80:8080;", "fits"),
        // Nothing is known of a port nobody configured.
        ("proxy_pass https://10.0.0.80:9; proxy_set_header Host $host;", "no_sni"),
    ] {
        assert_eq!(config_of(&nginx(location), Some(&plain)), value, "{location}");
    }
    let strict = origin(
        "server { listen 8443 ssl default_server; server_name _; ssl_reject_handshake on; }
         server { listen 8080 default_server; server_name _; return 404; }
         server { listen 8080; listen 8443 ssl; server_name shop.test; }",
    );
    let unnamed = nginx("proxy_pass https://10.0.0.80:8443; proxy_set_header Host $host;");
    assert_eq!(config_of(&unnamed, Some(&strict)), "no_sni");
    assert_eq!(config_of(&nginx("proxy_pass http://10.0.0.80:8080;"), Some(&strict)), "host_differs");
    let header = origin("server { listen 8080 proxy_protocol; server_name shop.test; }");
    let without = nginx("proxy_pass http://10.0.0.80:8080; proxy_set_header Host $host;");
    assert_eq!(config_of(&without, Some(&header)), "no_proxy_header");
    // IPv6 alone expects it.
    let other = origin("server { listen 8080; listen [::]:8080 proxy_protocol; server_name shop.test; }");
    assert_eq!(config_of(&without, Some(&other)), "fits");
}

fn haproxy(rest: &str) -> Record {
    node(
        parse_haproxy(&format!(
            "defaults\n mode http\nfrontend web\n bind :443 ssl crt x\n default_backend apps\nbackend apps\n{rest}"
        )),
        &[],
    )
}

#[test]
fn a_balancer_without_servers() {
    assert_eq!(config_of(&haproxy(""), None), "no_backend");
    assert_eq!(config_of(&haproxy(" server a 10.0.0.80:8080 disabled\n"), None), "no_backend");
    assert_eq!(config_of(&haproxy(" server a 10.0.0.80:8080 backup\n"), None), "fits");
    assert_eq!(
        config_of(&haproxy(" server a 10.0.0.80:8080\n server b 10.0.0.81:8080 disabled\n"), None),
        "fits"
    );
    assert_eq!(config_of(&haproxy(" server a 10.0.0.80:8080 send-proxy\n"), None), "proxy_header");
    let taken = origin("server { listen 8080 proxy_protocol; }");
    assert_eq!(config_of(&haproxy(" server a 10.0.0.80:8080 send-proxy\n"), Some(&taken)), "fits");
    // Servers that disagree say nothing together, unless one is really asked.
    let mixed = " server a 10.0.0.80:8080\n server b 10.0.0.81:8080 send-proxy\n";
    assert_eq!(config_of(&haproxy(mixed), None), "");
    let mut asked = haproxy(mixed);
    asked.onward = vec!["10.0.0.81:8080".parse().unwrap()];
    assert_eq!(config_of(&asked, None), "proxy_header");
}

#[test]
fn bytes_passed_on_are_no_plain_http() {
    let text = "frontend web\n bind :443\n default_backend apps\nbackend apps\n server a 10.0.0.80:8443\n";
    let tls = origin("server { listen 8443 ssl; server_name shop.test; }");
    assert_eq!(config_of(&node(parse_haproxy(text), &[]), Some(&tls)), "fits");
}

#[test]
fn the_site_and_path_asked_for_choose() {
    let text = "http {
      server { listen 443 ssl; server_name other.test; location / { proxy_pass http://a; proxy_set_header Host x; } }
      server { listen 443 ssl; server_name *.test; location / { proxy_pass http://b; proxy_set_header Host $host; }
               location /api { proxy_pass http://c; proxy_set_header Host y; } }
      server { listen 444 ssl; server_name shop.test; location / { proxy_pass http://d; proxy_set_header Host z; } } }";
    let record = node(parse_nginx(text), &[]);
    let value = |site, path| values(&record, None, Asked { site, path }).1;
    assert_eq!(value("shop.test", "/"), "fits");
    assert_eq!(value("shop.test:443", "/api/x?y"), "host_differs");
    assert_eq!(value("other.test", "/api"), "host_differs");
    // The first server takes what nobody names.
    assert_eq!(value("unknown.example", "/"), "host_differs");
    let regular = "http { server { listen 443; server_name ~^x$; location / { proxy_pass http://a; } } }";
    assert_eq!(config_of(&node(parse_nginx(regular), &[]), None), "");
}

#[test]
fn a_name_that_moved() {
    let mut edge = nginx("proxy_pass http://origin.test:8080; proxy_set_header Host $host;");
    edge.onward = vec!["192.0.2.9:443".parse().unwrap(), "10.0.0.81:8080".parse().unwrap()];
    edge.upstreams[0].resolves_to = vec![IpAddr::from([10, 0, 0, 80])];
    let here = origin("");
    assert_eq!(values(&edge, Some(&here), SITE), ("old_name".into(), "fits".into()));
    // The user's word stands in for the origin's.
    let named = Some(ORIGIN.parse().unwrap());
    let (all, to) = dials(&edge, None, named, Some(SITE), Stamp::default());
    assert_eq!((all[0].value.as_str(), to), ("old_name", Some("10.0.0.81:8080".parse().unwrap())));
    assert!(
        dials(&edge, None, None, Some(SITE), Stamp::default()).0.iter().all(|one| one.fact != "edge.dials")
    );
    edge.onward = vec![ORIGIN.parse().unwrap()];
    assert_eq!(values(&edge, Some(&here), SITE).0, "origin");
    // A name nobody resolves says nothing.
    edge.upstreams[0].resolves_to.clear();
    edge.onward = vec!["10.0.0.81:8080".parse().unwrap()];
    assert_eq!(values(&edge, Some(&here), SITE).0, "other_address");
    edge.unread.push(netwhy_model::host::Unread {
        what: "x".into(),
        why: CHANGED_SINCE.into(),
        root_helps: false,
    });
    assert_eq!(values(&edge, Some(&here), SITE).1, "");
}

#[test]
fn names_and_paths_fit_as_nginx_chooses() {
    assert!(site_fit("a.test", "a.test") > site_fit("*.test", "a.test"));
    assert!(site_fit("*.test", "a.test") > site_fit("a.*", "a.test"));
    assert!(site_fit(".a.test", "a.test").is_some() && site_fit("*.a.test", "a.test").is_none());
    assert!(site_fit("a.*", "ab.test").is_none() && site_fit("*.test", "atest").is_none());
    assert_eq!(path_fit("= /", "/?x"), Some(Some(usize::MAX)));
    assert_eq!(
        (path_fit("^~ /a", "/ab"), path_fit("/b", "/a"), path_fit("~* x", "/x")),
        (Some(Some(2)), Some(None), None)
    );
    assert_eq!(
        (bare("[::1]:80"), bare("A.test.:80"), bare("::1")),
        ("::1".into(), "a.test".into(), "::1".into())
    );
}

proptest! {
    #[test]
    fn any_names_are_compared(own in any::<String>(), site in any::<String>(), stars in "[*.a~]{0,6}") {
        for (own, site) in [(&own, &site), (&stars, &site), (&stars, &own)] {
            let _ = (site_fit(own, site), path_fit(own, site), bare(own));
        }
    }
}
