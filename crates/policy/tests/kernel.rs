//! The interpreter of netfilter rules against the kernel itself: the same rules, the same packets.
//!
//! `NETWHY_KERNEL_SETS=300` and `NETWHY_KERNEL_PACKETS=3500` make the long form.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod kernel {
    pub mod compare;
    pub mod dice;
    pub mod draw_nft;
    pub mod draw_xt;
    pub mod frame;
    pub mod lab;
    pub mod run;
    pub mod traffic;
    pub mod truth;
}

use kernel::compare::Score;
use kernel::run::{DIALECTS, one};

/// The short form: what CI runs.
const SETS: usize = 12;
const PACKETS_PER_SET: usize = 200;

fn from_environment(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn random_rule_sets_do_to_every_packet_what_the_kernel_does() {
    let sets = from_environment("NETWHY_KERNEL_SETS", SETS);
    let packets = from_environment("NETWHY_KERNEL_PACKETS", PACKETS_PER_SET);
    let first = from_environment("NETWHY_KERNEL_FIRST", 0);
    let mut all = Score::default();
    let mut wrong_sets = 0;
    for at in first..first + sets {
        let score = one(DIALECTS[at % DIALECTS.len()], at as u64, packets);
        wrong_sets += usize::from(!score.mismatches.is_empty());
        all.add(score);
    }
    println!(
        "{} packets through {sets} rule sets: {} accepted, {} rewritten, {} depend, {wrong_sets} sets with mismatches",
        all.packets, all.accepted, all.rewritten, all.depends
    );
    let mut told = String::new();
    for mismatch in &all.mismatches {
        // One of each rule set.
        let set = mismatch.split(':').next().unwrap_or_default();
        if told != set {
            println!("{mismatch}");
            told = set.to_owned();
        }
    }
    assert!(all.mismatches.is_empty());
}

#[test]
fn recorded_answers_of_the_kernel_are_ours_too() {
    let Some(path) = kernel::truth::shared("data/policy/kernel-truth/cases.json") else {
        println!("SKIPPED: no shared data");
        return;
    };
    let cases: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = cases.as_array().unwrap();
    let faults: Vec<String> = cases.iter().flat_map(kernel::truth::faults).collect();
    println!("{} cases, {} faults", cases.len(), faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
