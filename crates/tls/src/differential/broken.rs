//! What is asked of a server whose handshake fails: which change of the hello makes it work.

use super::{OTHER_NAME, UNRECOGNIZED_NAME, Work};
use crate::ask::DH_BITS_MIN;
use crate::context::{ANSWER_MS_MAX, Context};
use crate::exchange::{Ending, Exchange, Until};
use crate::hello::{Hello, Preface, SSL3, TLS10, TLS11, TLS12, TLS13};
use crate::suites::{GROUPS, SUITES_12, SUITES_13, group_name, suite};
use netwhy_model::Evidence;
use std::time::Duration;

impl Work<'_> {
    pub(super) async fn broken(&self) -> Vec<Evidence> {
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
        // In TLS 1.3 the refusal may come encrypted after the ServerHello, where only the real handshake reads it.
        if without.accepted() && (self.inner.alert == Some(120) || with.refused_alpn()) {
            return Some(self.seen("tls.alpn", "refuses", line));
        }
        (with.spoke_tls() && without.spoke_tls()).then(|| self.seen("tls.alpn", "indifferent", line))
    }

    /// What the name changes, when ours fails.
    async fn refused_names(
        &self,
        ours: &Exchange,
        nameless: &Exchange,
        other: &Exchange,
    ) -> Option<Evidence> {
        if matches!(ours.ending, Ending::NoConnect(_)) || self.inner.main.certificate_asked {
            return None;
        }
        let line = format!(
            "{}: {}; no name: {}; {OTHER_NAME}: {}",
            if self.context.name().is_some() { "our name" } else { "as the address asks (no name)" },
            ours.said(),
            nameless.said(),
            other.said()
        );
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
            return Some(self.seen(
                "tls.proxy_header",
                "not_needed",
                "TLS is spoken without a PROXY header".to_owned(),
            ));
        }
        let kinds = [(Preface::ProxyV1, "v1"), (Preface::ProxyV2, "v2")];
        let Some((at, _)) = headed.iter().enumerate().find(|(_, answer)| answer.spoke_tls()) else {
            // Ended with a header as without one; silence would prove nothing.
            let line = format!("with a PROXY v1 header: {}; v2: {}", headed[0].said(), headed[1].said());
            let ended = headed.iter().all(|answer| answer.reset_or_closed());
            return ended.then(|| self.seen("tls.proxy_header", "not_needed", line));
        };
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
        let late = self.inner.main.handshake > Duration::from_millis(ANSWER_MS_MAX);
        if late || matches!(self.inner.outcome, "silent" | "stalled") {
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
    let groups: Vec<u16> =
        GROUPS.iter().filter(|g| !g.name.starts_with("X25519MLKEM")).map(|g| g.code).collect();
    let all: Vec<u16> = SUITES_13.iter().chain(&SUITES_12).map(|s| s.code).collect();
    [
        Hello { groups: groups.clone(), ..Hello::wide(name) },
        Hello { groups: groups.clone(), ..Hello::limited(TLS12, name) },
        Hello { ciphers: all.clone(), ..Hello::wide(name) },
        Hello { ciphers: all, groups, ..Hello::wide(name) },
    ]
}
