//! What the process inside is told, and what it tells.

use crate::ends::Ends;
use crate::scenario::{Network, Scenario};
use crate::toolbox::{ToolRun, Toolbox};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A network and what shall happen in it; one line of JSON on the standard input of the inside process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Script {
    pub network: Network,
    pub acts: Vec<Act>,
    /// Where netwhy runs, and what it gets a way into.
    pub ends: Ends,
    /// The program run as netwhy; `None` is the running program itself.
    pub program: Option<PathBuf>,
    /// Arguments before the target in every run, such as `--lang zh`.
    pub arguments: Vec<String>,
    /// For the dice of lossy links.
    pub seed: u64,
    /// Whether netwhy shall save its case, for [`Measured::saved`].
    pub save: bool,
    /// Whether the toolbox netwhy replaces is run as well, after netwhy.
    pub toolbox: Toolbox,
}

/// One fault: break, ask, mend, ask again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Act {
    pub name: String,
    pub target: String,
    pub args: Vec<String>,
    pub from: String,
    pub inject: Vec<String>,
    pub heal: Vec<String>,
    /// Whether to ask again after mending.
    pub verify: bool,
}

impl Script {
    /// The script of one scenario.
    pub fn of(scenario: &Scenario) -> Script {
        let head = &scenario.head;
        let act = Act {
            name: head.name.clone(),
            target: head.target.clone(),
            args: head.args.clone(),
            from: head.from.clone(),
            inject: head.inject.clone(),
            heal: head.heal.clone(),
            verify: !head.is_control(),
        };
        Script {
            network: scenario.network.clone(),
            acts: vec![act],
            ends: Ends::Client,
            program: None,
            arguments: Vec::new(),
            seed: 1,
            save: false,
            toolbox: Toolbox::None,
        }
    }
}

/// Whether netwhy looked at the fault or at what was mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Broken,
    Healed,
}

/// One run of netwhy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The verdict as netwhy printed it; `None` when that was no JSON.
    pub verdict: Option<serde_json::Value>,
    /// Its exit status; -1 when it was killed.
    pub exit: i32,
    /// Wall-clock time, in milliseconds.
    pub wall_ms: u64,
    /// Peak resident memory, in KiB.
    pub memory_kib: u64,
    /// The end of its standard error.
    pub complaint: String,
    /// The saved case, when it was asked for.
    pub saved: Option<String>,
    /// The command as a user would type it.
    pub command: String,
}

/// What the process inside says, one line of JSON each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// The network stands and every service is ready.
    Built { hosts: Vec<String>, services: Vec<String>, millis: u64 },
    /// An act begins.
    Act { name: String },
    /// A step was done; `output` is the end of what it printed, on one line.
    Step { phase: Phase, text: String, output: String },
    /// netwhy was run.
    Measured { phase: Phase, measured: Box<Measured> },
    /// The toolbox was run.
    Tools { phase: Phase, runs: Vec<ToolRun> },
    /// It cannot go on.
    Failed { why: String },
    /// Everything was done.
    Done,
}
