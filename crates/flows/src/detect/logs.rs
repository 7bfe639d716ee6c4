//! All detectors on events of logs, as one: visits and errors go to `web`, logins to `login`, packets that a firewall
//! refused to the detectors on flows.

mod bits;
mod told;

pub use bits::{Bits, hash};
pub use told::{Lines, Told, busiest, host_name, text};

use super::alert::Alert;
use super::login::LoginDetector;
use super::web::WebDetector;
use super::{Detectors, Options, TIME_MS_MAX};
use crate::logs::{Event, Refusal, RefusedBy, What};
use crate::names::Names;
use crate::record::{Action, Direction, Flow};
use std::sync::Arc;

/// How many alerts one run tells; the rest would say the same of other strangers.
const ALERT_COUNT_MAX: usize = 2000;

/// Detectors on access, error and authentication logs: one pass, bounded memory.
#[derive(Debug)]
pub struct LogDetectors {
    names: Arc<Names>,
    web: WebDetector,
    login: LoginDetector,
    /// Made when the first refused packet comes, since they take room.
    packets: Option<Detectors>,
}

impl LogDetectors {
    /// `names` are those of the reader, for the files of the proof.
    pub fn new(names: Arc<Names>) -> LogDetectors {
        let (web, login) = (WebDetector::new(names.clone()), LoginDetector::new(names.clone()));
        LogDetectors { names, web, login, packets: None }
    }

    /// Takes one event; those of one file are expected in about the order of their times.
    pub fn event(&mut self, event: &Event) {
        // A lying line must not stretch the time.
        if !(0..TIME_MS_MAX).contains(&event.time_ms) {
            return;
        }
        match &event.what {
            What::Visit(visit) => self.web.visit(event, visit),
            What::Error(trouble) => self.web.trouble(event, trouble),
            What::Login(login) => self.login.login(event, login),
            What::Refusal(refusal) => self.refused(event, refusal),
        }
    }

    /// Takes a refused packet as the rejected record of a flow log, which it is. Refused requests of Kubernetes are to be
    /// read only: a program of one's own that lacks a right asks again and again, as a stranger does.
    fn refused(&mut self, event: &Event, refusal: &Refusal) {
        if refusal.by != RefusedBy::Firewall {
            return;
        }
        let flow = Flow {
            start_ms: event.time_ms,
            end_ms: event.time_ms,
            source: event.client,
            source_port: event.port,
            destination: refusal.destination,
            destination_port: refusal.destination_port,
            protocol: refusal.protocol,
            packets: 1,
            action: Action::Reject,
            direction: if refusal.outbound { Direction::Out } else { Direction::In },
            // The machine that saw it: what is on all of its lines is its own address.
            interface: self.names.symbol(&event.host),
            file: event.file,
            offset: event.offset,
            ..Flow::default()
        };
        let names = || Some(self.names.clone());
        self.packets
            .get_or_insert_with(|| Detectors::new(Options { names: names(), ours: Vec::new() }))
            .flow(&flow);
    }

    /// What is known by now, each attack told once; for live use.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Alert> {
        let mut alerts = self.web.tick(now_ms);
        alerts.extend(self.login.tick());
        alerts.extend(self.packets.iter_mut().flat_map(|packets| packets.tick(now_ms)));
        alerts.truncate(ALERT_COUNT_MAX);
        alerts
    }

    /// All that was found and not yet told.
    pub fn finish(&mut self) -> Vec<Alert> {
        let mut alerts = self.web.finish();
        alerts.extend(self.login.finish());
        if let Some(mut packets) = self.packets.take() {
            let found = packets.finish().into_iter();
            alerts.extend(
                found.filter(|alert| !packets.told.contains_key(&(alert.id.clone(), alert.entity.clone()))),
            );
        }
        alerts.sort_by(|a, b| {
            b.confidence
                .total_cmp(&a.confidence)
                .then_with(|| (a.start, &a.id, &a.entity).cmp(&(b.start, &b.id, &b.entity)))
        });
        alerts.truncate(ALERT_COUNT_MAX);
        alerts
    }
}
