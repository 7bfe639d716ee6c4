//! What this crate reads of nf_tables against what `nft` prints of the same kernel.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use netwhy_model::host::Ruleset;
use netwhy_testing::{attempt, in_namespace, output, run};
use std::collections::BTreeMap;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules");

/// (family table chain, handle) to the rule's text, from `nft -a list ruleset`.
fn printed() -> BTreeMap<(String, u64), String> {
    let mut rules = BTreeMap::new();
    let (mut table, mut chain) = (String::new(), None);
    for line in output("nft -a list ruleset").lines() {
        let depth = line.chars().take_while(|character| *character == '\t').count();
        let words: Vec<&str> = line.split_whitespace().collect();
        match (depth, words.as_slice()) {
            (0, ["table", family, name, ..]) => table = format!("{family} {name}"),
            (1, ["chain", name, ..]) => chain = Some((*name).to_owned()),
            (1, _) => chain = None,
            (2, [.., "#", "handle", handle]) => {
                let Some(chain) = &chain else { continue };
                let text = line.trim().rsplit_once(" # handle").unwrap().0;
                rules.insert((format!("{table} {chain}"), handle.parse().unwrap()), plain(text));
            }
            _ => {}
        }
    }
    rules
}

/// Without the counter and the comment, which this crate keeps apart.
fn plain(text: &str) -> String {
    let text = text.split(" comment \"").next().unwrap_or(text);
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let mut kept: Vec<&str> = Vec::new();
    let mut skip = 0;
    for (place, word) in words.iter().enumerate() {
        if skip > 0 {
            skip -= 1;
        } else if *word == "counter" && words.get(place + 1) == Some(&"packets") {
            skip = 4;
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

fn read() -> Ruleset {
    let (ruleset, unread) = netwhy_netfilter::ruleset();
    assert!(unread.is_empty(), "{unread:?}");
    ruleset
}

/// Where this crate is right on purpose: what nft 1.0.6 prints, and what is read.
const BETTER: [(&str, &str); 4] = [
    ("tcp flags != 0x12 accept", "tcp flags != syn | ack accept"),
    ("meta mark 0x01000000/8 drop", "meta mark & 0xff000000 == 0x01000000 drop"),
    (
        "meta mark set meta mark & 0xffff0005 | 0x00000005",
        "meta mark set meta mark & 0xffff0000 | 0x00000005",
    ),
    ("@ll,0,48 0x1122334455 drop", "ether daddr 00:11:22:33:44:55 drop"),
];

/// Compares every rule with what nft prints; gives how many there were and how many differ.
fn compare() -> (usize, Vec<String>) {
    let printed = printed();
    let ruleset = read();
    let mut wrong = Vec::new();
    for rule in ruleset.rules.iter().filter(|rule| rule.position > 0) {
        let key = (format!("{} {} {}", rule.family, rule.table, rule.chain), rule.handle);
        let expected = printed.get(&key).map_or("<not printed>", String::as_str);
        if expected != rule.text && !BETTER.contains(&(expected, rule.text.as_str())) {
            wrong.push(format!("{key:?}\n  nft:  {expected}\n  read: {}", rule.text));
        }
    }
    assert_eq!(ruleset.not_understood, Vec::<String>::new());
    (printed.len(), wrong)
}

#[test]
fn every_rule_reads_as_nft_prints_it() {
    in_namespace(&["nft"], || {
        run(&format!("nft -f {FOLDER}/everything.nft"));
        let (count, wrong) = compare();
        assert!(wrong.is_empty(), "{} of {count} differ\n{}", wrong.len(), wrong.join("\n"));
        assert!(count > 150);
    });
}

#[test]
fn odd_rules_read_as_nft_prints_them() {
    in_namespace(&["nft"], || {
        run(&format!("nft -f {FOLDER}/odd.nft"));
        let rules = std::fs::read_to_string(format!("{FOLDER}/odd.txt")).unwrap();
        let refused: Vec<&str> =
            rules.lines().filter(|rule| !attempt(&format!("nft add rule '{rule}'"))).collect();
        if !refused.is_empty() {
            println!("SKIPPED {} rules that this kernel or nft does not have: {refused:?}", refused.len());
        }
        let (count, wrong) = compare();
        assert!(wrong.is_empty(), "{} of {count} differ\n{}", wrong.len(), wrong.join("\n"));
    });
}
