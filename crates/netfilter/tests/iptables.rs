//! What this crate reads of xtables rules against what iptables-save prints of the same kernel.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use netwhy_model::host::{Backend, Rule, Ruleset};
use netwhy_testing::{attempt, in_namespace, output, run};
use std::collections::BTreeMap;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules");
/// What is named as not understood on purpose.
const NOT_READ: [&str; 2] = ["u32", "bpf"];

fn prepare(tool: &str) {
    attempt("ipset create f2b hash:ip timeout 600 && ipset add f2b 1.2.3.4");
    attempt("ipset create f2bnet hash:net,port && ipset add f2bnet 10.0.0.0/8,tcp:80");
    let file = if tool.starts_with("ip6") { "ip6tables.sh" } else { "iptables.sh" };
    attempt(&format!("sh {FOLDER}/{file} {tool}"));
}

fn read() -> Ruleset {
    let (ruleset, unread) = netwhy_netfilter::ruleset();
    assert!(unread.is_empty(), "{unread:?}");
    ruleset
}

/// `filter INPUT 3` to (packets, bytes, text); position 0 is the policy.
fn saved(tool: &str) -> BTreeMap<String, (u64, u64, String)> {
    let mut rules = BTreeMap::new();
    let mut table = String::new();
    let mut positions: BTreeMap<String, u32> = BTreeMap::new();
    let counters = |text: &str| {
        let (packets, bytes) = text.trim_matches(['[', ']']).split_once(':').unwrap();
        (packets.parse().unwrap(), bytes.parse().unwrap())
    };
    for line in output(&format!("{tool}-save -c")).lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_owned();
            positions.clear();
        } else if let Some(rest) = line.strip_prefix(':') {
            let words: Vec<&str> = rest.split(' ').collect();
            if words[1] != "-" {
                let (packets, bytes) = counters(words[2]);
                let text = format!("policy {}", words[1]);
                rules.insert(format!("{table} {} 0", words[0]), (packets, bytes, text));
            }
        } else if line.starts_with('[') {
            let (count, rest) = line.split_once(" -A ").unwrap();
            let (chain, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let position = positions.entry(chain.to_owned()).or_default();
            *position += 1;
            let (packets, bytes) = counters(count);
            rules.insert(format!("{table} {chain} {position}"), (packets, bytes, without_comment(text)));
        }
    }
    rules
}

/// Without the comment, which this crate keeps apart, and the end of time, which it leaves unsaid.
fn without_comment(text: &str) -> String {
    let text = &text.replace(" --datestop 2038-01-19T03:14:07", "");
    match text.split_once("-m comment --comment \"") {
        Some((before, after)) => format!("{before}{}", after.split_once("\" ").map_or("", |(_, rest)| rest)),
        None => text.to_owned(),
    }
}

/// Compares every rule and policy with what the tool saves; gives how many there were.
fn compare(tool: &str) -> usize {
    let saved = saved(tool);
    let ruleset = read();
    let rules: Vec<&Rule> = ruleset.rules.iter().filter(|rule| rule.backend == Backend::Xtables).collect();
    let mut wrong = Vec::new();
    for rule in &rules {
        let key = format!("{} {} {}", rule.table, rule.chain, rule.position);
        let (packets, bytes, text) = saved.get(&key).cloned().unwrap_or((0, 0, "<not saved>".to_owned()));
        let skip = NOT_READ.iter().any(|name| rule.text.contains(name));
        if (text != rule.text && !skip) || rule.counter != Some((packets, bytes)) {
            let counter = rule.counter;
            let read = format!("  read:  {counter:?} {}", rule.text);
            wrong.push(format!("{key}\n  saved: {packets} {bytes} {text}\n{read}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), rules.len(), wrong.join("\n"));
    assert_eq!(rules.len(), saved.len());
    let expected: Vec<&str> = NOT_READ
        .into_iter()
        .filter(|name| saved.values().any(|rule| rule.2.contains(&format!("-m {name} "))))
        .collect();
    assert_eq!(ruleset.not_understood.len(), expected.len(), "{:?}", ruleset.not_understood);
    rules.len()
}

#[test]
fn every_legacy_rule_reads_as_iptables_saves_it() {
    in_namespace(&["iptables-legacy", "ipset"], || {
        prepare("iptables-legacy");
        run("ping -c 2 -i 0.01 -W 1 127.0.0.1 >/dev/null || true");
        let count = compare("iptables-legacy");
        assert!(count > 90, "only {count} rules could be loaded");
    });
}

#[test]
fn every_legacy_rule_of_ip6_reads_as_ip6tables_saves_it() {
    in_namespace(&["ip6tables-legacy"], || {
        prepare("ip6tables-legacy");
        let count = compare("ip6tables-legacy");
        assert!(count > 30, "only {count} rules could be loaded");
    });
}

#[test]
fn extensions_in_nf_tables_read_as_iptables_saves_them() {
    in_namespace(&["iptables-nft", "ipset"], || extensions("iptables-nft", 40, NOT_READ.len()));
    in_namespace(&["ip6tables-nft"], || extensions("ip6tables-nft", 8, 0));
}

fn extensions(tool: &str, count_min: usize, unknown: usize) {
    prepare(tool);
    let saved = saved(tool);
    let ruleset = read();
    let mut wrong = Vec::new();
    let mut extensions = 0;
    for rule in &ruleset.rules {
        let key = format!("{} {} {}", rule.table, rule.chain, rule.position);
        let (.., text) = saved.get(&key).cloned().unwrap_or((0, 0, "<not saved>".to_owned()));
        let own = rule.text.find("-m ").or_else(|| rule.text.find("-j ")).map(|at| &rule.text[at..]);
        extensions += own.map_or(0, |own| own.matches("-m ").count() + own.matches("-j ").count());
        // What nf_tables itself decides stands behind the extensions.
        let own = own.unwrap_or_default();
        let own = [" drop", " accept"].iter().fold(own, |own, end| own.trim_end_matches(end));
        let known = own.split(" -").all(|part| {
            let words: Vec<&str> = part.split(' ').take(2).collect();
            text.contains(&words.join(" ")) || NOT_READ.iter().any(|name| part.contains(name))
        });
        if !known {
            wrong.push(format!("{key}\n  saved: {text}\n  read:  {}", rule.text));
        }
    }
    assert!(extensions > count_min, "{extensions}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(ruleset.not_understood.len(), unknown, "{:?}", ruleset.not_understood);
}
