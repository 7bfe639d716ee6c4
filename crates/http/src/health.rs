//! The question `http.health`: the health-check path as a load balancer asks it.

use crate::ask::Ask;
use crate::exchange::{End, answer};
use crate::facts::seen;
use crate::origin::{self, Speaks, how_it_speaks};
use crate::view::View;
use netwhy_model::{Case, Evidence};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a load balancer commonly waits, in milliseconds.
const WAIT_MS: u64 = 2_500;
/// From here on a check is close to being given up, in milliseconds.
const SLOW_MS_MIN: f64 = 1_000.0;

/// Asks the health path with the address as Host, as checks do, and with the site's name beside it.
pub(crate) async fn health(case: &Case, address: SocketAddr) -> Vec<Evidence> {
    let Some(path) = case.health_path.as_deref() else { return Vec::new() };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    // A load balancer asks what stands behind it.
    let (address, ask) = match origin::address(case) {
        Some(to) => match how_it_speaks(case, to, None).await {
            Speaks::Plain(ask) | Speaks::Tls(ask) | Speaks::Silent(ask) | Speaks::Neither(ask, _) => {
                (to, ask)
            }
        },
        None => (address, Ask::of(case, address)),
    };
    let mut ask = ask.into_get().with_path(&path).within(Duration::from_millis(WAIT_MS));
    ask.headers = vec![
        ("Host".to_owned(), host(address)),
        ("User-Agent".to_owned(), "netwhy/0.1 (health check)".to_owned()),
        ("Accept".to_owned(), "*/*".to_owned()),
        ("Connection".to_owned(), "close".to_owned()),
    ];
    let named = ask.clone().with_header("Host", &case.target.host_header());
    let mut view = View::of(case, answer(case, &ask).await);
    let mut value = judged(&view);
    if matches!(value, "error" | "no_answer") && view.times.total < 1_000.0 {
        view = View::of(case, answer(case, &ask).await);
        value = judged(&view);
    }
    let mut text = format!("GET {path} with Host {}: {}", host(address), view.text());
    if value != "ok" && view.status() != 0 {
        // Behind a name-based edge the bare address is nobody's site: the site's own name decides.
        let by_name = View::of(case, answer(case, &named).await);
        text.push_str(&format!("; with Host {}: {}", case.target.host_header(), by_name.text()));
        if judged(&by_name) == "ok" && matches!(view.status(), 400 | 404 | 421 | 301 | 302 | 307 | 308) {
            value = "ok";
        }
    }
    let fact = seen("http.health", value, text);
    vec![if view.end == End::Timeout { fact.unanswered() } else { fact }]
}

fn host(address: SocketAddr) -> String {
    match address.ip() {
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
        v4 => v4.to_string(),
    }
}

fn judged(view: &View) -> &'static str {
    match view.status() {
        0 => "no_answer",
        200..=299 if view.wait_ms.is_some_and(|ms| ms >= SLOW_MS_MIN) => "slow",
        200..=299 => "ok",
        300..=399 => "redirects",
        401 | 403 | 407 => "forbidden",
        404 | 410 => "missing",
        _ => "error",
    }
}
