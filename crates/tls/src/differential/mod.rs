//! The question `tls.differential`: the same hello with one thing changed, to name what stands in the way.
//!
//! No broken value rests on one connection: each is asked again, one after another, before it is reported.

mod broken;
mod healthy;

use crate::ask::{Inner, TlsSeen};
use crate::context::{ANSWER_MS_MAX, ANSWER_MS_MIN, Context};
use crate::exchange::{Ending, Exchange, Until};
use crate::hello::{Hello, SSL3, TLS10, TLS11, TLS12, TLS13};
use crate::observe::Observed;
use crate::suites::{alert_name, version_name};
use netwhy_model::{Case, Evidence, Link, Stamp};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

/// The collector's name in the evidence.
const COLLECTOR: &str = "tls.differential";
/// A name no server has a certificate for (RFC 6761 section 6.4).
pub(crate) const OTHER_NAME: &str = "netwhy-probe.invalid";
/// The alert about an unknown name (RFC 6066 section 3).
const UNRECOGNIZED_NAME: u8 = 112;
/// Longest wait for one answer, when the server is known to be slow.
const PATIENCE_MAX: Duration = Duration::from_millis(2_600);
/// No further wait is begun that would end after this.
const BUDGET_MAX: Duration = Duration::from_millis(4_500);
/// Connections that compare the back ends, besides the first.
const BACKEND_COUNT: usize = 8;
/// Further addresses of the name that are asked.
const OTHERS_COUNT_MAX: usize = 7;
/// Connections, one after another, that confirm a back end which failed.
const BACKEND_AGAIN_COUNT: usize = 6;

/// Answers the question `tls.differential`; needs what `tls` saw, and compares the name's other addresses.
pub async fn differential(
    case: &Case,
    address: SocketAddr,
    others: &[SocketAddr],
    seen: &TlsSeen,
) -> Vec<Evidence> {
    let Some(inner) = seen.inner.as_ref() else { return Vec::new() };
    if inner.plain.is_some() {
        return Vec::new();
    }
    let at = Stamp::from(SystemTime::now());
    let others = others.iter().filter(|other| **other != address).take(OTHERS_COUNT_MAX).copied().collect();
    let work = Work { context: Context::new(case, address), others, inner, at, started: Instant::now() };
    if seen.usable { work.healthy().await } else { work.broken().await }
}

/// What one connection showed, by our library or by hand.
struct Shown {
    ok: bool,
    connected: bool,
    chain: Vec<Vec<u8>>,
    said: String,
}

impl Shown {
    fn of_observed(seen: Observed) -> Shown {
        let said = match (seen.alert, seen.chain.first()) {
            (Some(code), _) => format!("alert {}", alert_name(code)),
            (None, Some(der)) => format!("certificate {}", mark(der)),
            (None, None) => seen.ending.word().to_owned(),
        };
        Shown {
            ok: seen.complete,
            connected: !matches!(seen.ending, Ending::NoConnect(_)),
            chain: seen.chain,
            said,
        }
    }

    fn of_exchange(seen: Exchange) -> Shown {
        Shown {
            ok: seen.accepted() && (seen.flight.done || seen.flight.hello.as_ref().is_some_and(|h| h.retry)),
            connected: !matches!(seen.ending, Ending::NoConnect(_)),
            said: seen.said(),
            chain: seen.flight.chain,
        }
    }

    fn leaf(&self) -> Option<&[u8]> {
        self.chain.first().map(Vec::as_slice)
    }
}

struct Work<'a> {
    context: Context,
    /// Further addresses of the name.
    others: Vec<SocketAddr>,
    inner: &'a Inner,
    at: Stamp,
    started: Instant,
}

impl Work<'_> {
    fn seen(&self, fact: &str, value: &str, excerpt: String) -> Evidence {
        let link = if fact == "tls.size" { Link::Path } else { Link::Service };
        Evidence::seen(fact, value, link, self.at, COLLECTOR, excerpt)
    }

    /// The pause after which a server known to answer is called silent; measured, not guessed.
    fn patience(&self) -> Duration {
        let main = &self.inner.main;
        let quiet = matches!(main.ending, Ending::Silent | Ending::Stalled);
        // After seconds of silence a hello that the server likes is answered within the round trip.
        if main.ending == Ending::Silent && !main.tcp.is_unheard() {
            let least = Duration::from_millis(ANSWER_MS_MIN);
            return (least + 20 * main.connect).min(Duration::from_millis(ANSWER_MS_MAX));
        }
        if !main.complete && (quiet || main.handshake > Duration::from_millis(ANSWER_MS_MAX)) {
            return Duration::from_millis(ANSWER_MS_MAX);
        }
        // A slow server gets more, up to a limit; a quick one is not waited for as long.
        let most = Duration::from_millis(ANSWER_MS_MAX).max(2 * main.handshake).min(PATIENCE_MAX);
        (10 * main.handshake + Duration::from_millis(300)).clamp(Duration::from_millis(ANSWER_MS_MIN), most)
    }

    /// Whether there is time for another wait.
    fn may_wait(&self) -> bool {
        self.started.elapsed() + self.patience() < BUDGET_MAX
    }

    async fn show(&self, name: Option<&str>, wait: Duration) -> Shown {
        self.show_many(&[name.map(str::to_owned)], wait, self.context.connections)
            .await
            .pop()
            .unwrap_or(Shown { ok: false, connected: false, chain: Vec::new(), said: "not asked".to_owned() })
    }

    async fn show_many(&self, names: &[Option<String>], wait: Duration, at_once: usize) -> Vec<Shown> {
        let context = Context { connections: at_once, ..self.context.clone() };
        if self.inner.by_hand {
            let hello = |name: &Option<String>| {
                let hello = Hello { alpn: context.alpn(), ..Hello::wide(name.as_deref()) };
                (hello, Until::Flight)
            };
            let answers = context.exchanges(names.iter().map(hello).collect(), wait).await;
            return answers.into_iter().map(Shown::of_exchange).collect();
        }
        let mut wish = context.wish(wait);
        wish.settle = false;
        let wishes = names.iter().map(|name| crate::observe::Wish { name: name.clone(), ..wish.clone() });
        context.observations(wishes.collect()).await.into_iter().map(Shown::of_observed).collect()
    }

    /// `answers` in the order 1.3, 1.2, 1.1, 1.0 and perhaps SSL 3.
    fn versions(&self, answers: &[Exchange]) -> Option<Evidence> {
        let asked = [TLS13, TLS12, TLS11, TLS10, SSL3];
        let line: Vec<String> = asked
            .iter()
            .zip(answers)
            .map(|(version, a)| format!("{}: {}", version_name(*version), a.said()))
            .collect();
        let known = |at: usize| answers.get(at).is_some_and(|a| a.spoke_tls() || a.reset_or_closed());
        let serves = |at: usize| answers.get(at).is_some_and(|a| a.version() == Some(asked[at]));
        if !known(0) || !known(1) {
            return None;
        }
        let old = (2..answers.len()).any(serves);
        let value = match (serves(0), serves(1), old) {
            (true, true, _) => "modern",
            (true, false, _) => "only_13",
            (false, true, _) => "only_12",
            (false, false, true) => "only_old",
            // An alert about the name says nothing about versions.
            (false, false, false) if self.inner.alert == Some(UNRECOGNIZED_NAME) => return None,
            (false, false, false) if answers.iter().all(Exchange::spoke_tls) => "none",
            (false, false, false) => return None,
        };
        Some(self.seen("tls.versions", value, line.join("; ")))
    }

    /// Handshakes one after another, as long as the budget allows.
    async fn one_by_one(&self) -> Vec<Shown> {
        let mut all = Vec::with_capacity(BACKEND_AGAIN_COUNT);
        while all.len() < BACKEND_AGAIN_COUNT && self.may_wait() {
            all.push(self.show(self.context.name(), self.patience()).await);
        }
        all
    }
}

/// The start of a certificate's SHA-256, to tell certificates apart in a line.
fn mark(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
