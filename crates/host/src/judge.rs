//! What a snapshot says by itself, by cause of the catalogue. Pure: no clock, no file, no socket.
//!
//! Thresholds are constants beside the rules that use them. A healthy machine gives notes at most: whatever a
//! busy, scanned, firewalled host on the Internet shows every day is no risk.

mod application;
mod attack;
mod firewall;
mod limits;
mod logs;
mod network;
mod queues;
mod view;

use netwhy_model::Text;
use netwhy_model::host::{Finding, Severity, Snapshot};
use view::View;

/// Findings kept.
const FINDING_COUNT_MAX: usize = 64;
/// Proof lines kept of each.
const PROOF_COUNT_MAX: usize = 8;

/// Judges a snapshot: the gravest first, each with what proves it.
pub fn judge(snapshot: &Snapshot) -> Vec<Finding> {
    let view = View::of(snapshot);
    let mut found = Vec::new();
    for rules in [
        application::judge,
        queues::judge,
        limits::judge,
        network::judge,
        firewall::judge,
        attack::judge,
        logs::judge,
    ] {
        rules(&view, &mut found);
    }
    let mut found = merged(found);
    found.sort_by_key(|finding| finding.severity);
    found.truncate(FINDING_COUNT_MAX);
    found
}

/// One cause about one subject is told once: the graver text, the proof of both.
fn merged(found: Vec<Finding>) -> Vec<Finding> {
    let mut out: Vec<Finding> = Vec::new();
    for mut finding in found {
        let same = out.iter_mut().find(|known| known.cause == finding.cause && same_subject(known, &finding));
        match same {
            Some(known) => {
                if finding.severity < known.severity {
                    std::mem::swap(known, &mut finding);
                }
                known.proof.extend(finding.proof);
                known.proof.dedup();
                known.proof.truncate(PROOF_COUNT_MAX);
                known.subject = known.subject.take().or(finding.subject);
            }
            None => {
                finding.proof.truncate(PROOF_COUNT_MAX);
                out.push(finding);
            }
        }
    }
    out
}

fn same_subject(one: &Finding, other: &Finding) -> bool {
    match (&one.subject, &other.subject) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// Begins a finding.
fn finding(cause: &str, severity: Severity, en: impl Into<String>, zh: impl Into<String>) -> Finding {
    Finding {
        cause: cause.to_owned(),
        severity,
        text: Text { en: en.into(), zh: zh.into() },
        proof: Vec::new(),
        subject: None,
    }
}

/// What else a finding has.
trait Proven {
    fn about(self, subject: impl Into<String>) -> Self;
    fn proof(self, line: impl Into<String>) -> Self;
    fn proofs(self, lines: impl IntoIterator<Item = String>) -> Self;
}

impl Proven for Finding {
    fn about(mut self, subject: impl Into<String>) -> Finding {
        self.subject = Some(subject.into());
        self
    }

    fn proof(mut self, line: impl Into<String>) -> Finding {
        self.proof.push(line.into());
        self
    }

    fn proofs(mut self, lines: impl IntoIterator<Item = String>) -> Finding {
        self.proof.extend(lines);
        self
    }
}

#[cfg(test)]
mod tests;
