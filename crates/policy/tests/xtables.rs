//! The readers of iptables-save: what the collected rules of iptables' own tests become, and that nothing panics.

use netwhy_policy::netfilter::ast::{Field, Part, Ruleset};
use netwhy_policy::netfilter::xtables::read_save;
use netwhy_policy::space::Family;
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;

/// The shared data, from the repository or from a worktree of it.
fn shared() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?.to_owned();
    ["../shared/data/policy", "../../shared/data/policy"]
        .iter()
        .map(|up| root.join(up))
        .find(|path| path.exists())
}

fn read(text: &str, family: Family) -> Ruleset {
    let file: Arc<str> = "test".into();
    read_save(&file, text, family)
}

/// The lines of one file of iptables' tests: table, chain, rule, whether iptables takes it.
fn lines(text: &str) -> Vec<(String, String, String, bool)> {
    let (mut table, mut chain) = ("filter".to_owned(), "INPUT".to_owned());
    let mut out = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_owned();
        } else if let Some(names) = line.strip_prefix(':') {
            chain = names.split(',').next().unwrap_or("").to_owned();
        } else if !line.starts_with(['#', '@', '%']) && line.contains(';') {
            let mut cells = line.split(';');
            let rule = cells.next().unwrap_or("").to_owned();
            out.push((table.clone(), chain.clone(), rule, cells.nth(1) == Some("OK")));
        }
    }
    out
}

#[test]
fn nearly_every_rule_that_iptables_takes_is_understood() {
    let Some(data) = shared() else {
        println!("SKIPPED: no shared data");
        return;
    };
    let (mut good, mut read_well, mut unknown, mut refused, mut bad) = (0, 0, 0, 0, 0);
    for entry in std::fs::read_dir(data.join("iptables")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let family = if path.to_string_lossy().contains("libip6t") { Family::V6 } else { Family::V4 };
        let text = std::fs::read_to_string(&path).expect("text");
        for (table, chain, rule, ok) in lines(&text) {
            let ruleset = read(&format!("*{table}\n-A {chain} {rule}\nCOMMIT\n"), family);
            if ok {
                good += 1;
                let parts = ruleset
                    .tables
                    .iter()
                    .flat_map(|t| &t.chains)
                    .flat_map(|c| &c.rules)
                    .flat_map(|r| &r.parts);
                unknown += usize::from(parts.clone().any(|part| matches!(part, Part::Unknown { .. })));
                read_well += usize::from(ruleset.unread.is_empty());
                for unread in &ruleset.unread {
                    println!("{}: {rule}: {} ({})", path.display(), unread.why.en, unread.text);
                }
            } else {
                bad += 1;
                refused += usize::from(!ruleset.unread.is_empty());
                if ruleset.unread.is_empty() {
                    println!("taken: {}: {rule}", path.display());
                }
            }
        }
    }
    println!("{read_well} of {good} read, {unknown} with unknown conditions; {refused} of {bad} refused");
    assert!(read_well * 100 >= good * 97, "{read_well} of {good}");
}

#[test]
fn a_saved_rule_set_has_its_chains_in_their_hooks() {
    let text = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.0.0.9/32 -p tcp --dport 443 -j DNAT --to-destination 10.0.0.10:8080\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n:S - [0:0]\n[12:34] -A FORWARD -i eth+ -m comment --comment \"a b\" -j S\nCOMMIT\n";
    let ruleset = read(text, Family::V4);
    assert!(ruleset.unread.is_empty(), "{:?}", ruleset.unread);
    let chain = &ruleset.tables[1].chains[1];
    assert_eq!(chain.rules[0].comment.as_deref(), Some("a b"));
    assert_eq!(chain.rules[0].place.line, 8);
    assert_eq!(ruleset.tables[1].chains[3].name, "S");
}

#[test]
fn a_script_of_commands_makes_the_same_rules_as_the_file_it_saves() {
    let script = "#!/bin/sh\nIPT=/sbin/iptables\nNET=\"10.0.0.0/8\"\n$IPT -P FORWARD DROP\n$IPT -N S; $IPT -A FORWARD -j S\n\
                  iptables -t filter -I FORWARD 1 -s $NET -p tcp --dport 22 -j ACCEPT > /dev/null 2>&1\n\
                  iptables -A S -p tcp ! --dport 80 \\\n -j DROP\niptables-restore -n <<EOF\n*filter\n-A S -j RETURN\nCOMMIT\nEOF\n";
    let saved = "*filter\n:FORWARD DROP [0:0]\n:S - [0:0]\n-A FORWARD -s 10.0.0.0/8 -p tcp --dport 22 -j ACCEPT\n-A FORWARD -j S\n\
                 -A S -p tcp ! --dport 80 -j DROP\n-A S -j RETURN\nCOMMIT\n";
    let parts = |ruleset: &Ruleset| -> Vec<Vec<Part>> {
        ruleset.tables[0]
            .chains
            .iter()
            .flat_map(|chain| &chain.rules)
            .map(|rule| rule.parts.clone())
            .collect()
    };
    let (script, saved) = (read(script, Family::V4), read(saved, Family::V4));
    assert!(script.unread.is_empty(), "{:?}", script.unread);
    assert_eq!(parts(&script), parts(&saved));
    assert_eq!(script.tables[0].chains[1].base, saved.tables[0].chains[1].base);
}

#[test]
fn what_is_not_understood_stays_in_its_rule() {
    let text = "*filter\n-A INPUT -s 10.0.0.0/255.0.255.0 -m strange --foo 1 -j ACCEPT\n-A INPUT --nonsense -j DROP\n-A INPUT -m conntrack --ctstate NEW,DNAT -j ACCEPT\n";
    let ruleset = read(text, Family::V4);
    let rules = &ruleset.tables[0].chains[0].rules;
    assert_eq!(ruleset.unread.len(), 2);
    assert!(rules[..2].iter().all(|rule| rule.parts.iter().any(|part| matches!(part, Part::Unknown { .. }))));
    let Part::Match(found) = &rules[0].parts[0] else { panic!("a match") };
    assert_eq!(found.keys[0].mask, Some(0xff00_ff00));
    let Part::Match(found) = &rules[2].parts[0] else { panic!("a match") };
    assert_eq!(found.keys[0].field, Field::CtStateNat);
}

fn word() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "-A",
        "-I",
        "INPUT",
        "-p",
        "tcp",
        "!",
        "-s",
        "10.0.0.0/8,::1",
        "--dport",
        "1:2",
        "-m",
        "multiport",
        "conntrack",
        "--ctstate",
        "NEW",
        "-j",
        "DNAT",
        "--to-destination",
        "[::1]:80",
        "1.1.1.1:1-2/3",
        "*nat",
        ":X",
        "COMMIT",
        "\"",
        "'",
        "\\",
        "$A",
        "${",
        "A=b",
        ";",
        "iptables",
        "<<EOF",
        "EOF",
        "[1:2]",
        "set",
        "--match-set",
        "src,dst",
        "\n",
        "-D",
        "1",
        "hashlimit",
        "--hashlimit-upto",
        "5/é",
        "kb/s",
        "--ports",
        "icmp",
        "--icmp-type",
        "8/0",
    ];
    prop_oneof![
        4 => proptest::sample::select(WORDS).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(words in proptest::collection::vec(word(), 0..60), v6: bool) {
        let ruleset = read(&words.join(" "), if v6 { Family::V6 } else { Family::V4 });
        for rule in ruleset.tables.iter().flat_map(|t| &t.chains).flat_map(|c| &c.rules) {
            prop_assert!(!rule.text.chars().any(char::is_control));
        }
    }
}
