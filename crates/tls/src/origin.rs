//! TLS with the origin behind a node, asked directly: with the target's name, and without any.

use crate::ask::{TlsSeen, host, tls};
use crate::chain::{Fault, ParsedCertificate, covers};
use crate::context::{ANSWER_MS_MAX, Context};
use crate::exchange::Ending;
use crate::observe::Wish;
use netwhy_model::Case;
use std::net::SocketAddr;
use std::time::Duration;

/// TLS with an origin asked directly.
#[derive(Debug, Clone)]
pub struct OriginTls {
    /// A value of the fact `origin.tls`; empty when there was no TCP connection.
    pub value: &'static str,
    pub excerpt: String,
    /// A value of `origin.sni`: `fails_without` when only a hello with the name is served; empty when unknown.
    pub without_sni: &'static str,
    pub seen: TlsSeen,
}

/// Asks the origin with the target's name, and without.
pub async fn origin_tls(case: &Case, address: SocketAddr) -> OriginTls {
    let seen = tls(case, address).await;
    let excerpt = |line: String| format!("origin {address} for {}: {line}", host(case));
    let line = line_of(&seen);
    let Some(inner) = seen.inner.as_ref() else {
        return OriginTls { value: "", excerpt: excerpt(line), without_sni: "", seen };
    };
    let wanted = |evidence: &&netwhy_model::Evidence| evidence.fact == "tls.client_cert";
    let certificate = seen.evidence.iter().find(wanted).map(|e| e.value.as_str());
    let value = match (inner.outcome, inner.verdict.as_ref().and_then(|v| v.fault)) {
        _ if matches!(certificate, Some("required" | "rejected")) => "client_cert",
        ("plain", _) => "plain",
        ("ok", Some(Fault::NameMismatch)) => "name_mismatch",
        ("ok", Some(_)) => "chain_bad",
        ("ok", None) => "ok",
        _ => "fails",
    };
    let (without_sni, why) =
        if inner.outcome == "ok" { nameless(case, address, &seen).await } else { ("", String::new()) };
    let value = if value == "ok" && without_sni == "fails_without" { "sni_needed" } else { value };
    OriginTls { value, excerpt: excerpt(format!("{line}{why}")), without_sni, seen }
}

fn line_of(seen: &TlsSeen) -> String {
    let pick = |fact: &str| seen.evidence.iter().find(|e| e.fact == fact).map(|e| e.excerpt.clone());
    [pick("tls.handshake"), pick("tls.chain")].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What a node that sends no name gets: no handshake at all, or a certificate for somebody else.
async fn nameless(case: &Case, address: SocketAddr, seen: &TlsSeen) -> (&'static str, String) {
    let context = Context::new(case, address);
    if context.name().is_none() {
        return ("", String::new());
    }
    let wish = Wish { name: None, ..context.wish(Duration::from_millis(ANSWER_MS_MAX)) };
    for attempt in 0..2 {
        let bare = context.observe(&wish).await;
        if bare.complete {
            let leaf = bare.chain.first().and_then(|der| ParsedCertificate::parse(der));
            let ours = leaf.as_ref().is_some_and(|leaf| covers(leaf, &case.target.host));
            let was_ours =
                seen.inner.as_ref().and_then(|i| i.verdict.as_ref()).is_some_and(|v| v.covers_name);
            if ours || !was_ours {
                return ("indifferent", "; without SNI the same".to_owned());
            }
            let name = leaf.map_or_else(String::new, |leaf| leaf.subject.clone());
            return ("fails_without", format!("; without SNI the certificate is {name}"));
        }
        if matches!(bare.ending, Ending::NoConnect(_)) {
            return ("", String::new());
        }
        if attempt == 1 {
            let how = bare.alert.map_or(bare.ending.word().to_owned(), crate::suites::alert_name);
            return ("fails_without", format!("; without SNI: {how}, twice"));
        }
    }
    ("", String::new())
}
