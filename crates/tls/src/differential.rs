//! The question `tls.differential`: the same hello with one thing changed, to name what stands in the way.
//!
//! No broken value rests on one connection: each is asked again, one after another, before it is reported.

use crate::ask::{DH_BITS_MIN, Inner, TlsSeen};
use crate::chain::judge;
use crate::context::{ANSWER_MS_MAX, ANSWER_MS_MIN, Context};
use crate::exchange::{Ending, Exchange, Until};
use crate::hello::{Hello, Preface, SSL3, TLS10, TLS11, TLS12, TLS13};
use crate::observe::Observed;
use crate::suites::{GROUPS, SUITES_12, SUITES_13, alert_name, group_name, suite, suite_name, version_name};
use crate::trust::trust;
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
/// Connections, one after another, that confirm a back end which failed.
const BACKEND_AGAIN_COUNT: usize = 6;

/// Answers the question `tls.differential`; needs what `tls` saw.
pub async fn differential(case: &Case, address: SocketAddr, seen: &TlsSeen) -> Vec<Evidence> {
    let Some(inner) = seen.inner.as_ref() else { return Vec::new() };
    if inner.plain.is_some() {
        return Vec::new();
    }
    let at = Stamp::from(SystemTime::now());
    let work = Work { context: Context::new(case, address), inner, at, started: Instant::now() };
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
        self.show_many(&[name.map(str::to_owned)], wait, self.context.connections).await.pop().unwrap_or(Shown {
            ok: false,
            connected: false,
            chain: Vec::new(),
            said: "not asked".to_owned(),
        })
    }

    async fn show_many(&self, names: &[Option<String>], wait: Duration, at_once: usize) -> Vec<Shown> {
        let context = Context { connections: at_once, ..self.context.clone() };
        if self.inner.by_hand {
            let hello = |name: &Option<String>| {
                let mut hello = Hello::limited(TLS12, name.as_deref());
                hello.alpn = context.alpn();
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

    // ------------------------------------------------------------- a server that works

    async fn healthy(&self) -> Vec<Evidence> {
        let ours = self.context.name().map(str::to_owned);
        let mut names = vec![None, Some(OTHER_NAME.to_owned())];
        names.extend(std::iter::repeat_n(ours.clone(), BACKEND_COUNT));
        let name = ours.as_deref();
        let hellos = vec![
            (Hello::post_quantum(name), Until::Hello),
            (Hello::only(TLS13, name), Until::Hello),
            (Hello::only(TLS12, name), Until::Hello),
            (Hello::only(TLS11, name), Until::Hello),
            (Hello::only(TLS10, name), Until::Hello),
        ];
        let wait = self.patience();
        let answers = self.context.exchanges(hellos, wait).await;
        let mut shown = self.show_many(&names, wait, self.context.connections).await;
        let backends = shown.split_off(shown.len().min(2));
        let mut out = vec![
            self.seen("tls.proxy_header", "not_needed", "the handshake works without a PROXY header".to_owned()),
            self.seen("tls.alpn", "indifferent", "the handshake works with what was offered".to_owned()),
        ];
        if let [nameless, other] = shown.as_slice() {
            out.extend(self.names(nameless, other).await);
        }
        if let [large, versions @ ..] = answers.as_slice() {
            out.extend(self.size(large).await);
            out.extend(self.versions(versions));
        }
        out.push(self.seen("tls.ciphers", "shared", self.chosen()));
        out.extend(self.backends(backends).await);
        out
    }

    fn chosen(&self) -> String {
        let main = &self.inner.main;
        let by_hand = self.inner.wide.as_ref().and_then(|wide| wide.flight.hello.as_ref()).map(|h| h.cipher);
        let cipher = main.cipher.or(by_hand).map(suite_name).unwrap_or_default();
        format!("{cipher}, group {}", main.group.as_deref().unwrap_or("unknown"))
    }

    /// What the server makes of no name and of another one, when ours works.
    async fn names(&self, nameless: &Shown, other: &Shown) -> Vec<Evidence> {
        let mut out = Vec::new();
        let ours = self.inner.chain.first().map(Vec::as_slice);
        let covers = self.inner.verdict.as_ref().is_some_and(|verdict| verdict.covers_name);
        let said = format!(
            "with our name certificate {}; without SNI {}; for {OTHER_NAME} {}",
            ours.map_or("unseen".to_owned(), mark),
            nameless.said,
            other.said
        );
        if self.context.name().is_some() && nameless.connected {
            let failed = !nameless.ok && self.may_wait() && !self.show(None, self.patience()).await.ok;
            let differs = |shown: &Shown| shown.ok && shown.leaf() != ours;
            let value = match (failed, differs(nameless) || differs(other)) {
                (true, _) => "required",
                (false, true) => "selects",
                (false, false) => "indifferent",
            };
            out.push(self.seen("tls.sni", value, said.clone()));
        }
        if self.inner.verdict.is_some() && self.context.name().is_some() {
            let same = nameless.leaf() == ours && (other.leaf() == ours || !other.ok);
            let value = if !covers && same { "default" } else { "ours" };
            out.push(self.seen("tls.default_cert", value, said));
        }
        out
    }

    /// A browser's hello of two packets beside the small one that works.
    async fn size(&self, large: &Exchange) -> Option<Evidence> {
        let said = |answer: &Exchange| format!("hello of {} bytes → {}", answer.hello_bytes, answer.said());
        if large.spoke_tls() {
            return Some(self.seen("tls.size", "same", said(large)));
        }
        if !large.broken() || !self.may_wait() {
            return None;
        }
        let wait = self.patience().max(Duration::from_millis(ANSWER_MS_MAX));
        let name = self.context.name();
        let (small, large_hello) = (Hello::wide(name), Hello::post_quantum(name));
        let (small, again) = tokio::join!(
            self.context.exchange(&small, Until::Hello, wait),
            self.context.exchange(&large_hello, Until::Hello, wait)
        );
        let line = format!(
            "{}; again {}, unacknowledged {}, retransmitted {}; {}",
            said(large),
            again.said(),
            again.tcp.unacked,
            again.tcp.retransmitted,
            said(&small)
        );
        match (small.spoke_tls(), again.broken()) {
            (true, true) => Some(self.seen("tls.size", "large_fails", line)),
            (_, false) if again.spoke_tls() => Some(self.seen("tls.size", "same", line)),
            _ => None,
        }
    }

    /// `answers` in the order 1.3, 1.2, 1.1, 1.0 and perhaps SSL 3.
    fn versions(&self, answers: &[Exchange]) -> Option<Evidence> {
        let asked = [TLS13, TLS12, TLS11, TLS10, SSL3];
        let line: Vec<String> =
            asked.iter().zip(answers).map(|(version, a)| format!("{}: {}", version_name(*version), a.said())).collect();
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

    /// Whether every connection of ours meets the same chain.
    async fn backends(&self, shown: Vec<Shown>) -> Option<Evidence> {
        let mut failed = shown.iter().filter(|s| s.connected && !s.ok).count();
        let asked = shown.len();
        let mut all = shown;
        let mut again_count = 0;
        if failed > 0 {
            // Alone this time: a limit on connections at once is no bad back end. Silence costs a wait each.
            let again = self.one_by_one().await;
            failed = again.iter().filter(|s| s.connected && !s.ok).count();
            again_count = again.len();
            all.extend(again);
        }
        let served: Vec<&Shown> = all.iter().filter(|s| s.ok && s.leaf().is_some()).collect();
        let mut chains: Vec<&[Vec<u8>]> = served.iter().map(|s| s.chain.as_slice()).collect();
        if self.inner.outcome == "ok" && !self.inner.chain.is_empty() {
            chains.push(&self.inner.chain);
        }
        let mut leaves: Vec<(&[Vec<u8>], usize)> = Vec::new();
        for chain in &chains {
            match leaves.iter_mut().find(|(known, _)| known == chain) {
                Some((_, count)) => *count += 1,
                None => leaves.push((chain, 1)),
            }
        }
        let judged: Vec<(String, bool, usize)> = leaves.iter().map(|(chain, count)| self.verdict(chain, *count)).collect();
        let good = judged.iter().any(|(_, good, _)| *good);
        let bad = judged.iter().any(|(_, good, _)| !*good);
        let mut line: Vec<String> = judged.iter().map(|(said, _, count)| format!("{count} × {said}")).collect();
        if failed > 0 {
            let why = all.iter().find(|s| s.connected && !s.ok).map_or(String::new(), |s| s.said.clone());
            line.push(format!("{failed} of the last {again_count} failed ({why})"));
        }
        let value = match (good && bad, failed > 0 && failed < again_count, judged.len()) {
            (true, ..) | (_, true, _) => "some_bad",
            (_, _, 0) => return None,
            (_, _, 1) => "same",
            _ => "varies",
        };
        let line = format!("{} connections: {}", asked + 1, line.join("; "));
        Some(self.seen("tls.backends", value, line))
    }

    /// Handshakes one after another, as long as the budget allows.
    async fn one_by_one(&self) -> Vec<Shown> {
        let mut all = Vec::with_capacity(BACKEND_AGAIN_COUNT);
        while all.len() < BACKEND_AGAIN_COUNT && self.may_wait() {
            all.push(self.show(self.context.name(), self.patience()).await);
        }
        all
    }

    /// In a few words, whether the chain is good, and how often it came.
    fn verdict(&self, chain: &[Vec<u8>], count: usize) -> (String, bool, usize) {
        let leaf = chain.first().map_or("nothing".to_owned(), |der| mark(der));
        let case = &self.context.case;
        let Ok(trust) = trust(case) else { return (leaf, true, count) };
        let now = i64::try_from(self.at.millis() / 1_000).unwrap_or(i64::MAX);
        let verdict = judge(chain, &[], &trust, &case.target.host, now);
        match verdict.fault {
            None => (format!("{leaf} good"), true, count),
            Some(fault) => (format!("{leaf} {} ({})", fault.name(), verdict.notes.join(", ")), false, count),
        }
    }

    // ------------------------------------------------------------- a server that does not

    async fn broken(&self) -> Vec<Evidence> {
        let name = self.context.name();
        let mut hellos = vec![
            Hello::wide(name),
            Hello::wide(None),
            Hello::wide(Some(OTHER_NAME)),
            Hello { preface: Preface::ProxyV1, ..Hello::wide(name) },
            Hello { preface: Preface::ProxyV2, ..Hello::wide(name) },
            Hello { alpn: self.context.alpn(), ..Hello::wide(name) },
        ];
        hellos.extend([TLS13, TLS12, TLS11, TLS10, SSL3].map(|version| Hello::only(version, name)));
        hellos.extend(rare_hellos(name));
        let hellos = hellos.into_iter().map(|hello| (hello, Until::Flight)).collect();
        let context = Context { connections: 16, ..self.context.clone() };
        let answers = context.exchanges(hellos, self.patience()).await;
        let [ours, nameless, other, proxy1, proxy2, alpn, rest @ ..] = answers.as_slice() else {
            return Vec::new();
        };
        let (versions, rare) = rest.split_at(rest.len().min(5));
        let mut out = Vec::new();
        out.extend(self.versions(versions));
        out.extend(self.ciphers(ours, versions, rare));
        out.extend(self.alpn(ours, alpn));
        out.extend(self.refused_names(ours, nameless, other).await);
        out.extend(self.proxy(&[ours, nameless, other], [proxy1, proxy2]).await);
        if !self.inner.main.certificate_asked {
            out.extend(self.sometimes().await);
        }
        out
    }

    /// What the server would take that today's clients do not offer.
    fn ciphers(&self, ours: &Exchange, versions: &[Exchange], rare: &[Exchange]) -> Option<Evidence> {
        let wide = self.inner.wide.as_ref();
        if let Some(bits) = wide.and_then(|w| w.flight.dh_bits).filter(|bits| *bits < DH_BITS_MIN) {
            let line = format!("DHE with a prime of {bits} bits, today's clients want {DH_BITS_MIN}");
            return Some(self.seen("tls.ciphers", "none_shared_groups", line));
        }
        if ours.accepted() || self.inner.main.certificate_asked {
            return Some(self.seen("tls.ciphers", "shared", ours.said()));
        }
        // Only an objection to the hello itself leaves room for the question what it lacks.
        if !ours.spoke_tls() && !ours.reset_or_closed() {
            return None;
        }
        let taken = versions.iter().take(2).chain(rare).filter(|answer| answer.accepted());
        for answer in taken.filter(|answer| answer.version().is_some_and(|v| v >= TLS12)) {
            let Some(hello) = &answer.flight.hello else { continue };
            let group = hello.group.or(answer.flight.curve);
            let odd_group = group.filter(|code| !GROUPS.iter().any(|g| g.code == *code && g.common));
            let line = format!("ours: {}; {} is taken", ours.said(), answer.said());
            if suite(hello.cipher).is_none_or(|suite| !suite.common) {
                return Some(self.seen("tls.ciphers", "none_shared", line));
            }
            if let Some(code) = odd_group {
                let line = format!("{line} with group {}", group_name(code));
                return Some(self.seen("tls.ciphers", "none_shared_groups", line));
            }
        }
        None
    }

    fn alpn(&self, without: &Exchange, with: &Exchange) -> Option<Evidence> {
        if self.context.alpn().is_empty() {
            return None;
        }
        let line = format!("with ALPN h2, http/1.1: {}; without: {}", with.said(), without.said());
        if without.accepted() && !with.accepted() && (self.inner.alert == Some(120) || with.refused_alpn()) {
            return Some(self.seen("tls.alpn", "refuses", line));
        }
        (with.spoke_tls() && without.spoke_tls()).then(|| self.seen("tls.alpn", "indifferent", line))
    }

    /// What the name changes, when ours fails.
    async fn refused_names(&self, ours: &Exchange, nameless: &Exchange, other: &Exchange) -> Option<Evidence> {
        if matches!(ours.ending, Ending::NoConnect(_)) || self.inner.main.certificate_asked {
            return None;
        }
        let line = format!("our name: {}; no name: {}; {OTHER_NAME}: {}", ours.said(), nameless.said(), other.said());
        if self.context.name().is_none() {
            let about_name = self.inner.alert == Some(UNRECOGNIZED_NAME);
            let required = !ours.accepted() && (other.accepted() || about_name);
            return required.then(|| self.seen("tls.sni", "required", line));
        }
        // Ours has failed three times by now: in the handshake, in the second hello, and here.
        let earlier = self.inner.wide.as_ref().is_none_or(Exchange::broken);
        let unspoken = ours.broken() && earlier && self.inner.alert.is_none();
        if unspoken && (nameless.spoke_tls() || other.spoke_tls()) {
            let elsewhere = if nameless.spoke_tls() { None } else { Some(OTHER_NAME) };
            let control = self.context.exchange(&Hello::wide(elsewhere), Until::Hello, self.patience()).await;
            if !control.spoke_tls() {
                return None;
            }
            let value = if ours.reset_or_closed() { "name_reset" } else { "name_dropped" };
            let line = format!("{line}; {} again: {}", elsewhere.unwrap_or("no name"), control.said());
            return Some(self.seen("tls.sni", value, line));
        }
        let about_name = self.inner.alert == Some(UNRECOGNIZED_NAME);
        if ours.spoke_tls() && !ours.accepted() && (nameless.accepted() || other.accepted() || about_name) {
            return Some(self.seen("tls.sni", "name_refused", line));
        }
        let same = ours.accepted() == nameless.accepted() && ours.spoke_tls() == nameless.spoke_tls();
        (same && ours.spoke_tls()).then(|| self.seen("tls.sni", "indifferent", line))
    }

    async fn proxy(&self, bare: &[&Exchange], headed: [&Exchange; 2]) -> Option<Evidence> {
        if bare.iter().any(|answer| answer.spoke_tls()) {
            return Some(self.seen("tls.proxy_header", "not_needed", "TLS is spoken without a PROXY header".to_owned()));
        }
        let kinds = [(Preface::ProxyV1, "v1"), (Preface::ProxyV2, "v2")];
        let (at, _) = headed.iter().enumerate().find(|(_, answer)| answer.spoke_tls())?;
        let (preface, kind) = kinds[at];
        let name = self.context.name();
        let wait = self.patience().max(Duration::from_millis(ANSWER_MS_MAX));
        let again = self.context.exchange(&Hello { preface, ..Hello::wide(name) }, Until::Hello, wait).await;
        let control = self.context.exchange(&Hello::wide(name), Until::Hello, wait).await;
        let line = format!(
            "bare hello: {}, again {}; after a PROXY {kind} header: {}, again {}",
            bare.first().map_or(String::new(), |answer| answer.said()),
            control.said(),
            headed[at].said(),
            again.said()
        );
        (again.spoke_tls() && control.broken()).then(|| self.seen("tls.proxy_header", "needed", line))
    }

    /// Whether the failure is one back end's among several.
    async fn sometimes(&self) -> Option<Evidence> {
        if matches!(self.inner.outcome, "silent" | "stalled") {
            return None;
        }
        let shown = self.one_by_one().await;
        let well = shown.iter().filter(|s| s.ok).count();
        let failed = shown.iter().filter(|s| s.connected && !s.ok).count();
        let said = shown.iter().find(|s| s.connected && !s.ok).map_or(String::new(), |s| s.said.clone());
        let line = format!("{well} of {} handshakes went through, {failed} failed ({said})", shown.len());
        (well > 0 && failed > 0).then(|| self.seen("tls.backends", "some_bad", line))
    }
}

/// Hellos with everything a server could still insist on: odd suites, odd groups, both.
fn rare_hellos(name: Option<&str>) -> [Hello; 4] {
    let groups: Vec<u16> = GROUPS.iter().filter(|g| !g.name.starts_with("X25519MLKEM")).map(|g| g.code).collect();
    let all: Vec<u16> = SUITES_13.iter().chain(&SUITES_12).map(|s| s.code).collect();
    [
        Hello { groups: groups.clone(), ..Hello::wide(name) },
        Hello { groups: groups.clone(), ..Hello::limited(TLS12, name) },
        Hello { ciphers: all.clone(), ..Hello::wide(name) },
        Hello { ciphers: all, groups, ..Hello::wide(name) },
    ]
}

/// The start of a certificate's SHA-256, to tell certificates apart in a line.
fn mark(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
