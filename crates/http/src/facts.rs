//! Evidence in the catalogue's words: one place that knows the link of each fact.

use netwhy_model::{Evidence, Link, Stamp};
use std::time::SystemTime;

/// The link a fact of HTTP sits on, as declared in `catalogue/facts.toml`.
fn link_of(fact: &str) -> Link {
    match fact {
        "source.clock" => Link::SourceHost,
        "http.vary" | "http.cache" | "origin.content" => Link::Edge,
        "http.speed" | "http.idle" => Link::Path,
        "origin.tcp" | "origin.tls" | "origin.other_ports" | "origin.proxy_header" => Link::OriginHost,
        _ => Link::Service,
    }
}

fn collector_of(fact: &str) -> &'static str {
    if fact.starts_with("origin.") { "http.origin" } else { "http" }
}

/// A fact that was answered.
pub(crate) fn seen(fact: &str, value: &str, excerpt: impl Into<String>) -> Evidence {
    Evidence::seen(fact, value, link_of(fact), Stamp::from(SystemTime::now()), collector_of(fact), excerpt)
}

/// A fact that could not be asked.
pub(crate) fn unread(fact: &str, why: impl Into<String>) -> Evidence {
    Evidence::unread(fact, link_of(fact), Stamp::from(SystemTime::now()), collector_of(fact), why)
}
