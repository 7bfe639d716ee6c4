//! Times the stream of a full connection-tracking table against `conntrack -L`, in a namespace of its own.
//!
//! `cargo run -p netwhy-netfilter --example conntrack_speed -- 200000`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

const ROUND_COUNT: u32 = 5;

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(200_000);
    common::in_namespace(&["conntrack"], move || {
        let start = Instant::now();
        common::fill_conntrack(count);
        println!("filled with {count} entries in {:?}", start.elapsed());
        for _ in 0..ROUND_COUNT {
            let start = Instant::now();
            let mut established = 0;
            let seen = netwhy_netfilter::conntrack_flows(|flow| {
                established += u32::from(flow.state() == "ESTABLISHED");
            });
            let ours = start.elapsed();
            let start = Instant::now();
            common::run("conntrack -L >/dev/null 2>&1");
            let theirs = start.elapsed();
            let start = Instant::now();
            let state = netwhy_netfilter::conntrack_state();
            let tallied = start.elapsed();
            println!(
                "flows {ours:?} ({:?} entries, {established} established), state {tallied:?} ({}), conntrack -L {theirs:?}: {:.1} times",
                seen.unwrap_or(0),
                state.map_or(0, |state| state.count),
                theirs.as_secs_f64() / ours.as_secs_f64()
            );
        }
    });
}
