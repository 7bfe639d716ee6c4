//! The JSON head of a checkpoint.

use super::{Checkpoint, Planned};
use crate::{Finding, Look, Protocol, Reason, State};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// All of a checkpoint but its bits.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    plan: Planned,
    pass: u32,
    position: u64,
    asked: u64,
    #[serde(default)]
    sent: u64,
    elapsed_ms: u64,
    closed: u64,
    filtered: u64,
    findings: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    host: IpAddr,
    port: u16,
    protocol: Protocol,
    state: State,
    reason: Reason,
    ttl: Option<u8>,
    rtt_ns: Option<u64>,
    look: Option<Look>,
}

impl From<&Checkpoint> for Head {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            plan: checkpoint.plan.clone(),
            pass: checkpoint.pass,
            position: checkpoint.position,
            asked: checkpoint.asked,
            sent: checkpoint.sent,
            elapsed_ms: checkpoint.elapsed.as_millis() as u64,
            closed: checkpoint.closed,
            filtered: checkpoint.filtered,
            // What is unknown is asked again, and must not be found twice.
            findings: checkpoint
                .findings
                .iter()
                .filter(|found| found.state != State::Unknown)
                .map(Row::from)
                .collect(),
        }
    }
}

impl Head {
    pub(super) fn into_checkpoint(self, settled: Vec<u64>) -> Checkpoint {
        Checkpoint {
            plan: self.plan,
            pass: self.pass,
            position: self.position,
            asked: self.asked,
            // An earlier version kept the questions only.
            sent: self.sent.max(self.asked),
            elapsed: Duration::from_millis(self.elapsed_ms),
            closed: self.closed,
            filtered: self.filtered,
            settled,
            findings: self.findings.into_iter().map(Finding::from).collect(),
        }
    }
}

impl From<&Finding> for Row {
    fn from(finding: &Finding) -> Self {
        Self {
            host: finding.host,
            port: finding.port,
            protocol: finding.protocol,
            state: finding.state,
            reason: finding.reason,
            ttl: finding.ttl,
            rtt_ns: finding.rtt.map(|rtt| rtt.as_nanos() as u64),
            look: finding.look.clone(),
        }
    }
}

impl From<Row> for Finding {
    fn from(row: Row) -> Self {
        Self {
            host: row.host,
            port: row.port,
            protocol: row.protocol,
            state: row.state,
            reason: row.reason,
            ttl: row.ttl,
            rtt: row.rtt_ns.map(Duration::from_nanos),
            look: row.look,
        }
    }
}
