//! Times this crate against the tools, on a full connection-tracking table and a long ruleset, in namespaces.
//!
//! `cargo run -p netwhy-netfilter --example speed -- 200000 10000`: entries, and rules.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

const ROUND_COUNT: u32 = 5;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|number| number.parse().ok());
    let (entries, rules) = (numbers.next().unwrap_or(200_000), numbers.next().unwrap_or(10_000));
    netwhy_testing::in_namespace(&["conntrack"], move || conntrack(entries));
    netwhy_testing::in_namespace(&["nft"], move || ruleset(rules));
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

fn times(ours: Duration, theirs: Duration) -> f64 {
    theirs.as_secs_f64() / ours.as_secs_f64()
}

fn conntrack(count: u32) {
    common::fill_conntrack(count);
    for _ in 0..ROUND_COUNT {
        let mut established = 0_u64;
        let (seen, ours) = timed(|| {
            netwhy_netfilter::conntrack_flows(|flow| established += u64::from(flow.state() == "ESTABLISHED"))
        });
        let (_, tally) = timed(netwhy_netfilter::conntrack_state);
        let ((), theirs) = timed(|| netwhy_testing::run("conntrack -L >/dev/null 2>&1"));
        println!(
            "{} entries, {established} established: flows {ours:?}, state {tally:?}, conntrack -L {theirs:?}, {:.1} times",
            seen.unwrap_or(0),
            times(ours, theirs)
        );
    }
}

fn ruleset(count: u32) {
    let mut text = String::from("table inet filter {\nset bans { type ipv4_addr; elements = { ");
    for number in 0..count {
        text.push_str(&format!("{}, ", std::net::Ipv4Addr::from(0x0a00_0000 + 2 * number)));
    }
    text.push_str("}\n}\nchain input { type filter hook input priority 0;\n");
    for number in 0..count {
        let address = std::net::Ipv4Addr::from(0x0b00_0000 + number);
        text.push_str(&format!("ip saddr {address} tcp dport {} counter drop\n", number % 60_000 + 1));
    }
    text.push_str("}\n}\n");
    let file = std::env::temp_dir().join(format!("netwhy-speed-{}", std::process::id()));
    std::fs::write(&file, text).unwrap();
    netwhy_testing::run(&format!("nft -f {}", file.display()));
    std::fs::remove_file(&file).unwrap();
    for _ in 0..ROUND_COUNT {
        let ((ruleset, _), ours) = timed(netwhy_netfilter::ruleset);
        let ((), theirs) = timed(|| netwhy_testing::run("nft list ruleset >/dev/null"));
        println!(
            "{} rules and as many elements: {ours:?}, nft list ruleset {theirs:?}, {:.1} times",
            ruleset.rules.len(),
            times(ours, theirs)
        );
    }
}
