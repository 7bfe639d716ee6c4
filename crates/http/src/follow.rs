//! The request with its redirects followed, as a browser would, and where they end.

use crate::Lookup;
use crate::ask::Ask;
use crate::dial::{Secure, family_allowed, on_port};
use crate::exchange::{End, answer};
use crate::report::Redirect;
use crate::view::View;
use netwhy_model::{Case, Host};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use url::Url;

/// Redirects followed, as browsers do.
pub const REDIRECT_COUNT_MAX: usize = 20;
/// The same place is visited so often before it counts as a loop.
const VISIT_COUNT_MAX: usize = 2;
/// Time for a whole chain of redirects, in milliseconds.
const CHAIN_MS_MAX: u64 = 8_000;
/// Cookies carried along a chain.
const COOKIE_COUNT_MAX: usize = 32;

/// Where the request ended after its redirects.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub view: View,
    /// The request whose answer `view` is.
    pub ask: Ask,
    pub redirects: Vec<Redirect>,
    /// A value of the fact `http.redirect`.
    pub outcome: &'static str,
    pub excerpt: String,
    /// The whole chain, in milliseconds.
    pub total_ms: f64,
}

/// Follows redirects to their end; a dead end gives the last redirect as the answer.
pub(crate) async fn follow(case: &Case, ask: Ask, lookup: &Lookup) -> Followed {
    let started = Instant::now();
    let mut chain = Chain { case, lookup, visited: Vec::new(), cookies: Vec::new(), redirects: Vec::new() };
    let mut ask = ask;
    let mut before: Option<(View, Ask)> = None;
    let (view, ask, outcome, excerpt) = loop {
        let view = View::of(case, answer(case, &ask).await);
        if let (Some((last, last_ask)), true) = (before.take(), unreachable(&view)) {
            let excerpt = format!("{} → {}: {}", chain.shown(), ask.url(), view.text());
            break (last, last_ask, "dead_host", excerpt);
        }
        let Some(to) = redirect_target(case, &ask, &view) else {
            let outcome = if chain.redirects.is_empty() { "none" } else { "ok" };
            break (view, ask, outcome, chain.shown());
        };
        chain.keep_cookies(&ask, &view);
        chain.note(&ask, &view, &to);
        if let Some(end) = chain.cycle(&ask, started) {
            break (view, ask, end, chain.shown());
        }
        match chain.ask_for(&ask, view.status(), &to).await {
            Ok(next) => {
                before = Some((view, ask));
                ask = next;
            }
            Err(name) => {
                let excerpt = format!("{}: {name} does not resolve", chain.shown());
                break (view, ask, "dead_name", excerpt);
            }
        }
    };
    let total_ms = started.elapsed().as_secs_f64() * 1_000.0;
    Followed { view, ask, redirects: chain.redirects, outcome, excerpt, total_ms }
}

/// No answer of any kind came from where the redirect leads.
fn unreachable(view: &View) -> bool {
    matches!(view.end, End::NoConnection(_) | End::Timeout)
}

/// Where this answer sends a client; nothing when it is final.
pub(crate) fn redirect_target(case: &Case, ask: &Ask, view: &View) -> Option<Url> {
    let redirect = matches!(view.status(), 301 | 302 | 303 | 307 | 308);
    let wanted = !case.expect.status.is_empty() && case.expect.accepts_status(view.status());
    if !redirect || wanted {
        return None;
    }
    let to = Url::parse(&ask.url()).ok()?.join(view.head.get("location")?).ok()?;
    (matches!(to.scheme(), "http" | "https") && to.host().is_some()).then_some(to)
}

/// A chain of redirects under way.
struct Chain<'a> {
    case: &'a Case,
    lookup: &'a Lookup,
    /// URL and cookies of each request that was answered by a redirect.
    visited: Vec<String>,
    /// Host, name and value.
    cookies: Vec<(String, String, String)>,
    redirects: Vec<Redirect>,
}

impl Chain<'_> {
    fn note(&mut self, ask: &Ask, view: &View, to: &Url) {
        self.visited.push(format!("{} {} {}", ask.method, ask.url(), ask.header("cookie").unwrap_or("")));
        self.redirects.push(Redirect { status: view.status(), from: ask.url(), to: to.to_string() });
    }

    /// A value of `http.redirect` when the chain goes round, or on and on.
    fn cycle(&self, ask: &Ask, started: Instant) -> Option<&'static str> {
        let last = self.visited.last()?;
        let visits: Vec<usize> = (0..self.visited.len()).filter(|i| self.visited[*i] == *last).collect();
        if visits.len() > VISIT_COUNT_MAX {
            let round = &self.redirects[visits[0]..];
            let host = |url: &str| Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned));
            let secure = |url: &str| url.starts_with("https:");
            let here = host(&ask.url());
            let same_place = round.iter().all(|r| host(&r.from) == here);
            let both = round.iter().any(|r| secure(&r.from)) && round.iter().any(|r| !secure(&r.from));
            return Some(if same_place && both { "scheme_loop" } else { "loop" });
        }
        let late = started.elapsed() > Duration::from_millis(CHAIN_MS_MAX);
        (self.redirects.len() >= REDIRECT_COUNT_MAX || late).then_some("too_many")
    }

    /// The request the redirect asks for, or the name that does not resolve.
    async fn ask_for(&self, ask: &Ask, status: u16, to: &Url) -> Result<Ask, String> {
        let Some(host) = to.host() else { return Ok(ask.clone()) };
        let host = match host {
            url::Host::Domain(name) => Host::Name(name.to_ascii_lowercase()),
            url::Host::Ipv4(address) => Host::Address(IpAddr::V4(address)),
            url::Host::Ipv6(address) => Host::Address(IpAddr::V6(address)),
        };
        let port = to.port_or_known_default().unwrap_or(80);
        let address = self.address_of(ask, &host, port).await.ok_or_else(|| host.to_string())?;
        let mut next = ask.clone();
        if status == 303 || (matches!(status, 301 | 302) && next.method == "POST") {
            next = next.into_get();
        }
        let shown = match to.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        if host_of(ask) != host_of_url(to) {
            next = next.without_header("authorization").without_header("cookie");
        }
        next = next.with_header("Host", &shown);
        next.secure = (to.scheme() == "https").then(|| Secure::named(&host));
        next.address = address;
        next.path = to[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        Ok(self.with_cookies(next, to))
    }

    async fn address_of(&self, ask: &Ask, host: &Host, port: u16) -> Option<SocketAddr> {
        if host_of(ask) == Some(host.to_string()) || *host == self.case.target.host {
            return Some(on_port(ask.address, port));
        }
        match host {
            Host::Address(address) => Some(SocketAddr::new(*address, port)),
            Host::Name(name) => {
                let found = (self.lookup)(name.clone()).await;
                let address = found.into_iter().find(|a| family_allowed(self.case, *a))?;
                Some(SocketAddr::new(address, port))
            }
        }
    }

    fn keep_cookies(&mut self, ask: &Ask, view: &View) {
        let host = host_of(ask).unwrap_or_default();
        for (_, line) in view.head.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case("set-cookie")) {
            let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            self.cookies.retain(|(h, n, _)| *h != host || *n != name);
            if self.cookies.len() < COOKIE_COUNT_MAX {
                self.cookies.push((host.clone(), name, value));
            }
        }
    }

    fn with_cookies(&self, ask: Ask, to: &Url) -> Ask {
        let host = host_of_url(to).unwrap_or_default();
        let ours: Vec<String> =
            self.cookies.iter().filter(|(h, ..)| *h == host).map(|(_, n, v)| format!("{n}={v}")).collect();
        if ours.is_empty() || self.case.header("cookie").is_some() {
            return ask;
        }
        ask.with_header("Cookie", &ours.join("; "))
    }

    fn shown(&self) -> String {
        let Some(last) = self.redirects.last() else { return "no redirect".to_owned() };
        let first = &self.redirects[0];
        let mut text =
            format!("{} redirects: {} {} → {}", self.redirects.len(), first.status, first.from, first.to);
        if self.redirects.len() > 1 {
            text.push_str(&format!(" … {} {} → {}", last.status, last.from, last.to));
        }
        text
    }
}

fn host_of(ask: &Ask) -> Option<String> {
    Url::parse(&ask.url()).ok().and_then(|url| host_of_url(&url))
}

fn host_of_url(url: &Url) -> Option<String> {
    url.host_str().map(str::to_owned)
}
