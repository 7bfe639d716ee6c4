//! IPv4 beside IPv6.

use super::record::{AddressResult, ConnectOutcome};
use netwhy_model::{Evidence, Link, Stamp};

/// Compares the families; a name with addresses of one family only gives `one`.
pub(super) fn families(results: &[AddressResult], at: Stamp) -> Option<Evidence> {
    let best = |v6: bool| {
        results.iter().filter(|r| r.address.is_ipv6() == v6).min_by_key(|r| match r.outcome {
            ConnectOutcome::Open => 0,
            ConnectOutcome::Intermittent => 1,
            ConnectOutcome::Local(_) => 3,
            _ => 2,
        })
    };
    let fact = |value, text: String| {
        Some(Evidence::seen("tcp.families", value, Link::Path, at, "tcp.connect", text))
    };
    let (Some(v4), Some(v6)) = (best(false), best(true)) else {
        let family = if results.first()?.address.is_ipv6() { "IPv6" } else { "IPv4" };
        return fact("one", format!("addresses of {family} only"));
    };
    let works = |r: &AddressResult| matches!(r.outcome, ConnectOutcome::Open | ConnectOutcome::Intermittent);
    let text = format!("{}; {}", super::facts::describe(v4), super::facts::describe(v6));
    let value = match (works(v4), works(v6)) {
        (true, true) => "both_ok",
        (false, true) => "v4_fails",
        (v4_works, false) => {
            if matches!(v6.outcome, ConnectOutcome::Local(_)) && !has_global_v6() {
                "v6_no_source"
            } else if !v4_works {
                "both_fail"
            } else {
                match v6.outcome {
                    ConnectOutcome::Refused => "v6_refused",
                    ConnectOutcome::Rejected { .. } | ConnectOutcome::Local(_) => "v6_unreachable",
                    _ => "v6_silent",
                }
            }
        }
    };
    fact(value, text)
}

/// True when this host has an IPv6 address of global scope, by /proc/net/if_inet6.
fn has_global_v6() -> bool {
    let text = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    text.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), [_, _, _, "00", _, name] if *name != "lo")
    })
}
