//! What this crate reads of connection tracking against what conntrack(8) prints of the same kernel.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::fill_conntrack;
use netwhy_netfilter::{FlowSeen, conntrack_flows, conntrack_state};
use netwhy_testing::{in_namespace, output};

const COUNT: u32 = 3000;

#[test]
fn entries_are_those_conntrack_lists() {
    in_namespace(&["conntrack"], || {
        fill_conntrack(COUNT);
        let listed = output("conntrack -L 2>/dev/null");
        let mut flows: Vec<FlowSeen> = Vec::new();
        let count = conntrack_flows(|flow| flows.push(*flow)).unwrap();
        assert_eq!((count, flows.len()), (COUNT.into(), COUNT as usize));
        let mut lines: Vec<String> = listed
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                format!("{} {} {} {} {}", words[3], words[4], words[5], words[6], words[7])
            })
            .collect();
        let mut read: Vec<String> = flows
            .iter()
            .map(|flow| {
                let (from, to) = (flow.from, flow.to);
                let ports = format!("sport={} dport={}", from.port(), to.port());
                format!("{} src={} dst={} {ports}", flow.state(), from.ip(), to.ip())
            })
            .collect();
        lines.sort();
        read.sort();
        assert_eq!(lines, read);
        assert!(flows.iter().all(|flow| flow.replied() && flow.assured() && !flow.translated()));
    });
}

#[test]
fn the_fill_is_counted_by_state_and_destination() {
    in_namespace(&["conntrack"], || {
        fill_conntrack(COUNT);
        let table = conntrack_state().unwrap();
        assert_eq!(table.count, u64::from(COUNT));
        assert!(table.max >= table.count, "{table:?}");
        assert_eq!(table.by_state, [("ESTABLISHED".into(), 2700), ("SYN_SENT".into(), 300)]);
        assert_eq!(table.top.len(), 4);
        assert_eq!(table.top[0], ("tcp 192.0.2.1:80".into(), 750));
        let listed = output("conntrack -S");
        let sum = |name: &str| -> u64 {
            let words = listed.split_whitespace();
            words.filter_map(|word| word.strip_prefix(&format!("{name}="))?.parse::<u64>().ok()).sum()
        };
        assert_eq!(table.insert_failed, sum("insert_failed"));
        assert_eq!(table.drop, sum("drop"));
        assert_eq!(table.early_drop, sum("early_drop"));
    });
}
