//! What records add up to, exactly, up to a limit of things told apart.

use super::Sieve;
use crate::commands::flows::table::{Kind, Table};
use clap::ValueEnum;
use netwhy_flows::source::Batch;
use netwhy_flows::{Action, Address, Flow, Names, Status, Symbol};
use serde_json::Value;
use std::collections::HashMap;

/// What is told apart at most; the rest is one row.
const KEY_COUNT_MAX: usize = 2_000_000;

/// What is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Top {
    /// Who sends most
    Talkers,
    /// Who talks to whom on what
    Pairs,
    /// Which ports are asked for
    Ports,
    /// What was rejected, by port, rule and interface
    Rejected,
}

/// What is added up under one key.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    records: u64,
    packets: u64,
    bytes: u64,
    first_ms: i64,
    last_ms: i64,
}

/// What a row is about; unused parts are zero.
type Key = (Address, Address, u16, u8, Symbol, Symbol);

pub(super) struct Sums {
    top: Top,
    keys: HashMap<Key, Sum>,
}

impl Sums {
    pub(super) fn new(top: Top) -> Sums {
        Sums { top, keys: HashMap::new() }
    }

    pub(super) fn take(&mut self, batch: Batch, sieve: &Sieve) {
        let Batch::Flows(flows) = batch else { return };
        for flow in flows.iter().filter(|flow| sieve.keeps(flow) && flow.status == Status::Ok) {
            let none = Address::default();
            let key = match self.top {
                Top::Talkers => (flow.source, none, 0, 0, Symbol::NONE, Symbol::NONE),
                Top::Pairs => (
                    flow.source,
                    flow.destination,
                    flow.destination_port,
                    flow.protocol,
                    Symbol::NONE,
                    Symbol::NONE,
                ),
                Top::Ports => (none, none, flow.destination_port, flow.protocol, Symbol::NONE, Symbol::NONE),
                Top::Rejected if flow.action != Action::Reject => continue,
                Top::Rejected => {
                    (none, none, flow.destination_port, flow.protocol, flow.rule, flow.interface)
                }
            };
            self.add(key, flow);
        }
    }

    fn add(&mut self, key: Key, flow: &Flow) {
        let full = self.keys.len() >= KEY_COUNT_MAX && !self.keys.contains_key(&key);
        let other = (Address::default(), Address::default(), 0, 0, Symbol::OTHER, Symbol::OTHER);
        let sum = self.keys.entry(if full { other } else { key }).or_default();
        sum.first_ms = if sum.records == 0 { flow.start_ms } else { sum.first_ms.min(flow.start_ms) };
        sum.last_ms = sum.last_ms.max(flow.end_ms.max(flow.start_ms));
        sum.records += 1;
        sum.packets = sum.packets.saturating_add(flow.packets);
        sum.bytes = sum.bytes.saturating_add(flow.bytes);
    }

    /// The heaviest first.
    pub(super) fn table(self, count: usize, names: &Names) -> Table {
        let mut rows: Vec<(Key, Sum)> = self.keys.into_iter().collect();
        let weight = |sum: &Sum| match self.top {
            Top::Talkers | Top::Pairs => sum.bytes,
            Top::Ports | Top::Rejected => sum.records,
        };
        rows.sort_by_key(|(key, sum)| (std::cmp::Reverse((weight(sum), sum.records)), *key));
        let address = ["src", "dst"];
        let port: [(&str, Kind); 2] = [("dport", Kind::Number), ("protocol", Kind::Number)];
        let mut columns: Vec<(&str, Kind)> = match self.top {
            Top::Talkers => vec![(address[0], Kind::Word)],
            Top::Pairs => vec![(address[0], Kind::Word), (address[1], Kind::Word), port[0], port[1]],
            Top::Ports => port.to_vec(),
            Top::Rejected => vec![port[0], port[1], ("rule", Kind::Word), ("interface", Kind::Word)],
        };
        columns.extend([("flows", Kind::Number), ("packets", Kind::Number), ("bytes", Kind::Number)]);
        columns.extend([("first", Kind::Time), ("last", Kind::Time)]);
        let mut table = Table::new(&columns);
        for ((source, destination, dport, protocol, rule, interface), sum) in rows.into_iter().take(count) {
            let word = |symbol| Value::from(names.word(symbol).to_string());
            let mut row: Vec<Value> = match self.top {
                Top::Talkers => vec![source.to_string().into()],
                Top::Pairs => {
                    vec![
                        source.to_string().into(),
                        destination.to_string().into(),
                        dport.into(),
                        protocol.into(),
                    ]
                }
                Top::Ports => vec![dport.into(), protocol.into()],
                Top::Rejected => vec![dport.into(), protocol.into(), word(rule), word(interface)],
            };
            row.extend([sum.records, sum.packets, sum.bytes].map(Value::from));
            row.extend([sum.first_ms, sum.last_ms].map(Value::from));
            table.rows.push(row);
        }
        table
    }
}
