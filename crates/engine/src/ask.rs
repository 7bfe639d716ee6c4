//! Asks one question and hands back what it saw.

use crate::state::State;
use netwhy_dns::Resolution;
use netwhy_http::{HttpSeen, Lookup};
use netwhy_model::{Case, Evidence, Link, Stamp};
use netwhy_probe::Connected;
use netwhy_tls::TlsSeen;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// Addresses of DNS asked beside those of the hosts file.
const HOSTS_BESIDE_MAX: usize = 4;

/// What one question brought.
#[derive(Default)]
pub(crate) struct Answer {
    pub evidence: Vec<Evidence>,
    pub resolution: Option<Resolution>,
    pub connected: Option<Connected>,
    pub tls: Option<TlsSeen>,
    pub http: Option<HttpSeen>,
}

impl Answer {
    fn plain(evidence: Vec<Evidence>) -> Answer {
        Answer { evidence, ..Answer::default() }
    }

    /// Files what was seen under the question.
    pub fn into_state(self, state: &mut State, question: &str) {
        state.asked.insert(question.to_owned());
        state.add(self.evidence);
        if let Some(resolution) = self.resolution {
            state.resolution = resolution;
        }
        state.connected = self.connected.or(state.connected.take());
        state.tls = self.tls.or(state.tls.take());
        state.http = self.http.or(state.http.take());
    }
}

/// Asks one question; what it needs and lacks makes it answer nothing.
pub(crate) async fn ask(case: &Case, state: &State, question: &str) -> Answer {
    match question {
        "names" => {
            let resolution = netwhy_dns::names(case).await;
            // It keeps its evidence: the deep question builds on what was found here.
            let evidence = resolution.evidence.clone();
            return Answer { evidence, resolution: Some(resolution), ..Answer::default() };
        }
        "names.deep" => return Answer::plain(netwhy_dns::names_deep(case, &state.resolution).await),
        "origin" => return Answer::plain(netwhy_http::origin(case, state.http.as_ref()).await),
        "local" if state.address(case).is_none() => {
            return Answer::plain(toward_resolvers(case, state).await);
        }
        _ => {}
    }
    let Some(address) = state.address(case) else { return Answer::default() };
    match question {
        "local" => Answer::plain(netwhy_probe::local(case, &state.addresses(case)).await),
        "connect" => {
            let mut connected = netwhy_probe::connect(case, &state.addresses(case)).await;
            let mut evidence = std::mem::take(&mut connected.evidence);
            if connected.best.is_none() {
                evidence.extend(beside_hosts(case, state).await);
            }
            Answer { evidence, connected: Some(connected), ..Answer::default() }
        }
        "udp" => Answer::plain(netwhy_probe::udp(case, address).await),
        "trace" => Answer::plain(netwhy_probe::trace(case, address).await),
        "pmtu" => Answer::plain(netwhy_probe::pmtu(case, address).await),
        "loss" => Answer::plain(netwhy_probe::loss(case, address).await),
        "tls" => {
            let mut seen = netwhy_tls::tls(case, address).await;
            let evidence = std::mem::take(&mut seen.evidence);
            Answer { evidence, tls: Some(seen), ..Answer::default() }
        }
        "http" => {
            let mut seen = netwhy_http::http(case, address, lookup(case)).await;
            let evidence = std::mem::take(&mut seen.evidence);
            Answer { evidence, http: Some(seen), ..Answer::default() }
        }
        "http.addresses" => Answer::plain(netwhy_http::addresses(case, &state.open_addresses(case)).await),
        "http.health" => Answer::plain(netwhy_http::health(case, address).await),
        _ => after(case, state, question, address).await,
    }
}

/// What this host knows of the way to resolvers that are out of reach, since no address came from them.
async fn toward_resolvers(case: &Case, state: &State) -> Vec<Evidence> {
    let seen = netwhy_probe::local(case, &state.silent_resolvers()).await;
    // A resolver on the own link that is dead itself says nothing of the target's neighbour.
    let of_this_host = |e: &Evidence| match e.fact.as_str() {
        "source.route" | "source.interface" | "source.ttl" | "source.duplicate_mac" => true,
        "source.neighbour" => e.value != "target_failed",
        _ => false,
    };
    seen.into_iter().filter(of_this_host).collect()
}

/// Whether the address DNS gives opens, where the hosts file names another that does not.
async fn beside_hosts(case: &Case, state: &State) -> Option<Evidence> {
    if state.value("dns.hosts") != "overrides" {
        return None;
    }
    let others: Vec<SocketAddr> = state
        .resolution
        .resolver_addresses
        .iter()
        .filter(|a| !state.resolution.addresses.contains(a))
        .take(HOSTS_BESIDE_MAX)
        .map(|a| SocketAddr::new(*a, case.target.port))
        .collect();
    let opened = netwhy_probe::connect(case, &others).await.best?;
    let at = Stamp::from(SystemTime::now());
    let excerpt = format!("SYN {opened} → SYN-ACK, the hosts file's address opens nothing");
    Some(Evidence::seen("dns.hosts_beside", "dns_works", Link::Resolver, at, "engine", excerpt))
}

/// The questions that build on an earlier one's result.
async fn after(case: &Case, state: &State, question: &str, address: std::net::SocketAddr) -> Answer {
    if let Some(connected) = &state.connected {
        match question {
            "control" => return Answer::plain(netwhy_probe::control(case, address, connected).await),
            "series" => return Answer::plain(netwhy_probe::series(case, address, connected).await),
            "stack" => return Answer::plain(netwhy_probe::stack(case, address, connected).await),
            "payload" => return Answer::plain(netwhy_probe::payload(case, address, connected).await),
            _ => {}
        }
    }
    if let (Some(tls), "tls.differential") = (&state.tls, question) {
        return Answer::plain(netwhy_tls::differential(case, address, &state.addresses(case), tls).await);
    }
    let Some(http) = &state.http else { return Answer::default() };
    Answer::plain(match question {
        "http.variants" => netwhy_http::variants(case, address, http).await,
        "http.repeat" => netwhy_http::repeat(case, address, http).await,
        "http.idle" => netwhy_http::idle(case, address, http).await,
        "http.upgrade" => netwhy_http::upgrade(case, address, http).await,
        _ => Vec::new(),
    })
}

/// Redirects resolve their names as the target did.
fn lookup(case: &Case) -> Lookup {
    let case = Arc::new(case.clone());
    Arc::new(move |name: String| {
        let case = Arc::clone(&case);
        Box::pin(async move { netwhy_dns::lookup(&case, &name).await })
    })
}
