//! Reads a rule set of nft and tells what it found: `read_rules FILE`, with `--tree` the whole tree, with
//! `--measure` the time and memory it took. Without a file it makes 100,000 rules and measures reading them.
#![allow(clippy::print_stdout)]

use netwhy_policy::netfilter::ast::{Part, Ruleset};
use netwhy_policy::netfilter::nft;
use std::sync::Arc;

const RULE_COUNT: usize = 100_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tree = arguments.iter().any(|argument| argument == "--tree");
    match arguments.iter().find(|argument| !argument.starts_with("--")) {
        Some(path) => {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let file: Arc<str> = path.as_str().into();
            if arguments.iter().any(|argument| argument == "--measure") {
                return measure(&text);
            }
            let json = text.trim_start().starts_with('{');
            let ruleset = if json { nft::read_json(&file, &text) } else { nft::read_text(&file, &text) };
            if tree {
                println!("{ruleset:#?}");
            }
            tell(&ruleset);
        }
        None => measure(&generate(RULE_COUNT)),
    }
}

fn tell(ruleset: &Ruleset) {
    for unread in &ruleset.unread {
        println!("{}: unread: {}: {}", unread.place, unread.why.en, unread.text);
    }
    let rules = ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    let mut count = 0;
    for rule in rules {
        count += 1;
        for part in &rule.parts {
            if let Part::Unknown { text, why } = part {
                println!("{}: unknown: {}: {text}", rule.place, why.en);
            }
        }
    }
    println!("{} tables, {count} rules, {} unread", ruleset.tables.len(), ruleset.unread.len());
}

fn measure(text: &str) {
    let before = peak_kb();
    let start = cpu_ns();
    let ruleset = nft::read_text(&"generated".into(), text);
    let spent_ms = (cpu_ns() - start) / 1_000_000;
    let after = peak_kb();
    tell(&ruleset);
    println!(
        "{} bytes of text, {spent_ms} ms of CPU, peak {after} kB ({before} kB before reading)",
        text.len()
    );
}

/// Rules as a generator of access lists writes them, the same each time.
fn generate(count: usize) -> String {
    let mut text =
        String::from("table inet gen {\n chain f {\n  type filter hook forward priority 0; policy drop;\n");
    let mut state: u64 = 7;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for number in 0..count {
        let host = |value: u64| format!("10.{}.{}.{}", value >> 16 & 255, value >> 8 & 255, value & 255);
        let source = match next(4) {
            0 => String::new(),
            1 => format!("ip saddr {}/24 ", host(next(1 << 16) << 8)),
            _ => format!("ip saddr {} ", host(next(1 << 24))),
        };
        let target = match next(3) {
            0 => format!("ip daddr {}/24 ", host(next(1 << 16) << 8)),
            _ => format!("ip daddr {} ", host(next(1 << 24))),
        };
        let port = match next(8) {
            0 => "meta l4proto icmp ".to_owned(),
            1 => format!("udp dport {} ", next(65_535) + 1),
            2 => "tcp dport 1024-65535 ".to_owned(),
            _ => format!("tcp dport {} ", next(9000) + 1),
        };
        let verdict = if next(5) == 0 { "drop" } else { "accept" };
        text.push_str(&format!("  {source}{target}{port}counter {verdict} comment \"r{number}\"\n"));
    }
    text.push_str(" }\n}\n");
    text
}

/// How long this process has run, in nanoseconds.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The most memory this process ever had, in kilobytes.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
