//! What a scan tells while it runs, and at its end.

use crate::finding::{Finding, Protocol};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// What a running scan tells, in the order it learns it.
#[derive(Debug, Clone)]
pub enum Event {
    /// A port is settled. Open ones come as soon as they are sure; closed and silent ones only when the plan's `all` asks.
    Found(Finding),
    /// A port that was told before is another after all (all open ports turned out to be a proxy's).
    Revised(Finding),
    /// Something the user should know now.
    Notice(Notice),
    /// At most ten a second.
    Progress(Progress),
}

/// Something a scan noticed about the way or the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// Ports that had answered are silent: a defence banned this source. The rest is re-queued or left unknown.
    Banned { host: IpAddr, after_questions: u64, after_ms: u64 },
    /// It answers again.
    Unbanned { host: IpAddr, after_ms: u64 },
    /// The host limits its resets or ICMP errors; the scan goes on, canaries prove the way is free.
    AnswersLimited { host: IpAddr, per_second: u32 },
    /// The way loses packets: passes follow from it.
    Loss { percent: f64 },
    /// The rate was lowered to what the way carries.
    SlowedTo { per_second: u64 },
    /// A middlebox opens connections for the host.
    Proxy { host: IpAddr, ports_answered: u32, kind: String },
    /// An engine fell back to another, with the reason.
    FellBack { from: String, to: String, reason: String },
    /// The receive ring lost answers before they were read; the ports it may have hit are asked again.
    RingDrops { dropped: u64 },
    /// Progress cannot be kept, such as on a full disk; the scan goes on.
    CheckpointUnwritten { path: String, reason: String },
}

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Questions, those of earlier parts of a resumed scan included.
    pub asked: u64,
    /// Pairs of host and port settled, of `total`.
    pub settled: u64,
    pub total: u64,
    /// Packets (or connects) a second, over the last second.
    pub rate: f64,
    pub open: u64,
    pub pass: u32,
    pub eta: Option<Duration>,
}

/// The whole scan in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub protocol: Protocol,
    /// `raw`, `connect` or `udp`.
    pub engine: String,
    pub hosts: u64,
    pub ports: u64,
    pub open: u64,
    pub closed: u64,
    pub filtered: u64,
    pub rejected: u64,
    pub intercepted: u64,
    pub unknown: u64,
    /// Of the whole scan, as are the counts and [`Self::elapsed_ms`]; the rest is of the last part of a resumed one.
    pub packets_sent: u64,
    pub packets_received: u64,
    pub passes: u32,
    /// Share of questions to answering ports that got no answer, both ways, 0 to 1; absent where nothing answers.
    pub loss: Option<f64>,
    /// Expected number of open ports missed, from loss and tries.
    pub expected_missed: f64,
    pub rtt_ms: Option<f64>,
    pub elapsed_ms: u64,
    /// False after Ctrl-C, a ban or the time limit.
    pub complete: bool,
    pub notices: Vec<Notice>,
}
