//! What a service that speaks first says.

use super::exchange::{Exchange, Met};
use super::speak::Kind;
use super::{Asker, COLLECTOR};
use netwhy_model::{Evidence, Link};

/// Words of services that are full.
const FULL: [&str; 6] = [
    "exceeded maxstartups",
    "too many",
    "maximum number of",
    "max connections",
    "connection limit",
    "connections exceeded",
];
/// Words of services that do not want this client.
const REFUSING: [&str; 8] = [
    "not allowed",
    "denied",
    "refused",
    "rejected",
    "blocked",
    "not permitted",
    "service not available",
    "administratively",
];
/// Most characters of a greeting shown.
const SHOWN_CHARS_MAX: usize = 120;

/// True when a greeting is one of refusal, so that a second look is worth its time.
pub(super) fn suspicious(exchange: &Exchange) -> bool {
    let text = String::from_utf8_lossy(&exchange.answer).to_ascii_lowercase();
    FULL.iter().chain(&REFUSING).any(|word| text.contains(word))
}

/// Judges the greeting of a service that speaks first, or of any whose greeting the user expects.
pub(super) fn banner(asker: &Asker<'_>, first: &Exchange, second: Option<&Exchange>) -> Option<Evidence> {
    if asker.kind != Kind::Greeting {
        return None;
    }
    let spoke = [Some(first), second].into_iter().flatten().find(|e| !e.answer.is_empty());
    let Some(exchange) = spoke else {
        let text =
            format!("no greeting from {}: {:?} after {:.0} ms", asker.address, first.met, first.took_ms);
        let value = if asker.case.expect.banner.is_some() { "missing" } else { "none" };
        return Some(
            Evidence::seen("tcp.banner", value, Link::Service, asker.at, COLLECTOR, text).unanswered(),
        );
    };
    let text = String::from_utf8_lossy(&exchange.answer);
    let lower = text.to_ascii_lowercase();
    let value = if FULL.iter().any(|word| lower.contains(word)) {
        "too_many"
    } else if REFUSING.iter().any(|word| lower.contains(word)) {
        "refuses"
    } else {
        match &asker.case.expect.banner {
            Some(wanted) if !text.trim_start().starts_with(wanted.as_str()) => "other",
            None if exchange.met != Met::Answered => return None,
            _ => "expected",
        }
    };
    let shown: String = text.trim().chars().take(SHOWN_CHARS_MAX).collect();
    Some(Evidence::seen(
        "tcp.banner",
        value,
        Link::Service,
        asker.at,
        COLLECTOR,
        format!("greeting {shown:?}"),
    ))
}
