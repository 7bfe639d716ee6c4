//! Snapshots in, findings out: one fault each, and healthy hosts beside it.

use super::*;
use crate::sections::{Said, reading, section};
use netwhy_model::Stamp;
use netwhy_model::host::*;

const NOW: Stamp = Stamp::from_millis(1_795_866_056_000);

fn snapshot() -> Snapshot {
    Snapshot { at: NOW, window_ms: 2_000, ..Snapshot::default() }
}

fn listener(port: u16, queue: u32, queue_max: u32) -> Listener {
    Listener {
        transport: Transport::Tcp,
        address: ([0, 0, 0, 0], port).into(),
        v6_only: false,
        interface: None,
        queue,
        queue_max,
        half_open: 0,
        drops: None,
        inode: 1,
        pids: vec![7],
    }
}

fn counter(name: &str, value: u64, delta: i64) -> Reading {
    reading(name, value, "/proc/x").delta(Some(delta))
}

fn causes(findings: &[Finding], severity: Severity) -> Vec<&str> {
    findings.iter().filter(|f| f.severity == severity).map(|f| f.cause.as_str()).collect()
}

#[test]
fn every_cause_is_in_the_catalogue() {
    const ROOMS: [&str; 12] = [
        "host.", "net.", "tcp.", "app.", "policy.", "attack.", "infra.", "tls.", "dns.", "http.", "edge.",
        "lb.",
    ];
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalogue");
    let mut known = Vec::new();
    for layer in std::fs::read_dir(root).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(layer.path()).unwrap().flatten() {
            known.push(file.file_name().to_string_lossy().trim_end_matches(".toml").to_owned());
        }
    }
    let sources = [
        include_str!("application.rs"),
        include_str!("attack.rs"),
        include_str!("firewall.rs"),
        include_str!("limits.rs"),
        include_str!("logs.rs"),
        include_str!("network.rs"),
        include_str!("queues.rs"),
    ];
    let mut count = 0;
    for word in sources.iter().flat_map(|source| source.split('"')) {
        let looks_like_cause = ROOMS.iter().any(|room| word.starts_with(room))
            && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_' || b.is_ascii_digit())
            && !word.starts_with("net.ipv4")
            && !word.starts_with("net.core");
        if looks_like_cause {
            count += 1;
            assert!(known.iter().any(|id| id == word), "{word} is not in the catalogue");
        }
    }
    assert!(count > 60, "only {count} causes were found in the rules");
}

#[test]
fn a_full_accept_queue_breaks() {
    let mut one = snapshot();
    one.listeners = vec![listener(80, 129, 128)];
    one.processes = vec![Process { pid: 7, name: "web".into(), state: "S".into(), ..Process::default() }];
    one.sections = vec![section("counters", "", "", vec![counter("TcpExt.ListenOverflows", 9, 4)])];
    let findings = judge(&one);
    assert_eq!(causes(&findings, Severity::Broken), ["host.listen.accept_queue_full"]);
    assert_eq!(findings[0].subject.as_deref(), Some("port 80 (web 7)"));
    assert!(
        findings[0].proof.iter().any(|line| line.contains("TcpExt.ListenOverflows +4 in 2000 ms (now 9)"))
    );
}

#[test]
fn a_stopped_process_explains_its_queue() {
    let mut one = snapshot();
    one.listeners = vec![listener(80, 129, 128)];
    one.processes = vec![Process { pid: 7, name: "web".into(), state: "T".into(), ..Process::default() }];
    assert_eq!(causes(&judge(&one), Severity::Broken), ["app.stopped"]);
}

#[test]
fn overflows_without_a_full_queue_blame_the_backlog() {
    let mut one = snapshot();
    one.listeners = vec![listener(80, 0, 5)];
    one.sections = vec![section("counters", "", "", vec![counter("TcpExt.ListenOverflows", 9, 4)])];
    assert_eq!(causes(&judge(&one), Severity::Risk), ["host.listen.backlog_small"]);
}

#[test]
fn a_fan_out_of_syns_names_the_process() {
    let mut one = snapshot();
    one.fan_outs = vec![FanOut {
        port: Some(22),
        targets: 60,
        half_open: 58,
        pids: vec![9],
        examples: vec!["192.0.2.1:22".parse().unwrap()],
        ..FanOut::default()
    }];
    one.processes = vec![Process {
        pid: 9,
        name: "kworker".into(),
        executable: Some("/tmp/.x/kworker (deleted)".into()),
        ..Process::default()
    }];
    let findings = judge(&one);
    assert_eq!(causes(&findings, Severity::Broken), ["attack.outbound.ssh_bruteforce"]);
    assert_eq!(findings[0].subject.as_deref(), Some("kworker (9)"));
    assert!(findings[0].proof.iter().any(|line| line.contains("/tmp/.x/kworker (deleted)")));
}

#[test]
fn a_proxy_with_many_upstreams_is_no_attacker() {
    let mut one = snapshot();
    let fan_out = |port, targets, half_open| FanOut {
        port: Some(port),
        targets,
        half_open,
        established: 2_000,
        ..FanOut::default()
    };
    one.fan_outs = vec![fan_out(443, 800, 40), fan_out(8_080, 200, 10)];
    assert!(judge(&one).is_empty());
}

#[test]
fn refusals_in_numbers_are_noted() {
    let mut one = snapshot();
    let rows = vec![counter("Tcp.ActiveOpens", 9_000, 500), counter("Tcp.AttemptFails", 8_000, 450)];
    one.sections = vec![section("counters", "", "", rows)];
    assert_eq!(causes(&judge(&one), Severity::Note), ["attack.outbound.port_scan"]);
}

#[test]
fn a_shaper_that_drops_now_is_a_risk() {
    let mut one = snapshot();
    one.interfaces = vec![Interface {
        name: "eth0".into(),
        up: true,
        carrier: true,
        qdisc: Some("tbf".into()),
        qdisc_drops: 9,
        ..Interface::default()
    }];
    one.sections = vec![section("queues", "", "", vec![counter("eth0 qdisc drops", 9, 0)])];
    assert_eq!(causes(&judge(&one), Severity::Note), ["infra.quota.bandwidth"]);
    one.sections = vec![section("queues", "", "", vec![counter("eth0 qdisc drops", 9, 5)])];
    assert_eq!(causes(&judge(&one), Severity::Risk), ["infra.quota.bandwidth"]);
}

#[test]
fn local_ports_run_out_for_a_reason() {
    let mut one = snapshot();
    let demand = |used, time_wait| PortDemand {
        from: "10.0.0.1".parse().unwrap(),
        to: "10.0.0.2:80".parse().unwrap(),
        used,
        time_wait,
        range: 28_232,
    };
    one.demands = vec![demand(28_000, 27_000)];
    assert_eq!(causes(&judge(&one), Severity::Broken), ["host.port.time_wait_exhausted"]);
    one.demands = vec![demand(24_000, 10)];
    assert_eq!(causes(&judge(&one), Severity::Risk), ["host.port.ephemeral_exhausted"]);
}

#[test]
fn a_log_line_is_grave_while_fresh() {
    let sign = |age_ms: u64| {
        LogSign {
        sign: "upstream_refused".into(),
        at: Stamp::from_millis(NOW.millis() - age_ms),
        line: "connect() failed (111: Connection refused) while connecting to upstream, upstream: \"http://10.0.0.2:8080/\"".into(),
        from: "/var/log/nginx/error.log".into(),
        count: 3,
    }
    };
    let mut one = snapshot();
    one.signs = vec![sign(5_000)];
    let findings = judge(&one);
    assert_eq!(causes(&findings, Severity::Broken), ["tcp.refused.no_listener"]);
    assert_eq!(findings[0].subject.as_deref(), Some("upstream 10.0.0.2:8080"));
    one.signs = vec![sign(1_800_000)];
    assert_eq!(causes(&judge(&one), Severity::Note), ["tcp.refused.no_listener"]);
}

#[test]
fn a_firewall_that_drops_strangers_is_healthy() {
    let rule = |verdict, matches: &[Match], hook, text: &str| Rule {
        backend: Backend::Nft,
        family: "inet".into(),
        table: "filter".into(),
        chain: "input".into(),
        hook: Some(hook),
        handle: 7,
        position: 1,
        text: text.into(),
        verdict,
        matches: matches.to_vec(),
        counter: Some((900, 9_000)),
        comment: String::new(),
    };
    let mut one = snapshot();
    one.listeners = vec![listener(80, 0, 511)];
    one.ruleset.rules = vec![rule(RuleVerdict::Drop, &[], Hook::Input, "drop")];
    assert!(judge(&one).iter().all(|finding| finding.severity == Severity::Note));
    // Everybody's packets to a listening port, now: that is no stranger.
    one.ruleset.rules =
        vec![rule(RuleVerdict::Drop, &[Match::DestinationPort], Hook::Input, "tcp dport 80 drop")];
    one.sections = vec![section("rules", "", "", vec![counter("inet filter input handle 7", 900, 3)])];
    assert_eq!(causes(&judge(&one), Severity::Risk), ["policy.hostfw.input"]);
}

#[test]
fn the_default_gateway_s_silence_breaks() {
    let mut one = snapshot();
    one.routes = vec!["default via 10.0.0.1 dev eth0".into()];
    one.interfaces =
        vec![Interface { name: "eth0".into(), up: true, carrier: false, ..Interface::default() }];
    one.neighbours = vec![Neighbour {
        address: "10.0.0.1".parse().unwrap(),
        interface: "eth0".into(),
        mac: None,
        state: "failed".into(),
    }];
    assert_eq!(causes(&judge(&one), Severity::Broken), ["infra.nic.link_down", "net.l2.arp_unresolved"]);
}

#[test]
fn both_languages_are_there_and_the_gravest_comes_first() {
    let mut one = snapshot();
    one.conntrack =
        Some(Conntrack { count: 100, max: 100, from: "ctnetlink".into(), ..Conntrack::default() });
    one.routes = vec!["default via 10.0.0.1 dev eth0".into(), "100: from 10.0.0.0/8 unreachable".into()];
    one.sections = vec![section("clock", "", "", vec![reading("clock synchronised", "no", "adjtimex")])];
    let findings = judge(&one);
    assert_eq!(
        findings.iter().map(|f| f.severity).collect::<Vec<_>>(),
        [Severity::Broken, Severity::Risk, Severity::Note]
    );
    for finding in findings {
        assert!(!finding.text.en.is_empty() && finding.text.zh.chars().any(|letter| letter > '\u{2e80}'));
        assert!(!finding.proof.is_empty());
    }
}
