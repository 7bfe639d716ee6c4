//! Turns what a handshake showed into evidence.

use crate::ask::{Inner, host, is_slow};
use crate::chain::ChainVerdict;
use crate::context::Context;
use crate::dial::millis;
use crate::exchange::Ending;
use crate::suites::{alert_name, alert_value, suite_name, version_name};
use netwhy_model::{Evidence, Link, Stamp};

/// The collector's name in the evidence of `tls`.
const COLLECTOR: &str = "tls";

/// A fact that could not be asked.
pub(crate) fn unread(fact: &str, at: Stamp, why: impl Into<String>) -> Evidence {
    Evidence::unread(fact, Link::Service, at, COLLECTOR, why)
}

/// All facts of the question `tls`.
pub(crate) fn of_handshake(context: &Context, inner: &Inner, at: Stamp) -> Vec<Evidence> {
    let seen = |fact: &str, value: &str, excerpt: String| {
        Evidence::seen(fact, value, Link::Service, at, COLLECTOR, excerpt)
    };
    let mut out = Vec::new();
    let handshake = seen("tls.handshake", inner.outcome, handshake_line(context, inner));
    let (sent, name) = match context.name() {
        Some(name) => ("yes", name.to_owned()),
        None => ("no", format!("{} is an address", context.address.ip())),
    };
    out.push(seen("tls.name_sent", sent, name));
    let unanswered = inner.outcome == "silent";
    out.push(if unanswered { handshake.unanswered() } else { handshake });
    if !unanswered && inner.outcome != "stalled" {
        let (value, line) = match inner.alert {
            Some(code) => (alert_value(code), format!("{} ({code})", alert_name(code))),
            None => ("none", "no fatal alert".to_owned()),
        };
        out.push(seen("tls.alert", value, line));
    }
    out.extend(plain(inner).map(|(value, line)| seen("tls.plain", value, line)));
    out.extend(client_certificate(context, inner).map(|(value, line)| seen("tls.client_cert", value, line)));
    if let Some((value, line)) = &inner.limit {
        out.push(seen("tls.client_limit", value, line.clone()));
    }
    if inner.main.complete {
        let main = &inner.main;
        let line =
            format!("handshake {:.1} ms, TCP connect {:.1} ms", millis(main.handshake), millis(main.connect));
        out.push(seen("tls.time", if is_slow(main, inner.wide.as_ref()) { "slow" } else { "fast" }, line));
    }
    if let Some(verdict) = &inner.verdict {
        out.extend(chain(context, inner, verdict, at));
    } else if let Some(why) = &inner.trust_error {
        out.push(unread("tls.chain", at, why.clone()));
    }
    out
}

fn chain(context: &Context, inner: &Inner, verdict: &ChainVerdict, at: Stamp) -> Vec<Evidence> {
    let seen = |fact: &str, value: &str, excerpt: String| {
        Evidence::seen(fact, value, Link::Service, at, COLLECTOR, excerpt)
    };
    let value = verdict.fault.map_or("ok", |fault| fault.name());
    let validators: Vec<String> = verdict
        .validators
        .iter()
        .map(|v| {
            if v.accepts {
                format!("{} accepts", v.validator)
            } else {
                format!("{} refuses: {}", v.validator, v.why)
            }
        })
        .collect();
    let order = if verdict.ordered { "ordered" } else { "disordered" };
    let agree = if verdict.agree() { "agree" } else { "differ" };
    let mut out = vec![
        seen("tls.chain", value, chain_line(context, inner, verdict, at)),
        seen("tls.validators", agree, validators.join("; ")),
        seen("tls.chain_order", order, format!("{} sent, path {}", verdict.certificates.len(), verdict.path)),
    ];
    if !inner.by_hand || verdict.staple != "missing_but_required" {
        out.push(seen("tls.staple", verdict.staple, verdict.staple_note.clone()));
    }
    out
}

/// The proof of the verdict: what is wrong first, then the leaf and its dates beside our clock.
fn chain_line(context: &Context, inner: &Inner, verdict: &ChainVerdict, at: Stamp) -> String {
    let mut parts = verdict.notes.clone();
    if let Some(leaf) = verdict.certificates.first() {
        let mut names = leaf.names.clone();
        names.truncate(5);
        parts.push(format!("leaf {} [{}] from {}", leaf.subject, names.join(", "), leaf.issuer));
        parts.push(format!("valid {} to {}, now {at}", leaf.not_before, leaf.not_after));
        parts.push(format!("{} {}", leaf.key, leaf.signature));
    }
    parts.push(format!("{} sent for {}: {}", inner.chain.len(), host(&context.case), verdict.path));
    parts.join("; ")
}

fn handshake_line(context: &Context, inner: &Inner) -> String {
    let main = &inner.main;
    let name = context.name().map_or("no SNI".to_owned(), |name| format!("SNI {name}"));
    let head = format!("hello to {} ({name}) → ", context.address);
    let after = format!("after {:.1} ms", millis(main.handshake));
    if inner.outcome == "ok" && main.complete {
        let version = main.version.map(version_name).unwrap_or_default();
        let suite = main.cipher.map(suite_name).unwrap_or_default();
        let alpn =
            main.alpn.as_ref().map_or("none".into(), |alpn| String::from_utf8_lossy(alpn).into_owned());
        return format!("{head}{version} {suite}, ALPN {alpn}, {} certificates, {after}", main.chain.len());
    }
    let wide = inner.wide.as_ref().map_or(String::new(), |wide| {
        format!(
            "; second hello of {} bytes → {}, {} bytes came",
            wide.hello_bytes,
            wide.said(),
            wide.answer_bytes
        )
    });
    let plain =
        inner.plain.as_ref().map_or(String::new(), |(kind, line)| format!("; plain {}: {line}", kind.name()));
    let first = match (main.alert.or(inner.alert), &main.objection) {
        (Some(code), _) => format!("alert {} {after}", alert_name(code)),
        _ if inner.outcome == "plain" => format!("not TLS {after}"),
        (None, Some(objection)) => format!("{objection} {after}"),
        (None, None) => format!("{} {after}, {} bytes came", main.ending.word(), main.answer_bytes),
    };
    let tcp = if matches!(main.ending, Ending::Silent | Ending::Stalled) {
        let hole = if main.tcp.has_hole() {
            ", a later part of the answer came, an earlier one did not"
        } else {
            ""
        };
        format!(", unacknowledged {}, retransmitted {}{hole}", main.tcp.unacked, main.tcp.retransmitted)
    } else {
        String::new()
    };
    let awake =
        inner.awake.as_ref().map_or(String::new(), |said| format!("; a hello to be refused, twice: {said}"));
    format!("{head}{first}{tcp}{wide}{awake}{plain}")
}

fn plain(inner: &Inner) -> Option<(&'static str, String)> {
    if let Some((kind, line)) = &inner.plain {
        return Some((kind.name(), line.clone()));
    }
    let spoke = inner.main.flight.is_tls() || inner.wide.as_ref().is_some_and(|wide| wide.spoke_tls());
    spoke.then(|| ("tls", format!("{} TLS records", inner.main.flight.records.max(1))))
}

fn client_certificate(context: &Context, inner: &Inner) -> Option<(&'static str, String)> {
    let main = &inner.main;
    let asked = main.certificate_asked || inner.wide.as_ref().is_some_and(|w| w.flight.certificate_request);
    if !asked {
        let whole = inner.by_hand && inner.wide.as_ref().is_some_and(|w| !w.flight.chain.is_empty());
        return (main.complete || whole).then(|| ("not_asked", "no CertificateRequest".to_owned()));
    }
    let refused = if context.identity.is_some() { "rejected" } else { "required" };
    if let Some(code) = inner.alert {
        return Some((refused, format!("CertificateRequest, then alert {}", alert_name(code))));
    }
    if inner.certificate_page {
        return Some((
            refused,
            "CertificateRequest, then an HTTP error page about the certificate".to_owned(),
        ));
    }
    match main.ending {
        Ending::Closed | Ending::Reset => {
            Some((refused, format!("CertificateRequest, then {} without alert", main.ending.word())))
        }
        _ if inner.outcome == "ok" => Some(("optional", "CertificateRequest, served without".to_owned())),
        _ => None,
    }
}
