//! All detectors on events of logs, as one: visits and errors go to `web`, logins to `login`.

mod bits;
mod told;

pub use bits::{Bits, hash};
pub use told::{Lines, Told, busiest, host_name, text};

use super::alert::Alert;
use super::login::LoginDetector;
use super::web::WebDetector;
use crate::logs::{Event, What};
use crate::names::Names;
use std::sync::Arc;

/// How many alerts one run tells; the rest would say the same of other strangers.
const ALERT_COUNT_MAX: usize = 2000;

/// Detectors on access, error and authentication logs: one pass, bounded memory.
#[derive(Debug)]
pub struct LogDetectors {
    web: WebDetector,
    login: LoginDetector,
}

impl LogDetectors {
    /// `names` are those of the reader, for the files of the proof.
    pub fn new(names: Arc<Names>) -> LogDetectors {
        LogDetectors { web: WebDetector::new(names.clone()), login: LoginDetector::new(names) }
    }

    /// Takes one event; those of one file are expected in about the order of their times.
    pub fn event(&mut self, event: &Event) {
        match &event.what {
            What::Visit(visit) => self.web.visit(event, visit),
            What::Error(trouble) => self.web.trouble(event, trouble),
            What::Login(login) => self.login.login(event, login),
            What::Refusal(_) => {}
        }
    }

    /// What is known by now, each attack told once; for live use.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Alert> {
        let mut alerts = self.web.tick(now_ms);
        alerts.extend(self.login.tick(now_ms));
        alerts.truncate(ALERT_COUNT_MAX);
        alerts
    }

    /// All that was found and not yet told.
    pub fn finish(&mut self) -> Vec<Alert> {
        let mut alerts = self.web.finish();
        alerts.extend(self.login.finish());
        alerts.sort_by(|a, b| {
            b.confidence.total_cmp(&a.confidence).then_with(|| (a.start, &a.id).cmp(&(b.start, &b.id)))
        });
        alerts.truncate(ALERT_COUNT_MAX);
        alerts
    }
}
