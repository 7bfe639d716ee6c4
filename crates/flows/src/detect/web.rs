//! Attacks on web servers from access and error logs: floods, slow requests, scans, guessed passwords.

mod client;
mod flood;
mod scan;
mod slow;
mod window;

use super::alert::Alert;
use super::logs::Told;
use crate::logs::{Event, Method, Trouble, TroubleKind, Visit};
use crate::names::Names;
use flood::FloodDetector;
use scan::ScanDetector;
use slow::SlowDetector;
use std::collections::HashMap;
use std::sync::Arc;

/// How many sites of one server are told apart; the rest is one.
const SITE_COUNT_MAX: usize = 32;
/// How many alerts wait to be told.
const TOLD_COUNT_MAX: usize = 4096;

/// All detectors on visits.
#[derive(Debug)]
pub struct WebDetector {
    names: Arc<Names>,
    /// Floods and slow attacks are judged against the site they are on.
    sites: HashMap<Box<str>, (FloodDetector, SlowDetector)>,
    scans: ScanDetector,
    waiting: Vec<Told>,
}

impl WebDetector {
    pub fn new(names: Arc<Names>) -> WebDetector {
        WebDetector { names, sites: HashMap::new(), scans: ScanDetector::default(), waiting: Vec::new() }
    }

    /// Takes one visit.
    pub fn visit(&mut self, event: &Event, visit: &Visit) {
        if event.client.is_unknown() {
            return;
        }
        self.scans.visit(event, visit, &mut self.waiting);
        let (flood, slow) = self.site(&event.host);
        let mut told = Vec::new();
        flood.visit(event, visit, &mut told);
        slow.visit(event, visit, &mut told);
        self.waiting.append(&mut told);
        self.waiting.truncate(TOLD_COUNT_MAX);
    }

    /// Takes one line of an error log.
    pub fn trouble(&mut self, event: &Event, trouble: &Trouble) {
        if event.client.is_unknown() {
            return;
        }
        let mut told = Vec::new();
        let (flood, slow) = self.site(&event.host);
        match trouble.kind {
            TroubleKind::ClientTimedOut => slow.timed_out(event, &mut told),
            TroubleKind::LimitedRequests | TroubleKind::LimitedConnections => {
                // The request itself; where only the error log is at hand, nothing else tells of it.
                let visit = Visit {
                    path: trouble.path.clone(),
                    status: 429,
                    method: Method::Other,
                    ..Visit::default()
                };
                flood.visit(event, &visit, &mut told);
            }
            _ => {}
        }
        self.waiting.append(&mut told);
    }

    fn site(&mut self, host: &str) -> &mut (FloodDetector, SlowDetector) {
        let known = self.sites.contains_key(host) || self.sites.len() < SITE_COUNT_MAX;
        let host = if known { host } else { "" };
        self.sites.entry(host.into()).or_insert_with(|| (FloodDetector::new(host), SlowDetector::new(host)))
    }

    /// What is known by now, each attack told once.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Alert> {
        for (flood, slow) in self.sites.values_mut() {
            flood.tick(now_ms, &mut self.waiting);
            slow.tick(now_ms, &mut self.waiting);
        }
        self.scans.tick(&mut self.waiting);
        self.take()
    }

    /// All that was found and not yet told.
    pub fn finish(&mut self) -> Vec<Alert> {
        for (_, (flood, slow)) in self.sites.drain() {
            flood.finish(&mut self.waiting);
            slow.finish(&mut self.waiting);
        }
        self.scans.finish(&mut self.waiting);
        self.take()
    }

    fn take(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.waiting).into_iter().map(|told| told.alert(&self.names)).collect()
    }
}
