//! Saved rules of iptables, scripts of its commands, ipsets; lowered to cubes and followed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_policy::netfilter::lower::gates;
use netwhy_policy::netfilter::trace::{Role, path};
use netwhy_policy::netfilter::xtables::{bind, read_ipset, read_save};
use netwhy_policy::space::{Cube, Family};

/// How many pieces a question may fall into here.
const PIECE_COUNT_MAX: usize = 200;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (family, text) = match text.strip_prefix('6') {
        Some(rest) => (Family::V6, rest),
        None => (Family::V4, &*text),
    };
    // Sets stand behind a line of three dashes.
    let (rules, sets) = text.split_once("\n---\n").unwrap_or((text, ""));
    let mut ruleset = read_save(&"rules".into(), rules, family);
    let sets = read_ipset(&"sets".into(), sets);
    ruleset.ipsets = sets.ipsets;
    let rules = ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    assert!(rules.map(|rule| &rule.text).all(|text| plain(text)));
    assert!(ruleset.unread.iter().chain(&sets.unread).all(|gap| plain(&gap.text)));
    bind(&mut ruleset);
    let _ = gates(&ruleset);
    for role in [Role::Input, Role::Forward, Role::Output] {
        let _ = path(&ruleset, role, &[Cube::all(family)], PIECE_COUNT_MAX);
    }
});

/// No control character reaches a terminal.
fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
