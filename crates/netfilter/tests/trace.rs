//! Traces of real packets over the loopback of a namespace.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::load;
use netwhy_model::host::{Hook, RuleVerdict, TraceStep, WatchSpec};
use netwhy_netfilter::{TRACE_TABLE_PREFIX, Tracer, ruleset};
use netwhy_testing::{attempt, in_namespace, output};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PORT: u16 = 8080;
const CONNECT_MS_MAX: u64 = 100;
const START_MS_MAX: u64 = 10_000;

fn spec() -> WatchSpec {
    WatchSpec {
        targets: vec!["127.0.0.1".parse().unwrap()],
        port: PORT,
        sources: vec!["127.0.0.1".parse().unwrap()],
        trace: true,
        ..WatchSpec::default()
    }
}

fn connect(port: u16) {
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let _ = TcpStream::connect_timeout(&to, Duration::from_millis(CONNECT_MS_MAX));
}

/// Sets up the rules, connects once to the watched port, and gives what was traced.
fn traced(rules: &str) -> Vec<TraceStep> {
    load(rules);
    traced_with(&spec(), || connect(PORT))
}

fn traced_with(spec: &WatchSpec, send: impl FnOnce()) -> Vec<TraceStep> {
    let mut tracer = Tracer::start(spec).unwrap();
    send();
    let (rules, _) = ruleset();
    let steps = tracer.steps(&rules);
    assert!(tracer.complete());
    steps
}

fn is_ours(step: &TraceStep) -> bool {
    step.table.starts_with(TRACE_TABLE_PREFIX)
}

/// The step that stopped the packet.
fn stop(steps: &[TraceStep]) -> &TraceStep {
    let stops = |step: &&TraceStep| !is_ours(step) && step.verdict != RuleVerdict::Accept;
    steps.iter().find(stops).unwrap_or_else(|| panic!("nothing stopped it: {steps:#?}"))
}

#[test]
fn the_rule_that_dropped_is_named() {
    in_namespace(&["nft"], || {
        let steps = traced(
            "table inet guard { chain bans { ip saddr 127.0.0.1 counter drop; } \
             chain input { type filter hook input priority 0; tcp dport 8080 jump bans; } }",
        );
        let step = stop(&steps);
        assert_eq!((step.table.as_str(), step.chain.as_str()), ("guard", "bans"));
        assert_eq!((step.hook, &step.verdict), (Some(Hook::Input), &RuleVerdict::Drop));
        assert_eq!(step.text, "ip saddr 127.0.0.1 drop");
        assert_eq!(step.to, "127.0.0.1:8080".parse().unwrap());
        assert_ne!(step.from.port(), 0);
        let (rules, _) = ruleset();
        assert!(rules.rules.iter().any(|rule| rule.handle == step.handle && rule.chain == "bans"));
    });
}

#[test]
fn a_reject_is_told_from_a_drop() {
    in_namespace(&["nft"], || {
        let steps = traced(
            "table inet guard { chain input { type filter hook input priority 0; \
             tcp dport 8080 reject with tcp reset; } }",
        );
        assert_eq!(stop(&steps).verdict, RuleVerdict::Reject("tcp-reset".into()));
    });
}

#[test]
fn a_policy_that_dropped_has_no_handle() {
    in_namespace(&["nft"], || {
        let steps =
            traced("table ip guard { chain input { type filter hook input priority 0; policy drop; } }");
        let step = stop(&steps);
        assert_eq!((step.handle, step.hook, step.family.as_str()), (0, Some(Hook::Input), "ip"));
        assert_eq!(step.text, "policy drop");
    });
}

#[test]
fn a_drop_on_the_way_out_is_in_output() {
    in_namespace(&["nft"], || {
        let steps = traced(
            "table inet guard { chain output { type filter hook output priority 0; tcp sport 8080 drop; \
             tcp dport 8080 drop; } }",
        );
        assert_eq!(stop(&steps).hook, Some(Hook::Output));
    });
}

#[test]
fn a_translation_is_named() {
    in_namespace(&["nft"], || {
        let steps = traced(
            "table ip nat { chain output { type nat hook output priority -100; \
             tcp dport 8080 dnat to 127.0.0.1:9090; } }",
        );
        assert_eq!(stop(&steps).verdict, RuleVerdict::Nat("dnat to 127.0.0.1:9090".into()));
    });
}

#[test]
fn a_drop_at_ingress_is_seen_before_prerouting() {
    in_namespace(&["nft"], || {
        let steps = traced(
            "table netdev guard { chain ingress { type filter hook ingress device lo priority 0; \
             tcp dport 8080 drop; } }",
        );
        let step = stop(&steps);
        assert_eq!((step.hook, step.family.as_str()), (Some(Hook::Ingress), "netdev"));
    });
}

#[test]
fn a_packet_that_nf_tables_did_not_stop_shows_how_far_it_came() {
    in_namespace(&["nft", "iptables-legacy"], || {
        let reached = |steps: &[TraceStep]| -> Vec<String> {
            steps.iter().filter(|step| is_ours(step)).map(|step| step.chain.clone()).collect()
        };
        let steps = traced_with(&spec(), || connect(PORT));
        assert!(reached(&steps).contains(&"input-last".to_owned()), "{steps:#?}");
        // Dropped by the other machinery: it entered the hook and did not leave it.
        if !attempt("iptables-legacy -A INPUT -p tcp --dport 8080 -j DROP") {
            println!("SKIPPED: no ip_tables in this kernel");
            return;
        }
        let steps = traced_with(&spec(), || connect(PORT));
        assert!(reached(&steps).contains(&"input-first".to_owned()), "{steps:#?}");
        assert!(!reached(&steps).contains(&"input-last".to_owned()), "{steps:#?}");
    });
}

#[test]
fn only_what_is_watched_is_traced() {
    in_namespace(&["nft"], || {
        load("table inet guard { chain input { type filter hook input priority 0; drop; } }");
        let udp = |port: u16| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let _ = socket.send_to(b"x", ("127.0.0.1", port));
        };
        let steps = traced_with(&spec(), || {
            connect(PORT + 1);
            udp(PORT);
        });
        assert_eq!(steps, []);
        let other = WatchSpec { sources: vec!["127.0.0.2".parse().unwrap()], ..spec() };
        assert_eq!(traced_with(&other, || connect(PORT)), []);
        let by_udp = WatchSpec { udp: true, ..spec() };
        assert_eq!(stop(&traced_with(&by_udp, || udp(PORT))).verdict, RuleVerdict::Drop);
        let anyone = WatchSpec { targets: Vec::new(), sources: Vec::new(), ..spec() };
        assert_eq!(stop(&traced_with(&anyone, || connect(PORT))).verdict, RuleVerdict::Drop);
    });
}

#[test]
fn ip6_is_traced_alike() {
    in_namespace(&["nft"], || {
        load("table ip6 guard { chain input { type filter hook input priority 0; tcp dport 8080 drop; } }");
        let spec = WatchSpec {
            targets: vec!["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()],
            sources: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            ..spec()
        };
        let steps = traced_with(&spec, || {
            let to: SocketAddr = "[::1]:8080".parse().unwrap();
            let _ = TcpStream::connect_timeout(&to, Duration::from_millis(CONNECT_MS_MAX));
        });
        assert_eq!(stop(&steps).to, "[::1]:8080".parse().unwrap());
    });
}

#[test]
fn nothing_is_left_behind() {
    in_namespace(&["nft"], || {
        let tracer = Tracer::start(&spec()).unwrap();
        assert!(output("nft list tables").contains(TRACE_TABLE_PREFIX));
        let (rules, _) = ruleset();
        assert_eq!(rules.rules, [], "our own rules are not the host's");
        drop(tracer);
        assert_eq!(output("nft list tables"), "");
    });
}

#[test]
fn a_killed_process_leaves_nothing_behind() {
    in_namespace(&["nft"], || {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "holds_a_trace_until_it_is_killed"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_tables(|tables| tables.contains(TRACE_TABLE_PREFIX));
        child.kill().unwrap();
        child.wait().unwrap();
        wait_for_tables(str::is_empty);
    });
}

#[test]
#[ignore = "run by the test above, which kills it"]
fn holds_a_trace_until_it_is_killed() {
    let _tracer = Tracer::start(&spec()).unwrap();
    std::thread::sleep(Duration::from_millis(START_MS_MAX));
}

fn wait_for_tables(wanted: impl Fn(&str) -> bool) {
    let start = Instant::now();
    while !wanted(&output("nft list tables")) {
        assert!(start.elapsed() < Duration::from_millis(START_MS_MAX), "{}", output("nft list tables"));
        std::thread::sleep(Duration::from_millis(10));
    }
}
