//! Detectors of attacks: one pass over the flows, bounded memory, one alert for each attack.

pub mod alert;
pub mod login;
pub mod logs;
pub mod web;

pub use alert::{Alert, BreakIn, Plan, Proof, Radiation, Report, Scanner, Technique, Way};

use crate::names::Names;
use crate::record::{Address, Flow};
use std::sync::Arc;

/// How many alerts from elsewhere are taken.
const ADDED_COUNT_MAX: usize = 10_000;

/// What a run of the detectors is told beforehand.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The words of the flows' symbols, for the proof; without it files are not named.
    pub names: Option<Arc<Names>>,
    /// Addresses known to be ours, besides the private ranges and what the interfaces show.
    pub ours: Vec<Address>,
}

/// All detectors on one stream of flows.
#[derive(Debug)]
pub struct Detectors {
    #[allow(dead_code)]
    options: Options,
    /// Found elsewhere, as by the detectors on logs.
    added: Vec<Alert>,
}

impl Detectors {
    pub fn new(options: Options) -> Detectors {
        Detectors { options, added: Vec::new() }
    }

    /// Takes one record; order matters little, see the modules.
    pub fn flow(&mut self, _flow: &Flow) {}

    /// Takes an alert found elsewhere (access or authentication logs), to be merged with those of the flows.
    pub fn add(&mut self, alert: Alert) {
        if self.added.len() < ADDED_COUNT_MAX {
            self.added.push(alert);
        }
    }

    /// The alerts known by now, each told once; for live use, every few seconds.
    pub fn tick(&mut self, _now_ms: i64) -> Vec<Alert> {
        Vec::new()
    }

    /// All alerts of the whole input, merged: one for each attack.
    pub fn finish(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.added)
    }

    /// The same with the summary of what did not stand out.
    pub fn report(&mut self) -> Report {
        Report::new(self.finish())
    }
}
