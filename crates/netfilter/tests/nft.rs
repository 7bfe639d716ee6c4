//! What this crate reads of nf_tables against what `nft` prints of the same kernel.

mod common;

use common::{in_namespace, output, run};
use netwhy_model::host::{Hook, Match, Rule, RuleVerdict, Ruleset};
use std::collections::BTreeMap;

const EVERYTHING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules/everything.nft");

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

#[test]
fn every_rule_reads_as_nft_prints_it() {
    in_namespace(&["nft"], || {
        run(&format!("nft -f {EVERYTHING}"));
        let printed = printed();
        let ruleset = read();
        let mut wrong = Vec::new();
        let mut compared = 0;
        for rule in ruleset.rules.iter().filter(|rule| rule.position > 0) {
            let key = (format!("{} {} {}", rule.family, rule.table, rule.chain), rule.handle);
            let expected = printed.get(&key).map(String::as_str).unwrap_or("<not printed>");
            compared += 1;
            if expected != rule.text {
                wrong.push(format!("{key:?}\n  nft:  {expected}\n  read: {}", rule.text));
            }
        }
        assert_eq!(compared, printed.len());
        assert!(wrong.is_empty(), "{} of {compared} differ\n{}", wrong.len(), wrong.join("\n"));
        assert_eq!(ruleset.not_understood, Vec::<String>::new());
    });
}
