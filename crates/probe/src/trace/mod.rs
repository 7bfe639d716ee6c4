//! Where packets with rising TTL get; the question `trace` and the command of that name.

mod judge;
mod lane;
mod report;
mod walk;

pub use judge::{Loop, SynTrace, Traced, answer_name, find_loop, hops_back};
pub use lane::{HopSeen, Lane};
pub use report::{Hop, LaneReport, RttSummary, TraceReport};

use crate::icmp::{Link, NEEDS_RAW, Protocol, Route, Stop, seen, unread};
use netwhy_model::{Case, Evidence, Scheme, Source};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Farthest hop asked for.
pub const HOPS_COUNT_MAX: u8 = 30;

/// Most rounds of one trace.
pub const ROUNDS_COUNT_MAX: u32 = 1_000;

const COLLECTOR: &str = "path.trace";

const FACTS: [&str; 4] = ["path.ping_trace", "path.syn_trace", "path.syn_vs_ping", "path.reverse_hops"];

/// Answers the question `trace`: `path.ping_trace`, `path.syn_trace`, `path.syn_vs_ping` and `path.reverse_hops`.
///
/// What cannot be told from silence is left out.
pub async fn trace(case: &Case, address: SocketAddr) -> Vec<Evidence> {
    let source = case.source.clone();
    // A SYN to the port of a UDP service tells nothing of that service.
    let tcp = !matches!(case.target.scheme, Scheme::Udp | Scheme::Dns);
    let asked = tokio::task::spawn_blocking(move || ask(address, &source, tcp)).await;
    match asked {
        Ok(Ok(evidence)) => evidence,
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            FACTS.iter().map(|fact| unread(fact, COLLECTOR, NEEDS_RAW)).collect()
        }
        Ok(Err(error)) => vec![unread(FACTS[1], COLLECTOR, format!("the probes could not be sent: {error}"))],
        Err(_) => Vec::new(),
    }
}

fn ask(address: SocketAddr, source: &Source, tcp: bool) -> io::Result<Vec<Evidence>> {
    let route = Route::find(address, source)?;
    let mut link = Link::open(&route)?;
    let traced = walk::question(&mut link, &route)?;
    let mut evidence = Vec::new();
    let mut add = |fact: &str, told: Option<(&'static str, String)>| {
        if let Some((value, excerpt)) = told {
            evidence.push(seen(fact, value, COLLECTOR, excerpt));
        }
    };
    add(FACTS[0], traced.ping_trace());
    if tcp {
        add(FACTS[1], traced.syn_trace().map(|(value, excerpt)| (value.name(), excerpt)));
        add(FACTS[2], traced.syn_vs_ping());
    }
    add(FACTS[3], traced.reverse_hops());
    if !link.is_raw() && traced.ping.refused() {
        evidence.push(unread(
            FACTS[0],
            COLLECTOR,
            "needs CAP_NET_RAW or a group in net.ipv4.ping_group_range",
        ));
    }
    Ok(evidence)
}

/// What to trace, and how.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    pub target: SocketAddr,
    pub source: Source,
    pub protocols: Vec<Protocol>,
    pub hops_max: u8,
    /// Times each hop is asked.
    pub rounds: u32,
}

/// Traces with each protocol and reports hop by hop.
pub async fn run(options: TraceOptions, stop: Arc<Stop>) -> io::Result<TraceReport> {
    let task = tokio::task::spawn_blocking(move || {
        let route = Route::find(options.target, &options.source)?;
        let mut link = Link::open(&route)?;
        let traced = walk::rounds(&mut link, &route, &options, &stop)?;
        Ok(TraceReport::new(&route, link.is_raw(), &traced))
    });
    task.await.map_err(io::Error::other)?
}
