//! `netwhy policy` as a user runs it, and the rules of files as evidence in a diagnosis.

#![allow(clippy::panic, clippy::unwrap_used)]

use netwhy_testing::{Desk, in_namespace};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

const RULES: &str = "\
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif lo accept
    ip saddr 203.0.113.0/25 tcp dport 3306 drop
    ip saddr 203.0.113.128/25 tcp dport 3306 drop
    ip saddr 203.0.113.0/24 tcp dport 3306 accept
    tcp dport { 80, 443 } accept
    udp dport 22 accept
  }
}
";

fn desk(files: &[(&str, &str)]) -> Desk {
    Desk::new(env!("CARGO_BIN_EXE_netwhy"), files)
}

#[test]
fn can_names_the_rule_that_stops_and_what_mends_it() {
    let desk = desk(&[("origin.nft", RULES)]);
    let (code, answer) = desk.json(&["policy", "can", "203.0.113.200", "10.0.0.2:3306", "origin.nft"]);
    assert_eq!((code, &answer["verdict"]), (1, &"denied".into()), "{answer:#}");
    assert_eq!(answer["schema"], "netwhy.policy/1");
    let blocker = &answer["blockers"][0];
    assert_eq!(
        (&blocker["file"], &blocker["line"], &blocker["rule"]),
        (&"origin.nft".into(), &7.into(), &3.into())
    );
    let fix = answer["fix"][0]["change"].as_str().unwrap();
    assert_eq!(
        fix,
        "nft insert rule inet filter input index 3 ip saddr 203.0.113.200 ip daddr 10.0.0.2 tcp dport 3306 accept"
    );
    let (code, answer) =
        desk.json(&["policy", "can", "203.0.113.200", "10.0.0.2:443", "--policy", "origin.nft"]);
    assert_eq!((code, &answer["verdict"]), (0, &"allowed".into()), "{answer:#}");
    // A part of a network is stopped: it depends on who asks.
    let (code, answer) = desk.json(&["policy", "can", "0.0.0.0/0", "10.0.0.2:22", "origin.nft"]);
    assert_eq!((code, &answer["verdict"]), (1, &"denied".into()), "{answer:#}");
}

#[test]
fn lint_finds_what_two_rules_cover_together_and_takes_udp_22_for_no_ssh() {
    let desk = desk(&[("origin.nft", RULES)]);
    let (code, report) = desk.json(&["policy", "lint", "origin.nft"]);
    assert_eq!((code, &report["schema"]), (1, &"netwhy.lint/1".into()));
    let findings = report["findings"].as_array().unwrap();
    let dead: Vec<&Value> = findings.iter().filter(|one| one["kind"] == "dead").collect();
    assert_eq!(dead.len(), 1, "{findings:#?}");
    assert_eq!((&dead[0]["rule"], &dead[0]["line"]), (&4.into(), &8.into()));
    assert_eq!(dead[0]["by"], serde_json::json!([2, 3]));
    assert!(!findings.iter().any(|one| one["kind"] == "over-permissive"), "{findings:#?}");
    let sarif = desk.run(&["policy", "lint", "origin.nft", "--sarif"]);
    let sarif: Value = serde_json::from_slice(&sarif.stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 8);
}

#[test]
fn two_halves_of_the_world_are_the_world() {
    let halves = "\
*filter
:INPUT DROP [0:0]
-A INPUT -s 0.0.0.0/1 -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -s 128.0.0.0/1 -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
";
    let desk = desk(&[("rules.v4", halves)]);
    let (_, report) = desk.json(&["policy", "lint", "rules.v4"]);
    let open: Vec<&Value> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["kind"] == "over-permissive")
        .collect();
    assert_eq!(open.len(), 2, "{report:#}");
    assert_eq!((&open[0]["by"], &open[1]["by"]), (&serde_json::json!([1]), &serde_json::json!([0])));
}

#[test]
fn diff_tells_the_meaning_and_not_the_text() {
    let same = RULES.replace("{ 80, 443 }", "{ 443, 80 }").replace("  ip saddr", " ip  saddr");
    let other = RULES.replace("{ 80, 443 }", "{ 80 }");
    let desk = desk(&[("old.nft", RULES), ("same.nft", &same), ("other.nft", &other)]);
    let (code, report) = desk.json(&["policy", "diff", "old.nft", "same.nft"]);
    assert_eq!((code, report["changes"].as_array().unwrap().len()), (0, 0), "{report:#}");
    let (code, report) = desk.json(&["policy", "diff", "old.nft", "other.nft"]);
    assert_eq!(code, 1);
    for change in report["changes"].as_array().unwrap() {
        assert_eq!((&change["before"], &change["after"]), (&"allowed".into(), &"denied".into()));
        assert_eq!(change["packets"]["destination_ports"], "443");
    }
}

#[test]
fn intents_gate() {
    let intents = |must: &str| {
        format!(
            "[[intent]]\nname = \"web\"\nfrom = \"198.51.100.7\"\nto = \"10.0.0.2:443\"\nmust = \"{must}\"\n"
        )
    };
    let desk = desk(&[
        ("origin.nft", RULES),
        ("kept.toml", &intents("reach")),
        ("broken.toml", &intents("not-reach")),
        ("slip.toml", "[[intent]]\nnam = \"x\"\n"),
    ]);
    for (file, wanted) in [("kept.toml", 0), ("broken.toml", 1), ("slip.toml", 2)] {
        let output = desk.run(&["policy", "check", file, "origin.nft"]);
        assert_eq!(output.status.code(), Some(wanted), "{file}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let error = desk.run(&["policy", "check", "slip.toml", "origin.nft"]).stderr;
    let error = String::from_utf8(error).unwrap();
    assert!(error.contains("slip.toml:2") && error.contains("name"), "{error}");
}

#[test]
fn packets_are_answered_line_by_line() {
    let desk = desk(&[("origin.nft", RULES)]);
    let words = ["policy", "packet", "origin.nft"];
    let mut child = desk.command(&words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = [
        r#"{"hook":"input","in":"eth0","protocol":"tcp","src":"198.51.100.7","sport":40000,"dst":"10.0.0.2","dport":443}"#,
        r#"{"hook":"input","in":"eth0","protocol":"tcp","src":"198.51.100.7","sport":40000,"dst":"10.0.0.2","dport":22}"#,
        r#"{"hook":"input","in":"eth0","protocol":"tcp","src":"198.51.100.7","sport":40000,"dst":"10.0.0.2","dport":443,"state":"established"}"#,
        r#"{"hok":"input"}"#,
    ];
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seen: Vec<(&Value, &Value)> =
        answers[..3].iter().map(|one| (&one["verdict"], &one["rule"])).collect();
    let wanted = [("accept".into(), 5.into()), ("drop".into(), Value::Null), ("accept".into(), 0.into())];
    assert_eq!(seen, wanted.iter().map(|(a, b): &(Value, Value)| (a, b)).collect::<Vec<_>>(), "{answers:?}");
    assert!(answers[3]["error"].as_str().unwrap().contains("hook"), "{:?}", answers[3]);
}

#[test]
fn a_web_firewall_names_the_rule_and_the_narrowest_exclusion() {
    let rules = "\
SecRuleEngine On
SecRule ARGS \"@rx (?i)union\\s+select\" \"id:1001,phase:2,deny,status:403,msg:'SQL'\"
";
    let request =
        r#"{"method":"GET","uri":"/search?q=union%20select&page=1","headers":{"Host":"shop.example"}}"#;
    let desk = desk(&[("rules.conf", rules), ("requests.jsonl", request)]);
    let (code, report) = desk.json(&["policy", "waf", "requests.jsonl", "rules.conf", "--exclude"]);
    assert_eq!((code, &report["schema"]), (1, &"netwhy.waf/1".into()), "{report:#}");
    let answer = &report["answers"][0];
    assert_eq!((&answer["tripped"][0]["id"], &answer["tripped"][0]["line"]), (&1001.into(), &2.into()));
    let change = answer["plan"]["exclusions"][0]["change"].as_str().unwrap();
    assert!(change.contains("ruleRemoveTargetById=1001;ARGS:q"), "{change}");
    let command = "curl 'https://shop.example/search' -H 'accept: */*' --data 'q=union%20select&page=1'";
    let (code, report) = desk.json(&["policy", "waf", command, "rules.conf", "--exclude"]);
    assert_eq!((code, &report["answers"][0]["tripped"][0]["id"]), (1, &1001.into()), "{report:#}");
}

#[test]
fn facts_of_who_asks_settle_what_a_zero_trust_policy_leaves_open() {
    let policy = r#"{"schema": "netwhy.zero-trust/1", "hosts": {"db": "10.1.0.5"}, "groups": {"staff": ["alice@x.example"]},
        "rules": [{"action": "allow", "from": ["group:staff"], "to": "db", "ports": [5432], "when": {"mfa": true}}]}"#;
    let desk = desk(&[("access.json", policy)]);
    let ask = |facts: &[&str]| {
        let mut words = vec!["policy", "can", "198.51.100.1", "db:5432", "access.json"];
        facts.iter().for_each(|fact| words.extend(["--fact", *fact]));
        desk.run(&words).status.code()
    };
    assert_eq!(ask(&[]), Some(3));
    assert_eq!(ask(&["identity=alice@x.example", "mfa=true"]), Some(0));
    assert_eq!(ask(&["identity=eve@x.example", "mfa=true"]), Some(1));
    assert_eq!(ask(&["mfa"]), Some(2));
}

#[test]
fn what_members_answer_and_where_they_listen_is_held_against_their_health_checks() {
    let balancer = "listen web\n bind :80\n mode http\n option httpchk GET /health\n server a 10.0.0.5:8080 check\n server b 10.0.0.6:8080 check\n";
    let desk = desk(&[("haproxy.cfg", balancer)]);
    let kinds = |words: &[&str]| {
        let (_, report) = desk.json(&[&["policy", "lint", "haproxy.cfg"], words].concat());
        let found = report["findings"].as_array().unwrap().iter();
        found.map(|one| one["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(!kinds(&[]).iter().any(|kind| kind == "health-path" || kind == "health-port-closed"));
    assert!(kinds(&["--answers", "10.0.0.5:8080/health=404"]).contains(&"health-path".to_owned()));
    assert!(kinds(&["--answers", "*:8080/health=503"]).contains(&"health-codes".to_owned()));
    assert!(kinds(&["--listening", "10.0.0.6:80"]).contains(&"health-port-closed".to_owned()));
    assert_eq!(desk.run(&["policy", "lint", "haproxy.cfg", "--listening", "8080"]).status.code(), Some(2));
}

#[test]
fn files_that_are_no_rules_are_said_and_not_taken_for_allowed() {
    let desk = desk(&[("notes.txt", "nothing of the kind\n")]);
    let output = desk.run(&["policy", "can", "10.0.0.1", "10.0.0.2:443", "notes.txt"]);
    assert_eq!(output.status.code(), Some(3));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("notes.txt"), "{error}");
}

/// A packet filter drops; its rules are given as a file. With them the verdict is sure; and when the file is not
/// what runs, the probes win.
#[test]
fn rules_of_files_are_evidence_beside_the_probes() {
    in_namespace(&["nft"], || {
        let drop = "table inet own {\n chain input { type filter hook input priority 0; policy accept;\n  tcp dport 8080 drop\n }\n}\n";
        let lets = drop.replace("8080 drop", "8080 accept");
        let desk = desk(&[("drop.nft", drop), ("lets.nft", &lets)]);
        netwhy_testing::run(&format!("nft -f {}", desk.path().join("drop.nft").display()));
        let (code, verdict) = desk.json(&["127.0.0.1:8080", "--policy", "drop.nft"]);
        assert_eq!(code, 1, "{verdict:#}");
        let said = |verdict: &Value| {
            let all = verdict["evidence"].as_array().unwrap();
            all.iter().find(|one| one["fact"] == "policy.host").map(|one| one["value"].clone())
        };
        assert_eq!(said(&verdict), Some("input".into()));
        assert_eq!(verdict["causes"][0]["id"], "policy.hostfw.input", "{:#}", verdict["causes"]);
        let sure = verdict["causes"][0]["confidence"].as_f64().unwrap();
        let (_, other) = desk.json(&["127.0.0.1:8080", "--policy", "lets.nft"]);
        assert_eq!(said(&other), Some("allowed".into()));
        let of_firewall = |verdict: &Value| {
            let causes = verdict["causes"].as_array().unwrap().iter();
            causes
                .filter(|one| one["id"] == "policy.hostfw.input")
                .map(|one| one["confidence"].as_f64().unwrap())
                .sum::<f64>()
        };
        assert!(of_firewall(&other) < sure, "{sure} and {:#}", other["causes"]);
    });
}

#[test]
fn where_rules_and_wire_differ_the_verdict_says_on_which_side_the_fault_lies() {
    in_namespace(&["nft"], || {
        let drop = "table inet own {\n chain input { type filter hook input priority 0; policy accept;\n  tcp dport 8080 drop\n }\n}\n";
        let lets = drop.replace("8080 drop", "8080 accept");
        let desk = desk(&[("drop.nft", drop), ("lets.nft", &lets)]);
        let side = |verdict: &Value| verdict["disagreement"]["side"].clone();
        // The files deny, and yet it connects: they are not what runs.
        let listener = std::net::TcpListener::bind("127.0.0.1:8080").unwrap();
        let (_, connected) = desk.json(&["127.0.0.1:8080", "--policy", "drop.nft"]);
        assert_eq!(side(&connected), "files", "{connected:#}");
        let text = connected["disagreement"]["text"].as_str().unwrap();
        assert!(text.contains("drop.nft:3"), "{text}");
        let (_, agreed) = desk.json(&["127.0.0.1:8080", "--policy", "lets.nft"]);
        assert_eq!(side(&agreed), Value::Null);
        // The files allow, and yet the SYN stays silent: it is stopped where they do not look.
        netwhy_testing::run(&format!("nft -f {}", desk.path().join("drop.nft").display()));
        let (_, silent) = desk.json(&["127.0.0.1:8080", "--policy", "lets.nft"]);
        assert_eq!(side(&silent), "beyond-rules", "{silent:#}");
        let (_, agreed) = desk.json(&["127.0.0.1:8080", "--policy", "drop.nft"]);
        assert_eq!(side(&agreed), Value::Null);
        let page = desk.run(&["127.0.0.1:8080", "--policy", "lets.nft", "--lang", "zh"]);
        assert!(String::from_utf8_lossy(&page.stdout).contains("规则与实际不一致"));
        std::mem::drop(listener);
    });
}
