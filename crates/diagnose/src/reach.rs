//! Whether the target was reached at all, read straight off the facts.

use netwhy_model::{Evidence, Reachability, Scheme};

/// Reads reachability off the evidence; later evidence of a fact supersedes earlier.
///
/// A target of names alone is reached when the name has its answer, wherever that came from.
pub fn reachability(scheme: Scheme, evidence: &[Evidence]) -> Reachability {
    let value = |fact: &str| {
        evidence
            .iter()
            .rev()
            .find(|e| e.leg.is_front() && e.fact == fact && e.speaks())
            .map(|e| e.value.as_str())
            .unwrap_or("")
    };
    match (value("dns.answer"), scheme) {
        ("ok", Scheme::Dns) => return Reachability::Reachable,
        ("", Scheme::Dns) => return Reachability::Undetermined,
        ("" | "ok", _) => {}
        _ => return Reachability::Unreachable,
    }
    let connect = match value("tcp.connect") {
        "open" => Reachability::Reachable,
        "intermittent" => return Reachability::Inconsistent,
        "" => match value("udp.answer") {
            "answered" => Reachability::Reachable,
            "" => Reachability::Undetermined,
            _ => Reachability::Unreachable,
        },
        _ => return Reachability::Unreachable,
    };
    let scattered = [
        ("tcp.series", &["random_fail", "some_refused", "first_then_none"][..]),
        ("tcp.source_port", &["decides"][..]),
        ("tcp.addresses", &["some_fail"][..]),
        (
            "http.repeat",
            &["some_fail", "some_refused", "some_reset", "limited", "throttled", "first_fails"][..],
        ),
        ("tls.backends", &["some_bad"][..]),
    ];
    if scattered.iter().any(|(fact, values)| values.contains(&value(fact))) {
        return Reachability::Inconsistent;
    }
    let dead =
        matches!(value("tls.handshake"), "alert" | "closed" | "reset" | "silent" | "stalled" | "plain")
            || matches!(
                value("http.exchange"),
                "timeout" | "reset" | "early_close" | "garbage" | "tls_on_plain"
            )
            || matches!(
                value("tcp.payload"),
                "reset" | "closed" | "unacked" | "closed_first" | "reset_first" | "zero_window"
            );
    if dead { Reachability::Unreachable } else { connect }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_model::{Link, Stamp};

    fn seen(fact: &str, value: &str) -> Evidence {
        Evidence::seen(fact, value, Link::Resolver, Stamp::default(), "test", "")
    }

    #[test]
    fn a_name_alone_is_reached_when_it_has_an_answer() {
        let found = [seen("dns.answer", "ok"), seen("dns.hosts", "only")];
        assert_eq!(reachability(Scheme::Dns, &found), Reachability::Reachable);
        assert_eq!(reachability(Scheme::Dns, &[seen("dns.answer", "nxdomain")]), Reachability::Unreachable);
        assert_eq!(reachability(Scheme::Dns, &[]), Reachability::Undetermined);
    }

    #[test]
    fn a_name_says_nothing_of_the_service_behind_it() {
        let found = [seen("dns.answer", "ok"), seen("dns.cname", "none")];
        assert_eq!(reachability(Scheme::Https, &found), Reachability::Undetermined);
    }
}
