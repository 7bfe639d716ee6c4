//! What a detector tells: the contract `netwhy.alerts/1`.

use netwhy_model::{Lang, Text};
use serde::{Deserialize, Serialize};

/// The name of the contract; it changes when a field changes its meaning.
pub const SCHEMA: &str = "netwhy.alerts/1";
/// How many addresses a sample holds.
pub const SAMPLE_COUNT_MAX: usize = 10;
/// How many records prove one alert.
pub const PROOF_COUNT_MAX: usize = 4;

/// All that was found, as `netwhy flows detect --json` prints it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub schema: String,
    pub alerts: Vec<Alert>,
    /// Strangers that knocked at closed doors but did not stand out among the others: no alerts.
    #[serde(default)]
    pub radiation: Radiation,
    /// What found no room in the bounded tables; zero means that nothing was forgotten.
    #[serde(default)]
    pub forgotten: u64,
}

impl Report {
    pub fn new(alerts: Vec<Alert>) -> Report {
        Report { schema: SCHEMA.into(), alerts, ..Report::default() }
    }
}

/// The constant knocking of the internet, summed up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Radiation {
    /// Strangers that knocked in vain at least once, those with an alert of their own left out.
    pub sources: u64,
    /// Their knocks.
    pub records: u64,
    /// The busiest ones.
    pub busiest: Vec<Scanner>,
}

/// One stranger that scans.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scanner {
    pub source: String,
    /// Pairs of our address and port that it tried, within two days at most.
    pub targets: u64,
    pub records: u64,
    /// Seconds since 1970.
    pub start: i64,
    pub end: i64,
}

/// Whether our own host is the attacker or the attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// From outside against us.
    In,
    /// From one of our hosts against others.
    Out,
}

/// How the attack spreads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Technique {
    /// One attacker, one target.
    OneTarget,
    /// One attacker, many targets.
    ManyTargets,
    /// Many attackers, one target.
    Distributed,
    /// One port on many hosts.
    Horizontal,
    /// Many ports on one host.
    Vertical,
    /// So slow that no quarter of an hour shows it.
    Slow,
    /// Answers that were never asked for, or asked for by a forged sender.
    Amplification,
    /// Regular calls.
    Regular,
    Other,
}

/// One attack, over its whole time.
///
/// `entity` is who acts where that is one address (our host for what goes out, the stranger for a scan or guessing
/// from outside), else the attacked host (floods, attacks from many addresses). `sources` and `victims` name both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Such as `attack.outbound.ssh_bruteforce`; where the catalogue knows the attack, the cause's own id.
    pub id: String,
    pub entity: String,
    pub direction: Way,
    /// How many were attacked: hosts, or ports of one host in a vertical scan.
    pub targets: u64,
    /// The attacked port; zero where there are many.
    pub port: u16,
    /// Seconds since 1970.
    pub start: i64,
    pub end: i64,
    /// Between 0 and 1.
    pub confidence: f64,
    /// One sentence, English.
    pub why: String,
    /// The same sentence, Chinese.
    pub why_zh: String,
    pub technique: Technique,
    /// Records, connections or log lines that it is made of.
    pub records: u64,
    /// The attacking addresses, at most `SAMPLE_COUNT_MAX`.
    #[serde(default)]
    pub sources: Vec<String>,
    /// The attacked addresses, at most `SAMPLE_COUNT_MAX`.
    #[serde(default)]
    pub victims: Vec<String>,
    /// Records that prove it.
    #[serde(default)]
    pub proof: Vec<Proof>,
    /// The log-in that followed the guessing, and what the host did then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_in: Option<BreakIn>,
    pub cost_if_wrong: Text,
    pub plan: Plan,
    /// Filled where netwhy runs on the host itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Alert {
    pub fn why(&self, lang: Lang) -> &str {
        lang.pick(&self.why, &self.why_zh)
    }
}

/// A record behind an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    pub file: String,
    /// The byte of the unpacked file where the record begins.
    pub offset: u64,
    /// The record in words of AWS version 2, or the log line.
    pub text: String,
}

/// A success after the guessing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BreakIn {
    pub source: String,
    pub host: String,
    /// Seconds since 1970.
    pub at: i64,
    /// Bytes of the session, both ways.
    pub bytes: u64,
    /// The alert of the same host that came after and proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed_by: Option<String>,
}

/// What to do about it; `fix` carries it out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub stop: Vec<Text>,
    pub limit: Vec<Text>,
    pub keep: Vec<Text>,
}
