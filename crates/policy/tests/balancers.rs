//! Load balancers of every kind read into one model, and what is wrong with them.
#![allow(clippy::expect_used, reason = "helpers of tests may fail loudly")]

use netwhy_policy::balancer::{
    Answer, Balancer, Balancers, Check, Checkers, Kind, Known, Protocol, aliyun, aws, faults, gcp, haproxy,
    nginx, nginx_files, terraform,
};
use netwhy_policy::doc::{Node, json};
use netwhy_policy::estate::{Ask, End};
use netwhy_policy::world::{Source, World};
use proptest::prelude::*;
use std::sync::Arc;

fn none(_: &str) -> Vec<(Arc<str>, String)> {
    Vec::new()
}

fn only(read: Balancers) -> Balancer {
    assert!(read.unread.is_empty(), "{:?}", read.unread);
    assert_eq!(read.balancers.len(), 1);
    read.balancers.into_iter().next().expect("one balancer")
}

fn documents(texts: &[(&str, &str)]) -> Vec<Node> {
    let read = |(name, text): &(&str, &str)| {
        let read = json(&(*name).into(), text);
        assert!(read.unread.is_empty(), "{:?}", read.unread);
        read.documents
    };
    texts.iter().flat_map(read).collect()
}

/// Every finding as `kind line`.
fn kinds(balancer: &Balancer, known: &Known) -> Vec<String> {
    faults(balancer, known).iter().map(|one| format!("{} {}", one.kind, one.place.line)).collect()
}

#[test]
fn nginx_upstreams_servers_and_what_passes_where_are_read() {
    let text = include_str!("balancer/nginx.conf");
    let empty = |_: &str| vec![("conf.d/empty.conf".into(), String::new())];
    let balancer = only(nginx(&"nginx.conf".into(), text, &empty));
    let web = balancer.pool("web").expect("web");
    assert_eq!(web.members.len(), 4);
    assert_eq!((web.members[0].port, web.members[1].weight), (Some(8080), 3));
    assert!(web.members[2].down.is_some() && web.members[3].backup);
    assert_eq!(
        (web.health.check, web.health.fall, web.health.interval_s),
        (Check::Passive, Some(1), Some(5.0))
    );
    let shop = &balancer.listeners[0];
    assert_eq!((shop.port, shop.protocol, shop.pools.len()), (Some(80), Protocol::Http, 2));
    assert_eq!(balancer.pool("10.2.0.1").expect("alone").protocol, Some(Protocol::Https));
    let db = balancer.listeners.iter().find(|one| one.port == Some(5432)).expect("stream");
    assert_eq!((db.protocol, db.pools.as_slice()), (Protocol::Tcp, &["db".to_owned()][..]));
    assert_eq!(
        kinds(&balancer, &Known::default()),
        ["health-threshold 11", "member-down 13", "pool-unused 16", "pool-down 17", "listener-empty 32"]
    );
}

#[test]
fn files_of_nginx_are_joined_by_what_they_include() {
    let files = [
        ("etc/nginx/conf.d/web.conf", "upstream web { server a:80; server b:80; }"),
        (
            "etc/nginx/nginx.conf",
            "events {} http { include /etc/nginx/conf.d/*.conf; server { location / { proxy_pass http://web; } } }",
        ),
        ("lone/site.conf", "server { listen 81; location / { proxy_pass http://web; } }"),
        ("part.conf", "http { include gone/*.conf; upstream u { server a; server b; } }"),
    ];
    let files: Vec<(Arc<str>, &str)> = files.iter().map(|(name, text)| ((*name).into(), *text)).collect();
    let read = nginx_files(&files);
    assert!(read.unread.is_empty(), "{:?}", read.unread);
    let pools: Vec<usize> = read.balancers.iter().map(|one| one.pools[0].members.len()).collect();
    assert_eq!(pools, [2, 2, 1], "the upstream of conf.d is the one of the main file only");
    assert_eq!(kinds(&read.balancers[0], &Known::default()), [""; 0]);
    assert_eq!(
        kinds(&read.balancers[1], &Known::default()),
        [""; 0],
        "what uses it may be in a file not given"
    );
}

#[test]
fn nginx_active_checks_are_read_in_both_forms() {
    let text = "upstream a { server h1:443; server h2:443; check interval=3000 rise=1 fall=5 timeout=4000 type=http;
check_http_send \"GET /x HTTP/1.1\\r\\n\\r\\n\"; check_http_expect_alive http_2xx; }
upstream b { zone b 64k; server h3:80; server h4:80; }
match well { status 200; body ~ ok; }
server { listen 443 ssl; location / { proxy_pass https://a; }
location /b { proxy_pass http://b; health_check interval=5 fails=2 passes=2 uri=/h match=well port=81; proxy_set_header Host b.example; proxy_read_timeout 5s; } }";
    let balancer = only(nginx(&"plus.conf".into(), text, &none));
    let a = &balancer.pool("a").expect("a").health;
    assert_eq!((a.check, a.path.as_deref(), a.version.as_deref()), (Check::Http, Some("/x"), Some("1.1")));
    assert_eq!(a.detection_s(), Some(19.0));
    let b = &balancer.pool("b").expect("b").health;
    assert_eq!(
        (b.host.as_deref(), b.port, b.expected.as_slice()),
        (Some("b.example"), Some(81), &[(200, 200)][..])
    );
    assert_eq!(b.unmodelled.len(), 1);
    assert_eq!(
        kinds(&balancer, &Known::default()),
        [
            "health-detection 1",
            "health-host 1",
            "health-protocol 1",
            "health-threshold 1",
            "health-timeout 1",
            "health-detection 6",
            "health-port 6",
            "health-timeout 6"
        ]
    );
}

#[test]
fn haproxy_sections_defaults_and_checks_are_read() {
    let text = include_str!("balancer/haproxy.cfg");
    let balancer = only(haproxy(&"haproxy.cfg".into(), text));
    assert_eq!(balancer.listeners.len(), 6);
    let web = balancer.pool("web").expect("web");
    assert_eq!((web.health.check, web.health.path.as_deref()), (Check::Http, Some("/health")));
    assert_eq!(
        (web.health.interval_s, web.health.fall, web.health.timeout_s),
        (Some(3.0), Some(1), Some(5.0))
    );
    let own = web.members[1].health.as_ref().expect("a check of its own");
    assert_eq!((own.port, own.interval_s), (Some(9000), Some(10.0)));
    let api = balancer.pool("api").expect("api");
    assert_eq!((api.health.check, api.health.host.as_deref()), (Check::Https, Some("api.example")));
    assert_eq!(api.health.expected, [(200, 204)]);
    let db = balancer.pool("db").expect("db");
    assert_eq!((db.health.check, db.health.detection_s()), (Check::Tcp, Some(2.0 + 2.0 * 0.5 + 5.0)));
    let found = kinds(&balancer, &Known::default());
    for wanted in [
        "health-host 23",
        "health-timeout 23",
        "health-threshold 23",
        "health-port 24",
        "pool-weight 25",
        "pool-backup-only 31",
        "pool-no-check 31",
        "pool-unused 31",
        "pool-empty 34",
    ] {
        assert!(found.iter().any(|one| one == wanted), "{wanted} is not among {found:?}");
    }
    assert!(!found.iter().any(|one| one.starts_with("listener-")), "{found:?}");
}

#[test]
fn evidence_of_the_members_tells_redirects_missing_paths_and_closed_ports() {
    let text = "listen w\n bind :80\n mode http\n option httpchk GET /\n http-check expect status 200\n server a h:80 check\n server b h:81 check\n";
    let balancer = only(haproxy(&"h.cfg".into(), text));
    let answer = |status, location: Option<&str>| Answer {
        port: Some(80),
        path: "/".to_owned(),
        status,
        location: location.map(str::to_owned),
        ..Answer::default()
    };
    let with = |answer| Known { answers: vec![answer], ..Known::default() };
    let found = faults(&balancer, &with(answer(301, Some("/login"))));
    let redirect = found.iter().find(|one| one.kind == "health-redirect").expect("redirect");
    assert!(redirect.fix[0].change.contains("/login"), "{redirect:?}");
    assert!(kinds(&balancer, &with(answer(404, None))).contains(&"health-path 6".to_owned()));
    assert!(kinds(&balancer, &with(answer(503, None))).contains(&"health-codes 6".to_owned()));
    let mut known = Known { names: vec!["a.example".to_owned()], ..Known::default() };
    known.listens("h:80").expect("a port");
    let found = kinds(&balancer, &known);
    assert!(
        found.contains(&"health-port-closed 6".to_owned()) && found.contains(&"health-host 6".to_owned()),
        "{found:?}"
    );
}

#[test]
fn snapshots_and_histories_among_the_files_are_evidence() {
    let source = |file: &str, text: &str| Source { file: file.into(), text: text.to_owned() };
    let balancer = "frontend f\n bind :80\n default_backend b\nbackend b\n mode http\n server a 10.0.0.5:8080 check\n server c 10.0.0.6:8080 check\n";
    let snapshot = r#"{"schema":"netwhy.host/1","hostname":"web","interfaces":[{"name":"eth0","addresses":["10.0.0.5/24"]}],
      "listeners":[{"transport":"tcp","address":"0.0.0.0:22","queue":0,"queue_max":128,"inode":1},
                   {"transport":"tcp","address":"127.0.0.1:8080","queue":0,"queue_max":128,"inode":2}]}"#;
    let states: String = (0..6)
        .map(|at| {
            let state = if at % 2 == 0 { "down" } else { "up" };
            format!("{{\"time\":{},\"member\":\"10.0.0.6:8080\",\"state\":\"{state}\"}}\n", at * 30)
        })
        .collect();
    let sources = [source("h.cfg", balancer), source("host.json", snapshot), source("states.jsonl", &states)];
    let world = World::read(&sources, None);
    assert_eq!(world.unread(), []);
    let found = world.lint(None);
    let closed = found.iter().find(|one| one.kind == "health-port-closed").expect("closed");
    assert!(closed.text.en.contains("port 8080, on which 10.0.0.5 does not listen"), "{closed:?}");
    let flaps = found.iter().find(|one| one.kind == "health-flapping").expect("flaps");
    assert_eq!(flaps.place.to_string(), "states.jsonl:2:1");
    let ask = |port| Ask {
        from: End::Outside,
        to: End::Addresses("10.0.0.5".parse().expect("address"), "10.0.0.5".parse().expect("address")),
        protocol: 6,
        port: Some(port),
        request: None,
    };
    let notes = world.can(&ask(8080)).notes;
    assert_eq!(notes[0].place.file.as_ref(), "host.json", "{notes:?}");
    assert_eq!(world.can(&ask(22)).notes, []);
}

const AWS: &str = r#"{"LoadBalancers": [{"LoadBalancerArn": "arn:lb/app/shop/1", "LoadBalancerName": "shop", "Type": "application",
  "AvailabilityZones": [{"SubnetId": "subnet-1"}, {"SubnetId": "subnet-2"}]}]}
{"Listeners": [{"ListenerArn": "arn:listener/app/shop/1/7", "LoadBalancerArn": "arn:lb/app/shop/1", "Port": 443, "Protocol": "HTTPS",
  "DefaultActions": [{"Type": "forward", "TargetGroupArn": "arn:tg/web"}]}]}
{"Rules": [{"RuleArn": "arn:listener-rule/app/shop/1/7/9", "Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "arn:tg/api"}]}}]}]}
{"TargetGroups": [
 {"TargetGroupArn": "arn:tg/web", "TargetGroupName": "web", "Protocol": "HTTP", "Port": 80, "TargetType": "instance", "LoadBalancerArns": ["arn:lb/app/shop/1"],
  "HealthCheckProtocol": "HTTP", "HealthCheckPort": "traffic-port", "HealthCheckEnabled": true, "HealthCheckIntervalSeconds": 10,
  "HealthCheckTimeoutSeconds": 10, "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2, "HealthCheckPath": "/", "Matcher": {"HttpCode": "200,302"}},
 {"TargetGroupArn": "arn:tg/api", "TargetGroupName": "api", "Protocol": "HTTPS", "Port": 443, "LoadBalancerArns": ["arn:lb/app/shop/1"],
  "HealthCheckProtocol": "HTTP", "HealthCheckPort": "traffic-port", "HealthCheckIntervalSeconds": 30, "HealthCheckTimeoutSeconds": 5,
  "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2, "HealthCheckPath": "/ping", "Matcher": {"HttpCode": "200"}},
 {"TargetGroupArn": "arn:tg/old", "TargetGroupName": "old", "Protocol": "TCP", "Port": 25, "LoadBalancerArns": [],
  "HealthCheckProtocol": "TCP", "HealthCheckPort": "traffic-port", "HealthCheckIntervalSeconds": 30, "HealthCheckTimeoutSeconds": 10,
  "HealthyThresholdCount": 3, "UnhealthyThresholdCount": 3}]}
{"Subnets": [{"SubnetId": "subnet-1", "CidrBlock": "10.0.1.0/24"}]}"#;

const AWS_HEALTH: &str = r#"{"TargetHealthDescriptions": [
 {"Target": {"Id": "i-1", "Port": 80}, "TargetHealth": {"State": "unhealthy", "Reason": "Target.Timeout", "Description": "Request timed out"}},
 {"Target": {"Id": "i-2", "Port": 80}, "TargetHealth": {"State": "unhealthy", "Reason": "Target.Timeout", "Description": "Request timed out"}}]}"#;

#[test]
fn aws_target_groups_are_joined_with_listeners_rules_and_health() {
    let read = aws(&documents(&[("elb.json", AWS), ("web-health.json", AWS_HEALTH)]));
    assert!(read.unread.is_empty(), "{:?}", read.unread);
    let [shop, loose] = read.balancers.as_slice() else { panic!("{:?}", read.balancers) };
    assert_eq!(shop.kind, Kind::AwsApplication);
    assert_eq!(shop.listeners[0].pools, ["web", "api"]);
    assert_eq!(shop.checkers(), Checkers::Subnets(vec!["10.0.1.0/24".to_owned(), "subnet-2".to_owned()]));
    assert_eq!(shop.checkers().ranges().len(), 1);
    let found = faults(shop, &Known::default());
    let timeout = found.iter().find(|one| one.kind == "health-timeout").expect("timeout");
    assert!(
        timeout.text.en.contains("AWS refuses")
            && timeout.fix[0].change.contains("--health-check-timeout-seconds 8")
    );
    let down = found.iter().find(|one| one.kind == "pool-down").expect("down");
    assert!(down.text.en.contains("Target.Timeout"), "{down:?}");
    assert!(found.iter().any(|one| one.kind == "health-protocol" && one.text.en.starts_with("api")));
    assert!(kinds(loose, &Known::default()).iter().any(|one| one.starts_with("pool-unused")));
}

#[test]
fn health_of_an_unknown_target_group_is_said_and_not_guessed() {
    let read = aws(&documents(&[("elb.json", AWS), ("x.json", AWS_HEALTH)]));
    assert_eq!(read.unread.len(), 1);
}

#[test]
fn google_rules_are_followed_through_proxies_and_maps() {
    let text = r#"[{"kind": "compute#forwardingRule", "name": "fr", "IPAddress": "203.0.113.1", "IPProtocol": "TCP", "portRange": "443-443",
  "target": "https://x/global/targetHttpsProxies/proxy"},
 {"kind": "compute#targetHttpsProxy", "name": "proxy", "urlMap": "https://x/global/urlMaps/map"},
 {"kind": "compute#urlMap", "name": "map", "defaultService": "https://x/backendServices/web", "pathMatchers": [{"defaultService": "https://x/backendServices/web"}]},
 {"kind": "compute#backendService", "name": "web", "protocol": "HTTP", "healthChecks": ["https://x/healthChecks/hc"], "backends": [{"group": "https://x/instanceGroups/ig"}]},
 {"kind": "compute#backendService", "name": "lost", "protocol": "HTTP", "backends": [{"group": "https://x/instanceGroups/ig"}]},
 {"kind": "compute#healthCheck", "name": "hc", "type": "HTTP", "checkIntervalSec": 5, "timeoutSec": 10, "healthyThreshold": 2, "unhealthyThreshold": 3,
  "httpHealthCheck": {"port": 8080, "requestPath": "/h", "portSpecification": "USE_FIXED_PORT"}}]"#;
    let balancer = only(gcp(&documents(&[("gcp.json", text)])));
    let rule = &balancer.listeners[0];
    assert_eq!((rule.port, rule.tls, rule.pools.as_slice()), (Some(443), true, &["web".to_owned()][..]));
    let found = faults(&balancer, &Known::default());
    let kinds: Vec<&str> = found.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, ["pool-no-check", "pool-unused", "health-detection", "health-timeout"]);
    assert!(found[3].fix[0].change.starts_with("gcloud compute health-checks update http"));
    assert!(balancer.checkers().ranges().iter().any(|range| range.to_string() == "35.191.0.0/16"));
}

#[test]
fn aliyun_classic_and_application_balancers_are_read() {
    let classic = r#"{"LoadBalancerId": "lb-1", "ListenerPort": 80, "BackendServerPort": 8080, "XForwardedFor": "on", "HealthCheck": "on",
 "HealthCheckURI": "/", "HealthCheckDomain": "$_ip", "HealthCheckConnectPort": 9000, "HealthCheckInterval": 2, "HealthCheckTimeout": 5,
 "HealthyThreshold": 3, "UnhealthyThreshold": 1, "HealthCheckHttpCode": "http_2xx,http_3xx"}
{"LoadBalancerId": "lb-1", "LoadBalancerName": "shop", "Address": "192.0.2.1", "BackendServers": {"BackendServer": [{"ServerId": "i-1", "Weight": 0}, {"ServerId": "i-2", "Weight": 0}]}}"#;
    let balancer = only(aliyun(&documents(&[("slb.json", classic)])));
    assert_eq!((balancer.name.as_str(), balancer.kind), ("shop", Kind::AliyunClassic));
    let pool = &balancer.pools[0];
    assert_eq!((pool.health.check, pool.health.host.as_deref(), pool.members.len()), (Check::Http, None, 2));
    let found = faults(&balancer, &Known::default());
    let kinds: Vec<&str> = found.iter().map(|one| one.kind).collect();
    assert_eq!(
        kinds,
        ["health-detection", "health-port", "health-threshold", "health-timeout", "pool-weight"]
    );
    assert!(balancer.checkers().ranges().iter().any(|range| range.to_string() == "100.64.0.0/10"));
    let application = r#"{"ServerGroups": [{"ServerGroupId": "sgp-1", "ServerGroupName": "web", "Protocol": "HTTP", "RelatedLoadBalancerIds": ["alb-1"], "ServerCount": 0,
 "HealthCheckConfig": {"HealthCheckEnabled": true, "HealthCheckProtocol": "HTTP", "HealthCheckPath": "/h", "HealthCheckInterval": 2, "HealthCheckTimeout": 1,
 "HealthCheckConnectPort": 0, "HealthyThreshold": 3, "UnhealthyThreshold": 3, "HealthCheckCodes": ["http_2xx"]}}]}
{"Listeners": [{"ListenerId": "lsn-1", "ListenerProtocol": "HTTPS", "ListenerPort": 443, "LoadBalancerId": "alb-1",
 "DefaultActions": [{"Type": "ForwardGroup", "ForwardGroupConfig": {"ServerGroupTuples": [{"ServerGroupId": "sgp-1"}]}}]}]}"#;
    let balancer = only(aliyun(&documents(&[("alb.json", application)])));
    let pool = balancer.pool("sgp-1").expect("the group");
    assert_eq!(
        (pool.health.port, pool.health.timeout_s, pool.health.expected.as_slice()),
        (None, Some(2.0), &[(200, 299)][..])
    );
    assert_eq!(balancer.listeners[0].pools, ["sgp-1"]);
    assert!(faults(&balancer, &Known::default()).iter().any(|one| one.kind == "pool-empty"));
}

#[test]
fn balancers_in_terraform_are_read_as_those_of_the_clouds() {
    let text = r#"
resource "aws_lb" "shop" {
  name    = "shop"
  subnets = ["subnet-1"]
}
resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.shop.arn
  port              = 443
  protocol          = "HTTPS"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }
}
resource "aws_lb_target_group" "web" {
  name     = "web"
  port     = 80
  protocol = "HTTP"
  health_check {
    interval = 5
    timeout  = 6
    path     = "/h"
  }
}
resource "aws_lb_target_group" "old" {
  name     = "old"
  port     = 81
  protocol = "HTTP"
}
resource "google_compute_health_check" "hc" {
  name               = "hc"
  check_interval_sec = 5
  timeout_sec        = 9
  http_health_check {
    port         = 8080
    request_path = "/x"
  }
}
resource "google_compute_backend_service" "web" {
  name          = "web"
  health_checks = [google_compute_health_check.hc.id]
  backend {
    group = "ig"
  }
}
resource "google_compute_global_forwarding_rule" "fr" {
  name       = "fr"
  port_range = "80"
  target     = google_compute_target_http_proxy.p.id
}
resource "google_compute_target_http_proxy" "p" {
  url_map = google_compute_url_map.m.id
}
resource "google_compute_url_map" "m" {
  default_service = google_compute_backend_service.web.id
}
"#;
    let resources = netwhy_policy::terraform::resources(&[("lb.tf".into(), text)]);
    assert!(resources.unread.is_empty(), "{:?}", resources.unread);
    let read = terraform(&resources);
    let found: Vec<String> = read.balancers.iter().flat_map(|one| kinds(one, &Known::default())).collect();
    for wanted in ["health-timeout 19", "pool-unused 25", "health-timeout 34"] {
        assert!(found.iter().any(|one| one == wanted), "{wanted} is not among {found:?}");
    }
    let [shop, loose, google] = read.balancers.as_slice() else { panic!("{:?}", read.balancers) };
    assert_eq!(
        (shop.listeners[0].pools.as_slice(), shop.subnets.as_slice()),
        (&["web".to_owned()][..], &["subnet-1".to_owned()][..])
    );
    assert_eq!(loose.pools[0].name, "old");
    assert_eq!(google.listeners[0].pools, ["google_compute_backend_service.web"]);
    let health = &google.pools[0].health;
    assert_eq!((health.check, health.port, health.path.as_deref()), (Check::Http, Some(8080), Some("/x")));
}

#[test]
fn rules_that_stop_the_health_check_are_found_by_asking_its_own_way() {
    let balancer = r#"{"LoadBalancerId": "lb-1", "ListenerPort": 80, "XForwardedFor": "on", "HealthCheck": "on", "HealthCheckConnectPort": 9000,
 "HealthCheckInterval": 2, "HealthCheckTimeout": 1, "HealthyThreshold": 3, "UnhealthyThreshold": 3, "VServerGroupId": "g"}
{"VServerGroupId": "g", "BackendServers": {"BackendServer": [{"ServerId": "i-1", "ServerIp": "10.0.0.1", "Port": 9000}, {"ServerId": "i-2", "ServerIp": "10.0.0.2", "Port": 80}]}}"#;
    let policy = |from: &str| {
        format!(
            "{{\"schema\": \"netwhy.zero-trust/1\", \"protects\": [\"10.0.0.0/31\"], \"rules\": [{{\"from\": [\"{from}\"], \"ports\": [9000]}}]}}"
        )
    };
    let stopped = |from: &str| {
        let sources = [("slb.json", balancer.to_owned()), ("policy.json", policy(from))];
        let sources = sources.map(|(file, text)| Source { file: file.into(), text });
        let world = World::read(&sources, None);
        assert!(world.unread().is_empty(), "{:?}", world.unread());
        world.lint(None).into_iter().filter(|one| one.kind == "health-stopped").collect::<Vec<_>>()
    };
    let found = stopped("10.0.0.0/8");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].text.en.contains("100.64.0.0/10 → 10.0.0.1/32:9000"), "{found:?}");
    assert!(found[0].fix[0].change.contains("100.64.0.0/10"));
    assert!(stopped("100.64.0.0/10").is_empty());
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_fail(text in "[ -~\n\u{e9}]{0,200}|([a-z_]{1,8}[ {};\"'\\\\#\n]{1,3}){0,40}") {
        let file: Arc<str> = "x".into();
        for balancer in nginx(&file, &text, &none).balancers.iter().chain(&haproxy(&file, &text).balancers) {
            faults(balancer, &Known::default());
        }
        let documents = json(&file, &text).documents;
        for read in [aws(&documents), gcp(&documents), aliyun(&documents)] {
            read.balancers.iter().for_each(|one| drop(faults(one, &Known::default())));
        }
    }

    #[test]
    fn lines_of_words_haproxy_knows_never_fail(lines in proptest::collection::vec(
        "(listen|backend|defaults|bind|server|option httpchk|http-check|timeout check|default-server)( [a-z0-9:.*/@,%-]{0,9}){0,6}", 0..12)) {
        let text = lines.join("\n");
        for balancer in haproxy(&"x".into(), &text).balancers {
            faults(&balancer, &Known::default());
        }
    }
}
