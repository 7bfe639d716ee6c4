//! Loss and jitter of the wire, measured by a few hundred small probes; the question `loss`.
//!
//! The kernel sends a lost SYN again by itself, so the time of a connection hides what the wire lost. Here every
//! probe counts once: bytes sent again on one established connection (the peer acknowledges each, RFC 9293
//! 3.10.7.4, and names it in a duplicate SACK, RFC 2883), else raw SYNs, else connections that gave up waiting.

mod judge;
mod measure;
pub mod stats;

pub use judge::{Limit, Loss, Series};

use crate::icmp::{Link, Route, seen, unread};
use measure::Measured;
use netwhy_model::{Case, Evidence, Scheme};
use std::io;
use std::net::SocketAddr;

const COLLECTOR: &str = "path.loss";

/// Answers the question `loss`: `tcp.loss`, `icmp.loss` and `tcp.jitter`.
pub async fn loss(case: &Case, address: SocketAddr) -> Vec<Evidence> {
    let case = case.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&case, address)).await;
    match asked {
        Ok(Ok(evidence)) => evidence,
        Ok(Err(error)) => {
            vec![unread("tcp.loss", COLLECTOR, format!("the probes could not be sent: {error}"))]
        }
        Err(_) => Vec::new(),
    }
}

fn ask(case: &Case, address: SocketAddr) -> io::Result<Vec<Evidence>> {
    let route = Route::find(address, &case.source)?;
    let mut link = Link::open(&route)?;
    let tcp = !matches!(case.target.scheme, Scheme::Udp | Scheme::Dns);
    let limit = Limit { loss_max: case.expect.loss_max };
    let measured = measure::measure(&mut link, &route, tcp, limit)?;
    if link.overflowed() {
        let why = "this host was too busy to take every answer, so a missing one proves nothing";
        return Ok(vec![unread("tcp.loss", COLLECTOR, why)]);
    }
    Ok(facts(&measured, limit))
}

fn facts(measured: &Measured, limit: Limit) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    if let Some(series) = &measured.tcp {
        evidence.extend(tcp_loss(series, limit));
        if let Some((wild, told)) = judge::jitter(series) {
            evidence.push(seen("tcp.jitter", if wild { "wild" } else { "steady" }, COLLECTOR, told));
        }
    }
    if let Some(series) = &measured.icmp {
        // A limit on ping answers is everyday and says nothing of the path.
        match judge::judge(series, Limit::default()) {
            Some(Loss::Limited) | None => {}
            Some(loss) => evidence.push(seen("icmp.loss", loss.name(), COLLECTOR, series.told())),
        }
    }
    evidence
}

fn tcp_loss(series: &Series, limit: Limit) -> Option<Evidence> {
    let told = match limit.loss_max {
        Some(max) => format!("{}; {:.1} % allowed", series.told(), max * 100.0),
        None => series.told(),
    };
    match judge::judge(series, limit)? {
        Loss::Limited => {
            let why =
                format!("{told}: answers stop after a first run, as by a limit on the rate, not by loss");
            Some(unread("tcp.loss", COLLECTOR, why))
        }
        Loss::All => Some(unread("tcp.loss", COLLECTOR, format!("{told}: nothing is answered at all"))),
        loss => Some(seen("tcp.loss", loss.name(), COLLECTOR, told)),
    }
}
