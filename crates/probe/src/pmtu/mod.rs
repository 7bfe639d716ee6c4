//! The largest packet that crosses, and whether the path says so; the question `pmtu`.
//!
//! Two carriers are asked side by side with DF set: echo, whose answer is as large as the question, and bytes sent
//! again on an established connection, whose answer is small. A filter of large pings alone is thus no black hole.

mod judge;
mod search;

pub use judge::{Carrier, PmtuReport, PmtuValue};

use crate::icmp::{Link, NEEDS_RAW, Route, seen, unread};
use netwhy_model::{Case, Evidence, Scheme, Source};
use std::io;
use std::net::SocketAddr;

const COLLECTOR: &str = "path.pmtu";
const FACT: &str = "path.pmtu";

/// Answers the question `pmtu`: `path.pmtu`.
pub async fn pmtu(case: &Case, address: SocketAddr) -> Vec<Evidence> {
    let tcp = !matches!(case.target.scheme, Scheme::Udp | Scheme::Dns);
    let report = run(PmtuOptions { target: address, source: case.source.clone(), tcp }).await;
    let evidence = match report {
        Ok(report) => match report.value {
            Some(value) => seen(FACT, value.name(), COLLECTOR, report.told()),
            None => unread(FACT, COLLECTOR, report.told()),
        },
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unread(FACT, COLLECTOR, NEEDS_RAW),
        Err(error) => unread(FACT, COLLECTOR, format!("the probes could not be sent: {error}")),
    };
    vec![evidence]
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct PmtuOptions {
    pub target: SocketAddr,
    pub source: Source,
    /// Whether a TCP connection with the target's port may be opened.
    pub tcp: bool,
}

/// Measures the path MTU; permission denied where neither raw nor ping sockets are allowed.
pub async fn run(options: PmtuOptions) -> io::Result<PmtuReport> {
    let task = tokio::task::spawn_blocking(move || {
        let route = Route::find(options.target, &options.source)?;
        let link = Link::open(&route)?;
        search::search(link, &route, options.tcp)
    });
    task.await.map_err(io::Error::other)?
}
