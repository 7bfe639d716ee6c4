//! What is asked of a server whose handshake works: names, size, versions, back ends.

use super::{BACKEND_COUNT, OTHER_NAME, Shown, Work, mark};
use crate::chain::judge;
use crate::context::{ANSWER_MS_MAX, Context};
use crate::exchange::{Ending, Exchange, Until};
use crate::hello::{Hello, TLS10, TLS11, TLS12, TLS13};
use crate::observe::Wish;
use crate::suites::suite_name;
use crate::trust::trust;
use netwhy_model::Evidence;
use std::time::Duration;

/// What several connections showed beside each other.
struct Compared {
    evidence: Evidence,
    /// The chain that fails, when others are good.
    bad_chain: Option<Vec<Vec<u8>>>,
}

impl Work<'_> {
    pub(super) async fn healthy(&self) -> Vec<Evidence> {
        let ours = self.context.name().map(str::to_owned);
        let mut names = vec![None, Some(OTHER_NAME.to_owned())];
        names.extend(std::iter::repeat_n(ours.clone(), BACKEND_COUNT));
        let name = ours.as_deref();
        let hellos = vec![
            (self.large_hello(), Until::Hello),
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
            self.seen(
                "tls.proxy_header",
                "not_needed",
                "the handshake works without a PROXY header".to_owned(),
            ),
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
        let here = self.backends(backends).await;
        let here_bad = here.as_ref().is_some_and(|found| found.evidence.value == "some_bad");
        // Another address sets itself apart only from one that is well.
        let well = self.inner.verdict.as_ref().is_some_and(|verdict| verdict.fault.is_none());
        let there = if here_bad || !well { None } else { self.elsewhere().await };
        if let Some(found) = there.or(here) {
            out.extend(self.bad_chain(&found));
            out.push(found.evidence);
        }
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

    /// The hello of a browser with post-quantum key exchange, offering the protocols that are known to work.
    fn large_hello(&self) -> Hello {
        Hello { alpn: self.context.alpn(), ..Hello::post_quantum(self.context.name()) }
    }

    /// A browser's hello of two packets beside the small one that works.
    async fn size(&self, large: &Exchange) -> Option<Evidence> {
        let said = |answer: &Exchange| format!("hello of {} bytes → {}", answer.hello_bytes, answer.said());
        if large.accepted() {
            return Some(self.seen("tls.size", "same", said(large)));
        }
        if matches!(large.ending, Ending::NoConnect(_)) || !self.may_wait() {
            return None;
        }
        let wait = self.patience().max(Duration::from_millis(ANSWER_MS_MAX));
        let small = Hello { alpn: self.context.alpn(), ..Hello::wide(self.context.name()) };
        let large_hello = self.large_hello();
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
        if again.accepted() {
            return Some(self.seen("tls.size", "same", line));
        }
        let failed = small.accepted() && !matches!(again.ending, Ending::NoConnect(_));
        failed.then(|| self.seen("tls.size", "large_fails", line))
    }

    /// Whether every connection of ours meets the same chain.
    async fn backends(&self, shown: Vec<Shown>) -> Option<Compared> {
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
        let judged: Vec<(String, bool, usize)> =
            leaves.iter().map(|(chain, count)| self.verdict(chain, *count)).collect();
        let good = judged.iter().any(|(_, good, _)| *good);
        let bad = judged.iter().any(|(_, good, _)| !*good);
        let mut line: Vec<String> =
            judged.iter().map(|(said, _, count)| format!("{count} × {said}")).collect();
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
        let first_bad = judged.iter().zip(&leaves).find(|((_, good, _), _)| !good);
        let bad_chain = first_bad.filter(|_| good).map(|(_, (chain, _))| chain.to_vec());
        Some(Compared { evidence: self.seen("tls.backends", value, line), bad_chain })
    }

    /// The other addresses of the name, each asked once; one that fails, again.
    async fn elsewhere(&self) -> Option<Compared> {
        let here_good = self.inner.verdict.as_ref().is_none_or(|verdict| verdict.fault.is_none());
        let mut wish = self.context.wish(self.patience());
        wish.settle = false;
        for address in &self.others {
            let there = Context { address: *address, ..self.context.clone() };
            let mut seen = self.show_at(&there, &wish).await;
            if seen.connected && !seen.ok && self.may_wait() {
                seen = self.show_at(&there, &wish).await;
            }
            if !seen.connected {
                continue;
            }
            let (said, good, _) = self.verdict(&seen.chain, 1);
            let said = if seen.ok { said } else { seen.said };
            if (seen.ok && good) != here_good {
                let word = if here_good { "well" } else { "bad" };
                let line = format!("{} {word}, {address}: {said}", self.context.address);
                let bad_chain = (seen.ok && !good).then_some(seen.chain);
                return Some(Compared { evidence: self.seen("tls.backends", "some_bad", line), bad_chain });
            }
        }
        None
    }

    /// Another address with the very hello that worked here.
    async fn show_at(&self, there: &Context, wish: &Wish) -> Shown {
        if self.inner.by_hand {
            let hello = Hello { alpn: there.alpn(), ..Hello::wide(there.name()) };
            return Shown::of_exchange(there.exchange(&hello, Until::Flight, self.patience()).await);
        }
        Shown::of_observed(there.observe(wish).await)
    }

    /// What is wrong with the chain that only some connections get; it counts instead of the good one.
    fn bad_chain(&self, found: &Compared) -> Option<Evidence> {
        // When ours is the bad one, it is judged already.
        if self.inner.verdict.as_ref().is_none_or(|verdict| verdict.fault.is_some()) {
            return None;
        }
        let trust = trust(&self.context.case).ok()?;
        let now = i64::try_from(self.at.millis() / 1_000).unwrap_or(i64::MAX);
        let chain = found.bad_chain.as_ref()?;
        let fault = judge(chain, &[], &trust, &self.context.case.target.host, now).fault?;
        Some(self.seen("tls.chain", fault.name(), found.evidence.excerpt.clone()))
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
}
