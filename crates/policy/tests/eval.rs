//! What the interpreter of netfilter rules says where not everything is known, and where rules are wicked.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use netwhy_policy::netfilter::ast::Ruleset;
use netwhy_policy::netfilter::eval::{Decision, Machine, Outcome};
use netwhy_policy::netfilter::nft;
use netwhy_policy::netfilter::packet::Packet;
use std::fmt::Write;

fn rules(text: &str) -> Ruleset {
    let ruleset = nft::read_text(&"rules.nft".into(), text);
    assert!(ruleset.unread.is_empty(), "{:?}", ruleset.unread);
    ruleset
}

/// A machine of one forward chain.
fn forward(policy: &str, lines: &str) -> Machine {
    Machine::new(&rules(&format!(
        "table ip t {{\n set k {{ type ipv4_addr; flags dynamic; }}\n chain c {{\n type filter hook forward priority 0; policy {policy};\n{lines}\n}}\n}}"
    )))
}

fn ask(machine: &mut Machine, more: &str) -> Decision {
    let line =
        format!(r#"{{"protocol":"tcp","src":"10.0.0.1","sport":4000,"dst":"10.0.0.2","dport":443{more}}}"#);
    machine.packet(&Packet::from_json(&line).expect("a packet"))
}

#[test]
fn what_is_not_known_makes_it_depend_only_where_it_can_change_the_end() {
    let mut machine = forward("drop", "iifname \"eth0\" accept\ntcp dport 443 accept");
    assert_eq!(ask(&mut machine, "").verdict, Outcome::Accept);
    let mut machine = forward("drop", "iifname \"eth0\" drop\ntcp dport 443 accept");
    let decision = ask(&mut machine, "");
    assert_eq!(decision.verdict, Outcome::Depends);
    assert!(decision.reasons[0].en.contains("in is not known"), "{:?}", decision.reasons);
    let decision = ask(&mut machine, r#","in":"eth0""#);
    assert_eq!((decision.verdict, decision.rule.map(|at| (at.rule, at.line))), (Outcome::Drop, Some((0, 5))));
    assert_eq!(ask(&mut machine, r#","in":"eth1""#).verdict, Outcome::Accept);
    let mut machine = forward("accept", "ip ttl < 10 meta mark set 1\nmeta mark 1 drop");
    assert_eq!(ask(&mut machine, "").verdict, Outcome::Depends);
    assert_eq!(ask(&mut machine, r#","ttl":64"#).verdict, Outcome::Accept);
    let mut machine = forward("drop", "ip ttl < 10 jump s\ntcp dport 443 drop\n}\nchain s {\n accept");
    assert_eq!(ask(&mut machine, "").verdict, Outcome::Depends);
}

#[test]
fn a_policy_and_a_rule_are_told_apart() {
    let mut machine = forward("drop", "tcp dport 80 accept");
    let decision = ask(&mut machine, "");
    let answer = serde_json::to_value(decision.answer()).unwrap();
    assert_eq!(
        (&answer["verdict"], &answer["rule"], &answer["chain"]),
        (&"drop".into(), &serde_json::Value::Null, &"c".into())
    );
}

#[test]
fn the_last_rule_that_accepted_is_named_with_its_own_number() {
    let text = "table ip a { chain c { type filter hook forward priority 0; policy drop; ip saddr 10.0.0.9 accept; tcp dport 443 accept; } }
        table ip b { chain d { type filter hook forward priority 5; policy accept; tcp dport 80 drop; } }";
    let decision = ask(&mut Machine::new(&rules(text)), "");
    let rule = decision.rule.expect("a rule");
    assert_eq!((&*rule.table, &*rule.chain, rule.rule), ("a", "c", 1));
}

#[test]
fn a_state_that_is_said_is_taken_and_one_that_is_not_is_found_out() {
    let mut machine = forward("drop", "ct state established accept\nct state new tcp dport 443 accept");
    assert_eq!(ask(&mut machine, r#","state":"established""#).rule.expect("a rule").rule, 0);
    assert_eq!(ask(&mut machine, r#","state":"invalid""#).verdict, Outcome::Drop);
    let back =
        r#"{"protocol":"tcp","src":"10.0.0.2","sport":443,"dst":"10.0.0.1","dport":4000,"flags":"syn,ack"}"#;
    let back = Packet::from_json(back).expect("a packet");
    assert_eq!(machine.packet(&back).verdict, Outcome::Drop);
    assert_eq!(ask(&mut machine, "").rule.expect("a rule").rule, 1);
    assert_eq!(machine.packet(&back).rule.expect("a rule").rule, 0);
}

#[test]
fn chains_that_call_each_other_in_a_circle_end_in_depends() {
    let text = "table ip t { chain a { jump b; jump b; } chain b { jump a; jump a; } chain c { type filter hook forward priority 0; policy drop; jump a; } }";
    let decision = ask(&mut Machine::new(&rules(text)), "");
    assert_eq!(decision.verdict, Outcome::Depends);
    assert!(decision.reasons[0].en.contains("circle"));
}

#[test]
fn limits_and_sets_that_rules_fill_count_in_the_order_of_the_packets() {
    let mut machine = forward("drop", "tcp dport 443 limit rate 1/hour burst 2 packets accept");
    let verdicts: Vec<Outcome> = (0..3).map(|_| ask(&mut machine, "").verdict).collect();
    assert_eq!(verdicts, [Outcome::Accept, Outcome::Accept, Outcome::Drop]);
    let mut machine = forward("drop", "ip saddr @k accept\nadd @k { ip saddr }");
    assert_eq!(
        (ask(&mut machine, "").verdict, ask(&mut machine, "").verdict),
        (Outcome::Drop, Outcome::Accept)
    );
}

#[test]
fn a_long_chain_gives_the_same_with_its_index_as_rule_by_rule() {
    let mut text = String::new();
    for rule in 0..400_u32 {
        let mixed = rule.wrapping_mul(2_654_435_761);
        let (source, destination, port) = (mixed >> 20 & 7, mixed >> 12 & 15, mixed >> 5 & 3);
        let verdict = ["accept", "drop", "counter", "meta mark set 1"][(mixed & 3) as usize];
        let matches = match rule % 5 {
            0 => format!("ip saddr 10.0.{source}.0/24 tcp dport {port}"),
            1 => format!("ip daddr 10.1.{destination}.{source} tcp dport {port}-{}", port + 1),
            2 => format!("ip saddr 10.0.{source}.{destination} ip daddr 10.1.0.0/16"),
            3 => format!("ip saddr {{ 10.0.{source}.1, 10.0.{destination}.0/28 }} udp dport {port}"),
            _ => format!("meta mark {source} tcp sport {port}"),
        };
        writeln!(text, "{matches} {verdict}").unwrap();
    }
    let mut long = forward("accept", &text);
    let scanned = |packet: &Packet| {
        // Of each rule a chain of its own, which is too short to be indexed.
        let mut jumps = String::new();
        let mut chains = String::new();
        for (at, rule) in text.lines().enumerate() {
            if at % 8 == 0 {
                writeln!(jumps, "jump s{at}").unwrap();
                write!(chains, "}}\nchain s{at} {{\n").unwrap();
            }
            writeln!(chains, "{rule}").unwrap();
        }
        // Jumps are many: they stand in chains of eight as well.
        let jumps: Vec<&str> = jumps.lines().collect();
        let mut outer = String::new();
        for (at, eight) in jumps.chunks(8).enumerate() {
            write!(chains, "}}\nchain o{at} {{\n{}\n", eight.join("\n")).unwrap();
            writeln!(outer, "jump o{at}").unwrap();
        }
        forward("accept", &format!("{outer}{chains}")).packet(packet)
    };
    for place in 0..60_u32 {
        let mixed = place.wrapping_mul(0x9e37_79b9);
        let line = format!(
            r#"{{"protocol":"{}","src":"10.0.{}.{}","sport":{},"dst":"10.1.{}.{}","dport":{}}}"#,
            ["tcp", "udp", "icmp"][place as usize % 3],
            mixed >> 28 & 7,
            mixed >> 24 & 15,
            mixed >> 20 & 3,
            mixed >> 16 & 15,
            mixed >> 12 & 7,
            mixed >> 8 & 3
        );
        let packet = Packet::from_json(&line).expect("a packet");
        assert_eq!(long.packet(&packet).verdict, scanned(&packet).verdict, "{line}");
    }
}
