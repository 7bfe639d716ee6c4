//! What one detector found, before it is merged with the others and put into words.

use super::alert::{PROOF_COUNT_MAX, SAMPLE_COUNT_MAX, Technique, Way};
use super::series::Run;
use super::sketch::Distinct;
use crate::record::{Address, Flow};

/// What kind of act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Guessing,
    Scan,
    SynFlood,
    UdpFlood,
    HttpFlood,
    Beacon,
    NewService,
    Churn,
}

/// One act of one entity.
#[derive(Debug, Clone)]
pub struct Finding {
    pub kind: Kind,
    pub way: Way,
    pub entity: Address,
    pub technique: Technique,
    pub targets: u64,
    /// Whether `targets` comes from a sketch.
    pub is_estimated: bool,
    pub port: u16,
    pub start_ms: i64,
    pub end_ms: i64,
    pub confidence: f64,
    pub records: u64,
    /// The share of calls that failed.
    pub failed: f64,
    /// The mean time between calls, where it tells.
    pub interval_s: f64,
    /// The other side.
    pub peers: Vec<Address>,
    pub proof: Vec<Flow>,
    /// The targets as a set, to see the same attack twice.
    pub set: Distinct,
    pub success: Option<Success>,
}

/// A log-in that worked after many that did not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Success {
    pub source: Address,
    pub host: Address,
    pub at_ms: i64,
    pub bytes: u64,
}

impl Finding {
    pub fn new(kind: Kind, way: Way, entity: Address, technique: Technique, run: &Run) -> Finding {
        Finding {
            kind,
            way,
            entity,
            technique,
            targets: 1,
            is_estimated: false,
            port: 0,
            start_ms: run.start_ms,
            end_ms: run.end_ms,
            confidence: 0.9,
            records: run.sum.requests.into(),
            failed: f64::from(run.sum.failed()) / f64::from(run.sum.requests.max(1)),
            interval_s: 0.0,
            peers: Vec::new(),
            proof: Vec::new(),
            set: Distinct::default(),
            success: None,
        }
    }

    pub fn is_guessed_together(&self) -> bool {
        self.kind == Kind::Guessing && self.technique == Technique::Distributed
    }

    /// The protocol of its records, where one is kept.
    pub fn protocol(&self) -> u8 {
        self.proof.first().map_or(0, |flow| flow.protocol)
    }

    pub fn overlaps(&self, other: &Finding, slack_ms: i64) -> bool {
        self.start_ms <= other.end_ms + slack_ms && other.start_ms <= self.end_ms + slack_ms
    }

    /// Takes in what is the same act.
    pub fn absorb(&mut self, other: Finding) {
        self.start_ms = self.start_ms.min(other.start_ms);
        self.end_ms = self.end_ms.max(other.end_ms);
        self.records += other.records;
        self.confidence = self.confidence.max(other.confidence);
        self.success = self.success.or(other.success);
        if self.port != other.port {
            self.port = 0;
        }
        for peer in other.peers {
            sample(&mut self.peers, peer);
        }
        for flow in other.proof {
            prove(&mut self.proof, &flow);
        }
    }
}

/// Keeps an address as an example.
pub fn sample(peers: &mut Vec<Address>, peer: Address) {
    if peers.len() < SAMPLE_COUNT_MAX && !peers.contains(&peer) {
        peers.reserve_exact(1);
        peers.push(peer);
    }
}

/// Keeps a record as proof.
pub fn prove(proof: &mut Vec<Flow>, flow: &Flow) {
    if proof.len() < PROOF_COUNT_MAX {
        // There are many and most stay short.
        proof.reserve_exact(1);
        proof.push(*flow);
    }
}

/// Mean and deviation of sizes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spread {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Spread {
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1.0)
    }

    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        (self.squares / self.count.max(1.0) - mean * mean).max(0.0).sqrt()
    }
}

/// The member that weighs more than half, if one does (Boyer and Moore).
#[derive(Debug, Clone, Copy, Default)]
pub struct Majority {
    pub member: Address,
    lead: u64,
    total: u64,
}

impl Majority {
    pub fn add(&mut self, member: Address, weight: u64) {
        self.total = self.total.saturating_add(weight);
        if self.member == member {
            self.lead = self.lead.saturating_add(weight);
        } else if self.lead >= weight {
            self.lead -= weight;
        } else {
            (self.member, self.lead) = (member, weight - self.lead);
        }
    }

    /// How far it leads: 1 where it is the only member, about 0 where there is no majority.
    pub fn lead(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.lead as f64 / self.total as f64 }
    }
}
