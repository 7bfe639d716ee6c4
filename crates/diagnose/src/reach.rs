//! Whether the target was reached at all, read straight off the facts.

use netwhy_model::{Evidence, Reachability};

/// Reads reachability off the evidence; later evidence of a fact supersedes earlier.
pub fn reachability(evidence: &[Evidence]) -> Reachability {
    let value = |fact: &str| {
        evidence.iter().rev().find(|e| e.fact == fact && e.speaks()).map(|e| e.value.as_str()).unwrap_or("")
    };
    if !matches!(value("dns.answer"), "" | "ok") {
        return Reachability::Unreachable;
    }
    let connect = match value("tcp.connect") {
        "open" => Reachability::Reachable,
        "intermittent" => return Reachability::Inconsistent,
        "" => match value("udp.answer") {
            "answered" => Reachability::Reachable,
            "" if value("dns.answer") == "ok" && value("dns.cname") != "" => Reachability::Reachable,
            "" => Reachability::Undetermined,
            _ => Reachability::Unreachable,
        },
        _ => return Reachability::Unreachable,
    };
    let scattered = [
        ("tcp.series", &["random_fail", "some_refused", "first_then_none"][..]),
        ("tcp.source_port", &["decides"][..]),
        ("tcp.addresses", &["some_fail"][..]),
        ("http.repeat", &["some_fail", "some_refused", "some_reset", "limited", "first_fails"][..]),
        ("tls.backends", &["some_bad"][..]),
    ];
    if scattered.iter().any(|(fact, values)| values.contains(&value(fact))) {
        return Reachability::Inconsistent;
    }
    let dead = matches!(value("tls.handshake"), "alert" | "closed" | "reset" | "silent" | "stalled" | "plain")
        || matches!(value("http.exchange"), "timeout" | "reset" | "early_close" | "garbage" | "tls_on_plain")
        || matches!(
            value("tcp.payload"),
            "reset" | "closed" | "unacked" | "closed_first" | "reset_first" | "zero_window"
        );
    if dead { Reachability::Unreachable } else { connect }
}
