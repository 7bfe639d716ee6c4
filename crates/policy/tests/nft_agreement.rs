//! nft's text and JSON of the same rules are read to the same tree, and nearly all of what nft takes is understood.

mod common;

use netwhy_policy::netfilter::ast::{Part, Ruleset};
use netwhy_policy::netfilter::nft::{read_json, read_text};
use common::{files, rule_tests, same, same_rules, shared};
use std::fs;

#[test]
fn text_and_json_of_a_rule_set_are_read_to_the_same_tree() {
    let Some(folder) = shared("nft/dumps") else { return };
    let mut different = Vec::new();
    let mut count = 0;
    for path in files(&folder, "nft") {
        let json = path.with_extension("json-nft");
        let (Ok(text), Ok(json)) = (fs::read_to_string(&path), fs::read_to_string(json)) else { continue };
        let one = read_text(&"text".into(), &text);
        let other = read_json(&"json".into(), &json);
        count += 1;
        if let Some(difference) = same(&one, &other) {
            different.push(format!("{}\n{difference}", path.display()));
        }
        for unread in one.unread.iter().chain(&other.unread) {
            different.push(format!("{}: unread {unread:?}", path.display()));
        }
    }
    println!("{count} pairs, {} differ", different.len());
    assert!(count > 100, "only {count} pairs");
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

#[test]
fn nearly_every_rule_that_nft_takes_is_understood_and_its_json_reads_the_same() {
    let Some(folder) = shared("nft/py") else { return };
    let (mut count, mut unknown, mut different) = (0, Vec::new(), Vec::new());
    for test in rule_tests(&folder) {
        count += 1;
        let ruleset = read_text(&"text".into(), &test.text());
        if let Some(why) = not_understood(&ruleset) {
            unknown.push(format!("{}: {}: {why}", test.file, test.rule));
        }
        if let Some(json) = test.json() {
            let other = read_json(&"json".into(), &json);
            // Some of the JSON is of the rule as it was given, and some as it is printed.
            let printed = read_text(&"text".into(), &test.printed_text());
            let difference = same_rules(&ruleset, &other).and(same_rules(&printed, &other));
            if let Some(difference) = difference.filter(|_| !test.rule.contains(" name ")) {
                different.push(format!("{}: {}\n{difference}", test.file, test.rule));
            }
        }
    }
    println!("{count} rules, {} not understood, {} differ", unknown.len(), different.len());
    for line in unknown.iter().chain(&different) {
        println!("{line}");
    }
    assert!(count > 500, "only {count} rules");
    assert!(unknown.len() * 100 < count * 3);
    assert!(different.is_empty());
}

/// Why a rule was not understood.
fn not_understood(ruleset: &Ruleset) -> Option<String> {
    if let Some(unread) = ruleset.unread.first() {
        return Some(format!("unread: {}: {}", unread.why.en, unread.text));
    }
    let rules = ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    rules.flat_map(|rule| &rule.parts).find_map(|part| match part {
        Part::Unknown { text, why } => Some(format!("{}: {text}", why.en)),
        _ => None,
    })
}
