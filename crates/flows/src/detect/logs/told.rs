//! An alert in the making: what a detector of logs found, and the words around it.

use crate::detect::alert::{Alert, PROOF_COUNT_MAX, Plan, Proof, SAMPLE_COUNT_MAX, Technique, Way};
use crate::logs::Event;
use crate::names::{Names, Symbol};
use crate::record::Address;
use netwhy_model::Text;
use std::collections::HashMap;

/// Lines that prove, at most `PROOF_COUNT_MAX` of them.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    lines: Vec<(Symbol, u64, String)>,
}

impl Lines {
    /// Keeps an event where it is one of the first.
    pub fn push(&mut self, event: &Event) {
        if !self.is_full() {
            self.lines.push((event.file, event.offset, event.excerpt()));
        }
    }

    pub fn is_full(&self) -> bool {
        self.lines.len() >= PROOF_COUNT_MAX
    }

    /// Puts an event in the last place, which tells how it ended.
    pub fn push_last(&mut self, event: &Event) {
        self.lines.truncate(PROOF_COUNT_MAX - 1);
        self.push(event);
    }

    /// Adds the lines of another, as far as there is room.
    pub fn append(&mut self, other: &Lines) {
        let room = PROOF_COUNT_MAX - self.lines.len();
        self.lines.extend(other.lines.iter().take(room).cloned());
    }

    fn proof(&self, names: &Names) -> Vec<Proof> {
        let word = |symbol| names.word(symbol).to_string();
        let all = self.lines.iter();
        all.map(|(file, offset, text)| Proof { file: word(*file), offset: *offset, text: text.clone() })
            .collect()
    }
}

/// What a detector found.
#[derive(Debug, Clone)]
pub struct Told {
    pub id: &'static str,
    pub entity: String,
    pub targets: u64,
    pub port: u16,
    pub start_ms: i64,
    pub end_ms: i64,
    pub confidence: f64,
    pub why: Text,
    pub technique: Technique,
    pub records: u64,
    pub sources: Vec<Address>,
    pub victims: Vec<String>,
    pub lines: Lines,
    pub cost_if_wrong: Text,
    pub plan: Plan,
}

impl Told {
    /// Makes the alert.
    pub fn alert(self, names: &Names) -> Alert {
        Alert {
            id: self.id.into(),
            entity: self.entity,
            direction: Way::In,
            targets: self.targets.max(1),
            port: self.port,
            start: self.start_ms.div_euclid(1000),
            end: self.end_ms.div_euclid(1000),
            confidence: (self.confidence.clamp(0.0, 1.0) * 100.0).round() / 100.0,
            why: self.why.en,
            why_zh: self.why.zh,
            technique: self.technique,
            records: self.records,
            sources: self.sources.iter().take(SAMPLE_COUNT_MAX).map(Address::to_string).collect(),
            victims: self.victims.into_iter().take(SAMPLE_COUNT_MAX).collect(),
            proof: self.lines.proof(names),
            break_in: None,
            cost_if_wrong: self.cost_if_wrong,
            plan: self.plan,
            process: None,
            unit: None,
        }
    }
}

/// Attackers and how much each did, the busiest first.
pub fn busiest(attackers: &HashMap<Address, u64>) -> Vec<(Address, u64)> {
    let mut all: Vec<(Address, u64)> = attackers.iter().map(|(address, count)| (*address, *count)).collect();
    all.sort_by_key(|(address, count)| (std::cmp::Reverse(*count), *address));
    all
}

/// A text in both languages.
pub fn text(en: impl Into<String>, zh: impl Into<String>) -> Text {
    Text { en: en.into(), zh: zh.into() }
}

/// The name of a host for an alert: what the log says, else that it does not.
pub fn host_name(host: &str) -> String {
    if host.is_empty() { "(this host)".into() } else { host.into() }
}
