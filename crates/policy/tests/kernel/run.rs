//! Draws rule sets, loads them, and compares.

use super::compare::{Counts, Score, compare};
use super::dice::{Dice, FOUR, Places, SIX};
use super::lab::{self, Lab};
use super::{draw_nft, draw_xt};
use netwhy_policy::netfilter::xtables::read_save;
use netwhy_policy::space::Family;
use netwhy_testing::{attempt, output};
use std::sync::{Arc, Mutex};

/// How often a set is drawn before the drawing itself must be wrong.
const REDRAWN_MAX: usize = 40;

/// What a rule set is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    NftIp,
    NftIp6,
    NftInet,
    IptablesNft,
    IptablesLegacy,
    Ip6tablesNft,
    Ip6tablesLegacy,
}

pub const DIALECTS: [Dialect; 8] = [
    Dialect::NftIp,
    Dialect::IptablesNft,
    Dialect::NftInet,
    Dialect::IptablesLegacy,
    Dialect::NftIp6,
    Dialect::Ip6tablesNft,
    Dialect::NftInet,
    Dialect::Ip6tablesLegacy,
];

impl Dialect {
    fn program(self) -> &'static str {
        match self {
            Dialect::NftIp | Dialect::NftIp6 | Dialect::NftInet => "nft",
            Dialect::IptablesNft => "iptables-nft",
            Dialect::IptablesLegacy => "iptables-legacy",
            Dialect::Ip6tablesNft => "ip6tables-nft",
            Dialect::Ip6tablesLegacy => "ip6tables-legacy",
        }
    }

    fn six(self) -> bool {
        matches!(self, Dialect::Ip6tablesNft | Dialect::Ip6tablesLegacy)
    }
}

/// One seeded rule set of a dialect against the kernel, in a fresh router.
pub fn one(dialect: Dialect, seed: u64, packets: usize) -> Score {
    let result = Arc::new(Mutex::new(Score::default()));
    let to = Arc::clone(&result);
    lab::with(&["nft", "iptables"], move |lab| {
        let mut score = match dialect {
            Dialect::NftIp => nft(&lab, "ip", &[&FOUR], seed, packets),
            Dialect::NftIp6 => nft(&lab, "ip6", &[&SIX], seed, packets),
            Dialect::NftInet => nft(&lab, "inet", &[&FOUR, &SIX], seed, packets),
            _ => xtables(&lab, dialect, seed, packets),
        };
        for mismatch in &mut score.mismatches {
            *mismatch = format!("{dialect:?} seed {seed}: {mismatch}");
        }
        *to.lock().expect("one thread") = score;
    });
    std::mem::take(&mut *result.lock().expect("one thread"))
}

fn nft(
    lab: &Lab,
    family: &'static str,
    places: &'static [&'static Places],
    seed: u64,
    packets: usize,
) -> Score {
    let mut dice = Dice::new(seed);
    let path = std::env::temp_dir().join(format!("netwhy-kernel-{}.nft", std::process::id()));
    // What nft refuses is drawn again.
    let text = (0..REDRAWN_MAX).find_map(|_| {
        let text = draw_nft::draw(&mut dice, family, places);
        std::fs::write(&path, &text).expect("written");
        let refused = output(&format!("nft -f {} 2>&1 || true", path.display()));
        if !refused.is_empty() && std::env::var_os("NETWHY_KERNEL_REFUSED").is_some() {
            println!("refused: {refused}");
        }
        refused.is_empty().then_some(text)
    });
    let text = text.expect("rules that nft takes");
    lab::load_probe();
    let ruleset = netwhy_policy::netfilter::nft::read_text(&"rules".into(), &text);
    assert!(ruleset.unread.is_empty(), "{:?}\n{text}", ruleset.unread);
    let score = compare(lab, &ruleset, places, &mut dice, packets, listed_counts);
    let _ = std::fs::remove_file(&path);
    if !score.mismatches.is_empty() {
        println!("{text}");
    }
    score
}

/// The counters of `nft -j list ruleset`.
fn listed_counts() -> Counts {
    let listed: serde_json::Value = serde_json::from_str(&output("nft -j list ruleset")).expect("JSON");
    let mut counts = Counts::new();
    let mut numbers: std::collections::HashMap<(String, String), u32> = std::collections::HashMap::new();
    for rule in listed["nftables"].as_array().expect("a list").iter().filter_map(|one| one.get("rule")) {
        let name = |key: &str| rule[key].as_str().expect("a name").to_owned();
        let number = numbers.entry((name("table"), name("chain"))).or_default();
        let expressions = rule["expr"].as_array().expect("a list");
        let packets = expressions.iter().find_map(|one| one.get("counter")?.get("packets")?.as_u64());
        if let Some(packets) = packets {
            counts.insert((name("table"), name("chain"), *number), packets);
        }
        *number += 1;
    }
    counts
}

fn xtables(lab: &Lab, dialect: Dialect, seed: u64, packets: usize) -> Score {
    let mut dice = Dice::new(seed);
    let places: &'static Places = if dialect.six() { &SIX } else { &FOUR };
    let text = draw_xt::draw(&mut dice, places);
    let program = dialect.program();
    let path = std::env::temp_dir().join(format!("netwhy-kernel-{}-{program}.rules", std::process::id()));
    std::fs::write(&path, &text).expect("written");
    if !attempt(&format!("{program}-save >/dev/null")) {
        println!("SKIPPED: this kernel has no {program}");
        return Score::default();
    }
    netwhy_testing::run(&format!("{program}-restore < {}", path.display()));
    lab::load_probe();
    let family = if dialect.six() { Family::V6 } else { Family::V4 };
    let ruleset = read_save(&"rules".into(), &text, family);
    assert!(ruleset.unread.is_empty(), "{:?}\n{text}", ruleset.unread);
    let score = compare(lab, &ruleset, &[places], &mut dice, packets, || saved_counts(program));
    if score.mismatches.is_empty() {
        let _ = std::fs::remove_file(&path);
    } else {
        println!("{text}");
    }
    score
}

/// The counters of `iptables-save -c`.
fn saved_counts(program: &str) -> Counts {
    let mut counts = Counts::new();
    let mut numbers: std::collections::HashMap<String, u32> = std::collections::HashMap::new();
    let mut table = String::new();
    for line in output(&format!("{program}-save -c")).lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_owned();
            numbers.clear();
        } else if let Some(rest) = line.strip_prefix('[') {
            let (packets, rest) = rest.split_once(':').expect("packets:bytes");
            let chain = rest.split(" -A ").nth(1).and_then(|rule| rule.split(' ').next()).expect("a chain");
            let number = numbers.entry(chain.to_owned()).or_default();
            counts.insert((table.clone(), chain.to_owned(), *number), packets.parse().expect("a count"));
            *number += 1;
        }
    }
    counts
}
