//! The question `origin`: the origin behind the node asked directly, with the target's own Host and SNI.

mod compare;
mod ports;

use crate::HttpSeen;
use crate::ask::Ask;
use crate::dial::{DialError, Secure, connect, dial};
use crate::exchange::{End, answer};
use crate::facts::{seen as fact, unread};
use crate::follow::redirect_target;
use crate::proxy_header;
use crate::request::SLOW_MS_MIN;
use crate::view::{Kind, View};
use netwhy_model::{Case, Evidence};
use netwhy_tls::OriginTls;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Wait for a handshake with the origin, in milliseconds; the kernel repeats a lost SYN after 1,000.
const CONNECT_MS_MAX: u64 = 2_000;
/// Redirects followed on the origin itself.
const REDIRECT_COUNT_MAX: usize = 5;
/// Patience with one more question to an origin that has answered, in milliseconds.
const MORE_MS: (u64, u64) = (1_200, 2_500);
/// Shortest and longest wait for the origin's first byte, in milliseconds.
const FIRST_BYTE_MS: (u64, u64) = (3_500, 6_500);
/// Patience with the first words of an origin, beyond five round trips, in milliseconds.
const SPEAK_MS: u64 = 500;
/// How much longer than the node took the origin is given, in milliseconds.
const BEYOND_NODE_MS: f64 = 2_000.0;
/// A failure that came sooner is asked again before it is told, in milliseconds.
const CONFIRM_MS_MAX: f64 = 1_500.0;

/// The origin as it is asked, and what the node in front of it gave.
pub(crate) struct Ground<'a> {
    pub case: &'a Case,
    /// The target's request, sent to the origin in the way it speaks.
    pub ask: Ask,
    /// What came through the node, when the node was asked.
    pub node: Option<&'a View>,
}

/// Asks the origin everything that splits its faults from those of the node.
pub(crate) async fn origin(case: &Case, seen: Option<&HttpSeen>) -> Vec<Evidence> {
    let Some(to) = address(case) else { return Vec::new() };
    let wait = Duration::from_millis(case.limits.wait_ms_max.min(CONNECT_MS_MAX));
    let begun = Instant::now();
    let told = match connect(case, to, wait).await {
        Ok(stream) => {
            drop(stream);
            fact(
                "origin.tcp",
                "open",
                format!("{to} answers after {:.2} ms", begun.elapsed().as_secs_f64() * 1e3),
            )
        }
        // An origin that takes its node alone is as it should be.
        Err(error) if seen.is_some_and(|s| s.ok) => return vec![closed(to, &error)],
        Err(error) => return [vec![closed(to, &error)], ports::dead_port(case, to, seen).await].concat(),
    };
    let rtt = begun.elapsed();
    let mut all = vec![told];
    let node = seen.map(|s| &s.told.view);
    let speaks = how_it_speaks(case, to, Some(rtt)).await;
    let (facts, tls) = secured(case, to, &speaks).await;
    all.extend(facts);
    let ask = match speaks {
        Speaks::Plain(ask) | Speaks::Tls(ask) | Speaks::Silent(ask) => ask,
        Speaks::Neither(ask, why) => {
            all.extend(mute(&Ground { case, ask, node }, &why, seen).await);
            return all;
        }
    };
    let ground = Ground { case, ask: ask.within(patience(node)), node };
    all.extend(served(&ground, tls.as_ref(), seen).await);
    all
}

/// An origin that speaks neither plain HTTP nor TLS: it may want a PROXY header, or be on another port.
async fn mute(ground: &Ground<'_>, why: &str, seen: Option<&HttpSeen>) -> Vec<Evidence> {
    let plain = Ground { ask: Ask { secure: None, ..ground.ask.clone() }, ..*ground };
    let (as_asked, in_plain) = tokio::join!(proxied(ground, None), proxied(&plain, None));
    if let Some(needed) = as_asked.iter().chain(&in_plain).find(|e| e.value == "needed") {
        return vec![fact("origin.http", "proxy_header", needed.excerpt.clone()), needed.clone()];
    }
    let proxied = as_asked;
    let mut all = vec![unread("origin.http", format!("not asked: {why}"))];
    all.extend(proxied);
    all.extend(ports::wrong_port(ground.case, ground.ask.address, seen).await);
    all
}

/// Long enough to see an origin finish after the node has given up.
fn patience(node: Option<&View>) -> Duration {
    let took = node.filter(|n| n.end == End::Answered).map_or(0.0, |n| n.times.total);
    let wait = (took + BEYOND_NODE_MS) as u64;
    Duration::from_millis(wait.clamp(FIRST_BYTE_MS.0, FIRST_BYTE_MS.1))
}

/// Where the origin is; the target's port when none was given.
pub(crate) fn address(case: &Case) -> Option<SocketAddr> {
    let origin = case.origin?;
    Some(SocketAddr::new(origin.address, origin.port.unwrap_or(case.target.port)))
}

fn closed(to: SocketAddr, error: &DialError) -> Evidence {
    let text = format!("{to}: {}", error.text());
    match error {
        DialError::Refused => fact("origin.tcp", "refused", text),
        DialError::Rejected(_) => fact("origin.tcp", "rejected", text),
        DialError::Silent(_) => fact("origin.tcp", "silent", text).unanswered(),
        _ => unread("origin.tcp", text),
    }
}

/// What the origin's port speaks.
pub(crate) enum Speaks {
    Plain(Ask),
    Tls(Ask),
    /// Neither got an answer; the request as it was tried, and why it failed.
    Neither(Ask, String),
    /// A plain request was taken and nothing came so far, as from a slow or hung service.
    Silent(Ask),
}

/// Finds out by asking both ways at once; the first answer that settles it ends the wait.
pub(crate) async fn how_it_speaks(case: &Case, to: SocketAddr, rtt: Option<Duration>) -> Speaks {
    let ask = Ask::of(case, to);
    let secure = Ask { secure: Some(Secure::named(&case.target.host)), ..ask.clone() };
    let plain = Ask { secure: None, ..ask };
    let most = Duration::from_millis(MORE_MS.0);
    let wait = rtt.map_or(most, |rtt| (rtt * 5 + Duration::from_millis(SPEAK_MS)).min(most));
    let probe = plain.clone().into_get().within(wait);
    let offer = secure.secure.clone();
    let hello = dial(case, to, offer.as_ref(), &[], (wait, wait));
    let get = async { View::of(case, answer(case, &probe).await) };
    tokio::pin!(hello, get);
    let (mut shaken, mut got) = (None, None);
    while shaken.is_none() || got.is_none() {
        tokio::select! {
            told = &mut hello, if shaken.is_none() => {
                match told {
                    Ok(line) => {
                        line.close();
                        return Speaks::Tls(secure);
                    }
                    Err(DialError::NotTls) => return Speaks::Plain(plain),
                    Err(error) => shaken = Some(error.text()),
                }
            }
            view = &mut get, if got.is_none() => {
                if view.status() != 0 && view.sign.value != "plain_to_tls" {
                    return Speaks::Plain(plain);
                }
                got = Some(view.kind);
            }
        }
    }
    // A TLS port says so at once to a plain request; one that keeps quiet is a slow or hung plain service, or
    // hung altogether.
    let alert = shaken.as_deref().is_some_and(|why| why.contains("alert"));
    if got == Some(Kind::Timeout) && !alert {
        return Speaks::Silent(plain);
    }
    Speaks::Neither(if case.target.scheme.uses_tls() { secure } else { plain }, shaken.unwrap_or_default())
}

/// `origin.tls`, with the whole TLS answer when it was asked.
async fn secured(case: &Case, to: SocketAddr, speaks: &Speaks) -> (Vec<Evidence>, Option<OriginTls>) {
    let wanted = case.target.scheme.uses_tls();
    match speaks {
        Speaks::Plain(_) if wanted => {
            (vec![fact("origin.tls", "plain", format!("{to} answers HTTP without TLS"))], None)
        }
        Speaks::Plain(_) => {
            (vec![fact("origin.tls", "not_needed", "the target is plain HTTP, and so is the origin")], None)
        }
        Speaks::Silent(_) => (Vec::new(), None),
        Speaks::Tls(_) | Speaks::Neither(..) => {
            let tls = netwhy_tls::origin_tls(case, to).await;
            let text = if wanted {
                tls.excerpt.clone()
            } else {
                format!("TLS on a plain target's origin: {}", tls.excerpt)
            };
            (vec![fact("origin.tls", tls.value, text)], Some(tls))
        }
    }
}

/// `origin.http` and everything that depends on it.
async fn served(ground: &Ground<'_>, tls: Option<&OriginTls>, seen: Option<&HttpSeen>) -> Vec<Evidence> {
    let (view, looped) = request(ground, seen).await;
    let proxied = proxied(ground, Some(&view)).await;
    let needed = proxied.as_ref().is_some_and(|e| e.value == "needed");
    let value = match view.status() {
        _ if needed => "proxy_header",
        // A redirect that a client gets through with is no fault: the node led to a good page.
        300..=399 if ground.node.is_some_and(|node| node.good) => "ok",
        _ if looped => "redirect_loop",
        _ if view.good && view.wait_ms.is_some_and(|ms| ms >= SLOW_MS_MIN) => "slow",
        _ if view.good => "ok",
        0 if view.end == End::Timeout => "timeout",
        _ if ground.node.is_some_and(|node| !node.good && node.kind == view.kind) => "same_error",
        _ => "other_error",
    };
    let text = format!("{} → {}: {}", ground.ask.address, ground.ask.url(), view.text());
    let told = fact("origin.http", value, text);
    let mut all = vec![if view.end == End::Timeout { told.unanswered() } else { told }];
    all.extend(proxied);
    let more = view.wait_ms.unwrap_or(0.0) * 3.0 + 400.0;
    let wait = Duration::from_millis((more as u64).clamp(MORE_MS.0, MORE_MS.1));
    let short = Ground { ask: ground.ask.clone().within(wait), ..*ground };
    let (content, sni) =
        tokio::join!(compare::content(&short, &view, seen), compare::sni(&short, &view, tls));
    let differs = content.as_ref().is_some_and(|e| e.value == "differs");
    let cached = compare::cached(ground, &view);
    let host = if cached.is_some() { None } else { compare::host(&short, &view, differs, seen).await };
    all.extend(content.into_iter().chain(sni).chain(host).chain(cached));
    if view.status() != 0 {
        all.push(fact("origin.other_ports", "not_needed", format!("{} answers", ground.ask.address)));
    } else if !needed && view.end != End::Timeout {
        all.extend(ports::wrong_port(ground.case, ground.ask.address, seen).await);
    }
    all
}

/// The request, its redirects followed on the origin itself; true when they lead round through the node.
async fn request(ground: &Ground<'_>, seen: Option<&HttpSeen>) -> (View, bool) {
    let (view, looped) = follow_here(ground).await;
    let node_loops = seen.is_none_or(|s| matches!(s.told.outcome, "loop" | "scheme_loop" | "too_many"));
    if looped && !node_loops {
        // A node that ends TLS says so in this header, and the origin then sends nobody away.
        let ask = ground.ask.clone().with_header("X-Forwarded-Proto", ground.case.target.scheme.name());
        return (follow_here(&Ground { ask, ..*ground }).await.0, false);
    }
    if view.good || looped || view.times.total >= CONFIRM_MS_MAX {
        return (view, looped);
    }
    follow_here(ground).await
}

async fn follow_here(ground: &Ground<'_>) -> (View, bool) {
    let mut ask = ground.ask.clone();
    let mut visited = Vec::new();
    loop {
        let view = View::of(ground.case, answer(ground.case, &ask).await);
        let Some(to) = redirect_target(ground.case, &ask, &view) else { return (view, false) };
        let here = format!("{}://{}", ground.case.target.scheme.name(), ground.case.target.host_header());
        // The origin sends the client to the very place it came for: through the node it comes back here.
        let round = to.to_string() == format!("{here}{}", ask.path) || visited.contains(&to.to_string());
        if round || visited.len() >= REDIRECT_COUNT_MAX {
            return (view, round);
        }
        let same_host = to.host_str() == url::Url::parse(&here).ok().as_ref().and_then(url::Url::host_str);
        if !same_host {
            return (view, false);
        }
        visited.push(to.to_string());
        ask = ask.into_get().with_path(&to[url::Position::BeforePath..url::Position::AfterQuery]);
    }
}

/// `origin.proxy_header`: wanted by the origin, or sent by the node and not understood.
async fn proxied(ground: &Ground<'_>, view: Option<&View>) -> Option<Evidence> {
    let failed = view.is_none_or(|v| {
        matches!(v.kind, Kind::Closed | Kind::Reset | Kind::Garbage | Kind::NoTls | Kind::Status(400))
    });
    let quick = ground.ask.clone().within(Duration::from_millis(MORE_MS.0));
    let with = proxy_header::with_header(&quick);
    let case = ground.case;
    let plain = view.map_or_else(|| "no HTTP".to_owned(), View::text);
    if failed {
        let there = View::of(case, answer(case, &with).await);
        let passes = there.good || (there.status() != 0 && there.status() != 400);
        let text = format!("without: {plain}; after a PROXY header: {}", there.text());
        if !passes {
            return Some(fact("origin.proxy_header", "not_needed", text));
        }
        let again = View::of(case, answer(case, &quick).await);
        return (!again.good).then(|| fact("origin.proxy_header", "needed", text));
    }
    let quick_page = view.is_some_and(|v| v.good && v.wait_ms.is_none_or(|ms| ms < SLOW_MS_MIN));
    let node = ground.node.filter(|node| quick_page && (400..500).contains(&node.status()))?;
    let there = View::of(case, answer(case, &with).await);
    let text = format!(
        "without: {plain}; after a PROXY header: {}; through the node: {}",
        there.text(),
        node.text()
    );
    let value = if there.status() != 0 && there.same_page(node) { "as_node" } else { "not_needed" };
    Some(fact("origin.proxy_header", value, text))
}
