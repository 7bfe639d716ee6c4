//! The request without what a filter may dislike, and with another client address.

use super::Base;
use crate::ask::Ask;
use crate::facts::seen as fact;
use crate::view::{Kind, View};
use netwhy_model::Evidence;

/// What a browser says of itself.
const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36";
/// Query parameters tried one by one.
const PARAMETER_COUNT_MAX: usize = 12;
/// Pieces of a path that filters look for.
const PATH_TOKENS: [&str; 12] =
    ["..", "<", "%3c", "'", "%27", "union", "select", ".git", ".env", "etc/passwd", "wp-", "cmd"];

/// `http.benign` and `http.forwarded_for`.
pub(super) async fn ask(base: &Base<'_>) -> Vec<Evidence> {
    let view = base.view();
    if view.good {
        return vec![fact("http.benign", "not_needed", view.text())];
    }
    if !filterable(view) {
        return vec![fact("http.benign", "not_needed", format!("not a filter's answer: {}", view.text()))];
    }
    let (benign, forwarded) = tokio::join!(benign(base), forwarded_for(base));
    benign.into_iter().chain(forwarded).collect()
}

/// Endings that a filter, a limit or an access list makes.
fn filterable(view: &View) -> bool {
    matches!(
        view.kind,
        Kind::Status(400 | 403 | 405 | 406 | 410 | 418 | 429 | 444 | 451 | 493 | 501 | 503)
            | Kind::Reset
            | Kind::Closed
            | Kind::Timeout
    )
}

fn passes(view: &View) -> bool {
    view.good || (200..400).contains(&view.status())
}

/// The parts that can be taken out, each with its name and the request without it.
fn parts(base: &Base<'_>) -> Vec<(String, Ask)> {
    let ask = &base.ask;
    let mut all = Vec::new();
    if let Some((path, query)) = ask.path.split_once('?') {
        let parameters: Vec<&str> = query.split('&').take(PARAMETER_COUNT_MAX).collect();
        if parameters.len() > 1 {
            for skipped in 0..parameters.len() {
                let kept: Vec<&str> =
                    parameters.iter().enumerate().filter(|(i, _)| *i != skipped).map(|(_, p)| *p).collect();
                let name = format!("query parameter {:?}", parameters[skipped]);
                all.push((name, ask.clone().with_path(&format!("{path}?{}", kept.join("&")))));
            }
        }
        all.push((format!("query {query:?}"), ask.clone().with_path(path)));
    }
    for header in &base.case.headers {
        if !["host", "authorization", "user-agent"].contains(&header.name.to_ascii_lowercase().as_str()) {
            all.push((format!("header {}", header.name), ask.clone().without_header(&header.name)));
        }
    }
    if ask.method != "GET" || ask.body_len > 0 {
        all.push((format!("method {} with body", ask.method), ask.clone().into_get()));
    }
    all.push(("our User-Agent".to_owned(), ask.clone().with_header("User-Agent", BROWSER)));
    let lower = ask.path.to_ascii_lowercase();
    if PATH_TOKENS.iter().any(|token| lower.split('?').next().unwrap_or("").contains(token)) {
        all.push((format!("path {:?}", ask.path), ask.clone().with_path("/")));
    }
    all
}

/// Everything taken out at once.
fn plainest(base: &Base<'_>) -> Ask {
    let mut ask = base.ask.clone().into_get().with_header("User-Agent", BROWSER);
    for header in &base.case.headers {
        if !["host", "authorization", "user-agent"].contains(&header.name.to_ascii_lowercase().as_str()) {
            ask = ask.without_header(&header.name);
        }
    }
    let path = ask.path.split('?').next().unwrap_or("/").to_owned();
    let lower = path.to_ascii_lowercase();
    let odd = PATH_TOKENS.iter().any(|token| lower.contains(token));
    ask.with_path(if odd { "/" } else { &path })
}

async fn benign(base: &Base<'_>) -> Option<Evidence> {
    let plain = plainest(base);
    let first = base.view_of(&plain).await;
    let ours = base.view().text();
    if !passes(&first) {
        return Some(fact(
            "http.benign",
            "same",
            format!("plain GET {}: {}; ours: {ours}", plain.path, first.text()),
        ));
    }
    if !base.still_fails().await || !passes(&base.view_of(&plain).await) {
        return None;
    }
    let mut why = "only all suspicious parts together".to_owned();
    for (name, ask) in parts(base) {
        if passes(&base.view_of(&ask).await) {
            why = format!("without {name}");
            break;
        }
    }
    Some(fact("http.benign", "passes", format!("{why} it passes: {}; ours: {ours}", first.text())))
}

/// Whether the service counts or blocks by an address it takes from a header.
async fn forwarded_for(base: &Base<'_>) -> Option<Evidence> {
    if matches!(base.view().kind, Kind::Timeout) {
        return None;
    }
    let ours = base.view().text();
    let mut last = String::new();
    for address in ["203.0.113.77", "127.0.0.1"] {
        let ask = base.ask.clone().with_header("X-Forwarded-For", address).with_header("X-Real-IP", address);
        let view = base.view_of(&ask).await;
        last = format!("X-Forwarded-For {address}: {}; ours: {ours}", view.text());
        if passes(&view) && base.still_fails().await && passes(&base.view_of(&ask).await) {
            return Some(fact("http.forwarded_for", "passes", last));
        }
    }
    Some(fact("http.forwarded_for", "same", last))
}
