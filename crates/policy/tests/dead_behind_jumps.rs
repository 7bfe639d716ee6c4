//! Rules of packet filters that no packet comes to, because of chains that jumps lead to or that call theirs.
#![allow(clippy::expect_used, clippy::panic)]

use netwhy_policy::world::{Source, World};

/// The dead rules: chain, number, and the rules that take their packets.
fn dead(text: &str) -> Vec<(String, u32, Vec<u32>)> {
    let world = World::read(&[Source { file: "h.nft".into(), text: text.to_owned() }], None);
    assert!(world.unread().is_empty(), "{:?}", world.unread());
    let found = world.lint(None).into_iter().filter(|one| one.kind == "dead");
    found.map(|one| (one.within, one.rule.expect("a rule"), one.by)).collect()
}

fn filter(input: &str, chains: &str) -> String {
    format!(
        "table inet f {{\n{chains}\n chain i {{\n type filter hook input priority 0; policy drop;\n{input}\n }}\n}}\n"
    )
}

#[test]
fn what_a_chain_decides_for_good_never_comes_to_the_rules_after_the_jump() {
    let web = "chain web {\n tcp dport { 80, 443 } accept\n }";
    let text = filter("jump web\n ip saddr 10.0.0.0/8 tcp dport 443 drop\n tcp dport 8080 accept", web);
    assert_eq!(dead(&text), [("i".to_owned(), 1, vec![0])]);
    // A part of its packets is left: it lives.
    let text = filter("ip saddr 10.1.0.0/16 jump web\n ip saddr 10.0.0.0/8 tcp dport 443 drop", web);
    assert_eq!(dead(&text), []);
}

#[test]
fn what_may_return_is_not_taken_for_decided() {
    let chains = |first: &str| format!("chain web {{\n {first}\n tcp dport 443 accept\n }}");
    let rules = "jump web\n tcp dport 443 drop";
    assert_eq!(dead(&filter(rules, &chains("tcp dport 80 accept"))).len(), 1);
    for first in ["ip saddr 10.0.0.0/8 return", "limit rate 1/second return", "tcp dport 443 queue"] {
        let found = dead(&filter(rules, &chains(first)));
        assert!(found.iter().all(|one| one.0 == "web"), "{first}: {found:?}");
    }
    // What is only done now and then decides nothing for good.
    let chains = "chain web {\n tcp dport 443 limit rate 1/second accept\n }";
    assert_eq!(dead(&filter(rules, chains)), []);
}

#[test]
fn a_goto_gives_back_what_its_chain_does_not_decide_and_a_chain_in_a_chain_counts() {
    let chains =
        "chain deep {\n tcp dport 22 accept\n }\n chain web {\n tcp dport 443 accept\n jump deep\n }";
    assert_eq!(dead(&filter("jump web\n tcp dport 22 drop", chains)), [("i".to_owned(), 1, vec![0])]);
    let chains = "chain deep {\n tcp dport 22 accept\n }\n chain web {\n meta l4proto tcp goto deep\n tcp dport 443 accept\n }";
    let found = dead(&filter("jump web\n tcp dport 443 drop", chains));
    // Behind the goto nothing of TCP comes; what the chain behind it does not decide goes back to the caller.
    assert_eq!(found.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["web"]);
}

#[test]
fn a_rule_for_packets_that_never_come_to_its_chain_is_dead_and_says_who_calls_it() {
    let chains = "chain web {\n ip saddr 192.0.2.0/24 accept\n ip saddr 10.1.0.0/16 accept\n }";
    let text = filter("ip saddr 10.0.0.0/8 jump web", chains);
    assert_eq!(dead(&text), [("web".to_owned(), 0, vec![])]);
    let world = World::read(&[Source { file: "h.nft".into(), text }], None);
    let found = world.lint(None).into_iter().find(|one| one.kind == "dead").expect("dead");
    assert!(found.text.en.contains("called by i 0 (h.nft:8"), "{}", found.text.en);
}
