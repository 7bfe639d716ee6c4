//! What one case knows so far.

use netwhy_dns::Resolution;
use netwhy_http::HttpSeen;
use netwhy_model::{Case, Evidence, Scheme};
use netwhy_probe::{ConnectOutcome, Connected};
use netwhy_tls::TlsSeen;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Evidence one case may hold.
const EVIDENCE_MAX: usize = 1_000;
/// Addresses of one name that are asked.
const ADDRESSES_MAX: usize = 16;

/// What is seen only while it lasts, with the value that would hide it.
const PASSING: [(&str, &str); 6] = [
    ("host.crowd", "calm"),
    ("host.request", "answered"),
    ("host.files", "free"),
    ("host.process", "runs"),
    ("host.accept_queue", "room"),
    ("host.half_open", "few"),
];

/// What one case knows so far: the evidence, and what collectors need of each other's results.
#[derive(Default)]
pub(crate) struct State {
    pub evidence: Vec<Evidence>,
    pub asked: BTreeSet<String>,
    pub resolution: Resolution,
    pub connected: Option<Connected>,
    pub tls: Option<TlsSeen>,
    pub http: Option<HttpSeen>,
}

impl State {
    /// Adds evidence, numbering it; what is past the limit is left out.
    pub fn add(&mut self, evidence: Vec<Evidence>) {
        for mut item in evidence {
            if self.evidence.len() >= EVIDENCE_MAX {
                return;
            }
            item.id = format!("E{}", self.evidence.len() + 1);
            self.evidence.push(item);
        }
    }

    /// Files what the ends say, in the place of what they said before; a symptom seen once stays.
    pub fn settle(&mut self, evidence: Vec<Evidence>) {
        let mut fresh = Vec::new();
        for mut item in evidence {
            let same = |e: &&mut Evidence| {
                e.fact == item.fact
                    && e.leg == item.leg
                    && e.collector == item.collector
                    && e.speaks() == item.speaks()
            };
            match self.evidence.iter_mut().find(same) {
                Some(known)
                    if PASSING.iter().any(|(fact, well)| known.fact == *fact && item.value == *well) => {}
                Some(known) => {
                    item.id.clone_from(&known.id);
                    *known = item;
                }
                None => fresh.push(item),
            }
        }
        self.add(fresh);
    }

    /// The latest value of a fact, empty when nobody knows.
    pub fn value(&self, fact: &str) -> &str {
        self.evidence
            .iter()
            .rev()
            .find(|e| e.leg.is_front() && e.fact == fact && e.speaks())
            .map_or("", |e| e.value.as_str())
    }

    /// Every address with the target's port, bounded.
    pub fn addresses(&self, case: &Case) -> Vec<SocketAddr> {
        self.resolution
            .addresses
            .iter()
            .filter(|a| match case.source.family {
                Some(4) => a.is_ipv4(),
                Some(6) => a.is_ipv6(),
                _ => true,
            })
            .take(ADDRESSES_MAX)
            .map(|a| SocketAddr::new(*a, case.target.port))
            .collect()
    }

    /// The resolvers, when none of them could be reached: the way to them is then what can be looked at.
    pub fn silent_resolvers(&self) -> Vec<SocketAddr> {
        if self.value("dns.resolvers") != "all_dead" {
            return Vec::new();
        }
        self.resolution.report.resolvers.iter().map(|r| r.server).collect()
    }

    /// The address later questions are about: one that opens, else the first.
    pub fn address(&self, case: &Case) -> Option<SocketAddr> {
        let best = self.connected.as_ref().and_then(|c| c.best);
        best.or_else(|| self.addresses(case).first().copied())
    }

    /// True when a handshake got through at least once.
    pub fn opens(&self) -> bool {
        self.connected.as_ref().is_some_and(|c| c.best.is_some())
    }

    /// The addresses that opened a connection.
    pub fn open_addresses(&self, case: &Case) -> Vec<SocketAddr> {
        let opened = |address: &SocketAddr| {
            let result = self.connected.as_ref().and_then(|connected| connected.result(*address));
            result.is_some_and(|result| result.outcome == ConnectOutcome::Open)
        };
        self.addresses(case).into_iter().filter(opened).collect()
    }

    /// Whether a question makes sense now.
    pub fn may_ask(&self, case: &Case, question: &str) -> bool {
        if self.asked.contains(question) {
            return false;
        }
        let scheme = case.target.scheme;
        let has_address = self.address(case).is_some();
        let tcp = has_address && !matches!(scheme, Scheme::Udp | Scheme::Dns);
        match question {
            "names" | "names.deep" => case.target.name().is_some() && case.via.is_none(),
            // Of names alone, the way to the addresses they have is not asked for.
            "local" => has_address && scheme != Scheme::Dns || !self.silent_resolvers().is_empty(),
            "udp" => has_address && scheme == Scheme::Udp,
            "connect" => tcp,
            "control" | "trace" | "pmtu" => tcp && self.connected.is_some(),
            "stack" => tcp && self.refuses_or_swallows(case),
            // Nothing more is learnt from twenty silences than from four.
            "series" | "loss" => {
                tcp && !matches!(self.value("tcp.connect"), "" | "silent" | "rejected" | "local")
            }
            "payload" => tcp && self.opens() && (scheme == Scheme::Tcp || self.speechless()),
            "tls" => tcp && self.opens() && scheme.uses_tls(),
            "tls.differential" => self.tls.is_some(),
            "http" => tcp && self.opens() && scheme.uses_http() && self.tls_allows_http(case),
            "http.variants" | "http.repeat" | "http.idle" => self.http.is_some(),
            "http.upgrade" => {
                self.http.is_some()
                    && (case.header("upgrade").is_some() || self.value("http.status") == "426")
            }
            "http.addresses" => self.http.is_some() && self.open_addresses(case).len() > 1,
            "http.health" => tcp && self.opens() && case.health_path.is_some() && self.tls_allows_http(case),
            "origin" => case.origin.is_some() && scheme.uses_http(),
            _ => false,
        }
    }

    /// The address we go on with sends resets, or takes SYNs in silence.
    fn refuses_or_swallows(&self, case: &Case) -> bool {
        let result = self.address(case).and_then(|address| self.connected.as_ref()?.result(address));
        result.is_some_and(|result| {
            matches!(
                result.outcome,
                ConnectOutcome::Refused | ConnectOutcome::Silent | ConnectOutcome::Intermittent
            )
        })
    }

    fn tls_allows_http(&self, case: &Case) -> bool {
        !case.target.scheme.uses_tls() || self.tls.as_ref().is_some_and(|t| t.usable)
    }

    /// The handshake opened and then nobody spoke our protocol.
    fn speechless(&self) -> bool {
        !matches!(self.value("tls.handshake"), "" | "ok" | "alert" | "plain")
            || !matches!(self.value("http.exchange"), "" | "ok")
            || matches!(self.value("http.body"), "stalled" | "reset_midway")
    }
}
