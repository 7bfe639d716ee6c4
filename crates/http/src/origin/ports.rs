//! Other web ports of an origin whose given port is dead or serves no HTTP.

use super::{Speaks, how_it_speaks};
use crate::HttpSeen;
use crate::dial::{connect, on_port};
use crate::exchange::answer;
use crate::facts::{seen as fact, unread};
use crate::view::View;
use netwhy_model::{Case, Evidence};
use std::net::SocketAddr;
use std::time::Duration;

/// Ports a site is served on where its own is not.
const WEB_PORTS: [u16; 8] = [80, 443, 8080, 8443, 8000, 8081, 3000, 9000];
/// Wait for a handshake with one of them, in milliseconds.
const CONNECT_MS_MAX: u64 = 700;
/// Patience with the request there, in milliseconds.
const WAIT_MS: u64 = 1_200;

/// After a port that does not answer.
pub(super) async fn dead_port(case: &Case, to: SocketAddr, seen: Option<&HttpSeen>) -> Vec<Evidence> {
    let mut all = vec![unread("origin.http", format!("not asked: no TCP connection with {to}"))];
    all.push(elsewhere(case, to, seen).await);
    all
}

/// After a port that answers no HTTP.
pub(super) async fn wrong_port(case: &Case, to: SocketAddr, seen: Option<&HttpSeen>) -> Option<Evidence> {
    let found = elsewhere(case, to, seen).await;
    (found.value == "only_other").then_some(found)
}

/// `origin.other_ports`.
async fn elsewhere(case: &Case, to: SocketAddr, seen: Option<&HttpSeen>) -> Evidence {
    let mut tasks = tokio::task::JoinSet::new();
    for port in WEB_PORTS.into_iter().filter(|port| *port != to.port()) {
        let case = case.clone();
        tasks.spawn(async move { (port, serves(&case, on_port(to, port)).await) });
    }
    let mut found: Vec<(u16, View)> = Vec::new();
    while let Some(done) = tasks.join_next().await {
        if let Ok((port, Some(view))) = done {
            found.push((port, view));
        }
    }
    found.sort_by_key(|(port, _)| *port);
    let node = seen.map(|s| &s.told.ask.address);
    // The node may be the origin's own address: its port is no other port of the origin.
    found.retain(|(port, _)| node != Some(&on_port(to, *port)));
    let shown: Vec<String> = found.iter().map(|(port, view)| format!("{port}: {}", view.text())).collect();
    if found.iter().any(|(_, view)| view.good) {
        return fact(
            "origin.other_ports",
            "only_other",
            format!("{to} does not serve; {}", shown.join("; ")),
        );
    }
    let tried = WEB_PORTS.map(|port| port.to_string()).join(", ");
    fact(
        "origin.other_ports",
        "none",
        format!("nor do {tried} of {} serve the site; {}", to.ip(), shown.join("; ")),
    )
}

async fn serves(case: &Case, to: SocketAddr) -> Option<View> {
    let wait = Duration::from_millis(CONNECT_MS_MAX);
    drop(connect(case, to, wait).await.ok()?);
    let ask = match how_it_speaks(case, to, None).await {
        Speaks::Plain(ask) | Speaks::Tls(ask) | Speaks::Silent(ask) => {
            ask.within(Duration::from_millis(WAIT_MS))
        }
        Speaks::Neither(..) => return None,
    };
    let view = View::of(case, answer(case, &ask).await);
    (view.status() != 0).then_some(view)
}
